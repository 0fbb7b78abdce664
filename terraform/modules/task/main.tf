# SPDX-License-Identifier: Apache-2.0
# One program of the image as an ECS task on Fargate: alone in its container, without root, with no disk to write to but,
# if it needs one, /tmp.

data "aws_region" "current" {}

locals {
  # The least and the most MiB that go with so many CPU units.
  memory = { 256 = [512, 2048], 512 = [1024, 4096], 1024 = [2048, 8192], 2048 = [4096, 16384], 4096 = [8192, 30720] }
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_249: the two roles are inputs, and the stack gives two; seen alone, both are unknown here
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu
  memory                   = var.size.memory
  task_role_arn            = var.role_arns.task
  execution_role_arn       = var.role_arns.execution

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  # Of the task's own storage, 20 GiB and encrypted, which ends with it. Its owner and mode are those of the image's /tmp,
  # since the image declares it as a volume.
  # Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
  dynamic "volume" {
    for_each = var.has_temporary_files ? ["temporary-files"] : []

    content {
      name = volume.value
    }
  }

  container_definitions = jsonencode([merge(
    var.has_temporary_files ? { mountPoints = [{ sourceVolume = "temporary-files", containerPath = "/tmp", readOnly = false }] } : {},
    length(var.secrets) == 0 ? {} : { secrets = [for name, arn in var.secrets : { name = name, valueFrom = arn }] }, {
      name                                    = var.container
      image                                   = var.image
      command                                 = var.command
      essential                               = true
      user                                    = "65532"
      readonlyRootFilesystem                  = true
      stopTimeout                             = 120 # the most that Fargate allows; a worker drains in 110
      linuxParameters                         = { capabilities = { add = [], drop = ["ALL"] } }
      environment                             = [for name, value in var.environment : { name = name, value = value }]

      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = var.log_group
          awslogs-region        = data.aws_region.current.id
          awslogs-stream-prefix = var.container
          # Where CloudWatch Logs does not answer, lines are lost and not jobs.
          mode            = "non-blocking"
          max-buffer-size = "4m"
        }
      }
  })])

  # The old revision is taken away only once service and schedules have the new one.
  lifecycle {
    create_before_destroy = true
  }
}
