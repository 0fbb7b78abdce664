// SPDX-License-Identifier: Apache-2.0
//! Queues and what is in them, by plain calls.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use super::Account;
use crate::sqs::{
    self, AttributeValue, Message, QueueCounts, QueueId, Redrive, Settings, SharedQueue, Stored,
    check_message,
};

/// How a queue is made; the default is SQS's, in us-east-1.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// The region, which a queue's URL on this endpoint does not say: clients must sign for it.
    pub region: String,
    /// How long a received message stays hidden.
    pub visibility_timeout: Duration,
    pub retention: Duration,
    /// The dead-letter queue's name and the receives after which a message goes there. It is made if it is not there.
    pub redrive: Option<(String, u32)>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            visibility_timeout: Duration::from_secs(30),
            retention: Duration::from_hours(96),
            redrive: None,
        }
    }
}

impl Account {
    /// Makes a queue and gives its URL; one of that name and region is replaced by an empty one.
    pub fn queue(&self, name: &str, options: QueueOptions) -> String {
        let id = self.queue_id(name, &options.region);
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let now = self.world.now().timestamp_millis();
        let redrive = options.redrive.map(|(target, max_receive_count)| {
            let target = self.queue_id(&target, &options.region);
            if self.world.queues.get(&target).is_none() {
                // Fourteen days: the clock of a dead letter began with its first send.
                let settings = Settings { retention_seconds: 1_209_600, ..Settings::default() };
                self.world.queues.create(target.clone(), settings, now);
            }
            Redrive { target, max_receive_count }
        });
        let settings = Settings {
            visibility_seconds: seconds(options.visibility_timeout),
            retention_seconds: seconds(options.retention),
            redrive,
            ..Settings::default()
        };
        self.world.queues.create(id.clone(), settings, now);
        sqs::url(&self.world, &id)
    }

    /// The URL that a queue of this name has, whether it is there or not.
    pub fn queue_url(&self, name: &str) -> String {
        sqs::url(&self.world, &self.queue_id(name, ""))
    }

    /// Deletes a queue, with what is in it.
    pub fn delete_queue(&self, name: &str) {
        if let Some(shared) = self.world.queues.named(&self.id, name) {
            self.world.queues.delete(&shared.id);
        }
    }

    /// The number of messages of a queue; 0 if it does not exist.
    pub fn counts(&self, queue: &str) -> QueueCounts {
        let now = self.world.now().timestamp_millis();
        let counts = self.world.queues.named(&self.id, queue).map(|shared| shared.lock().counts(now));
        let (visible, in_flight, delayed) = counts.unwrap_or_default();
        QueueCounts { visible, in_flight, delayed }
    }

    /// Every message of a queue, hidden ones too, oldest first, without receiving any.
    pub fn messages(&self, queue: &str) -> Vec<Message> {
        let now = self.world.now().timestamp_millis();
        let Some(shared) = self.world.queues.named(&self.id, queue) else {
            return Vec::new();
        };
        shared.lock().contents(now)
    }

    /// Adds a message to a queue without checks, if the queue exists.
    pub fn send(&self, queue: &str, body: &str) {
        if let Some(shared) = self.world.queues.named(&self.id, queue) {
            self.put(&shared, body, BTreeMap::new());
        }
    }

    /// Puts a message with attributes of the type String into a queue, and gives its id. A queue that is not there is
    /// an error, and so is what SQS would refuse.
    pub fn send_with(&self, queue: &str, body: &str, attributes: &[(&str, &str)]) -> anyhow::Result<String> {
        let shared = self.world.queues.named(&self.id, queue).context("there is no such queue")?;
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), AttributeValue::text(value));
        let attributes = attributes.iter().map(text).collect();
        let limit = shared.lock().settings.max_message_bytes;
        check_message(body, &attributes, limit)
            .map_err(|refusal| anyhow::anyhow!("{}: {}", refusal.code, refusal.message))?;
        Ok(self.put(&shared, body, attributes))
    }

    fn put(&self, shared: &SharedQueue, body: &str, attributes: BTreeMap<String, AttributeValue>) -> String {
        let now = self.world.now().timestamp_millis();
        let message = Stored::new(body.to_owned(), attributes, self.id.clone(), now);
        let id = message.id.clone();
        shared.lock().add(message, 0, now);
        shared.ring();
        id
    }

    /// Puts a queue's own clock forward: what is hidden shows up that much sooner, and what is kept is gone that much
    /// sooner. When a message was sent stays as it was, and other queues do not notice.
    pub fn pass_time(&self, queue: &str, by: Duration) {
        if let Some(shared) = self.world.queues.named(&self.id, queue) {
            shared.lock().pass_time(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
            shared.ring();
        }
    }

    fn queue_id(&self, name: &str, region: &str) -> QueueId {
        QueueId { account: self.id.clone(), region: region.to_owned(), name: name.to_owned() }
    }
}
