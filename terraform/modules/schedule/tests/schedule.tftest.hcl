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

  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-mock:1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::999999999999:role/fleet-scheduler" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"
      url = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-unstarted"
    }
  }
}

variables {
  name        = "fleet"
  image       = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet:0.1.0"
  environment = { FLEET_LOG_FORMAT = "json" }
  log_group   = "/fleet/producer"
  cluster_arn = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"

  queues = {
    jobs = {
      arn     = "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs"
      url     = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-jobs"
      service = "fleet/fleet-worker"
    }
    ticks = {
      arn     = "arn:aws:sqs:eu-west-1:999999999999:fleet-ticks"
      url     = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-ticks"
      service = "fleet/fleet-fresh"
    }
  }

  role_arns = {
    producer  = "arn:aws:iam::999999999999:role/fleet-producer"
    status    = "arn:aws:iam::999999999999:role/fleet-status"
    execution = "arn:aws:iam::999999999999:role/fleet-execution"
  }

  network = {
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = ["sg-1"]
    assign_public_ip   = true
  }
}

run "the_month_is_sent_on_day_2_completed_and_looked_at_on_day_4" {
  command = plan

  assert {
    condition = {
      for name, schedule in aws_scheduler_schedule.this :
      name => concat([schedule.schedule_expression, schedule.state], jsondecode(schedule.target[0].input).containerOverrides[0].command)
      } == {
      run      = ["cron(0 18 2 * ? *)", "ENABLED", "producer", "run", "--at", "<aws.scheduler.scheduled-time>", "--wake"]
      complete = ["cron(0 18 4 * ? *)", "ENABLED", "producer", "run", "--only-incomplete", "--at", "<aws.scheduler.scheduled-time>", "--wake"]
      status   = ["cron(0 21 4 * ? *)", "ENABLED", "producer", "status", "--this-month", "--settled", "--failed-only"]
    }
    error_message = "The schedules are otherwise: ${jsonencode({ for name, schedule in aws_scheduler_schedule.this : name => schedule.target[0].input })}"
  }

  assert {
    condition     = alltrue([for schedule in aws_scheduler_schedule.this : schedule.schedule_expression_timezone == "UTC" && schedule.flexible_time_window[0].mode == "OFF"])
    error_message = "CloudWatch's days are UTC's."
  }

  # As an escape Scheduler would not replace it.
  assert {
    condition     = alltrue([for name in ["run", "complete"] : strcontains(aws_scheduler_schedule.this[name].target[0].input, "\"--at\",\"<aws.scheduler.scheduled-time>\"")])
    error_message = "The producer is not given the time that was meant."
  }
}

run "a_request_is_carried_into_both_runs_type_and_all" {
  command = plan

  variables {
    request = {
      account_names = ["data", "opra-dev"]
      datasets      = ["s3_daily_storage"]
      attributes    = { ticket = "OPS-7", priority = 2, owner = { team = "finops" } }
    }
  }

  assert {
    condition = alltrue([
      for name, command in { run = ["producer", "run"], complete = ["producer", "run", "--only-incomplete"] } :
      jsondecode(aws_scheduler_schedule.this[name].target[0].input).containerOverrides == [{
        name = "producer"
        command = concat(command, ["--at", "<aws.scheduler.scheduled-time>", "--wake"], [
          "--account-name", "data,opra-dev", "--dataset", "s3_daily_storage",
          "--attribute", "owner:={\"team\":\"finops\"}", "--attribute", "priority:=2", "--attribute", "ticket:=\"OPS-7\"",
        ])
      }]
    ])
    error_message = "The command is ${aws_scheduler_schedule.this["run"].target[0].input}"
  }
}

run "tasks_are_tagged_as_they_start" {
  command = plan

  variables {
    tags = { Team = "finops" }
  }

  assert {
    condition = alltrue([
      for schedule in aws_scheduler_schedule.this :
      schedule.target[0].ecs_parameters[0].tags == tomap({ Team = "finops" }) &&
      schedule.target[0].ecs_parameters[0].propagate_tags == "TASK_DEFINITION" &&
      schedule.target[0].ecs_parameters[0].enable_ecs_managed_tags == true
    ])
    error_message = "A task of the producer has no tags."
  }
}

run "what_can_not_be_started_is_tried_again_and_kept" {
  command = plan

  assert {
    condition = alltrue([
      for schedule in aws_scheduler_schedule.this :
      schedule.target[0].retry_policy[0].maximum_retry_attempts == 20 &&
      schedule.target[0].dead_letter_config[0].arn == "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"
    ])
    error_message = "A start that fails is lost."
  }

  assert {
    condition     = aws_sqs_queue.unstarted.message_retention_seconds == 1209600
    error_message = "A start that fails is kept for ${aws_sqs_queue.unstarted.message_retention_seconds} s."
  }
}

