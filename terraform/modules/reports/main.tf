# SPDX-License-Identifier: Apache-2.0
# The bucket of reports, manifests and the accounts file, and for each dataset one table over all reports.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # The bucket that is made, or yours, of which nothing but its name is known.
  bucket = {
    name = var.bucket != null ? var.bucket : aws_s3_bucket.reports[0].id
    arn  = var.bucket != null ? "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}" : aws_s3_bucket.reports[0].arn
  }

  # What `producer datasets --format json` says: of each dataset the columns of its CSV, in their order, and more.
  datasets = { for dataset in jsondecode(file("${path.module}/../../datasets.json")).datasets : dataset.name => dataset }

  query_results = "athena-results/"

  # What Athena calls the types of the files' columns, where it is another word.
  # https://docs.aws.amazon.com/athena/latest/ug/data-types.html
  presto_types = { string = "varchar" }

  # Every column of the files, then the day, and the account once more under the name that it had as a partition key.
  views = {
    for name, dataset in local.datasets : name => concat(
      [for column in dataset.columns : { name = column.name, type = column.type, select = "\"${column.name}\"" }],
      [
        { name = "day", type = "string", select = "\"day\"" },
        { name = "account", type = "string", select = "\"account_name\" AS \"account\"" },
      ],
    )
  }
}

