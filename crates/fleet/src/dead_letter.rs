//! A dead letter of the fleet: a message of the dead-letter queue, with its labels.

use engine::{
    Message,
    dead_letter::{self, Cause},
    message::Attributes,
};

use crate::{Labels, Reason};

/// What the attributes of a dead letter say.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub labels: Labels,
    /// Why it is a dead letter; `None` if the queue itself moved it.
    pub cause: Option<Cause>,
    /// How often it was replayed.
    pub replay_count: u32,
}

impl DeadLetter {
    /// Reads a message of the dead-letter queue, whichever program wrote it.
    #[must_use]
    pub fn from_message(message: &Message) -> Self {
        Self {
            labels: Labels::from_message(message),
            cause: Cause::from_message(message),
            replay_count: dead_letter::replay_count(message),
        }
    }

    /// The code of its reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.cause.as_ref().map_or(Reason::MaxReceives.code(), |cause| &cause.reason)
    }
}

/// The attributes of a job that is sent once more, and the names of those of its dead letter that there is no room
/// for: how often it was replayed by then, its day and its run, and all that is not about its cause.
#[must_use]
pub fn replay_attributes(message: &Message) -> (Attributes, Vec<String>) {
    let labels = Labels::from_message(message);
    // Without a day, it would have another one, now that it is sent on another.
    dead_letter::replay_attributes(message, &labels.beside(&message.body), labels.date.is_none())
}

#[cfg(test)]
mod tests;
