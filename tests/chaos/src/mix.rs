//! What goes wrong besides, all the time, for a share of the calls. Most of it is within what the SDK tries again
//! by itself; what is not comes back by the queue.

use std::time::Duration;

use local_aws::{Fault, FaultHandle, LocalAws};

use crate::cli::Plant;
use crate::world::{DEAD, JOBS, REPORT_PREFIX};

/// The faults that are mixed in, each with what it does.
pub(crate) struct Mix(Vec<(&'static str, FaultHandle)>);

impl Mix {
    /// Begins to break things. The seed says which calls, by their number. One account is `unwell`: often not even
    /// the SDK's last try succeeds there, and the job is put off.
    pub(crate) fn begin(aws: &LocalAws, unwell: &str, seed: u64, plant: Option<Plant>) -> Self {
        let report = |fault: Fault| fault.key_prefix(REPORT_PREFIX);
        let late = || Fault::slow(Duration::from_secs(2));
        let mut faults = vec![
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
        match plant {
            None => {}
            Some(Plant::OffByOne) => {
                faults.push(("planted: a value is one too high", 0.005, Fault::off_by_one()));
            }
            Some(Plant::DroppedPage) => {
                faults.push(("planted: a page is dropped", 1.0, Fault::dropped_page().on("ListMetrics")));
            }
        }
        let faults = (seed..).zip(faults);
        Self(
            faults
                .map(|(seed, (what, share, fault))| (what, aws.fault(fault.probability(share, seed))))
                .collect(),
        )
    }

    /// Lets the rest of the work be done in peace.
    pub(crate) fn end(&self) {
        self.0.iter().for_each(|(_, fault)| fault.stop());
    }

    /// How often each struck.
    pub(crate) fn fired(&self) -> Vec<(&'static str, u64)> {
        self.0.iter().map(|(what, fault)| (*what, fault.fired())).collect()
    }
}
