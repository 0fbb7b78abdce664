# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name: of the topic `<name>-alarms`, the dashboard, and before each alarm's name. The log groups are `/<name>/worker` and `/<name>/producer`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "alarm_emails" {
  description = "Who is written to when an alarm goes off and when it is over; each address confirms once. More can subscribe to the topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alarm_emails must be e-mail addresses: ${join(", ", [for address in var.alarm_emails : address if !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])}."
  }
}

variable "topic_arn" {
  description = "A topic of yours that alarms are sent to, in place of `<name>-alarms`. Its policy must let CloudWatch publish, and so must that of its key."
  type        = string
  default     = null

  validation {
    condition     = var.topic_arn == null ? true : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.topic_arn))
    error_message = "topic_arn must be the ARN of a topic (arn:aws:sns:…)."
  }

  validation {
    condition     = var.topic_arn == null || length(var.alarm_emails) == 0
    error_message = "alarm_emails are subscribed to the topic that is made, and topic_arn (the stack's alarm_topic_arn) names one of yours: subscribe them there."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept; one of the spans that CloudWatch has."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a span that CloudWatch has, such as 30, 90, 180, 365 or 731."
  }
}

variable "keep_logs" {
  description = "Whether `terraform destroy` leaves the log groups."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_stopped" {
  description = "Whether to keep why tasks stopped in `/aws/events/<name>`. It takes one of the ten log resource policies that an account has in a region; without it ECS alone knows why, for an hour."
  type        = bool
  default     = true
  nullable    = false
}

variable "oldest_job_hours" {
  description = "How long a job may wait before there is an alarm. A thousand accounts take minutes; a job that is retried returns within a quarter of an hour, and is dead-lettered after two hours of work."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = var.oldest_job_hours >= 1 && var.oldest_job_hours <= 90
    error_message = "oldest_job_hours must be 1 to 90: a job is lost to the queue's retention after four days."
  }
}

variable "queues" {
  description = "The work queues: the names of each and of its dead-letter queue, how long a job may wait there before there is an alarm, where it is not `oldest_job_hours`, and after how long it is lost. The alarms of `jobs` have the deployment's name alone."
  type = map(object({
    jobs               = string
    dead_letters       = string
    oldest_job_minutes = optional(number)
    retention_hours    = optional(number, 96)
  }))
  nullable = false

  validation {
    condition     = alltrue([for queue in var.queues : queue.oldest_job_minutes == null ? true : queue.oldest_job_minutes >= 5 && queue.oldest_job_minutes < queue.retention_hours * 60])
    error_message = "queues: oldest_job_minutes must be at least 5, and less than a job is kept for: ${join(", ", [for name, queue in var.queues : name if queue.oldest_job_minutes == null ? false : !(queue.oldest_job_minutes >= 5 && queue.oldest_job_minutes < queue.retention_hours * 60)])}."
  }
}

variable "unstarted" {
  description = "The name of the queue of starts that could not be made."
  type        = string
  nullable    = false
}

variable "fleets" {
  description = "The fleets: the ECS service of each, and the key of its queue. The alarms of `worker` have the deployment's name alone."
  type = map(object({
    service = string
    queue   = string
  }))
  nullable = false
}

variable "cluster" {
  description = "The ECS cluster in which tasks run."
  type = object({
    name = string
    arn  = string
  })
  nullable = false
}

variable "families" {
  description = "The families of the producer's tasks."
  type = object({
    producer = string
    status   = string
    setup    = optional(string)
  })
  nullable = false
}

variable "watched" {
  description = "The schedules that must complete a window of their datasets every so many minutes, by name (module schedule)."
  type = map(object({
    datasets = list(string)
    minutes  = number
  }))
  default  = {}
  nullable = false
}

variable "metrics_namespace" {
  description = "The namespace of the workers' own figures (`worker run --metrics-namespace`)."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "A customer key for logs and notifications; its policy must let CloudWatch Logs and CloudWatch use it (modules/key does). AWS's own encryption if absent."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}
