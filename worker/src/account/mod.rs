// SPDX-License-Identifier: Apache-2.0
//! Access to an account: a session, a check that it is the expected account, and who is at fault if not.

pub mod authenticate;
pub mod breaker;
pub(crate) mod enabled;
pub mod functions;
pub mod session;
pub(crate) mod tags;
