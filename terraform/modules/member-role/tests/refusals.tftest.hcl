# What main.tf refuses, template.yaml refuses, and what is just allowed is allowed by both. The keys are the template's.

mock_provider "aws" {
  override_during = plan
}

variables {
  worker_role_arn = "arn:aws:iam::999999999999:role/fleet-worker"
  external_id     = "e-4711"

  bad = {
    RoleName = [
      "",
      "two words",
      "path/reader",
      "reader*",
      "arn:aws:iam::111111111111:role/reader",
      "reader\n",
      format("%065d", 0),
    ]
    WorkerRoleArn = [
      "*",
      "arn:aws:iam::999999999999:role/*",
      "arn:aws:iam::999999999999:root",
      "arn:aws:iam::*:role/fleet-worker",
      "arn:aws:sts::999999999999:assumed-role/fleet-worker/session",
      "arn:aws:iam::999999999999:role/fleet-worker\n",
      "999999999999",
    ]
    Trust = [
      "",
      "roles",
      "Role",
      "ACCOUNT",
      "*",
      "role\n",
      "999999999999",
    ]
    DirectoryBuckets = [
      "",
      "yes",
      "True",
      "0",
      "*",
      "true\n",
      "null",
    ]
    Tags = [
      "",
      "yes",
      "True",
      "0",
      "*",
      "true\n",
      "null",
    ]
    ExternalId = [
      "",
      "x",
      "two words",
      "e-*",
      "e;4711",
      "e-4711\n",
      format("%01225d", 0),
    ]
    OrganizationId = [
      "*",
      "o-short",
      "o-Exampleorgid",
      "ou-abcd-exampleunit",
      "o-exampleorgid/*",
      "o-exampleorgid\n",
      "o-${format("%033d", 0)}",
    ]
    PermissionsBoundaryArn = [
      "boundary",
      "arn:aws:iam::111111111111:policy/",
      "arn:aws:iam::111111111111:policy/*",
      "arn:aws:iam::*:policy/boundary",
      "arn:aws:iam::111111111111:role/boundary",
      "arn:aws:iam::111111111111:policy/boundary\n",
      "arn:aws:iam::111111111111:policy/${format("%0129d", 0)}",
    ]
  }

  good = {
    RoleName               = ["r", format("%064d", 0)]
    WorkerRoleArn          = ["arn:aws:iam::999999999999:role/w", "arn:aws-us-gov:iam::999999999999:role/a/b/${format("%064d", 0)}"]
    Trust                  = ["role", "account"]
    DirectoryBuckets       = ["true", "false"]
    Tags                   = ["true", "false"]
    ExternalId             = ["e4", format("%01224d", 0)]
    OrganizationId         = ["o-a1b2c3d4e5", "o-${format("%032d", 0)}"]
    PermissionsBoundaryArn = ["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws-iso-b:iam::111111111111:policy/a/${format("%0128d", 0)}"]
  }
}

run "template_refuses_all_that_is_bad" {
  command = plan

  module {
    source = "./tests/cloudformation"
  }

  variables {
    candidates = var.bad
  }

  # As many as there are runs below for the module, which can be given one of each at a time. Its `directory_buckets` is a bool,
  # so that Terraform itself refuses all else.
  assert {
    condition     = alltrue([for values in var.bad : length(values) == 7])
    error_message = "A bad value is tried on the template alone."
  }

  assert {
    condition     = length(output.accepted) == 8 && length(flatten([for values in output.accepted : tolist(values)])) == 0
    error_message = "template.yaml takes ${jsonencode(output.accepted)}"
  }
}

run "template_takes_the_shortest_and_the_longest" {
  command = plan

  module {
    source = "./tests/cloudformation"
  }

  variables {
    candidates = var.good
  }

  assert {
    condition     = length(flatten([for values in output.accepted : tolist(values)])) == 16
    error_message = "template.yaml takes nothing but ${jsonencode(output.accepted)}"
  }
}

run "module_takes_the_shortest" {
  command = plan

  variables {
    name                     = var.good.RoleName[0]
    worker_role_arn          = var.good.WorkerRoleArn[0]
    trust                    = var.good.Trust[0]
    directory_buckets        = var.good.DirectoryBuckets[0]
    external_id              = var.good.ExternalId[0]
    organization_id          = var.good.OrganizationId[0]
    permissions_boundary_arn = var.good.PermissionsBoundaryArn[0]
  }
}

run "module_takes_the_longest" {
  command = plan

  variables {
    name                     = var.good.RoleName[1]
    worker_role_arn          = var.good.WorkerRoleArn[1]
    trust                    = var.good.Trust[1]
    directory_buckets        = var.good.DirectoryBuckets[1]
    external_id              = var.good.ExternalId[1]
    organization_id          = var.good.OrganizationId[1]
    permissions_boundary_arn = var.good.PermissionsBoundaryArn[1]
  }
}

run "module_refuses_the_first_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[0]
    worker_role_arn          = var.bad.WorkerRoleArn[0]
    trust                    = var.bad.Trust[0]
    external_id              = var.bad.ExternalId[0]
    organization_id          = var.bad.OrganizationId[0]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[0]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}

run "module_refuses_the_second_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[1]
    worker_role_arn          = var.bad.WorkerRoleArn[1]
    trust                    = var.bad.Trust[1]
    external_id              = var.bad.ExternalId[1]
    organization_id          = var.bad.OrganizationId[1]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[1]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}

run "module_refuses_the_third_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[2]
    worker_role_arn          = var.bad.WorkerRoleArn[2]
    trust                    = var.bad.Trust[2]
    external_id              = var.bad.ExternalId[2]
    organization_id          = var.bad.OrganizationId[2]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[2]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}

run "module_refuses_the_fourth_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[3]
    worker_role_arn          = var.bad.WorkerRoleArn[3]
    trust                    = var.bad.Trust[3]
    external_id              = var.bad.ExternalId[3]
    organization_id          = var.bad.OrganizationId[3]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[3]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}

run "module_refuses_the_fifth_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[4]
    worker_role_arn          = var.bad.WorkerRoleArn[4]
    trust                    = var.bad.Trust[4]
    external_id              = var.bad.ExternalId[4]
    organization_id          = var.bad.OrganizationId[4]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[4]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}

run "module_refuses_the_sixth_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[5]
    worker_role_arn          = var.bad.WorkerRoleArn[5]
    trust                    = var.bad.Trust[5]
    external_id              = var.bad.ExternalId[5]
    organization_id          = var.bad.OrganizationId[5]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[5]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}

run "module_refuses_the_seventh_of_each" {
  command = plan

  variables {
    name                     = var.bad.RoleName[6]
    worker_role_arn          = var.bad.WorkerRoleArn[6]
    trust                    = var.bad.Trust[6]
    external_id              = var.bad.ExternalId[6]
    organization_id          = var.bad.OrganizationId[6]
    permissions_boundary_arn = var.bad.PermissionsBoundaryArn[6]
  }

  expect_failures = [var.name, var.worker_role_arn, var.trust, var.external_id, var.organization_id, var.permissions_boundary_arn]
}
