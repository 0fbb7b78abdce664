# SPDX-License-Identifier: Apache-2.0
# Workers on ECS: none while there is nothing to do, and as many as the backlog asks for else.

locals {
  image = "${aws_ecr_repository.this.repository_url}${var.image_digest == null ? ":${var.image_tag}" : "@${var.image_digest}"}"
}

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136: ECR encrypts with a key of its own, and the image holds no secret
  name                 = var.name
  image_tag_mutability = "IMMUTABLE" # what was tested under a tag is what runs under it

  force_delete = true # it is built again from the source

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "What lost its tag goes after a week. A tagged image stays: it may be the one that runs."
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65: Container Insights is paid for by the task, and the workers' own metrics show more
  name = var.name

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

# Its rules are inline, so that a manually added one is removed again.
resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Tasks of ${var.name}: out to AWS, and nothing in."
  vpc_id      = var.network.vpc_id
  ingress     = []

  egress {
    description = "The endpoints of AWS."
    cidr_blocks = ["0.0.0.0/0"]
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
  }

  tags = { Name = "${var.name}-tasks" }
}

module "worker" {
  source = "../task"

  name             = "${var.name}-worker"
  container        = "worker"
  image            = local.image
  command          = ["worker", "run"]
  environment      = var.environment
  role_arns        = var.role_arns
  log_group        = var.log_group
  size             = var.worker_size
  cpu_architecture = var.cpu_architecture
}

# No circuit breaker for a fleet that sleeps: workers that can't work leave, are started again and work once that is fixed, whereas a
# broken circuit would wait for the next deployment. If one is always on, such a deployment would never end, and nothing would be
# scaled in until then; ECS goes back to the revision before.
resource "aws_ecs_service" "worker" {
  name            = module.worker.task_definition.family
  cluster         = aws_ecs_cluster.this.arn
  task_definition = module.worker.task_definition.arn
  launch_type     = "FARGATE"
  desired_count   = var.min_workers
  force_delete    = true # a protected worker would hold a service that is deleted beyond the provider's patience
  propagate_tags  = "SERVICE"

  enable_ecs_managed_tags = true # the cluster's and the service's name, by which costs can be allocated

  # Said, since its default is another in each version of the provider, and ENABLED in ECS.
  # https://github.com/hashicorp/terraform-provider-aws/pull/43577
  availability_zone_rebalancing = "DISABLED"

  network_configuration {
    subnets          = var.network.subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = var.network.assign_public_ip
  }

  dynamic "deployment_circuit_breaker" {
    for_each = var.min_workers > 0 ? [true] : []

    content {
      enable   = true
      rollback = true
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # it is the scaling's
  }
}
