# SPDX-License-Identifier: Apache-2.0
# What is asked for and when: EventBridge Scheduler starts the producer as a task, or sends its request to the workers themselves.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  arn_prefix = "arn:${data.aws_partition.current.partition}"
  place      = "${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"

  # What Scheduler writes in its place: the time that was meant, so that a start which is late or delivered twice is the same run.
  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
  scheduled_time = "<aws.scheduler.scheduled-time>"

  # The month as three schedules; what is given under one of their names takes its place.
  month = {
    account_name = try(var.request.account_names, [])
    dataset      = try(var.request.datasets, [])
    attributes   = try(var.request.attributes, {})
  }

  monthly = {
    run = {
      description = "Sends the month's jobs."
      expression  = "cron(0 ${var.monthly.hour} ${var.monthly.run_day} * ? *)"
      request     = local.month
    }
    complete = {
      description = "Sends those of the month's jobs that have no complete and settled report."
      expression  = "cron(0 ${var.monthly.hour} ${var.monthly.completion_day} * ? *)"
      request     = local.month
    }
    status = {
      description = "Looks whether the month is complete and settled; ends with 3 if it is not."
      expression  = "cron(0 ${var.monthly.hour + 3} ${var.monthly.completion_day} * ? *)"
      request     = {}
    }
  }

  # Each schedule in full, whatever of it was left out.
  schedules = merge(
    {
      for name, schedule in local.monthly : name => merge(schedule, {
        timezone = "UTC"
        enabled  = var.monthly.enabled
        via      = "task"
        command  = name
        queue    = var.default_queue
      })
    },
    {
      for sink in keys(var.setups) : "setup-${sink}" => {
        description = "Sets the sink ${sink} up, and deletes what is past its retention."
        expression  = "cron(15 2 * * ? *)"
        timezone    = "UTC"
        enabled     = true
        via         = "task"
        command     = "setup"
        queue       = var.default_queue
        request     = {}
      }
    },
    {
      for name, schedule in var.schedules : name => {
        description = coalesce(try(schedule.description, null), "Sends what `${name}` asks for.")
        expression  = schedule.expression
        timezone    = coalesce(try(schedule.timezone, null), "UTC")
        enabled     = coalesce(try(schedule.enabled, null), true)
        via         = coalesce(try(schedule.via, null), "task")
        command     = coalesce(try(schedule.command, null), "run")
        queue       = coalesce(try(schedule.queue, null), var.default_queue)
        request     = { for key, value in try(schedule.request, {}) : key => value if value != null }
      }
    },
  )

  # What the producer takes of a request as flags: these with their value, and the others.
  flags_with_value = ["date", "month", "from", "to", "last", "window", "settle"]
  flags_alone      = ["provisional", "only_incomplete"]

  commands = merge({ for sink, command in var.setups : "setup-${sink}" => command }, {
    for name, schedule in local.schedules : name => schedule.command == "status" ? ["producer", "status", "--this-month", "--settled", "--failed-only"] : concat(
      ["producer", "run"],
      schedule.command == "complete" ? ["--only-incomplete"] : [],
      ["--at", local.scheduled_time, "--wake"],
      flatten([
        for key in ["account_name", "dataset"] :
        ["--${replace(key, "_", "-")}", join(",", flatten([schedule.request[key]]))] if length(flatten([try(schedule.request[key], [])])) > 0
      ]),
      flatten([for key in local.flags_with_value : ["--${key}", schedule.request[key]] if can(schedule.request[key])]),
      [for key in local.flags_alone : "--${replace(key, "_", "-")}" if try(schedule.request[key], false)],
      flatten([for key, value in try(schedule.request.attributes, {}) : ["--attribute", "${key}:=${jsonencode(value)}"]]),
    ) if schedule.via == "task" && schedule.command != "setup"
  })

  # What a worker expands into jobs, as `producer run` does. It is put together by hand, since jsonencode() writes < and > as
  # escapes, which Scheduler would not know again; in the request that is what keeps a text of yours from being replaced.
  messages = {
    for name, schedule in local.schedules : name => join("", [
      "{\"kind\":\"request\",\"at\":\"${local.scheduled_time}\",\"request\":",
      jsonencode(merge(
        try(schedule.request.attributes, {}),
        { for key, value in schedule.request : key => value if key != "attributes" },
      )),
      "}",
    ]) if schedule.via == "queue"
  }

  # A task of the default queue's has that queue and its workers in its variables.
  overrides = {
    for name, command in local.commands : name => replace(
      jsonencode({
        containerOverrides = [merge(
          { name = "producer", command = command },
          local.schedules[name].queue == var.default_queue ? {} : {
            environment = [
              { name = "FLEET_QUEUE_URL", value = var.queues[local.schedules[name].queue].url },
              { name = "FLEET_SERVICE", value = var.queues[local.schedules[name].queue].service },
            ]
          },
        )]
      }),
      "\\u003caws.scheduler.scheduled-time\\u003e", local.scheduled_time,
    )
  }

  queues_of_messages = sort(distinct([for name in keys(local.messages) : local.schedules[name].queue]))

  tasks = merge({
    producer = { command = ["producer", "run"], role_arn = var.role_arns.producer }
    status   = { command = ["producer", "status"], role_arn = var.role_arns.status }
    }, length(var.setups) == 0 ? {} : {
    setup = { command = ["producer", "setup"], role_arn = var.role_arns.setup }
  })
}

