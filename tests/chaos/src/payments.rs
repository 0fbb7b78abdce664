// SPDX-License-Identifier: Apache-2.0
//! What was paid for twice: rows whose values CloudWatch gave to a job more often than what befell it explains. Plain
//! functions over values.
//!
//! A job may pay for a row once, and once more for each try whose answer could not be kept: the worker was killed, or lost
//! the job, before its upload; another worker's upload was first, or its own failed; or the listing broke off, so that what
//! was answered may not have been all. The log of calls tells which of these befell a try. What a try has stored is not
//! to be paid for again, whoever is killed then.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use local_aws::{AskedSeries, CallRecord};

use crate::history::{Event, events, parts};
use crate::truth::day_of_window;
use crate::workers::worker_of;

/// After how many failures a listing breaks off: so often does the SDK try a call.
const TRIES_OF_A_CALL: usize = 5;

/// The account's id and the day of each job, by its message's id.
pub(crate) type Jobs<'a> = HashMap<&'a str, (&'a str, NaiveDate)>;

/// A try: a job in a worker's hand.
struct Try<'a> {
    job: &'a str,
    date: NaiveDate,
    from: DateTime<Utc>,
    /// When the worker settled the job or was given it again; `None` if neither happened.
    until: Option<DateTime<Utc>>,
    /// Whether the worker put the job off or deleted it.
    is_settled: bool,
    uploads: Vec<(DateTime<Utc>, Upload)>,
    /// The region of each `ListMetrics` that failed.
    failed_listings: Vec<&'a str>,
}

/// What became of the upload of a report, complete or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    Stored,
    Overtaken,
    Failed,
}

impl Try<'_> {
    fn is_on(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && self.until.is_none_or(|until| at <= until)
    }

    /// Whether what a region had answered by then is lost, and not by the worker's fault.
    fn is_in_vain(&self, region: &str, answered: DateTime<Utc>) -> bool {
        let uploads = self.uploads.iter().filter(|(at, _)| *at >= answered).map(|(_, upload)| *upload);
        let is_lost = match uploads.clone().find(|upload| *upload != Upload::Failed) {
            Some(upload) => upload == Upload::Overtaken,
            None => !self.is_settled || uploads.count() > 0,
        };
        is_lost || self.failed_listings.iter().filter(|failed| **failed == region).count() >= TRIES_OF_A_CALL
    }
}

/// The tries, by the worker and the account's id.
type Tries<'a> = HashMap<(&'a str, &'a str), Vec<Try<'a>>>;

/// Reads the log. `ids` are the accounts' by their names.
fn tries<'a>(calls: &'a [CallRecord], jobs: &Jobs<'a>, ids: &HashMap<&str, &'a str>) -> Tries<'a> {
    let mut tries = Tries::new();
    for (job, of_job) in events(calls) {
        let Some((account, date)) = jobs.get(job).copied() else { continue };
        for (nth, (from, event)) in of_job.iter().enumerate() {
            let (Event::Received(key), Some(worker)) = (*event, worker_of(event.key())) else { continue };
            let next = of_job[nth + 1..].iter().find(|(_, event)| event.key() == key);
            tries.entry((worker, account)).or_default().push(Try {
                job,
                date,
                from: *from,
                until: next.map(|(at, _)| *at),
                is_settled: next.is_some_and(|(_, event)| !matches!(event, Event::Received(_))),
                uploads: Vec::new(),
                failed_listings: Vec::new(),
            });
        }
    }
    let mut in_order: Vec<&CallRecord> = calls.iter().collect();
    in_order.sort_by_key(|call| call.time + call.duration);
    for call in in_order {
        let Some(worker) = worker_of(&call.access_key) else { continue };
        let at = call.time + call.duration;
        match call.operation.as_str() {
            "PutObject" => {
                let Some((_, date, name)) = call.key.as_deref().and_then(parts) else { continue };
                let (Ok(date), Some(account)) = (date.parse::<NaiveDate>(), ids.get(name)) else { continue };
                let upload = match call.outcome.as_str() {
                    "ok" | "lost" => Upload::Stored,
                    "PreconditionFailed" => Upload::Overtaken,
                    _ => Upload::Failed,
                };
                let under_way = under_way(&mut tries, (worker, account), at);
                under_way.filter(|it| it.date == date).for_each(|it| it.uploads.push((at, upload)));
            }
            // It does not say which day it is for.
            "ListMetrics" if call.outcome != "ok" => {
                let under_way = under_way(&mut tries, (worker, &call.account), at);
                under_way.for_each(|it| it.failed_listings.push(&call.region));
            }
            _ => {}
        }
    }
    tries
}

