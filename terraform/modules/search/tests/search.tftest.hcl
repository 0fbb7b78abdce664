mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "999999999999" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }

  mock_resource "aws_opensearch_domain" {
    defaults = {
      arn                = "arn:aws:es:eu-west-1:999999999999:domain/fleet"
      endpoint           = "search-fleet-mock.eu-west-1.es.amazonaws.com"
      dashboard_endpoint = "search-fleet-mock.eu-west-1.es.amazonaws.com/_dashboards"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:999999999999:log-group:/fleet/search" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-search" }
  }
}

variables {
  name            = "fleet"
  master_user_arn = "arn:aws:iam::999999999999:role/fleet-setup"
  worker_role_arn = "arn:aws:iam::999999999999:role/fleet-worker"
  setup_role_arn  = "arn:aws:iam::999999999999:role/fleet-setup"
}

run "it_is_encrypted_and_small_by_default" {
  command = plan

  assert {
    condition = (
      aws_opensearch_domain.this.engine_version == "OpenSearch_2.19" &&
      aws_opensearch_domain.this.cluster_config[0].instance_type == "t3.small.search" &&
      aws_opensearch_domain.this.cluster_config[0].instance_count == 1 &&
      aws_opensearch_domain.this.cluster_config[0].zone_awareness_enabled == false &&
      aws_opensearch_domain.this.ebs_options[0].volume_size == 10
    )
    error_message = "The domain is ${jsonencode([aws_opensearch_domain.this.engine_version, aws_opensearch_domain.this.cluster_config, aws_opensearch_domain.this.ebs_options])}."
  }

  assert {
    condition = (
      aws_opensearch_domain.this.encrypt_at_rest[0].enabled && aws_opensearch_domain.this.node_to_node_encryption[0].enabled &&
      aws_opensearch_domain.this.domain_endpoint_options[0].enforce_https &&
      aws_opensearch_domain.this.domain_endpoint_options[0].tls_security_policy == "Policy-Min-TLS-1-2-PFS-2023-10"
    )
    error_message = "It is not encrypted, or not everywhere."
  }

  assert {
    condition = (
      aws_opensearch_domain.this.advanced_security_options[0].enabled &&
      aws_opensearch_domain.this.advanced_security_options[0].internal_user_database_enabled == false &&
      aws_opensearch_domain.this.advanced_security_options[0].master_user_options[0].master_user_arn == var.master_user_arn &&
      aws_opensearch_domain.this.advanced_security_options[0].master_user_options[0].master_user_password == null
    )
    error_message = "Somebody else is its master, or has a password."
  }

  assert {
    condition     = length(aws_opensearch_domain.this.vpc_options) == 0 && length(aws_security_group.this) == 0
    error_message = "It is in a VPC unasked."
  }

  assert {
    condition     = toset(aws_opensearch_domain.this.log_publishing_options[*].log_type) == toset(["ES_APPLICATION_LOGS", "AUDIT_LOGS"])
    error_message = "It logs ${jsonencode(aws_opensearch_domain.this.log_publishing_options)}."
  }

  assert {
    condition = output.domain == {
      name           = "fleet"
      arn            = "arn:aws:es:eu-west-1:999999999999:domain/fleet"
      url            = "https://search-fleet-mock.eu-west-1.es.amazonaws.com"
      dashboards_url = "https://search-fleet-mock.eu-west-1.es.amazonaws.com/_dashboards"
    }
    error_message = "The domain is ${jsonencode(output.domain)}."
  }
}

