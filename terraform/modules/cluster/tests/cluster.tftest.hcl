mock_provider "aws" {
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_ecr_repository" {
    defaults = { repository_url = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet" }
  }
}

variables {
  name      = "fleet"
  vpc_id    = "vpc-1"
  image_tag = "0.1.0"
}

run "workers_let_no_one_in_and_ask_on_443_alone" {
  command = plan

  assert {
    condition     = length(aws_security_group.tasks[0].ingress) == 0
    error_message = "Somebody is let in."
  }

  assert {
    condition     = [for rule in aws_security_group.tasks[0].egress : [rule.protocol, rule.from_port, rule.to_port]] == [["tcp", 443, 443]]
    error_message = "Workers are let out elsewhere than to HTTPS."
  }
}

run "the_image_is_the_repositorys_and_never_changes_under_its_tag" {
  command = plan

  assert {
    condition     = aws_ecr_repository.this[0].image_tag_mutability == "IMMUTABLE" && output.image == "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet:0.1.0"
    error_message = "The image is ${output.image}."
  }
}

run "the_image_that_was_tested_runs_whatever_its_tag_names_by_now" {
  command = plan

  variables {
    image_digest = "sha256:1f1e0a95b9e5f2e59ab3df4a9d2f4a2ba9ab6b6d0a4d8a1c7a2f3c9f6a2d0e11"
  }

  assert {
    condition     = output.image == "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet@${var.image_digest}"
    error_message = "The image is ${output.image}."
  }
}

run "spot_capacity_is_the_clusters_only_if_a_fleet_runs_on_it" {
  command = plan

  assert {
    condition     = length(aws_ecs_cluster_capacity_providers.this) == 0
    error_message = "The cluster has capacity providers unasked."
  }
}

run "a_fleet_on_spot_capacity_finds_it" {
  command = plan

  variables {
    spot = true
  }

  assert {
    condition     = aws_ecs_cluster_capacity_providers.this[0].capacity_providers == toset(["FARGATE", "FARGATE_SPOT"])
    error_message = "ECS would refuse the service."
  }
}

run "what_one_brings_along_is_not_made" {
  command = plan

  variables {
    image              = "222222222222.dkr.ecr.eu-central-1.amazonaws.com/platform/fleet@sha256:1f1e0a95b9e5f2e59ab3df4a9d2f4a2ba9ab6b6d0a4d8a1c7a2f3c9f6a2d0e11"
    cluster_arn        = "arn:aws:ecs:eu-west-1:999999999999:cluster/shared"
    security_group_ids = ["sg-1", "sg-2"]
    spot               = true
  }

  assert {
    condition     = length(aws_ecr_repository.this) + length(aws_ecr_lifecycle_policy.this) + length(aws_ecs_cluster.this) + length(aws_security_group.tasks) + length(aws_ecs_cluster_capacity_providers.this) == 0
    error_message = "Something is made beside what is given."
  }

  assert {
    condition = (
      output.image == var.image && output.repository_url == null && output.security_group_ids == tolist(["sg-1", "sg-2"]) &&
      output.repository_arn == "arn:aws:ecr:eu-central-1:222222222222:repository/platform/fleet" &&
      output.cluster == { name = "shared", arn = "arn:aws:ecs:eu-west-1:999999999999:cluster/shared" }
    )
    error_message = "What is given is not used: ${jsonencode([output.image, output.repository_arn, output.cluster, output.security_group_ids])}"
  }
}

run "an_image_of_another_registry_is_in_no_repository_of_ecr" {
  command = plan

  variables {
    image = "registry.example.com/fleet:0.1.0"
  }

  assert {
    condition     = output.repository_arn == null
    error_message = "The repository is ${jsonencode(output.repository_arn)}."
  }
}

run "an_image_of_which_it_is_not_known_what_runs_is_refused" {
  command = plan

  variables {
    image = "registry.example.com/fleet"
  }

  expect_failures = [var.image]
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name               = "fleet."
    cluster_arn        = "shared"
    security_group_ids = ["tasks"]
  }

  expect_failures = [var.name, var.cluster_arn, var.security_group_ids]
}
