provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.tags, { Application = "cloudwatch-fleet", Deployment = var.name })
  }
}
