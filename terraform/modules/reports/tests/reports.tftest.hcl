mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "999999999999" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

override_resource {
  target          = aws_s3_bucket.reports[0]
  override_during = plan
  values = {
    id  = "fleet-reports-999999999999-eu-west-1"
    arn = "arn:aws:s3:::fleet-reports-999999999999-eu-west-1"
  }
}

variables {
  name = "fleet"
}

run "the_bucket_is_this_deployments_own_and_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket.reports[0].bucket == "fleet-reports-999999999999-eu-west-1" && !aws_s3_bucket.reports[0].force_destroy
    error_message = "The bucket is ${aws_s3_bucket.reports[0].bucket}, or goes with all that is in it."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.reports[0].block_public_acls,
      aws_s3_bucket_public_access_block.reports[0].block_public_policy,
      aws_s3_bucket_public_access_block.reports[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.reports[0].restrict_public_buckets,
      aws_s3_bucket_ownership_controls.reports[0].rule[0].object_ownership == "BucketOwnerEnforced",
    ])
    error_message = "The bucket may become public, or has access lists."
  }

  assert {
    condition     = aws_s3_bucket_versioning.reports[0].versioning_configuration[0].status == "Enabled"
    error_message = "What is replaced is gone."
  }
}

run "plain_http_is_refused" {
  command = plan

  assert {
    condition = jsondecode(aws_s3_bucket_policy.reports[0].policy).Statement == [{
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
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.reports[0].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "The bucket is not encrypted by S3."
  }
}

run "it_is_encrypted_by_the_key_that_is_given" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
  }

  assert {
    condition = one(one(aws_s3_bucket_server_side_encryption_configuration.reports[0].rule).apply_server_side_encryption_by_default) == {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = "arn:aws:kms:eu-west-1:999999999999:key/0e3f"
    }
    error_message = "The bucket does not use the key."
  }
}

run "reports_are_kept_for_ever_and_what_they_replaced_for_ninety_days" {
  command = plan

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.reports[0].rule :
      rule.id => try("${rule.filter[0].prefix} ${rule.expiration[0].days} ${rule.noncurrent_version_expiration[0].noncurrent_days}", "all")
      if rule.id != "remove-what-was-replaced"
      } == {
      remove-claims        = "claims/ 7 1"
      remove-tries         = "tries/ 7 1"
      remove-query-results = "athena-results/ 7 1"
    }
    error_message = "Something else is removed: ${jsonencode(aws_s3_bucket_lifecycle_configuration.reports[0].rule)}"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.reports[0].rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 1
    error_message = "Parts of an upload that was never completed are kept, and paid for."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.reports[0].rule[0].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Replaced reports are not kept for ninety days."
  }
}

run "what_was_replaced_is_kept_for_as_long_as_is_wanted" {
  command = plan

  variables {
    keep_replaced_days = 7
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.reports[0].rule[0].noncurrent_version_expiration[0].noncurrent_days == 7
    error_message = "Replaced reports are kept for ninety days."
  }
}

run "reports_and_manifests_go_after_as_many_days_as_are_wanted" {
  command = plan

  variables {
    keep_days = 730
  }

  assert {
    condition = {
      for rule in slice(aws_s3_bucket_lifecycle_configuration.reports[0].rule, 4, length(aws_s3_bucket_lifecycle_configuration.reports[0].rule)) :
      rule.filter[0].prefix => rule.expiration[0].days
    } == merge({ "runs/" = 730, "delivered/" = 730 }, { for name in keys(local.datasets) : "${name}/" => 730 })
    error_message = "Not the reports and the manifests are removed, or not then. The accounts file must stay."
  }
}

run "all_reports_of_a_day_are_one_partition_whatever_the_accounts" {
  command = plan

  assert {
    condition = {
      for key, value in aws_glue_catalog_table.reports["s3_daily_storage"].parameters :
      key => value if startswith(key, "projection.") || startswith(key, "storage.")
      } == {
      "projection.enabled"           = "true"
      "projection.day.type"          = "date"
      "projection.day.format"        = "yyyy-MM-dd"
      "projection.day.range"         = "2025-01-01,NOW"
      "projection.day.interval"      = "1"
      "projection.day.interval.unit" = "DAYS"
      "storage.location.template"    = "s3://fleet-reports-999999999999-eu-west-1/s3_daily_storage/report_date=$${day}/"
    }
    error_message = "The table does not lie where the reports do, or knows accounts: ${jsonencode(aws_glue_catalog_table.reports["s3_daily_storage"].parameters)}"
  }

  assert {
    condition     = [for key in aws_glue_catalog_table.reports["s3_daily_storage"].partition_keys : "${key.name} ${key.type}"] == ["day string"]
    error_message = "The partition keys are ${jsonencode(aws_glue_catalog_table.reports["s3_daily_storage"].partition_keys)}"
  }

  assert {
    condition     = !contains([for column in aws_glue_catalog_table.reports["s3_daily_storage"].storage_descriptor[0].columns : column.name], "day")
    error_message = "A partition key is a column too, which Athena refuses."
  }

  assert {
    condition     = [for column in aws_glue_catalog_table.reports["s3_daily_storage"].storage_descriptor[0].columns : column.name] == [for column in local.datasets.s3_daily_storage.columns : column.name]
    error_message = "The table does not have the report's columns."
  }
}

