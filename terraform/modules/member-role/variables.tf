# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The role's name, the same in every account: `role_name` of the accounts file."
  type        = string
  default     = "cloudwatch-fleet-reader"
  nullable    = false

  validation {
    condition     = can(regex("^[\\w+=,.@-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 letters, digits and any of _+=,.@- (what IAM allows a role)."
  }
}

variable "worker_role_arn" {
  description = "The role that the fleet's worker runs as. It must exist: IAM refuses a trust in a role that does not."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([\\w+=,.@-]+/)*[\\w+=,.@-]{1,64}$", var.worker_role_arn))
    error_message = "worker_role_arn must be the whole ARN of one role (arn:aws:iam::999999999999:role/fleet-worker), without a wildcard."
  }
}

variable "trust" {
  description = "What the role trusts: `role`, the worker's role and nothing else, so that all member roles must be applied again once that role was deleted and made again; or `account`, any role of that name in the worker's account, so that they need not, and who may make such a role there gets in."
  type        = string
  default     = "role"
  nullable    = false

  validation {
    condition     = contains(["role", "account"], var.trust)
    error_message = "trust must be role or account."
  }
}

variable "directory_buckets" {
  description = "Whether directory buckets (S3 Express One Zone) may be listed. Without it a report names those alone that CloudWatch still lists."
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

variable "external_id" {
  description = "The external ID that the worker must send when it assumes the role: `external_id` of the accounts file. AWS does not treat it as a secret, and shows it to everyone who may read the role."
  type        = string
  nullable    = false

  # By length() and not in the pattern, where a repeat count may be 1000 at most.
  # Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
  validation {
    condition     = can(regex("^[\\w+=,.@:/-]+$", var.external_id)) && length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "external_id must be 2 to 1224 letters, digits and any of _+=,.@:/- (what STS allows)."
  }
}

variable "organization_id" {
  description = "The organization that the worker's account must belong to; not asked for where left out."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be an organization's id (o-exampleorgid), not that of a root, a unit or an account."
  }
}

variable "permissions_boundary_arn" {
  description = "The policy that bounds what the role may ever do, if the account requires one on each role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws(-[a-z]+)*:iam::([0-9]{12}|aws):policy/([\\w+=,.@-]+/)*[\\w+=,.@-]{1,128}$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the whole ARN of a managed policy (arn:aws:iam::111111111111:policy/boundary)."
  }
}
