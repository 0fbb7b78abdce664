# SPDX-License-Identifier: Apache-2.0
variable "region" {
  description = "The region that the fleet and the domain are in."
  type        = string
  nullable    = false
}

variable "name" {
  description = "The stack's name, which is the domain's too."
  type        = string
  default     = "functions"
  nullable    = false
}

variable "accounts" {
  description = "The stack's accounts."
  type        = any
}

variable "search" {
  description = "The stack's search: the domain."
  type        = any
  default     = {}
  nullable    = false
}

variable "retention" {
  description = "For how many months the domain keeps documents. The bucket keeps reports for ever."
  type        = string
  default     = "13mo"
  nullable    = false
}
