# SPDX-License-Identifier: Apache-2.0
# What is in the configuration file besides what the programs have: datasets and selections, tags, sinks, and a domain for these.

locals {
  # What each type of sink has besides `type` and `datasets`: what is written into the file, and what is for the stack alone.
  sink_keys = {
    cloudwatch = { file = ["namespace", "region"], stack = [] }
    opensearch = {
      file  = ["alerts", "auth", "dashboards", "prefix", "region", "retention", "tenant", "url"]
      stack = ["arn", "channel_secret_arn", "map_role", "secret_arn", "secret_kms_key_arn"]
    }
  }

  known_sink_keys = { for type, keys in local.sink_keys : type => concat(["datasets", "type"], keys.file, keys.stack) }

  # The names in the text, of which some are those of datasets.
  names_in_configuration = flatten(regexall("(?m)^\\s*name\\s*=\\s*[\"']([a-z0-9_]+)[\"']", var.configuration))
  known_datasets = concat(
    flatten([for dataset in jsondecode(file("${path.module}/datasets.json")).datasets : [dataset.name, dataset.group]]), local.names_in_configuration,
  )
}

variable "configuration" {
  description = "The text of a configuration file of yours (docs/fleet-toml.md), such as `file(\"fleet.toml\")`: datasets and selections, and sinks whose permissions are not the stack's. The stack puts `tag_keys` before it and `sinks` behind it, and all tasks read the whole from the report bucket. A text that is not valid stops every task that starts: try it with `producer datasets --config FILE`."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = !can(regex("(?m)^\\s*tag_keys\\s*=", var.configuration))
    error_message = "configuration has tag_keys: give them as the variable tag_keys instead, which the member roles need as well."
  }
}

variable "tag_keys" {
  description = "Tags of resources that are columns of the reports (docs/fleet-toml.md). Give the member roles the same, which allows them `tag:GetResources`. The Athena tables have no such columns: make tables for datasets with tags by `producer datasets --format athena --config`."
  type        = list(string)
  default     = []
  nullable    = false

  # As the programs do, which would not start.
  validation {
    condition     = length(distinct([for key in var.tag_keys : replace(lower(key), "/[^a-z0-9]+/", "_")])) == length(var.tag_keys) && alltrue([for key in var.tag_keys : can(regex("[A-Za-z0-9]", key)) && length(key) <= 128]) && length(var.tag_keys) <= 50
    error_message = "tag_keys must be 50 keys at most, each of 128 characters at most and with a letter or a digit, of which no two make the same column: ${join(", ", var.tag_keys)}."
  }
}

