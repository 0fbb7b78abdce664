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

  queues    = { jobs = { jobs = "fleet-jobs", dead_letters = "fleet-jobs-dead" } }
  fleets    = { worker = { service = "fleet-worker", queue = "jobs" } }
  unstarted = "fleet-unstarted"

  cluster = {
    name = "fleet"
    arn  = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"
  }

  families = {
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

# Also if no task ever ran, and if one runs and hangs.
run "jobs_of_which_none_is_done_raise_an_alarm_within_half_an_hour" {
  command = plan

  assert {
    condition = (
      one([for query in aws_cloudwatch_metric_alarm.no_progress["jobs"].metric_query : query.expression if query.return_data == true])
      == "IF(FILL(done, 0) < 1, waiting, 0)"
    )
    error_message = "The alarm compares a metric that may have no point, or something else."
  }

  assert {
    condition = toset(flatten([
      for query in aws_cloudwatch_metric_alarm.no_progress["jobs"].metric_query : [
        for metric in query.metric :
        "${query.id} ${metric.namespace} ${metric.metric_name} ${metric.stat} ${metric.period} ${jsonencode(metric.dimensions)}"
      ]
      ])) == toset([
      "waiting AWS/SQS ApproximateNumberOfMessagesVisible Maximum 300 {\"QueueName\":\"fleet-jobs\"}",
      "done AWS/SQS NumberOfMessagesDeleted Sum 300 {\"QueueName\":\"fleet-jobs\"}",
    ])
    error_message = "The alarm looks at something else: ${jsonencode(aws_cloudwatch_metric_alarm.no_progress["jobs"].metric_query)}"
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.no_progress["jobs"].evaluation_periods == 6 &&
      aws_cloudwatch_metric_alarm.no_progress["jobs"].comparison_operator == "GreaterThanOrEqualToThreshold" &&
      aws_cloudwatch_metric_alarm.no_progress["jobs"].threshold == 1 &&
      aws_cloudwatch_metric_alarm.no_progress["jobs"].treat_missing_data == "notBreaching"
    )
    error_message = "It goes off too early or too late, or while the queue sleeps."
  }
}

# An alarm that is on is not sent again.
run "what_lies_on_a_queue_for_people_is_reported_each_day" {
  command = plan

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.reminder : name => join(" ", [
        one([for query in alarm.metric_query : query.expression if query.return_data == true]),
        one(flatten([for query in alarm.metric_query : [for metric in query.metric : "${metric.metric_name} ${metric.dimensions.QueueName}"]])),
        alarm.threshold,
      ])
      } == {
      dead-letters = "IF(HOUR(there) == 9, there, 0) ApproximateNumberOfMessagesVisible fleet-jobs-dead 1"
      unstarted    = "IF(HOUR(there) == 9, there, 0) ApproximateNumberOfMessagesVisible fleet-unstarted 1"
    }
    error_message = "A second dead letter, or a second start that could not be made, is silent."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.reminder : length(coalesce(alarm.ok_actions, [])) == 0])
    error_message = "It is reported as over each day."
  }
}

run "a_service_that_can_create_no_task_raises_an_alarm" {
  command = plan

  assert {
    condition = {
      for name, rule in aws_cloudwatch_event_rule.ecs : name => jsondecode(rule.event_pattern) if contains(keys(local.of_service), name)
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
    error_message = "The rules match otherwise: ${jsonencode([for rule in aws_cloudwatch_event_rule.ecs : rule.event_pattern])}"
  }
}

run "tasks_that_end_badly_raise_an_alarm" {
  command = plan

  assert {
    condition = {
      for name, rule in aws_cloudwatch_event_rule.ecs : name => jsondecode(rule.event_pattern) if contains(keys(local.of_task), name)
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
    error_message = "The rules match otherwise: ${jsonencode([for rule in aws_cloudwatch_event_rule.ecs : rule.event_pattern])}"
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
}

run "each_event_is_sent_once_by_its_alarm_and_kept_in_the_log" {
  command = plan

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.ecs :
      name => "${alarm.namespace} ${alarm.metric_name} ${alarm.dimensions.RuleName} ${alarm.threshold}"
      } == {
      producer-failed   = "AWS/Events TriggeredRules fleet-producer-failed 1"
      run-incomplete    = "AWS/Events TriggeredRules fleet-run-incomplete 1"
      workers-failing   = "AWS/Events TriggeredRules fleet-workers-failing 3"
      service-impaired  = "AWS/Events TriggeredRules fleet-service-impaired 1"
      deployment-failed = "AWS/Events TriggeredRules fleet-deployment-failed 1"
    }
    error_message = "An event raises no alarm, or another one."
  }

  # The rules have no other target, and EventBridge has no right to the topic (below).
  assert {
    condition = {
      for name, target in aws_cloudwatch_event_target.log : target.rule => target.arn
    } == { for rule in aws_cloudwatch_event_rule.ecs : rule.name => "arn:aws:logs:eu-west-1:999999999999:log-group:mock" }
    error_message = "Why a task stopped is not kept."
  }
}

run "an_account_without_a_log_resource_policy_to_spare_has_the_alarms_alone" {
  command = plan

  variables {
    log_stopped = false
  }

  assert {
    condition = (
      length(aws_cloudwatch_log_resource_policy.stopped) + length(aws_cloudwatch_log_group.stopped) + length(aws_cloudwatch_event_target.log) == 0 &&
      length(aws_cloudwatch_metric_alarm.ecs) == 5 && output.stopped_log_group == null
    )
    error_message = "A log resource policy is made, or an event raises no alarm."
  }
}

run "all_alarms_are_sent_to_the_topic" {
  command = plan

  variables {
    alarm_emails = ["finops@example.com"]
    watched      = { ecs = { datasets = ["ecs"], minutes = 30 } }
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.queue), values(aws_cloudwatch_metric_alarm.ecs), values(aws_cloudwatch_metric_alarm.reminder),
        values(aws_cloudwatch_metric_alarm.no_progress), values(aws_cloudwatch_metric_alarm.stale),
      ) :
      toset(alarm.alarm_actions) == toset(["arn:aws:sns:eu-west-1:999999999999:fleet-alarms"])
    ])
    error_message = "An alarm tells nobody."
  }

  assert {
    condition     = [for subscription in aws_sns_topic_subscription.email : "${subscription.protocol} ${subscription.endpoint}"] == ["email finops@example.com"]
    error_message = "The address is not written to."
  }
}

