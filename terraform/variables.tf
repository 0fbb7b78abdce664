# SPDX-License-Identifier: Apache-2.0
# Two are asked for: name and accounts. The rest have defaults to live with. The region is your provider's.

locals {
  # What the stack itself sets for its tasks, and what would be another way in than their role.
  variables_of_the_stack = [
    "AWS_REGION", "FLEET_ACCOUNTS", "FLEET_ACCOUNTS_OWNER", "FLEET_CONCURRENCY", "FLEET_KEY_TEMPLATE", "FLEET_LOG_FORMAT", "FLEET_METRICS_NAMESPACE",
    "FLEET_QUEUE_URL", "FLEET_REPORT_BUCKET", "FLEET_REPORT_BUCKET_OWNER", "FLEET_SERVICE",
  ]
  keys_of_aws = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
}

variable "name" {
  description = "The deployment's name, which everything in it begins with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "accounts" {
  description = <<-TEXT
    The accounts to collect, by name. Each sets how it is accessed: by the member role
    (`id`), by another role (`role_arn`), or by access keys (`access_keys_secret_arn`: a Secrets Manager secret of
    this region whose value is JSON with `access_key_id` and `secret_access_key`, and its `kms_key_arn` where a
    customer key encrypts it; workers read it when they need it, and again after a rotation). The rest is as in the accounts file: docs/accounts-file.md. Terraform
    drops a key that it does not know, without a word: compare `aws_s3_object.accounts` in the plan.
  TEXT
  type = map(object({
    id                     = optional(string)
    role_arn               = optional(string)
    role_name              = optional(string)
    external_id            = optional(string)
    access_keys_secret_arn = optional(string)
    kms_key_arn            = optional(string)
    default                = optional(bool, true)
    region                 = optional(string)
    regions                = optional(list(string), [])
    quota_share            = optional(number)
  }))
  nullable = false

  # What is wrong is counted, by `length([… if …])`: for 10,000 accounts `alltrue([…])` takes Terraform a second each, and
  # `distinct` half a minute.
  validation {
    condition     = length(var.accounts) > 0
    error_message = "accounts must have at least one account, such as { data = { id = \"111111111111\" } }."
  }

  validation {
    condition     = length([for name in keys(var.accounts) : name if !can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))]) == 0
    error_message = "accounts: not a name of 1 to 63 letters, digits, `_` and `-`: ${join(", ", [for name in keys(var.accounts) : name if !can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))])}."
  }

  validation {
    condition     = length({ for name in keys(var.accounts) : replace(name, "-", "_") => name... }) == length(var.accounts)
    error_message = "accounts: two names differ only in `-` and `_`, and their access keys would have the same variables; rename one: ${join(", ", flatten([for names in { for name in keys(var.accounts) : replace(name, "-", "_") => name... } : names if length(names) > 1]))}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.id == null ? false : !can(regex("^[0-9]{12}$", account.id))]) == 0
    error_message = "accounts: id must be twelve digits, in quotes: ${join(", ", [for name, account in var.accounts : name if account.id == null ? false : !can(regex("^[0-9]{12}$", account.id))])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if length(compact([account.id, account.role_arn, account.access_keys_secret_arn])) == 0]) == 0
    error_message = "accounts: each needs an id, a role_arn or an access_keys_secret_arn: ${join(", ", [for name, account in var.accounts : name if length(compact([account.id, account.role_arn, account.access_keys_secret_arn])) == 0])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.access_keys_secret_arn != null && (account.role_arn != null || account.role_name != null)]) == 0
    error_message = "accounts: a role or access keys, not both: ${join(", ", [for name, account in var.accounts : name if account.access_keys_secret_arn != null && (account.role_arn != null || account.role_name != null)])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.access_keys_secret_arn == null ? false : !can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+-[A-Za-z0-9]{6}$", account.access_keys_secret_arn))]) == 0
    error_message = "accounts: access_keys_secret_arn must be the whole ARN of a secret with the six characters at its end, arn:aws:secretsmanager:…:secret:name-a1b2c3: ${join(", ", [for name, account in var.accounts : "${name} has ${account.access_keys_secret_arn}" if account.access_keys_secret_arn == null ? false : !can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+-[A-Za-z0-9]{6}$", account.access_keys_secret_arn))])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.kms_key_arn == null ? false : account.access_keys_secret_arn == null || !can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", account.kms_key_arn))]) == 0
    error_message = "accounts: kms_key_arn goes with access_keys_secret_arn, and is the ARN of a key (arn:aws:kms:…:key/…), not of an alias: ${join(", ", [for name, account in var.accounts : "${name} has ${account.kms_key_arn}" if account.kms_key_arn == null ? false : account.access_keys_secret_arn == null || !can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", account.kms_key_arn))])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.role_name == null ? false : !can(regex("^[\\w+=,.@/-]+$", account.role_name))]) == 0
    error_message = "accounts: role_name must be the name of a role, letters, digits and any of _+=,.@-: ${join(", ", [for name, account in var.accounts : "${name} has '${account.role_name}'" if account.role_name == null ? false : !can(regex("^[\\w+=,.@/-]+$", account.role_name))])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.external_id == null ? false : !can(regex("^[\\w+=,.@:/-]{2,}$", account.external_id))]) == 0
    error_message = "accounts: external_id must be at least 2 letters, digits and any of _+=,.@:/-, as STS asks: ${join(", ", [for name, account in var.accounts : "${name} has '${account.external_id}'" if account.external_id == null ? false : !can(regex("^[\\w+=,.@:/-]{2,}$", account.external_id))])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.role_arn == null ? false : !can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[\\w+=,.@/-]+$", account.role_arn))]) == 0
    error_message = "accounts: role_arn must be the whole ARN of one role, arn:aws:iam::111111111111:role/name: ${join(", ", [for name, account in var.accounts : name if account.role_arn == null ? false : !can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[\\w+=,.@/-]+$", account.role_arn))])}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.id == null || account.role_arn == null ? false : !strcontains(account.role_arn, ":iam::${account.id}:")]) == 0
    error_message = "accounts: role_arn is a role of another account than id: ${join(", ", [for name, account in var.accounts : name if account.id == null || account.role_arn == null ? false : !strcontains(account.role_arn, ":iam::${account.id}:")])}."
  }

  validation {
    condition     = length([for region in flatten([for account in var.accounts : concat(account.regions, account.region == null ? [] : [account.region])]) : region if !can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", region))]) == 0
    error_message = "accounts: region and regions must be names of AWS regions, such as eu-west-1: ${join(", ", flatten([for name, account in var.accounts : [for region in concat(account.regions, account.region == null ? [] : [account.region]) : "${name} has ${region}" if !can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", region))]]))}."
  }

  validation {
    condition     = length([for account in var.accounts : account if account.quota_share == null ? false : account.quota_share < 0.01 || account.quota_share > 100]) == 0
    error_message = "accounts: quota_share must be 0.01 to 100 (1 is AWS's default quota, more is for an account whose quota was raised): ${join(", ", [for name, account in var.accounts : "${name} has ${account.quota_share}" if account.quota_share == null ? false : account.quota_share < 0.01 || account.quota_share > 100])}."
  }
}

