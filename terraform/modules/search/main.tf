# SPDX-License-Identifier: Apache-2.0
# An OpenSearch domain for reports: encrypted, by TLS alone, and with fine-grained access control. What is in it can be made anew
# from the report bucket.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id

  # Known before the domain is made, so that roles may name it.
  arn = "arn:${data.aws_partition.current.partition}:es:${data.aws_region.current.id}:${local.account_id}:domain/${var.name}"

  # Two zones for an even number of nodes, as far as there are subnets for them.
  two_zones  = var.instance_count % 2 == 0 && (var.network == null ? true : length(var.network.subnet_ids) > 1)
  subnet_ids = var.network == null ? [] : slice(var.network.subnet_ids, 0, local.two_zones ? 2 : 1)
}

resource "aws_opensearch_domain" "this" {
  #checkov:skip=CKV_AWS_137: without a network its endpoint is public, and takes signed requests of the roles below alone
  #checkov:skip=CKV_AWS_247: AWS encrypts with a key of its own unless kms_key_arn is given
  #checkov:skip=CKV_AWS_318: what is lost can be delivered again from the bucket, and three more nodes cost more than the rest
  #checkov:skip=CKV2_AWS_59: as above; nodes of their own for the cluster's state are for clusters of many nodes
  domain_name    = var.name
  engine_version = var.engine_version

  cluster_config {
    instance_type          = var.instance_type
    instance_count         = var.instance_count
    zone_awareness_enabled = local.two_zones

    dynamic "zone_awareness_config" {
      for_each = local.two_zones ? [2] : []

      content {
        availability_zone_count = zone_awareness_config.value
      }
    }
  }

  ebs_options {
    ebs_enabled = true
    volume_type = "gp3"
    volume_size = var.volume_gib
  }

  encrypt_at_rest {
    enabled    = true
    kms_key_id = var.kms_key_arn
  }

  node_to_node_encryption {
    enabled = true
  }

  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }

  # Of a role and not of a user, whose password would be in Terraform's state.
  advanced_security_options {
    enabled                        = true
    internal_user_database_enabled = false

    master_user_options {
      master_user_arn = var.master_user_arn
    }
  }

  # Patches of the engine's version.
  software_update_options {
    auto_software_update_enabled = true
  }

  log_publishing_options {
    enabled                  = true
    log_type                 = "AUDIT_LOGS"
    cloudwatch_log_group_arn = aws_cloudwatch_log_group.this.arn
  }

  log_publishing_options {
    enabled                  = true
    log_type                 = "ES_APPLICATION_LOGS"
    cloudwatch_log_group_arn = aws_cloudwatch_log_group.this.arn
  }

  dynamic "vpc_options" {
    for_each = var.network == null ? [] : [var.network]

    content {
      subnet_ids         = local.subnet_ids
      security_group_ids = aws_security_group.this[*].id
    }
  }

  # A domain is refused whose log group it can't write to.
  depends_on = [aws_cloudwatch_log_resource_policy.this]
}

# Who gets through to it at all; what they may do there is decided by the roles in it.
# https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html
resource "aws_opensearch_domain_policy" "this" {
  domain_name = aws_opensearch_domain.this.domain_name

  access_policies = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "Deliver"
          Effect    = "Allow"
          Principal = { AWS = var.worker_role_arn }
          Action    = ["es:ESHttpGet", "es:ESHttpPost"]
          Resource  = "${local.arn}/*"
        },
        {
          Sid       = "SetUp"
          Effect    = "Allow"
          Principal = { AWS = var.setup_role_arn }
          Action    = ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"]
          Resource  = "${local.arn}/*"
        },
      ],
      length(var.user_arns) == 0 ? [] : [{
        Sid       = "Use"
        Effect    = "Allow"
        Principal = { AWS = var.user_arns }
        Action    = "es:ESHttp*"
        Resource  = "${local.arn}/*"
      }],
    )
  })
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158: CloudWatch Logs encrypts with a key of its own unless kms_key_arn is given
  #checkov:skip=CKV_AWS_338: as long as you say; 90 days by default
  name              = "/${var.name}/search"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  skip_destroy      = var.keep_logs
}

# It takes one of the ten log resource policies that an account has in a region.
resource "aws_cloudwatch_log_resource_policy" "this" {
  policy_name = "${var.name}-search"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "WriteLogsOfTheDomain"
      Effect    = "Allow"
      Principal = { Service = "es.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.this.arn}:*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.arn }
      }
    }]
  })
}

resource "aws_security_group" "this" {
  count = var.network == null ? 0 : 1

  name        = "${var.name}-search"
  description = "The OpenSearch domain of ${var.name}: tasks come in by TLS, and nothing goes out."
  vpc_id      = var.network.vpc_id

  ingress {
    description     = "Tasks of the fleet, and who else has their security groups."
    security_groups = var.network.security_group_ids
    protocol        = "tcp"
    from_port       = 443
    to_port         = 443
  }

  tags = { Name = "${var.name}-search" }
}
