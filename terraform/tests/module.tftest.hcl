# The stack as a part of something larger: several of it, with what is there already, and with queues and fleets besides the first.

mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

mock_provider "aws" {
  alias           = "ireland"
  override_during = plan
  source          = "./tests/mocks"
}

mock_provider "aws" {
  alias           = "frankfurt"
  override_during = plan
  source          = "./tests/mocks"

  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
}

variables {
  name     = "fleet"
  accounts = { data = { id = "111111111111" } }
}

run "it_is_called_with_count_and_with_for_each_and_with_a_provider_each" {
  command = plan

  module {
    source = "./tests/as_module"
  }

  assert {
    condition     = output.names == { ireland = ["fleet", "eu-west-1"], frankfurt = ["fleet-frankfurt", "eu-central-1"] }
    error_message = "They are made of the same provider: ${jsonencode(output.names)}"
  }
}

run "a_queue_and_a_fleet_for_a_schedule_of_minutes" {
  command = plan

  variables {
    queues = { ticks = { retention_hours = 1, max_receives = 4 } }
    fleets = { fresh = { queue = "ticks", min = 1, max = 3, spot = true, environment = { FLEET_LOOKBACK_DAYS = "1" } } }

    schedules = {
      ecs = { expression = "rate(5 minutes)", via = "queue", queue = "ticks", request = { dataset = "ecs" }, stale_after_minutes = 90 }
    }
  }

  assert {
    condition     = toset(keys(module.queue)) == toset(["jobs", "ticks"]) && toset(keys(module.fleet)) == toset(["worker", "fresh"])
    error_message = "There are queues ${jsonencode(keys(module.queue))} and fleets ${jsonencode(keys(module.fleet))}."
  }

  assert {
    condition     = output.queues.ticks.service == "fleet/fleet-fresh" && output.queues.jobs.service == "fleet/fleet-worker"
    error_message = "The wrong fleet is woken: ${jsonencode(output.queues)}"
  }

  assert {
    condition     = module.schedule.watched == { ecs = { datasets = ["ecs"], minutes = 90 } }
    error_message = "Nobody looks whether it is done: ${jsonencode(module.schedule.watched)}"
  }
}

run "a_first_fleet_of_ones_own_takes_the_place_of_workers" {
  command = plan

  variables {
    fleets = { worker = { max = 20, spot = true } }
  }

  assert {
    condition     = keys(module.fleet) == ["worker"] && local.fleets.worker.max == 20 && local.fleets.worker.spot
    error_message = "The fleet is ${jsonencode(local.fleets)}."
  }
}

run "a_queue_without_workers_is_refused" {
  command = plan

  variables {
    queues = { ticks = {} }
  }

  expect_failures = [var.fleets]
}

run "workers_of_a_queue_that_there_is_not_are_refused" {
  command = plan

  variables {
    fleets = { fresh = { queue = "ticks" } }
  }

  expect_failures = [var.fleets]
}

run "a_month_that_nobody_works_on_is_refused" {
  command = plan

  variables {
    queues = { ticks = {} }
    fleets = { worker = { queue = "ticks" } }
  }

  expect_failures = [var.fleets]
}

run "more_workers_in_all_than_addresses_are_refused" {
  command = plan

  variables {
    fleets = { fresh = { max = 107 } }
  }

  expect_failures = [var.fleets]
}

run "what_is_there_already_is_not_made" {
  command = plan

  variables {
    image              = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/platform/fleet:0.1.0"
    cluster_arn        = "arn:aws:ecs:eu-west-1:999999999999:cluster/shared"
    subnet_ids         = ["subnet-a", "subnet-b"]
    security_group_ids = ["sg-a"]
    alarm_topic_arn    = "arn:aws:sns:eu-west-1:999999999999:on-call"
    report_bucket      = "company-reports"
    role_path          = "/platform/"
    role_prefix        = "app-finops-"
  }

  assert {
    condition     = output.fleet == { cluster = "shared", service = "fleet-worker", repository_url = null, image = var.image }
    error_message = "The fleet is ${jsonencode(output.fleet)}"
  }

  assert {
    condition     = strcontains(output.backfill_command, "--cluster shared ") && strcontains(output.backfill_command, "subnets=[subnet-a,subnet-b],securityGroups=[sg-a],assignPublicIp=DISABLED")
    error_message = "The command is ${output.backfill_command}"
  }

  assert {
    condition     = output.observability.topic_arn == var.alarm_topic_arn && output.reports.bucket == "company-reports" && aws_s3_object.accounts.bucket == "company-reports"
    error_message = "Alarms or reports go elsewhere: ${jsonencode([output.observability, output.reports])}"
  }
}

run "security_groups_of_another_vpc_are_refused" {
  command = plan

  variables {
    security_group_ids = ["sg-a"]
  }

  expect_failures = [var.security_group_ids]
}

run "the_environment_is_open_to_proxies_certificates_and_fips" {
  command = plan

  variables {
    workers  = { environment = { HTTPS_PROXY = "http://proxy:3128", no_proxy = "169.254.170.2", AWS_USE_FIPS_ENDPOINT = "true", SSL_CERT_FILE = "/etc/ca.pem", FLEET_REGIONS = "eu-west-1" } }
    producer = { environment = { HTTPS_PROXY = "http://proxy:3128", AWS_CA_BUNDLE = "/etc/ca.pem", FLEET_DEFAULT_ACCOUNTS = "data" } }
  }

  assert {
    condition     = local.fleets.worker.environment.HTTPS_PROXY == "http://proxy:3128"
    error_message = "The workers' variables are ${jsonencode(local.fleets.worker.environment)}"
  }
}

run "what_the_stack_sets_is_refused_by_name_in_every_environment" {
  command = plan

  variables {
    workers  = { environment = { FLEET_METRICS_NAMESPACE = "x" } }
    producer = { environment = { AWS_REGION = "us-east-1" } }
  }

  expect_failures = [var.workers, var.producer]
}

run "what_the_stack_sets_is_refused_of_a_fleet" {
  command = plan

  variables {
    fleets = { fresh = { environment = { FLEET_CONCURRENCY = "9" } } }
  }

  expect_failures = [var.fleets]
}

run "a_secret_is_refused_in_every_environment" {
  command = plan

  variables {
    workers  = { environment = { AWS_SECRET_ACCESS_KEY = "x" } }
    producer = { environment = { AWS_SESSION_TOKEN = "x" } }
  }

  expect_failures = [var.workers, var.producer]
}

run "a_secret_is_refused_of_a_fleet" {
  command = plan

  variables {
    fleets = { fresh = { environment = { AWS_ACCESS_KEY_ID = "x" } } }
  }

  expect_failures = [var.fleets]
}
