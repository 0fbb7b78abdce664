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
}

variables {
  name = "fleet"
}

# Compared whole: a service more or less fails.
run "those_that_come_without_a_role_use_the_key_and_iam_decides_the_rest" {
  command = plan

  assert {
    condition = {
      for statement in jsondecode(aws_kms_key.this.policy).Statement : statement.Sid => join(" ", flatten([
        statement.Effect, flatten(values(statement.Principal)), statement.Action, statement.Resource,
        try(jsonencode(statement.Condition), "always"),
      ]))
      } == {
      LeaveTheRestToIam        = "Allow arn:aws:iam::999999999999:root kms:* * always"
      Logs                     = "Allow logs.eu-west-1.amazonaws.com kms:Encrypt kms:Decrypt kms:ReEncrypt* kms:GenerateDataKey* kms:DescribeKey * {\"ArnLike\":{\"kms:EncryptionContext:aws:logs:arn\":[\"arn:aws:logs:eu-west-1:999999999999:log-group:/fleet/*\",\"arn:aws:logs:eu-west-1:999999999999:log-group:/aws/events/fleet\"]}}"
      Alarms                   = "Allow cloudwatch.amazonaws.com kms:Decrypt kms:GenerateDataKey * {\"StringEquals\":{\"aws:SourceAccount\":\"999999999999\"}}"
      StartsThatCouldNotBeMade = "Allow scheduler.amazonaws.com kms:Decrypt kms:GenerateDataKey * always"
    }
    error_message = "The key's policy is ${aws_kms_key.this.policy}"
  }
}

run "the_key_is_rotated_and_goes_after_a_month" {
  command = plan

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30 && aws_kms_alias.this.name == "alias/fleet"
    error_message = "The key is never rotated, or gone at once."
  }
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name = "Fleet"
  }

  expect_failures = [var.name]
}
