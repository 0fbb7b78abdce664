mock_provider "aws" {
  override_during = plan
  source          = "../../tests/mocks"
}

variables {
  region   = "eu-west-1"
  accounts = { data = { id = "111111111111" }, web = { id = "222222222222" } }
}

run "it_can_be_applied" {
  command = plan

  assert {
    condition     = output.member_role.external_id == "forwarding-999999999999" && strcontains(output.environment, "export FLEET_CONFIG=s3://${output.reports}/fleet.toml\n")
    error_message = "The environment is\n${output.environment}"
  }
}
