# SPDX-License-Identifier: Apache-2.0
output "bucket" {
  description = "The bucket of reports (`<dataset>/`), manifests (`runs/`) and the accounts file."
  value       = local.bucket

  # Who writes into it must find it as it is meant to be.
  depends_on = [
    aws_s3_bucket_policy.reports,
    aws_s3_bucket_server_side_encryption_configuration.reports,
    aws_s3_bucket_versioning.reports,
  ]
}

output "tables" {
  description = "What Athena queries name for each dataset, by the dataset's name, as `database.table`."
  value       = { for name, view in aws_glue_catalog_table.view : name => "${view.database_name}.${view.name}" }
}

output "workgroup" {
  description = "The Athena workgroup to ask in."
  value       = aws_athena_workgroup.reports.name
}
