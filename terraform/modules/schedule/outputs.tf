# SPDX-License-Identifier: Apache-2.0
output "tasks" {
  description = "The definitions of the tasks of `producer run`, of `producer status` and, if there are `setups`, of `producer setup`."
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

output "watched" {
  description = "The schedules that must complete a window of their datasets every so many minutes, as requests name these: datasets or groups of them."
  value = {
    for name, schedule in var.schedules : name => {
      datasets = length(flatten([try(schedule.request.dataset, [])])) == 0 ? ["s3_daily_storage"] : flatten([schedule.request.dataset])
      minutes  = schedule.stale_after_minutes
    } if try(schedule.stale_after_minutes, null) != null && local.schedules[name].enabled
  }
}