# Compared whole: one verb or one principal more fails.
run "two_roles_get_through_and_nobody_else" {
  command = plan

  assert {
    condition = jsondecode(aws_opensearch_domain_policy.this.access_policies).Statement == [
      {
        Sid       = "Deliver"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::999999999999:role/fleet-worker" }
        Action    = ["es:ESHttpGet", "es:ESHttpPost"]
        Resource  = "arn:aws:es:eu-west-1:999999999999:domain/fleet/*"
      },
      {
        Sid       = "SetUp"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::999999999999:role/fleet-setup" }
        Action    = ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"]
        Resource  = "arn:aws:es:eu-west-1:999999999999:domain/fleet/*"
      },
    ]
    error_message = "The policy is ${aws_opensearch_domain_policy.this.access_policies}"
  }

  assert {
    condition = jsondecode(aws_cloudwatch_log_resource_policy.this.policy_document).Statement == [{
      Sid       = "WriteLogsOfTheDomain"
      Effect    = "Allow"
      Principal = { Service = "es.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "arn:aws:logs:eu-west-1:999999999999:log-group:/fleet/search:*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = "999999999999" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:es:eu-west-1:999999999999:domain/fleet" }
      }
    }]
    error_message = "Something else may write logs: ${aws_cloudwatch_log_resource_policy.this.policy_document}"
  }
}

run "people_are_let_in_if_they_are_named" {
  command = plan

  variables {
    user_arns = ["arn:aws:iam::999999999999:role/analyst"]
  }

  assert {
    condition = jsondecode(aws_opensearch_domain_policy.this.access_policies).Statement[2] == {
      Sid       = "Use"
      Effect    = "Allow"
      Principal = { AWS = ["arn:aws:iam::999999999999:role/analyst"] }
      Action    = "es:ESHttp*"
      Resource  = "arn:aws:es:eu-west-1:999999999999:domain/fleet/*"
    }
    error_message = "The policy is ${aws_opensearch_domain_policy.this.access_policies}"
  }
}

run "in_a_vpc_the_tasks_alone_enter_and_two_nodes_are_in_two_zones" {
  command = plan

  variables {
    instance_count = 2
    kms_key_arn    = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
    network        = { vpc_id = "vpc-a", subnet_ids = ["subnet-a", "subnet-b", "subnet-c"], security_group_ids = ["sg-tasks"] }
  }

  assert {
    condition = (
      aws_opensearch_domain.this.vpc_options[0].subnet_ids == toset(["subnet-a", "subnet-b"]) &&
      aws_opensearch_domain.this.vpc_options[0].security_group_ids == toset(["sg-search"]) &&
      aws_opensearch_domain.this.cluster_config[0].zone_awareness_enabled
    )
    error_message = "It is in ${jsonencode(aws_opensearch_domain.this.vpc_options)}."
  }

  assert {
    condition = jsonencode([
      for rule in aws_security_group.this[0].ingress : [rule.from_port, rule.to_port, rule.protocol, rule.security_groups, rule.cidr_blocks]
    ]) == jsonencode([[443, 443, "tcp", ["sg-tasks"], null]]) && aws_security_group.this[0].vpc_id == "vpc-a"
    error_message = "Others enter: ${jsonencode(aws_security_group.this[0].ingress)}"
  }

  assert {
    condition     = aws_opensearch_domain.this.encrypt_at_rest[0].kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "The customer key is not used."
  }
}

run "two_nodes_in_one_subnet_are_in_one_zone" {
  command = plan

  variables {
    instance_count = 2
    network        = { vpc_id = "vpc-a", subnet_ids = ["subnet-a"], security_group_ids = ["sg-tasks"] }
  }

  assert {
    condition     = !aws_opensearch_domain.this.cluster_config[0].zone_awareness_enabled && aws_opensearch_domain.this.vpc_options[0].subnet_ids == toset(["subnet-a"])
    error_message = "OpenSearch Service refuses two zones in one subnet."
  }
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name            = "ab"
    engine_version  = "Elasticsearch_7.10"
    instance_type   = "t2.small.search"
    instance_count  = 1.5
    volume_gib      = 5
    master_user_arn = "admin"
    user_arns       = ["analyst"]
    kms_key_arn     = "alias/fleet"
  }

  expect_failures = [var.name, var.engine_version, var.instance_type, var.instance_count, var.volume_gib, var.master_user_arn, var.user_arns, var.kms_key_arn]
}
