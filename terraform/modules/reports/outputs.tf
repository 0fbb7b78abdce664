output "bucket" {
  description = "The bucket of reports (`<dataset>/`), manifests (`runs/`) and the accounts file."
  value = {
    name = aws_s3_bucket.reports.id
    arn  = aws_s3_bucket.reports.arn
  }

  # Who writes into it must find it as it is meant to be.
  depends_on = [
    aws_s3_bucket_policy.reports,
    aws_s3_bucket_server_side_encryption_configuration.reports,
    aws_s3_bucket_versioning.reports,
  ]
}

output "tables" {
  description = "The Athena table of each dataset, by the dataset's name, as `database.table`."
  value       = { for name, table in aws_glue_catalog_table.reports : name => "${table.database_name}.${table.name}" }
}
