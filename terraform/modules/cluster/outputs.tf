# SPDX-License-Identifier: Apache-2.0
output "cluster" {
  description = "The ECS cluster."
  value = {
    name = aws_ecs_cluster.this.name
    arn  = aws_ecs_cluster.this.arn
  }

  # A service on spot capacity is refused before.
  depends_on = [aws_ecs_cluster_capacity_providers.this]
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
  description = "The image that all programs run, by its tag or, if that is given, its digest."
  value       = local.image
}

output "security_group_ids" {
  description = "A security group that lets tasks out to AWS, and no one in."
  value       = [aws_security_group.tasks.id]
}
