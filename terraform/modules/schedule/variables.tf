# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name; the tasks are `<name>-producer` and `<name>-status`, the schedules' group `<name>`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "monthly" {
  description = "When (UTC) the month's jobs are sent, and when those that are still missing, or late, are sent again; three hours after that it is looked whether the month is complete."
  type = object({
    enabled        = optional(bool, true)
    run_day        = optional(number, 2)
    completion_day = optional(number, 4)
    hour           = optional(number, 18)
  })
  default  = {}
  nullable = false

  validation {
    condition = (
      var.monthly.run_day >= 2 && var.monthly.run_day < var.monthly.completion_day && var.monthly.completion_day <= 28 &&
      floor(var.monthly.run_day) == var.monthly.run_day && floor(var.monthly.completion_day) == var.monthly.completion_day
    )
    error_message = "monthly.run_day must be a whole number of at least 2, since the first of the month is not over before, and monthly.completion_day a later one, of at most 28."
  }

  # The first of the month ends when day 2 begins, and 60 hours later it is noon of day 4.
  validation {
    condition     = var.monthly.completion_day > 4 || (var.monthly.completion_day == 4 && var.monthly.hour >= 12)
    error_message = "monthly.completion_day and monthly.hour must be at least 60 hours after the end of the first, day 4 at 12:00: what is collected before stays provisional, since S3 may still publish or change it."
  }

  validation {
    condition     = var.monthly.hour >= 0 && var.monthly.hour <= 20 && floor(var.monthly.hour) == var.monthly.hour
    error_message = "monthly.hour must be a whole number from 0 to 20: it is looked three hours later, on the same day."
  }
}

variable "request" {
  description = "What the month's jobs are: `account_names` and `datasets`, which are the default ones where left out, and `attributes`, which are carried into every job as they are. The day is always the first of the month."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.request)) && length(setsubtract(try(keys(var.request), []), ["account_names", "datasets", "attributes"])) == 0
    error_message = "request must be an object with no other keys than account_names, datasets and attributes; anything of your own belongs into attributes."
  }

  validation {
    condition     = alltrue([for name in try(tolist(var.request.account_names), []) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))]) && (can(var.request.account_names) ? can(tolist(var.request.account_names)) : true)
    error_message = "request.account_names must be a list of account names, each of 1 to 63 letters, digits, `_` and `-`."
  }

  validation {
    condition     = alltrue([for name in try(tolist(var.request.datasets), []) : can(regex("^[a-z0-9_]+$", name))]) && (can(var.request.datasets) ? can(tolist(var.request.datasets)) : true)
    error_message = "request.datasets must be a list of datasets, such as [\"s3_daily_storage\"]."
  }

  # The words that the producer refuses even of an attribute that is meant; a test holds the list equal to its own.
  validation {
    condition = can(var.request.attributes) ? can(keys(var.request.attributes)) && length(setintersection([for key in try(keys(var.request.attributes), []) : replace(replace(lower(key), "_", ""), "-", "")], [
      "accountname", "at", "dataset", "datasets", "date", "from", "kind", "last", "maxusd", "month", "onlyincomplete", "period",
      "provisional", "request", "runid", "settle", "to", "window",
    ])) == 0 : true
    error_message = "request.attributes must be an object, and none of its keys a word that says what a job is, now or in later versions: account_name, at, dataset, datasets, date, from, kind, last, month, only_incomplete, period, provisional, run_id, settle, to, window."
  }
}

variable "image" {
  description = "The image that has the producer, with its tag or its digest."
  type        = string
  nullable    = false
}

variable "cpu_architecture" {
  description = "What the image is built for: ARM64 or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false
}

variable "environment" {
  description = "The producer's environment variables."
  type        = map(string)
  nullable    = false
}

variable "role_arns" {
  description = "The roles of `producer run` and of `producer status`, and the one with which ECS starts them."
  type = object({
    producer  = string
    status    = string
    execution = string
  })
  nullable = false
}

variable "log_group" {
  description = "The name of the log group that the tasks write to."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "The ECS cluster in which the tasks run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+$", var.cluster_arn))
    error_message = "cluster_arn must be the ARN of an ECS cluster (arn:aws:ecs:…:cluster/…)."
  }
}

variable "network" {
  description = "Where the tasks run."
  type = object({
    subnet_ids        = list(string)
    security_group_id = string
    assign_public_ip  = bool
  })
  nullable = false
}

variable "kms_key_arn" {
  description = "A customer key for the schedules and for what lies on their dead-letter queue; AWS's own encryption if absent. Its policy must let EventBridge Scheduler itself use it, without which a start that can't be made is lost in silence (modules/key does), and leave the rest to IAM."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}

variable "tags" {
  description = "Tags for the tasks that are started; all else has those of the provider."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for the scheduler's role, where your organisation asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a managed policy (arn:aws:iam::111111111111:policy/boundary)."
  }
}
