# SPDX-License-Identifier: Apache-2.0
# The work queue, one message a job, and the dead-letter queue for those that can't be done.

data "aws_caller_identity" "current" {}

locals {
  # The visibility timeout is the only lease that there is, and who can change it can run a job twice; so neither
  # queue is anyone's but this account's, whatever an identity policy elsewhere says.
  policies = {
    for name, queue in { jobs = aws_sqs_queue.jobs, dead_letters = aws_sqs_queue.dead_letters } : name => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "RefuseOtherAccounts"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = queue.arn
          Condition = {
            StringNotEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.current.account_id }
            # A call of an AWS service has no account of a principal, and what is absent is not equal. Services need a right of
            # their own, and none is given here.
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
            Bool = { "aws:PrincipalIsAWSService" = "false" }
          }
        },
        {
          Sid       = "RefusePlainHttp"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = queue.arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    })
  }
}

resource "aws_sqs_queue" "jobs" {
  name                       = "${var.name}-${var.queue}"
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = 20
  message_retention_seconds  = var.retention_hours * 60 * 60
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

# A message that SQS moves here by itself keeps its age, so the fourteen days, which are the most there are, count from its first
# sending.
resource "aws_sqs_queue" "dead_letters" {
  name                       = "${var.name}-${var.queue}-dead"
  visibility_timeout_seconds = 60
  message_retention_seconds  = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.jobs.arn]
  })
}

resource "aws_sqs_queue_policy" "jobs" {
  queue_url = aws_sqs_queue.jobs.url
  policy    = local.policies.jobs
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url
  policy    = local.policies.dead_letters
}
