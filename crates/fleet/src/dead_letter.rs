// SPDX-License-Identifier: Apache-2.0
//! A dead letter of the fleet: a message of the dead-letter queue, with its labels.

use engine::{
    Message,
    dead_letter::{self, Cause},
    message::Attributes,
};

use crate::{Labels, Reason};

/// The attributes of a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub labels: Labels,
    /// Why it is a dead letter; `None` if SQS itself moved it.
    pub cause: Option<Cause>,
    pub replay_count: u32,
}

impl DeadLetter {
    /// Parses a message of the dead-letter queue, whichever program wrote it.
    #[must_use]
    pub fn from_message(message: &Message) -> Self {
        Self {
            labels: Labels::from_message(message),
            cause: Cause::from_message(message),
            replay_count: dead_letter::replay_count(message),
        }
    }

    #[must_use]
    pub fn reason(&self) -> &str {
        self.cause.as_ref().map_or(Reason::MaxReceives.code(), |cause| &cause.reason)
    }
}

/// The attributes of a job that is sent again, and the names of its dead letter's attributes that do not
/// fit. They include the replay count, the day and the run, and everything that is not about the cause.
#[must_use]
pub fn replay_attributes(message: &Message) -> (Attributes, Vec<String>) {
    let labels = Labels::from_message(message);
    // A job without a day would get another one, since it is now sent on another day.
    dead_letter::replay_attributes(message, &labels.to_attach_to(&message.body), labels.date.is_none())
}

#[cfg(test)]
mod tests;
