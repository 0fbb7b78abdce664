// SPDX-License-Identifier: Apache-2.0
//! What goes wrong besides, all the time, for a share of the calls. Most of it is within what the SDK tries again
//! by itself; what is not comes back by the queue.

use std::time::Duration;

use kit::{DEAD, JOBS};
use local_aws::{Fault, FaultHandle, LocalAws};

use crate::{cli::Plant, of_reports};

/// The faults that are mixed in, each with what it does.
pub(crate) struct Mix {
    passing: Vec<(&'static str, FaultHandle)>,
    /// What AWS lies about to the end.
    planted: Option<(&'static str, FaultHandle)>,
}

impl Mix {
    /// Begins to break things. The seed says which calls, by their number. One account is `unwell`: often not even
    /// the SDK's last try succeeds there, and the job is retried later.
    pub(crate) fn begin(aws: &LocalAws, unwell: &str, seed: u64, plant: Option<Plant>) -> Self {
        let on = |operation, fault: Fault| fault.on(operation);
        let report = |operation, fault: Fault| of_reports(fault.on(operation));
        let queue = |operation, name, fault: Fault| fault.on(operation).queue(name);
        let is_unwell = |operation| on(operation, Fault::throttle()).account(unwell);
        let late = Fault::slow(Duration::from_secs(2));
        let few = Fault::failed_items(429, "rejected_execution_exception", "the queue is full", [0, 3, 40]);
        let faults = [
            ("GetMetricData is throttled", 0.03, on("GetMetricData", Fault::throttle())),
            ("GetMetricData is reset", 0.01, on("GetMetricData", Fault::reset())),
            ("GetMetricData takes two seconds", 0.01, on("GetMetricData", late)),
            ("GetMetricData hangs", 0.000_5, on("GetMetricData", Fault::hang())),
            ("ListMetrics is throttled", 0.03, on("ListMetrics", Fault::throttle())),
            ("ListMetrics breaks off in its answer", 0.01, on("ListMetrics", Fault::truncated())),
            ("GetCallerIdentity is throttled", 0.02, on("GetCallerIdentity", Fault::throttle())),
            ("ListBuckets is throttled in one account", 0.6, is_unwell("ListBuckets")),
            ("ListRegions is throttled in one account", 0.6, is_unwell("ListRegions")),
            ("ListBuckets answers 500", 0.02, on("ListBuckets", Fault::server_error())),
            ("ListRegions answers 500", 0.02, on("ListRegions", Fault::server_error())),
            ("HeadObject answers 503", 0.01, report("HeadObject", Fault::unavailable())),
            ("PutObject answers 503", 0.03, report("PutObject", Fault::unavailable())),
            ("PutObject is reset half-way", 0.02, report("PutObject", Fault::reset_upload())),
            ("PutObject is done, its answer reset", 0.03, report("PutObject", Fault::reset_answer())),
            ("PutObject is done, its answer lost", 0.001, report("PutObject", Fault::lost_answer())),
            ("Bulk answers 429", 0.03, on("Bulk", Fault::throttle())),
            ("Bulk answers 503", 0.02, on("Bulk", Fault::unavailable())),
            ("Bulk answers 413", 0.02, on("Bulk", Fault::error("content_too_long", 413))),
            ("Bulk takes all but some documents", 0.02, on("Bulk", few)),
            ("Bulk is done, and breaks off in its answer", 0.02, on("Bulk", Fault::truncated())),
            ("Bulk is done, its answer reset", 0.02, on("Bulk", Fault::reset_answer())),
            ("a record answers 503", 0.02, on("PutObject", Fault::unavailable()).key_prefix("delivered/")),
            ("ReceiveMessage is reset", 0.01, queue("ReceiveMessage", JOBS, Fault::reset())),
            (
                "ChangeMessageVisibility answers 500",
                0.05,
                on("ChangeMessageVisibility", Fault::server_error()),
            ),
            ("DeleteMessage answers 500", 0.02, queue("DeleteMessage", JOBS, Fault::server_error())),
            (
                "DeleteMessage is done, its answer reset",
                0.02,
                queue("DeleteMessage", JOBS, Fault::reset_answer()),
            ),
            ("dead letter is throttled", 0.03, queue("SendMessage", DEAD, Fault::throttle())),
            (
                "dead letter is sent, its answer reset",
                0.03,
                queue("SendMessage", DEAD, Fault::reset_answer()),
            ),
        ];
        let planted = plant.map(|plant| match plant {
            Plant::OffByOne => ("planted: a value is one too high", 0.005, Fault::off_by_one()),
            Plant::DroppedPage => {
                ("planted: a page is dropped", 1.0, on("ListMetrics", Fault::dropped_page()))
            }
            Plant::LostCheckpoint => {
                ("planted: no checkpoint is found", 1.0, report("GetObject", Fault::error("NoSuchKey", 404)))
            }
        });
        let set = |((what, share, fault), seed)| (what, aws.fault(Fault::probability(fault, share, seed)));
        let seed_of_planted = seed.wrapping_add(faults.len() as u64);
        Self {
            passing: faults.into_iter().zip(seed..).map(set).collect(),
            planted: planted.map(|planted| set((planted, seed_of_planted))),
        }
    }

    /// Lets the rest of the work be done in peace.
    pub(crate) fn end(&self) {
        self.passing.iter().for_each(|(_, fault)| fault.stop());
    }

    pub(crate) fn fired(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.passing.iter().chain(&self.planted).map(|(what, fault)| (*what, fault.fired()))
    }
}
