# The configuration file, sinks, the domain and the tasks that set sinks up.

mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  name     = "fleet"
  accounts = { data = { id = "111111111111" } }
}

run "without_any_of_it_there_is_no_file_and_no_domain" {
  command = plan

  assert {
    condition     = length(aws_s3_object.configuration) == 0 && length(module.search) == 0 && !can(local.environment.FLEET_CONFIG)
    error_message = "A configuration file or a domain is made unasked."
  }

  assert {
    condition     = output.search == null && length(output.setup_commands) == 0 && output.roles.setup_arn == null && !strcontains(output.environment, "FLEET_CONFIG")
    error_message = "Something is set up unasked: ${jsonencode(output.setup_commands)}"
  }
}

# tests/fleet.toml is what all tasks read; a test of theirs reads it.
run "the_file_is_one_that_the_programs_understand" {
  command = plan

  variables {
    tag_keys      = ["team", "cost-center"]
    configuration = <<-TOML

      # Queues of production alone.
      [[select]]
      name      = "production_queues"
      dataset   = "sqs"
      resources = ["prod-*"]
    TOML

    search = {}
    sinks = {
      archive = {
        type               = "opensearch"
        url                = "https://archive.example.com"
        auth               = "basic"
        datasets           = ["sqs"]
        secret_arn         = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:archive-a1b2c3"
        secret_kms_key_arn = "arn:aws:kms:eu-west-1:999999999999:key/5ec2"
      }
      search = { type = "opensearch", datasets = ["lambda", "production_queues"], retention = "13mo", prefix = "fleet" }
      serverless = {
        type     = "opensearch"
        url      = "https://abc123.eu-west-1.aoss.amazonaws.com"
        arn      = "arn:aws:aoss:eu-west-1:999999999999:collection/abc123"
        datasets = ["lambda"]
      }
    }
  }

  assert {
    condition     = aws_s3_object.configuration[0].content == file("tests/fleet.toml") && aws_s3_object.configuration[0].key == "fleet.toml"
    error_message = "tests/fleet.toml is not what is written:\n${aws_s3_object.configuration[0].content}"
  }

  assert {
    condition     = local.environment.FLEET_CONFIG == "s3://fleet-reports-999999999999-eu-west-1/fleet.toml" && endswith(output.environment, "\nexport FLEET_CONFIG=s3://fleet-reports-999999999999-eu-west-1/fleet.toml\n")
    error_message = "Tasks or people read another file:\n${output.environment}"
  }

  assert {
    condition = local.sink_secrets == {
      FLEET_SINK_ARCHIVE_USER     = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:archive-a1b2c3:username::"
      FLEET_SINK_ARCHIVE_PASSWORD = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:archive-a1b2c3:password::"
    }
    error_message = "Passwords come from ${jsonencode(local.sink_secrets)}."
  }

  assert {
    condition     = local.search_arns == tolist(["arn:aws:es:eu-west-1:999999999999:domain/fleet", "arn:aws:aoss:eu-west-1:999999999999:collection/abc123"])
    error_message = "Roles are allowed ${jsonencode(local.search_arns)}."
  }

  assert {
    condition = local.setups == {
      archive    = ["producer", "setup", "archive"]
      search     = ["producer", "setup", "search", "--map-role", "arn:aws:iam::999999999999:role/mock"]
      serverless = ["producer", "setup", "serverless"]
    }
    error_message = "Sinks are set up by ${jsonencode(local.setups)}."
  }

  assert {
    condition     = strcontains(output.setup_commands.search, "--task-definition fleet-setup ") && endswith(output.setup_commands.search, "--overrides '{\"containerOverrides\":[{\"command\":[\"producer\",\"setup\",\"search\",\"--map-role\",\"arn:aws:iam::999999999999:role/mock\"],\"name\":\"producer\"}]}'")
    error_message = "The command is ${output.setup_commands.search}"
  }

  assert {
    condition     = output.search.url == "https://search-fleet-mock.eu-west-1.es.amazonaws.com" && output.member_role.tag_keys == tolist(["team", "cost-center"])
    error_message = "The outputs are ${jsonencode([output.search, output.member_role])}."
  }
}

run "forwarded_metrics_have_the_namespaces_that_sinks_name" {
  command = plan

  variables {
    sinks = {
      ecs = { type = "cloudwatch", region = "eu-west-1", namespace = "Fleet/ECS", datasets = ["ecs"] }
      sqs = { type = "cloudwatch", region = "us-east-1", namespace = "Fleet/SQS", datasets = ["sqs"] }
    }
  }

  assert {
    condition     = aws_s3_object.configuration[0].content == <<-TOML
      # Written by Terraform; change the variables `configuration`, `tag_keys` and `sinks` instead.

      [[sink]]
      name = "ecs"
      type = "cloudwatch"
      datasets = ["ecs"]
      namespace = "Fleet/ECS"
      region = "eu-west-1"

      [[sink]]
      name = "sqs"
      type = "cloudwatch"
      datasets = ["sqs"]
      namespace = "Fleet/SQS"
      region = "us-east-1"
    TOML
    error_message = "The file is\n${aws_s3_object.configuration[0].content}"
  }

  assert {
    condition     = length(output.setup_commands) == 0 && length(module.search) == 0
    error_message = "CloudWatch needs no set-up."
  }
}

