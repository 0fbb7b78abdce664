# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name: of the cluster, the repository and, with `-tasks`, the security group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "vpc_id" {
  description = "The VPC that tasks run in. They ask AWS on port 443 and let no one in."
  type        = string
  nullable    = false
}

variable "image_tag" {
  description = "The tag of the image in the repository, which is `<name>`."
  type        = string
  nullable    = false
}

variable "image_digest" {
  description = "The digest of the image that runs (`sha256:…`), in place of its tag."
  type        = string
  default     = null
}

variable "spot" {
  description = "Whether a fleet runs on spot capacity."
  type        = bool
  default     = false
  nullable    = false
}
