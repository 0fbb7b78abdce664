# The bucket of reports, manifests and the accounts file, and one table over all reports of a dataset.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  # One file for each dataset, named after it: the columns of its CSV, in their order.
  datasets = {
    for file in fileset("${path.module}/datasets", "*.json") :
    trimsuffix(file, ".json") => jsondecode(file("${path.module}/datasets/${file}"))
  }
}

resource "aws_s3_bucket" "reports" {
  #checkov:skip=CKV_AWS_18: access logs need a second bucket; who must have them has CloudTrail's data events
  #checkov:skip=CKV2_AWS_62: nothing waits for a report
  #checkov:skip=CKV_AWS_144: what is lost can be collected again for 455 days
  bucket        = "${var.name}-reports-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.id}"
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "reports" {
  bucket = aws_s3_bucket.reports.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "reports" {
  bucket = aws_s3_bucket.reports.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# A report that a later run replaces can be had back.
resource "aws_s3_bucket_versioning" "reports" {
  bucket = aws_s3_bucket.reports.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  bucket = aws_s3_bucket.reports.id

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
  bucket = aws_s3_bucket.reports.id

  rule {
    id     = "remove-what-was-replaced"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  dynamic "rule" {
    for_each = var.keep_days == null ? [] : concat(["runs"], keys(local.datasets))

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
  bucket = aws_s3_bucket.reports.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.reports.arn, "${aws_s3_bucket.reports.arn}/*"]
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

# Athena works out where a day's and an account's report lies, so no crawler runs and no partition is ever added.
# The partition keys are `day` and `account`: the file has columns `report_date` and `account_name` of its own, and a
# key that is a column as well is refused (HIVE_INVALID_METADATA).
# https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html
resource "aws_glue_catalog_table" "reports" {
  for_each = local.datasets

  name          = each.key
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
    "projection.account.type"      = "enum"
    "projection.account.values"    = join(",", sort(var.account_names))
    "storage.location.template"    = "s3://${aws_s3_bucket.reports.id}/${each.key}/report_date=$${day}/account_name=$${account}/"
  }

  partition_keys {
    name    = "day"
    type    = "string"
    comment = "The day that the report is of, YYYY-MM-DD: name it in every query, or Athena looks for each day's reports."
  }

  partition_keys {
    name    = "account"
    type    = "string"
    comment = "The account's name."
  }

  storage_descriptor {
    location      = "s3://${aws_s3_bucket.reports.id}/${each.key}/"
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
