# SPDX-License-Identifier: Apache-2.0
output "log_groups" {
  description = "The log groups of the workers and of the producer."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => { name = group.name, arn = group.arn } }
}

output "stopped_log_group" {
  description = "The log group with the reasons why tasks stopped; null if there is none."
  value       = one(aws_cloudwatch_log_group.stopped[*].name)
}

output "topic_arn" {
  description = "The topic that alarms are sent to."
  value       = local.topic_arn
}

output "dashboard" {
  description = "The dashboard's name."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
