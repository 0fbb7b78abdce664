# SPDX-License-Identifier: Apache-2.0
# Two public subnets and nothing that costs: tasks have public addresses and accept no connection. A NAT gateway would cost more
# than the whole fleet. Or, if asked for, two subnets without a way to the internet, and endpoints of what the fleet calls.

locals {
  # Where there are directory buckets, and so a host to list them that a private network would not reach.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/endpoint-directory-buckets-AZ.html
  has_directory_buckets = contains(
    ["ap-northeast-1", "ap-south-1", "eu-north-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-2"],
    data.aws_region.current.id,
  )

  # What the tasks and ECS call in the fleet's region. ECS itself is for `producer run --wake`; Fargate needs no endpoint of it.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
  endpoints = var.private ? toset(["ecr.api", "ecr.dkr", "ecs", "logs", "monitoring", "secretsmanager", "sqs", "sts"]) : []
}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394: the first two are taken, which a further zone does not change
  state = "available"

  # Zones that have no Fargate, and local ones, which have none either.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html
  exclude_zone_ids = ["apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"]

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_region" "current" {}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11: nothing comes in and only 443 goes out; flow logs would cost more than they tell
  cidr_block           = var.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# What names no security group of its own gets this one, which allows nothing.
resource "aws_default_security_group" "nothing" {
  vpc_id  = aws_vpc.this.id
  ingress = []
  egress  = []

  tags = { Name = "${var.name}-nothing" }
}

resource "aws_internet_gateway" "this" {
  count = var.private ? 0 : 1

  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_subnet" "public" {
  count = 2

  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(var.cidr_block, 2, count.index)
  availability_zone       = element(data.aws_availability_zones.available.names, count.index) # one of two may be left
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${var.private ? "private" : "public"}-${count.index}" }

  # Another zone makes another subnet, which fails while tasks are in the old one; and which zones are available changes.
  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-${var.private ? "private" : "public"}" }
}

resource "aws_route" "internet" {
  count = var.private ? 0 : 1

  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

moved {
  from = aws_internet_gateway.this
  to   = aws_internet_gateway.this[0]
}

moved {
  from = aws_route.internet
  to   = aws_route.internet[0]
}

resource "aws_route_table_association" "public" {
  count = 2

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

# Reports go to S3 without leaving AWS; a gateway endpoint costs nothing.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.id}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.public.id]

  tags = { Name = "${var.name}-s3" }
}

resource "aws_vpc_endpoint" "s3express" {
  count = var.private && local.has_directory_buckets ? 1 : 0

  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.id}.s3express"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.public.id]

  tags = { Name = "${var.name}-s3express" }
}

resource "aws_security_group" "endpoints" {
  count = var.private ? 1 : 0

  name        = "${var.name}-endpoints"
  description = "Endpoints of AWS for ${var.name}: in from this network, and nothing out."
  vpc_id      = aws_vpc.this.id
  egress      = []

  ingress {
    description = "Tasks."
    cidr_blocks = [var.cidr_block]
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
  }

  tags = { Name = "${var.name}-endpoints" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.id}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = aws_subnet.public[*].id
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true

  tags = { Name = "${var.name}-${each.key}" }
}