variable "member_role" {
  description = "The role in each member account (modules/member-role): its name, the external id that it asks for, which is `<name>-<this account's id>` if absent, and the region in which STS and S3 are asked for accounts that name none, which is the fleet's if absent. A fleet in an opt-in region needs one that every account has enabled, such as us-east-1: STS refuses an account that has not enabled the region it is asked in."
  type = object({
    name        = optional(string, "cloudwatch-fleet-reader")
    external_id = optional(string)
    region      = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[\\w+=,.@-]{1,64}$", var.member_role.name))
    error_message = "member_role.name must be the name of a role, 1 to 64 letters, digits and any of _+=,.@-."
  }

  validation {
    condition     = var.member_role.external_id == null ? true : can(regex("^[\\w+=,.@:/-]+$", var.member_role.external_id)) && length(var.member_role.external_id) >= 2
    error_message = "member_role.external_id must be at least 2 letters, digits and any of _+=,.@:/-, as STS asks."
  }

  validation {
    condition     = var.member_role.region == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.member_role.region))
    error_message = "member_role.region must be the name of an AWS region, such as us-east-1."
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
}

variable "request" {
  description = "What the month's jobs are: `account_names` and `datasets`, which are the default ones where left out, and `attributes`, which are carried into every job as they are."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(try(tolist(var.request.account_names), []), keys(var.accounts))) == 0
    error_message = "request.account_names names accounts that accounts does not have: ${join(", ", setsubtract(try(tolist(var.request.account_names), []), keys(var.accounts)))}."
  }

  validation {
    condition     = length(setsubtract(try(tolist(var.request.datasets), []), concat(jsondecode(file("${path.module}/datasets.json")).datasets[*].name, local.names_in_configuration))) == 0
    error_message = "request.datasets names datasets that there are not: ${join(", ", setsubtract(try(tolist(var.request.datasets), []), concat(jsondecode(file("${path.module}/datasets.json")).datasets[*].name, local.names_in_configuration)))}."
  }
}

