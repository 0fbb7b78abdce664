mock_provider "aws" {
  override_during = plan
  source          = "../../tests/mocks"
}

variables {
  name     = "fleet"
  region   = "eu-west-1"
  accounts = { data = { id = "111111111111" } }
}

run "three_variables_are_enough" {
  command = plan

  assert {
    condition     = output.member_role.external_id == "fleet-999999999999" && startswith(output.backfill_command, "aws ecs run-task --region eu-west-1 --cluster fleet ")
    error_message = "The command is ${output.backfill_command}"
  }
}

run "what_is_given_reaches_the_stack" {
  command = plan

  variables {
    workers    = { max = 3 }
    image_tag  = "0.2.0"
    subnet_ids = ["subnet-a"]
    tags       = { Team = "finops" }
    queues     = { ticks = {} }
    fleets     = { fresh = { queue = "ticks" } }
  }

  assert {
    condition     = endswith(output.fleet.image, ":0.2.0") && strcontains(output.backfill_command, "subnets=[subnet-a]") && strcontains(output.backfill_command, "\"Team\"")
    error_message = "The command is ${output.backfill_command}"
  }

  assert {
    condition     = toset(keys(output.queues)) == toset(["jobs", "ticks"])
    error_message = "The queues are ${jsonencode(keys(output.queues))}."
  }
}

run "a_region_and_an_account_that_are_none_are_refused" {
  command = plan

  variables {
    region              = "Ireland"
    allowed_account_ids = ["99999999999"]
  }

  expect_failures = [var.region, var.allowed_account_ids]
}
