# What wakes somebody. Each alarm says what to do first.

locals {
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
  # on a month that is not complete, all else but 0 a fault. The container is named, since AWS may put others beside it.
  of_task = {
    producer-failed = {
      who         = { group = ["family:${var.families.producer}", "family:${var.families.status}"] }
      ends        = { "$or" = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["producer"], exitCode = [{ "anything-but" = [0, 3] }] } }] }
      times       = 1
      description = "A task of the producer of ${var.name} did not start, or failed. Its log is in ${aws_cloudwatch_log_group.this["producer"].name}, why it did not start in ${aws_cloudwatch_log_group.stopped.name}; start it by hand once that is mended (output backfill_command)."
    }
    run-incomplete = {
      who         = { group = ["family:${var.families.producer}", "family:${var.families.status}"] }
      ends        = { containers = { name = ["producer"], exitCode = [3] } }
      times       = 1
      description = "The month of ${var.name} is not complete. `producer status --this-month --failed-only` tells which accounts are failed, partial or missing."
    }
    # One worker may be killed at any time, and ends with 0 where it is told to stop; one that can't work leaves again
    # and again. `worker check` by hand is none of the service's.
    workers-failing = {
      who         = { group = ["service:${var.families.worker}"] }
      ends        = { "$or" = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["worker"], exitCode = [{ "anything-but" = [0] }] } }] }
      times       = 3
      description = "Workers of ${var.name} leave with a fault of their own. What is missing is the last line in ${aws_cloudwatch_log_group.this["worker"].name}, why one did not start in ${aws_cloudwatch_log_group.stopped.name}; no job is lost."
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

# Every such event is kept.
resource "aws_cloudwatch_event_target" "log" {
  for_each = local.of_task

  rule = aws_cloudwatch_event_rule.task[each.key].name
  arn  = aws_cloudwatch_log_group.stopped.arn
}

# Where one task matters, its rule also tells at once what stopped and why; the alarm is what a dashboard and a pager
# understand. The event goes out whole: EventBridge does not escape what it takes out of one, and a reason with a quote in
# it would be no JSON.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
resource "aws_cloudwatch_event_target" "topic" {
  for_each = { for name, task in local.of_task : name => task if task.times == 1 }

  rule = aws_cloudwatch_event_rule.task[each.key].name
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
