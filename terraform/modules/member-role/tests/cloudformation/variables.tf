# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "RoleName; its default where null, as with each of these."
  type        = string
  default     = null
}

variable "worker_role_arn" {
  description = "WorkerRoleArn."
  type        = string
  default     = null
}

variable "trust" {
  description = "Trust."
  type        = string
  default     = null
}

variable "directory_buckets" {
  description = "DirectoryBuckets."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags."
  type        = string
  default     = null
}

variable "external_id" {
  description = "ExternalId."
  type        = string
  default     = null
}

variable "organization_id" {
  description = "OrganizationId."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "PermissionsBoundaryArn."
  type        = string
  default     = null
}

variable "candidates" {
  description = "Values of each parameter that are tried on its constraints only."
  type        = map(list(string))
  default     = {}
  nullable    = false
}