# The policy is compared whole: one permission more or less fails.
run "the_scheduler_starts_these_tasks_here_and_nothing_else" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.scheduler.policy).Statement == [
      {
        Sid    = "StartTasks"
        Effect = "Allow"
        Action = "ecs:RunTask"
        Resource = [
          "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-producer:*",
          "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-status:*",
        ]
        Condition = { ArnEquals = { "ecs:cluster" = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet" } }
      },
      {
        Sid       = "TagTasksAsTheyStart"
        Effect    = "Allow"
        Action    = "ecs:TagResource"
        Resource  = "arn:aws:ecs:eu-west-1:999999999999:task/fleet/*"
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid    = "GiveTasksTheirRoles"
        Effect = "Allow"
        Action = "iam:PassRole"
        Resource = [
          "arn:aws:iam::999999999999:role/fleet-producer",
          "arn:aws:iam::999999999999:role/fleet-status",
          "arn:aws:iam::999999999999:role/fleet-execution",
        ]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid      = "KeepWhatCouldNotBeStarted"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"
      },
    ]
    error_message = "The scheduler may do something else: ${aws_iam_role_policy.scheduler.policy}"
  }

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = "999999999999"
          "aws:SourceArn"     = "arn:aws:scheduler:eu-west-1:999999999999:schedule-group/fleet"
        }
      }
    }]
    error_message = "Another schedule can enter the role."
  }
}

run "sinks_are_set_up_daily_by_a_task_with_a_role_of_its_own" {
  command = plan

  variables {
    setups        = { search = ["producer", "setup", "search", "--map-role", "arn:aws:iam::999999999999:role/fleet-worker"] }
    setup_secrets = { FLEET_SINK_SEARCH_USER = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:search-a1b2c3:username::" }

    role_arns = {
      producer  = "arn:aws:iam::999999999999:role/fleet-producer"
      status    = "arn:aws:iam::999999999999:role/fleet-status"
      setup     = "arn:aws:iam::999999999999:role/fleet-setup"
      execution = "arn:aws:iam::999999999999:role/fleet-execution"
    }
  }

  assert {
    condition = (
      aws_scheduler_schedule.this["setup-search"].schedule_expression == "cron(15 2 * * ? *)" &&
      aws_scheduler_schedule.this["setup-search"].target[0].input == jsonencode({ containerOverrides = [{ name = "producer", command = var.setups.search }] })
    )
    error_message = "It is set up by ${aws_scheduler_schedule.this["setup-search"].target[0].input}"
  }

  assert {
    condition     = local.tasks.setup.role_arn == "arn:aws:iam::999999999999:role/fleet-setup" && keys(output.tasks) == ["producer", "setup", "status"]
    error_message = "The tasks are ${jsonencode(local.tasks)}."
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.scheduler.policy).Statement : statement.Sid => statement.Resource if contains(["StartTasks", "GiveTasksTheirRoles"], statement.Sid)
      } == {
      StartTasks = [
        "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-producer:*",
        "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-setup:*",
        "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-status:*",
      ]
      GiveTasksTheirRoles = [
        "arn:aws:iam::999999999999:role/fleet-producer",
        "arn:aws:iam::999999999999:role/fleet-setup",
        "arn:aws:iam::999999999999:role/fleet-status",
        "arn:aws:iam::999999999999:role/fleet-execution",
      ]
    }
    error_message = "The scheduler may start something else: ${aws_iam_role_policy.scheduler.policy}"
  }
}

run "a_schedule_of_ones_own_does_not_take_the_place_of_a_set_up" {
  command = plan

  variables {
    setups    = { search = ["producer", "setup", "search"] }
    schedules = { setup-search = { expression = "rate(1 day)" } }
  }

  expect_failures = [var.setups]
}

