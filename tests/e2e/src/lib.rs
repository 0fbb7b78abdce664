// SPDX-License-Identifier: Apache-2.0
//! Real producer and worker processes on the AWS on loopback: all of it is tests.
