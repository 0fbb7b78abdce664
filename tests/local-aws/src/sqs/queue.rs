// SPDX-License-Identifier: Apache-2.0
//! One queue: what is visible, hidden or dead at a given moment. Time is passed in, in milliseconds since the epoch.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::QueueId;
use super::message::{Hidden, Message, Place, Stored};

/// The longest a message may stay hidden after a receive, twelve hours:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(crate) const MAX_VISIBILITY_SECONDS: i64 = 43_200;
/// Messages of a standard queue that may be in flight at once.
const MAX_IN_FLIGHT: usize = 120_000;

/// A queue's settings, as its attributes give them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) visibility_seconds: i64,
    pub(crate) retention_seconds: i64,
    pub(crate) delay_seconds: i64,
    pub(crate) wait_seconds: i64,
    pub(crate) max_message_bytes: usize,
    pub(crate) redrive: Option<Redrive>,
    /// Attributes that change nothing here, returned as they were set.
    pub(crate) other: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_seconds: 30,
            retention_seconds: 345_600,
            delay_seconds: 0,
            wait_seconds: 0,
            max_message_bytes: 1_048_576,
            redrive: None,
            other: BTreeMap::new(),
        }
    }
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) target: QueueId,
    pub(crate) max_receive_count: u32,
}

/// A receipt handle, taken apart: which message, and which of its receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) message: u64,
    pub(crate) receive: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotChanged {
    /// The message is gone, or was received again under a newer handle.
    Unavailable,
    NotInFlight,
    /// It would be hidden for more than twelve hours from its receive.
    TooLong,
}

#[derive(Debug, Default)]
pub(crate) struct Receive {
    pub(crate) messages: Vec<(Receipt, Stored)>,
    /// Messages that were received too often: they belong to the dead-letter queue now.
    pub(crate) dead: Vec<Stored>,
    pub(crate) over_limit: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) settings: Settings,
    pub(crate) created: i64,
    pub(crate) purged: Option<i64>,
    messages: HashMap<u64, Stored>,
    ready: VecDeque<u64>,
    hidden: BTreeSet<(i64, u64)>,
    by_age: BTreeSet<(i64, u64)>,
    next: u64,
    in_flight: usize,
}

impl Queue {
    pub(crate) fn new(settings: Settings, now: i64) -> Self {
        // A receipt handle of a queue that had this name before must not meet a message of this one.
        let next = u64::try_from(now).unwrap_or(0) << 20;
        Self { settings, created: now, next, ..Self::default() }
    }

    /// Adds a message that shows up after `delay` milliseconds.
    pub(crate) fn add(&mut self, mut message: Stored, delay: i64, now: i64) {
        let key = self.next;
        self.next += 1;
        self.by_age.insert((message.born, key));
        if delay > 0 {
            message.hidden = Some(Hidden { until: now + delay, place: Place::Delayed });
            self.hidden.insert((now + delay, key));
        } else {
            message.hidden = None;
            self.ready.push_back(key);
        }
        self.messages.insert(key, message);
    }

    /// Makes visible what is due and forgets what is past its retention.
    pub(crate) fn advance(&mut self, now: i64) {
        while let Some(&(until, key)) = self.hidden.first().filter(|(until, _)| *until <= now) {
            self.hidden.remove(&(until, key));
            self.show(key);
        }
        let oldest = now - self.settings.retention_seconds * 1000;
        while let Some(&(_, key)) = self.by_age.first().filter(|(born, _)| *born <= oldest) {
            self.remove(key);
        }
    }

    fn show(&mut self, key: u64) {
        if let Some(message) = self.messages.get_mut(&key) {
            self.in_flight -= usize::from(message.is_in_flight());
            message.hidden = None;
            self.ready.push_back(key);
        }
    }

    fn remove(&mut self, key: u64) -> Option<Stored> {
        let message = self.messages.remove(&key)?;
        self.by_age.remove(&(message.born, key));
        if let Some(hidden) = message.hidden {
            self.hidden.remove(&(hidden.until, key));
        }
        self.in_flight -= usize::from(message.is_in_flight());
        // A visible message leaves its key in `ready`, which receives skip.
        Some(message)
    }