run "other_accounts_and_plain_http_are_refused_on_the_dead_letter_queue" {
  command = plan

  assert {
    condition = jsondecode(aws_sqs_queue_policy.unstarted.policy).Statement == [
      {
        Sid       = "RefuseOtherAccounts"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"
        Condition = {
          StringNotEquals = { "aws:PrincipalAccount" = "999999999999" }
          Bool            = { "aws:PrincipalIsAWSService" = "false" }
        }
      },
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
    error_message = "The queue's policy does something else."
  }
}

run "a_month_that_is_switched_off_starts_nothing" {
  command = plan

  variables {
    monthly = { enabled = false }
  }

  assert {
    condition     = alltrue([for schedule in aws_scheduler_schedule.this : schedule.state == "DISABLED"])
    error_message = "Something is started."
  }
}

run "a_day_that_is_not_over_is_refused" {
  command = plan

  variables {
    monthly = { run_day = 1, hour = 21 }
  }

  expect_failures = [var.monthly]
}

run "a_completion_before_the_first_is_settled_is_refused" {
  command = plan

  variables {
    monthly = { completion_day = 4, hour = 11 }
  }

  expect_failures = [var.monthly]
}

run "a_completion_on_day_3_is_refused_however_late" {
  command = plan

  variables {
    monthly = { completion_day = 3, hour = 20 }
  }

  expect_failures = [var.monthly]
}

run "sixty_hours_after_the_first_and_any_later_day_will_do" {
  command = plan

  variables {
    monthly = { completion_day = 4, hour = 12 }
  }

  assert {
    condition     = aws_scheduler_schedule.this["complete"].schedule_expression == "cron(0 12 4 * ? *)"
    error_message = "The month is completed at ${aws_scheduler_schedule.this["complete"].schedule_expression}."
  }
}

run "an_attribute_of_a_later_version_however_spelt_is_refused" {
  command = plan

  variables {
    request = { attributes = { onlyIncomplete = true } }
  }

  expect_failures = [var.request]
}

run "an_unknown_key_of_the_request_does_not_run_every_account" {
  command = plan

  variables {
    request = { acount_names = ["data"] }
  }

  expect_failures = [var.request]
}

run "an_account_that_can_not_be_is_refused" {
  command = plan

  variables {
    request = { account_names = ["../data"] }
  }

  expect_failures = [var.request]
}

run "an_attribute_that_says_what_a_job_is_is_refused" {
  command = plan

  variables {
    request = { attributes = { run_id = "mine" } }
  }

  expect_failures = [var.request]
}

run "accounts_that_are_no_list_are_refused" {
  command = plan

  variables {
    request = { account_names = "data" }
  }

  expect_failures = [var.request]
}

run "a_command_that_ecs_would_refuse_is_refused" {
  command = plan

  variables {
    request = { account_names = [for n in range(1000) : "account-${n}"] }
  }

  expect_failures = [aws_scheduler_schedule.this["run"], aws_scheduler_schedule.this["complete"]]
}

run "five_hundred_accounts_may_be_named" {
  command = plan

  variables {
    request = { account_names = [for n in range(500) : "account-${n}"] }
  }

  assert {
    condition     = length(aws_scheduler_schedule.this["run"].target[0].input) > 5000
    error_message = "They are not in the command."
  }
}

run "a_schedule_via_the_queue_sends_its_request_to_the_workers" {
  command = plan

  variables {
    schedules = {
      ecs = {
        expression          = "rate(5 minutes)"
        via                 = "queue"
        stale_after_minutes = 30
        request = {
          account_name    = ["data", "opra-dev"]
          dataset         = "ecs_service"
          last            = "6h"
          window          = "1h"
          settle          = "3m"
          only_incomplete = true
          attributes      = { ticket = "OPS-7", owner = { team = "<finops>" }, mark = "<aws.scheduler.scheduled-time>" }
        }
      }
      lambda = {
        expression = "cron(30 6 * * ? *)"
        timezone   = "Europe/Berlin"
        via        = "queue"
        queue      = "ticks"
        enabled    = false
        request    = { dataset = ["lambda"], provisional = true }
      }
    }
  }

  # Of the placeholders Scheduler replaces the one that is meant, and not one in a text of yours.
  assert {
    condition = aws_scheduler_schedule.this["ecs"].target[0].input == join("", [
      "{\"kind\":\"request\",\"at\":\"<aws.scheduler.scheduled-time>\",\"request\":",
      "{\"account_name\":[\"data\",\"opra-dev\"],\"dataset\":\"ecs_service\",\"last\":\"6h\",",
      "\"mark\":\"\\u003caws.scheduler.scheduled-time\\u003e\",\"only_incomplete\":true,",
      "\"owner\":{\"team\":\"\\u003cfinops\\u003e\"},\"settle\":\"3m\",\"ticket\":\"OPS-7\",\"window\":\"1h\"}}",
    ])
    error_message = "The message is ${aws_scheduler_schedule.this["ecs"].target[0].input}"
  }

  assert {
    condition = {
      for name in ["ecs", "lambda"] : name => [
        aws_scheduler_schedule.this[name].schedule_expression, aws_scheduler_schedule.this[name].schedule_expression_timezone,
        aws_scheduler_schedule.this[name].state, aws_scheduler_schedule.this[name].target[0].arn,
        length(aws_scheduler_schedule.this[name].target[0].ecs_parameters), aws_scheduler_schedule.this[name].target[0].dead_letter_config[0].arn,
      ]
      } == {
      ecs    = ["rate(5 minutes)", "UTC", "ENABLED", "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs", 0, "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"]
      lambda = ["cron(30 6 * * ? *)", "Europe/Berlin", "DISABLED", "arn:aws:sqs:eu-west-1:999999999999:fleet-ticks", 0, "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"]
    }
    error_message = "A schedule sends to somewhere else, or at another time."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.scheduler.policy).Statement : statement if strcontains(jsonencode(statement.Action), "sqs:")] == [
      {
        Sid      = "KeepWhatCouldNotBeStarted"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = "arn:aws:sqs:eu-west-1:999999999999:fleet-unstarted"
      },
      {
        Sid      = "SendRequests"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = ["arn:aws:sqs:eu-west-1:999999999999:fleet-jobs", "arn:aws:sqs:eu-west-1:999999999999:fleet-ticks"]
      },
    ]
    error_message = "The scheduler may send elsewhere, or can't send: ${aws_iam_role_policy.scheduler.policy}"
  }

  assert {
    condition     = output.watched == { ecs = { datasets = ["ecs_service"], minutes = 30 } }
    error_message = "Watched is ${jsonencode(output.watched)}."
  }

  assert {
    condition     = toset(keys(aws_scheduler_schedule.this)) == toset(["run", "complete", "status", "ecs", "lambda"])
    error_message = "The month is gone: ${jsonencode(keys(aws_scheduler_schedule.this))}"
  }
}

