mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "999999999999" }
  }
}

override_resource {
  target          = aws_sqs_queue.jobs
  override_during = plan
  values = {
    arn = "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs"
    url = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-jobs"
  }
}

override_resource {
  target          = aws_sqs_queue.dead_letters
  override_during = plan
  values = {
    arn = "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead"
    url = "https://sqs.eu-west-1.amazonaws.com/999999999999/fleet-jobs-dead"
  }
}

variables {
  name = "fleet"
}

run "jobs_wait_four_days_and_dead_letters_fourteen" {
  command = plan

  assert {
    condition     = aws_sqs_queue.jobs.message_retention_seconds == 345600
    error_message = "A job waits for ${aws_sqs_queue.jobs.message_retention_seconds} s."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "A dead letter is kept for ${aws_sqs_queue.dead_letters.message_retention_seconds} s."
  }

  assert {
    condition     = aws_sqs_queue.jobs.visibility_timeout_seconds == 120 && aws_sqs_queue.jobs.receive_wait_time_seconds == 20
    error_message = "The lease is 120 s, and an empty receive waits for 20 s."
  }
}

run "a_job_received_too_often_is_a_dead_letter_of_this_queue_alone" {
  command = plan

  assert {
    condition = jsondecode(aws_sqs_queue.jobs.redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead"
      maxReceiveCount     = 12
    }
    error_message = "The redrive policy is ${aws_sqs_queue.jobs.redrive_policy}."
  }

  assert {
    condition = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:999999999999:fleet-jobs"]
    }
    error_message = "Another queue may redrive to the dead-letter queue."
  }
}

run "other_accounts_and_plain_http_are_refused_on_both" {
  command = plan

  assert {
    condition = alltrue([
      for policy, queue in {
        (aws_sqs_queue_policy.jobs.policy)         = "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs"
        (aws_sqs_queue_policy.dead_letters.policy) = "arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead"
        } : jsondecode(policy).Statement == [
        {
          Sid       = "RefuseOtherAccounts"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = queue
          Condition = {
            StringNotEquals = { "aws:PrincipalAccount" = "999999999999" }
            Bool            = { "aws:PrincipalIsAWSService" = "false" }
          }
        },
        {
          Sid       = "RefusePlainHttp"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = queue
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    ])
    error_message = "A queue's policy does not refuse other accounts and plain HTTP, or does something else."
  }
}

# As IAM evaluates it: all conditions must hold, and one of a negated operator holds for a key that is absent.
run "other_accounts_are_denied_and_neither_this_one_nor_an_aws_service" {
  command = plan

  variables {
    calls = {
      another_account = { "aws:PrincipalAccount" = "111111111111", "aws:PrincipalIsAWSService" = "false" }
      this_account    = { "aws:PrincipalAccount" = "999999999999", "aws:PrincipalIsAWSService" = "false" }
      s3              = { "aws:PrincipalIsAWSService" = "true" }
    }
  }

  assert {
    condition = alltrue([
      for policy in [aws_sqs_queue_policy.jobs.policy, aws_sqs_queue_policy.dead_letters.policy] : {
        for who, call in var.calls : who => anytrue([
          for statement in jsondecode(policy).Statement : statement.Effect == "Deny" && alltrue(flatten([
            for operator, keys in statement.Condition : [
              for key, value in keys :
              operator == "StringNotEquals" ? lookup(call, key, "") != value : lookup(call, key, "") == value
            ]
          ]))
        ])
      } == { another_account = true, this_account = false, s3 = false }
    ])
    error_message = "A queue refuses an AWS service or this account, or does not refuse another: ${aws_sqs_queue_policy.jobs.policy}"
  }
}

run "both_are_encrypted_by_sqs_where_no_key_is_given" {
  command = plan

  assert {
    condition     = aws_sqs_queue.jobs.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "A queue is not encrypted."
  }
}

run "both_are_encrypted_by_the_key_that_is_given" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
  }

  assert {
    condition     = aws_sqs_queue.jobs.kms_master_key_id == var.kms_key_arn && aws_sqs_queue.dead_letters.kms_master_key_id == var.kms_key_arn
    error_message = "A queue does not use the key."
  }
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name                       = "Fleet"
    visibility_timeout_seconds = 43201
    max_receive_count          = 3
    retention_hours            = 337
    kms_key_arn                = "alias/fleet"
  }

  expect_failures = [var.name, var.retention_hours, var.visibility_timeout_seconds, var.max_receive_count, var.kms_key_arn]
}

run "another_queue_has_names_and_times_of_its_own" {
  command = plan

  variables {
    queue           = "ticks"
    retention_hours = 1
  }

  assert {
    condition     = aws_sqs_queue.jobs.name == "fleet-ticks" && aws_sqs_queue.dead_letters.name == "fleet-ticks-dead" && aws_sqs_queue.jobs.message_retention_seconds == 3600
    error_message = "The queue is ${aws_sqs_queue.jobs.name}, and keeps jobs for ${aws_sqs_queue.jobs.message_retention_seconds} s."
  }
}

run "a_queue_of_the_stacks_own_name_is_refused" {
  command = plan

  variables {
    queue = "jobs-dead"
  }

  expect_failures = [var.queue]
}
