# SPDX-License-Identifier: Apache-2.0
# Who may do what: a role for each kind of task, and a policy for the people who look after the fleet. Each has the
# permissions that its commands use and no other; `*` stands for a resource only where AWS has none to name.

locals {
  prefix = coalesce(var.role_prefix, "${var.name}-")

  # arn:PARTITION:ecs:REGION:ACCOUNT:cluster/NAME
  cluster    = split(":", var.cluster_arn)
  partition  = local.cluster[1]
  region     = local.cluster[3]
  account_id = local.cluster[4]
  tasks_arn  = "${replace(var.cluster_arn, ":cluster/", ":task/")}/*"

  reports       = "${var.report_bucket_arn}/*/report_date=*/account_name=*/*.csv"
  manifests     = "${var.report_bucket_arn}/runs/*"
  tries         = "${var.report_bucket_arn}/tries/*"
  accounts_file = "${var.report_bucket_arn}/${var.accounts_key}"

  # The configuration file, and what sinks have of it.
  configuration = var.configuration_key == null ? [] : ["${var.report_bucket_arn}/${var.configuration_key}"]
  delivered     = "${var.report_bucket_arn}/delivered/*"
  looked_at     = var.configuration_key == null ? [] : concat(local.configuration, [local.delivered])

  # What is left of the worker's policy for the roles that it may assume.
  room_for_roles = 7400 - 200 * length(var.queue_arns) - (var.configuration_key == null ? 0 : 650 + length(jsonencode(merge(var.sinks, { alert_role_arns = [], secret_arns = [], secret_kms_key_arns = [] }))))

  # A domain takes requests by their verb, a Serverless collection all or none.
  # https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html
  # https://docs.aws.amazon.com/opensearch-service/latest/developerguide/security-iam-serverless.html
  search = {
    for who, verbs in { worker = ["Get", "Post"], setup = ["Delete", "Get", "Post", "Put"] } : who => concat(
      length(var.sinks.domain_arns) == 0 ? [] : [{
        Sid      = "SendRequestsToDomains"
        Effect   = "Allow"
        Action   = [for verb in verbs : "es:ESHttp${verb}"]
        Resource = [for arn in var.sinks.domain_arns : "${arn}/*"]
      }],
      length(var.sinks.collection_arns) == 0 ? [] : [{
        Sid      = "SendRequestsToCollections"
        Effect   = "Allow"
        Action   = "aoss:APIAccessAll"
        Resource = var.sinks.collection_arns
      }],
    )
  }

  read_and_write_by_key = var.kms_key_arn == null ? [] : [{
    Sid      = "UseTheKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.kms_key_arn
  }]

  read_by_key = var.kms_key_arn == null ? [] : [{
    Sid      = "ReadByTheKey"
    Effect   = "Allow"
    Action   = "kms:Decrypt"
    Resource = var.kms_key_arn
  }]

  # Without s3:ListBucket, S3 answers 403 for a report that is not there, and it could not be distinguished from one that is
  # denied.
  find_reports = {
    Sid      = "TellMissingReportsFromDeniedOnes"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = var.report_bucket_arn
  }

  # Looking means receiving, hiding for a minute, and releasing.
  look_at_dead_letters = {
    Sid      = "LookAtDeadLetters"
    Effect   = "Allow"
    Action   = ["sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"]
    Resource = var.dead_letter_queue_arns
  }

  # `--wake`: these services, whose desired count is raised from none to one.
  wake_workers = {
    Sid      = "WakeWorkers"
    Effect   = "Allow"
    Action   = ["ecs:DescribeServices", "ecs:UpdateService"]
    Resource = [for service in var.services : "${replace(var.cluster_arn, ":cluster/", ":service/")}/${service}"]
  }

  # `worker run`
  worker = concat([
    {
      Sid      = "TakeJobs" # and send those that a request of a schedule stands for
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:SendMessage"]
      Resource = var.queue_arns
    },
    {
      Sid      = "GiveUpJobs" # and see at the start that there is where to
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
      Resource = var.dead_letter_queue_arns
    },
    local.find_reports,
    {
      Sid      = "StoreReports"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = local.reports
    },
    {
      Sid      = "KeepWhatATryHasForTheNext" # parts of a job, until its report exists
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      Resource = local.tries
    },
    {
      Sid      = "ClaimWindows" # so that of two copies of a job one asks CloudWatch
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = "${var.report_bucket_arn}/claims/*"
    },
    {
      Sid      = "KeepManifestsAndWhatWasDelivered" # of the runs that requests become, and to sinks
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = [local.manifests, local.delivered]
    },
    {
      Sid      = "KeepWhatSinksRefuse"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "${var.report_bucket_arn}/rejects/*"
    },
    {
      Sid      = "ReadTheAccountsAndConfigurationFiles"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = concat([local.accounts_file], local.configuration)
    },
    {
      Sid      = "StayWhileBusy"
      Effect   = "Allow"
      Action   = "ecs:UpdateTaskProtection"
      Resource = local.tasks_arn
    },
    ], length(var.member_role_arns) == 0 ? [] : [{
      Sid      = "BecomeAccounts"
      Effect   = "Allow"
      Action   = "sts:AssumeRole"
      Resource = var.member_role_arns
      }], length(var.sinks.namespaces) == 0 ? [] : [{
      # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
      Sid       = "ForwardMetrics" # it knows no resource
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricData"
      Resource  = "*"
      Condition = { StringEquals = { "cloudwatch:namespace" = var.sinks.namespaces } }
  }], local.search.worker, local.read_and_write_by_key)

  # `producer setup`
  setup = concat([{
    Sid      = "ReadTheConfigurationFile"
    Effect   = "Allow"
    Action   = "s3:GetObject"
    Resource = local.configuration
    }], length(var.sinks.alert_role_arns) == 0 ? [] : [{
    # https://docs.aws.amazon.com/opensearch-service/latest/developerguide/alerting.html
    Sid      = "GiveDomainsTheRoleOfTheirAlerts"
    Effect   = "Allow"
    Action   = "iam:PassRole"
    Resource = var.sinks.alert_role_arns
  }], local.search.setup, local.read_by_key)

  # `producer run`
  producer = concat([
    {
      Sid      = "SendJobs"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
      Resource = var.queue_arns
    },
    local.find_reports,
    {
      Sid      = "ReadReportsManifestsAndAccounts"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = concat([local.reports, local.manifests, local.accounts_file], local.looked_at)
    },
    {
      Sid      = "WriteManifests"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = local.manifests
    },
    local.wake_workers,
  ], local.read_and_write_by_key)

  # `producer status`
  status = concat([
    {
      Sid      = "CountJobs"
      Effect   = "Allow"
      Action   = "sqs:GetQueueAttributes"
      Resource = var.queue_arns
    },
    local.look_at_dead_letters,
    local.find_reports,
    {
      Sid      = "ReadReportsAndManifests"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = concat([local.reports, local.manifests], local.looked_at)
    },
  ], local.read_by_key)

  # `producer status`, `failed` and `replay`
  operator = concat([
    {
      Sid      = "SendJobsAgain"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
      Resource = var.queue_arns
    },
    local.look_at_dead_letters,
    {
      Sid      = "TakeDeadLettersThatAreReplayed"
      Effect   = "Allow"
      Action   = "sqs:DeleteMessage"
      Resource = var.dead_letter_queue_arns
    },
    local.wake_workers,
    local.find_reports,
    {
      Sid      = "ReadReportsAndManifests"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = concat([local.reports, local.manifests], local.looked_at)
    },
  ], local.read_and_write_by_key)

  # What ECS itself does before a task runs; no task has these.
  execution = concat([
    {
      Sid      = "EnterTheRegistry" # it knows no resource
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*"
    },
    {
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = [for arn in var.log_group_arns : "${arn}:*"]
    },
    ], var.repository_arn == null ? [] : [{
      Sid      = "FetchTheImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = var.repository_arn
      }], length(var.guardduty_repository_arns) == 0 ? [] : [{
      Sid      = "FetchTheAgentOfGuardDuty"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = var.guardduty_repository_arns
      }], length(var.sinks.secret_arns) == 0 ? [] : [{
      Sid      = "ReadPasswordsOfSinks"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = var.sinks.secret_arns
      }], length(var.sinks.secret_kms_key_arns) == 0 ? [] : [{
      Sid      = "DecryptPasswordsOfSinks"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = var.sinks.secret_kms_key_arns
  }])

  # A managed policy has 6,144 characters, and the worker's own has no room for a hundred ARNs.
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  secrets = concat(
    [for arns in chunklist(var.secrets.arns, 25) : { Sid = "ReadAccessKeys", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = arns }],
    [for arns in chunklist(var.secrets.kms_key_arns, 25) : { Sid = "DecryptAccessKeys", Effect = "Allow", Action = "kms:Decrypt", Resource = arns }],
  )

  roles = merge({
    worker    = { statements = local.worker, description = "What a worker of ${var.name} does: takes jobs, becomes accounts, stores reports." }
    producer  = { statements = local.producer, description = "What `producer run` of ${var.name} does: sends jobs, writes manifests." }
    status    = { statements = local.status, description = "What `producer status` of ${var.name} does: looks, and changes nothing." }
    execution = { statements = local.execution, description = "What ECS does to start a task of ${var.name}: fetches the image, writes logs." }
    }, var.sinks.are_set_up ? {
    setup = { statements = local.setup, description = "What `producer setup` of ${var.name} does: sets sinks up." }
  } : {})
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${local.prefix}${each.key}"
  path                 = var.role_path
  description          = each.value.description
  permissions_boundary = var.permissions_boundary_arn

  # ECS, for a task of this account and region, and no others.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}

# What the account's own agents need: GuardDuty's, for one, is an image of its own beside the program.
resource "aws_iam_role_policy_attachment" "execution" {
  for_each = var.execution_policy_arns

  role       = aws_iam_role.this["execution"].name
  policy_arn = each.value
}

# The access keys of accounts that have no role.
resource "aws_iam_policy" "secrets" {
  count = length(local.secrets)

  name        = "${local.prefix}secrets-${count.index}"
  path        = var.role_path
  description = "Access keys that the worker of ${var.name} reads."
  policy      = jsonencode({ Version = "2012-10-17", Statement = [local.secrets[count.index]] })
}

resource "aws_iam_role_policy_attachment" "secrets" {
  count = length(local.secrets)

  role       = aws_iam_role.this["worker"].name
  policy_arn = aws_iam_policy.secrets[count.index].arn
}

resource "aws_iam_policy" "operator" {
  name        = "${local.prefix}operator"
  path        = var.role_path
  description = "What `producer status`, `failed` and `replay` of ${var.name} need."
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.operator })
}
