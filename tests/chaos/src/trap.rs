// SPDX-License-Identifier: Apache-2.0
//! A trap: the faults that stop one worker, and no other, at a step. No step is reported by the worker: each is
//! known by the call that it makes there, and by the access keys with which that worker alone signs.

use std::time::Duration;

use kit::{DEAD, JOBS};
use local_aws::{CallRecord, Fault, FaultHandle, LocalAws, ResultStatus};

use crate::{of_reports, steps::Step};

/// How long an upload is kept from being carried out where the worker is to die before it.
const BEFORE_UPLOAD: Duration = Duration::from_millis(200);

/// How long no further region may ask CloudWatch before all of them count as having asked.
const ALL_HAVE_ASKED: Duration = Duration::from_millis(120);

/// The region that fails where a worker is to store a part. Many accounts have buckets in it, and in others.
const CHECKPOINT_REGION: &str = "us-east-1";

/// What the keys of what is recorded of deliveries begin with.
const RECORDS: &str = "delivered/";

/// How often a trap is looked at.
const GLANCE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// Its own, with which it talks to the queues and the report bucket.
    pub(crate) own: String,
    /// Those of the accounts.
    pub(crate) accounts: Vec<String>,
}

/// Faults that wait for a worker, until this is dropped.
pub(crate) struct Trap {
    step: Step,
    own: String,
    /// Each with the key that it is for.
    faults: Vec<(String, FaultHandle)>,
    /// What keeps the next step from happening too early.
    brakes: Vec<(String, FaultHandle)>,
}

impl Trap {
    /// Sets a trap. There is none for a random moment.
    pub(crate) fn set(aws: &LocalAws, step: Step, keys: &Keys) -> Self {
        let on = |key: &String, fault: Fault| (key.clone(), aws.fault(fault.access_key(key)));
        let on_own = |fault: Fault| vec![on(&keys.own, fault)];
        let on_accounts =
            |fault: fn() -> Fault| keys.accounts.iter().map(|key| on(key, fault())).collect::<Vec<_>>();
        let report = |fault: Fault| on_own(of_reports(fault.on("PutObject")));
        let faults = match step {
            Step::Receive => on_own(Fault::lost_answer().on("ReceiveMessage").queue(JOBS)),
            Step::Discover => {
                let mut faults = on_accounts(|| Fault::hang().on("ListBuckets"));
                faults.extend(on_accounts(|| Fault::hang().on("ListRegions")));
                faults
            }
            Step::Collect => on_accounts(|| Fault::hang().on("GetMetricData")),
            Step::Checkpoint => {
                on_accounts(|| Fault::result(ResultStatus::InternalError).region(CHECKPOINT_REGION))
            }
            Step::Render => on_accounts(|| Fault::hold().on("GetMetricData")),
            Step::BeforeUpload => report(Fault::hang()),
            Step::DuringUpload => report(Fault::hang_upload()),
            Step::AfterUpload => report(Fault::lost_answer()),
            Step::BeforeDocuments => on_own(Fault::hang().on("Bulk")),
            Step::AfterDocuments => on_own(Fault::lost_answer().on("Bulk")),
            Step::BeforeRecord => on_own(Fault::hang().on("PutObject").key_prefix(RECORDS)),
            Step::BeforeDelete => on_own(Fault::hang().on("DeleteMessage").queue(JOBS)),
            Step::AfterDelete => on_own(Fault::lost_answer().on("DeleteMessage").queue(JOBS)),
            Step::BeforeDeadLetter => on_own(Fault::hang().on("SendMessage").queue(DEAD)),
            Step::AfterDeadLetter => on_own(Fault::lost_answer().on("SendMessage").queue(DEAD)),
            Step::Random => Vec::new(),
        };
        let brakes = match step {
            Step::Render => report(Fault::slow(BEFORE_UPLOAD)),
            _ => Vec::new(),
        };
        Self { step, own: keys.own.clone(), faults, brakes }
    }

    pub(crate) fn fired(&self) -> u64 {
        self.faults.iter().map(|(_, fault)| fault.fired()).sum()
    }

    /// The access keys of the calls that it struck.
    pub(crate) fn struck(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().filter(|(_, fault)| fault.fired() > 0).map(|(key, _)| key.as_str())
    }