run "a_dataset_of_the_configuration_file_is_watched_beside_a_group" {
  command = plan

  variables {
    watched = { own = { datasets = ["sqs", "ecs_forwarded"], minutes = 30 } }
  }

  assert {
    condition     = aws_cloudwatch_log_metric_filter.completed["own"].pattern == "{ ($.Outcome = \"complete\") && (($.dataset = \"sqs\") || ($.dataset = \"ecs_forwarded\")) }"
    error_message = "The pattern is ${aws_cloudwatch_log_metric_filter.completed["own"].pattern}"
  }
}

run "a_set_up_that_fails_is_a_task_of_the_producer_that_fails" {
  command = plan

  variables {
    families = { producer = "fleet-producer", status = "fleet-status", setup = "fleet-setup" }
  }

  assert {
    condition = {
      for name in ["producer-failed", "run-incomplete"] : name => jsondecode(aws_cloudwatch_event_rule.ecs[name].event_pattern).detail.group
      } == {
      producer-failed = ["family:fleet-producer", "family:fleet-status", "family:fleet-setup"]
      run-incomplete  = ["family:fleet-producer", "family:fleet-status"]
    }
    error_message = "The alarms are of other tasks."
  }

  assert {
    condition     = strcontains(local.of_task.producer-failed.description, "setup_commands")
    error_message = "It is not said how to set a sink up again: ${local.of_task.producer-failed.description}"
  }
}

run "only_alarms_of_this_deployment_use_the_topic" {
  command = plan

  assert {
    condition = jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement == [
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
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-west-1:999999999999:fleet-alarms"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
    error_message = "Somebody else can use the topic: ${aws_sns_topic_policy.alarms[0].policy}"
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
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms) == 9
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

run "logs_outlive_the_stack_if_that_is_wanted" {
  command = plan

  variables {
    keep_logs = true
  }

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.this), aws_cloudwatch_log_group.stopped) : group.skip_destroy])
    error_message = "terraform destroy deletes the logs."
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

run "a_schedule_of_which_nothing_comes_raises_an_alarm" {
  command = plan

  variables {
    watched = {
      forward = { datasets = ["ecs", "lambda_function"], minutes = 30 }
      week    = { datasets = ["s3_daily_storage"], minutes = 10080 }
    }
  }

  assert {
    condition = {
      for name, filter in aws_cloudwatch_log_metric_filter.completed :
      name => [filter.log_group_name, filter.metric_transformation[0].namespace, filter.metric_transformation[0].name, filter.pattern]
      } == {
      forward = [
        "/fleet/worker", "cloudwatch-fleet/fleet", "forward-completed", join("", [
          "{ ($.Outcome = \"complete\") && (($.dataset = \"ecs_cluster\") || ($.dataset = \"ecs_service\") || ",
          "($.dataset = \"ecs_service_connect\") || ($.dataset = \"ecs_service_connect_target\") || ($.dataset = \"lambda_function\")) }",
        ])
      ]
      week = ["/fleet/worker", "cloudwatch-fleet/fleet", "week-completed", "{ ($.Outcome = \"complete\") && (($.dataset = \"s3_daily_storage\")) }"]
    }
    error_message = "Something else is counted: ${jsonencode(aws_cloudwatch_log_metric_filter.completed)}"
  }

  # All that there is to see may be nothing: workers that do not run write no line.
  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.stale : name => join(" ", [
        alarm.alarm_name, alarm.namespace, alarm.metric_name, alarm.statistic, alarm.comparison_operator, alarm.threshold,
        alarm.treat_missing_data, alarm.period, alarm.evaluation_periods,
      ])
      } == {
      forward = "fleet-forward-stale cloudwatch-fleet/fleet forward-completed Sum LessThanThreshold 1 breaching 60 30"
      week    = "fleet-week-stale cloudwatch-fleet/fleet week-completed Sum LessThanThreshold 1 breaching 3600 168"
    }
    error_message = "The alarm is otherwise: ${jsonencode(aws_cloudwatch_metric_alarm.stale)}"
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms) == 11
    error_message = "The dashboard leaves an alarm out."
  }
}

