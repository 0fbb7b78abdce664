mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  name     = "fleet"
  accounts = { data = { id = "111111111111" } }
}

run "two_variables_are_enough" {
  command = plan

  assert {
    condition     = length(module.network) == 1 && output.member_role.external_id == "fleet-999999999999"
    error_message = "There is no network, or no external id."
  }

  assert {
    condition     = aws_s3_object.accounts.content == <<-TOML
      # Written by Terraform; change the variable `accounts` instead.

      [defaults]
      role_name = "cloudwatch-fleet-reader"
      external_id = "fleet-999999999999"

      [[account]]
      name = "data"
      id = "111111111111"
      credentials = "role"
      default = true
    TOML
    error_message = "The accounts file is\n${aws_s3_object.accounts.content}"
  }
}

run "what_people_copy_out_of_the_outputs_is_whole" {
  command = plan

  assert {
    condition     = output.backfill_command == "aws ecs run-task --region eu-west-1 --cluster fleet --task-definition fleet-producer --launch-type FARGATE --network-configuration 'awsvpcConfiguration={subnets=[subnet-1,subnet-1],securityGroups=[sg-1],assignPublicIp=ENABLED}' --propagate-tags TASK_DEFINITION --enable-ecs-managed-tags --tags '[{\"key\":\"fleet:application\",\"value\":\"cloudwatch-fleet\"},{\"key\":\"fleet:deployment\",\"value\":\"fleet\"}]' --overrides '{\"containerOverrides\":[{\"command\":[\"producer\",\"run\",\"--wake\",\"--date\",\"YYYY-MM-DD\"],\"name\":\"producer\"}]}'"
    error_message = "The command is ${output.backfill_command}"
  }

  assert {
    condition     = strcontains(output.check_command, "--task-definition fleet-worker ") && endswith(output.check_command, "--overrides '{\"containerOverrides\":[{\"command\":[\"worker\",\"check\"],\"name\":\"worker\"}]}'")
    error_message = "The command is ${output.check_command}"
  }

  assert {
    condition     = output.environment == <<-SHELL
      export AWS_REGION=eu-west-1
      export FLEET_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/999999999999/mock
      export FLEET_SERVICE=fleet/fleet-worker
      export FLEET_REPORT_BUCKET=fleet-reports-999999999999-eu-west-1
      export FLEET_REPORT_BUCKET_OWNER=999999999999
      export FLEET_ACCOUNTS=s3://fleet-reports-999999999999-eu-west-1/accounts.toml
      export FLEET_ACCOUNTS_OWNER=999999999999
    SHELL
    error_message = "The environment is\n${output.environment}"
  }
}

run "example" {
  module {
    source = "./tests/example"
  }
}

# tests/accounts.toml is what the workers read; a test of theirs reads it.
run "the_example_is_ten_accounts_that_the_workers_understand" {
  command = plan

  variables {
    name               = run.example.variables.name
    accounts           = run.example.variables.accounts
    request            = run.example.variables.request
    monthly            = run.example.variables.monthly
    workers            = run.example.variables.workers
    alarm_emails       = run.example.variables.alarm_emails
    oldest_job_hours   = run.example.variables.oldest_job_hours
    log_retention_days = run.example.variables.log_retention_days
    keep_reports_days  = run.example.variables.keep_reports_days
    tags               = run.example.variables.tags
  }

  assert {
    condition     = length(var.accounts) == 10
    error_message = "The example has ${length(var.accounts)} accounts."
  }

  assert {
    condition     = aws_s3_object.accounts.content == file("tests/accounts.toml")
    error_message = "tests/accounts.toml is not what is written:\n${aws_s3_object.accounts.content}"
  }
}

run "subnets_of_ones_own_are_used" {
  command = plan

  variables {
    subnet_ids = ["subnet-a", "subnet-b"]
  }

  assert {
    condition     = length(module.network) == 0 && strcontains(output.backfill_command, "subnets=[subnet-a,subnet-b]") && strcontains(output.backfill_command, "assignPublicIp=DISABLED")
    error_message = "A network is made, or tasks run elsewhere: ${output.backfill_command}"
  }
}

