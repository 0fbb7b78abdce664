# SPDX-License-Identifier: Apache-2.0
output "network" {
  description = "Where tasks may run: they need public addresses there."
  value = {
    vpc_id     = aws_vpc.this.id
    subnet_ids = aws_subnet.public[*].id
  }

  # A task that starts before there is a way out can't fetch its image.
  depends_on = [aws_route.internet, aws_route_table_association.public]
}
