// SPDX-License-Identifier: Apache-2.0
//! The kinds of messages that this worker accepts: one file each, and one line here.

mod collect;
mod deliver;
mod request;

use std::sync::Arc;

use engine::{Kind, Queue};
use sinks::Delivery;

use crate::report::Reporter;

/// All kinds, in the order in which they are asked to accept a message. Requests send their jobs to the `queue`, and those
/// without accounts are for the default ones.
#[must_use]
pub fn all(
    reporter: Reporter,
    delivery: Arc<Delivery>,
    queue: Queue,
    default_accounts: Arc<[String]>,
) -> Vec<Box<dyn Kind>> {
    let reporter = Arc::new(reporter);
    vec![
        Box::new(request::Requests {
            reporter: reporter.clone(),
            delivery: delivery.clone(),
            queue,
            default_accounts,
        }),
        Box::new(deliver::Deliver { reporter: reporter.clone(), delivery: delivery.clone() }),
        Box::new(collect::Collect { reporter, delivery }),
    ]
}