run "a_private_network_gives_tasks_no_public_address" {
  command = plan

  variables {
    private_network = true
  }

  assert {
    condition     = length(module.network) == 1 && strcontains(output.backfill_command, "assignPublicIp=DISABLED")
    error_message = "Tasks have public addresses: ${output.backfill_command}"
  }
}

run "a_private_network_and_subnets_of_ones_own_are_not_mixed" {
  command = plan

  variables {
    private_network = true
    subnet_ids      = ["subnet-a"]
  }

  expect_failures = [var.private_network]
}

run "a_name_that_can_not_be_is_refused" {
  command = plan

  variables {
    name = "Fleet"
  }

  expect_failures = [var.name]
}

run "no_account_is_refused" {
  command = plan

  variables {
    accounts = {}
  }

  expect_failures = [var.accounts]
}

run "a_hostile_account_name_is_refused" {
  command = plan

  variables {
    accounts = { "../data" = { id = "111111111111" } }
  }

  expect_failures = [var.accounts]
}

run "names_whose_keys_would_collide_are_refused" {
  command = plan

  variables {
    accounts = {
      opra-dev = { id = "111111111111" }
      opra_dev = { id = "222222222222" }
    }
  }

  expect_failures = [var.accounts]
}

run "an_id_that_is_none_is_refused" {
  command = plan

  variables {
    accounts = { data = { id = "11111111111" } }
  }

  expect_failures = [var.accounts]
}

run "an_account_that_can_not_be_entered_is_refused" {
  command = plan

  variables {
    accounts = { data = { region = "eu-west-1" } }
  }

  expect_failures = [var.accounts]
}

run "an_account_with_both_a_role_and_keys_is_refused" {
  command = plan

  variables {
    accounts = {
      data = {
        role_arn               = "arn:aws:iam::111111111111:role/reader"
        access_keys_secret_arn = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:data-a1b2c3"
      }
    }
  }

  expect_failures = [var.accounts]
}

run "a_share_of_the_quota_that_can_not_be_is_refused" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", quota_share = 101 } }
  }

  expect_failures = [var.accounts]
}

run "a_share_of_a_quota_that_was_raised_is_taken" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", quota_share = 2 } }
  }

  assert {
    condition     = strcontains(aws_s3_object.accounts.content, "quota_share = 2\n")
    error_message = "The accounts file is\n${aws_s3_object.accounts.content}"
  }
}

run "a_request_for_an_account_that_is_not_there_is_refused" {
  command = plan

  variables {
    request = { account_names = ["dta"] }
  }

  expect_failures = [var.request]
}

run "a_schedule_of_an_account_or_dataset_that_is_not_there_is_refused" {
  command = plan

  variables {
    schedules = {
      ecs = { expression = "rate(5 minutes)", via = "queue", request = { account_name = "dta", dataset = ["ecs", "lambda"] } }
    }
  }

  expect_failures = [var.schedules]
}

run "a_schedule_of_a_misspelt_dataset_is_refused" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(5 minutes)", via = "queue", request = { account_name = "data", dataset = "esc" } } }
  }

  expect_failures = [var.schedules]
}

run "a_schedule_may_name_a_group_of_datasets" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(5 minutes)", via = "queue", request = { account_name = "data", dataset = "ecs" } } }
  }

  assert {
    condition     = keys(module.schedule.watched) == []
    error_message = "An alarm is made unasked."
  }
}

run "roles_of_many_accounts_under_one_name_are_one_pattern" {
  command = plan

  variables {
    accounts = { for n in range(800) : "account-${n}" => { role_arn = "arn:aws:iam::${format("%012d", n)}:role/audit" } }
  }

  assert {
    condition     = length(regexall("role/audit", aws_s3_object.accounts.content)) == 800 && length(output.roles.worker_arn) > 0
    error_message = "They are not in the accounts file."
  }

  assert {
    condition     = local.member_role_arns == tolist(["arn:aws:iam::*:role/audit"])
    error_message = "The worker's policy would have no room for ${length(local.member_role_arns)} roles."
  }
}

