variable "name" {
  description = "The deployment's name; the bucket is `<name>-reports-<account id>-<region>`, the database `<name>` with `_` for `-`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "account_names" {
  description = "The accounts whose reports the table shows. An account that is left out keeps its reports, but no query sees them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.account_names) > 0 && length([for name in var.account_names : name if !can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))]) == 0
    error_message = "account_names must name at least one account, each by 1 to 63 letters, digits, `_` and `-`."
  }

  # https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-tables.html
  validation {
    condition     = length(join(",", var.account_names)) <= 512000
    error_message = "account_names has ${length(join(",", var.account_names))} bytes, commas included, and Glue takes 512000 of a table's parameter (projection.account.values): give accounts shorter names, or collect some of them in another stack."
  }
}

variable "keep_days" {
  description = "After how many days reports and manifests are removed; never where left out. A year of monthly reports of 1,000 accounts is about 200 MB where each has 100 buckets, and 2 GB where each has 1,000."
  type        = number
  default     = null

  validation {
    condition     = var.keep_days == null ? true : var.keep_days >= 1 && floor(var.keep_days) == var.keep_days
    error_message = "keep_days (the stack's keep_reports_days) must be a whole number of at least 1."
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
