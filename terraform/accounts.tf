# SPDX-License-Identifier: Apache-2.0
# The accounts file that producer and workers read, off the report bucket, and what follows from the accounts: which roles
# the workers may assume, and which secrets they may read.

locals {
  accounts_key = "accounts.toml"

  # What JSON writes, TOML reads. Each account is joined by itself: one list of all lines takes Terraform twenty seconds
  # for 10,000 accounts.
  accounts_toml = join("\n", concat(
    [
      "# Written by Terraform; change the variable `accounts` instead.",
      "",
      "[defaults]",
      "role_name = ${jsonencode(var.member_role.name)}",
      "external_id = ${jsonencode(local.external_id)}",
    ],
    var.member_role.region == null ? [] : ["region = ${jsonencode(var.member_role.region)}"],
    [
      for name, account in var.accounts : join("\n", concat(["", "[[account]]"], [
        for line in [
          ["name", name],
          ["id", account.id],
          ["credentials", account.access_keys_secret_arn == null ? "role" : "keys"],
          ["secret_arn", account.access_keys_secret_arn],
          ["role_arn", account.role_arn],
          ["role_name", account.role_name],
          ["external_id", account.external_id],
          ["default", account.default],
          ["region", account.region],
          ["regions", length(account.regions) == 0 ? null : account.regions],
          ["quota_share", account.quota_share],
        ] : "${line[0]} = ${jsonencode(line[1])}" if line[1] != null
      ]))
    ],
    [""],
  ))

  external_id = coalesce(var.member_role.external_id, "${var.name}-${data.aws_caller_identity.current.account_id}")

  # One pattern for all accounts, since a policy has no room for a thousand; the role's name keeps the workers out of
  # all other roles.
  member_role_arns = tolist(toset([
    for account in var.accounts : coalesce(
      try(replace(account.role_arn, "/:iam::[0-9]{12}:/", ":iam::*:"), null),
      "arn:${data.aws_partition.current.partition}:iam::*:role/${coalesce(account.role_name, var.member_role.name)}",
    ) if account.access_keys_secret_arn == null
  ]))

  accounts_with_keys = [for account in var.accounts : account if account.access_keys_secret_arn != null]
}

resource "aws_s3_object" "accounts" {
  bucket       = module.reports.bucket.name
  key          = local.accounts_key
  content      = local.accounts_toml
  content_type = "application/toml"

  # So that a plan sees an edit by hand. With a customer key S3's ETag is no MD5.
  etag = local.kms_key_arn == null ? md5(local.accounts_toml) : null

  # S3 allows ten tags on an object, and a stack may have more.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