    /// Takes up to `max` visible messages and hides them for `visibility` milliseconds. Those that were received
    /// `limit` times before are given as dead instead.
    pub(crate) fn receive(&mut self, max: usize, visibility: i64, limit: Option<u32>, now: i64) -> Receive {
        self.advance(now);
        let mut received = Receive::default();
        let mut shown_again = Vec::new();
        while received.messages.len() < max {
            if self.in_flight >= MAX_IN_FLIGHT {
                received.over_limit = received.messages.is_empty();
                break;
            }
            let Some(key) = self.ready.pop_front() else { break };
            let Some(message) = self.messages.get_mut(&key) else {
                continue;
            };
            if limit.is_some_and(|limit| message.receive_count >= limit) {
                received.dead.extend(self.remove(key));
                continue;
            }
            message.receive_count += 1;
            message.first_received.get_or_insert(now);
            message.last_received = Some(now);
            let receipt = Receipt { message: key, receive: message.receive_count };
            if visibility > 0 {
                message.hidden = Some(Hidden { until: now + visibility, place: Place::InFlight });
                self.hidden.insert((now + visibility, key));
                self.in_flight += 1;
            } else {
                shown_again.push(key);
            }
            received.messages.push((receipt, message.clone()));
        }
        self.ready.extend(shown_again);
        received
    }

    /// Deletes by receipt. A handle of an earlier receive deletes nothing, and AWS does not say so.
    pub(crate) fn delete(&mut self, receipt: Receipt, now: i64) -> bool {
        self.advance(now);
        let current =
            self.messages.get(&receipt.message).is_some_and(|it| it.receive_count == receipt.receive);
        current && self.remove(receipt.message).is_some()
    }

    /// Hides a message that is in flight for `seconds` from now; 0 shows it at once.
    pub(crate) fn change_visibility(
        &mut self,
        receipt: Receipt,
        seconds: i64,
        now: i64,
    ) -> Result<(), NotChanged> {
        self.advance(now);
        let key = receipt.message;
        let message = self
            .messages
            .get_mut(&key)
            .filter(|message| message.receive_count == receipt.receive)
            .ok_or(NotChanged::Unavailable)?;
        let hidden =
            message.hidden.filter(|hidden| hidden.place == Place::InFlight).ok_or(NotChanged::NotInFlight)?;
        let until = now + seconds * 1000;
        if until - message.last_received.unwrap_or(now) > MAX_VISIBILITY_SECONDS * 1000 {
            return Err(NotChanged::TooLong);
        }
        self.hidden.remove(&(hidden.until, key));
        if seconds == 0 {
            self.show(key);
        } else {
            message.hidden = Some(Hidden { until, ..hidden });
            self.hidden.insert((until, key));
        }
        Ok(())
    }

    pub(crate) fn purge(&mut self, now: i64) {
        let settings = self.settings.clone();
        // Keys go on from where they were: a receipt handle of before must not meet a message of after.
        *self =
            Self { created: self.created, purged: Some(now), next: self.next, ..Self::new(settings, now) };
    }

