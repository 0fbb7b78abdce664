mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "999999999999" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:999999999999:fleet-alarms" }
  }

  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-1:999999999999:alarm:mock" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:999999999999:log-group:mock" }
  }
}

variables {
  name              = "fleet"
  metrics_namespace = "cloudwatch-fleet/fleet"

  queues = {
    jobs         = "fleet-jobs"
    dead_letters = "fleet-jobs-dead"
    unstarted    = "fleet-unstarted"
  }

  cluster = {
    name = "fleet"
    arn  = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"
  }

  families = {
    worker   = "fleet-worker"
    producer = "fleet-producer"
    status   = "fleet-status"
  }
}

run "queues_that_need_somebody_raise_an_alarm" {
  command = plan

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.queue :
      name => "${alarm.metric_name} ${alarm.dimensions.QueueName} ${alarm.comparison_operator} ${alarm.threshold} ${alarm.treat_missing_data}"
      } == {
      dead-letters = "ApproximateNumberOfMessagesVisible fleet-jobs-dead GreaterThanOrEqualToThreshold 1 notBreaching"
      oldest-job   = "ApproximateAgeOfOldestMessage fleet-jobs GreaterThanOrEqualToThreshold 21600 notBreaching"
      unstarted    = "ApproximateNumberOfMessagesVisible fleet-unstarted GreaterThanOrEqualToThreshold 1 notBreaching"
    }
    error_message = "The alarms are otherwise."
  }
}

# One that needs a task to tell that there is none would never go off, and a sum has no point where one operand has none.
run "jobs_that_no_worker_does_raise_an_alarm_within_half_an_hour" {
  command = plan

  assert {
    condition = (
      one([for query in aws_cloudwatch_metric_alarm.no_workers.metric_query : query.expression if query.return_data == true])
      == "IF(FILL(running, 0) < 1, waiting + FILL(in_flight, 0), 0)"
    )
    error_message = "The alarm adds or compares a metric that may have no point, or something else."
  }

  assert {
    condition = toset(flatten([
      for query in aws_cloudwatch_metric_alarm.no_workers.metric_query : [
        for metric in query.metric :
        "${query.id} ${metric.namespace} ${metric.metric_name} ${metric.stat} ${metric.period} ${jsonencode(metric.dimensions)}"
      ]
      ])) == toset([
      "waiting AWS/SQS ApproximateNumberOfMessagesVisible Maximum 300 {\"QueueName\":\"fleet-jobs\"}",
      "in_flight AWS/SQS ApproximateNumberOfMessagesNotVisible Maximum 300 {\"QueueName\":\"fleet-jobs\"}",
      "running AWS/ECS CPUUtilization SampleCount 300 {\"ClusterName\":\"fleet\",\"ServiceName\":\"fleet-worker\"}",
    ])
    error_message = "The alarm looks at something else: ${jsonencode(aws_cloudwatch_metric_alarm.no_workers.metric_query)}"
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.no_workers.evaluation_periods == 6 &&
      aws_cloudwatch_metric_alarm.no_workers.comparison_operator == "GreaterThanOrEqualToThreshold" &&
      aws_cloudwatch_metric_alarm.no_workers.threshold == 1 &&
      aws_cloudwatch_metric_alarm.no_workers.treat_missing_data == "notBreaching"
    )
    error_message = "It goes off too early or too late, or while the queue sleeps."
  }
}

run "a_service_that_can_create_no_task_is_reported" {
  command = plan

  assert {
    condition = {
      for name, rule in aws_cloudwatch_event_rule.service : name => jsondecode(rule.event_pattern)
      } == {
      service-impaired = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Service Action"]
        resources     = ["arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker"]
        detail        = { clusterArn = ["arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"], eventType = ["WARN", "ERROR"] }
      }
      deployment-failed = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Deployment State Change"]
        resources     = ["arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker"]
        detail        = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
      }
    }
    error_message = "The rules match otherwise: ${jsonencode([for rule in aws_cloudwatch_event_rule.service : rule.event_pattern])}"
  }

  assert {
    condition = alltrue([
      for name, rule in aws_cloudwatch_event_rule.service :
      aws_cloudwatch_event_target.log[name].rule == rule.name && aws_cloudwatch_event_target.topic[name].rule == rule.name
    ])
    error_message = "A rule reports to neither topic nor log."
  }
}