run "roles_of_many_names_are_a_pattern_each" {
  command = plan

  variables {
    accounts = {
      data     = { id = "111111111111", role_name = "reader" }
      opra-dev = { id = "222222222222", role_name = "audit" }
      opra     = { id = "333333333333", role_name = "reader" }
    }
  }

  assert {
    condition     = local.member_role_arns == tolist(["arn:aws:iam::*:role/audit", "arn:aws:iam::*:role/reader"])
    error_message = "The worker may become ${jsonencode(local.member_role_arns)}."
  }
}

run "the_network_that_is_made_has_room_for_116_workers" {
  command = plan

  variables {
    workers = { max = 116 }
  }

  assert {
    condition     = length(module.network) == 1
    error_message = "No network is made."
  }
}

run "more_workers_than_addresses_are_refused" {
  command = plan

  variables {
    workers = { max = 117 }
  }

  expect_failures = [var.workers]
}

run "a_larger_network_has_room_for_all_workers_that_there_may_be" {
  command = plan

  variables {
    workers    = { max = 1000 }
    cidr_block = "10.42.0.0/21"
  }

  assert {
    condition     = length(module.network) == 1
    error_message = "No network is made."
  }
}

run "addresses_of_ones_own_subnets_are_not_counted" {
  command = plan

  variables {
    workers    = { max = 1000 }
    subnet_ids = ["subnet-a", "subnet-b"]
  }

  assert {
    condition     = length(module.network) == 0
    error_message = "A network is made."
  }
}

run "what_would_stop_every_worker_is_refused_in_an_account" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", role_arn = "arn:aws:iam::222222222222:role/reader" } }
  }

  expect_failures = [var.accounts]
}

run "a_role_arn_that_is_none_is_refused_in_an_account" {
  command = plan

  variables {
    accounts = { data = { role_arn = "reader" } }
  }

  expect_failures = [var.accounts]
}

run "a_region_that_is_none_is_refused_in_an_account" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", regions = ["Ireland"] } }
  }

  expect_failures = [var.accounts]
}

run "a_role_name_that_is_none_is_refused_in_an_account" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", role_name = "finops reader" } }
  }

  expect_failures = [var.accounts]
}

run "an_external_id_that_sts_refuses_is_refused_in_an_account" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", external_id = "x y" } }
  }

  expect_failures = [var.accounts]
}

run "a_key_without_a_secret_is_refused_in_an_account" {
  command = plan

  variables {
    accounts = { data = { id = "111111111111", kms_key_arn = "arn:aws:kms:eu-west-1:999999999999:key/0e3f" } }
  }

  expect_failures = [var.accounts]
}

