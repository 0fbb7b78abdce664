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
  description = "The tag of the image in the repository that is made, which is `<name>`."
  type        = string
  nullable    = false
}

variable "image_digest" {
  description = "The digest of the image that runs (`sha256:…`), in place of its tag."
  type        = string
  default     = null
}

variable "image" {
  description = "An image of yours with both programs, whole, with its tag or its digest, in place of one in the repository that is made."
  type        = string
  default     = null

  validation {
    condition     = var.image == null ? true : can(regex("^[^@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image must end with a tag (registry.example.com/fleet:0.1.0) or a digest (…/fleet@sha256:…), so that it is known what runs."
  }

  validation {
    condition     = var.image == null || var.image_digest == null
    error_message = "image_digest is of the repository that is made, and image names one of yours: put the digest into image (…/fleet@sha256:…)."
  }
}

variable "cluster_arn" {
  description = "An ECS cluster of yours that tasks run in, in place of one that is made."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_arn == null ? true : can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+$", var.cluster_arn))
    error_message = "cluster_arn must be the ARN of an ECS cluster (arn:aws:ecs:…:cluster/…)."
  }
}

variable "security_group_ids" {
  description = "Security groups of yours for all tasks, in place of one that is made: they must let tasks out to AWS on 443, or to your proxy."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-z]+$", id))])
    error_message = "security_group_ids must be ids of security groups (sg-0a1b2c3d), not their names."
  }
}

variable "spot" {
  description = "Whether a fleet runs on spot capacity."
  type        = bool
  default     = false
  nullable    = false
}