variable "schedules" {
  description = <<-TEXT
    Schedules besides those of the month, by name; one of the names `run`, `complete` and `status` takes that one's place. Of each:
    `expression` (`rate(5 minutes)`, `cron(0 6 * * ? *)`), and if wanted `timezone` (UTC), `request` (the keys of a request file,
    `only_incomplete`, and your own in `attributes`), `enabled`, `description`, `queue` (`jobs`, or one of `queues`), and `via`: `task`, which starts the
    producer with the `command` `run`, `complete` (only what is incomplete) or `status`; or `queue`, which sends the request to the workers,
    costs nothing and starts no task. With `stale_after_minutes`, one via `queue` has an alarm that no window of its datasets was completed for so long.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(flatten([for schedule in try(values(var.schedules), []) : try(schedule.request.account_name, [])]), keys(var.accounts))) == 0
    error_message = "schedules: account_name of a request names accounts that accounts does not have: ${join(", ", setsubtract(flatten([for schedule in try(values(var.schedules), []) : try(schedule.request.account_name, [])]), keys(var.accounts)))}."
  }

  validation {
    condition     = length(setsubtract(flatten([for schedule in try(values(var.schedules), []) : try(schedule.request.dataset, [])]), local.known_datasets)) == 0
    error_message = "schedules: dataset of a request names neither a dataset, nor a group of them, nor one of configuration: ${join(", ", setsubtract(flatten([for schedule in try(values(var.schedules), []) : try(schedule.request.dataset, [])]), local.known_datasets))}."
  }
}

variable "image_tag" {
  description = "The tag of the image that runs, in the repository that this stack makes."
  type        = string
  default     = "0.1.0"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "image_tag must be a tag, 1 to 128 letters, digits, `_`, `.` and `-`."
  }
}

variable "image_digest" {
  description = "The digest of the image that runs (`sha256:…`), in place of `image_tag`: what was tested is what runs, even if another image is pushed under the tag. README.md, step 2, has the command that prints it."
  type        = string
  default     = null

  validation {
    condition     = var.image_digest == null ? true : can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "image_digest must be sha256: and 64 hexadecimal digits."
  }
}

variable "image" {
  description = "An image of yours with both programs, whole (`registry.example.com/fleet:0.1.0`, `…@sha256:…`), in place of one in the repository that is made, which then is not. From ECR, of this account or another, ECS's role may fetch it; another registry must need no login."
  type        = string
  default     = null
}

variable "cluster_arn" {
  description = "An ECS cluster of yours that all tasks run in, in place of one that is made. For a fleet with `spot` it must have the capacity provider FARGATE_SPOT."
  type        = string
  default     = null
}

variable "cpu_architecture" {
  description = "What the image is built for: ARM64, which costs a fifth less, or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false
}

