# SPDX-License-Identifier: Apache-2.0
# The Lambda functions of all accounts in an OpenSearch domain: every hour, in periods of five minutes.

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
  search        = var.search

  sinks = {
    search = {
      type      = "opensearch"
      datasets  = ["lambda_recent"]
      retention = var.retention
    }
  }

  # A window's values are final twenty minutes after its end. Six hours again, of which only what is not there yet is asked for.
  schedules = {
    lambda = {
      expression          = "cron(25 * * * ? *)"
      via                 = "queue"
      request             = { dataset = "lambda_recent", last = "6h", only_incomplete = true }
      stale_after_minutes = 180
    }
  }
}
