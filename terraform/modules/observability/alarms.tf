# SPDX-License-Identifier: Apache-2.0
# The operator's alarms. Each description starts with what to do first.

locals {
  # Where ECS's reason is to be found.
  reasons = var.log_stopped ? aws_cloudwatch_log_group.stopped[0].name : "the task itself, for an hour (aws ecs describe-tasks)"
  service_reasons = {
    for name, fleet in var.fleets : name =>
    var.log_stopped ? aws_cloudwatch_log_group.stopped[0].name : "the service's events (aws ecs describe-services --cluster ${var.cluster.name} --services ${fleet.service})"
  }

  # The fleets of each queue, as people are told where to look.
  queue_reasons = {
    for name in keys(var.queues) : name => join(" and ", distinct([for fleet in keys(var.fleets) : local.service_reasons[fleet] if var.fleets[fleet].queue == name]))
  }

  # Before the names of alarms, but for those of the first queue and the first fleet.
  queue_prefix = { for name in keys(var.queues) : name => name == "jobs" ? "" : "${name}-" }
  fleet_prefix = { for name in keys(var.fleets) : name => name == "worker" ? "" : "${name}-" }

  # How long a job may wait: a queue that keeps none for so long has half of what it keeps.
  oldest_job_minutes = {
    for name, queue in var.queues : name => coalesce(queue.oldest_job_minutes, min(var.oldest_job_hours * 60, queue.retention_hours * 30))
  }

  of_queue = merge(
    {
      for name, queue in var.queues : "${local.queue_prefix[name]}dead-letters" => {
        queue       = queue.dead_letters
        metric      = "ApproximateNumberOfMessagesVisible"
        threshold   = 1
        description = "Accounts of ${var.name} could not be collected. `producer failed` shows which, why, and what to do; `producer replay` sends them again.${name == "jobs" ? "" : " The queue is ${queue.dead_letters}: give both the FLEET_QUEUE_URL of ${queue.jobs} (output queues)."}"
      }
    },
    {
      for name, queue in var.queues : "${local.queue_prefix[name]}oldest-job" => {
        queue       = queue.jobs
        metric      = "ApproximateAgeOfOldestMessage"
        threshold   = local.oldest_job_minutes[name] * 60
        description = "A job of ${queue.jobs} has waited for ${local.oldest_job_minutes[name]} minutes. Look whether workers run, and what they log in ${aws_cloudwatch_log_group.this["worker"].name}; jobs are lost after ${queue.retention_hours} hours."
      }
    },
    { unstarted = {
      queue       = var.unstarted
      metric      = "ApproximateNumberOfMessagesVisible"
      threshold   = 1
      description = "The schedule of ${var.name} could not start a task, or send a message. The message on ${var.unstarted} says why (aws sqs receive-message --message-attribute-names All, with the output queue.unstarted_url); then start it manually (output backfill_command), and purge that queue."
    } },
  )

  # The tasks that ended otherwise than they should. The exit status of a program is its message: 3 is `producer status`
  # on a month that is not complete and settled, all else but 0 a fault. The container is named, since AWS may put others beside it.
  of_task = merge({
    producer-failed = {
      who         = { group = [for family in compact([var.families.producer, var.families.status, var.families.setup]) : "family:${family}"] }
      ends        = { "$or" = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["producer"], exitCode = [{ "anything-but" = [0, 3] }] } }] }
      description = "A task of the producer of ${var.name} did not start, or failed. Its log is in ${aws_cloudwatch_log_group.this["producer"].name}, why it did not start in ${local.reasons}; start it manually once that is fixed (output backfill_command${var.families.setup == null ? "" : ", or of setup_commands the sink's"})."
    }
    run-incomplete = {
      who         = { group = ["family:${var.families.producer}", "family:${var.families.status}"] }
      ends        = { containers = { name = ["producer"], exitCode = [3] } }
      description = "The month of ${var.name} is not complete, or not settled. `producer status --this-month --settled --failed-only` shows which accounts are failed, partial, missing or provisional."
    }
    }, {
    # One worker may be killed at any time, and ends with 0 if it is asked to stop; one that can't work exits again
    # and again. A manual `worker check` is not a task of the service.
    for name, fleet in var.fleets : "${local.fleet_prefix[name]}workers-failing" => {
      who         = { group = ["service:${fleet.service}"] }
      ends        = { "$or" = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["worker"], exitCode = [{ "anything-but" = [0] }] } }] }
      times       = 3
      description = "Workers of ${fleet.service} leave with a fault of their own. What is missing is the last line in ${aws_cloudwatch_log_group.this["worker"].name}, why one did not start in ${local.reasons}; no job is lost."
    }
  })

  # ECS's events of the service itself: a task that can't even be created has no state that could change.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
  of_service = merge([for name, fleet in var.fleets : {
    "${local.fleet_prefix[name]}service-impaired" = {
      service     = fleet.service
      type        = "ECS Service Action"
      detail      = { clusterArn = [var.cluster.arn], eventType = ["WARN", "ERROR"] }
      description = "ECS can't start workers of ${fleet.service}, or not always: its role, the subnets' addresses, the quota of vCPUs, or the way to the image. Which one is in ${local.service_reasons[name]}."
    }
    "${local.fleet_prefix[name]}deployment-failed" = {
      service     = fleet.service
      type        = "ECS Deployment State Change"
      detail      = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
      description = "A deployment of the workers of ${fleet.service} failed, and ECS went back to the revision before it: look whether the image is there, and what the new workers logged in ${aws_cloudwatch_log_group.this["worker"].name}; ECS's reason is in ${local.service_reasons[name]}."
    }
  }]...)

  events = merge(
    {
      for name, event in local.of_task : name => {
        description = event.description
        times       = try(event.times, 1)
        pattern = {
          source        = ["aws.ecs"]
          "detail-type" = ["ECS Task State Change"]
          detail        = merge({ clusterArn = [var.cluster.arn], lastStatus = ["STOPPED"] }, event.who, event.ends)
        }
      }
    },
    {
      for name, event in local.of_service : name => {
        description = event.description
        times       = 1
        pattern = {
          source        = ["aws.ecs"]
          "detail-type" = [event.type]
          # arn:PARTITION:ecs:REGION:ACCOUNT:service/CLUSTER/NAME
          resources = ["${replace(var.cluster.arn, ":cluster/", ":service/")}/${event.service}"]
          detail    = event.detail
        }
      }
    },
  )
}

