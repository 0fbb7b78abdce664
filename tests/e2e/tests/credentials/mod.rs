// SPDX-License-Identifier: Apache-2.0
//! How the worker becomes an account: each kind of credentials is shown by an account that only it
//! leads to, and by who signed which call.

mod choice;
mod environment;
mod keys;
mod kinds;
mod profiles;
mod reach;
mod refused;
mod renewal;
mod roles;
mod secrets;
mod support;