run "more_datasets_than_a_filter_has_room_for_are_refused" {
  command = plan

  variables {
    watched = { all = { datasets = ["billing", "dynamodb", "ebs", "ec2", "ecs", "elb", "lambda", "rds", "sns", "vpn"], minutes = 30 } }
  }

  expect_failures = [aws_cloudwatch_log_metric_filter.completed["all"]]
}

run "each_queue_and_each_fleet_has_its_alarms_and_its_lines" {
  command = plan

  variables {
    queues = {
      jobs  = { jobs = "fleet-jobs", dead_letters = "fleet-jobs-dead" }
      ticks = { jobs = "fleet-ticks", dead_letters = "fleet-ticks-dead", retention_hours = 1 }
      slow  = { jobs = "fleet-slow", dead_letters = "fleet-slow-dead", oldest_job_minutes = 45 }
    }
    fleets = {
      worker = { service = "fleet-worker", queue = "jobs" }
      fresh  = { service = "fleet-fresh", queue = "ticks" }
      slow   = { service = "fleet-slow", queue = "slow" }
    }
  }

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.queue : alarm.alarm_name => "${alarm.dimensions.QueueName} ${alarm.threshold}"
      } == {
      fleet-dead-letters       = "fleet-jobs-dead 1"
      fleet-oldest-job         = "fleet-jobs 21600"
      fleet-slow-dead-letters  = "fleet-slow-dead 1"
      fleet-slow-oldest-job    = "fleet-slow 2700"
      fleet-ticks-dead-letters = "fleet-ticks-dead 1"
      fleet-ticks-oldest-job   = "fleet-ticks 1800"
      fleet-unstarted          = "fleet-unstarted 1"
    }
    error_message = "A queue has no alarm, or another one: ${jsonencode([for alarm in aws_cloudwatch_metric_alarm.queue : alarm.alarm_name])}"
  }

  assert {
    condition = {
      for alarm in aws_cloudwatch_metric_alarm.no_progress :
      alarm.alarm_name => one(distinct(flatten([for query in alarm.metric_query : [for metric in query.metric : metric.dimensions.QueueName]])))
    } == { fleet-no-progress = "fleet-jobs", fleet-ticks-no-progress = "fleet-ticks", fleet-slow-no-progress = "fleet-slow" }
    error_message = "Of a queue it is not seen that nothing is done."
  }

  assert {
    condition = {
      for rule in aws_cloudwatch_event_rule.ecs : rule.name => try(jsondecode(rule.event_pattern).resources, jsondecode(rule.event_pattern).detail.group)
      if strcontains(rule.name, "fresh")
      } == {
      fleet-fresh-workers-failing   = ["service:fleet-fresh"]
      fleet-fresh-service-impaired  = ["arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-fresh"]
      fleet-fresh-deployment-failed = ["arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-fresh"]
    }
    error_message = "A fleet's faults raise no alarm: ${jsonencode([for rule in aws_cloudwatch_event_rule.ecs : rule.name])}"
  }

  assert {
    condition = toset(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) : [for word in metric : word if can(regex("^fleet-", word))]
      ]
    ])) == toset(["fleet-jobs", "fleet-jobs-dead", "fleet-ticks", "fleet-ticks-dead", "fleet-slow", "fleet-slow-dead", "fleet-worker", "fleet-fresh"])
    error_message = "The dashboard leaves a queue or a fleet out."
  }
}

run "an_alarm_for_jobs_that_are_lost_before_is_refused" {
  command = plan

  variables {
    queues = { jobs = { jobs = "fleet-jobs", dead_letters = "fleet-jobs-dead", retention_hours = 1, oldest_job_minutes = 60 } }
  }

  expect_failures = [var.queues]
}

run "a_topic_of_ones_own_is_used_and_none_is_made" {
  command = plan

  variables {
    topic_arn = "arn:aws:sns:eu-west-1:999999999999:on-call"
  }

  assert {
    condition = length(aws_sns_topic.alarms) + length(aws_sns_topic_policy.alarms) == 0 && alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.queue), values(aws_cloudwatch_metric_alarm.ecs)) : alarm.alarm_actions == toset([var.topic_arn])
    ])
    error_message = "An alarm is sent elsewhere."
  }
}

run "addresses_are_not_subscribed_to_a_topic_of_ones_own" {
  command = plan

  variables {
    topic_arn    = "arn:aws:sns:eu-west-1:999999999999:on-call"
    alarm_emails = ["finops@example.com"]
  }

  expect_failures = [var.topic_arn]
}
