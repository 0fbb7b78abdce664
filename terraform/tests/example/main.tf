# SPDX-License-Identifier: Apache-2.0
# Reads the example's variables, so that a test plans with what is shown to people.

terraform {
  required_providers {
    terraform = {
      source = "terraform.io/builtin/terraform"
    }
  }
}

output "variables" {
  description = "The variables of examples/complete."
  value       = provider::terraform::decode_tfvars(file("${path.module}/../../examples/complete/ten-accounts.tfvars"))
}
