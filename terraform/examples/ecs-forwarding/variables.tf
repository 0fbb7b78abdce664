# SPDX-License-Identifier: Apache-2.0
variable "region" {
  description = "The region that the fleet runs in, and that metrics are forwarded to."
  type        = string
  nullable    = false
}

variable "name" {
  description = "The stack's name."
  type        = string
  default     = "forwarding"
  nullable    = false
}

variable "accounts" {
  description = "The stack's accounts."
  type        = any
}

variable "namespace" {
  description = "The namespace that metrics are forwarded into."
  type        = string
  default     = "Fleet/ECS"
  nullable    = false
}
