# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name; the bucket is `<name>-reports-<account id>-<region>`, the database `<name>` with `_` for `-`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "bucket" {
  description = "A bucket of yours in this account for all of it, in place of one that is made. What is set on it (encryption, versions, what expires, who gets in) is then yours: README.md, \"A bucket of your own\"."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket (the stack's report_bucket) must be the name of a bucket, 3 to 63 lower-case letters, digits, dots and dashes, and no ARN."
  }
}

variable "keep_days" {
  description = "After how many days reports and manifests expire; never if absent. Their last version is kept for `keep_replaced_days` more. A year of monthly reports of 1,000 accounts is about 200 MB where each has 100 buckets, and 2 GB where each has 1,000."
  type        = number
  default     = null

  validation {
    condition     = var.keep_days == null ? true : var.keep_days >= 1 && floor(var.keep_days) == var.keep_days
    error_message = "keep_days (the stack's keep_reports_days) must be a whole number of at least 1."
  }
}

variable "keep_replaced_days" {
  description = "For how many days a report can be had back that was replaced, deleted or expired (S3's noncurrent versions)."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.keep_replaced_days >= 1 && floor(var.keep_replaced_days) == var.keep_replaced_days
    error_message = "keep_replaced_days must be a whole number of at least 1."
  }
}

variable "query_limit_bytes" {
  description = "How many bytes one Athena query may read before it is cancelled. 10 GiB cost about $0.05."
  type        = number
  default     = 10737418240
  nullable    = false

  # https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
  validation {
    condition     = var.query_limit_bytes >= 10485760 && floor(var.query_limit_bytes) == var.query_limit_bytes
    error_message = "query_limit_bytes must be a whole number of at least 10485760, the least that Athena takes."
  }
}

variable "kms_key_arn" {
  description = "A customer key for what lies in the bucket; S3's own encryption where left out."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove the bucket with all reports in it."
  type        = bool
  default     = false
  nullable    = false
}
