// SPDX-License-Identifier: Apache-2.0
//! When each series was asked for and answered by `GetMetricData`, and by whom: what is paid for, and paid for again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::store::MetricRef;
use super::window::Window;
use crate::identity::Caller;

/// A series, and the calls of `GetMetricData` that answered all their queries for it as complete: several statistics of it
/// in one call are one, as they are paid for as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskedSeries {
    /// The account whose metrics were asked for.
    pub account: String,
    pub region: String,
    pub namespace: String,
    /// Sorted.
    pub dimensions: Vec<(String, String)>,
    pub metric: String,
    /// From when, inclusive, until when, exclusive.
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub asks: Vec<Ask>,
}

impl AskedSeries {
    /// The value of a dimension.
    pub fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    /// When, by this machine's clock.
    pub at: DateTime<Utc>,
    /// The access key that signed the call.
    pub access_key: Arc<str>,
}

/// The queries, once they are asked for: a benchmark is not to pay for them.
#[derive(Default)]
pub(crate) struct Asked {
    asks: Mutex<Option<HashMap<AskedSeries, Vec<Ask>>>>,
}

impl Asked {
    pub(crate) fn begin(&self) {
        *self.asks.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    }

    /// What keeps the queries of a call, if they are kept.
    pub(crate) fn by<'a>(&'a self, caller: &'a Caller, region: &'a str) -> Option<Asking<'a>> {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = Ask { at: Utc::now(), access_key: caller.access_key.as_str().into() };
        asks.is_some().then_some(Asking { asks, ask, account: &caller.account, region })
    }

    /// All series, sorted.
    pub(crate) fn all(&self) -> Vec<AskedSeries> {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let with_asks =
            |(series, asks): (&AskedSeries, &Vec<Ask>)| AskedSeries { asks: asks.clone(), ..series.clone() };
        let mut all: Vec<_> = asks.iter().flatten().map(with_asks).collect();
        all.sort();
        all
    }
}

pub(crate) struct Asking<'a> {
    asks: MutexGuard<'a, Option<HashMap<AskedSeries, Vec<Ask>>>>,
    ask: Ask,
    account: &'a str,
    region: &'a str,
}

impl Asking<'_> {
    pub(crate) fn add(&mut self, metric: &MetricRef<'_>, window: &Window) {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let owned = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| (name.to_string(), value.to_string());
        let mut dimensions: Vec<_> = metric.dimensions.iter().map(owned).collect();
        dimensions.sort();
        let series = AskedSeries {
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            namespace: metric.namespace.to_owned(),
            dimensions,
            metric: metric.name.to_owned(),
            start: time(window.start),
            end: time(window.end),
            asks: Vec::new(),
        };
        if let Some(asks) = self.asks.as_mut() {
            asks.entry(series).or_default().push(self.ask.clone());
        }
    }
}
