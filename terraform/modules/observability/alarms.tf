# What an operator is told. Each alarm says what to do first.

locals {
  # Where the reason of a stop is to be found.
  reasons = var.log_stopped ? aws_cloudwatch_log_group.stopped[0].name : "the task itself, for an hour (aws ecs describe-tasks)"

  # arn:PARTITION:ecs:REGION:ACCOUNT:service/CLUSTER/NAME
  service_arn = "${replace(var.cluster.arn, ":cluster/", ":service/")}/${var.families.worker}"

  of_queue = {
    dead-letters = {
      queue       = var.queues.dead_letters
      metric      = "ApproximateNumberOfMessagesVisible"
      threshold   = 1
      description = "Accounts of ${var.name} could not be collected. `producer failed` tells which, why, and what to do; `producer replay` sends them again."
    }
    oldest-job = {
      queue       = var.queues.jobs
      metric      = "ApproximateAgeOfOldestMessage"
      threshold   = var.oldest_job_hours * 60 * 60
      description = "A job of ${var.name} has waited for ${var.oldest_job_hours} hours. Look whether workers run, and what they log in ${aws_cloudwatch_log_group.this["worker"].name}; jobs are lost after four days."
    }
    unstarted = {
      queue       = var.queues.unstarted
      metric      = "ApproximateNumberOfMessagesVisible"
      threshold   = 1
      description = "The schedule of ${var.name} could not start a task. The message on ${var.queues.unstarted} says why (aws sqs receive-message --message-attribute-names All, with the output queue.unstarted_url); start it by hand then (output backfill_command), and purge that queue."
    }
  }

  # The tasks that ended otherwise than they should. The exit status of a program is its message: 3 is `producer status`
  # on a month that is not complete and settled, all else but 0 a fault. The container is named, since AWS may put others beside it.
  of_task = {
    producer-failed = {
      who         = { group = ["family:${var.families.producer}", "family:${var.families.status}"] }
      ends        = { "$or" = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["producer"], exitCode = [{ "anything-but" = [0, 3] }] } }] }
      times       = 1
      description = "A task of the producer of ${var.name} did not start, or failed. Its log is in ${aws_cloudwatch_log_group.this["producer"].name}, why it did not start in ${local.reasons}; start it by hand once that is mended (output backfill_command)."
    }
    run-incomplete = {
      who         = { group = ["family:${var.families.producer}", "family:${var.families.status}"] }
      ends        = { containers = { name = ["producer"], exitCode = [3] } }
      times       = 1
      description = "The month of ${var.name} is not complete, or not settled. `producer status --this-month --settled --failed-only` tells which accounts are failed, partial, missing or provisional."
    }
    # One worker may be killed at any time, and ends with 0 where it is told to stop; one that can't work leaves again
    # and again. `worker check` by hand is none of the service's.
    workers-failing = {
      who         = { group = ["service:${var.families.worker}"] }
      ends        = { "$or" = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["worker"], exitCode = [{ "anything-but" = [0] }] } }] }
      times       = 3
      description = "Workers of ${var.name} leave with a fault of their own. What is missing is the last line in ${aws_cloudwatch_log_group.this["worker"].name}, why one did not start in ${local.reasons}; no job is lost."
    }
  }

  of_service = {
    service-impaired = {
      type        = "ECS Service Action"
      detail      = { clusterArn = [var.cluster.arn], eventType = ["WARN", "ERROR"] }
      description = "ECS can't start workers of ${var.name}, or not always: its role, the subnets' addresses, the quota of vCPUs, or the way to the image. The event's name and reason say which."
    }
    deployment-failed = {
      type        = "ECS Deployment State Change"
      detail      = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
      description = "A deployment of the workers of ${var.name} failed, and ECS went back to the revision before it: look whether the image is there under its tag, and what the new workers logged in ${aws_cloudwatch_log_group.this["worker"].name}."
    }
  }

  rules = merge(
    { for name, rule in aws_cloudwatch_event_rule.task : name => rule },
    { for name, rule in aws_cloudwatch_event_rule.service : name => rule },
  )
}