run "tasks_that_end_badly_raise_an_alarm" {
  command = plan

  assert {
    condition = {
      for name, rule in aws_cloudwatch_event_rule.task : name => jsondecode(rule.event_pattern)
      } == {
      producer-failed = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Task State Change"]
        detail = {
          clusterArn = ["arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"]
          lastStatus = ["STOPPED"]
          group      = ["family:fleet-producer", "family:fleet-status"]
          "$or"      = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["producer"], exitCode = [{ "anything-but" = [0, 3] }] } }]
        }
      }
      run-incomplete = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Task State Change"]
        detail = {
          clusterArn = ["arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"]
          lastStatus = ["STOPPED"]
          group      = ["family:fleet-producer", "family:fleet-status"]
          containers = { name = ["producer"], exitCode = [3] }
        }
      }
      workers-failing = {
        source        = ["aws.ecs"]
        "detail-type" = ["ECS Task State Change"]
        detail = {
          clusterArn = ["arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"]
          lastStatus = ["STOPPED"]
          group      = ["service:fleet-worker"]
          "$or"      = [{ stopCode = ["TaskFailedToStart"] }, { containers = { name = ["worker"], exitCode = [{ "anything-but" = [0] }] } }]
        }
      }
    }
    error_message = "The rules match otherwise: ${jsonencode([for rule in aws_cloudwatch_event_rule.task : rule.event_pattern])}"
  }

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.task :
      name => "${alarm.namespace} ${alarm.metric_name} ${alarm.dimensions.RuleName} ${alarm.threshold}"
      } == {
      producer-failed = "AWS/Events TriggeredRules fleet-producer-failed 1"
      run-incomplete  = "AWS/Events TriggeredRules fleet-run-incomplete 1"
      workers-failing = "AWS/Events TriggeredRules fleet-workers-failing 3"
    }
    error_message = "The alarms are otherwise."
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.log : target.arn == "arn:aws:logs:eu-west-1:999999999999:log-group:mock"]) && length(aws_cloudwatch_event_target.log) == 5
    error_message = "Why a task stopped is not kept."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_log_resource_policy.stopped[0].policy_document).Statement == [
      {
        Sid       = "BeginStreams"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:CreateLogStream"
        Resource  = "arn:aws:logs:eu-west-1:999999999999:log-group:mock:*"
      },
      {
        Sid       = "KeepWhyTasksStopped"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:PutLogEvents"
        Resource  = "arn:aws:logs:eu-west-1:999999999999:log-group:mock:*"
        Condition = { StringEquals = { "aws:SourceAccount" = "999999999999" } }
      },
    ]
    error_message = "Another service or account writes that log: ${aws_cloudwatch_log_resource_policy.stopped[0].policy_document}"
  }

  # One worker's end is nobody's concern, so its rule tells nobody. And jsonencode() would write the event's place as
  # an escape.
  assert {
    condition = keys(aws_cloudwatch_event_target.topic) == ["deployment-failed", "producer-failed", "run-incomplete", "service-impaired"] && alltrue([
      for target in aws_cloudwatch_event_target.topic :
      can(jsondecode(replace(target.input_transformer[0].input_template, "<aws.events.event.json>", "{}")).what)
      && strcontains(target.input_transformer[0].input_template, "\"event\": <aws.events.event.json>")
    ])
    error_message = "A notification is no JSON, or does not have the event in it."
  }
}

run "an_account_without_a_log_resource_policy_to_spare_has_the_events_mailed_alone" {
  command = plan

  variables {
    log_stopped = false
  }

  assert {
    condition = (
      length(aws_cloudwatch_log_resource_policy.stopped) + length(aws_cloudwatch_log_group.stopped) + length(aws_cloudwatch_event_target.log) == 0 &&
      length(aws_cloudwatch_event_target.topic) == 4 && output.stopped_log_group == null
    )
    error_message = "A log resource policy is made, or an event is not mailed."
  }
}

run "all_alarms_are_sent_to_the_topic" {
  command = plan

  variables {
    alarm_emails = ["finops@example.com"]
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.queue), values(aws_cloudwatch_metric_alarm.task), [aws_cloudwatch_metric_alarm.no_workers]) :
      toset(alarm.alarm_actions) == toset(["arn:aws:sns:eu-west-1:999999999999:fleet-alarms"])
    ])
    error_message = "An alarm tells nobody."
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.topic : target.arn == "arn:aws:sns:eu-west-1:999999999999:fleet-alarms"])
    error_message = "A rule tells nobody."
  }

  assert {
    condition     = [for subscription in aws_sns_topic_subscription.email : "${subscription.protocol} ${subscription.endpoint}"] == ["email finops@example.com"]
    error_message = "The address is not written to."
  }
}

run "only_alarms_of_this_deployment_and_rules_use_the_topic" {
  command = plan

  assert {
    condition = jsondecode(aws_sns_topic_policy.alarms.policy).Statement == [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-west-1:999999999999:fleet-alarms"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "999999999999" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-west-1:999999999999:alarm:fleet-*" }
        }
      },
      {
        Sid       = "Events"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-west-1:999999999999:fleet-alarms"
      },
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-west-1:999999999999:fleet-alarms"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
    error_message = "Somebody else can use the topic: ${aws_sns_topic_policy.alarms.policy}"
  }
}

run "the_dashboard_shows_the_workers_own_figures" {
  command = plan

  assert {
    condition = toset(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) : metric[1] if metric[0] == "cloudwatch-fleet/fleet"
      ]
    ])) == toset(["Jobs", "Duration", "ApiCalls", "MetricsRequested", "EstimatedCost", "Rows"])
    error_message = "The dashboard leaves one of the workers' own figures out."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms) == 7
    error_message = "The dashboard leaves an alarm out."
  }
}

run "logs_are_kept_for_a_while" {
  command = plan

  assert {
    condition     = { for name, group in aws_cloudwatch_log_group.this : group.name => group.retention_in_days } == { "/fleet/worker" = 90, "/fleet/producer" = 90 }
    error_message = "Logs are kept for ever, or lie elsewhere."
  }
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name               = "Fleet"
    alarm_emails       = ["finops"]
    log_retention_days = 31
    oldest_job_hours   = 97
  }

  expect_failures = [var.name, var.alarm_emails, var.log_retention_days, var.oldest_job_hours]
}
