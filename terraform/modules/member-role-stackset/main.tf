# SPDX-License-Identifier: Apache-2.0
# The member role in all accounts of an organization's units, those that join later included. Applied in the organization's
# management account, or in one that it delegated StackSets to.

resource "aws_cloudformation_stack_set" "reader" {
  name             = var.name
  description      = "The role that cloudwatch-fleet assumes in each account to read its CloudWatch metrics."
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = file("${path.module}/../member-role/template.yaml")

  parameters = {
    for key, value in {
      RoleName               = var.role_name
      WorkerRoleArn          = var.worker_role_arn
      Trust                  = var.trust
      DirectoryBuckets       = tostring(var.directory_buckets)
      Tags                   = tostring(length(var.tag_keys) > 0)
      ExternalId             = var.external_id
      OrganizationId         = var.organization_id
      PermissionsBoundaryArn = var.permissions_boundary_arn
    } : key => value if value != null
  }

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  # An operation that conflicts with none runs beside others, and one that does waits for them, where else it would fail.
  managed_execution {
    active = true
  }

  # The provider has no concurrency mode here, only where instances are made.
  operation_preferences {
    failure_tolerance_percentage = var.failure_tolerance_percentage
    max_concurrent_percentage    = 100
  }

  lifecycle {
    ignore_changes = [administration_role_arn] # AWS's own with this permission model
  }
}

resource "aws_cloudformation_stack_instances" "reader" {
  stack_set_name = aws_cloudformation_stack_set.reader.name
  call_as        = var.call_as
  regions        = [var.region] # one, since IAM is global: in a second one the role would be there already

  deployment_targets {
    organizational_unit_ids = var.organizational_unit_ids
  }

  # Without a tolerance the first account that fails stops all others; and without SOFT_FAILURE_TOLERANCE no more are made at once
  # than may fail and one.
  # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/concurrency-mode.html
  operation_preferences {
    failure_tolerance_percentage = var.failure_tolerance_percentage
    max_concurrent_percentage    = 100
    concurrency_mode             = "SOFT_FAILURE_TOLERANCE"
  }
}