variable "sinks" {
  description = <<-TEXT
    Where reports go besides the bucket (docs/sinks.md), by name. Of each the `type`, the `datasets`, and of `cloudwatch` `region` and `namespace`; of
    `opensearch` `url` (the stack's own domain if absent, see `search`), `auth`, `region`, `prefix`, `retention`, `dashboards`, `tenant` and `alerts`.
    The stack writes them into the configuration file, and gives the worker's role what each needs. For that an
    `opensearch` sink with a `url` and signed requests also has `arn`, of its domain or Serverless collection; one with `auth = "basic"` has
    `secret_arn`, a Secrets Manager secret whose value is JSON with `username` and `password`, and its `secret_kms_key_arn` where a customer key encrypts it. A task sets each
    up daily; with `map_role = true` it also gives the workers' role its rights there, as in the stack's own domain. `channel_secret_arn` is
    a secret whose value is the URL of `channel` in `alerts`.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.sinks)) && length([for name in try(keys(var.sinks), []) : name if !can(regex("^[a-z0-9_-]{1,32}$", name))]) == 0
    error_message = "sinks must be an object of sinks by name, each of 1 to 32 small letters, digits, _ and -: ${join(", ", [for name in try(keys(var.sinks), []) : name if !can(regex("^[a-z0-9_-]{1,32}$", name))])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : contains(keys(local.sink_keys), try(sink.type, ""))])
    error_message = "sinks: type must be cloudwatch or opensearch: ${join(", ", [for name, sink in var.sinks : name if !contains(keys(local.sink_keys), try(sink.type, ""))])}."
  }

  validation {
    condition = alltrue([
      for sink in try(values(var.sinks), []) : length(setsubtract(keys(sink), try(local.known_sink_keys[sink.type], []))) == 0
    ])
    error_message = "sinks: no such key: ${join(", ", flatten([for name, sink in var.sinks : [for key in setsubtract(keys(sink), try(local.known_sink_keys[sink.type], [])) : "${key} of ${name}"]]))}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : length(try(tolist(sink.datasets), [])) > 0]) && length(setsubtract(flatten([for sink in try(values(var.sinks), []) : try(tolist(sink.datasets), [])]), local.known_datasets)) == 0
    error_message = "sinks: datasets must be a list of datasets, groups of them, or names of configuration: ${join(", ", concat([for name, sink in var.sinks : name if length(try(tolist(sink.datasets), [])) == 0], tolist(setsubtract(flatten([for sink in try(values(var.sinks), []) : try(tolist(sink.datasets), [])]), local.known_datasets))))}."
  }

  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : try(sink.type, "") == "cloudwatch" ? can(regex("^[A-Za-z0-9][A-Za-z0-9 ._/#:-]*$", sink.namespace)) && length(try(sink.namespace, "")) <= 255 && !startswith(try(sink.namespace, ""), "AWS/") && can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", sink.region)) : true])
    error_message = "sinks: one of the type cloudwatch needs the region that metrics are forwarded to, and a namespace of your own, which AWS's AWS/… is not: ${join(", ", [for name, sink in var.sinks : name if try(sink.type, "") == "cloudwatch"])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : try(sink.type, "") == "opensearch" && !can(sink.url) ? var.search != null && try(sink.auth, "sigv4") == "sigv4" && !can(sink.arn) : true])
    error_message = "sinks: one of the type opensearch without a url is the stack's own domain: give search = {}, leave auth and arn out, or give a url: ${join(", ", [for name, sink in var.sinks : name if try(sink.type, "") == "opensearch" && !can(sink.url)])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : can(sink.url) ? can(regex("^https://[^/ ]+", sink.url)) && contains(["sigv4", "basic", "none"], try(sink.auth, "sigv4")) : true])
    error_message = "sinks: url must begin with https://, and auth be sigv4, basic or none: ${join(", ", [for name, sink in var.sinks : name if can(sink.url)])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : can(sink.url) && try(sink.auth, "sigv4") == "sigv4" ? can(regex("^arn:[a-z-]+:(es:[a-z0-9-]+:[0-9]{12}:domain/[a-z0-9-]+|aoss:[a-z0-9-]+:[0-9]{12}:collection/[a-z0-9]+)$", sink.arn)) : true])
    error_message = "sinks: signed requests to a url need the arn of what is there, which the roles are allowed to use (arn:aws:es:…:domain/name, arn:aws:aoss:…:collection/id): ${join(", ", [for name, sink in var.sinks : name if can(sink.url) && try(sink.auth, "sigv4") == "sigv4"])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : try(sink.auth, "sigv4") == "basic" ? can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+-[A-Za-z0-9]{6}$", sink.secret_arn)) : !can(sink.secret_arn)])
    error_message = "sinks: auth = \"basic\" needs secret_arn, the whole ARN of a secret with the six characters at its end, and nothing else takes one: ${join(", ", [for name, sink in var.sinks : name if try(sink.auth, "sigv4") == "basic" || can(sink.secret_arn)])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : can(sink.channel_secret_arn) ? can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+-[A-Za-z0-9]{6}$", sink.channel_secret_arn)) && can(sink.alerts.channel) : true])
    error_message = "sinks: channel_secret_arn goes with channel in alerts, and is the whole ARN of a secret with the six characters at its end: ${join(", ", [for name, sink in var.sinks : name if can(sink.channel_secret_arn)])}."
  }

  validation {
    condition     = alltrue([for sink in try(values(var.sinks), []) : can(sink.secret_kms_key_arn) ? can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", sink.secret_kms_key_arn)) : true])
    error_message = "sinks: secret_kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias: ${join(", ", [for name, sink in var.sinks : name if can(sink.secret_kms_key_arn)])}."
  }

  validation {
    condition     = length({ for name in try(keys(var.sinks), []) : replace(name, "-", "_") => name... }) == length(var.sinks)
    error_message = "sinks: two names differ only in `-` and `_`, and their passwords would have the same variables; rename one."
  }

  validation {
    condition     = length([for environment in concat([var.workers.environment, var.producer.environment], [for fleet in var.fleets : fleet.environment]) : environment if can(environment.FLEET_CONFIG)]) == 0 || (trimspace(var.configuration) == "" && length(var.tag_keys) == 0 && length(var.sinks) == 0)
    error_message = "sinks, tag_keys and configuration are a file that the stack writes, and an environment has FLEET_CONFIG, which names another: leave it out, and give that file's text as configuration."
  }

  validation {
    condition     = var.search == null || anytrue([for sink in try(values(var.sinks), []) : try(sink.type, "") == "opensearch" && !can(sink.url)])
    error_message = "sinks: none uses the domain of search: give one of the type opensearch without a url, or leave search out."
  }
}

variable "search" {
  description = "An OpenSearch domain of the stack's own for sinks of the type opensearch without a `url` (modules/search); none if absent. `{}` is one t3.small.search with 10 GiB for about $28 a month; two r6g.large.search with 100 GiB each are about $268 (list prices of us-east-1). `user_arns` are who else may send requests to it, `in_vpc` puts its endpoint into the network of the tasks."
  type = object({
    engine_version  = optional(string, "OpenSearch_2.19")
    instance_type   = optional(string, "t3.small.search")
    instance_count  = optional(number, 1)
    volume_gib      = optional(number, 10)
    master_user_arn = optional(string)
    user_arns       = optional(list(string), [])
    in_vpc          = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.search == null ? true : !var.private_network || var.search.in_vpc
    error_message = "search has a public endpoint, which a private network does not reach: give it in_vpc = true."
  }
}
