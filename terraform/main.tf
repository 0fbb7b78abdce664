# SPDX-License-Identifier: Apache-2.0
# The whole fleet in one account: what is asked (schedule), what waits (queue), who does it (fleet), what comes of it
# (reports), who may do what (roles), and who is notified (observability).

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_subnet" "given" {
  count = length(var.subnet_ids) > 0 ? 1 : 0

  id = var.subnet_ids[0]
}

locals {
  network_is_made = length(var.subnet_ids) == 0

  network = {
    vpc_id           = local.network_is_made ? module.network[0].network.vpc_id : data.aws_subnet.given[0].vpc_id
    subnet_ids       = local.network_is_made ? module.network[0].network.subnet_ids : var.subnet_ids
    assign_public_ip = local.network_is_made ? !var.private_network : var.assign_public_ip
  }

  # The first of each is always there, with today's variables; what is given under its name takes its place.
  queues = merge({ jobs = local.first_queue }, var.queues)
  fleets = merge({ worker = merge(var.workers, { queue = "jobs", spot = false }) }, var.fleets)

  first_queue = { visibility_timeout_seconds = 120, retention_hours = 96, max_receives = 12, oldest_job_minutes = null }

  # Of each queue the service that `--wake` gives its first task.
  services = {
    for name in keys(local.queues) : name => "${module.cluster.cluster.name}/${module.fleet[[
      for fleet in concat(["worker"], sort(keys(local.fleets))) : fleet if try(local.fleets[fleet].queue, null) == name
    ][0]].service.name}"
  }

  task_network = {
    subnet_ids         = local.network.subnet_ids
    security_group_ids = module.cluster.security_group_ids
    assign_public_ip   = local.network.assign_public_ip
  }

  metrics_namespace = "cloudwatch-fleet/${var.name}"

  kms_key_arn = var.make_kms_key ? module.key[0].arn : var.kms_key_arn

  region = data.aws_region.current.id

  # What you give wins. They are for tasks, which are no resources of Terraform's; all else has the tags of your provider.
  tags = merge({ "fleet:application" = "cloudwatch-fleet", "fleet:deployment" = var.name }, var.tags)

  environment = merge({
    AWS_REGION                = local.region
    FLEET_ACCOUNTS            = "s3://${module.reports.bucket.name}/${local.accounts_key}"
    FLEET_ACCOUNTS_OWNER      = data.aws_caller_identity.current.account_id
    FLEET_LOG_FORMAT          = "json"
    FLEET_QUEUE_URL           = module.queue["jobs"].jobs.url
    FLEET_REPORT_BUCKET       = module.reports.bucket.name
    FLEET_REPORT_BUCKET_OWNER = data.aws_caller_identity.current.account_id
    }, local.has_configuration ? {
    FLEET_CONFIG = "s3://${module.reports.bucket.name}/${local.configuration_key}"
  } : {})
}

module "key" {
  source = "./modules/key"
  count  = var.make_kms_key ? 1 : 0

  name = var.name
}

module "queue" {
  source   = "./modules/queue"
  for_each = local.queues

  name                       = var.name
  queue                      = each.key
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  retention_hours            = each.value.retention_hours
  max_receive_count          = each.value.max_receives
  kms_key_arn                = local.kms_key_arn
}

module "reports" {
  source = "./modules/reports"

  name               = var.name
  bucket             = var.report_bucket
  keep_days          = var.keep_reports_days
  keep_replaced_days = var.keep_replaced_days
  query_limit_bytes  = var.query_limit_bytes
  force_destroy      = var.force_destroy
  kms_key_arn        = local.kms_key_arn
}

module "network" {
  source = "./modules/network"
  count  = local.network_is_made ? 1 : 0

  name       = var.name
  cidr_block = var.cidr_block
  private    = var.private_network
}

module "roles" {
  source = "./modules/roles"

  name                     = var.name
  queue_arns               = [for queue in module.queue : queue.jobs.arn]
  dead_letter_queue_arns   = [for queue in module.queue : queue.dead_letters.arn]
  services                 = [for fleet in keys(local.fleets) : "${var.name}-${fleet}"]
  report_bucket_arn        = module.reports.bucket.arn
  accounts_key             = local.accounts_key
  member_role_arns         = local.member_role_arns
  cluster_arn              = module.cluster.cluster.arn
  repository_arn           = module.cluster.repository_arn
  log_group_arns           = [for group in module.observability.log_groups : group.arn]
  kms_key_arn              = local.kms_key_arn
  permissions_boundary_arn = var.permissions_boundary_arn
  role_path                = var.role_path
  role_prefix              = var.role_prefix

  execution_policy_arns     = var.execution_policy_arns
  guardduty_repository_arns = var.guardduty_repository_arns

