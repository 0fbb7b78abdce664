# SPDX-License-Identifier: Apache-2.0
output "queue" {
  description = "The first work queue, its dead-letter queue, and the queue of scheduled starts that could not be made."
  value       = module.stack.queue
}

output "queues" {
  description = "Each queue: what FLEET_QUEUE_URL and FLEET_SERVICE are for it, and its dead-letter queue."
  value       = module.stack.queues
}

output "reports" {
  description = "The bucket of reports, for each dataset its Athena table, and the workgroup to ask in."
  value       = module.stack.reports
}

output "roles" {
  description = "The roles of the tasks, and the policy for people who look after the fleet."
  value       = module.stack.roles
}

output "fleet" {
  description = "The ECS cluster, the first fleet's service, and the image: where to push it (null if it is yours), and what runs."
  value       = module.stack.fleet
}

output "member_role" {
  description = "What the role in each member account must be: the variables of modules/member-role."
  value       = module.stack.member_role
}

output "observability" {
  description = "The topic that alarms are sent to, the dashboard, the logs, and the namespace of the workers' own figures."
  value       = module.stack.observability
}

output "environment" {
  description = "What `producer status`, `failed` and `replay` need on your machine: eval \"$(terraform output -raw environment)\""
  value       = module.stack.environment
}

output "backfill_command" {
  description = "Runs the producer now, for a day of your choice; any other arguments of `producer run` go into the same list."
  value       = module.stack.backfill_command
}

output "check_command" {
  description = "Makes a worker report, for each account, its identity there and which permission is missing. The result is in the log: aws logs tail /<name>/worker"
  value       = module.stack.check_command
}

output "search" {
  description = "The stack's OpenSearch domain: its name, its ARN, where requests go, and OpenSearch Dashboards; null if there is none."
  value       = module.stack.search
}

output "setup_commands" {
  description = "Of each sink that is set up, what sets it up now: once after the apply that made it, and whenever you do not wait for the day's. The result is in the log: aws logs tail /<name>/producer"
  value       = module.stack.setup_commands
}
