# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name; the roles are `<name>-worker`, `<name>-producer`, `<name>-status`, `<name>-execution` and, for sinks that are set up, `<name>-setup`, the policy `<name>-operator`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "role_path" {
  description = "The path of the roles and policies, where your organisation asks for one (/platform/)."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([\\w+=,.@-]+/)*$", var.role_path))
    error_message = "role_path must begin and end with `/`, such as /platform/."
  }
}

variable "role_prefix" {
  description = "What the names of the roles and policies begin with, in place of `<name>-`."
  type        = string
  default     = null

  validation {
    condition     = var.role_prefix == null ? true : can(regex("^[\\w+=,.@-]+$", var.role_prefix)) && length(var.role_prefix) <= 54
    error_message = "role_prefix must be 1 to 54 letters, digits and any of _+=,.@-: IAM takes 64 of a role's name."
  }
}

variable "queue_arns" {
  description = "The work queues."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.queue_arns) > 0 && alltrue([for arn in var.queue_arns : can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:", arn))])
    error_message = "queue_arns must be ARNs of queues (arn:aws:sqs:…), one at least."
  }

  # The operator's policy has 6,144 characters, and names each queue three times.
  validation {
    condition     = length(var.queue_arns) <= 10
    error_message = "queue_arns has ${length(var.queue_arns)} queues (the stack's queues), and the policies have room for 10."
  }
}

variable "dead_letter_queue_arns" {
  description = "The dead-letter queues."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.dead_letter_queue_arns : can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:", arn))])
    error_message = "dead_letter_queue_arns must be ARNs of queues (arn:aws:sqs:…)."
  }
}

variable "services" {
  description = "The names of the ECS services of workers."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.services) >= 1 && length(var.services) <= 10
    error_message = "services has ${length(var.services)} services of workers (the stack's fleets), and the policies have room for 10."
  }
}

variable "report_bucket_arn" {
  description = "The bucket of reports, manifests and the accounts file."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", var.report_bucket_arn))
    error_message = "report_bucket_arn must be the ARN of a bucket (arn:aws:s3:::name)."
  }
}

variable "accounts_key" {
  description = "The key of the accounts file in the bucket."
  type        = string
  default     = "accounts.toml"
  nullable    = false
}

variable "configuration_key" {
  description = "The key of the configuration file in the bucket; null if there is none."
  type        = string
  default     = null
}

variable "sinks" {
  description = "What sinks ask of IAM: the namespaces into which metrics are forwarded, the OpenSearch domains and Serverless collections, the secrets of those with passwords and the customer keys of these, the roles by which a domain sends alerts to a topic, and whether a task sets any of them up."
  type = object({
    namespaces          = optional(list(string), [])
    domain_arns         = optional(list(string), [])
    collection_arns     = optional(list(string), [])
    secret_arns         = optional(list(string), [])
    secret_kms_key_arns = optional(list(string), [])
    alert_role_arns     = optional(list(string), [])
    are_set_up          = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in var.sinks.domain_arns : can(regex("^arn:[a-z-]+:es:[a-z0-9-]+:[0-9]{12}:domain/[a-z0-9-]+$", arn))]) && alltrue([for arn in var.sinks.collection_arns : can(regex("^arn:[a-z-]+:aoss:[a-z0-9-]+:[0-9]{12}:collection/[a-z0-9]+$", arn))])
    error_message = "sinks must have ARNs of OpenSearch domains (arn:aws:es:…:domain/name) and of Serverless collections (arn:aws:aoss:…:collection/id)."
  }

  validation {
    condition     = alltrue([for namespace in var.sinks.namespaces : !startswith(namespace, "AWS/") && !can(regex("[*?$]", namespace))])
    error_message = "sinks must have namespaces of your own, without *, ? and $: AWS refuses those that begin with AWS/."
  }

  validation {
    condition     = !var.sinks.are_set_up || var.configuration_key != null
    error_message = "sinks are set up from the configuration file: give configuration_key."
  }
}

variable "member_role_arns" {
  description = "The roles that the worker may assume, as ARNs or patterns of them (arn:aws:iam::*:role/cloudwatch-fleet-reader)."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.member_role_arns : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|\\*):role/[\\w+=,.@/-]+$", arn))])
    error_message = "member_role_arns must be ARNs of roles, in which only the account may be `*`: the role's name is what keeps the worker out of all others."
  }

  # The rest of the worker's policy has less than 3,040 characters, and 200 more for each further queue, besides those of sinks.
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  validation {
    condition     = length(jsonencode(var.member_role_arns)) <= local.room_for_roles
    error_message = "member_role_arns has ${length(var.member_role_arns)} roles in ${length(jsonencode(var.member_role_arns))} characters, and the worker's policy has room for ${local.room_for_roles}: IAM takes 10240 in all. Each name of a role is one pattern, whatever its accounts: give the roles in the accounts one name (the stack's role_name and role_arn in accounts)."
  }
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

variable "repository_arn" {
  description = "The ECR repository that the tasks' image is fetched from; null if it is in another registry."
  type        = string

  validation {
    condition     = var.repository_arn == null ? true : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/", var.repository_arn))
    error_message = "repository_arn must be the ARN of an ECR repository (arn:aws:ecr:…:repository/…)."
  }
}

variable "log_group_arns" {
  description = "The log groups that the tasks write to."
  type        = list(string)
  nullable    = false
}

variable "secrets" {
  description = "The Secrets Manager secrets of accounts with access keys, and the customer keys that those are encrypted with."
  type = object({
    arns         = optional(list(string), [])
    kms_key_arns = optional(list(string), [])
  })
  default  = {}
  nullable = false

  # A role has ten managed policies, each with room for 25 of these.
  validation {
    condition     = ceil(length(var.secrets.arns) / 25) + ceil(length(var.secrets.kms_key_arns) / 25) <= 10 && alltrue([for arn in concat(var.secrets.arns, var.secrets.kms_key_arns) : length(arn) <= 230])
    error_message = "secrets has ${length(var.secrets.arns)} secrets and ${length(var.secrets.kms_key_arns)} keys, and the worker may read 225 and 25, with ARNs of 230 characters at most. Enter accounts by a role, or encrypt their secrets with one key."
  }
}

variable "execution_policy_arns" {
  description = "Managed policies for the role with which ECS starts tasks, by a name of yours, such as that of an agent which your account adds to every task."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.execution_policy_arns : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", arn))]) && length(var.execution_policy_arns) <= 10
    error_message = "execution_policy_arns must be ARNs of managed policies (arn:aws:iam::111111111111:policy/agent), 10 at most."
  }
}

variable "guardduty_repository_arns" {
  description = "The ECR repositories of GuardDuty's agent for Fargate, which are AWS's and of this region, where Runtime Monitoring adds it to every task: https://docs.aws.amazon.com/guardduty/latest/ug/runtime-monitoring-ecr-repository-gdu-agent.html"
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.guardduty_repository_arns : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*?]+$", arn))])
    error_message = "guardduty_repository_arns must be ARNs of ECR repositories (arn:aws:ecr:eu-west-1:694911143906:repository/aws-guardduty-agent-fargate)."
  }
}

variable "kms_key_arn" {
  description = "The customer key of the queues and the bucket, if there is one."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for the roles, where your organisation asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a managed policy (arn:aws:iam::111111111111:policy/boundary)."
  }
}
