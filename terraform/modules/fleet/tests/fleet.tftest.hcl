mock_provider "aws" {
  override_during = plan

  mock_resource "aws_appautoscaling_policy" {
    defaults = { arn = "arn:aws:autoscaling:eu-west-1:999999999999:scalingPolicy:mock" }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:999999999999:task-definition/fleet-worker:1" }
  }
}

variables {
  name        = "fleet"
  image       = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet:0.1.0"
  environment = { FLEET_LOG_FORMAT = "json" }
  log_group   = "/fleet/worker"
  queue_name  = "fleet-jobs"

  cluster = {
    name = "fleet"
    arn  = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"
  }

  network = {
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = ["sg-1"]
    assign_public_ip   = true
  }

  role_arns = {
    task      = "arn:aws:iam::999999999999:role/fleet-worker"
    execution = "arn:aws:iam::999999999999:role/fleet-execution"
  }
}

run "no_worker_runs_where_there_is_no_job" {
  command = plan

  assert {
    condition     = aws_ecs_service.worker.desired_count == 0 && aws_appautoscaling_target.workers.min_capacity == 0
    error_message = "A worker idles."
  }

  assert {
    condition = [
      for step in aws_appautoscaling_policy.workers["scale-to-zero"].step_scaling_policy_configuration[0].step_adjustment :
      "${step.scaling_adjustment} ${coalesce(step.metric_interval_lower_bound, "-")} ${step.metric_interval_upper_bound}"
    ] == ["0 - 0"]
    error_message = "The fleet does not stop where there is nothing to do."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.workers["scale-to-zero"].comparison_operator == "LessThanThreshold" &&
      aws_cloudwatch_metric_alarm.workers["scale-to-zero"].evaluation_periods == 10
    )
    error_message = "The fleet stops too early, or never."
  }
}

# Left out, provider 5.100 sends DISABLED and later ones send nothing, which ECS takes for ENABLED: it would start and stop
# workers by itself.
run "ecs_moves_no_worker_to_another_zone_by_itself" {
  command = plan

  assert {
    condition     = aws_ecs_service.worker.availability_zone_rebalancing == "DISABLED"
    error_message = "Rebalancing is left to the provider or to ECS: ${aws_ecs_service.worker.availability_zone_rebalancing}"
  }
}

run "there_is_a_worker_for_each_fifty_jobs_up_to_the_most" {
  command = plan

  variables {
    max_workers = 3
  }

  # One job is the alarm's threshold: from 1, 51 and 101 jobs on there are one, two and three workers.
  assert {
    condition = toset([
      for step in aws_appautoscaling_policy.workers["scale-to-backlog"].step_scaling_policy_configuration[0].step_adjustment :
      join(" ", [step.scaling_adjustment, step.metric_interval_lower_bound, coalesce(step.metric_interval_upper_bound, "-")])
    ]) == toset(["1 0 50", "2 50 100", "3 100 -"])
    error_message = "The fleet grows otherwise: ${jsonencode(aws_appautoscaling_policy.workers["scale-to-backlog"].step_scaling_policy_configuration[0].step_adjustment)}"
  }

  assert {
    condition     = aws_appautoscaling_policy.workers["scale-to-backlog"].step_scaling_policy_configuration[0].adjustment_type == "ExactCapacity"
    error_message = "The steps are not numbers of workers."
  }
}

run "jobs_in_flight_keep_their_workers_and_an_absent_metric_counts_as_none" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.workers : toset(flatten([
        for query in alarm.metric_query : [for metric in query.metric : "${metric.metric_name} ${metric.dimensions.QueueName}"]
        ])) == toset([
        "ApproximateNumberOfMessagesNotVisible fleet-jobs",
        "ApproximateNumberOfMessagesVisible fleet-jobs",
      ])
    ])
    error_message = "An alarm does not count the jobs in flight."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.workers : one([for query in alarm.metric_query : query.expression if query.return_data == true]) == "waiting + FILL(in_flight, 0)"])
    error_message = "The backlog is not the sum of what waits and what is in flight, or has no point if no message is in flight."
  }
}

