// SPDX-License-Identifier: Apache-2.0
//! A message: as its queue keeps it, and as a test sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::attributes::AttributeValue;

/// A message as a test sees it, without receiving it.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub body: String,
    /// The message attributes' string values (base64 where binary).
    pub attributes: BTreeMap<String, String>,
    pub sent: DateTime<Utc>,
    pub receive_count: u32,
    pub place: Place,
    /// How long until a receive can get it; `None` if it is visible.
    pub visible_in: Option<Duration>,
}

impl Message {
    pub(crate) fn of(stored: &Stored, now: i64) -> Self {
        let text = |value: &AttributeValue| {
            value.string_value.clone().or_else(|| value.binary_value.clone()).unwrap_or_default()
        };
        let left = |hidden: Hidden| Duration::from_millis(u64::try_from(hidden.until - now).unwrap_or(0));
        Self {
            id: stored.id.clone(),
            body: stored.body.clone(),
            attributes: stored.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            sent: DateTime::from_timestamp_millis(stored.sent).unwrap_or_default(),
            receive_count: stored.receive_count,
            place: stored.hidden.map_or(Place::Visible, |hidden| hidden.place),
            visible_in: stored.hidden.map(left),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A receive could get it now.
    Visible,
    /// It was received, and is neither deleted nor visible again.
    InFlight,
    /// It was sent with a delay that is not over.
    Delayed,
}

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, AttributeValue>,
    pub(crate) sender: String,
    /// When it was first enqueued; a move to the dead-letter queue does not change it.
    pub(crate) sent: i64,
    /// What its retention is counted from: `sent`, less the time that was passed on demand.
    pub(super) born: i64,
    pub(crate) first_received: Option<i64>,
    pub(super) last_received: Option<i64>,
    pub(crate) receive_count: u32,
    pub(crate) source_arn: Option<String>,
    pub(super) hidden: Option<Hidden>,
}

impl Stored {
    pub(crate) fn new(
        body: String,
        attributes: BTreeMap<String, AttributeValue>,
        sender: String,
        sent: i64,
    ) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            body,
            attributes,
            sender,
            sent,
            born: sent,
            first_received: None,
            last_received: None,
            receive_count: 0,
            source_arn: None,
            hidden: None,
        }
    }

    /// Makes it older by `millis` on the queue's clock. The times that clients see stay the same.
    pub(super) fn age(&mut self, millis: i64) {
        self.born -= millis;
        self.last_received = self.last_received.map(|at| at - millis);
        self.hidden = self.hidden.map(|hidden| Hidden { until: hidden.until - millis, ..hidden });
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.hidden.is_some_and(|hidden| hidden.place == Place::InFlight)
    }
}

/// Until when a message is not to be received, and whether it is in flight or delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) until: i64,
    pub(super) place: Place,
}
