# SPDX-License-Identifier: Apache-2.0
# Schedules that send something every few minutes: an alarm if nothing comes of it, whatever the reason is. Each settled job is a line of
# the workers' log with its dataset and its outcome, and a filter counts the complete ones; no line at all is as bad as none that matches.

locals {
  # A request names datasets or groups of them; what is neither is a dataset of the configuration file.
  datasets_of = {
    for name, schedule in var.watched : name => concat(
      [for dataset in local.all_datasets : dataset.name if contains(schedule.datasets, dataset.name) || contains(schedule.datasets, dataset.group)],
      tolist(setsubtract(schedule.datasets, flatten([for dataset in local.all_datasets : [dataset.name, dataset.group]]))),
    )
  }

  patterns = {
    for name, datasets in local.datasets_of :
    name => "{ ($.Outcome = \"complete\") && (${join(" || ", [for dataset in datasets : "($.dataset = \"${dataset}\")"])}) }"
  }
}

resource "aws_cloudwatch_log_metric_filter" "completed" {
  for_each = var.watched

  name           = "${var.name}-${each.key}-completed"
  log_group_name = aws_cloudwatch_log_group.this["worker"].name
  pattern        = local.patterns[each.key]

  metric_transformation {
    namespace = var.metrics_namespace
    name      = "${each.key}-completed"
    value     = "1"
    unit      = "Count"
  }

  lifecycle {
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
    precondition {
      condition     = length(local.patterns[each.key]) <= 1024
      error_message = "The request of the schedule `${each.key}` is of ${length(local.datasets_of[each.key])} datasets, more than a metric filter has room for (1024 characters): make a schedule for each group of them, or leave stale_after_minutes out."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "stale" {
  for_each = var.watched

  alarm_name          = "${var.name}-${each.key}-stale"
  alarm_description   = "For ${each.value.minutes} minutes no window of ${join(", ", each.value.datasets)} was completed, which the schedule ${each.key} of ${var.name} asks for. Look for messages that wait or are dead letters (`producer failed`), whether workers run, and at what they log in ${aws_cloudwatch_log_group.this["worker"].name}."
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  namespace           = var.metrics_namespace
  metric_name         = aws_cloudwatch_log_metric_filter.completed[each.key].metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"

  # An alarm looks back one day by periods of minutes, and seven by those of an hour.
  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
  period             = each.value.minutes <= 1440 ? 60 : 3600
  evaluation_periods = each.value.minutes <= 1440 ? each.value.minutes : ceil(each.value.minutes / 60)
}