run "alerts_are_a_table_of_their_sink" {
  command = plan

  variables {
    search = {}
    sinks  = { search = { type = "opensearch", datasets = ["lambda"], alerts = { error_rate = "5%", channel = "slack" }, channel_secret_arn = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:slack-a1b2c3" } }
  }

  assert {
    condition     = endswith(aws_s3_object.configuration[0].content, "\n\n[sink.alerts]\nchannel = \"slack\"\nerror_rate = \"5%\"\n")
    error_message = "The file is\n${aws_s3_object.configuration[0].content}"
  }

  assert {
    condition     = local.channel_secrets == { FLEET_SINK_SEARCH_CHANNEL_URL = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:slack-a1b2c3" } && length(local.sink_secrets) == 0
    error_message = "The channel's URL comes from ${jsonencode(local.channel_secrets)}."
  }
}

run "a_master_of_ones_own_maps_the_roles_itself" {
  command = plan

  variables {
    search = { master_user_arn = "arn:aws:iam::999999999999:role/admin" }
    sinks  = { search = { type = "opensearch", datasets = ["lambda"] } }
  }

  assert {
    condition     = local.setups.search == ["producer", "setup", "search"]
    error_message = "It is set up by ${jsonencode(local.setups.search)}."
  }
}

run "a_text_alone_is_a_file_too_and_its_datasets_may_be_asked_for" {
  command = plan

  variables {
    configuration = "[[select]]\nname = \"queues\"\ndataset = \"sqs\"\n"
    schedules     = { queues = { expression = "rate(1 hour)", via = "queue", request = { dataset = "queues", last = "6h" }, stale_after_minutes = 120 } }
  }

  assert {
    condition     = strcontains(aws_s3_object.configuration[0].content, "\n[[select]]\nname = \"queues\"\n") && module.schedule.watched.queues.datasets == ["queues"]
    error_message = "The file is\n${aws_s3_object.configuration[0].content}"
  }
}

run "a_dataset_that_the_text_does_not_have_is_refused" {
  command = plan

  variables {
    configuration = "[[select]]\nname = \"queues\"\ndataset = \"sqs\"\n"
    schedules     = { queues = { expression = "rate(1 hour)", via = "queue", request = { dataset = "ques", last = "6h" } } }
    sinks         = { ecs = { type = "cloudwatch", region = "eu-west-1", namespace = "Fleet/ECS", datasets = ["esc"] } }
  }

  expect_failures = [var.schedules, var.sinks]
}

run "keys_of_tags_in_the_text_are_refused_since_roles_would_not_know_them" {
  command = plan

  variables {
    configuration = "tag_keys = [\"team\"]\n"
    tag_keys      = ["cost-center", "cost_center"]
  }

  expect_failures = [var.configuration, var.tag_keys]
}

run "another_file_beside_the_stacks_is_refused" {
  command = plan

  variables {
    tag_keys = ["team"]
    workers  = { environment = { FLEET_CONFIG = "s3://another/fleet.toml" } }
  }

  expect_failures = [var.sinks]
}

run "a_misspelt_key_or_type_of_a_sink_is_refused" {
  command = plan

  variables {
    sinks = { ecs = { type = "cloudwatch", region = "eu-west-1", name_space = "Fleet/ECS", datasets = ["ecs"] } }
  }

  expect_failures = [var.sinks]
}

run "a_namespace_of_awss_is_refused" {
  command = plan

  variables {
    sinks = { ecs = { type = "cloudwatch", region = "eu-west-1", namespace = "AWS/ECS", datasets = ["ecs"] } }
  }

  expect_failures = [var.sinks]
}

run "a_sink_of_a_domain_that_is_not_made_is_refused" {
  command = plan

  variables {
    sinks = { search = { type = "opensearch", datasets = ["lambda"] } }
  }

  expect_failures = [var.sinks]
}

run "a_domain_that_no_sink_uses_is_refused" {
  command = plan

  variables {
    search = {}
  }

  expect_failures = [var.sinks]
}

run "signed_requests_to_what_no_role_may_use_are_refused" {
  command = plan

  variables {
    sinks = { search = { type = "opensearch", datasets = ["lambda"], url = "https://search-x.eu-west-1.es.amazonaws.com" } }
  }

  expect_failures = [var.sinks]
}

run "a_password_is_named_by_its_secret" {
  command = plan

  variables {
    sinks = { search = { type = "opensearch", datasets = ["lambda"], url = "https://search.example.com", auth = "basic", password = "x" } }
  }

  expect_failures = [var.sinks]
}

run "two_sinks_with_the_same_variables_are_refused" {
  command = plan

  variables {
    sinks = {
      a-b = { type = "cloudwatch", region = "eu-west-1", namespace = "Fleet/A", datasets = ["ecs"] }
      a_b = { type = "cloudwatch", region = "eu-west-1", namespace = "Fleet/B", datasets = ["ecs"] }
    }
  }

  expect_failures = [var.sinks]
}

run "a_private_network_does_not_reach_a_public_domain" {
  command = plan

  variables {
    private_network = true
    search          = {}
    sinks           = { search = { type = "opensearch", datasets = ["lambda"] } }
  }

  expect_failures = [var.search]
}

run "a_private_network_reaches_a_domain_that_is_in_it" {
  command = plan

  variables {
    private_network = true
    search          = { in_vpc = true }
    sinks           = { search = { type = "opensearch", datasets = ["lambda"] } }
  }

  assert {
    condition     = length(module.search) == 1 && output.search.name == output.fleet.cluster
    error_message = "The domain is ${jsonencode(output.search)}."
  }
}
