mock_provider "aws" {
  override_during = plan
  source          = "../../tests/mocks"
}

variables {
  region   = "eu-west-1"
  accounts = { data = { id = "111111111111" }, web = { id = "222222222222" } }
}

run "it_can_be_applied_and_the_domain_set_up" {
  command = plan

  assert {
    condition     = output.search.url == "https://search-fleet-mock.eu-west-1.es.amazonaws.com" && keys(output.setup_commands) == ["search"]
    error_message = "The domain is ${jsonencode(output.search)}, set up by ${jsonencode(output.setup_commands)}."
  }
}