variable "workers" {
  description = "How many workers there are at least (0: none while there are no jobs) and at most, and for how many jobs one more is started; the size of each, how many accounts it collects concurrently, and further variables for it (docs/configuration.md)."
  type = object({
    min             = optional(number, 0)
    max             = optional(number, 10)
    jobs_per_worker = optional(number, 50)
    cpu             = optional(number, 256)
    memory          = optional(number, 512)
    concurrency     = optional(number, 4)
    environment     = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.workers.concurrency >= 1 && var.workers.concurrency <= 256 && floor(var.workers.concurrency) == var.workers.concurrency
    error_message = "workers.concurrency must be a whole number from 1 to 256."
  }

  # A quarter of the range for each of two subnets, less the five addresses that AWS keeps in each, and those of eight endpoints.
  validation {
    condition     = length(var.subnet_ids) > 0 || try(var.workers.max + 2 <= 2 * (pow(2, 30 - tonumber(split("/", var.cidr_block)[1])) - (var.private_network ? 13 : 5)), true)
    error_message = "workers.max is ${var.workers.max}, and the network that is made of cidr_block ${var.cidr_block} has addresses for ${try(2 * (pow(2, 30 - tonumber(split("/", var.cidr_block)[1])) - (var.private_network ? 13 : 5)), "too few")} tasks, two of which are for the producer and for what is started by hand. Give a larger cidr_block (a /21 has room for 1000 workers), or subnet_ids of your own."
  }

  validation {
    condition     = length(setintersection(keys(var.workers.environment), concat(local.variables_of_the_stack, local.keys_of_aws))) == 0
    error_message = "workers.environment may set any variable but those that the stack sets (concurrency has an input, and the key template is the table's) and AWS's own keys, since tasks have a role and their definitions are no place for a secret: ${join(", ", setintersection(keys(var.workers.environment), concat(local.variables_of_the_stack, local.keys_of_aws)))}."
  }

  validation {
    condition     = alltrue([for name in keys(var.workers.environment) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "workers.environment: a variable's name is letters, digits and `_`, and begins with no digit: ${join(", ", [for name in keys(var.workers.environment) : name if !can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])}."
  }
}

variable "queues" {
  description = "Work queues besides the first, `jobs`, by name, whose place one of that name takes: for how long a received job is hidden, for how long one waits before it is lost, after how many receives SQS itself makes it a dead letter, and how long one may wait before there is an alarm (`oldest_job_hours` or half its retention if absent)."
  type = map(object({
    visibility_timeout_seconds = optional(number, 120)
    retention_hours            = optional(number, 96)
    max_receives               = optional(number, 12)
    oldest_job_minutes         = optional(number)
  }))
  default  = {}
  nullable = false
}

variable "fleets" {
  description = "Fleets of workers besides the first, `worker` (variable `workers`), by name, whose place one of that name takes. Each has a queue and what `workers` has; `spot` runs it on spare capacity, for about a third of the price. Each is a service of its own: workers that are always on, for a schedule of minutes, beside those of the month."
  type = map(object({
    queue           = optional(string, "jobs")
    min             = optional(number, 0)
    max             = optional(number, 10)
    jobs_per_worker = optional(number, 50)
    cpu             = optional(number, 256)
    memory          = optional(number, 512)
    concurrency     = optional(number, 4)
    spot            = optional(bool, false)
    environment     = optional(map(string), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.queue == "jobs" || can(var.queues[fleet.queue])])
    error_message = "fleets: there is no such queue: ${join(", ", [for name, fleet in var.fleets : "${fleet.queue} of ${name}" if !(fleet.queue == "jobs" || can(var.queues[fleet.queue]))])}; give it to queues."
  }

  validation {
    condition     = length(setsubtract(keys(var.queues), concat(["jobs"], [for fleet in var.fleets : fleet.queue]))) == 0
    error_message = "fleets: none takes jobs from ${join(", ", setsubtract(keys(var.queues), concat(["jobs"], [for fleet in var.fleets : fleet.queue])))}: give one that queue."
  }

  validation {
    condition     = anytrue([for fleet in values(merge({ worker = { queue = "jobs" } }, { for name, fleet in var.fleets : name => { queue = fleet.queue } })) : fleet.queue == "jobs"])
    error_message = "fleets: none takes jobs from the first queue, jobs, which the month's go to: leave the fleet worker there."
  }

  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.concurrency >= 1 && fleet.concurrency <= 256 && floor(fleet.concurrency) == fleet.concurrency])
    error_message = "fleets: concurrency must be a whole number from 1 to 256: ${join(", ", [for name, fleet in var.fleets : name if !(fleet.concurrency >= 1 && fleet.concurrency <= 256 && floor(fleet.concurrency) == fleet.concurrency)])}."
  }

  # As for workers.max, of all fleets together.
  validation {
    condition = length(var.subnet_ids) > 0 || length(var.fleets) == 0 || try(
      sum(values(merge({ worker = var.workers.max }, { for name, fleet in var.fleets : name => fleet.max }))) + 2 <= 2 * (pow(2, 30 - tonumber(split("/", var.cidr_block)[1])) - (var.private_network ? 13 : 5)), true,
    )
    error_message = "fleets have ${sum(values(merge({ worker = var.workers.max }, { for name, fleet in var.fleets : name => fleet.max })))} workers in all, which is more than cidr_block ${var.cidr_block} has addresses for. Give a larger cidr_block (a /21 has room for 1000 workers), or subnet_ids of your own."
  }

  validation {
    condition     = length(setintersection(flatten([for fleet in var.fleets : keys(fleet.environment)]), concat(local.variables_of_the_stack, local.keys_of_aws))) == 0
    error_message = "environment of fleets may set any variable but those that the stack sets (concurrency has an input, and the key template is the table's) and AWS's own keys, since tasks have a role and their definitions are no place for a secret: ${join(", ", setintersection(flatten([for fleet in var.fleets : keys(fleet.environment)]), concat(local.variables_of_the_stack, local.keys_of_aws)))}."
  }

  validation {
    condition     = alltrue([for name in flatten([for fleet in var.fleets : keys(fleet.environment)]) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "environment of fleets: a variable's name is letters, digits and `_`, and begins with no digit: ${join(", ", [for name in flatten([for fleet in var.fleets : keys(fleet.environment)]) : name if !can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])}."
  }
}

variable "producer" {
  description = "Further variables for the producer (docs/configuration.md), such as a proxy: of its tasks, while `workers.environment` is of the workers, who also expand what schedules send via the queue."
  type = object({
    environment = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = length(setintersection(keys(var.producer.environment), concat(local.variables_of_the_stack, local.keys_of_aws))) == 0
    error_message = "producer.environment may set any variable but those that the stack sets (concurrency has an input, and the key template is the table's) and AWS's own keys, since tasks have a role and their definitions are no place for a secret: ${join(", ", setintersection(keys(var.producer.environment), concat(local.variables_of_the_stack, local.keys_of_aws)))}."
  }

  validation {
    condition     = alltrue([for name in keys(var.producer.environment) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "producer.environment: a variable's name is letters, digits and `_`, and begins with no digit: ${join(", ", [for name in keys(var.producer.environment) : name if !can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])}."
  }
}

variable "subnet_ids" {
  description = "The subnets that tasks run in, all of one VPC. If absent, a small network is made that costs nothing. Yours must reach the endpoints of CloudWatch, S3 and S3 Express (s3express-control) in every region that has buckets, by a NAT gateway or a transit gateway, and in the fleet's own also those of ECR (api and dkr), ECS, CloudWatch Logs, SQS, STS and, for accounts with access keys, Secrets Manager. Under VPC Block Public Access in both directions a public subnet reaches none of them, and apply says nothing of it: tasks then stop with CannotPullContainerError."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-z]+$", id))])
    error_message = "subnet_ids must be ids of subnets (subnet-0a1b2c3d), not their names or ranges."
  }
}

variable "security_group_ids" {
  description = "Security groups of yours for all tasks, of the VPC of `subnet_ids`, in place of one that is made: they must let tasks out to AWS on 443, or to your proxy."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.security_group_ids) == 0 || length(var.subnet_ids) > 0
    error_message = "security_group_ids are of a VPC of yours: give subnet_ids of it as well."
  }
}

variable "private_network" {
  description = "Whether the network that is made has no way to the internet, but endpoints of what the fleet calls in its region, for about $117 a month. CloudWatch and S3 of other regions are then out of reach (modules/network)."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.private_network || length(var.subnet_ids) == 0
    error_message = "private_network is of the network that is made, and subnet_ids names one of yours: give one of the two."
  }
}

variable "assign_public_ip" {
  description = "Whether tasks have public addresses in `subnet_ids`: true where those are public subnets, false where they have a NAT gateway. In the network that is made they have."
  type        = bool
  default     = false
  nullable    = false
}

variable "cidr_block" {
  description = "The addresses of the network that is made, a /16 to a /26: a /24 has room for 116 workers, a /21 for 1000. Another range makes the network anew, so change it while no task runs."
  type        = string
  default     = "10.42.0.0/24"
  nullable    = false
}

variable "alarm_emails" {
  description = "Who is written to when an alarm goes off. Each address confirms once."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "alarm_topic_arn" {
  description = "A topic of yours that alarms are sent to, in place of one that is made. Its policy must let CloudWatch publish for this account."
  type        = string
  default     = null
}

variable "oldest_job_hours" {
  description = "How long a job may wait before there is an alarm."
  type        = number
  default     = 6
  nullable    = false
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90
  nullable    = false
}

variable "log_stopped" {
  description = "Whether to keep why tasks stopped in the log group `/aws/events/<name>`. It takes one of the ten log resource policies that an account has in a region; without it ECS alone knows why, for an hour."
  type        = bool
  default     = true
  nullable    = false
}

variable "keep_logs" {
  description = "Whether `terraform destroy` leaves the log groups. Delete or import them before the same name is applied again."
  type        = bool
  default     = false
  nullable    = false
}

variable "report_bucket" {
  description = "A bucket of yours, in this account, for reports, manifests and the accounts file, in place of one that is made. What is set on it is then yours: modules/reports, \"A bucket of your own\"."
  type        = string
  default     = null
}

variable "keep_reports_days" {
  description = "After how many days reports and manifests expire; never if absent. Their last version is kept for `keep_replaced_days` more."
  type        = number
  default     = null
}

variable "keep_replaced_days" {
  description = "For how many days a report can be had back that was replaced, deleted or expired."
  type        = number
  default     = 90
  nullable    = false
}

variable "query_limit_bytes" {
  description = "How many bytes one Athena query may read before it is cancelled. 10 GiB cost about $0.05."
  type        = number
  default     = 10737418240
  nullable    = false
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove the report bucket with all reports in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "make_kms_key" {
  description = "Whether to make a customer key with the right policy (modules/key) for queues, reports, logs and notifications. `terraform destroy` schedules it for deletion, after which nothing that it encrypted can be read."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.make_kms_key || var.kms_key_arn == null
    error_message = "make_kms_key makes a key, and kms_key_arn names one of yours: give one of the two."
  }
}

variable "kms_key_arn" {
  description = "A customer key of yours for queues, reports, logs and notifications. Its policy must be that of modules/key: CloudWatch Logs, CloudWatch and EventBridge Scheduler use it, the last without a condition on its source, and the rest is left to IAM. AWS's own encryption if absent."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for every role, where your organisation asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a managed policy (arn:aws:iam::111111111111:policy/boundary)."
  }
}

variable "role_path" {
  description = "The path of all roles and policies, where your organisation asks for one (/platform/). Another one makes them anew, and member roles must trust the worker's again."
  type        = string
  default     = "/"
  nullable    = false
}

variable "role_prefix" {
  description = "What the names of all roles and policies begin with, in place of `<name>-`: `app-finops-` where your organisation asks for `app-`, and another one for each region, since names of roles are the account's."
  type        = string
  default     = null
}

variable "execution_policy_arns" {
  description = "Managed policies for the role with which ECS starts tasks, by a name of yours, such as that of an agent which your account adds to every task."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "guardduty_repository_arns" {
  description = "The ECR repositories of GuardDuty's agent (README.md, \"Agents of your account\"), if Runtime Monitoring adds it to every task of this account."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags for tasks, which are no resources of Terraform's, besides `fleet:application` and `fleet:deployment`, of which yours win. All else has the `default_tags` of your provider: give both the same."
  type        = map(string)
  default     = {}
  nullable    = false

  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
  validation {
    condition     = length(setunion(keys(var.tags), ["fleet:application", "fleet:deployment"])) <= 47
    error_message = "tags has ${length(var.tags)} tags: AWS takes 50 of most resources, two are the stack's own, and ECS adds up to three to a task."
  }
}