# A definition for each role: who looks sends nothing, and who sets sinks up neither.
module "task" {
  source   = "../task"
  for_each = local.tasks

  name             = "${var.name}-${each.key}"
  container        = "producer"
  image            = var.image
  command          = each.value.command
  environment      = var.environment
  secrets          = each.key == "setup" ? var.setup_secrets : {}
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
  state                        = each.value.enabled ? "ENABLED" : "DISABLED"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone
  kms_key_arn                  = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = each.value.via == "queue" ? var.queues[each.value.queue].arn : var.cluster_arn
    role_arn = aws_iam_role.scheduler.arn
    input    = each.value.via == "queue" ? local.messages[each.key] : local.overrides[each.key]

    dynamic "ecs_parameters" {
      for_each = each.value.via == "task" ? [contains(["setup", "status"], each.value.command) ? each.value.command : "producer"] : []

      content {
        task_definition_arn = module.task[ecs_parameters.value].task_definition.arn
        launch_type         = "FARGATE"

        # Both, since a policy of the organization that asks for tags (aws:RequestTag) looks at those of the call alone.
        propagate_tags          = "TASK_DEFINITION"
        enable_ecs_managed_tags = true
        tags                    = var.tags

        network_configuration {
          subnets          = var.network.subnet_ids
          security_groups  = var.network.security_group_ids
          assign_public_ip = var.network.assign_public_ip
        }
      }
    }

    # These cover the start of a task, or the sending of a message, alone. A task that starts and fails is reported by an ECS
    # event. No start is so late that it would come after the look at the month.
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
      condition     = each.value.via == "queue" ? true : length(local.overrides[each.key]) <= 8192
      error_message = "The request of the schedule `${each.key}` is too long: ECS takes 8192 characters of a task's command. Mark accounts with `default` rather than naming so many."
    }

    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
    precondition {
      condition     = each.value.via == "task" ? true : length(local.messages[each.key]) <= 262144
      error_message = "The request of the schedule `${each.key}` is too long: a message has 262144 characters. Mark accounts with `default` rather than naming so many."
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
  name                 = "${coalesce(var.role_prefix, "${var.name}-")}scheduler"
  path                 = var.role_path
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
        Resource  = concat([for task in local.tasks : task.role_arn], [var.role_arns.execution])
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid      = "KeepWhatCouldNotBeStarted"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.unstarted.arn
      },
      ], length(local.queues_of_messages) == 0 ? [] : [{
        Sid      = "SendRequests"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = [for queue in local.queues_of_messages : var.queues[queue].arn]
        }], var.kms_key_arn == null ? [] : [{
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
    }])
  })
}
