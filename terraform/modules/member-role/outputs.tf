# SPDX-License-Identifier: Apache-2.0
output "role" {
  description = "The role that the worker assumes: `role_name` or `role_arn` of the accounts file."
  value = {
    name = aws_iam_role.reader.name
    arn  = aws_iam_role.reader.arn
  }
}
