# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name; the queues are `<name>-jobs` and `<name>-jobs-dead`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a job that a worker took is hidden from the others. A worker renews it while it works, so this is how long a killed worker's job waits, not how long a job may take."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 30 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds must be 30 to 43200 (SQS allows twelve hours)."
  }
}

variable "max_receive_count" {
  description = "After how many receives SQS itself moves a job to the dead-letter queue. Deployments receive too, so it is no small number."
  type        = number
  default     = 12
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 4 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be 4 to 1000: a job has further tries by design, and SQS counts to 1000."
  }
}

variable "kms_key_arn" {
  description = "A customer key for what lies on the queues; SQS's own encryption where left out."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}
