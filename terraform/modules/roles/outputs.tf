# SPDX-License-Identifier: Apache-2.0
output "role_arns" {
  description = "The roles of the tasks."
  value       = { for who, role in aws_iam_role.this : who => role.arn }

  # A task that starts before its role has its permissions would be refused.
  depends_on = [aws_iam_role_policy.this]
}

output "operator_policy_arn" {
  description = "The policy to attach to the people who look after the fleet."
  value       = aws_iam_policy.operator.arn
}
