// SPDX-License-Identifier: Apache-2.0
//! Asking CloudWatch: which series ([`plan`], pure), in which calls ([`calls`]) and how fast ([`limits`], and
//! [`turns`] for one operation, which its `tries` are told to), and what the answers make of each resource
//! ([`rows`], pure).

pub mod asked;
pub mod calls;
pub mod dimensions;
pub mod limits;
pub mod plan;
pub mod rows;
mod tries;
pub mod turns;
