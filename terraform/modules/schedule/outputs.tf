# SPDX-License-Identifier: Apache-2.0
output "tasks" {
  description = "The definitions of the tasks of `producer run` and of `producer status`."
  value       = { for name, task in module.task : name => task.task_definition }
}

output "unstarted" {
  description = "The queue of starts that could not be made."
  value = {
    name = aws_sqs_queue.unstarted.name
    arn  = aws_sqs_queue.unstarted.arn
    url  = aws_sqs_queue.unstarted.url
  }
}
