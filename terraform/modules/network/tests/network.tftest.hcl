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

run "a_range_too_small_or_no_range_is_refused" {
  command = plan

  variables {
    cidr_block = "10.42.0.0/27"
  }

  expect_failures = [var.cidr_block]
}
