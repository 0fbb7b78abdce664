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

  validation {
    condition     = can(var.request.attributes) ? can(keys(var.request.attributes)) && length(setintersection([for key in try(keys(var.request.attributes), []) : replace(replace(lower(key), "_", ""), "-", "")], local.reserved_words)) == 0 : true
    error_message = "request.attributes must be an object, and none of its keys a word that says what a job is, now or in later versions: account_name, at, dataset, datasets, date, from, kind, last, month, only_incomplete, period, provisional, run_id, settle, to, window."
  }
}

locals {
  # The words that the producer refuses even of an attribute that is meant; a test holds the list equal to its own.
  reserved_words = [
    "accountname", "at", "dataset", "datasets", "date", "from", "kind", "last", "maxusd", "month", "onlyincomplete", "period",
    "provisional", "request", "runid", "settle", "to", "window",
  ]

  # What a request of a schedule may have: the keys of a request file, `only_incomplete`, and everything of your own in `attributes`.
  request_keys = ["account_name", "attributes", "dataset", "date", "from", "last", "max_usd", "month", "only_incomplete", "provisional", "settle", "to", "window"]

  schedule_keys = ["command", "description", "enabled", "expression", "queue", "request", "stale_after_minutes", "timezone", "via"]
}

variable "schedules" {
  description = <<-TEXT
    Schedules besides those of the month, by name; one of the names `run`, `complete` and `status` takes that one's place. Of each:
    `expression` (`rate(5 minutes)`, `cron(0 6 * * ? *)`), and if wanted `timezone` (UTC), `request` (the keys of a request file,
    `only_incomplete`, and your own in `attributes`), `enabled`, `description`, `queue` (the default one) and `via`: `task`, which starts
    the producer with the `command` `run`, `complete` (only what is incomplete) or `status`; or `queue`, which sends the request to the
    workers, costs nothing and starts no task. With `stale_after_minutes`, one via `queue` has an alarm (module observability).
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.schedules)) && alltrue([for schedule in try(values(var.schedules), []) : can(keys(schedule))])
    error_message = "schedules must be an object of objects, such as { ecs = { expression = \"rate(1 hour)\", request = { dataset = \"ecs\" } } }."
  }

  # What is left out has a default, so a misspelt key would be one that is silently left out.
  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : length(setsubtract(try(keys(schedule), []), local.schedule_keys)) == 0])
    error_message = "schedules: no such key: ${join(", ", setsubtract(flatten([for schedule in try(values(var.schedules), []) : try(keys(schedule), [])]), local.schedule_keys))}; there are ${join(", ", local.schedule_keys)}."
  }

  validation {
    condition     = alltrue([for name in try(keys(var.schedules), []) : can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", name)) && length(name) <= 38])
    error_message = "schedules: a name must be 1 to 38 lower-case letters, digits and single dashes between them, and begin with a letter: ${join(", ", [for name in try(keys(var.schedules), []) : name if !can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", name)) || length(name) > 38])}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : can(regex("^(rate|cron|at)\\(.+\\)$", schedule.expression))])
    error_message = "schedules: expression must be rate(…), cron(…) or at(…), as EventBridge Scheduler has them: ${join(", ", [for name, schedule in var.schedules : name if !can(regex("^(rate|cron|at)\\(.+\\)$", schedule.expression))])}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : contains(["task", "queue"], coalesce(try(schedule.via, null), "task"))])
    error_message = "schedules: via must be \"task\", which starts the producer, or \"queue\", which sends the request to the workers: ${join(", ", [for name, schedule in var.schedules : name if !contains(["task", "queue"], coalesce(try(schedule.via, null), "task"))])}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : contains(try(schedule.via, "task") == "queue" ? ["run"] : ["run", "complete", "status"], coalesce(try(schedule.command, null), "run"))])
    error_message = "schedules: command must be run, complete or status, and of a schedule via queue run: give only_incomplete = true in its request instead of complete: ${join(", ", [for name, schedule in var.schedules : name if !contains(try(schedule.via, "task") == "queue" ? ["run"] : ["run", "complete", "status"], coalesce(try(schedule.command, null), "run"))])}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : contains(keys(var.queues), coalesce(try(schedule.queue, null), var.default_queue))])
    error_message = "schedules: there is no such queue: ${join(", ", [for name, schedule in var.schedules : "${schedule.queue} of ${name}" if !contains(keys(var.queues), coalesce(try(schedule.queue, null), var.default_queue))])}; queues has ${join(", ", keys(var.queues))}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : can(tobool(coalesce(try(schedule.enabled, null), true))) && can(regex("^[A-Za-z][A-Za-z0-9_+/-]*$", coalesce(try(schedule.timezone, null), "UTC")))])
    error_message = "schedules: enabled must be true or false, and timezone a name such as UTC or Europe/Berlin: ${join(", ", [for name, schedule in var.schedules : name if !(can(tobool(coalesce(try(schedule.enabled, null), true))) && can(regex("^[A-Za-z][A-Za-z0-9_+/-]*$", coalesce(try(schedule.timezone, null), "UTC"))))])}."
  }

  # CloudWatch looks back one day by periods of minutes, and seven by periods of an hour.
  validation {
    condition = alltrue([
      for schedule in try(values(var.schedules), []) : try(schedule.stale_after_minutes, null) == null ? true :
      try(schedule.via, "task") == "queue" && try(schedule.stale_after_minutes >= 5 && schedule.stale_after_minutes <= 10080 && floor(schedule.stale_after_minutes) == schedule.stale_after_minutes, false)
    ])
    error_message = "schedules: stale_after_minutes must be a whole number from 5 to 10080 (a week), of a schedule via queue: ${join(", ", [for name, schedule in var.schedules : name if try(schedule.stale_after_minutes, null) != null])}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : can(schedule.request) ? can(keys(schedule.request)) && length(setsubtract(try(keys(schedule.request), []), local.request_keys)) == 0 : true])
    error_message = "schedules: request must be an object with no other keys than ${join(", ", local.request_keys)}; anything of your own belongs into attributes: ${join(", ", [for name, schedule in var.schedules : name if length(setsubtract(try(keys(schedule.request), []), local.request_keys)) > 0 || can(schedule.request) && !can(keys(schedule.request))])}."
  }

  validation {
    condition     = alltrue([for schedule in try(values(var.schedules), []) : try(schedule.command, "run") == "status" ? length(try(keys(schedule.request), [])) == 0 : true])
    error_message = "schedules: `producer status` looks at the month and takes no request: ${join(", ", [for name, schedule in var.schedules : name if try(schedule.command, "run") == "status" && length(try(keys(schedule.request), [])) > 0])}."
  }

  validation {
    condition = alltrue(flatten([
      for schedule in try(values(var.schedules), []) : concat(
        [for name in flatten([try(schedule.request.account_name, [])]) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))],
        [for name in flatten([try(schedule.request.dataset, [])]) : can(regex("^[a-z0-9_]+$", name))],
      )
    ]))
    error_message = "schedules: account_name and dataset of a request must be a name or a list of names, of accounts 1 to 63 letters, digits, `_` and `-`, of datasets such as s3_daily_storage."
  }

  validation {
    condition     = alltrue(flatten([for schedule in try(values(var.schedules), []) : [for key in ["provisional", "only_incomplete"] : can(schedule.request[key]) ? can(schedule.request[key] ? 1 : 0) : true]]))
    error_message = "schedules: provisional and only_incomplete of a request must be true or false."
  }

  validation {
    condition = alltrue([
      for schedule in try(values(var.schedules), []) : can(schedule.request.attributes) ? can(keys(schedule.request.attributes)) && length(setintersection(
        [for key in try(keys(schedule.request.attributes), []) : replace(replace(lower(key), "_", ""), "-", "")], local.reserved_words,
      )) == 0 : true
    ])
    error_message = "schedules: attributes of a request must be an object, and none of its keys a word that says what a job is, now or in later versions: account_name, at, dataset, datasets, date, from, kind, last, month, only_incomplete, period, provisional, run_id, settle, to, window."
  }
}

