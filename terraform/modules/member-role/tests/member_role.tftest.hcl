mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/cloudwatch-fleet-reader" }
  }
}

variables {
  worker_role_arn = "arn:aws:iam::999999999999:role/fleet-worker"
  external_id     = "e-4711"
}

run "the_worker_may_read_metrics_and_nothing_else" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.metrics.policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid      = "ReadMetrics"
        Effect   = "Allow"
        Action   = ["account:ListRegions", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "lambda:ListFunctions", "s3:ListAllMyBuckets", "s3express:ListAllMyDirectoryBuckets"]
        Resource = "*"
      }]
    }
    error_message = "The role's policy is ${aws_iam_role_policy.metrics.policy}"
  }

  assert {
    condition     = aws_iam_role_policy.metrics.role == aws_iam_role.reader.name
    error_message = "The policy is another role's."
  }

  # What no assertion on a plan can show: that there is no further policy, attached or in the role's own arguments.
  assert {
    condition = sort(flatten([
      for name in fileset(path.module, "*.tf") :
      regexall("(?m)^(?:resource|module) .*\"|managed_policy_arns|inline_policy", file("${path.module}/${name}"))
    ])) == tolist(["resource \"aws_iam_role\" \"reader\"", "resource \"aws_iam_role_policy\" \"metrics\""])
    error_message = "The module makes more than one role with one policy."
  }
}

run "directory_buckets_are_not_listed_if_that_is_switched_off" {
  command = plan

  variables {
    directory_buckets = false
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.metrics.policy).Statement[0].Action == ["account:ListRegions", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "lambda:ListFunctions", "s3:ListAllMyBuckets"]
    error_message = "The role's policy is ${aws_iam_role_policy.metrics.policy}"
  }
}

run "tags_are_read_if_any_is_a_column" {
  command = plan

  variables {
    tag_keys = ["team"]
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.metrics.policy).Statement[0].Action == [
      "account:ListRegions", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "lambda:ListFunctions", "s3:ListAllMyBuckets", "s3express:ListAllMyDirectoryBuckets", "tag:GetResources",
    ]
    error_message = "The role's policy is ${aws_iam_role_policy.metrics.policy}"
  }
}

# IAM keeps a role that is a principal by its unique id, which a role that is made again does not have. Here the principal is an
# account, which can't be made again, and the role stands in a condition, which is compared by name.
run "trust_in_the_account_outlives_the_workers_role_and_lets_no_other_role_in" {
  command = plan

  variables {
    trust           = "account"
    worker_role_arn = "arn:aws-us-gov:iam::999999999999:role/a/path/fleet-worker"
    organization_id = "o-exampleorgid"
  }

  assert {
    condition = jsondecode(aws_iam_role.reader.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "AssumedByTheWorker"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws-us-gov:iam::999999999999:root" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "sts:ExternalId" = "e-4711", "aws:PrincipalOrgID" = "o-exampleorgid" }
          ArnEquals    = { "aws:PrincipalArn" = "arn:aws-us-gov:iam::999999999999:role/a/path/fleet-worker" }
        }
      }]
    }
    error_message = "The trust policy is ${aws_iam_role.reader.assume_role_policy}"
  }
}

run "one_role_is_trusted_and_must_say_the_external_id" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.reader.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "AssumedByTheWorker"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::999999999999:role/fleet-worker" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "sts:ExternalId" = "e-4711" } }
      }]
    }
    error_message = "The trust policy is ${aws_iam_role.reader.assume_role_policy}"
  }
}

run "who_is_trusted_has_no_default" {
  command = plan

  assert {
    condition = [
      for block in regexall("(?ms)^variable \"(\\w+)\" \\{(.*?)^\\}", file("${path.module}/variables.tf")) :
      block[0] if !strcontains(block[1], "  default ")
    ] == ["worker_role_arn", "external_id"]
    error_message = "Either the worker's role or the external id may be left out, or something else may not."
  }
}

run "the_worker_must_be_of_the_organization_where_one_is_given" {
  command = plan

  variables {
    organization_id = "o-exampleorgid"
  }

  assert {
    condition = jsondecode(aws_iam_role.reader.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "AssumedByTheWorker"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::999999999999:role/fleet-worker" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "sts:ExternalId"     = "e-4711"
            "aws:PrincipalOrgID" = "o-exampleorgid"
          }
        }
      }]
    }
    error_message = "The trust policy is ${aws_iam_role.reader.assume_role_policy}"
  }
}

run "no_principal_is_a_wildcard_or_a_whole_account" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role.reader.assume_role_policy).Statement :
      can(regex("^arn:aws:iam::[0-9]{12}:role/[^*?]+$", statement.Principal.AWS)) && keys(statement.Principal) == ["AWS"]
    ])
    error_message = "The trust policy names more than a role: ${aws_iam_role.reader.assume_role_policy}"
  }
}

run "a_session_lasts_an_hour_and_no_boundary_is_set_unasked" {
  command = plan

  assert {
    condition     = aws_iam_role.reader.max_session_duration == 3600
    error_message = "A session may last ${aws_iam_role.reader.max_session_duration} s."
  }

  assert {
    condition     = aws_iam_role.reader.permissions_boundary == null
    error_message = "There is a boundary that nobody asked for."
  }

  assert {
    condition = output.role == {
      name = "cloudwatch-fleet-reader"
      arn  = "arn:aws:iam::111111111111:role/cloudwatch-fleet-reader"
    }
    error_message = "The role is ${jsonencode(output.role)}."
  }
}

run "the_boundary_that_is_given_bounds_the_role" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111111111111:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.reader.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary"
    error_message = "The boundary is not set."
  }
}
