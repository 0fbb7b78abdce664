# Ten accounts, entered in every way that there is, and most of what can be set.

name   = "finops-fleet"
region = "eu-west-1"

accounts = {
  # By the member role, cloudwatch-fleet-reader: most accounts are one line.
  data          = { id = "111111111111" }
  data-staging  = { id = "222222222222" }
  opra          = { id = "333333333333" }
  opra-dev      = { id = "444444444444", default = false } # only where a request names it
  web           = { id = "555555555555", regions = ["us-east-1", "ap-southeast-2"] }
  media-archive = { id = "666666666666", quota_share = 1 } # nobody else asks CloudWatch there

  # By the member role under another name, and by another role altogether.
  payments = { id = "777777777777", role_name = "finops-reader", external_id = "payments-7f3a" }
  partner  = { role_arn = "arn:aws:iam::888888888888:role/external/storage-audit", external_id = "finops-2026" }

  # By access keys, where no role can be had; the secret is made by hand.
  legacy = {
    id                     = "121212121212"
    access_keys_secret_arn = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:fleet/legacy-a1b2c3"
  }
  acquired = {
    id                     = "131313131313"
    region                 = "us-west-2"
    access_keys_secret_arn = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:fleet/acquired-d4e5f6"
    kms_key_arn            = "arn:aws:kms:eu-west-1:999999999999:key/1b2c3d4e-0000-4000-8000-000000000000"
  }
}

# Carried into every job, and into every report's metadata.
request = {
  attributes = {
    requested_by = "finops"
    ticket       = "OPS-7"
    owner        = { team = "finops", cost_centre = 4711 }
  }
}

monthly = {
  run_day        = 2
  completion_day = 5
  hour           = 6
}

workers = {
  max         = 4
  concurrency = 8
  environment = { FLEET_LOOKBACK_DAYS = "3" }
}

alarm_emails       = ["finops@example.com", "platform@example.com"]
oldest_job_hours   = 3
log_retention_days = 365
keep_reports_days  = 1827

tags = {
  Team       = "finops"
  CostCentre = "4711"
}
