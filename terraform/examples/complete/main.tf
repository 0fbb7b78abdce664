# SPDX-License-Identifier: Apache-2.0
# The stack in one account and region: this is what is applied. The stack itself is a module without a provider, so it may stand in a
# configuration of yours as well.

provider "aws" {
  region              = var.region
  allowed_account_ids = length(var.allowed_account_ids) == 0 ? null : var.allowed_account_ids

  default_tags {
    tags = merge({ "fleet:application" = "cloudwatch-fleet", "fleet:deployment" = var.name }, var.tags)
  }
}

module "stack" {
  source = "../.."

  name                      = var.name
  accounts                  = var.accounts
  member_role               = var.member_role
  monthly                   = var.monthly
  request                   = var.request
  schedules                 = var.schedules
  configuration             = var.configuration
  tag_keys                  = var.tag_keys
  sinks                     = var.sinks
  search                    = var.search
  image_tag                 = var.image_tag
  image_digest              = var.image_digest
  image                     = var.image
  cluster_arn               = var.cluster_arn
  cpu_architecture          = var.cpu_architecture
  workers                   = var.workers
  queues                    = var.queues
  fleets                    = var.fleets
  producer                  = var.producer
  subnet_ids                = var.subnet_ids
  security_group_ids        = var.security_group_ids
  private_network           = var.private_network
  assign_public_ip          = var.assign_public_ip
  cidr_block                = var.cidr_block
  alarm_emails              = var.alarm_emails
  alarm_topic_arn           = var.alarm_topic_arn
  oldest_job_hours          = var.oldest_job_hours
  log_retention_days        = var.log_retention_days
  log_stopped               = var.log_stopped
  keep_logs                 = var.keep_logs
  report_bucket             = var.report_bucket
  keep_reports_days         = var.keep_reports_days
  keep_replaced_days        = var.keep_replaced_days
  query_limit_bytes         = var.query_limit_bytes
  force_destroy             = var.force_destroy
  make_kms_key              = var.make_kms_key
  kms_key_arn               = var.kms_key_arn
  permissions_boundary_arn  = var.permissions_boundary_arn
  role_path                 = var.role_path
  role_prefix               = var.role_prefix
  execution_policy_arns     = var.execution_policy_arns
  guardduty_repository_arns = var.guardduty_repository_arns
  tags                      = var.tags
}
