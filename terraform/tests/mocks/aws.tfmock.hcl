mock_data "aws_caller_identity" {
  defaults = { account_id = "999999999999" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws", reverse_dns_prefix = "com.amazonaws" }
}

mock_data "aws_region" {
  defaults = { id = "eu-west-1" }
}

mock_data "aws_availability_zones" {
  defaults = { names = ["eu-west-1a", "eu-west-1b"] }
}

mock_data "aws_subnet" {
  defaults = { vpc_id = "vpc-given" }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-west-1:999999999999:mock"
    url = "https://sqs.eu-west-1.amazonaws.com/999999999999/mock"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    id  = "fleet-reports-999999999999-eu-west-1"
    arn = "arn:aws:s3:::fleet-reports-999999999999-eu-west-1"
  }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::999999999999:role/mock" }
}

mock_resource "aws_iam_policy" {
  defaults = { arn = "arn:aws:iam::999999999999:policy/mock" }
}

mock_resource "aws_ecs_cluster" {
  defaults = { arn = "arn:aws:ecs:eu-west-1:999999999999:cluster/fleet" }
}

mock_resource "aws_ecs_task_definition" {
  defaults = { arn = "arn:aws:ecs:eu-west-1:999999999999:task-definition/mock:1" }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-1:999999999999:repository/fleet"
    repository_url = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/fleet"
  }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:999999999999:key/made" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-1:999999999999:mock" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:999999999999:log-group:mock" }
}

mock_resource "aws_cloudwatch_metric_alarm" {
  defaults = { arn = "arn:aws:cloudwatch:eu-west-1:999999999999:alarm:mock" }
}

mock_resource "aws_appautoscaling_policy" {
  defaults = { arn = "arn:aws:autoscaling:eu-west-1:999999999999:scalingPolicy:mock" }
}

mock_resource "aws_security_group" {
  defaults = { id = "sg-1" }
}

mock_resource "aws_subnet" {
  defaults = { id = "subnet-1" }
}

mock_resource "aws_opensearch_domain" {
  defaults = {
    arn                = "arn:aws:es:eu-west-1:999999999999:domain/fleet"
    endpoint           = "search-fleet-mock.eu-west-1.es.amazonaws.com"
    dashboard_endpoint = "search-fleet-mock.eu-west-1.es.amazonaws.com/_dashboards"
  }
}

mock_resource "aws_vpc" {
  defaults = { id = "vpc-made" }
}
