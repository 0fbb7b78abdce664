# SPDX-License-Identifier: Apache-2.0
# What all fleets and the producer share: the image's repository, the ECS cluster, and the security group of tasks.

locals {
  image = var.image != null ? var.image : "${aws_ecr_repository.this[0].repository_url}${var.image_digest == null ? ":${var.image_tag}" : "@${var.image_digest}"}"

  # Of an image in a registry of ECR, in this account or another, ECS must be let in to the repository.
  # ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY
  ecr = try(regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr(?:-fips)?\\.(?P<region>[a-z0-9-]+)\\.amazonaws\\.com(?:\\.cn)?/(?P<name>[^:@]+)", var.image), null)

  # arn:PARTITION:ecs:REGION:ACCOUNT:cluster/NAME
  cluster = {
    name = var.cluster_arn == null ? one(aws_ecs_cluster.this[*].name) : split("/", var.cluster_arn)[1]
    arn  = var.cluster_arn == null ? one(aws_ecs_cluster.this[*].arn) : var.cluster_arn
  }
}

data "aws_partition" "current" {}

resource "aws_ecr_repository" "this" {
  count = var.image == null ? 1 : 0

  #checkov:skip=CKV_AWS_136: ECR encrypts with a key of its own, and the image holds no secret
  name                 = var.name
  image_tag_mutability = "IMMUTABLE" # what was tested under a tag is what runs under it

  force_delete = true # it is built again from the source

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  count = var.image == null ? 1 : 0

  repository = aws_ecr_repository.this[0].name

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
  count = var.cluster_arn == null ? 1 : 0

  #checkov:skip=CKV_AWS_65: Container Insights is paid for by the task, and the workers' own metrics show more
  name = var.name

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

# Its rules are inline, so that a manually added one is removed again.
resource "aws_security_group" "tasks" {
  count = length(var.security_group_ids) == 0 ? 1 : 0

  #checkov:skip=CKV2_AWS_5: the tasks of modules fleet and schedule have it
  name        = "${var.name}-tasks"
  description = "Tasks of ${var.name}: out to AWS, and nothing in."
  vpc_id      = var.vpc_id
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

# Without it the cluster takes no task on spot capacity. A cluster that has it keeps it: ECS can't take it away from a service.
resource "aws_ecs_cluster_capacity_providers" "this" {
  count = var.spot && var.cluster_arn == null ? 1 : 0

  cluster_name       = aws_ecs_cluster.this[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}
