# SPDX-License-Identifier: Apache-2.0
provider "aws" {
  region              = var.region
  allowed_account_ids = length(var.allowed_account_ids) == 0 ? null : var.allowed_account_ids

  default_tags {
    tags = local.tags
  }
}
