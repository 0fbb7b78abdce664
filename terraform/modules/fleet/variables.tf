# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name; the service is `<name>-<fleet>`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "fleet" {
  description = "The fleet's own name, of which a deployment may have several. The alarms of `worker` have the deployment's name alone."
  type        = string
  default     = "worker"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.fleet)) && length(var.fleet) <= 20 && !contains(["producer", "setup", "status"], var.fleet)
    error_message = "fleet (a key of the stack's fleets) must be 1 to 20 lower-case letters, digits and single dashes between them, begin with a letter, and be none of producer, setup and status, which are tasks of the stack's own."
  }
}

variable "cluster" {
  description = "The ECS cluster that workers run in."
  type = object({
    name = string
    arn  = string
  })
  nullable = false
}

variable "network" {
  description = "Where workers run. They ask AWS on port 443 and let no one in; without public addresses the subnets need a way out of their own."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    assign_public_ip   = bool
  })
  nullable = false

  validation {
    condition     = length(var.network.subnet_ids) > 0
    error_message = "network.subnet_ids must name at least one subnet."
  }
}

variable "spot" {
  description = "Whether workers run on spare capacity, for about a third of the price: ECS may take one away with two minutes' notice, and its jobs return to the queue. The cluster must have the capacity provider FARGATE_SPOT. A change makes the service anew."
  type        = bool
  default     = false
  nullable    = false
}

variable "image" {
  description = "The image that has the worker, with its tag or its digest."
  type        = string
  nullable    = false
}

variable "cpu_architecture" {
  description = "What the image is built for: ARM64 or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false
}

variable "worker_size" {
  description = "CPU units and MiB of memory of a worker."
  type = object({
    cpu    = optional(number, 256)
    memory = optional(number, 512)
  })
  default  = {}
  nullable = false
}

variable "environment" {
  description = "The workers' environment variables."
  type        = map(string)
  nullable    = false
}

variable "secrets" {
  description = "Environment variables that ECS takes from Secrets Manager (module task)."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "role_arns" {
  description = "The workers' role, and the one with which ECS starts them."
  type = object({
    task      = string
    execution = string
  })
  nullable = false
}

variable "log_group" {
  description = "The name of the log group that workers write to."
  type        = string
  nullable    = false
}

variable "queue_name" {
  description = "The name of the work queue, after whose length the fleet grows and shrinks."
  type        = string
  nullable    = false
}

variable "max_workers" {
  description = "The maximum number of workers that run concurrently."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.max_workers >= 1 && var.max_workers <= 1000 && floor(var.max_workers) == var.max_workers
    error_message = "max_workers (the stack's workers.max) must be a whole number from 1 to 1000."
  }
}

variable "min_workers" {
  description = "The minimum number of workers: 0 for a fleet that sleeps between its runs. With more, a deployment whose workers don't start is rolled back, whereas a fleet that sleeps waits for its fix."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.min_workers >= 0 && var.min_workers <= var.max_workers && floor(var.min_workers) == var.min_workers
    error_message = "min_workers (the stack's workers.min) must be a whole number from 0 to max_workers."
  }
}

variable "jobs_per_worker" {
  description = "The backlog for each worker that is aimed at: there is one worker for each so many jobs that wait or are in flight."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.jobs_per_worker >= 1 && floor(var.jobs_per_worker) == var.jobs_per_worker
    error_message = "jobs_per_worker (the stack's workers.jobs_per_worker) must be a whole number of at least 1."
  }
}
