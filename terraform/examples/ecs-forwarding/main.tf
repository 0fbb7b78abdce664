# SPDX-License-Identifier: Apache-2.0
# What the ECS services of all accounts use, forwarded every five minutes to CloudWatch in this account. README.md says when cross-account
# observability does it better.

provider "aws" {
  region = var.region

  default_tags {
    tags = { "fleet:application" = "cloudwatch-fleet", "fleet:deployment" = var.name }
  }
}

module "stack" {
  source = "../.."

  name          = var.name
  accounts      = var.accounts
  monthly       = { enabled = false }
  configuration = file("${path.module}/fleet.toml")

  sinks = {
    central = {
      type      = "cloudwatch"
      region    = var.region
      namespace = var.namespace
      datasets  = ["ecs_forwarded"]
    }
  }

  # Half an hour again and again, of which only what is not there yet is asked for: so one that was missed is made up for.
  schedules = {
    ecs = {
      expression          = "rate(5 minutes)"
      via                 = "queue"
      queue               = "ticks"
      request             = { dataset = "ecs_forwarded", last = "30m", only_incomplete = true }
      stale_after_minutes = 30
    }
  }

  # What waits for longer than that half hour is asked for by no one any more.
  queues = { ticks = { retention_hours = 1, max_receives = 4, oldest_job_minutes = 30 } }
  fleets = { forward = { queue = "ticks", min = 1, max = 3 } }
}
