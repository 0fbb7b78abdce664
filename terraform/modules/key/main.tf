# SPDX-License-Identifier: Apache-2.0
# A customer key whose policy lets in those that come without a role of this account; all others come by their own policies.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  arn_prefix = "arn:${data.aws_partition.current.partition}"
  log_groups = "${local.arn_prefix}:logs:${data.aws_region.current.id}:${local.account_id}:log-group"
}

resource "aws_kms_key" "this" {
  description             = "Queues, reports, logs and notifications of ${var.name}."
  enable_key_rotation     = true
  deletion_window_in_days = 30 # what is encrypted with it can't be read again

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LeaveTheRestToIam"
        Effect    = "Allow"
        Principal = { AWS = "${local.arn_prefix}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${data.aws_region.current.id}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = ["${local.log_groups}:/${var.name}/*", "${local.log_groups}:/aws/events/${var.name}"]
          }
        }
      },
      {
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        # Without a condition: with one, Scheduler would lose the starts that it can't make, and not say so.
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/troubleshooting.html
        Sid       = "StartsThatCouldNotBeMade"
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
