# SPDX-License-Identifier: Apache-2.0
output "cluster" {
  description = "The ECS cluster."
  value       = local.cluster

  # A service on spot capacity is refused before.
  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "repository_url" {
  description = "Where to push the image; null if it is one of yours."
  value       = one(aws_ecr_repository.this[*].repository_url)
}

output "repository_arn" {
  description = "The ECR repository that the image is fetched from; null if it is in another registry."
  value = var.image == null ? one(aws_ecr_repository.this[*].arn) : try(
    "arn:${data.aws_partition.current.partition}:ecr:${local.ecr.region}:${local.ecr.account}:repository/${local.ecr.name}", null,
  )
}

output "image" {
  description = "The image that all programs run, by its tag or its digest."
  value       = local.image
}

output "security_group_ids" {
  description = "The security groups of tasks; the one that is made lets them out to AWS, and no one in."
  value       = length(var.security_group_ids) > 0 ? var.security_group_ids : aws_security_group.tasks[*].id
}
