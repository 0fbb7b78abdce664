# SPDX-License-Identifier: Apache-2.0
output "task_definition" {
  description = "The task definition, in this revision, and its family."
  value = {
    arn       = aws_ecs_task_definition.this.arn
    family    = aws_ecs_task_definition.this.family
    container = var.container
  }
}
