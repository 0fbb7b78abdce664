//! What goes wrong besides, all the time, for a share of the calls. Most of it is within what the SDK tries again
//! by itself; what is not comes back by the queue.

use std::time::Duration;

use local_aws::{Fault, FaultHandle, LocalAws};

use crate::cli::Plant;
use crate::world::{DEAD, JOBS, REPORT_PREFIX};

/// The faults that are mixed in, each with what it does.
pub(crate) struct Mix {
    passing: Vec<(&'static str, FaultHandle)>,
    /// What AWS lies about to the end.
    planted: Option<(&'static str, FaultHandle)>,
}

impl Mix {
    /// Begins to break things. The seed says which calls, by their number. One account is `unwell`: often not even
    /// the SDK's last try succeeds there, and the job is put off.
    pub(crate) fn begin(aws: &LocalAws, unwell: &str, seed: u64, plant: Option<Plant>) -> Self {
        let report = |fault: Fault| fault.key_prefix(REPORT_PREFIX);
        let late = || Fault::slow(Duration::from_secs(2));
        let faults = [
            ("GetMetricData is throttled", 0.03, Fault::throttle().on("GetMetricData")),
            ("GetMetricData is reset", 0.01, Fault::reset().on("GetMetricData")),
            ("GetMetricData takes two seconds", 0.01, late().on("GetMetricData")),
            ("GetMetricData hangs", 0.000_5, Fault::hang().on("GetMetricData")),
            ("ListMetrics is throttled", 0.03, Fault::throttle().on("ListMetrics")),
            ("ListMetrics breaks off in its answer", 0.01, Fault::truncated().on("ListMetrics")),
            ("GetCallerIdentity is throttled", 0.02, Fault::throttle().on("GetCallerIdentity")),
            (
                "ListBuckets is throttled in one account",
                0.6,
                Fault::throttle().on("ListBuckets").account(unwell),
            ),
            ("ListBuckets answers 500", 0.02, Fault::server_error().on("ListBuckets")),
            ("HeadObject answers 503", 0.01, report(Fault::unavailable().on("HeadObject"))),
            ("PutObject answers 503", 0.03, report(Fault::unavailable().on("PutObject"))),
            ("PutObject is reset half-way", 0.02, report(Fault::reset_upload().on("PutObject"))),
            ("PutObject is done, its answer reset", 0.03, report(Fault::reset_answer().on("PutObject"))),
            ("PutObject is done, its answer lost", 0.001, report(Fault::lost_answer().on("PutObject"))),
            ("ReceiveMessage is reset", 0.01, Fault::reset().on("ReceiveMessage").queue(JOBS)),
            (
                "ChangeMessageVisibility answers 500",
                0.05,
                Fault::server_error().on("ChangeMessageVisibility"),
            ),
            ("DeleteMessage answers 500", 0.02, Fault::server_error().on("DeleteMessage").queue(JOBS)),
            (
                "DeleteMessage is done, its answer reset",
                0.02,
                Fault::reset_answer().on("DeleteMessage").queue(JOBS),
            ),
            ("dead letter is throttled", 0.03, Fault::throttle().on("SendMessage").queue(DEAD)),
            (
                "dead letter is sent, its answer reset",
                0.03,
                Fault::reset_answer().on("SendMessage").queue(DEAD),
            ),
        ];
        let planted = plant.map(|plant| match plant {
            Plant::OffByOne => ("planted: a value is one too high", 0.005, Fault::off_by_one()),
            Plant::DroppedPage => {
                ("planted: a page is dropped", 1.0, Fault::dropped_page().on("ListMetrics"))
            }
            Plant::LostCheckpoint => (
                "planted: no checkpoint is found",
                1.0,
                Fault::error("NoSuchKey", 404).on("GetObject").key_prefix(REPORT_PREFIX),
            ),
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

    /// How often each struck.
    pub(crate) fn fired(&self) -> Vec<(&'static str, u64)> {
        self.passing.iter().chain(&self.planted).map(|(what, fault)| (*what, fault.fired())).collect()
    }
}
