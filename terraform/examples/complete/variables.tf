# SPDX-License-Identifier: Apache-2.0
# Region and account, and the variables of the stack, which says what each is (../../variables.tf) and checks it. What is null has the
# stack's default.

variable "region" {
  description = "The region that the fleet runs in. It collects from all others as well."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "allowed_account_ids" {
  description = "The accounts that this may be applied in; any if empty. It keeps credentials of another account from making a second stack there."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.allowed_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "allowed_account_ids must be account ids of twelve digits, in quotes."
  }
}

variable "name" {
  description = "The stack's name."
  type        = string
}

variable "accounts" {
  description = "The stack's accounts."
  type        = any
}

variable "member_role" {
  description = "The stack's member_role."
  type        = any
  default     = null
}

variable "monthly" {
  description = "The stack's monthly."
  type        = any
  default     = null
}

variable "request" {
  description = "The stack's request."
  type        = any
  default     = null
}

variable "schedules" {
  description = "The stack's schedules."
  type        = any
  default     = null
}

variable "configuration" {
  description = "The stack's configuration."
  type        = string
  default     = null
}

variable "tag_keys" {
  description = "The stack's tag_keys."
  type        = any
  default     = null
}

variable "sinks" {
  description = "The stack's sinks."
  type        = any
  default     = null
}

variable "search" {
  description = "The stack's search."
  type        = any
  default     = null
}

variable "image_tag" {
  description = "The stack's image_tag."
  type        = string
  default     = null
}

variable "image_digest" {
  description = "The stack's image_digest."
  type        = string
  default     = null
}

variable "image" {
  description = "The stack's image."
  type        = string
  default     = null
}

variable "cluster_arn" {
  description = "The stack's cluster_arn."
  type        = string
  default     = null
}

variable "cpu_architecture" {
  description = "The stack's cpu_architecture."
  type        = string
  default     = null
}

variable "workers" {
  description = "The stack's workers."
  type        = any
  default     = null
}

variable "queues" {
  description = "The stack's queues."
  type        = any
  default     = null
}

variable "fleets" {
  description = "The stack's fleets."
  type        = any
  default     = null
}

variable "producer" {
  description = "The stack's producer."
  type        = any
  default     = null
}

variable "subnet_ids" {
  description = "The stack's subnet_ids."
  type        = any
  default     = null
}

variable "security_group_ids" {
  description = "The stack's security_group_ids."
  type        = any
  default     = null
}

variable "private_network" {
  description = "The stack's private_network."
  type        = bool
  default     = null
}

variable "assign_public_ip" {
  description = "The stack's assign_public_ip."
  type        = bool
  default     = null
}

variable "cidr_block" {
  description = "The stack's cidr_block."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "The stack's alarm_emails."
  type        = any
  default     = null
}

variable "alarm_topic_arn" {
  description = "The stack's alarm_topic_arn."
  type        = string
  default     = null
}

variable "oldest_job_hours" {
  description = "The stack's oldest_job_hours."
  type        = number
  default     = null
}

variable "log_retention_days" {
  description = "The stack's log_retention_days."
  type        = number
  default     = null
}

variable "log_stopped" {
  description = "The stack's log_stopped."
  type        = bool
  default     = null
}

variable "keep_logs" {
  description = "The stack's keep_logs."
  type        = bool
  default     = null
}

variable "report_bucket" {
  description = "The stack's report_bucket."
  type        = string
  default     = null
}

variable "keep_reports_days" {
  description = "The stack's keep_reports_days."
  type        = number
  default     = null
}

variable "keep_replaced_days" {
  description = "The stack's keep_replaced_days."
  type        = number
  default     = null
}

variable "query_limit_bytes" {
  description = "The stack's query_limit_bytes."
  type        = number
  default     = null
}

variable "force_destroy" {
  description = "The stack's force_destroy."
  type        = bool
  default     = null
}

variable "make_kms_key" {
  description = "The stack's make_kms_key."
  type        = bool
  default     = null
}

variable "kms_key_arn" {
  description = "The stack's kms_key_arn."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "The stack's permissions_boundary_arn."
  type        = string
  default     = null
}

variable "role_path" {
  description = "The stack's role_path."
  type        = string
  default     = null
}

variable "role_prefix" {
  description = "The stack's role_prefix."
  type        = string
  default     = null
}

variable "execution_policy_arns" {
  description = "The stack's execution_policy_arns."
  type        = any
  default     = null
}

variable "guardduty_repository_arns" {
  description = "The stack's guardduty_repository_arns."
  type        = any
  default     = null
}

variable "tags" {
  description = "The stack's tags."
  type        = any
  default     = null
}
