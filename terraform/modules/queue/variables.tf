# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name; the queues are `<name>-<queue>` and `<name>-<queue>-dead`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "queue" {
  description = "The queue's own name, of which a deployment may have several."
  type        = string
  default     = "jobs"
  nullable    = false

  # Names of other queues of the deployment.
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.queue)) && length(var.queue) <= 20 && !endswith(var.queue, "-dead") && var.queue != "unstarted"
    error_message = "queue (a key of the stack's queues) must be 1 to 20 lower-case letters, digits and single dashes between them, begin with a letter, not end with -dead, and not be unstarted: these are queues of the stack's own."
  }
}

variable "retention_hours" {
  description = "How long a job waits before it is lost: less for jobs that are worth nothing once the next ones are sent."
  type        = number
  default     = 96
  nullable    = false

  validation {
    condition     = var.retention_hours >= 1 && var.retention_hours <= 336 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 1 to 336 (SQS keeps a message for fourteen days)."
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
