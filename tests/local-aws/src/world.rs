// SPDX-License-Identifier: Apache-2.0
//! Everything there is, shared by every connection and by the handles that build worlds.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::calls::CallLog;
use crate::cloudwatch::{Asked, CloudWatch, UnknownNamespaces};
use crate::ecs::Services;
use crate::faults::Faults;
use crate::identity::Identities;
use crate::lambda::Functions;
use crate::permissions::Permissions;
use crate::quotas::Quotas;
use crate::regions::EnabledRegions;
use crate::s3::Buckets;
use crate::secrets::Secrets;
use crate::sqs::Queues;
use crate::sts::Roles;
use crate::tagging::TaggedResources;

/// The state of one AWS: each service keeps its own, behind its own lock.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) identities: Identities,
    pub(crate) permissions: Permissions,
    pub(crate) roles: Roles,
    pub(crate) secrets: Secrets,
    pub(crate) services: Services,
    pub(crate) enabled_regions: EnabledRegions,
    pub(crate) tagged_resources: TaggedResources,
    pub(crate) functions: Functions,
    pub(crate) queues: Queues,
    pub(crate) buckets: Buckets,
    pub(crate) cloudwatch: CloudWatch,
    pub(crate) asked: Asked,
    pub(crate) unknown_namespaces: UnknownNamespaces,
    pub(crate) faults: Faults,
    pub(crate) quotas: Quotas,
    pub(crate) calls: CallLog,
    endpoint: OnceLock<String>,
    latency_micros: AtomicU64,
    pub(crate) clock: Clock,
}

/// Its clock; a clone is the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// How far it is ahead of this machine's.
    ahead_millis: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.ahead_millis.load(Ordering::Relaxed))
    }
}

impl World {
    pub(crate) fn new(endpoint: String, log_capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            endpoint: OnceLock::from(endpoint),
            calls: CallLog::with_capacity(log_capacity),
            ..Self::default()
        })
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.get().map_or("", String::as_str)
    }

    /// What its clock says: every time that it gives out or compares is this one's.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn set_clock(&self, now: DateTime<Utc>) {
        self.clock.ahead_millis.store((now - Utc::now()).num_milliseconds(), Ordering::Relaxed);
        self.queues.ring_all();
    }

    /// How long every call waits before it is answered.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_micros.load(Ordering::Relaxed))
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency_micros.store(micros, Ordering::Relaxed);
    }
}
