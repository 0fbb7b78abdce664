// SPDX-License-Identifier: Apache-2.0
//! What the log of all calls shows in the end: redeliveries, jobs that were done twice, and how long a killed
//! worker's jobs waited for another. Plain functions over values.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kit::JOBS;
use local_aws::CallRecord;

use crate::subject::ReportKey;
use crate::workers::{Kill, VISIBILITY, worker_of};

/// By dataset and the start of a report's window: when each round that reports it was sent, and its number.
pub(crate) type Rounds<'a> = HashMap<(&'a str, DateTime<Utc>), Vec<(DateTime<Utc>, usize)>>;

/// What became of the jobs on the way.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct History {
    /// Receives of a job beyond its first.
    pub(crate) redeliveries: u64,
    /// How often a worker put a job off that failed for a transient error, or that gets a second try.
    pub(crate) put_off: u64,
    /// Jobs that more than one worker collected.
    pub(crate) duplicate_executions: u64,
    /// From each kill to the next receive of each job that was in flight, shortest first.
    pub(crate) recoveries: Vec<Duration>,
    /// Jobs in flight at a kill that no worker received again.
    pub(crate) never_received_again: u64,
}

/// The account name in the key that workers try to write at the start.
const STARTUP_CHECK: &str = "startup-check";

/// A job came to a worker, or stopped being its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Received(&'a str),
    PutOff(&'a str),
    Deleted(&'a str),
}

impl<'a> Event<'a> {
    pub(crate) fn key(self) -> &'a str {
        let (Self::Received(key) | Self::PutOff(key) | Self::Deleted(key)) = self;
        key
    }
}

impl History {
    /// Reads the log. `names` are the accounts' by their ids.
    pub(crate) fn read(
        calls: &[CallRecord],
        kills: &[Kill],
        rounds: &Rounds<'_>,
        names: &HashMap<&str, &str>,
    ) -> Self {
        let events = events(calls);
        let mut history =
            Self { duplicate_executions: duplicate_executions(calls, rounds, names), ..Self::default() };
        for of_job in events.values() {
            let receives = of_job.iter().filter(|(_, event)| matches!(event, Event::Received(_))).count();
            history.put_off += put_off(of_job);
            history.redeliveries += (receives as u64).saturating_sub(1);
        }
        for kill in kills {
            for of_job in events.values() {
                let (before, after) = of_job.split_at(of_job.partition_point(|(at, _)| *at <= kill.at));
                if before.last().map(|(_, event)| *event) != Some(Event::Received(kill.key.as_str())) {
                    continue;
                }
                // Messages for the poll of a dying worker are lost to it.
                let is_its_own = |event: &Event<'_>| *event == Event::Received(kill.key.as_str());
                match after.iter().find(|(_, event)| !is_its_own(event)) {
                    Some((at, Event::Received(_))) => {
                        history.recoveries.push((*at - kill.at).to_std().unwrap_or_default());
                    }
                    // Its last word was on its way.
                    Some((_, Event::PutOff(_) | Event::Deleted(_))) => {}
                    None => history.never_received_again += 1,
                }
            }
        }
        history.recoveries.sort_unstable();
        history
    }

