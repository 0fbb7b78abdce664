//! What a message may ask this worker for: one kind a file, and a line here.

mod collect;

use std::sync::Arc;

use engine::Kind;

use crate::report::Reporter;

/// All kinds, in the order in which they are asked whether a message is theirs.
#[must_use]
pub fn all(reporter: Arc<Reporter>) -> Vec<Box<dyn Kind>> {
    vec![Box::new(collect::Collect { reporter })]
}
