# SPDX-License-Identifier: Apache-2.0
output "cluster" {
  description = "The ECS cluster."
  value = {
    name = aws_ecs_cluster.this.name
    arn  = aws_ecs_cluster.this.arn
  }
}

output "service" {
  description = "The service of workers."
  value = {
    name                   = aws_ecs_service.worker.name
    task_definition_family = module.worker.task_definition.family
  }
}

output "repository" {
  description = "The repository to push the image to."
  value = {
    name = aws_ecr_repository.this.name
    arn  = aws_ecr_repository.this.arn
    url  = aws_ecr_repository.this.repository_url
  }
}

output "image" {
  description = "The image that workers run, by its tag or, if that is given, its digest."
  value       = local.image
}

output "security_group_id" {
  description = "A security group that lets tasks out to AWS, and no one in."
  value       = aws_security_group.tasks.id
}
