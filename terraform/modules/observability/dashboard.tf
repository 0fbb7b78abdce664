# SPDX-License-Identifier: Apache-2.0
# One page that answers: is it done, is it stuck, what did it cost. The workers' own figures come out of their log lines
# (embedded metric format), so no agent collects them.

locals {
  all_datasets = jsondecode(file("${path.module}/../../datasets.json")).datasets
  datasets     = local.all_datasets[*].name

  # Of one queue or one fleet there is nothing to tell apart.
  queue_label = { for name in keys(var.queues) : name => length(var.queues) == 1 ? "" : "${name}: " }
  fleet_label = { for name in keys(var.fleets) : name => length(var.fleets) == 1 ? "" : "${name}: " }

  outcomes = ["complete", "partial", "duplicate", "put_off", "given_back", "left", "dead_letter", "own_fault"]
  colours = {
    complete    = "#2ca02c"
    partial     = "#bcbd22"
    duplicate   = "#98df8a"
    put_off     = "#1f77b4"
    given_back  = "#aec7e8"
    left        = "#c7c7c7"
    dead_letter = "#d62728"
    own_fault   = "#8c1d1d"
  }

  alarm_arns = concat(
    [for alarm in aws_cloudwatch_metric_alarm.queue : alarm.arn],
    [for alarm in aws_cloudwatch_metric_alarm.ecs : alarm.arn],
    [for alarm in aws_cloudwatch_metric_alarm.no_progress : alarm.arn],
    [for alarm in aws_cloudwatch_metric_alarm.stale : alarm.arn],
  )

  graphs = [
    {
      title = "Jobs that wait, and in flight"
      stat  = "Maximum"
      metrics = concat([
        for name, queue in var.queues : [
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.jobs, { label = "${local.queue_label[name]}waiting" }],
          ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", queue.jobs, { label = "${local.queue_label[name]}in flight" }],
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.dead_letters, { label = "${local.queue_label[name]}dead letters", color = local.colours.dead_letter }],
        ]
      ]...)
    },
    {
      title = "Age of the oldest job (s)"
      stat  = "Maximum"
      metrics = [
        for name, queue in var.queues :
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue.jobs, { label = "${local.queue_label[name]}oldest job" }]
      ]
    },
    {
      title   = "Jobs by outcome"
      stat    = "Sum"
      stacked = true
      metrics = [
        for outcome in local.outcomes :
        [var.metrics_namespace, "Jobs", "Outcome", outcome, { label = outcome, color = local.colours[outcome] }]
      ]
    },
    {
      title = "Duration of a complete job (ms)"
      stat  = "p50"
      metrics = [
        [var.metrics_namespace, "Duration", "Outcome", "complete", { label = "p50", stat = "p50" }],
        [var.metrics_namespace, "Duration", "Outcome", "complete", { label = "p95", stat = "p95" }],
        [var.metrics_namespace, "Duration", "Outcome", "complete", { label = "longest", stat = "Maximum" }],
      ]
    },
    {
      title = "API calls, and metrics asked for"
      stat  = "Sum"
      metrics = concat(
        [for name in local.datasets : [var.metrics_namespace, "ApiCalls", "Dataset", name, { label = "${name}: calls" }]],
        [for name in local.datasets : [var.metrics_namespace, "MetricsRequested", "Dataset", name, { label = "${name}: metrics", yAxis = "right" }]],
      )
    },
    {
      title   = "Dollars spent on GetMetricData"
      stat    = "Sum"
      metrics = [for name in local.datasets : [var.metrics_namespace, "EstimatedCost", "Dataset", name, { label = name }]]
    },
    {
      title   = "Rows written"
      stat    = "Sum"
      metrics = [for name in local.datasets : [var.metrics_namespace, "Rows", "Dataset", name, { label = name }]]
    },
    {
      title = "Workers: share of CPU and memory (%)"
      stat  = "Maximum"
      metrics = concat([
        for name, fleet in var.fleets : [
          ["AWS/ECS", "CPUUtilization", "ClusterName", var.cluster.name, "ServiceName", fleet.service, { label = "${local.fleet_label[name]}CPU" }],
          ["AWS/ECS", "MemoryUtilization", "ClusterName", var.cluster.name, "ServiceName", fleet.service, { label = "${local.fleet_label[name]}memory" }],
        ]
      ]...)
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type       = "alarm"
        x          = 0
        y          = 0
        width      = 24
        height     = 2
        properties = { title = "Alarms", alarms = local.alarm_arns }
      }],
      [
        for index, graph in local.graphs : {
          type   = "metric"
          x      = index % 2 * 12
          y      = 2 + floor(index / 2) * 6
          width  = 12
          height = 6
          properties = {
            title   = graph.title
            region  = data.aws_region.current.id
            view    = "timeSeries"
            stacked = try(graph.stacked, false)
            stat    = graph.stat
            period  = 300
            metrics = graph.metrics
          }
        }
      ],
      [{
        type   = "log"
        x      = 0
        y      = 2 + ceil(length(local.graphs) / 2) * 6
        width  = 24
        height = 8
        properties = {
          title  = "What went wrong"
          region = data.aws_region.current.id
          view   = "table"
          query = join("\n", [
            "SOURCE '${aws_cloudwatch_log_group.this["worker"].name}' | SOURCE '${aws_cloudwatch_log_group.this["producer"].name}'",
            "| fields @timestamp, level, coalesce(span.account_name, account_name) as account, reason, step, coalesce(message, @message) as what",
            # A program's error output is not JSON.
            "| filter level in ['ERROR', 'WARN'] or @message like /^error/",
            "| sort @timestamp desc | limit 50",
          ])
        }
      }],
    )
  })
}
