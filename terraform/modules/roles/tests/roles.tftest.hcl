# Policies are compared whole, as lines of effect, action and resource: one permission more or less fails.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::999999999999:role/mock" }
  }
}

variables {
  name                   = "fleet"
  queue_arns             = ["arn:aws:sqs:eu-west-1:999999999999:fleet-jobs"]
  dead_letter_queue_arns = ["arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead"]
  services               = ["fleet-worker"]
  report_bucket_arn      = "arn:aws:s3:::fleet-reports"
  member_role_arns       = ["arn:aws:iam::*:role/cloudwatch-fleet-reader"]
  cluster_arn            = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet"
  repository_arn         = "arn:aws:ecr:eu-west-1:999999999999:repository/fleet"
  log_group_arns         = ["arn:aws:logs:eu-west-1:999999999999:log-group:/fleet/worker"]
}

run "each_may_what_its_commands_use_and_no_more" {
  command = plan

  assert {
    condition = {
      for who, policy in merge({ for who, role in aws_iam_role_policy.this : who => role.policy }, { operator = aws_iam_policy.operator.policy }) :
      who => toset(flatten([
        for statement in jsondecode(policy).Statement : [
          for action in flatten([statement.Action]) : [
            for resource in flatten([statement.Resource]) :
            join(" ", compact([statement.Effect, action, resource, try(jsonencode(statement.Condition), "")]))
          ]
        ]
      ]))
      } == {
      worker = toset([
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:ReceiveMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:ChangeMessageVisibility arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:DeleteMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:SendMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow sqs:SendMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow s3:ListBucket arn:aws:s3:::fleet-reports",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/*/report_date=*/account_name=*/*.csv",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/*/report_date=*/account_name=*/*.csv",
        "Allow s3:AbortMultipartUpload arn:aws:s3:::fleet-reports/*/report_date=*/account_name=*/*.csv",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/tries/*",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/tries/*",
        "Allow s3:DeleteObject arn:aws:s3:::fleet-reports/tries/*",
        "Allow s3:AbortMultipartUpload arn:aws:s3:::fleet-reports/tries/*",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/claims/*",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/claims/*",
        "Allow s3:DeleteObject arn:aws:s3:::fleet-reports/claims/*",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/delivered/*",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/delivered/*",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/runs/*",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/runs/*",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/rejects/*",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/accounts.toml",
        "Allow ecs:UpdateTaskProtection arn:aws:ecs:eu-west-1:999999999999:task/fleet/*",
        "Allow sts:AssumeRole arn:aws:iam::*:role/cloudwatch-fleet-reader",
      ])
      producer = toset([
        "Allow ecs:DescribeServices arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker",
        "Allow ecs:UpdateService arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker",
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:SendMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow s3:ListBucket arn:aws:s3:::fleet-reports",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/*/report_date=*/account_name=*/*.csv",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/runs/*",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/accounts.toml",
        "Allow s3:PutObject arn:aws:s3:::fleet-reports/runs/*",
      ])
      status = toset([
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow sqs:ReceiveMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow sqs:ChangeMessageVisibility arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow s3:ListBucket arn:aws:s3:::fleet-reports",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/*/report_date=*/account_name=*/*.csv",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/runs/*",
      ])
      operator = toset([
        "Allow ecs:DescribeServices arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker",
        "Allow ecs:UpdateService arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker",
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:SendMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs",
        "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow sqs:ReceiveMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow sqs:ChangeMessageVisibility arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow sqs:DeleteMessage arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead",
        "Allow s3:ListBucket arn:aws:s3:::fleet-reports",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/*/report_date=*/account_name=*/*.csv",
        "Allow s3:GetObject arn:aws:s3:::fleet-reports/runs/*",
      ])
      execution = toset([
        "Allow ecr:GetAuthorizationToken *",
        "Allow ecr:BatchCheckLayerAvailability arn:aws:ecr:eu-west-1:999999999999:repository/fleet",
        "Allow ecr:BatchGetImage arn:aws:ecr:eu-west-1:999999999999:repository/fleet",
        "Allow ecr:GetDownloadUrlForLayer arn:aws:ecr:eu-west-1:999999999999:repository/fleet",
        "Allow logs:CreateLogStream arn:aws:logs:eu-west-1:999999999999:log-group:/fleet/worker:*",
        "Allow logs:PutLogEvents arn:aws:logs:eu-west-1:999999999999:log-group:/fleet/worker:*",
      ])
    }
    error_message = "Somebody may do more or less: ${jsonencode(merge({ for who, role in aws_iam_role_policy.this : who => jsondecode(role.policy).Statement }, { operator = jsondecode(aws_iam_policy.operator.policy).Statement }))}"
  }
}

# What there is besides the above.
run "with_sinks_each_may_what_these_take_and_no_more" {
  command = plan

  variables {
    configuration_key = "fleet.toml"
    kms_key_arn       = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"

    sinks = {
      namespaces          = ["Fleet/ECS", "Fleet/SQS"]
      domain_arns         = ["arn:aws:es:eu-west-1:999999999999:domain/fleet"]
      collection_arns     = ["arn:aws:aoss:eu-west-1:999999999999:collection/abc123"]
      secret_arns         = ["arn:aws:secretsmanager:eu-west-1:999999999999:secret:search-a1b2c3"]
      secret_kms_key_arns = ["arn:aws:kms:eu-west-1:999999999999:key/5ec2"]
      alert_role_arns     = ["arn:aws:iam::999999999999:role/alerts"]
      are_set_up          = true
    }
  }

  assert {
    condition = {
      for who, policy in merge({ for who, role in aws_iam_role_policy.this : who => role.policy }, { operator = aws_iam_policy.operator.policy }) :
      who => toset(flatten([
        for statement in jsondecode(policy).Statement : [
          for action in flatten([statement.Action]) : [
            for resource in flatten([statement.Resource]) : join(" ", compact([action, resource, try(jsonencode(statement.Condition), "")]))
            if can(regex("(es|aoss|cloudwatch|iam|secretsmanager):", action)) || can(regex("fleet[.]toml|delivered|5ec2", resource))
          ]
        ]
      ]))
      } == {
      worker = toset([
        "s3:GetObject arn:aws:s3:::fleet-reports/delivered/*",
        "s3:PutObject arn:aws:s3:::fleet-reports/delivered/*",
        "s3:GetObject arn:aws:s3:::fleet-reports/fleet.toml",
        "cloudwatch:PutMetricData * {\"StringEquals\":{\"cloudwatch:namespace\":[\"Fleet/ECS\",\"Fleet/SQS\"]}}",
        "es:ESHttpGet arn:aws:es:eu-west-1:999999999999:domain/fleet/*",
        "es:ESHttpPost arn:aws:es:eu-west-1:999999999999:domain/fleet/*",
        "aoss:APIAccessAll arn:aws:aoss:eu-west-1:999999999999:collection/abc123",
      ])
      setup = toset([
        "s3:GetObject arn:aws:s3:::fleet-reports/fleet.toml",
        "es:ESHttpDelete arn:aws:es:eu-west-1:999999999999:domain/fleet/*",
        "es:ESHttpGet arn:aws:es:eu-west-1:999999999999:domain/fleet/*",
        "es:ESHttpPost arn:aws:es:eu-west-1:999999999999:domain/fleet/*",
        "es:ESHttpPut arn:aws:es:eu-west-1:999999999999:domain/fleet/*",
        "aoss:APIAccessAll arn:aws:aoss:eu-west-1:999999999999:collection/abc123",
        "iam:PassRole arn:aws:iam::999999999999:role/alerts",
      ])
      producer = toset(["s3:GetObject arn:aws:s3:::fleet-reports/fleet.toml", "s3:GetObject arn:aws:s3:::fleet-reports/delivered/*"])
      status   = toset(["s3:GetObject arn:aws:s3:::fleet-reports/fleet.toml", "s3:GetObject arn:aws:s3:::fleet-reports/delivered/*"])
      operator = toset(["s3:GetObject arn:aws:s3:::fleet-reports/fleet.toml", "s3:GetObject arn:aws:s3:::fleet-reports/delivered/*"])
      execution = toset([
        "secretsmanager:GetSecretValue arn:aws:secretsmanager:eu-west-1:999999999999:secret:search-a1b2c3",
        "kms:Decrypt arn:aws:kms:eu-west-1:999999999999:key/5ec2",
      ])
    }
    error_message = "Somebody may do more or less: ${jsonencode({ for who, role in aws_iam_role_policy.this : who => jsondecode(role.policy).Statement })}"
  }

  # It sends no job, writes nothing to the bucket and enters no account.
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this["setup"].policy).Statement : statement.Sid] == [
      "ReadTheConfigurationFile", "GiveDomainsTheRoleOfTheirAlerts", "SendRequestsToDomains", "SendRequestsToCollections", "ReadByTheKey",
    ]
    error_message = "The set-up may do more: ${aws_iam_role_policy.this["setup"].policy}"
  }
}

run "without_sinks_nobody_sets_any_up" {
  command = plan

  assert {
    condition     = !contains(keys(aws_iam_role.this), "setup")
    error_message = "There is a role that no task has."
  }
}

run "sinks_that_would_open_more_than_is_meant_are_refused" {
  command = plan

  variables {
    sinks = { namespaces = ["Fleet/*"], are_set_up = true }
  }

  expect_failures = [var.sinks]
}

run "the_worker_reads_the_secrets_of_accounts_with_keys_and_ecs_none" {
  command = plan

  variables {
    secrets = {
      arns         = [for n in range(30) : "arn:aws:secretsmanager:eu-west-1:999999999999:secret:legacy-${n}-a1b2c3"]
      kms_key_arns = ["arn:aws:kms:eu-west-1:999999999999:key/0e3f"]
    }
  }

  assert {
    condition = toset(flatten([
      for policy in aws_iam_policy.secrets : [
        for statement in jsondecode(policy.policy).Statement : [for arn in statement.Resource : "${statement.Effect} ${statement.Action} ${arn}"]
      ]
      ])) == toset(concat(
      [for arn in var.secrets.arns : "Allow secretsmanager:GetSecretValue ${arn}"],
      ["Allow kms:Decrypt arn:aws:kms:eu-west-1:999999999999:key/0e3f"],
    ))
    error_message = "The worker reads something else: ${jsonencode(aws_iam_policy.secrets[*].policy)}"
  }

  assert {
    condition     = [for attached in aws_iam_role_policy_attachment.secrets : attached.role] == ["fleet-worker", "fleet-worker", "fleet-worker"]
    error_message = "Another role reads the secrets."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this["execution"].policy, "secretsmanager:")
    error_message = "ECS reads secrets, and one that can't be read would stop every worker."
  }
}

run "ecs_fetches_guarddutys_agent_and_has_what_the_account_adds_if_that_is_given" {
  command = plan

  variables {
    guardduty_repository_arns = ["arn:aws:ecr:eu-west-1:694911143906:repository/aws-guardduty-agent-fargate"]
    execution_policy_arns     = { agent = "arn:aws:iam::999999999999:policy/agent" }
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this["execution"].policy).Statement : statement if statement.Sid == "FetchTheAgentOfGuardDuty"
      ] == [{
        Sid      = "FetchTheAgentOfGuardDuty"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = ["arn:aws:ecr:eu-west-1:694911143906:repository/aws-guardduty-agent-fargate"]
    }]
    error_message = "ECS may do something else: ${aws_iam_role_policy.this["execution"].policy}"
  }

  assert {
    condition     = [for attached in aws_iam_role_policy_attachment.execution : "${attached.role} ${attached.policy_arn}"] == ["fleet-execution arn:aws:iam::999999999999:policy/agent"]
    error_message = "The policy is attached elsewhere."
  }
}

run "a_customer_key_is_used_by_all_and_by_status_to_read_alone" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
  }

  assert {
    condition = {
      for who, policy in merge({ for who, role in aws_iam_role_policy.this : who => role.policy }, { operator = aws_iam_policy.operator.policy }) :
      who => [
        for statement in jsondecode(policy).Statement : join(" ", flatten([statement.Action, statement.Resource]))
        if length(regexall("kms:", jsonencode(statement.Action))) > 0
      ]
      } == {
      worker    = ["kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:999999999999:key/0e3f"]
      producer  = ["kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:999999999999:key/0e3f"]
      operator  = ["kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:999999999999:key/0e3f"]
      status    = ["kms:Decrypt arn:aws:kms:eu-west-1:999999999999:key/0e3f"]
      execution = []
    }
    error_message = "The key is used by the wrong ones, or for something else."
  }
}

run "each_queue_and_service_is_named" {
  command = plan

  variables {
    queue_arns             = ["arn:aws:sqs:eu-west-1:999999999999:fleet-jobs", "arn:aws:sqs:eu-west-1:999999999999:fleet-ticks"]
    dead_letter_queue_arns = ["arn:aws:sqs:eu-west-1:999999999999:fleet-jobs-dead", "arn:aws:sqs:eu-west-1:999999999999:fleet-ticks-dead"]
    services               = ["fleet-fresh", "fleet-worker"]
  }

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.this["worker"].policy).Statement : statement.Resource if strcontains(jsonencode(statement.Action), "sqs:")
    ]) == jsonencode([var.queue_arns, var.dead_letter_queue_arns])
    error_message = "The worker has other queues: ${aws_iam_role_policy.this["worker"].policy}"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this["producer"].policy).Statement : statement.Resource if strcontains(jsonencode(statement.Action), "ecs:")
    ] == [["arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-fresh", "arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker"]]
    error_message = "The producer wakes other services: ${aws_iam_role_policy.this["producer"].policy}"
  }
}

run "a_fleet_of_accounts_with_keys_alone_assumes_no_role" {
  command = plan

  variables {
    member_role_arns = []
  }

  assert {
    condition     = length(regexall("sts:", aws_iam_role_policy.this["worker"].policy)) == 0
    error_message = "The worker may assume a role."
  }
}

run "only_a_task_of_this_account_and_region_enters_a_role" {
  command = plan

  assert {
    condition = alltrue([
      for role in aws_iam_role.this : jsondecode(role.assume_role_policy).Statement == [{
        Effect    = "Allow"
        Principal = { Service = "ecs-tasks.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "999999999999" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:eu-west-1:999999999999:*" }
        }
      }]
    ])
    error_message = "A role can be entered by something else."
  }

  assert {
    condition     = toset([for role in aws_iam_role.this : role.name]) == toset(["fleet-worker", "fleet-producer", "fleet-status", "fleet-execution"])
    error_message = "The roles have other names."
  }
}

# The rest of a policy is longest with the longest name, and a key.
run "the_longest_policies_that_are_taken_have_room_in_iam" {
  command = plan

  variables {
    name                   = "abcdefghijklmnopqrstuvwx"
    queue_arns             = [for n in range(10) : "arn:aws-us-gov:sqs:ap-southeast-1:999999999999:abcdefghijklmnopqrstuvwx-${format("%020d", n)}"]
    dead_letter_queue_arns = [for n in range(10) : "arn:aws-us-gov:sqs:ap-southeast-1:999999999999:abcdefghijklmnopqrstuvwx-${format("%020d", n)}-dead"]
    services               = [for n in range(10) : "abcdefghijklmnopqrstuvwx-${format("%020d", n)}"]
    report_bucket_arn      = "arn:aws-us-gov:s3:::abcdefghijklmnopqrstuvwx-reports-999999999999-ap-southeast-1"
    cluster_arn            = "arn:aws-us-gov:ecs:ap-southeast-1:999999999999:cluster/abcdefghijklmnopqrstuvwx"
    repository_arn         = "arn:aws-us-gov:ecr:ap-southeast-1:999999999999:repository/abcdefghijklmnopqrstuvwx"
    kms_key_arn            = "arn:aws-us-gov:kms:ap-southeast-1:999999999999:key/mrk-00000000000000000000000000000e3f"

    log_group_arns = [
      for who in ["producer", "worker"] :
      "arn:aws-us-gov:logs:ap-southeast-1:999999999999:log-group:/abcdefghijklmnopqrstuvwx/${who}"
    ]

    member_role_arns  = [for n in range(36) : "arn:aws:iam::*:role/${format("%062d", n)}"]
    configuration_key = "fleet.toml"

    sinks = {
      namespaces      = [for n in range(10) : "${format("%030d", n)}/${format("%030d", n)}"]
      domain_arns     = ["arn:aws-us-gov:es:ap-southeast-1:999999999999:domain/abcdefghijklmnopqrstuvwxyz"]
      collection_arns = ["arn:aws-us-gov:aoss:ap-southeast-1:999999999999:collection/abcdefghijklmnopqrst"]
      are_set_up      = true
    }

    secrets = {
      arns         = [for n in range(25) : "arn:aws-us-gov:secretsmanager:ap-southeast-1:999999999999:secret:${format("%0150d", n)}-a1b2c3"]
      kms_key_arns = ["arn:aws-us-gov:kms:ap-southeast-1:999999999999:key/mrk-00000000000000000000000000000e3f"]
    }
  }

  assert {
    condition     = length(aws_iam_role_policy.this["worker"].policy) - length(jsonencode(var.member_role_arns)) <= 10240 - local.room_for_roles
    error_message = "The worker's policy has ${length(aws_iam_role_policy.this["worker"].policy)} characters, ${length(jsonencode(var.member_role_arns))} of them for roles."
  }

  assert {
    condition     = length(aws_iam_policy.operator.policy) <= 6144
    error_message = "IAM takes 6144 characters, and the operator's policy has ${length(aws_iam_policy.operator.policy)}."
  }

  assert {
    condition     = alltrue([for policy in aws_iam_policy.secrets : length(policy.policy) <= 6144])
    error_message = "IAM takes 6144 characters: ${jsonencode([for policy in aws_iam_policy.secrets : length(policy.policy)])}"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role_policy.this : length(role.policy) <= 10240])
    error_message = "IAM takes 10240 characters: ${jsonencode({ for who, role in aws_iam_role_policy.this : who => length(role.policy) })}"
  }
}

run "more_names_of_roles_than_a_policy_has_room_for_are_refused" {
  command = plan

  variables {
    member_role_arns = [for n in range(150) : "arn:aws:iam::*:role/cloudwatch-fleet-reader-${n}"]
  }

  expect_failures = [var.member_role_arns]
}

run "more_secrets_than_a_policy_has_room_for_are_refused" {
  command = plan

  variables {
    secrets = {
      arns         = [for n in range(226) : "arn:aws:secretsmanager:eu-west-1:999999999999:secret:legacy-${n}-a1b2c3"]
      kms_key_arns = [for n in range(1) : "arn:aws:kms:eu-west-1:999999999999:key/${n}"]
    }
  }

  expect_failures = [var.secrets]
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name             = "-fleet"
    member_role_arns = ["arn:aws:iam::111111111111:role/*"]
    cluster_arn      = "fleet"
    services         = []

    dead_letter_queue_arns   = ["arn:aws:s3:::fleet-reports"]
    report_bucket_arn        = "fleet-reports"
    repository_arn           = "fleet"
    kms_key_arn              = "alias/fleet"
    permissions_boundary_arn = "boundary"

    execution_policy_arns     = { agent = "agent" }
    guardduty_repository_arns = ["arn:aws:ecr:eu-west-1:694911143906:repository/*"]
  }

  expect_failures = [
    var.name, var.member_role_arns, var.cluster_arn, var.services, var.dead_letter_queue_arns, var.report_bucket_arn,
    var.repository_arn, var.kms_key_arn, var.permissions_boundary_arn, var.execution_policy_arns, var.guardduty_repository_arns,
  ]
}

run "a_queue_that_is_none_is_refused" {
  command = plan

  variables {
    queue_arns = ["fleet-jobs"]
  }

  expect_failures = [var.queue_arns]
}

run "names_and_paths_may_be_those_that_an_organisation_asks_for" {
  command = plan

  variables {
    role_path   = "/platform/"
    role_prefix = "app-finops-"
  }

  assert {
    condition = (
      toset([for role in aws_iam_role.this : "${role.path}${role.name}"]) == toset([for who in ["worker", "producer", "status", "execution"] : "/platform/app-finops-${who}"]) &&
      aws_iam_policy.operator.name == "app-finops-operator" && aws_iam_policy.operator.path == "/platform/"
    )
    error_message = "A role has another name or path: ${jsonencode([for role in aws_iam_role.this : "${role.path}${role.name}"])}"
  }
}

run "an_image_that_is_not_in_ecr_needs_no_right" {
  command = plan

  variables {
    repository_arn = null
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this["execution"].policy).Statement : statement.Sid] == ["EnterTheRegistry", "WriteLogs"]
    error_message = "ECS may do something else: ${aws_iam_role_policy.this["execution"].policy}"
  }
}

run "names_and_paths_that_iam_refuses_are_refused" {
  command = plan

  variables {
    role_path   = "platform"
    role_prefix = "finops roles"
  }

  expect_failures = [var.role_path, var.role_prefix]
}
