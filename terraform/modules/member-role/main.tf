# SPDX-License-Identifier: Apache-2.0
# The role of a member account that the fleet's worker assumes. template.yaml is the same role for StackSets, and the
# tests hold both to each other.

locals {
  worker = split(":", var.worker_role_arn) # arn:PARTITION:iam::ACCOUNT:role/NAME

  # What `producer datasets --format json` says, which is what collecting each dataset takes.
  datasets = jsondecode(file("${path.module}/../../datasets.json")).datasets
}

resource "aws_iam_role" "reader" {
  name        = var.name
  description = "Assumed by cloudwatch-fleet to read CloudWatch metrics and to list what they are about; it reads no data."

  # The worker is in a role already when it assumes this one, and such a session lasts for an hour at most.
  # Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
  max_session_duration = 3600

  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AssumedByTheWorker"
      Effect    = "Allow"
      Principal = { AWS = var.trust == "account" ? "arn:${local.worker[1]}:iam::${local.worker[4]}:root" : var.worker_role_arn }
      Action    = "sts:AssumeRole"
      Condition = merge(
        {
          StringEquals = merge(
            { "sts:ExternalId" = var.external_id },
            var.organization_id == null ? {} : { "aws:PrincipalOrgID" = var.organization_id },
          )
        },
        # A role as principal is kept by its unique id, and one in a condition by its name.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
        var.trust == "account" ? { ArnEquals = { "aws:PrincipalArn" = var.worker_role_arn } } : {},
      )
    }]
  })
}

# On `*`, since there is nothing narrower: listing buckets of either kind has no resource type, and the only one of CloudWatch's
# (`dataset`) is that of PromQL, which the worker does not ask in. A bucket's region needs no permission, as S3 tells it
# even where it denies HeadBucket.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3express.html
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonresourcegrouptaggingapi.html
resource "aws_iam_role_policy" "metrics" {
  name = "read-metrics"
  role = aws_iam_role.reader.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "ReadMetrics"
      Effect = "Allow"
      # Sorted, so that another dataset changes nothing that it doesn't add to.
      Action = sort(distinct(concat(
        flatten(local.datasets[*].permissions),
        [
          for action in flatten(local.datasets[*].optional_permissions) : action
          if var.directory_buckets || !startswith(action, "s3express:")
        ],
        length(var.tag_keys) == 0 ? [] : ["tag:GetResources"],
      )))
      Resource = "*"
    }]
  })
}

moved {
  from = aws_iam_role_policy.bucket_metrics
  to   = aws_iam_role_policy.metrics
}
