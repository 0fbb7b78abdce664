// SPDX-License-Identifier: Apache-2.0
//! Counts the calls made for an account: the figures in its report, and what AWS bills.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use fleet::datasets::{DOLLARS_PER_CALL, DOLLARS_PER_METRIC};

/// The counters of one account's collection; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Usage(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    list_metrics: AtomicU64,
    metrics: AtomicU64,
}

impl Usage {
    /// Requests sent, each retry included. The SDK's own `AssumeRole` calls are not counted.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Metrics requested from `GetMetricData`, retries included.
    #[must_use]
    pub fn metrics(&self) -> u64 {
        self.0.metrics.load(Ordering::Relaxed)
    }

    /// The cost by AWS's list price, in US dollars with six decimals.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an estimate, of numbers far below 2^53")]
    pub fn dollars(&self) -> f64 {
        let list_metrics = self.0.list_metrics.load(Ordering::Relaxed);
        let dollars = self.metrics() as f64 * DOLLARS_PER_METRIC + list_metrics as f64 * DOLLARS_PER_CALL;
        // To the millionth, as in the metadata.
        (dollars * 1e6).round() / 1e6
    }

    pub fn add_list_metrics(&self) {
        self.0.list_metrics.fetch_add(1, Ordering::Relaxed);
    }

    pub fn add_metrics(&self, metrics: usize) {
        self.0.metrics.fetch_add(metrics as u64, Ordering::Relaxed);
    }

    /// Counters with these values; `calls` includes the `ListMetrics` calls.
    #[cfg(test)]
    pub(crate) fn of(calls: u64, list_metrics: u64, metrics: u64) -> Self {
        let [calls, list_metrics, metrics] = [calls, list_metrics, metrics].map(AtomicU64::new);
        Self(Arc::new(Counters { calls, list_metrics, metrics }))
    }

    /// The interceptor that counts the requests of an SDK client.
    pub(crate) fn call_counter(&self) -> CallCounter {
        CallCounter(self.clone())
    }
}

#[derive(Debug)]
pub(crate) struct CallCounter(Usage);

#[dyn_dispatch_hint]
impl Intercept for CallCounter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.0.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
