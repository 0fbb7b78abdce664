# SPDX-License-Identifier: Apache-2.0
# The month: EventBridge Scheduler starts the producer as a task, and later looks how it went.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  arn_prefix = "arn:${data.aws_partition.current.partition}"
  place      = "${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"

  # What Scheduler writes in its place: the time that was meant, so that a start which is late or delivered twice is the same run.
  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
  scheduled_time = "<aws.scheduler.scheduled-time>"

  request_flags = concat(
    length(try(var.request.account_names, [])) == 0 ? [] : ["--account-name", join(",", var.request.account_names)],
    length(try(var.request.datasets, [])) == 0 ? [] : ["--dataset", join(",", var.request.datasets)],
    flatten([for key, value in try(var.request.attributes, {}) : ["--attribute", "${key}:=${jsonencode(value)}"]]),
  )

  schedules = {
    run = {
      description = "Sends the month's jobs."
      at          = "cron(0 ${var.monthly.hour} ${var.monthly.run_day} * ? *)"
      task        = "producer"
      command     = concat(["producer", "run", "--at", local.scheduled_time, "--wake"], local.request_flags)
    }
    complete = {
      description = "Sends those of the month's jobs that have no complete and settled report."
      at          = "cron(0 ${var.monthly.hour} ${var.monthly.completion_day} * ? *)"
      task        = "producer"
      command     = concat(["producer", "run", "--only-incomplete", "--at", local.scheduled_time, "--wake"], local.request_flags)
    }
    status = {
      description = "Looks whether the month is complete and settled; ends with 3 if it is not."
      at          = "cron(0 ${var.monthly.hour + 3} ${var.monthly.completion_day} * ? *)"
      task        = "status"
      command     = ["producer", "status", "--this-month", "--settled", "--failed-only"]
    }
  }

  tasks = {
    producer = { command = ["producer", "run"], role_arn = var.role_arns.producer }
    status   = { command = ["producer", "status"], role_arn = var.role_arns.status }
  }
}

# Two definitions, since they have two roles: who looks sends nothing.
module "task" {
  source   = "../task"
  for_each = local.tasks

  name             = "${var.name}-${each.key}"
  container        = "producer"
  image            = var.image
  command          = each.value.command
  environment      = var.environment
  role_arns        = { task = each.value.role_arn, execution = var.role_arns.execution }
  log_group        = var.log_group
  cpu_architecture = var.cpu_architecture
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.schedules

  name                         = "${var.name}-${each.key}"
  description                  = each.value.description
  group_name                   = aws_scheduler_schedule_group.this.name
  state                        = var.monthly.enabled ? "ENABLED" : "DISABLED"
  schedule_expression          = each.value.at
  schedule_expression_timezone = "UTC"
  kms_key_arn                  = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.cluster_arn
    role_arn = aws_iam_role.scheduler.arn

    # jsonencode() writes < and > as escapes, which Scheduler would not know again.
    input = replace(
      jsonencode({ containerOverrides = [{ name = "producer", command = each.value.command }] }),
      "\\u003caws.scheduler.scheduled-time\\u003e", local.scheduled_time,
    )

    ecs_parameters {
      task_definition_arn = module.task[each.value.task].task_definition.arn
      launch_type         = "FARGATE"

      # Both, since a policy of the organization that asks for tags (aws:RequestTag) looks at those of the call alone.
      propagate_tags          = "TASK_DEFINITION"
      enable_ecs_managed_tags = true
      tags                    = var.tags

      network_configuration {
        subnets          = var.network.subnet_ids
        security_groups  = [var.network.security_group_id]
        assign_public_ip = var.network.assign_public_ip
      }
    }

    # These cover the start of a task alone. One that starts and fails is reported by an ECS event. No start is so late
    # that it would come after the look at the month.
    retry_policy {
      maximum_event_age_in_seconds = 2 * 60 * 60
      maximum_retry_attempts       = 20
    }

    dead_letter_config {
      arn = aws_sqs_queue.unstarted.arn
    }
  }

  # A schedule is refused whose role can't be used yet.
  depends_on = [aws_iam_role_policy.scheduler]

  lifecycle {
    precondition {
      condition     = length(jsonencode({ containerOverrides = [{ name = "producer", command = each.value.command }] })) <= 8192
      error_message = "The request is too long: ECS takes 8192 characters of a task's command. Mark accounts with `default` rather than naming so many."
    }
  }
}

# Starts that could not be made, each with its error in the message's attributes.
resource "aws_sqs_queue" "unstarted" {
  name                      = "${var.name}-unstarted"
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
}

resource "aws_sqs_queue_policy" "unstarted" {
  queue_url = aws_sqs_queue.unstarted.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RefuseOtherAccounts"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.unstarted.arn
        Condition = {
          StringNotEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.current.account_id }
          # An AWS service's call has no account of a principal, and what is absent is not equal.
          Bool = { "aws:PrincipalIsAWSService" = "false" }
        }
      },
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.unstarted.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_iam_role" "scheduler" {
  name                 = "${var.name}-scheduler"
  description          = "What EventBridge Scheduler does for ${var.name}: starts the producer's tasks."
  permissions_boundary = var.permissions_boundary_arn

  # The schedules of this group, and no others.
  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          "aws:SourceArn"     = "${local.arn_prefix}:scheduler:${local.place}:schedule-group/${var.name}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "scheduler"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "StartTasks"
        Effect = "Allow"
        Action = "ecs:RunTask"
        # Any revision: a bare family is refused.
        Resource  = [for task in keys(local.tasks) : "${local.arn_prefix}:ecs:${local.place}:task-definition/${var.name}-${task}:*"]
        Condition = { ArnEquals = { "ecs:cluster" = var.cluster_arn } }
      },
      {
        Sid       = "TagTasksAsTheyStart"
        Effect    = "Allow"
        Action    = "ecs:TagResource"
        Resource  = "${replace(var.cluster_arn, ":cluster/", ":task/")}/*"
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "GiveTasksTheirRoles"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [var.role_arns.producer, var.role_arns.status, var.role_arns.execution]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid      = "KeepWhatCouldNotBeStarted"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.unstarted.arn
      },
      ], var.kms_key_arn == null ? [] : [{
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
    }])
  })
}
