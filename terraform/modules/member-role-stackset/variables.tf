# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The stack set's name."
  type        = string
  default     = "cloudwatch-fleet-reader"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,127}$", var.name))
    error_message = "name must be 1 to 128 letters, digits and dashes, and begin with a letter."
  }
}

variable "organizational_unit_ids" {
  description = "The units whose accounts get the role, or the organization's root (r-abcd), which means every account but the management account."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.organizational_unit_ids) > 0 && alltrue([for id in var.organizational_unit_ids : can(regex("^(r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})$", id))])
    error_message = "organizational_unit_ids must be ids of units (ou-abcd-exampleunit) or of a root (r-abcd)."
  }
}

variable "region" {
  description = "The region in which each account's stack is; the role is in all of them."
  type        = string
  default     = "us-east-1"
  nullable    = false
}

variable "call_as" {
  description = "SELF in the management account, DELEGATED_ADMIN in an account that StackSets were delegated to."
  type        = string
  default     = "SELF"
  nullable    = false

  validation {
    condition     = contains(["SELF", "DELEGATED_ADMIN"], var.call_as)
    error_message = "call_as must be SELF or DELEGATED_ADMIN."
  }
}

variable "failure_tolerance_percentage" {
  description = "In how many of a hundred accounts the role may fail to be made before no further ones are tried."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.failure_tolerance_percentage >= 0 && var.failure_tolerance_percentage <= 100 && floor(var.failure_tolerance_percentage) == var.failure_tolerance_percentage
    error_message = "failure_tolerance_percentage must be a whole number from 0 to 100."
  }
}

# The rest are the parameters of template.yaml, which checks them itself.

variable "role_name" {
  description = "The role's name, the same in every account: `name` of the stack's output `member_role`."
  type        = string
  default     = "cloudwatch-fleet-reader"
  nullable    = false
}

variable "worker_role_arn" {
  description = "The role that the fleet's worker runs as: `worker_role_arn` of the stack's output `member_role`."
  type        = string
  nullable    = false
}

variable "external_id" {
  description = "The external ID that the worker must send when it assumes the role: `external_id` of the stack's output `member_role`."
  type        = string
  nullable    = false
}

variable "trust" {
  description = "`role` or `account`: modules/member-role explains both."
  type        = string
  default     = "role"
  nullable    = false
}

variable "directory_buckets" {
  description = "Whether directory buckets (S3 Express One Zone) may be listed."
  type        = bool
  default     = true
  nullable    = false
}

variable "tag_keys" {
  description = "The stack's `tag_keys`, the tags that are columns of reports: with one at least, tags of resources may be read."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "organization_id" {
  description = "The organization that the worker's account must belong to; not asked for if absent."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "The policy that bounds what the role may ever do. One policy for all accounts can only be one of AWS's own."
  type        = string
  default     = null
}
