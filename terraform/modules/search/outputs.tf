# SPDX-License-Identifier: Apache-2.0
output "domain" {
  description = "The domain: its name, its ARN, where requests go, and OpenSearch Dashboards."
  value = {
    name           = aws_opensearch_domain.this.domain_name
    arn            = aws_opensearch_domain.this.arn
    url            = "https://${aws_opensearch_domain.this.endpoint}"
    dashboards_url = "https://${aws_opensearch_domain.this.dashboard_endpoint}"
  }

  # Without its policy the domain refuses everybody.
  depends_on = [aws_opensearch_domain_policy.this]
}