# There are jobs, and for half an hour no task ran: what `oldest-job` would say after hours, and never of a job that was received
# three times. Each task of the service gives samples of its CPU each minute, for nothing, and no task gives none.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
resource "aws_cloudwatch_metric_alarm" "no_workers" {
  alarm_name          = "${var.name}-no-workers"
  alarm_description   = "There are jobs of ${var.name}, and for half an hour no worker ran. Why ECS can start none is in ${local.reasons} and in the service's events (aws ecs describe-services --cluster ${var.cluster.name} --services ${var.families.worker}); no job is lost for four days."
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 6
  treat_missing_data  = "notBreaching" # SQS says nothing of a queue that was idle for six hours

  metric_query {
    id          = "left_alone"
    expression  = "IF(FILL(running, 0) < 1, waiting + FILL(in_flight, 0), 0)"
    label       = "Jobs while no worker runs"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      waiting   = "ApproximateNumberOfMessagesVisible"
      in_flight = "ApproximateNumberOfMessagesNotVisible"
    }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = var.queues.jobs }
        stat        = "Maximum"
        period      = 300
      }
    }
  }

  metric_query {
    id = "running"

    metric {
      namespace   = "AWS/ECS"
      metric_name = "CPUUtilization"
      dimensions  = { ClusterName = var.cluster.name, ServiceName = var.families.worker }
      stat        = "SampleCount"
      period      = 300
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each = local.of_queue

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching" # SQS says nothing of a queue that was idle for six hours
}

resource "aws_cloudwatch_event_rule" "task" {
  for_each = local.of_task

  name        = "${var.name}-${each.key}"
  description = each.value.description

  event_pattern = jsonencode({
    source        = ["aws.ecs"]
    "detail-type" = ["ECS Task State Change"]
    detail = merge({
      clusterArn = [var.cluster.arn]
      lastStatus = ["STOPPED"]
    }, each.value.who, each.value.ends)
  })
}

# What ECS says of the service itself: a task that can't even be created has no state that could change.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
resource "aws_cloudwatch_event_rule" "service" {
  for_each = local.of_service

  name        = "${var.name}-${each.key}"
  description = each.value.description

  event_pattern = jsonencode({
    source        = ["aws.ecs"]
    "detail-type" = [each.value.type]
    resources     = [local.service_arn]
    detail        = each.value.detail
  })
}

# Every such event is kept, unless that is switched off.
resource "aws_cloudwatch_event_target" "log" {
  for_each = { for name, rule in local.rules : name => rule if var.log_stopped }

  rule = each.value.name
  arn  = aws_cloudwatch_log_group.stopped[0].arn
}

# If one event matters, its rule also sends at once what happened and why; the alarm is what a dashboard and a pager
# understand. The event goes out whole: EventBridge does not escape what it takes out of one, and a reason with a quote in
# it would be no JSON.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
resource "aws_cloudwatch_event_target" "topic" {
  for_each = { for name, rule in local.rules : name => rule if try(local.of_task[name].times, 1) == 1 }

  rule = each.value.name
  arn  = aws_sns_topic.alarms.arn

  input_transformer {
    # Not by jsonencode() as a whole, which would write `<` as an escape.
    input_template = "{\"what\": ${jsonencode(each.value.description)}, \"event\": <aws.events.event.json>}"
  }
}

resource "aws_cloudwatch_metric_alarm" "task" {
  for_each = local.of_task

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  alarm_actions       = [aws_sns_topic.alarms.arn]
  namespace           = "AWS/Events"
  metric_name         = "TriggeredRules"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.task[each.key].name }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.times
  treat_missing_data  = "notBreaching" # the metric is there only when the rule matched
}
