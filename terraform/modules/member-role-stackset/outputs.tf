# SPDX-License-Identifier: Apache-2.0
output "stack_set" {
  description = "The stack set: its name and ARN."
  value = {
    name = aws_cloudformation_stack_set.reader.name
    arn  = aws_cloudformation_stack_set.reader.arn
  }
}
