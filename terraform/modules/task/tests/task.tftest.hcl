mock_provider "aws" {
  override_during = plan

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  name      = "fleet-worker"
  container = "worker"
  image     = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet:0.1.0"
  command   = ["worker", "run"]
  log_group = "/fleet/worker"

  environment = {
    FLEET_QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-jobs"
    AWS_REGION      = "eu-west-1"
  }

  role_arns = {
    task      = "arn:aws:iam::999999999999:role/fleet-worker"
    execution = "arn:aws:iam::999999999999:role/fleet-execution"
  }
}

run "the_container_is_this_and_nothing_else" {
  command = plan

  assert {
    condition = jsondecode(aws_ecs_task_definition.this.container_definitions) == [{
      name                   = "worker"
      image                  = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet:0.1.0"
      command                = ["worker", "run"]
      essential              = true
      user                   = "65532"
      readonlyRootFilesystem = true
      stopTimeout            = 120
      linuxParameters        = { capabilities = { add = [], drop = ["ALL"] } }
      environment = [
        { name = "AWS_REGION", value = "eu-west-1" },
        { name = "FLEET_QUEUE_URL", value = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-jobs" },
      ]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = "/fleet/worker"
          awslogs-region        = "eu-west-1"
          awslogs-stream-prefix = "worker"
          mode                  = "non-blocking"
          max-buffer-size       = "4m"
        }
      }
    }]
    error_message = "The container is ${aws_ecs_task_definition.this.container_definitions}"
  }
}

run "it_may_write_temporary_files_and_nothing_else" {
  command = plan

  variables {
    has_temporary_files = true
  }

  assert {
    condition = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].mountPoints == [
      { sourceVolume = "temporary-files", containerPath = "/tmp", readOnly = false }
    ] && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].readonlyRootFilesystem
    error_message = "The container is ${aws_ecs_task_definition.this.container_definitions}"
  }

  assert {
    condition     = one(aws_ecs_task_definition.this.volume).name == "temporary-files"
    error_message = "The task has no volume for them."
  }
}

run "it_runs_on_fargate_on_arm_as_its_own_role" {
  command = plan

  assert {
    condition = (
      aws_ecs_task_definition.this.requires_compatibilities == toset(["FARGATE"]) &&
      aws_ecs_task_definition.this.runtime_platform[0].cpu_architecture == "ARM64" &&
      aws_ecs_task_definition.this.cpu == "256" && aws_ecs_task_definition.this.memory == "512" &&
      aws_ecs_task_definition.this.task_role_arn == "arn:aws:iam::999999999999:role/fleet-worker" &&
      aws_ecs_task_definition.this.execution_role_arn == "arn:aws:iam::999999999999:role/fleet-execution"
    )
    error_message = "The task runs elsewhere, or as somebody else."
  }
}

run "secrets_are_named_and_not_known" {
  command = plan

  variables {
    secrets = { FLEET_SINK_SEARCH_PASSWORD = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:search-a1b2c3:password::" }
  }

  assert {
    condition = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets == [
      { name = "FLEET_SINK_SEARCH_PASSWORD", valueFrom = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:search-a1b2c3:password::" }
    ]
    error_message = "The container is ${aws_ecs_task_definition.this.container_definitions}"
  }
}

run "an_image_is_named_by_its_digest_too" {
  command = plan

  variables {
    image = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet@sha256:1f1e0a95b9e5f2e59ab3df4a9d2f4a2ba9ab6b6d0a4d8a1c7a2f3c9f6a2d0e11"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].image == var.image
    error_message = "The container is ${aws_ecs_task_definition.this.container_definitions}"
  }
}

run "a_digest_that_is_cut_off_is_refused" {
  command = plan

  variables {
    image = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet@sha256:1f1e0a95"
  }

  expect_failures = [var.image]
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name             = "fleet_worker"
    image            = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet"
    command          = []
    size             = { cpu = 256, memory = 4096 }
    cpu_architecture = "arm64"
  }

  expect_failures = [var.name, var.image, var.command, var.size, var.cpu_architecture]
}
