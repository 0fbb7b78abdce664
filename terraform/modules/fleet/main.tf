# SPDX-License-Identifier: Apache-2.0
# Workers on ECS: none while there is nothing to do, and as many as the backlog of their queue asks for else.

locals {
  # The first fleet's alarms and policies have the deployment's name alone.
  prefix = var.fleet == "worker" ? var.name : "${var.name}-${var.fleet}"
}

module "worker" {
  source = "../task"

  name             = "${var.name}-${var.fleet}"
  container        = "worker"
  image            = var.image
  command          = ["worker", "run"]
  environment      = var.environment
  secrets          = var.secrets
  role_arns        = var.role_arns
  log_group        = var.log_group
  size             = var.worker_size
  cpu_architecture = var.cpu_architecture

  # The rows of long reports.
  has_temporary_files = true
}

# No circuit breaker for a fleet that sleeps: workers that can't work leave, are started again and work once that is fixed, whereas a
# broken circuit would wait for the next deployment. If one is always on, such a deployment would never end, and nothing would be
# scaled in until then; ECS goes back to the revision before.
resource "aws_ecs_service" "worker" {
  name            = module.worker.task_definition.family
  cluster         = var.cluster.arn
  task_definition = module.worker.task_definition.arn
  launch_type     = var.spot ? null : "FARGATE"
  desired_count   = var.min_workers
  force_delete    = true # a protected worker would hold a service that is deleted beyond the provider's patience
  propagate_tags  = "SERVICE"

  enable_ecs_managed_tags = true # the cluster's and the service's name, by which costs can be allocated

  # Said, since its default is another in each version of the provider, and ENABLED in ECS.
  # https://github.com/hashicorp/terraform-provider-aws/pull/43577
  availability_zone_rebalancing = "DISABLED"

  network_configuration {
    subnets          = var.network.subnet_ids
    security_groups  = var.network.security_group_ids
    assign_public_ip = var.network.assign_public_ip
  }

  # A task that is taken away gets two minutes' notice, as in a deployment.
  dynamic "capacity_provider_strategy" {
    for_each = var.spot ? ["FARGATE_SPOT"] : []

    content {
      capacity_provider = capacity_provider_strategy.value
      weight            = 1
    }
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
