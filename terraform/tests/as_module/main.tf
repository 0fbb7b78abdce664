# SPDX-License-Identifier: Apache-2.0
# Two of the stack in one configuration, in a region each. A module with a provider block of its own could be called by neither.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  alias  = "ireland"
  region = "eu-west-1"
}

provider "aws" {
  alias  = "frankfurt"
  region = "eu-central-1"
}

module "ireland" {
  source    = "../.."
  count     = 1
  providers = { aws = aws.ireland }

  name     = "fleet"
  accounts = { data = { id = "111111111111" } }
}

module "frankfurt" {
  source    = "../.."
  for_each  = toset(["fleet-frankfurt"])
  providers = { aws = aws.frankfurt }

  name     = each.value
  accounts = { data = { id = "111111111111" } }
}

locals {
  fleets = { ireland = module.ireland[0], frankfurt = module.frankfurt["fleet-frankfurt"] }
}

output "names" {
  description = "Of each the name, as its dashboard has it, and the region that its tasks are told."
  value = {
    for where, fleet in local.fleets :
    where => [fleet.observability.dashboard, regex("AWS_REGION=(\\S+)", fleet.environment)[0]]
  }
}
