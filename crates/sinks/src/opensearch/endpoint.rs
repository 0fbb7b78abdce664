// SPDX-License-Identifier: Apache-2.0
//! What the settings of the sink say.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use fleet::{Dataset, settings::Value};

use super::{
    alerts::Alerts,
    client::Client,
    install::Dashboards,
    mapping::{self, COVERAGE},
};
use crate::settings::Settings;

/// What the names of indices begin with, unless the settings say it.
const PREFIX: &str = "fleet";

/// An endpoint, and the indices that the sink has there.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The sink's name.
    pub(super) name: String,
    pub(super) client: Arc<Client>,
    pub(super) prefix: String,
    pub(super) datasets: Vec<&'static Dataset>,
    /// For how many months documents are kept; `None` if for ever.
    retention: Option<u32>,
    /// Where its dashboards are installed.
    pub(super) dashboards: Dashboards,
    /// What is alerted on, if anything is.
    pub(super) alerts: Option<Alerts>,
}

impl Endpoint {
    pub(super) fn open(settings: &Settings<'_>) -> Option<Self> {
        let client = Client::open(settings);
        let dashboards = Dashboards::open(settings, client.as_ref().map_or("", Client::url));
        let alerts = settings.table.optional("alerts").map_or(Some(None), |value| {
            let alerts = value.table().and_then(|table| Alerts::open(settings.name, &table));
            alerts.map(Some)
        });
        let prefix = settings.table.optional("prefix");
        let prefix = prefix.map_or(Some(PREFIX.to_owned()), |value| prefix_of(&value));
        let retention = settings.table.optional("retention");
        let retention = retention.map_or(Some(None), |value| months_of(&value).map(Some));
        if settings.datasets.iter().any(|dataset| dataset.name == COVERAGE) {
            let said =
                format!("has {COVERAGE}, which names the indices of rows without a datapoint; rename it");
            settings.table.fault("datasets", said);
        }
        for dataset in settings.datasets {
            if let Some(column) = mapping::clash(dataset) {
                let said = format!(
                    "has {}, whose column {column} is a field of every document; rename it",
                    dataset.name
                );
                settings.table.fault("datasets", said);
            }
        }
        Some(Self {
            name: settings.name.to_owned(),
            client: Arc::new(client?),
            prefix: prefix?,
            datasets: settings.datasets.to_vec(),
            retention: retention?,
            dashboards: dashboards?,
            alerts: alerts?,
        })
    }

    /// The first month of which documents are kept; `None` if all are.
    pub(super) fn oldest_month(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let oldest = now.date_naive().checked_sub_months(Months::new(self.retention?))?;
        oldest.with_day(1)
    }
}

/// What an index may be called. Source:
/// <https://docs.opensearch.org/latest/api-reference/index-apis/create-index/#index-naming-restrictions>
fn prefix_of(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    if begins_well && text.len() <= 32 && text.bytes().all(is_plain) {
        return Some(text.to_owned());
    }
    value.fault("is not of small letters, digits, - and _, 32 at most, with a letter first");
    None
}

/// The months of a retention such as `13mo`.
fn months_of(value: &Value<'_>) -> Option<u32> {
    let text = value.text()?;
    let months = text
        .strip_suffix("mo")
        .and_then(|months| months.parse().ok())
        .filter(|months| (1..=1200).contains(months));
    if months.is_none() {
        value.fault("is not a number of months, such as 13mo: indices are of months");
    }
    months
}
