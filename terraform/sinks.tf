# SPDX-License-Identifier: Apache-2.0
# The configuration file that all tasks read, off the report bucket, and what follows from the sinks in it: a domain, who may do what
# there, their passwords, and the tasks that set them up.

locals {
  has_configuration = trimspace(var.configuration) != "" || length(var.tag_keys) > 0 || length(var.sinks) > 0
  configuration_key = "fleet.toml"

  # What a sink has, whatever of it was left out.
  search_sinks = {
    for name, sink in var.sinks : name => {
      is_ours            = !can(sink.url)
      arn                = try(sink.arn, null)
      map_role           = try(sink.map_role, !can(sink.url) && try(var.search.master_user_arn, null) == null)
      secret_arn         = try(sink.secret_arn, null)
      secret_kms_key_arn = try(sink.secret_kms_key_arn, null)
      channel_secret_arn = try(sink.channel_secret_arn, null)
      alert_role_arn     = try(sink.alerts.sns_role, null)

      # What the names of its variables begin with, as the programs make them of its name.
      variables = trimsuffix(replace("FLEET_SINK_NAME_USER", "NAME", replace(upper(name), "-", "_")), "USER")
    } if sink.type == "opensearch"
  }

  # Known before the domain is made, so that the roles may name it.
  search_arn = "arn:${data.aws_partition.current.partition}:es:${local.region}:${data.aws_caller_identity.current.account_id}:domain/${var.name}"

  # What sigv4 signs for; a password or none needs no IAM.
  search_arns = distinct([for sink in local.search_sinks : sink.is_ours ? local.search_arn : sink.arn if sink.is_ours || sink.arn != null])

  # What JSON writes, TOML reads. A table of a sink's own comes after its keys.
  configuration = join("\n", concat(
    ["# Written by Terraform; change the variables `configuration`, `tag_keys` and `sinks` instead."],
    length(var.tag_keys) == 0 ? [] : ["", "tag_keys = ${jsonencode(var.tag_keys)}"],
    trimspace(var.configuration) == "" ? [] : ["", trimspace(var.configuration)],
    flatten([
      for name, sink in var.sinks : concat(
        ["", "[[sink]]", "name = ${jsonencode(name)}", "type = ${jsonencode(sink.type)}", "datasets = ${jsonencode(sink.datasets)}"],
        sink.type == "opensearch" && !can(sink.url) ? ["url = ${jsonencode(module.search[0].domain.url)}"] : [],
        [
          for key in local.sink_keys[sink.type].file : "${key} = ${jsonencode(sink[key])}" if key != "alerts" && try(sink[key], null) != null
        ],
        try(sink.alerts, null) == null ? [] : concat(["", "[sink.alerts]"], [for key, value in sink.alerts : "${key} = ${jsonencode(value)}" if value != null]),
      )
    ]),
    [""],
  ))

  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
  sink_secrets = merge([
    for sink in local.search_sinks : {
      "${sink.variables}USER"     = "${sink.secret_arn}:username::"
      "${sink.variables}PASSWORD" = "${sink.secret_arn}:password::"
    } if sink.secret_arn != null
  ]...)

  channel_secrets = { for sink in local.search_sinks : "${sink.variables}CHANNEL_URL" => sink.channel_secret_arn if sink.channel_secret_arn != null }

  setups = {
    for name, sink in local.search_sinks :
    name => concat(["producer", "setup", name], sink.map_role ? ["--map-role", module.roles.role_arns.worker] : [])
  }
}

module "search" {
  source = "./modules/search"
  count  = var.search == null ? 0 : 1

  name               = var.name
  engine_version     = var.search.engine_version
  instance_type      = var.search.instance_type
  instance_count     = var.search.instance_count
  volume_gib         = var.search.volume_gib
  master_user_arn    = coalesce(var.search.master_user_arn, module.roles.role_arns.setup)
  worker_role_arn    = module.roles.role_arns.worker
  setup_role_arn     = module.roles.role_arns.setup
  user_arns          = var.search.user_arns
  log_retention_days = var.log_retention_days
  keep_logs          = var.keep_logs
  kms_key_arn        = local.kms_key_arn

  network = !var.search.in_vpc ? null : {
    vpc_id             = local.network.vpc_id
    subnet_ids         = local.network.subnet_ids
    security_group_ids = module.cluster.security_group_ids
  }
}

resource "aws_s3_object" "configuration" {
  count = local.has_configuration ? 1 : 0

  bucket       = module.reports.bucket.name
  key          = local.configuration_key
  content      = local.configuration
  content_type = "application/toml"

  # So that a plan sees an edit by hand. With a customer key S3's ETag is no MD5.
  etag = local.kms_key_arn == null ? md5(local.configuration) : null

  # S3 allows ten tags on an object, and a stack may have more.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
