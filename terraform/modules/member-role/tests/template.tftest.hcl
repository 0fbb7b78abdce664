# template.yaml grants what main.tf grants: each run of the template is followed by one that compares, with the same
# values. All that CloudFormation is told of the role is compared, so that a property more fails too; by jsonencode(),
# since == of two types is false whatever they hold. No two of the optional values are given in the same pairs, so that a
# Condition which asks for another one fails.

mock_provider "aws" {
  override_during = plan
}

variables {
  worker_role_arn = "arn:aws:iam::999999999999:role/fleet-worker"
  external_id     = "e-4711"
}

run "template_of_an_organization" {
  command = plan

  module {
    source = "./tests/cloudformation"
  }

  variables {
    organization_id = "o-exampleorgid"
  }

  assert {
    condition     = jsonencode(output.resources) == jsonencode({ Role = { Type = "AWS::IAM::Role" } })
    error_message = "The template makes more than the role, or not always: ${jsonencode(output.resources)}"
  }

  assert {
    condition     = jsonencode(output.outputs) == jsonencode({ RoleArn = { "Fn::GetAtt" = ["Role", "Arn"] } })
    error_message = "The template's outputs are ${jsonencode(output.outputs)}"
  }

  assert {
    condition     = jsonencode(output.required) == jsonencode(["ExternalId", "WorkerRoleArn"])
    error_message = "What must be said is ${jsonencode(output.required)}"
  }
}

run "both_are_the_same_role_for_an_organization" {
  command = plan

  variables {
    organization_id = "o-exampleorgid"
  }

  assert {
    condition = jsonencode(run.template_of_an_organization.role) == jsonencode({
      for name, value in {
        RoleName                 = aws_iam_role.reader.name
        Description              = aws_iam_role.reader.description
        MaxSessionDuration       = aws_iam_role.reader.max_session_duration
        PermissionsBoundary      = aws_iam_role.reader.permissions_boundary
        AssumeRolePolicyDocument = jsondecode(aws_iam_role.reader.assume_role_policy)
        Policies = [{
          PolicyName     = aws_iam_role_policy.metrics.name
          PolicyDocument = jsondecode(aws_iam_role_policy.metrics.policy)
        }]
      } : name => value if value != null
    })
    error_message = "template.yaml has ${jsonencode(run.template_of_an_organization.role)}, main.tf ${aws_iam_role.reader.assume_role_policy} and ${aws_iam_role_policy.metrics.policy} (or the name, the description, the session or the boundary differs)"
  }
}

run "template_with_a_boundary_and_other_values" {
  command = plan

  module {
    source = "./tests/cloudformation"
  }

  variables {
    name                     = "reader@finops"
    worker_role_arn          = "arn:aws-cn:iam::888888888888:role/a/path/worker"
    trust                    = "account"
    directory_buckets        = false
    external_id              = "another:external/id+=,.@-_"
    permissions_boundary_arn = "arn:aws-cn:iam::111111111111:policy/a/boundary"
  }
}

run "both_are_the_same_role_with_a_boundary_and_other_values" {
  command = plan

  variables {
    name                     = "reader@finops"
    worker_role_arn          = "arn:aws-cn:iam::888888888888:role/a/path/worker"
    trust                    = "account"
    directory_buckets        = false
    external_id              = "another:external/id+=,.@-_"
    permissions_boundary_arn = "arn:aws-cn:iam::111111111111:policy/a/boundary"
  }

  assert {
    condition = jsonencode(run.template_with_a_boundary_and_other_values.role) == jsonencode({
      for name, value in {
        RoleName                 = aws_iam_role.reader.name
        Description              = aws_iam_role.reader.description
        MaxSessionDuration       = aws_iam_role.reader.max_session_duration
        PermissionsBoundary      = aws_iam_role.reader.permissions_boundary
        AssumeRolePolicyDocument = jsondecode(aws_iam_role.reader.assume_role_policy)
        Policies = [{
          PolicyName     = aws_iam_role_policy.metrics.name
          PolicyDocument = jsondecode(aws_iam_role_policy.metrics.policy)
        }]
      } : name => value if value != null
    })
    error_message = "template.yaml has ${jsonencode(run.template_with_a_boundary_and_other_values.role)}, main.tf ${aws_iam_role.reader.assume_role_policy} and ${aws_iam_role_policy.metrics.policy} (or the name, the description, the session or the boundary differs)"
  }
}

run "template_that_trusts_the_account_and_reads_tags" {
  command = plan

  module {
    source = "./tests/cloudformation"
  }

  variables {
    trust = "account"
    tags  = true
  }
}

run "both_are_the_same_role_that_trusts_the_account_and_reads_tags" {
  command = plan

  variables {
    trust    = "account"
    tag_keys = ["team"]
  }

  assert {
    condition = jsonencode(run.template_that_trusts_the_account_and_reads_tags.role) == jsonencode({
      for name, value in {
        RoleName                 = aws_iam_role.reader.name
        Description              = aws_iam_role.reader.description
        MaxSessionDuration       = aws_iam_role.reader.max_session_duration
        PermissionsBoundary      = aws_iam_role.reader.permissions_boundary
        AssumeRolePolicyDocument = jsondecode(aws_iam_role.reader.assume_role_policy)
        Policies = [{
          PolicyName     = aws_iam_role_policy.metrics.name
          PolicyDocument = jsondecode(aws_iam_role_policy.metrics.policy)
        }]
      } : name => value if value != null
    })
    error_message = "template.yaml has ${jsonencode(run.template_that_trusts_the_account_and_reads_tags.role)}, main.tf ${aws_iam_role.reader.assume_role_policy} and ${aws_iam_role_policy.metrics.policy} (or the name, the description, the session or the boundary differs)"
  }
}
