mock_provider "aws" {
  override_during = plan
}

variables {
  organizational_unit_ids = ["r-abcd"]
  worker_role_arn         = "arn:aws:iam::999999999999:role/fleet-worker"
  external_id             = "fleet-999999999999"
}

run "accounts_that_join_later_get_the_role_and_operations_do_not_collide" {
  command = plan

  assert {
    condition = (
      aws_cloudformation_stack_set.reader.permission_model == "SERVICE_MANAGED" &&
      aws_cloudformation_stack_set.reader.auto_deployment[0].enabled &&
      aws_cloudformation_stack_set.reader.managed_execution[0].active &&
      aws_cloudformation_stack_set.reader.capabilities == toset(["CAPABILITY_NAMED_IAM"])
    )
    error_message = "The stack set is otherwise."
  }

  assert {
    condition     = aws_cloudformation_stack_set.reader.template_body == file("${path.module}/../member-role/template.yaml")
    error_message = "Another role is made."
  }
}

run "one_account_that_fails_neither_stops_nor_slows_the_others" {
  command = plan

  assert {
    condition = (
      aws_cloudformation_stack_instances.reader.operation_preferences[0].concurrency_mode == "SOFT_FAILURE_TOLERANCE" &&
      aws_cloudformation_stack_instances.reader.operation_preferences[0].failure_tolerance_percentage == 10 &&
      aws_cloudformation_stack_instances.reader.operation_preferences[0].max_concurrent_percentage == 100
    )
    error_message = "The accounts are made otherwise: ${jsonencode(aws_cloudformation_stack_instances.reader.operation_preferences)}"
  }

  assert {
    condition = (
      aws_cloudformation_stack_instances.reader.regions == toset(["us-east-1"]) &&
      aws_cloudformation_stack_instances.reader.deployment_targets[0].organizational_unit_ids == toset(["r-abcd"])
    )
    error_message = "The role is made in other accounts, or twice."
  }
}

# The commands for those who have no Terraform do the same.
run "the_commands_to_copy_say_the_same" {
  command = plan

  assert {
    condition = alltrue([
      for flag in ["--managed-execution Active=true", "FailureTolerancePercentage=10,MaxConcurrentPercentage=100,ConcurrencyMode=SOFT_FAILURE_TOLERANCE"] :
      strcontains(file("${path.module}/../member-role/README.md"), flag)
    ])
    error_message = "member-role/README.md has other commands."
  }
}

run "only_what_is_given_is_a_parameter" {
  command = plan

  assert {
    condition = aws_cloudformation_stack_set.reader.parameters == tomap({
      RoleName         = "cloudwatch-fleet-reader"
      WorkerRoleArn    = "arn:aws:iam::999999999999:role/fleet-worker"
      Trust            = "role"
      DirectoryBuckets = "true"
      Tags             = "false"
      ExternalId       = "fleet-999999999999"
    })
    error_message = "The parameters are ${jsonencode(aws_cloudformation_stack_set.reader.parameters)}"
  }
}

run "tags_are_read_if_any_is_a_column" {
  command = plan

  variables {
    tag_keys = ["team"]
  }

  assert {
    condition     = aws_cloudformation_stack_set.reader.parameters.Tags == "true"
    error_message = "The parameters are ${jsonencode(aws_cloudformation_stack_set.reader.parameters)}"
  }
}

run "every_parameter_of_the_template_can_be_given" {
  command = plan

  variables {
    organization_id          = "o-exampleorgid"
    permissions_boundary_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
  }

  assert {
    condition     = toset(keys(aws_cloudformation_stack_set.reader.parameters)) == toset(keys(yamldecode(aws_cloudformation_stack_set.reader.template_body).Parameters))
    error_message = "The template has other parameters than ${jsonencode(keys(aws_cloudformation_stack_set.reader.parameters))}"
  }
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name                         = "a set"
    organizational_unit_ids      = ["123456789012"]
    call_as                      = "ADMIN"
    failure_tolerance_percentage = 101
  }

  expect_failures = [var.name, var.organizational_unit_ids, var.call_as, var.failure_tolerance_percentage]
}