    /// The recovery that this share of them did not exceed.
    pub(crate) fn recovery(&self, percent: usize) -> Duration {
        let last = self.recoveries.len().saturating_sub(1);
        self.recoveries.get((self.recoveries.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }

    /// How many recoveries took longer than that.
    pub(crate) fn longer_than(&self, bound: Duration) -> usize {
        self.recoveries.iter().filter(|recovery| **recovery > bound).count()
    }
}

fn put_off(of_job: &[(DateTime<Utc>, Event<'_>)]) -> u64 {
    of_job.iter().filter(|(_, event)| matches!(event, Event::PutOff(_))).count() as u64
}

/// What happened to each job, in order.
pub(crate) fn events(calls: &[CallRecord]) -> HashMap<&str, Vec<(DateTime<Utc>, Event<'_>)>> {
    let mut events: HashMap<&str, Vec<(DateTime<Utc>, Event<'_>)>> = HashMap::new();
    let carried_out = |call: &&CallRecord| {
        call.resource.as_deref() == Some(JOBS) && matches!(call.outcome.as_str(), "ok" | "lost")
    };
    for call in calls.iter().filter(carried_out) {
        let key = call.access_key.as_str();
        let renewal = i64::try_from(VISIBILITY.as_secs()).ok();
        let event = match call.operation.as_str() {
            "ReceiveMessage" => Event::Received(key),
            "DeleteMessage" => Event::Deleted(key),
            "ChangeMessageVisibility" if call.visibility != renewal => Event::PutOff(key),
            _ => continue,
        };
        for id in &call.message_ids {
            events.entry(id).or_default().push((call.time + call.duration, event));
        }
    }
    for of_job in events.values_mut() {
        of_job.sort_by_key(|(at, _)| *at);
    }
    events
}

/// How many jobs more than one worker collected. What a worker asks of CloudWatch in an account belongs to the job whose
/// report it last looked for there.
fn duplicate_executions(calls: &[CallRecord], rounds: &Rounds<'_>, names: &HashMap<&str, &str>) -> u64 {
    let mut in_order: Vec<&CallRecord> = calls
        .iter()
        .filter(|call| matches!(call.operation.as_str(), "HeadObject" | "GetMetricData" | "PutObject"))
        .collect();
    in_order.sort_by_key(|call| call.time);
    let mut looked_for: HashMap<(&str, &str), usize> = HashMap::new();
    let mut workers: HashMap<(&str, usize), BTreeSet<&str>> = HashMap::new();
    for call in in_order {
        let Some(worker) = worker_of(&call.access_key) else { continue };
        if call.operation == "GetMetricData" {
            if let Some(name) = names.get(call.account.as_str())
                && let Some(round) = looked_for.get(&(worker, *name))
            {
                workers.entry((name, *round)).or_default().insert(worker);
            }
            continue;
        }
        let Some(ReportKey { dataset, account: name, start }) =
            call.key.as_deref().and_then(ReportKey::parse)
        else {
            continue;
        };
        let begun = rounds.get(&(dataset, start)).map_or(&[][..], Vec::as_slice);
        let Some((_, round)) = begun.iter().rfind(|(at, _)| *at <= call.time) else { continue };
        match call.operation.as_str() {
            "HeadObject" => {
                looked_for.insert((worker, name), *round);
            }
            _ if name != STARTUP_CHECK => {
                workers.entry((name, *round)).or_default().insert(worker);
            }
            _ => {}
        }
    }
    workers.values().filter(|workers| workers.len() > 1).count() as u64
}

#[cfg(test)]
mod tests {
    use local_aws::Service;

    use super::*;
    use crate::steps::Step;

    const KEY: &str = "s3_daily_storage/report_date=2026-11-01/account_name=data/report.csv";

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).expect("a time")
    }

    fn call(milliseconds: i64, worker: u32, operation: &str) -> CallRecord {
        CallRecord {
            time: at(milliseconds),
            duration: Duration::ZERO,
            service: Service::Sqs,
            operation: operation.into(),
            account: "111111111111".into(),
            region: String::new(),
            access_key: crate::workers::own_key(worker),
            outcome: "ok".into(),
            resource: Some(JOBS.into()),
            key: Some(KEY.into()),
            items: 1,
            message_ids: vec!["m".into()],
            visibility: None,
        }
    }

    fn read(calls: &[CallRecord], kills: &[(i64, u32)]) -> History {
        let kill = |(milliseconds, worker): &(i64, u32)| Kill {
            step: Step::Random,
            at: at(*milliseconds),
            key: crate::workers::own_key(*worker),
        };
        let kills: Vec<Kill> = kills.iter().map(kill).collect();
        let day = "2026-11-01T00:00:00Z".parse().expect("a time");
        let rounds = HashMap::from([(("s3_daily_storage", day), vec![(at(0), 0)])]);
        History::read(calls, &kills, &rounds, &HashMap::from([("111111111111", "data")]))
    }

    #[test]
    fn a_recovery_lasts_from_the_kill_to_the_next_receive() {
        let history = read(
            &[call(0, 1, "ReceiveMessage"), call(2900, 2, "ReceiveMessage"), call(2950, 2, "DeleteMessage")],
            &[(100, 1), (3000, 2)],
        );
        assert_eq!((history.redeliveries, history.never_received_again), (1, 0));
        assert_eq!(history.recoveries, [Duration::from_millis(2800)], "what is deleted is in no hand");
        assert_eq!(history.recovery(50), Duration::from_millis(2800));
        let on_its_way = [call(0, 1, "ReceiveMessage"), call(101, 1, "DeleteMessage")];
        assert_eq!(read(&on_its_way, &[(100, 1)]), History::default());
        assert_eq!(read(&on_its_way[..1], &[(100, 1)]).never_received_again, 1);
        assert_eq!(history.longer_than(Duration::from_secs(2)), 1);
    }

    #[test]
    fn a_job_that_waits_for_a_retry_is_not_in_flight_and_a_renewed_one_is() {
        let mut put_off = call(50, 1, "ChangeMessageVisibility");
        for (visibility, recoveries) in [(30, 0), (3, 1)] {
            put_off.visibility = Some(visibility);
            let calls = [call(0, 1, "ReceiveMessage"), put_off.clone(), call(3000, 2, "ReceiveMessage")];
            let history = read(&calls, &[(100, 1)]);
            assert_eq!(history.recoveries.len(), recoveries, "{visibility}");
            assert_eq!(history.put_off, 1 - recoveries as u64, "{visibility}");
        }
    }

    #[test]
    fn a_job_that_two_workers_collected_was_done_twice() {
        let once = [call(0, 1, "HeadObject"), call(1, 1, "GetMetricData"), call(2, 2, "HeadObject")];
        assert_eq!(read(&once, &[]).duplicate_executions, 0);
        let twice = [&once[..], &[call(3, 2, "GetMetricData")]].concat();
        assert_eq!(read(&twice, &[]).duplicate_executions, 1);
    }
}