# Jobs wait, and none was done for half an hour: no worker can start, those that run have a fault or hang, or all that they ask for
# is denied. `oldest-job` would report it after hours, and never for a job that was received three times. No job takes half an hour.
resource "aws_cloudwatch_metric_alarm" "no_progress" {
  for_each = var.queues

  alarm_name          = "${var.name}-${local.queue_prefix[each.key]}no-progress"
  alarm_description   = "Jobs of ${each.value.jobs} wait, and for half an hour none was done. If no worker runs, why is in ${local.queue_reasons[each.key]}; if one does, look at what it logs in ${aws_cloudwatch_log_group.this["worker"].name}, and stop its task if that is nothing. No job is lost for ${each.value.retention_hours} hours."
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 6
  treat_missing_data  = "notBreaching" # SQS has no metrics of a queue that was idle for six hours

  metric_query {
    id          = "stuck"
    expression  = "IF(FILL(done, 0) < 1, waiting, 0)"
    label       = "Jobs that wait while none is done"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      waiting = { metric = "ApproximateNumberOfMessagesVisible", stat = "Maximum" }
      done    = { metric = "NumberOfMessagesDeleted", stat = "Sum" }
    }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value.metric
        dimensions  = { QueueName = each.value.jobs }
        stat        = metric_query.value.stat
        period      = 300
      }
    }
  }
}

# An alarm that is on is not sent again, so a second dead letter would be silent. These go off for an hour of each day, while
# there is something on the queue.
# https://aws.amazon.com/blogs/mt/enhance-cloudwatch-metrics-with-metric-math-functions/
resource "aws_cloudwatch_metric_alarm" "reminder" {
  for_each = { for name, queue in local.of_queue : name => queue if queue.metric == "ApproximateNumberOfMessagesVisible" }

  alarm_name          = "${var.name}-${each.key}-reminder"
  alarm_description   = "Still so, or more by now: ${each.value.description}"
  alarm_actions       = [local.topic_arn]
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "at_nine"
    expression  = "IF(HOUR(there) == 9, there, 0)"
    label       = "Messages at nine (UTC)"
    return_data = true
  }

  metric_query {
    id = "there"

    metric {
      namespace   = "AWS/SQS"
      metric_name = each.value.metric
      dimensions  = { QueueName = each.value.queue }
      stat        = "Maximum"
      period      = 300
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each = local.of_queue

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching" # SQS has no metrics of a queue that was idle for six hours
}

resource "aws_cloudwatch_event_rule" "ecs" {
  for_each = local.events

  name          = "${var.name}-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
}

# Every such event is kept, with its reason, unless that is switched off.
resource "aws_cloudwatch_event_target" "log" {
  for_each = var.log_stopped ? aws_cloudwatch_event_rule.ecs : {}

  rule = each.value.name
  arn  = aws_cloudwatch_log_group.stopped[0].arn
}

# Only the alarm is sent to people, not the event: one mail, and EventBridge needs no right to the topic.
resource "aws_cloudwatch_metric_alarm" "ecs" {
  for_each = local.events

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  alarm_actions       = [local.topic_arn]
  namespace           = "AWS/Events"
  metric_name         = "TriggeredRules"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.ecs[each.key].name }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.times
  treat_missing_data  = "notBreaching" # the metric is there only when the rule matched
}

moved {
  from = aws_cloudwatch_metric_alarm.no_progress
  to   = aws_cloudwatch_metric_alarm.no_progress["jobs"]
}

moved {
  from = aws_cloudwatch_event_rule.task
  to   = aws_cloudwatch_event_rule.ecs
}

moved {
  from = aws_cloudwatch_metric_alarm.task
  to   = aws_cloudwatch_metric_alarm.ecs
}
