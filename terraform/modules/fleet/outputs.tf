# SPDX-License-Identifier: Apache-2.0
output "service" {
  description = "The service of workers."
  value = {
    name                   = aws_ecs_service.worker.name
    task_definition_family = module.worker.task_definition.family
  }
}
