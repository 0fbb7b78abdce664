mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "999999999999" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

override_resource {
  target          = aws_s3_bucket.reports
  override_during = plan
  values = {
    id  = "fleet-reports-999999999999-eu-west-1"
    arn = "arn:aws:s3:::fleet-reports-999999999999-eu-west-1"
  }
}

variables {
  name          = "fleet"
  account_names = ["opra-dev", "data"]
}

run "the_bucket_is_this_deployments_own_and_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket.reports.bucket == "fleet-reports-999999999999-eu-west-1" && !aws_s3_bucket.reports.force_destroy
    error_message = "The bucket is ${aws_s3_bucket.reports.bucket}, or goes with all that is in it."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.reports.block_public_acls,
      aws_s3_bucket_public_access_block.reports.block_public_policy,
      aws_s3_bucket_public_access_block.reports.ignore_public_acls,
      aws_s3_bucket_public_access_block.reports.restrict_public_buckets,
      aws_s3_bucket_ownership_controls.reports.rule[0].object_ownership == "BucketOwnerEnforced",
    ])
    error_message = "The bucket may become public, or has access lists."
  }

  assert {
    condition     = aws_s3_bucket_versioning.reports.versioning_configuration[0].status == "Enabled"
    error_message = "What is replaced is gone."
  }
}

run "plain_http_is_refused" {
  command = plan

  assert {
    condition = jsondecode(aws_s3_bucket_policy.reports.policy).Statement == [{
      Sid       = "RefusePlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource = [
        "arn:aws:s3:::fleet-reports-999999999999-eu-west-1",
        "arn:aws:s3:::fleet-reports-999999999999-eu-west-1/*",
      ]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "The bucket's policy does not refuse plain HTTP, or does something else."
  }
}

run "it_is_encrypted_by_s3_where_no_key_is_given" {
  command = plan

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.reports.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "The bucket is not encrypted by S3."
  }
}

run "it_is_encrypted_by_the_key_that_is_given" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
  }

  assert {
    condition = one(one(aws_s3_bucket_server_side_encryption_configuration.reports.rule).apply_server_side_encryption_by_default) == {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
    }
    error_message = "The bucket does not use the key."
  }
}

run "reports_are_kept_for_ever_and_what_they_replaced_for_ninety_days" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.reports.rule) == 1
    error_message = "Something else is removed."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.reports.rule[0].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Replaced reports are not kept for ninety days."
  }
}

run "reports_and_manifests_go_after_as_many_days_as_are_wanted" {
  command = plan

  variables {
    keep_days = 730
  }

  assert {
    condition = {
      for rule in slice(aws_s3_bucket_lifecycle_configuration.reports.rule, 1, 3) : rule.filter[0].prefix => rule.expiration[0].days
    } == { "runs/" = 730, "s3_daily_storage/" = 730 }
    error_message = "Not the reports and the manifests are removed, or not then. The accounts file must stay."
  }
}

run "all_reports_of_all_accounts_are_one_table" {
  command = plan

  assert {
    condition = {
      for key in ["projection.account.type", "projection.account.values", "projection.day.range", "storage.location.template"] :
      key => aws_glue_catalog_table.reports["s3_daily_storage"].parameters[key]
      } == {
      "projection.account.type"   = "enum"
      "projection.account.values" = "data,opra-dev"
      "projection.day.range"      = "2025-01-01,NOW"
      "storage.location.template" = "s3://fleet-reports-999999999999-eu-west-1/s3_daily_storage/report_date=$${day}/account_name=$${account}/"
    }
    error_message = "The table does not lie where the reports do: ${jsonencode(aws_glue_catalog_table.reports["s3_daily_storage"].parameters)}"
  }

  assert {
    condition = length(setintersection(
      [for key in aws_glue_catalog_table.reports["s3_daily_storage"].partition_keys : key.name],
      [for column in aws_glue_catalog_table.reports["s3_daily_storage"].storage_descriptor[0].columns : column.name],
    )) == 0
    error_message = "A partition key is a column too, which Athena refuses."
  }

  assert {
    condition     = length(aws_glue_catalog_table.reports["s3_daily_storage"].storage_descriptor[0].columns) == 38
    error_message = "The table does not have the report's columns."
  }
}

# 8,000 names of 63 characters, with the commas between them, are 511,999 bytes.
run "as_many_names_as_glue_takes_are_taken" {
  command = plan

  variables {
    account_names = [for n in setproduct(range(8), range(1000)) : format("%063d", 1000 * n[0] + n[1])]
  }

  assert {
    condition     = length(aws_glue_catalog_table.reports["s3_daily_storage"].parameters["projection.account.values"]) == 511999
    error_message = "The names are ${length(aws_glue_catalog_table.reports["s3_daily_storage"].parameters["projection.account.values"])} bytes."
  }
}

run "more_names_than_glue_takes_are_refused" {
  command = plan

  variables {
    account_names = concat([for n in setproduct(range(8), range(1000)) : format("%063d", 1000 * n[0] + n[1])], ["x"])
  }

  expect_failures = [var.account_names]
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name          = "a-name-that-is-far-too-long"
    account_names = ["../data"]
    keep_days     = 0
    kms_key_arn   = "alias/fleet"
  }

  expect_failures = [var.name, var.account_names, var.keep_days, var.kms_key_arn]
}
