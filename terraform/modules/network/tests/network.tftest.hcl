mock_provider "aws" {
  override_during = plan

  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  name = "fleet"
}

run "there_are_two_subnets_in_two_zones" {
  command = plan

  assert {
    condition = [for subnet in aws_subnet.public : [subnet.cidr_block, subnet.availability_zone]] == [
      ["10.42.0.0/26", "eu-west-1a"],
      ["10.42.0.64/26", "eu-west-1b"],
    ]
    error_message = "The subnets are ${jsonencode([for subnet in aws_subnet.public : [subnet.cidr_block, subnet.availability_zone]])}."
  }
}

run "only_what_asks_for_a_public_address_has_one" {
  command = plan

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "What starts in a subnet is public unasked."
  }
}

run "what_names_no_security_group_is_let_nowhere" {
  command = plan

  assert {
    condition     = length(aws_default_security_group.nothing.ingress) + length(aws_default_security_group.nothing.egress) == 0
    error_message = "The default security group allows something."
  }
}

run "s3_is_reached_by_a_gateway_that_costs_nothing" {
  command = plan

  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-west-1.s3" && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "The endpoint is not S3's gateway of the region."
  }
}

run "a_public_network_has_no_endpoint_that_costs" {
  command = plan

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_security_group.endpoints) == 0 && length(aws_internet_gateway.this) == 1 && length(aws_route.internet) == 1
    error_message = "There is no way out, or one that is paid for."
  }
}

run "a_private_network_has_endpoints_and_no_way_to_the_internet" {
  command = plan

  variables {
    private = true
  }

  assert {
    condition     = length(aws_internet_gateway.this) == 0 && length(aws_route.internet) == 0
    error_message = "There is a way to the internet."
  }

  assert {
    condition = toset([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name if endpoint.private_dns_enabled && endpoint.vpc_endpoint_type == "Interface"]) == toset([
      for service in ["ecr.api", "ecr.dkr", "ecs", "logs", "monitoring", "secretsmanager", "sqs", "sts"] : "com.amazonaws.eu-west-1.${service}"
    ])
    error_message = "The endpoints are ${jsonencode([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name])}."
  }

  assert {
    condition = (
      [for rule in aws_security_group.endpoints[0].ingress : [join(",", rule.cidr_blocks), rule.protocol, rule.from_port, rule.to_port]] == [["10.42.0.0/24", "tcp", 443, 443]] &&
      length(aws_security_group.endpoints[0].egress) == 0
    )
    error_message = "More than this network's HTTPS reaches the endpoints."
  }
}

# The workers list them, and would wait in vain for an answer.
run "directory_buckets_are_listed_from_a_private_network_too" {
  command = plan

  variables {
    private = true
  }

  assert {
    condition     = [for endpoint in aws_vpc_endpoint.s3express : "${endpoint.service_name} ${endpoint.vpc_endpoint_type}"] == ["com.amazonaws.eu-west-1.s3express Gateway"]
    error_message = "Directory buckets of the fleet's region can't be listed."
  }
}

run "a_region_without_directory_buckets_has_no_endpoint_for_them" {
  command = plan

  variables {
    private = true
  }

  override_data {
    target = data.aws_region.current
    values = { id = "eu-central-1" }
  }

  assert {
    condition     = length(aws_vpc_endpoint.s3express) == 0
    error_message = "The apply would fail."
  }
}

run "zones_without_fargate_are_left_out" {
  command = plan

  assert {
    condition     = data.aws_availability_zones.available.exclude_zone_ids == toset(["apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"])
    error_message = "A task may be placed where there is no Fargate."
  }
}

run "a_range_too_small_or_no_range_is_refused" {
  command = plan

  variables {
    cidr_block = "10.42.0.0/27"
  }

  expect_failures = [var.cidr_block]
}

# Which zones are available changes, and another zone would be another subnet, which fails while tasks are in the old one.
run "a_network_that_is_made" {
}

run "its_subnets_stay_where_they_are_if_a_zone_is_away_for_a_while" {
  command = plan

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["eu-west-1b", "eu-west-1c"] }
  }

  assert {
    condition     = [for subnet in aws_subnet.public : subnet.availability_zone] == ["eu-west-1a", "eu-west-1b"]
    error_message = "The subnets are made anew, in ${jsonencode([for subnet in aws_subnet.public : subnet.availability_zone])}."
  }
}
