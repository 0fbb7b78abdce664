# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name, which is the domain's too."
  type        = string
  nullable    = false

  # https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_CreateDomain.html
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name must be 3 to 24 lower-case letters, digits and single dashes between them, and begin with a letter: two are not enough for a domain."
  }
}

variable "engine_version" {
  description = "The engine's version, OpenSearch_2.… or OpenSearch_3.…; a later one upgrades the domain where it is."
  type        = string
  default     = "OpenSearch_2.19"
  nullable    = false

  validation {
    condition     = can(regex("^OpenSearch_[23]\\.[0-9]+$", var.engine_version))
    error_message = "engine_version (the stack's search.engine_version) must be OpenSearch_2.… or OpenSearch_3.…, which the sink knows, such as OpenSearch_2.19."
  }
}

variable "instance_type" {
  description = "The type of its nodes. List prices of us-east-1 for a month of 730 hours: t3.small.search $26, r6g.large.search $122; other regions differ."
  type        = string
  default     = "t3.small.search"
  nullable    = false

  # https://docs.aws.amazon.com/opensearch-service/latest/developerguide/supported-instance-types.html
  validation {
    condition     = can(regex("^[a-z0-9]+\\.[a-z0-9]+\\.search$", var.instance_type)) && !startswith(var.instance_type, "t2.")
    error_message = "instance_type (the stack's search.instance_type) must be a type of nodes such as t3.small.search or r6g.large.search; t2 has no encryption and no fine-grained access control."
  }
}

variable "instance_count" {
  description = "How many nodes it has: one has no replica, and is unavailable while it is patched; an even number is spread over two zones."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.instance_count >= 1 && var.instance_count <= 80 && floor(var.instance_count) == var.instance_count
    error_message = "instance_count (the stack's search.instance_count) must be a whole number from 1 to 80."
  }
}

variable "volume_gib" {
  description = "The disk of each node, of the type gp3, in GiB: about $0.12 each in a month."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.volume_gib >= 10 && var.volume_gib <= 24576 && floor(var.volume_gib) == var.volume_gib
    error_message = "volume_gib (the stack's search.volume_gib) must be a whole number of at least 10, the least that OpenSearch Service gives a node."
  }
}

variable "master_user_arn" {
  description = "The IAM user or role that may do everything in the domain, and gives roles there to others."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[\\w+=,.@/-]+$", var.master_user_arn))
    error_message = "master_user_arn (the stack's search.master_user_arn) must be the ARN of an IAM role or user (arn:aws:iam::999999999999:role/search-admin)."
  }
}

variable "worker_role_arn" {
  description = "The role that delivers documents."
  type        = string
  nullable    = false
}

variable "setup_role_arn" {
  description = "The role that sets the domain up."
  type        = string
  nullable    = false
}

variable "user_arns" {
  description = "Who else may send requests to the domain. `*` is everyone whom the domain's own roles let in, which is what a login to Dashboards by SAML takes."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.user_arns : arn == "*" || can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:", arn))])
    error_message = "user_arns (the stack's search.user_arns) must be ARNs of IAM roles or users, or \"*\"."
  }
}

variable "network" {
  description = "The VPC that its endpoint is in, and the security groups that may enter; absent, the endpoint is public. A change makes the domain anew, and an account's first domain in a VPC needs OpenSearch Service's service-linked role before."
  type = object({
    vpc_id             = string
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "log_retention_days" {
  description = "How long its logs are kept."
  type        = number
  default     = 90
  nullable    = false
}

variable "keep_logs" {
  description = "Whether `terraform destroy` leaves the log group."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  description = "A customer key for its disks and its logs; AWS's own encryption if absent. A change makes the domain anew."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}
