# SPDX-License-Identifier: Apache-2.0
output "queue" {
  description = "The first work queue, its dead-letter queue, and the queue of scheduled starts that could not be made."
  value = {
    url             = module.queue["jobs"].jobs.url
    arn             = module.queue["jobs"].jobs.arn
    dead_letter_url = module.queue["jobs"].dead_letters.url
    dead_letter_arn = module.queue["jobs"].dead_letters.arn
    unstarted_url   = module.schedule.unstarted.url
  }
}

output "queues" {
  description = "Each queue: what FLEET_QUEUE_URL and FLEET_SERVICE are for it, and its dead-letter queue."
  value = {
    for name, queue in module.queue : name => {
      url             = queue.jobs.url
      dead_letter_url = queue.dead_letters.url
      service         = local.services[name]
    }
  }
}

output "reports" {
  description = "The bucket of reports, for each dataset its Athena table, and the workgroup to ask in."
  value = {
    bucket    = module.reports.bucket.name
    tables    = module.reports.tables
    workgroup = module.reports.workgroup
  }
}

output "roles" {
  description = "The roles of the tasks, and the policy for people who look after the fleet."
  value = {
    worker_arn          = module.roles.role_arns.worker
    producer_arn        = module.roles.role_arns.producer
    status_arn          = module.roles.role_arns.status
    setup_arn           = try(module.roles.role_arns.setup, null)
    operator_policy_arn = module.roles.operator_policy_arn
  }
}

output "fleet" {
  description = "The ECS cluster, the first fleet's service, and the image: where to push it (null if it is yours), and what runs."
  value = {
    cluster        = module.cluster.cluster.name
    service        = module.fleet["worker"].service.name
    repository_url = module.cluster.repository_url
    image          = module.cluster.image
  }
}

output "member_role" {
  description = "What the role in each member account must be: the variables of modules/member-role."
  value = {
    name            = var.member_role.name
    worker_role_arn = module.roles.role_arns.worker
    external_id     = local.external_id
    tag_keys        = var.tag_keys
  }
}

output "observability" {
  description = "The topic that alarms are sent to, the dashboard, the logs, and the namespace of the workers' own figures."
  value = {
    topic_arn         = module.observability.topic_arn
    dashboard         = module.observability.dashboard
    log_groups        = merge({ for name, group in module.observability.log_groups : name => group.name }, { stopped = module.observability.stopped_log_group })
    metrics_namespace = local.metrics_namespace
  }
}

output "environment" {
  description = "What `producer status`, `failed` and `replay` need on your machine: eval \"$(terraform output -raw environment)\""
  value       = <<-SHELL
    export AWS_REGION=${local.region}
    export FLEET_QUEUE_URL=${module.queue["jobs"].jobs.url}
    export FLEET_SERVICE=${local.services.jobs}
    export FLEET_REPORT_BUCKET=${module.reports.bucket.name}
    export FLEET_REPORT_BUCKET_OWNER=${data.aws_caller_identity.current.account_id}
    export FLEET_ACCOUNTS=s3://${module.reports.bucket.name}/${local.accounts_key}
    export FLEET_ACCOUNTS_OWNER=${data.aws_caller_identity.current.account_id}${local.has_configuration ? "\nexport FLEET_CONFIG=${local.environment.FLEET_CONFIG}" : ""}
  SHELL
}

locals {
  tags_in_shell = replace(jsonencode([for key, value in local.tags : { key = key, value = value }]), "'", "'\\''")

  # One line each, to be copied into a shell.
  run_task = {
    for what, task in merge({
      backfill = { family = module.schedule.tasks.producer.family, container = "producer", command = ["producer", "run", "--wake", "--date", "YYYY-MM-DD"] }
      check    = { family = module.fleet["worker"].service.task_definition_family, container = "worker", command = ["worker", "check"] }
      }, {
      for sink, command in local.setups : "setup-${sink}" => { family = module.schedule.tasks.setup.family, container = "producer", command = command }
      }) : what => join(" ", [
      "aws ecs run-task --region ${local.region} --cluster ${module.cluster.cluster.name}",
      "--task-definition ${task.family} --launch-type FARGATE",
      "--network-configuration 'awsvpcConfiguration={subnets=[${join(",", local.network.subnet_ids)}],securityGroups=[${join(",", module.cluster.security_group_ids)}],assignPublicIp=${local.network.assign_public_ip ? "ENABLED" : "DISABLED"}}'",
      "--propagate-tags TASK_DEFINITION --enable-ecs-managed-tags --tags '${local.tags_in_shell}'",
      "--overrides '${jsonencode({ containerOverrides = [{ name = task.container, command = task.command }] })}'",
    ])
  }
}

output "backfill_command" {
  description = "Runs the producer now, for a day of your choice; any other arguments of `producer run` go into the same list."
  value       = local.run_task.backfill
}

output "check_command" {
  description = "Makes a worker report, for each account, its identity there and which permission is missing. The result is in the log: aws logs tail /<name>/worker"
  value       = local.run_task.check
}

output "search" {
  description = "The stack's OpenSearch domain: its name, its ARN, where requests go, and OpenSearch Dashboards; null if there is none."
  value       = one(module.search[*].domain)
}

output "setup_commands" {
  description = "Of each sink that is set up, what sets it up now: once after the apply that made it, and whenever you do not wait for the day's. The result is in the log: aws logs tail /<name>/producer"
  value       = { for sink in keys(local.setups) : sink => local.run_task["setup-${sink}"] }
}
