// SPDX-License-Identifier: Apache-2.0
//! The kinds of messages that this worker accepts: one file each, and one line here.

mod collect;

use std::sync::Arc;

use engine::Kind;

use crate::{report::Reporter, sinks::Delivery};

/// All kinds, in the order in which they are asked to accept a message.
#[must_use]
pub fn all(reporter: Arc<Reporter>, delivery: Arc<Delivery>) -> Vec<Box<dyn Kind>> {
    vec![Box::new(collect::Collect { reporter, delivery })]
}