run "a_secret_without_the_end_of_its_arn_is_refused" {
  command = plan

  variables {
    accounts = { data = { access_keys_secret_arn = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:data" } }
  }

  expect_failures = [var.accounts]
}

run "what_the_stack_sets_is_not_set_beside_it" {
  command = plan

  variables {
    workers     = { concurrency = 2.5, environment = { FLEET_QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/1/x" } }
    image_tag   = "sha256:abc"
    member_role = { name = "a role", external_id = "x" }
  }

  expect_failures = [var.workers, var.image_tag, var.member_role]
}

run "a_digest_is_what_all_programs_run" {
  command = plan

  variables {
    image_digest = "sha256:1f1e0a95b9e5f2e59ab3df4a9d2f4a2ba9ab6b6d0a4d8a1c7a2f3c9f6a2d0e11"
  }

  assert {
    condition     = output.fleet.image == "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet@${var.image_digest}"
    error_message = "The image is ${output.fleet.image}."
  }
}

run "a_digest_that_is_none_is_refused" {
  command = plan

  variables {
    image_digest = "0.1.0"
  }

  expect_failures = [var.image_digest]
}

run "ones_own_tags_win_and_a_quote_does_not_end_the_command" {
  command = plan

  variables {
    tags = { Application = "finops", "fleet:application" = "the finops' fleet" }
  }

  assert {
    condition     = local.tags == { Application = "finops", "fleet:application" = "the finops' fleet", "fleet:deployment" = "fleet" }
    error_message = "The tags are ${jsonencode(local.tags)}"
  }

  assert {
    condition = strcontains(
      output.backfill_command,
      "--tags '[{\"key\":\"Application\",\"value\":\"finops\"},{\"key\":\"fleet:application\",\"value\":\"the finops'\\'' fleet\"},{\"key\":\"fleet:deployment\",\"value\":\"fleet\"}]' --overrides",
    )
    error_message = "The command is ${output.backfill_command}"
  }
}

run "more_tags_than_a_task_can_have_are_refused" {
  command = plan

  variables {
    tags = { for n in range(46) : "Tag${n}" => "x" }
  }

  expect_failures = [var.tags]
}

run "tags_without_end_do_not_keep_the_accounts_file_out_of_the_bucket" {
  command = plan

  variables {
    tags = { for n in range(20) : "Tag${n}" => "x" }
  }

  assert {
    condition     = length(aws_s3_object.accounts.override_provider[0].default_tags[0].tags) == 0
    error_message = "The accounts file has the stack's tags."
  }
}

run "a_dataset_that_there_is_not_is_refused" {
  command = plan

  variables {
    request = { datasets = ["s3_daily_storge"] }
  }

  expect_failures = [var.request]
}

run "a_fleet_in_an_opt_in_region_enters_accounts_in_another" {
  command = plan

  variables {
    member_role = { region = "us-east-1" }
    accounts    = { data = { id = "111111111111" }, opra = { id = "222222222222", region = "eu-west-1" } }
  }

  assert {
    condition     = aws_s3_object.accounts.content == <<-TOML
      # Written by Terraform; change the variable `accounts` instead.

      [defaults]
      role_name = "cloudwatch-fleet-reader"
      external_id = "fleet-999999999999"
      region = "us-east-1"

      [[account]]
      name = "data"
      id = "111111111111"
      credentials = "role"
      default = true

      [[account]]
      name = "opra"
      id = "222222222222"
      credentials = "role"
      default = true
      region = "eu-west-1"
    TOML
    error_message = "The accounts file is\n${aws_s3_object.accounts.content}"
  }
}

run "a_region_of_all_accounts_that_is_none_is_refused" {
  command = plan

  variables {
    member_role = { region = "Ireland" }
  }

  expect_failures = [var.member_role]
}

run "an_edit_of_the_accounts_file_by_hand_is_seen" {
  command = plan

  assert {
    condition     = aws_s3_object.accounts.etag == md5(aws_s3_object.accounts.content)
    error_message = "A plan compares nothing with what is in the bucket."
  }
}

run "endpoints_take_addresses_of_a_private_network" {
  command = plan

  variables {
    workers         = { max = 101 }
    private_network = true
  }

  expect_failures = [var.workers]
}

run "a_key_is_made_only_if_asked_for" {
  command = plan

  assert {
    condition     = length(module.key) == 0 && local.kms_key_arn == null
    error_message = "A key is made unasked."
  }
}

run "a_key_that_is_made_encrypts_the_stack" {
  command = plan

  variables {
    make_kms_key = true
  }

  assert {
    condition     = local.kms_key_arn == "arn:aws:kms:eu-west-1:999999999999:key/made"
    error_message = "The key is not used."
  }
}

run "a_key_of_ones_own_and_one_that_is_made_are_not_mixed" {
  command = plan

  variables {
    make_kms_key = true
    kms_key_arn  = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
  }

  expect_failures = [var.make_kms_key]
}

run "keys_boundaries_and_subnets_that_are_none_are_refused" {
  command = plan

  variables {
    kms_key_arn              = "alias/fleet"
    permissions_boundary_arn = "boundary"
    subnet_ids               = ["10.0.0.0/24"]
  }

  expect_failures = [var.kms_key_arn, var.permissions_boundary_arn, var.subnet_ids]
}
