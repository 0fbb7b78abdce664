// SPDX-License-Identifier: Apache-2.0
//! The handle that starts and stops an AWS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tokio::runtime::Runtime;

use crate::account::Account;
use crate::calls::CallQuery;
use crate::cloudwatch::AskedSeries;
use crate::faults::{Fault, FaultHandle};
use crate::opensearch::OpenSearch;
use crate::server;
use crate::synthetic::{Synthetic, SyntheticAccount};
use crate::world::World;

#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// How long every call waits before it is answered.
    pub latency: Duration,
    /// Whether CloudWatch's quotas are enforced, by account and region.
    pub quotas: bool,
    /// How many calls the request log keeps; the counters are not bounded by it.
    pub log_capacity: usize,
    /// Threads that serve requests, apart from the caller's runtime.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, latency: Duration::ZERO, quotas: false, log_capacity: 100_000, threads: 2 }
    }
}

/// A running AWS on 127.0.0.1; dropping it stops it and closes every connection.
///
/// It runs on threads of its own, so that a test may block, or pause tokio's clock, without stopping its AWS.
pub struct LocalAws {
    world: Arc<World>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl LocalAws {
    /// Binds the port and starts to serve.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port))
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1:{}", options.port))?
            .into_std()?;
        let address = listener.local_addr()?;
        let world = World::new(format!("http://{address}"), options.log_capacity);
        world.set_latency(options.latency);
        world.quotas.enforce(options.quotas);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("local-aws")
            .enable_all()
            .build()?;
        runtime.spawn(server::serve(listener, world.clone(), None));
        Ok(Self { world, address, runtime: Some(runtime) })
    }

    /// `http://127.0.0.1:PORT`: what `AWS_ENDPOINT_URL` is to be.
    pub fn endpoint(&self) -> String {
        self.world.endpoint().to_owned()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account of this 12-digit id, which is also its access key. Accounts need no creation.
    pub fn account(&self, id: &str) -> Account {
        Account::new(self.world.clone(), id)
    }

    /// Starts an OpenSearch on a port of its own, which stops with this AWS.
    pub fn opensearch(&self) -> anyhow::Result<OpenSearch> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let search = OpenSearch::new(format!("http://{}", listener.local_addr()?));
        let runtime = self.runtime.as_ref().context("it is shut down")?;
        runtime.spawn(server::serve(listener, self.world.clone(), Some(search.clone())));
        Ok(search)
    }

    /// Sets a fault; it stays until [`FaultHandle::stop`] or [`LocalAws::clear_faults`].
    pub fn fault(&self, fault: Fault) -> FaultHandle {
        self.world.faults.add(fault)
    }

    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// The calls answered so far, to be narrowed and counted.
    pub fn calls(&self) -> CallQuery {
        CallQuery::new(self.world.clone())
    }

    pub fn reset_calls(&self) {
        self.world.calls.reset();
    }

    /// Sets AWS's clock, which runs on from there: this machine's clock is wrong by the difference.
    ///
    /// `Date` headers, times of objects and messages, what is hidden or kept and for how long, and the age of metrics
    /// follow it. Requests signed by another clock are served all the same: to refuse them is
    /// [`Fault::wrong_clock`]'s. Calls in the log keep this machine's time.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.world.set_clock(now);
    }

    /// What AWS's clock says: this machine's time unless [`LocalAws::set_clock`] set another.
    pub fn now(&self) -> DateTime<Utc> {
        self.world.now()
    }

    /// Makes a region one that does not have S3 Express One Zone, and so no directory buckets.
    ///
    /// In AWS `s3express-control.REGION` is then a host that does not exist, which an endpoint for all regions can't
    /// show: `ListDirectoryBuckets` is answered `AuthorizationHeaderMalformed`, as by an endpoint that is S3's alone.
    pub fn without_directory_buckets(&self, region: &str) {
        self.world.buckets.without_directories(region);
    }

    /// Begins to keep when each series is asked of `GetMetricData`, and by whom.
    pub fn keep_asks(&self) {
        self.world.asked.begin();
    }

    /// The series that were asked of `GetMetricData` since [`LocalAws::keep_asks`].
    pub fn asked_series(&self) -> Vec<AskedSeries> {
        self.world.asked.all()
    }

    /// Begins to keep the namespaces that `ListMetrics` is asked for and of which the account has no series in any region.
    pub fn keep_unknown_namespaces(&self) {
        self.world.unknown_namespaces.begin();
    }

    /// Accounts, each with a namespace that it was asked for and does not have.
    pub fn unknown_namespaces(&self) -> BTreeSet<(String, String)> {
        self.world.unknown_namespaces.all()
    }

    pub fn quotas(&self, enforce: bool) {
        self.world.quotas.enforce(enforce);
    }

    /// Sets how long every call waits before it is answered.
    pub fn latency(&self, latency: Duration) {
        self.world.set_latency(latency);
    }

    /// Adds a deterministic world of accounts and buckets, and says which they are.
    pub fn synthetic(&self, plan: &Synthetic) -> Vec<SyntheticAccount> {
        plan.build(&self.world)
    }

    /// Stops serving; the port is free when this returns.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own: a runtime must not be waited for inside another one. The port is free only when
            // the runtime is down, and on a machine that stalls that may take seconds.
            let stop = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(10)));
            let _ = stop.join();
        }
    }
}