variable "setups" {
  description = "The sinks that are set up daily, by name, each with the command of its task (producer setup …)."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(try(keys(var.schedules), []), [for sink in keys(var.setups) : "setup-${sink}"])) == 0
    error_message = "schedules: ${join(", ", setintersection(try(keys(var.schedules), []), [for sink in keys(var.setups) : "setup-${sink}"]))} is the name of a schedule that sets a sink up; choose another."
  }
}

variable "setup_secrets" {
  description = "Environment variables of the tasks that set sinks up, which ECS takes from Secrets Manager (module task)."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "queues" {
  description = "The work queues that schedules may name, each with the ECS service of its workers (CLUSTER/SERVICE), which `--wake` gives its first task."
  type = map(object({
    arn     = string
    url     = string
    service = string
  }))
  nullable = false
}

variable "default_queue" {
  description = "The queue of schedules that name none, which is the one in `environment`."
  type        = string
  default     = "jobs"
  nullable    = false
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
  description = "The roles of `producer run`, of `producer status` and, if there are `setups`, of `producer setup`, and the one with which ECS starts them."
  type = object({
    producer  = string
    status    = string
    setup     = optional(string)
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
    subnet_ids         = list(string)
    security_group_ids = list(string)
    assign_public_ip   = bool
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

variable "role_path" {
  description = "The path of the scheduler's role, where your organisation asks for one (/platform/)."
  type        = string
  default     = "/"
  nullable    = false
}

variable "role_prefix" {
  description = "What the name of the scheduler's role begins with, in place of `<name>-`."
  type        = string
  default     = null
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