run "queries_have_every_column_the_day_and_the_account_under_its_old_name" {
  command = plan

  variables {
    name = "finops-fleet"
  }

  assert {
    condition     = output.tables == { for name in keys(local.datasets) : name => "finops_fleet.${name}" }
    error_message = "Queries name something else: ${jsonencode(output.tables)}"
  }

  assert {
    condition = (
      [for column in aws_glue_catalog_table.view["s3_daily_storage"].storage_descriptor[0].columns : "${column.name} ${column.type}"]
      == concat([for column in local.datasets.s3_daily_storage.columns : "${column.name} ${column.type}"], ["day string", "account string"])
    )
    error_message = "The view's columns are ${jsonencode(aws_glue_catalog_table.view["s3_daily_storage"].storage_descriptor[0].columns)}"
  }

  assert {
    condition = jsonencode(jsondecode(base64decode(regex("^/\\* Presto View: ([A-Za-z0-9+/=]+) \\*/$", aws_glue_catalog_table.view["s3_daily_storage"].view_original_text)[0]))) == jsonencode({
      originalSql = "SELECT ${join(", ", [for column in local.datasets.s3_daily_storage.columns : "\"${column.name}\""])}, \"day\", \"account_name\" AS \"account\" FROM \"finops_fleet\".\"s3_daily_storage_files\""
      catalog     = "awsdatacatalog"
      schema      = "finops_fleet"
      columns = concat(
        [for column in local.datasets.s3_daily_storage.columns : { name = column.name, type = column.type == "string" ? "varchar" : column.type }],
        [{ name = "day", type = "varchar" }, { name = "account", type = "varchar" }],
      )
    })
    error_message = "The view is ${aws_glue_catalog_table.view["s3_daily_storage"].view_original_text}"
  }
}

run "queries_leave_their_results_apart_and_read_no_more_than_they_may" {
  command = plan

  variables {
    query_limit_bytes = 10485760
  }

  assert {
    condition = (
      aws_athena_workgroup.reports.configuration[0].bytes_scanned_cutoff_per_query == 10485760 &&
      aws_athena_workgroup.reports.configuration[0].enforce_workgroup_configuration &&
      aws_athena_workgroup.reports.configuration[0].result_configuration[0].output_location == "s3://fleet-reports-999999999999-eu-west-1/athena-results/" &&
      aws_athena_workgroup.reports.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_S3"
    )
    error_message = "The workgroup is otherwise: ${jsonencode(aws_athena_workgroup.reports.configuration)}"
  }

  # Athena would read them as reports.
  assert {
    condition     = length([for name in keys(local.datasets) : name if startswith(local.query_results, "${name}/")]) == 0
    error_message = "Results of queries lie among reports."
  }
}

run "what_can_not_be_is_refused_by_name" {
  command = plan

  variables {
    name               = "a-name-that-is-far-too-long"
    keep_days          = 0
    keep_replaced_days = 0
    query_limit_bytes  = 1
    kms_key_arn        = "alias/fleet"
  }

  expect_failures = [var.name, var.keep_days, var.keep_replaced_days, var.query_limit_bytes, var.kms_key_arn]
}

run "a_bucket_of_ones_own_is_used_and_nothing_is_set_on_it" {
  command = plan

  variables {
    bucket = "company-reports"
  }

  assert {
    condition = length(concat(
      aws_s3_bucket.reports, aws_s3_bucket_policy.reports, aws_s3_bucket_lifecycle_configuration.reports, aws_s3_bucket_versioning.reports,
      aws_s3_bucket_public_access_block.reports, aws_s3_bucket_ownership_controls.reports, aws_s3_bucket_server_side_encryption_configuration.reports,
    )) == 0
    error_message = "A bucket is made, or something is set on yours."
  }

  assert {
    condition = (
      output.bucket == { name = "company-reports", arn = "arn:aws:s3:::company-reports" } &&
      aws_glue_catalog_table.reports["s3_daily_storage"].storage_descriptor[0].location == "s3://company-reports/s3_daily_storage/"
    )
    error_message = "Reports are looked for elsewhere: ${jsonencode(output.bucket)}"
  }
}

run "an_arn_is_no_name_of_a_bucket" {
  command = plan

  variables {
    bucket = "arn:aws:s3:::company-reports"
  }

  expect_failures = [var.bucket]
}