fn under_way<'t, 'a>(
    tries: &'t mut Tries<'a>,
    of: (&'a str, &'a str),
    at: DateTime<Utc>,
) -> impl Iterator<Item = &'t mut Try<'a>> {
    tries.get_mut(&of).into_iter().flatten().filter(move |it| it.is_on(at))
}

/// What a try was answered of a row.
struct Answered {
    times: Vec<usize>,
    last: DateTime<Utc>,
}

/// The rows that a job has paid for more often than it may. A try has paid for a row if all its series were answered: one
/// that lacks any is asked for again as a whole.
pub(crate) fn paid_again(
    asked: &[AskedSeries],
    calls: &[CallRecord],
    jobs: &Jobs<'_>,
    ids: &HashMap<&str, &str>,
) -> Vec<String> {
    let tries = tries(calls, jobs, ids);
    let mut rows: BTreeMap<(&str, &str, &str, DateTime<Utc>), Vec<&AskedSeries>> = BTreeMap::new();
    for series in asked {
        let row = (&*series.account, &*series.region, &*series.bucket, series.start);
        rows.entry(row).or_default().push(series);
    }
    let mut again = Vec::new();
    for ((account, region, bucket, start), of_row) in rows {
        let date = day_of_window(start.date_naive());
        let mut answered: BTreeMap<(&str, usize), Answered> = BTreeMap::new();
        let mut tell =
            |what: &str| again.push(format!("{bucket} of account {account} in {region} on {date}: {what}"));
        for (nth, series) in of_row.iter().enumerate() {
            for ask in &series.asks {
                let worker = worker_of(&ask.access_key).unwrap_or_default();
                let of_worker = tries.get(&(worker, account)).map_or(&[][..], Vec::as_slice);
                let Some(at) = of_worker.iter().position(|it| it.date == date && it.is_on(ask.at)) else {
                    tell("by a worker without its job");
                    continue;
                };
                let first = || Answered { times: vec![0; of_row.len()], last: ask.at };
                let answered = answered.entry((worker, at)).or_insert_with(first);
                answered.times[nth] += 1;
                answered.last = ask.at.max(answered.last);
            }
        }
        // For each job: how often it has paid, and how often it may.
        let mut paid: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for ((worker, at), Answered { times, last }) in answered {
            let it = &tries[&(worker, account)][at];
            let times = times.into_iter().min().unwrap_or_default();
            let (all, most) = paid.entry(it.job).or_insert((0, 1));
            *all += times;
            *most += usize::from(times > 0 && it.is_in_vain(region, last));
        }
        for (times, most) in paid.into_values().filter(|(times, most)| times > most) {
            tell(&format!("{times} times and not {most}"));
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use local_aws::{Ask, Service};

    use super::*;
    use crate::workers::own_key;

    const ID: &str = "111111111111";

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).expect("a time")
    }

    fn call(milliseconds: i64, worker: u32, operation: &str, outcome: &str) -> CallRecord {
        let key = "s3_daily_storage/report_date=2026-11-03/account_name=data/report.csv";
        CallRecord {
            time: at(milliseconds),
            duration: Duration::ZERO,
            service: Service::S3,
            operation: operation.into(),
            account: ID.into(),
            region: "eu-west-1".into(),
            access_key: own_key(worker),
            outcome: outcome.into(),
            resource: Some(kit::JOBS.into()),
            key: Some(key.into()),
            items: 1,
            message_ids: vec!["m".into()],
            visibility: Some(30),
        }
    }

    /// Two series of a row, with the times and the workers that each was answered at and to.
    fn row(asks: [&[(i64, u32)]; 2]) -> Vec<AskedSeries> {
        let ask = |(milliseconds, worker): &(i64, u32)| Ask {
            at: at(*milliseconds),
            access_key: format!("{}X000", own_key(*worker)).into(),
        };
        let series = |(storage_type, asks): (&str, &[(i64, u32)])| AskedSeries {
            account: ID.into(),
            region: "eu-west-1".into(),
            bucket: "b".into(),
            storage_type: storage_type.into(),
            start: "2026-11-01T00:00:00Z".parse().expect("a time"),
            asks: asks.iter().map(ask).collect(),
        };
        ["A", "B"].into_iter().zip(asks).map(series).collect()
    }

    fn read(asked: &[AskedSeries], calls: &[CallRecord]) -> Vec<String> {
        let date = "2026-11-03".parse().expect("a day");
        paid_again(asked, calls, &Jobs::from([("m", (ID, date))]), &HashMap::from([("data", ID)]))
    }

    /// What is found where a first try asks for a row, this becomes of it, and a second one asks again, and stores it.
    fn after(first: &[CallRecord]) -> Vec<String> {
        let (given, again) = ([call(0, 1, "ReceiveMessage", "ok")], [call(100, 2, "ReceiveMessage", "ok")]);
        let rest = [call(120, 2, "PutObject", "ok"), call(130, 2, "DeleteMessage", "ok")];
        let both: &[(i64, u32)] = &[(10, 1), (110, 2)];
        read(&row([both, both]), &[&given[..], first, &again, &rest].concat())
    }

    #[test]
    fn what_was_stored_or_thrown_away_is_not_to_be_paid_for_again() {
        for stored in ["ok", "lost"] {
            let [row] = &after(&[call(20, 1, "PutObject", stored)])[..] else { panic!("{stored}") };
            assert!(row.ends_with("2026-11-03: 2 times and not 1"), "{row}");
        }
        let put_off = call(30, 1, "ChangeMessageVisibility", "ok");
        assert_eq!(after(&[call(20, 1, "PutObject", "ok"), put_off.clone()]).len(), 1, "a checkpoint");
        assert_eq!(after(&[put_off]).len(), 1, "no checkpoint");
        let before = call(5, 1, "PutObject", "abandoned");
        assert_eq!(after(&[before, call(30, 1, "DeleteMessage", "ok")]).len(), 1, "nothing uploaded since");
    }

    #[test]
    fn what_was_lost_may_be_paid_for_again() {
        assert!(after(&[]).is_empty(), "killed, or overtaken before it could store anything");
        for outcome in ["abandoned", "PreconditionFailed"] {
            let upload = || call(20, 1, "PutObject", outcome);
            assert!(after(&[upload()]).is_empty(), "{outcome}");
            assert!(after(&[upload(), call(30, 1, "DeleteMessage", "ok")]).is_empty(), "{outcome}");
        }
        let retried = [call(20, 1, "PutObject", "SlowDown"), call(21, 1, "PutObject", "ok")];
        assert_eq!(after(&retried).len(), 1);
        let merged = [call(20, 1, "PutObject", "PreconditionFailed"), call(21, 1, "PutObject", "ok")];
        assert!(after(&merged).is_empty(), "another was first, and both have paid");
        for (failures, rows) in [(4, 1), (5, 0)] {
            let mut calls = vec![call(5, 1, "ListMetrics", "Throttling"); failures];
            calls.push(call(20, 1, "PutObject", "ok"));
            assert_eq!(after(&calls).len(), rows, "{failures} failures of a listing");
        }
    }

    #[test]
    fn a_row_is_paid_for_if_all_its_series_are_and_by_the_job_in_flight() {
        let calls = [call(0, 1, "ReceiveMessage", "ok"), call(20, 1, "PutObject", "ok")];
        assert!(read(&row([&[(10, 1), (11, 1)], &[(10, 1)]]), &calls).is_empty());
        assert_eq!(read(&row([&[(10, 1), (11, 1)], &[(10, 1), (11, 1)]]), &calls).len(), 1);
        assert_eq!(read(&row([&[(10, 2)], &[]]), &calls).len(), 1, "the job is another worker's");
    }
}