  configuration_key = local.has_configuration ? local.configuration_key : null

  sinks = {
    namespaces          = distinct([for sink in var.sinks : sink.namespace if sink.type == "cloudwatch"])
    domain_arns         = [for arn in local.search_arns : arn if strcontains(arn, ":es:")]
    collection_arns     = [for arn in local.search_arns : arn if strcontains(arn, ":aoss:")]
    secret_arns         = distinct(compact(flatten([for sink in local.search_sinks : [sink.secret_arn, sink.channel_secret_arn]])))
    secret_kms_key_arns = distinct(compact([for sink in local.search_sinks : sink.secret_kms_key_arn]))
    alert_role_arns     = distinct(compact([for sink in local.search_sinks : sink.alert_role_arn]))
    are_set_up          = length(local.search_sinks) > 0
  }

  secrets = {
    arns         = tolist(toset([for account in local.accounts_with_keys : account.access_keys_secret_arn]))
    kms_key_arns = tolist(toset([for account in local.accounts_with_keys : account.kms_key_arn if account.kms_key_arn != null]))
  }
}

module "cluster" {
  source = "./modules/cluster"

  name         = var.name
  vpc_id       = local.network.vpc_id
  image_tag    = var.image_tag
  image_digest = var.image_digest
  image        = var.image
  cluster_arn  = var.cluster_arn
  spot         = anytrue([for fleet in local.fleets : fleet.spot])

  security_group_ids = var.security_group_ids
}

module "fleet" {
  source   = "./modules/fleet"
  for_each = local.fleets

  name             = var.name
  fleet            = each.key
  cluster          = module.cluster.cluster
  network          = local.task_network
  image            = module.cluster.image
  cpu_architecture = var.cpu_architecture
  worker_size      = { cpu = each.value.cpu, memory = each.value.memory }
  spot             = each.value.spot
  role_arns        = { task = module.roles.role_arns.worker, execution = module.roles.role_arns.execution }
  log_group        = module.observability.log_groups.worker.name
  queue_name       = module.queue[each.value.queue].jobs.name
  min_workers      = each.value.min
  max_workers      = each.value.max
  jobs_per_worker  = each.value.jobs_per_worker

  secrets = local.sink_secrets

  environment = merge(local.environment, {
    FLEET_QUEUE_URL         = module.queue[each.value.queue].jobs.url
    FLEET_CONCURRENCY       = tostring(each.value.concurrency)
    FLEET_METRICS_NAMESPACE = local.metrics_namespace
  }, each.value.environment)
}

module "schedule" {
  source = "./modules/schedule"

  name                     = var.name
  monthly                  = var.monthly
  request                  = var.request
  schedules                = var.schedules
  image                    = module.cluster.image
  cpu_architecture         = var.cpu_architecture
  environment              = merge(local.environment, { FLEET_SERVICE = local.services.jobs }, var.producer.environment)
  role_arns                = module.roles.role_arns
  log_group                = module.observability.log_groups.producer.name
  cluster_arn              = module.cluster.cluster.arn
  kms_key_arn              = local.kms_key_arn
  permissions_boundary_arn = var.permissions_boundary_arn
  role_path                = var.role_path
  role_prefix              = var.role_prefix
  tags                     = local.tags

  setups        = local.setups
  setup_secrets = merge(local.sink_secrets, local.channel_secrets)

  network = local.task_network

  queues = {
    for name, queue in module.queue : name => { arn = queue.jobs.arn, url = queue.jobs.url, service = local.services[name] }
  }
}

module "observability" {
  source = "./modules/observability"

  name               = var.name
  alarm_emails       = var.alarm_emails
  topic_arn          = var.alarm_topic_arn
  log_retention_days = var.log_retention_days
  log_stopped        = var.log_stopped
  keep_logs          = var.keep_logs
  oldest_job_hours   = var.oldest_job_hours
  metrics_namespace  = local.metrics_namespace
  cluster            = module.cluster.cluster
  kms_key_arn        = local.kms_key_arn
  watched            = module.schedule.watched

  unstarted = module.schedule.unstarted.name

  queues = {
    for name, queue in local.queues : name => {
      jobs               = module.queue[name].jobs.name
      dead_letters       = module.queue[name].dead_letters.name
      oldest_job_minutes = queue.oldest_job_minutes
      retention_hours    = queue.retention_hours
    }
  }

  fleets = { for name, fleet in local.fleets : name => { service = module.fleet[name].service.name, queue = fleet.queue } }

  families = {
    producer = module.schedule.tasks.producer.family
    status   = module.schedule.tasks.status.family
    setup    = length(local.setups) == 0 ? null : module.schedule.tasks.setup.family
  }
}