    /// Waits until the worker is at the step.
    pub(crate) async fn sprung(&mut self, aws: &LocalAws) {
        while self.fired() == 0 {
            tokio::time::sleep(GLANCE).await;
        }
        match self.step {
            Step::Checkpoint => self.stored(aws).await,
            Step::Render => self.all_answered(aws).await,
            _ => {}
        }
    }

    /// Waits until what CloudWatch has answered is stored. It is asked again for the rest first, which takes longer than to
    /// set another fault.
    async fn stored(&mut self, aws: &LocalAws) {
        let upload = Fault::lost_answer().on("PutObject").access_key(&self.own);
        let upload = aws.fault(upload);
        self.brakes.push((self.own.clone(), upload.clone()));
        while upload.fired() == 0 {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Lets CloudWatch answer, and waits until it has. Every region asks for itself; all are to be answered at once.
    async fn all_answered(&self, aws: &LocalAws) {
        let answered = || {
            let calls = |key: &str| aws.calls().operation("GetMetricData").access_key(key).count();
            self.struck().map(calls).sum::<u64>()
        };
        let mut asked = 0;
        while self.fired() > asked {
            asked = self.fired();
            tokio::time::sleep(ALL_HAVE_ASKED).await;
        }
        let due = answered() + self.fired();
        self.faults.iter().for_each(|(_, fault)| fault.release());
        // On a busy machine an answer takes longer than a worker is to live after it.
        while answered() < due {
            tokio::time::sleep(GLANCE).await;
        }
    }
}

impl Drop for Trap {
    /// Removes the trap. Calls that it holds continue; silent connections are cut off.
    fn drop(&mut self) {
        self.faults.iter().chain(&self.brakes).for_each(|(_, fault)| fault.stop());
    }
}

/// Whether a killed worker was at its step, by what was carried out of its calls since the trap was set.
/// Only three steps can be missed: a poll may come back without a job, a job whose region fails may store nothing in
/// time, and what follows CloudWatch's last answer may come too early or too late.
pub(crate) fn was_there(step: Step, calls: &[CallRecord]) -> bool {
    let is = |call: &&CallRecord, operation: &str| call.operation == operation;
    match step {
        Step::Receive => calls
            .iter()
            .filter(|call| is(call, "ReceiveMessage"))
            .any(|call| call.outcome == "lost" && call.items > 0),
        Step::Checkpoint => calls.iter().any(|call| is(&call, "PutObject") && call.outcome == "lost"),
        Step::Render => {
            let mut asked = calls.iter().filter(|call| is(call, "GetMetricData")).peekable();
            asked.peek().is_some()
                && asked.all(|call| call.outcome == "ok")
                && !calls.iter().filter(|call| is(call, "PutObject")).any(|call| call.outcome == "ok")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use local_aws::Service;

    use super::*;

    fn call(operation: &str, outcome: &str, items: usize) -> CallRecord {
        CallRecord {
            time: chrono::Utc::now(),
            duration: Duration::ZERO,
            service: Service::Sqs,
            operation: operation.into(),
            account: String::new(),
            region: String::new(),
            access_key: String::new(),
            outcome: outcome.into(),
            resource: None,
            key: None,
            items,
            message_ids: Vec::new(),
            visibility: None,
        }
    }

    #[test]
    fn a_receive_that_gave_nothing_is_none() {
        assert!(was_there(Step::Receive, &[call("ReceiveMessage", "lost", 1)]));
        assert!(!was_there(Step::Receive, &[call("ReceiveMessage", "lost", 0)]));
        assert!(!was_there(Step::Receive, &[call("ReceiveMessage", "ok", 1)]));
    }

    #[test]
    fn rendering_is_after_the_last_answer_and_before_the_upload() {
        let answered = call("GetMetricData", "ok", 9);
        assert!(was_there(Step::Render, &[answered.clone(), call("PutObject", "abandoned", 0)]));
        assert!(!was_there(Step::Render, &[answered.clone(), call("GetMetricData", "abandoned", 9)]));
        assert!(!was_there(Step::Render, &[answered, call("PutObject", "ok", 0)]));
        assert!(!was_there(Step::Render, &[]));
    }
}
