// SPDX-License-Identifier: Apache-2.0
//! The kind `deliver`: reports that exist, for a sink that lacks them. It asks CloudWatch nothing.

use std::sync::Arc;

use engine::{Attempt, BadMessage, Completed, Failed, Kind, Label, Message, Work};
use fleet::{Labels, Reason, job::Envelope};
use futures::{StreamExt, future::BoxFuture, stream};
use requests::deliver::Order;
use sinks::{Again, Delivery};
use tracing::Span;

use super::collect::DELIVERIES_AT_ONCE;
use crate::{
    failure::Failure,
    report::{Reporter, step},
};

/// Accepts the messages that name this kind.
#[derive(Debug)]
pub(super) struct Deliver {
    pub(super) reporter: Arc<Reporter>,
    pub(super) delivery: Arc<Delivery>,
}

/// A message of this kind.
#[derive(Debug)]
struct Delivering {
    reporter: Arc<Reporter>,
    delivery: Arc<Delivery>,
    order: Order,
    labels: Vec<Label>,
}

impl Kind for Deliver {
    fn name(&self) -> &'static str {
        "deliver"
    }

    fn read(&self, message: &Message) -> Option<Result<Box<dyn Work>, BadMessage>> {
        Some(match Order::read(&message.body, Envelope::from_message(message))? {
            Ok(order) => Ok(Box::new(Delivering {
                reporter: self.reporter.clone(),
                delivery: self.delivery.clone(),
                labels: Labels::from_job(&order.job).to_attach_to(&message.body),
                order,
            })),
            Err(error) => Err(BadMessage {
                reason: Reason::BadMessage.code(),
                source: error.into(),
                labels: Labels::from_message(message).to_attach_to(&message.body),
            }),
        })
    }
}

impl Work for Delivering {
    fn labels(&self) -> Vec<Label> {
        self.labels.clone()
    }

    fn span(&self, message: &Message) -> Span {
        let Order { sink, job, .. } = &self.order;
        tracing::info_span!(
            "delivery",
            message_id = message.id,
            attempt = message.receive_count,
            sink,
            account_name = job.account_name.as_str(),
            dataset = job.dataset.name,
            run_id = job.run_id.as_str(),
        )
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Completed, Failed>> {
        Box::pin(async {
            attempt.enter(step::DELIVER);
            let keys = self.keys().await?;
            let delivered = stream::iter(keys).map(|key| self.deliver(key)).buffered(DELIVERIES_AT_ONCE);
            let delivered: Vec<Result<(), Failure>> = delivered.collect().await;
            delivered.into_iter().collect::<Result<(), Failure>>()?;
            Ok(Completed { outcome: "delivered" })
        })
    }
}

impl Delivering {
    /// The keys of the reports.
    async fn keys(&self) -> Result<Vec<String>, Failure> {
        let job = &self.order.job;
        let account = self.reporter.collector.account(job).await?;
        let key = |window| self.reporter.template.key(&job.of(window), account.id.as_ref());
        Ok(job.windows.iter().map(key).collect::<Result<_, _>>()?)
    }

    async fn deliver(&self, key: String) -> Result<(), Failure> {
        let Order { sink, again, force, job } = &self.order;
        let again = match (again, force) {
            (_, true) => Again::Unknown,
            (true, false) => Again::Harmless,
            (false, false) => Again::None,
        };
        Ok(self.delivery.deliver_to(sink, job.dataset, &key, again).await?)
    }
}
