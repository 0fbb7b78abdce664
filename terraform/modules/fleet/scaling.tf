# SPDX-License-Identifier: Apache-2.0
# From no worker to `max_workers` by the backlog: the jobs that wait, and those in flight, so that no worker is taken away
# whose job is not done.
#
# The number of workers is set outright (ExactCapacity) and not by target tracking on the backlog for each worker. That
# would need to know how many run, which ECS reports only through Container Insights, and if none runs it would divide
# by nothing and never start the first.
# https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html

locals {
  # A policy has at most twenty steps, so a large fleet grows by ever more workers at a time; from one on in any case.
  levels = var.max_workers <= 20 ? range(1, var.max_workers + 1) : distinct(concat(
    [for step in range(19) : floor(pow(var.max_workers, step / 19))],
    [var.max_workers],
  ))

  scalings = {
    scale-to-backlog = {
      when       = "There are jobs"
      comparison = "GreaterThanOrEqualToThreshold"
      minutes    = 1

      # Bounds are counted from the alarm's threshold, which is one job.
      steps = [
        for step, workers in local.levels : {
          workers = workers
          from    = (workers - 1) * var.jobs_per_worker
          to      = try((local.levels[step + 1] - 1) * var.jobs_per_worker, null)
        }
      ]
    }

    scale-to-zero = {
      when       = "There has been no job for ten minutes"
      comparison = "LessThanThreshold"
      minutes    = 10
      steps      = [{ workers = var.min_workers, from = null, to = 0 }]
    }
  }
}

resource "aws_appautoscaling_target" "workers" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster.name}/${aws_ecs_service.worker.name}"
  min_capacity       = var.min_workers
  max_capacity       = var.max_workers
}

resource "aws_appautoscaling_policy" "workers" {
  for_each = local.scalings

  name               = "${local.prefix}-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.workers.service_namespace
  scalable_dimension = aws_appautoscaling_target.workers.scalable_dimension
  resource_id        = aws_appautoscaling_target.workers.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 60

    dynamic "step_adjustment" {
      for_each = each.value.steps

      content {
        scaling_adjustment          = step_adjustment.value.workers
        metric_interval_lower_bound = step_adjustment.value.from
        metric_interval_upper_bound = step_adjustment.value.to
      }
    }
  }
}

# A scaling alarm takes effect in each minute in which it is active, so the fleet follows the backlog down as well.
resource "aws_cloudwatch_metric_alarm" "workers" {
  for_each = local.scalings

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = "${each.value.when}: sets the number of workers of ${local.prefix}. It is no fault."
  alarm_actions       = [aws_appautoscaling_policy.workers[each.key].arn]
  comparison_operator = each.value.comparison
  threshold           = 1
  evaluation_periods  = each.value.minutes
  treat_missing_data  = "missing" # SQS has no metrics of a queue that was idle for six hours

  # AWS reports the number in flight "if in-flight messages exist", and a sum has no point where one operand has none. The
  # number that wait stays bare, so that a sleeping queue gives no point.
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
  metric_query {
    id          = "backlog"
    expression  = "waiting + FILL(in_flight, 0)"
    label       = "Jobs that wait or are in flight"
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
        dimensions  = { QueueName = var.queue_name }
        stat        = "Maximum"
        period      = 60
      }
    }
  }
}
