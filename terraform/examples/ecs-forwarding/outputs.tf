# SPDX-License-Identifier: Apache-2.0
output "member_role" {
  description = "What the role in each member account must be: the variables of modules/member-role."
  value       = module.stack.member_role
}

output "fleet" {
  description = "The ECS cluster, the first fleet's service, and the image: where to push it, and what runs."
  value       = module.stack.fleet
}

output "reports" {
  description = "The bucket of reports."
  value       = module.stack.reports.bucket
}

output "environment" {
  description = "What `producer status`, `failed` and `replay` need on your machine: eval \"$(terraform output -raw environment)\""
  value       = module.stack.environment
}

output "check_command" {
  description = "Makes a worker report, for each account, its identity there and which permission is missing, and whether the sink can be reached."
  value       = module.stack.check_command
}
