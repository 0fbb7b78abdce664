# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The task's name: of its definition's family, and with `container` of what runs in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name)) && length(var.name) <= 64
    error_message = "name must be 2 to 64 lower-case letters, digits and dashes, and begin with a letter."
  }
}

variable "container" {
  description = "The container's name, by which a command is given to a task."
  type        = string
  nullable    = false
}

variable "image" {
  description = "The image, with its tag or its digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image must end with a tag (…/fleet:0.1.0) or a digest (…/fleet@sha256:…), so that it is known what runs."
  }
}

variable "command" {
  description = "What is run, program and arguments."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.command) > 0
    error_message = "command must name a program."
  }
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
  nullable    = false
}

variable "secrets" {
  description = "Environment variables that ECS takes from Secrets Manager as the task starts, by name: the ARN of a secret and the key in it (arn:…:secret:name-a1b2c3:password::). The execution role must be allowed to read it."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "role_arns" {
  description = "The role that the program has, and the one with which ECS starts it."
  type = object({
    task      = string
    execution = string
  })
  nullable = false
}

variable "log_group" {
  description = "The log group's name."
  type        = string
  nullable    = false
}

variable "size" {
  description = "CPU units (1024 are a vCPU) and MiB of memory, in a pair that Fargate has: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html"
  type = object({
    cpu    = optional(number, 256)
    memory = optional(number, 512)
  })
  default  = {}
  nullable = false

  validation {
    condition = try(
      var.size.memory >= local.memory[var.size.cpu][0] && var.size.memory <= local.memory[var.size.cpu][1] &&
      (var.size.memory % 1024 == 0 || var.size.memory == 512), false
    )
    error_message = "size (the stack's workers.cpu and workers.memory) must be a pair that Fargate has, such as 256 and 512, 512 and 1024, or 1024 and 2048."
  }
}

variable "cpu_architecture" {
  description = "What the image is built for: ARM64, which costs a fifth less, or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false

  validation {
    condition     = contains(["ARM64", "X86_64"], var.cpu_architecture)
    error_message = "cpu_architecture must be ARM64 or X86_64."
  }
}

variable "has_temporary_files" {
  description = "Whether the program may write temporary files, to /tmp."
  type        = bool
  default     = false
}
