# SPDX-License-Identifier: Apache-2.0
# Observability of the fleet: its logs, and who is notified when something is wrong. The dashboard is in dashboard.tf.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  topic_arn = var.topic_arn != null ? var.topic_arn : aws_sns_topic.alarms[0].arn

  arn_prefix = "arn:${data.aws_partition.current.partition}"
  place      = "${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338: a year is a choice (log_retention_days); what must last is in manifests and reports
  for_each = toset(["worker", "producer"])

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  skip_destroy      = var.keep_logs
  kms_key_id        = var.kms_key_arn
}

# Why tasks stopped. EventBridge writes only to groups of this name.
resource "aws_cloudwatch_log_group" "stopped" {
  count = var.log_stopped ? 1 : 0

  #checkov:skip=CKV_AWS_338: a year is a choice (log_retention_days); what must last is in manifests and reports
  name              = "/aws/events/${var.name}"
  retention_in_days = var.log_retention_days
  skip_destroy      = var.keep_logs
  kms_key_id        = var.kms_key_arn
}

# An account has ten of these in a region, which AWS does not raise. The form that belongs to its log group and does not count is
# none that the provider has (5.100).
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
resource "aws_cloudwatch_log_resource_policy" "stopped" {
  count = var.log_stopped ? 1 : 0

  policy_name = "${var.name}-stopped"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "BeginStreams"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:CreateLogStream"
        Resource  = "${aws_cloudwatch_log_group.stopped[0].arn}:*"
      },
      {
        # EventBridge writes for other accounts too.
        Sid       = "KeepWhyTasksStopped"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:PutLogEvents"
        Resource  = "${aws_cloudwatch_log_group.stopped[0].arn}:*"
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
    ]
  })
}

moved {
  from = aws_cloudwatch_log_group.stopped
  to   = aws_cloudwatch_log_group.stopped[0]
}

moved {
  from = aws_cloudwatch_log_resource_policy.stopped
  to   = aws_cloudwatch_log_resource_policy.stopped[0]
}

moved {
  from = aws_sns_topic.alarms
  to   = aws_sns_topic.alarms[0]
}

moved {
  from = aws_sns_topic_policy.alarms
  to   = aws_sns_topic_policy.alarms[0]
}

resource "aws_sns_topic" "alarms" {
  count = var.topic_arn == null ? 1 : 0

  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.topic_arn == null ? 1 : 0

  arn = aws_sns_topic.alarms[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
          ArnLike      = { "aws:SourceArn" = "${local.arn_prefix}:cloudwatch:${local.place}:alarm:${var.name}-*" }
        }
      },
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.alarm_emails)

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.value
}
