// SPDX-License-Identifier: Apache-2.0
//! Sink `opensearch`: each row of a report as a document, with an id and a version, so that a repetition changes nothing and a
//! later report replaces what an earlier one said.

mod alerting;
pub mod alerts;
mod bulk;
mod client;
pub mod dashboards;
mod document;
mod endpoint;
mod install;
pub mod mapping;
mod ours;
mod setup;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, bail};
use chrono::Utc;
use fleet::Dataset;
use futures::{FutureExt, future::BoxFuture};

use self::{bulk::Bulk, document::Documents, endpoint::Endpoint};
use crate::{
    marker::Counts,
    settings::Settings,
    setup::{Change, SetUp},
    sink::Sink,
    transfer::{Record, Transfer},
};

/// An endpoint that takes documents.
#[derive(Debug)]
struct OpenSearch {
    endpoint: Endpoint,
    /// Datasets whose index template has been found as it has to be.
    ready: Mutex<HashSet<&'static str>>,
}

pub(super) fn open(settings: &Settings<'_>) -> Option<Box<dyn Sink>> {
    Some(Box::new(OpenSearch { endpoint: Endpoint::open(settings)?, ready: Mutex::default() }))
}

impl Sink for OpenSearch {
    fn check(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        async {
            self.endpoint.client.check().await?;
            for dataset in &self.endpoint.datasets {
                self.is_set_up(dataset).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn set_up<'a>(&'a self, how: &'a SetUp) -> BoxFuture<'a, anyhow::Result<Vec<Change>>> {
        self.endpoint.set_up(how).boxed()
    }

    fn grafana(&self) -> Option<serde_json::Value> {
        let Endpoint { prefix, datasets, .. } = &self.endpoint;
        Some(dashboards::grafana::dashboard(prefix, &dashboards::of(prefix, datasets)))
    }

    fn deliver<'a>(&'a self, transfer: &'a mut Transfer<'_>) -> BoxFuture<'a, anyhow::Result<Counts>> {
        self.send(transfer).boxed()
    }
}

impl OpenSearch {
    async fn send(&self, transfer: &mut Transfer<'_>) -> anyhow::Result<Counts> {
        let Transfer { report, record } = transfer;
        self.is_set_up(report.dataset).await?;
        let oldest = self.endpoint.oldest_month(Utc::now());
        let mut documents = Documents::new(&self.endpoint.prefix, report, record.earlier().is_some(), oldest);
        let mut bulk = Bulk::new(&self.endpoint.client);
        while let Some(row) = report.next().await? {
            documents.add(row, bulk.next())?;
            if bulk.is_full() {
                record_gaps(&documents, record).await?;
                bulk.send().await?;
            }
        }
        record_gaps(&documents, record).await?;
        let (mut counts, rejects) = bulk.end().await?;
        counts.skipped = documents.skipped();
        if !rejects.is_empty() {
            record.reject(rejects).await?;
        }
        Ok(counts)
    }

    /// Refuses an endpoint without the index template of a dataset: documents would get whatever types OpenSearch guesses.
    async fn is_set_up(&self, dataset: &'static Dataset) -> anyhow::Result<()> {
        let known = |ready: &Mutex<HashSet<&'static str>>| {
            ready.lock().unwrap_or_else(PoisonError::into_inner).contains(dataset.name)
        };
        if known(&self.ready) {
            return Ok(());
        }
        for template in mapping::templates(&self.endpoint.prefix, dataset) {
            let found = self.endpoint.client.template(&template.name).await;
            let found =
                found.with_context(|| format!("could not look up its index template {}", template.name))?;
            let next = format!("run `producer setup {}`", self.endpoint.name);
            match found {
                None => bail!("it has no index template {}; {next}", template.name),
                Some(found) if !template.is_met_by(&found) => {
                    bail!(
                        "its index template {} does not fit the columns of {}; {next}",
                        template.name,
                        dataset.name
                    )
                }
                Some(_) => {}
            }
        }
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(dataset.name);
        Ok(())
    }
}

/// Records, before they are sent, that there are documents which say that a resource has no datapoint: a later report that
/// has one deletes them, even if this delivery is never completed.
async fn record_gaps(documents: &Documents, record: &mut Record<'_>) -> anyhow::Result<()> {
    if documents.tells_of_gaps() && record.earlier().is_none() {
        record.begun(Counts::default(), &()).await?;
    }
    Ok(())
}
