# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "The deployment's name, by which the network's parts are tagged."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name must be 2 to 24 lower-case letters, digits and single dashes between them, and begin with a letter."
  }
}

variable "cidr_block" {
  description = "The addresses of the network, a /16 to a /26. It is connected to nothing, so any private range will do."
  type        = string
  default     = "10.42.0.0/24"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr_block, 0)) && can(regex("/(1[6-9]|2[0-6])$", var.cidr_block))
    error_message = "cidr_block must be an IPv4 range of /16 to /26, such as 10.42.0.0/24: each of the two subnets takes a quarter of it."
  }
}

variable "private" {
  description = "Whether the subnets have no way to the internet, but interface endpoints of what the fleet calls in its region, eight in two zones, about $117 a month. CloudWatch and S3 of other regions are then out of reach."
  type        = bool
  default     = false
  nullable    = false
}
