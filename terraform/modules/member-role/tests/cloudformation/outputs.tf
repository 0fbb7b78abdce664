# SPDX-License-Identifier: Apache-2.0
output "resources" {
  description = "Each resource of the template, with all that is said of it but its properties."
  value = {
    for name, resource in local.template.Resources : name => { for key, value in resource : key => value if key != "Properties" }
  }
}

output "outputs" {
  description = "What each output of the template is."
  value       = { for name, output in local.template.Outputs : name => output.Value }
}

output "required" {
  description = "The parameters that have no default."
  value       = [for name, rule in local.rules : name if !can(rule.Default)]
}

output "role" {
  description = "The properties that the role has with the given values."
  value       = jsondecode(local.resolved.Role)

  precondition {
    condition     = alltrue([for name in keys(local.rules) : contains(local.accepted[name], local.values[name])])
    error_message = "CloudFormation would refuse one of ${jsonencode(local.values)}"
  }

  precondition {
    condition     = !can(regex("\"(Ref|Fn::\\w+)\":", local.resolved.Role))
    error_message = "A function was not resolved: ${local.resolved.Role}"
  }
}

output "accepted" {
  description = "The candidates of each parameter that its constraints let pass."
  value       = { for name, candidates in var.candidates : name => setintersection(candidates, local.accepted[name]) }
}