run "a_fleet_of_a_thousand_grows_from_one_in_twenty_steps" {
  command = plan

  variables {
    max_workers = 1000
  }

  assert {
    condition = (
      length(aws_appautoscaling_policy.workers["scale-to-backlog"].step_scaling_policy_configuration[0].step_adjustment) <= 20 &&
      min([for step in aws_appautoscaling_policy.workers["scale-to-backlog"].step_scaling_policy_configuration[0].step_adjustment : step.scaling_adjustment]...) == 1 &&
      max([for step in aws_appautoscaling_policy.workers["scale-to-backlog"].step_scaling_policy_configuration[0].step_adjustment : step.scaling_adjustment]...) == 1000
    )
    error_message = "The steps are more than AWS allows, begin with more than one worker, or do not reach the most."
  }
}

run "a_fleet_that_sleeps_is_not_kept_from_working_by_its_last_deployment" {
  command = plan

  assert {
    condition     = length(aws_ecs_service.worker.deployment_circuit_breaker) == 0
    error_message = "A deployment is given up while there is nothing to deploy to."
  }
}

run "a_deployment_of_a_fleet_that_is_always_on_is_taken_back_if_it_fails" {
  command = plan

  variables {
    min_workers = 2
  }

  assert {
    condition = (
      aws_ecs_service.worker.desired_count == 2 && aws_appautoscaling_target.workers.min_capacity == 2 &&
      one(aws_appautoscaling_policy.workers["scale-to-zero"].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == 2
    )
    error_message = "Fewer workers run than are wanted."
  }

  assert {
    condition     = aws_ecs_service.worker.deployment_circuit_breaker[0].enable && aws_ecs_service.worker.deployment_circuit_breaker[0].rollback
    error_message = "A wrong image tag leaves a deployment that never ends."
  }
}

run "a_busy_worker_does_not_hold_a_service_that_is_deleted" {
  command = plan

  assert {
    condition     = aws_ecs_service.worker.force_delete
    error_message = "terraform destroy waits for a protected worker."
  }
}

run "more_workers_at_least_than_at_most_are_refused" {
  command = plan

  variables {
    min_workers = 3
    max_workers = 2
  }

  expect_failures = [var.min_workers]
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name            = "fleet."
    fleet           = "producer"
    max_workers     = 0
    jobs_per_worker = 0.5

    network = {
      subnet_ids         = []
      security_group_ids = ["sg-1"]
      assign_public_ip   = true
    }
  }

  expect_failures = [var.name, var.fleet, var.max_workers, var.jobs_per_worker, var.network]
}

run "the_first_fleets_alarms_have_the_deployments_name_alone" {
  command = plan

  assert {
    condition = (
      aws_ecs_service.worker.name == "fleet-worker" && aws_ecs_service.worker.launch_type == "FARGATE" &&
      length(aws_ecs_service.worker.capacity_provider_strategy) == 0 &&
      toset([for alarm in aws_cloudwatch_metric_alarm.workers : alarm.alarm_name]) == toset(["fleet-scale-to-backlog", "fleet-scale-to-zero"])
    )
    error_message = "The service or its alarms have other names: ${jsonencode([for alarm in aws_cloudwatch_metric_alarm.workers : alarm.alarm_name])}"
  }
}

run "another_fleet_has_names_of_its_own_and_may_run_on_spare_capacity" {
  command = plan

  variables {
    fleet      = "fresh"
    queue_name = "fleet-ticks"
    spot       = true
  }

  assert {
    condition = (
      aws_ecs_service.worker.name == "fleet-fresh" &&
      toset([for alarm in aws_cloudwatch_metric_alarm.workers : alarm.alarm_name]) == toset(["fleet-fresh-scale-to-backlog", "fleet-fresh-scale-to-zero"]) &&
      toset([for policy in aws_appautoscaling_policy.workers : policy.name]) == toset(["fleet-fresh-scale-to-backlog", "fleet-fresh-scale-to-zero"]) &&
      aws_appautoscaling_target.workers.resource_id == "service/fleet/fleet-fresh"
    )
    error_message = "Two fleets would have the same names: ${jsonencode([for alarm in aws_cloudwatch_metric_alarm.workers : alarm.alarm_name])}"
  }

  assert {
    condition     = [for strategy in aws_ecs_service.worker.capacity_provider_strategy : strategy.capacity_provider] == ["FARGATE_SPOT"]
    error_message = "The fleet runs at the full price."
  }
}
