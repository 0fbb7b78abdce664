# SPDX-License-Identifier: Apache-2.0
output "jobs" {
  description = "The work queue."
  value = {
    name = aws_sqs_queue.jobs.name
    arn  = aws_sqs_queue.jobs.arn
    url  = aws_sqs_queue.jobs.url
  }
}

output "dead_letters" {
  description = "The dead-letter queue."
  value = {
    name = aws_sqs_queue.dead_letters.name
    arn  = aws_sqs_queue.dead_letters.arn
    url  = aws_sqs_queue.dead_letters.url
  }
}