    /// When the next hidden message is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.hidden.first().map(|(until, _)| *until)
    }

    /// Visible, in flight, delayed.
    pub(crate) fn counts(&mut self, now: i64) -> (usize, usize, usize) {
        self.advance(now);
        let delayed = self.hidden.len() - self.in_flight;
        (self.messages.len() - self.hidden.len(), self.in_flight, delayed)
    }

    /// Every message, oldest first.
    pub(crate) fn contents(&mut self, now: i64) -> Vec<Message> {
        self.advance(now);
        let oldest_first = self.by_age.iter().filter_map(|(_, key)| self.messages.get(key));
        oldest_first.map(|message| Message::of(message, now)).collect()
    }

    /// The id of the message that a receipt is for, while it is here.
    pub(crate) fn id_of(&self, receipt: Receipt) -> Option<String> {
        self.messages.get(&receipt.message).map(|message| message.id.clone())
    }

    /// Makes everything due and past its retention sooner by `millis`.
    pub(crate) fn pass_time(&mut self, millis: i64) {
        self.messages.values_mut().for_each(|message| message.age(millis));
        let sooner = |all: &BTreeSet<(i64, u64)>| all.iter().map(|(at, key)| (at - millis, *key)).collect();
        self.hidden = sooner(&self.hidden);
        self.by_age = sooner(&self.by_age);
        self.purged = self.purged.map(|at| at - millis);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue() -> Queue {
        Queue::new(Settings::default(), 0)
    }

    fn message(body: &str, sent: i64) -> Stored {
        Stored::new(body.to_owned(), BTreeMap::new(), String::new(), sent)
    }

    #[test]
    fn a_received_message_is_hidden_until_its_timeout() {
        let mut queue = queue();
        queue.add(message("a", 0), 0, 0);
        let first = queue.receive(10, 30_000, None, 1000);
        assert_eq!(first.messages.len(), 1);
        assert!(queue.receive(10, 30_000, None, 30_999).messages.is_empty());
        assert_eq!(queue.next_due(), Some(31_000));
        let second = queue.receive(10, 30_000, None, 31_000);
        assert_eq!(second.messages[0].1.receive_count, 2);
        assert_eq!(second.messages[0].1.first_received, Some(1000));
        assert!(!queue.delete(first.messages[0].0, 31_001), "a stale handle deletes nothing");
        assert!(queue.delete(second.messages[0].0, 31_001));
        assert_eq!(queue.counts(31_001), (0, 0, 0));
    }

    #[test]
    fn a_late_delete_with_the_newest_handle_still_deletes() {
        let mut queue = queue();
        queue.add(message("a", 0), 0, 0);
        let received = queue.receive(1, 1000, None, 0);
        assert!(queue.delete(received.messages[0].0, 5000));
        assert!(queue.receive(1, 1000, None, 5000).messages.is_empty());
    }

    #[test]
    fn visibility_changes_move_the_due_time_and_are_capped_at_twelve_hours() {
        let mut queue = queue();
        queue.add(message("a", 0), 0, 0);
        let receipt = queue.receive(1, 10_000, None, 0).messages[0].0;
        assert_eq!(queue.change_visibility(receipt, 60, 5000), Ok(()));
        assert_eq!(queue.next_due(), Some(65_000));
        assert_eq!(queue.change_visibility(receipt, 43_200, 5000), Err(NotChanged::TooLong));
        assert_eq!(queue.change_visibility(receipt, 0, 6000), Ok(()));
        assert_eq!(queue.counts(6000), (1, 0, 0));
        assert_eq!(queue.change_visibility(receipt, 10, 6000), Err(NotChanged::NotInFlight));
        queue.receive(1, 10_000, None, 7000);
        assert_eq!(queue.change_visibility(receipt, 10, 7000), Err(NotChanged::Unavailable));
    }

    #[test]
    fn a_message_received_too_often_is_dead_at_the_next_receive() {
        let mut queue = queue();
        queue.add(message("a", 0), 0, 0);
        assert_eq!(queue.receive(1, 1000, Some(2), 0).messages.len(), 1);
        assert_eq!(queue.receive(1, 1000, Some(2), 1000).messages.len(), 1);
        let third = queue.receive(1, 1000, Some(2), 2000);
        assert!(third.messages.is_empty());
        assert_eq!(third.dead.len(), 1);
        assert_eq!(queue.counts(2000), (0, 0, 0));
    }

    #[test]
    fn delays_and_retention_follow_the_clock() {
        let mut queue = queue();
        queue.add(message("later", 0), 5000, 0);
        assert_eq!(queue.counts(0), (0, 0, 1));
        assert_eq!(queue.counts(5000), (1, 0, 0));
        assert_eq!(queue.counts(345_600_000), (0, 0, 0), "four days after it was sent");
    }

    #[test]
    fn time_passed_on_demand_moves_everything_except_what_clients_see() {
        let mut queue = queue();
        queue.add(message("a", 0), 0, 0);
        queue.add(message("b", 0), 60_000, 0);
        let receipt = queue.receive(1, 30_000, None, 0).messages[0].0;
        queue.pass_time(20_000);
        let seen = |queue: &mut Queue| -> Vec<_> {
            queue.contents(0).iter().map(|it| (it.place, it.visible_in, it.sent.timestamp_millis())).collect()
        };
        let left = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(seen(&mut queue), [(Place::InFlight, left(10), 0), (Place::Delayed, left(40), 0)]);
        queue.pass_time(40_000);
        assert_eq!(seen(&mut queue), [(Place::Visible, None, 0), (Place::Visible, None, 0)]);
        let again = queue.receive(2, 1000, None, 0).messages;
        assert_eq!(again.iter().map(|(_, it)| it.first_received).collect::<Vec<_>>(), [Some(0), Some(0)]);
        assert!(!queue.delete(receipt, 0), "received again since");
        queue.pass_time(345_540_000);
        assert_eq!(queue.counts(0), (0, 0, 0), "four days in all");
    }

    #[test]
    fn a_recreated_queue_does_not_know_old_handles() {
        let first_receipt = |created| {
            let mut queue = Queue::new(Settings::default(), created);
            queue.add(message("a", created), 0, created);
            queue.receive(1, 1000, None, created).messages[0].0
        };
        assert_ne!(first_receipt(1), first_receipt(2));
    }

    #[test]
    fn a_visibility_of_zero_gives_each_message_once() {
        let mut queue = queue();
        queue.add(message("a", 0), 0, 0);
        queue.add(message("b", 0), 0, 0);
        let received = queue.receive(10, 0, None, 0);
        assert_eq!(received.messages.len(), 2);
        assert_eq!(queue.counts(0), (2, 0, 0));
    }
}