resource "aws_s3_bucket" "reports" {
  count = var.bucket == null ? 1 : 0

  #checkov:skip=CKV_AWS_18: access logs need a second bucket; who must have them has CloudTrail's data events
  #checkov:skip=CKV2_AWS_62: nothing waits for a report
  #checkov:skip=CKV_AWS_19: it is encrypted below, by a resource that is not found where count depends on a variable
  #checkov:skip=CKV_AWS_145: S3 encrypts with a key of its own unless kms_key_arn is given
  #checkov:skip=CKV_AWS_144: what is lost can be collected again for 454 days
  bucket        = "${var.name}-reports-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.id}"
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "reports" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "reports" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# A report that a later run replaces can be had back.
resource "aws_s3_bucket_versioning" "reports" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# Nothing moves to a colder class. A report of 100 buckets is about 18 KB, and is billed there as 128; one of 1,000 buckets
# is about 175 KB, for which the move costs as much as half a year there saves.
resource "aws_s3_bucket_lifecycle_configuration" "reports" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  rule {
    id     = "remove-what-was-replaced"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.keep_replaced_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  # A job is on its queue for days at most, and its parts and claims are of no use after it. What a query found can be asked again.
  dynamic "rule" {
    for_each = { tries = "tries/", claims = "claims/", query-results = local.query_results }

    content {
      id     = "remove-${rule.key}"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      expiration {
        days = 7
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }

  dynamic "rule" {
    for_each = var.keep_days == null ? [] : concat(["runs", "delivered"], keys(local.datasets))

    content {
      id     = "remove-old-${rule.value}"
      status = "Enabled"

      filter {
        prefix = "${rule.value}/"
      }

      expiration {
        days = var.keep_days
      }
    }
  }

  # Its rules are of versions.
  depends_on = [aws_s3_bucket_versioning.reports]
}

resource "aws_s3_bucket_policy" "reports" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.reports[0].arn, "${aws_s3_bucket.reports[0].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  # A bucket's policy and its public access block can't be changed at the same time.
  depends_on = [aws_s3_bucket_public_access_block.reports]
}

resource "aws_glue_catalog_database" "reports" {
  name        = replace(var.name, "-", "_")
  description = "The reports of all accounts of ${var.name}."
}

# Athena works out where a day's reports lie and reads all of them, so no crawler runs, no partition is ever added, and an account more
# or less changes nothing here. Nothing but reports may lie below a day's folder. The partition key is `day`: the file has a column
# `report_date` of its own, and a key that is a column as well is refused (HIVE_INVALID_METADATA).
# https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html
resource "aws_glue_catalog_table" "reports" {
  for_each = local.datasets

  name          = "${each.key}_files"
  database_name = aws_glue_catalog_database.reports.name
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL                       = "TRUE"
    classification                 = "csv"
    "skip.header.line.count"       = "1"
    "projection.enabled"           = "true"
    "projection.day.type"          = "date"
    "projection.day.format"        = "yyyy-MM-dd"
    "projection.day.range"         = "2025-01-01,NOW" # before any day that could ever be collected
    "projection.day.interval"      = "1"
    "projection.day.interval.unit" = "DAYS"
    "storage.location.template"    = "s3://${local.bucket.name}/${each.key}/report_date=$${day}/"
  }

  partition_keys {
    name    = "day"
    type    = "string"
    comment = "The day that the report is of, YYYY-MM-DD: name it in every query, or Athena looks for each day's reports."
  }

  storage_descriptor {
    location      = "s3://${local.bucket.name}/${each.key}/"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    # No cell of a report needs a quote, and OpenCSVSerde can't read an empty number.
    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"

      parameters = {
        "field.delim"               = ","
        "serialization.format"      = ","
        "serialization.null.format" = ""
      }
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

# What queries name: the files with the column `account`, which was a partition key and stays for queries that have it. As a view it
# needs no second look at S3, and `day` in its WHERE reaches the table. The form is that in which Athena itself keeps a view.
# https://docs.aws.amazon.com/athena/latest/ug/views.html
resource "aws_glue_catalog_table" "view" {
  for_each = local.views

  name               = each.key
  database_name      = aws_glue_catalog_database.reports.name
  table_type         = "VIRTUAL_VIEW"
  parameters         = { presto_view = "true", comment = "Presto View" }
  view_expanded_text = "/* Presto View */"

  view_original_text = "/* Presto View: ${base64encode(jsonencode({
    originalSql = "SELECT ${join(", ", [for column in each.value : column.select])} FROM \"${aws_glue_catalog_database.reports.name}\".\"${aws_glue_catalog_table.reports[each.key].name}\""
    catalog     = "awsdatacatalog"
    schema      = aws_glue_catalog_database.reports.name
    columns     = [for column in each.value : { name = column.name, type = lookup(local.presto_types, column.type, column.type) }]
  }))} */"

  storage_descriptor {
    # Nothing is read by it, but Athena fails at a view that has none.
    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    }

    dynamic "columns" {
      for_each = each.value

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

# Where queries leave their results, and how much one may read.
resource "aws_athena_workgroup" "reports" {
  name          = var.name
  description   = "Queries over the reports of ${var.name}."
  force_destroy = true # its history goes with it

  configuration {
    bytes_scanned_cutoff_per_query     = var.query_limit_bytes
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = false

    result_configuration {
      output_location       = "s3://${local.bucket.name}/${local.query_results}"
      expected_bucket_owner = data.aws_caller_identity.current.account_id

      encryption_configuration {
        encryption_option = var.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}

moved {
  from = aws_s3_bucket.reports
  to   = aws_s3_bucket.reports[0]
}

moved {
  from = aws_s3_bucket_public_access_block.reports
  to   = aws_s3_bucket_public_access_block.reports[0]
}

moved {
  from = aws_s3_bucket_ownership_controls.reports
  to   = aws_s3_bucket_ownership_controls.reports[0]
}

moved {
  from = aws_s3_bucket_versioning.reports
  to   = aws_s3_bucket_versioning.reports[0]
}

moved {
  from = aws_s3_bucket_server_side_encryption_configuration.reports
  to   = aws_s3_bucket_server_side_encryption_configuration.reports[0]
}

moved {
  from = aws_s3_bucket_lifecycle_configuration.reports
  to   = aws_s3_bucket_lifecycle_configuration.reports[0]
}

moved {
  from = aws_s3_bucket_policy.reports
  to   = aws_s3_bucket_policy.reports[0]
}