run "a_schedule_that_starts_a_task_has_every_key_as_a_flag" {
  command = plan

  variables {
    schedules = {
      week = {
        expression = "rate(7 days)"
        queue      = "ticks"
        command    = "complete"
        request = {
          account_name = "data"
          dataset      = ["ec2", "elb"]
          last         = "7d"
          window       = "1d"
          settle       = "10m"
          provisional  = true
          attributes   = { ticket = "OPS-7" }
        }
      }
      # In place of the month's own.
      status = { expression = "cron(0 9 6 * ? *)", command = "status" }
    }
  }

  assert {
    condition = jsondecode(aws_scheduler_schedule.this["week"].target[0].input).containerOverrides == [{
      name = "producer"
      command = [
        "producer", "run", "--only-incomplete", "--at", "<aws.scheduler.scheduled-time>", "--wake",
        "--account-name", "data", "--dataset", "ec2,elb", "--last", "7d", "--window", "1d", "--settle", "10m", "--provisional",
        "--attribute", "ticket:=\"OPS-7\"",
      ]
      environment = [
        { name = "FLEET_QUEUE_URL", value = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-ticks" },
        { name = "FLEET_SERVICE", value = "fleet/fleet-fresh" },
      ]
    }]
    error_message = "The task is ${aws_scheduler_schedule.this["week"].target[0].input}"
  }

  assert {
    condition = (
      aws_scheduler_schedule.this["status"].schedule_expression == "cron(0 9 6 * ? *)" &&
      jsondecode(aws_scheduler_schedule.this["status"].target[0].input).containerOverrides[0].command == ["producer", "status", "--this-month", "--settled", "--failed-only"]
    )
    error_message = "The month's own status is in place: ${aws_scheduler_schedule.this["status"].schedule_expression}"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.scheduler.policy, "SendRequests")
    error_message = "The scheduler may send to a queue that no schedule names."
  }
}

run "a_misspelt_key_of_a_schedule_is_refused" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(1 hour)", time_zone = "Europe/Berlin" } }
  }

  expect_failures = [var.schedules]
}

run "a_misspelt_key_of_a_schedules_request_does_not_run_every_account" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(1 hour)", request = { account_names = ["data"] } } }
  }

  expect_failures = [var.schedules]
}

run "a_schedule_without_a_time_is_refused" {
  command = plan

  variables {
    schedules = { ecs = { via = "queue" } }
  }

  expect_failures = [var.schedules]
}

run "a_queue_that_there_is_not_is_refused" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(1 hour)", queue = "tick" } }
  }

  expect_failures = [var.schedules]
}

run "a_command_of_a_message_is_refused" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(1 hour)", via = "queue", command = "complete" } }
  }

  expect_failures = [var.schedules]
}

run "a_task_that_would_be_watched_is_refused" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(1 hour)", stale_after_minutes = 90 } }
  }

  expect_failures = [var.schedules]
}

run "a_reserved_word_is_no_attribute_of_a_schedule" {
  command = plan

  variables {
    schedules = { ecs = { expression = "rate(1 hour)", request = { attributes = { kind = "x" } } } }
  }

  expect_failures = [var.schedules]
}
