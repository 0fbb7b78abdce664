// SPDX-License-Identifier: Apache-2.0
//! What was paid for twice: resources whose values CloudWatch gave to a job more often than what befell it explains. Plain
//! functions over values.
//!
//! A job may pay for a resource once, however many windows it is for, and once more for each try whose answer could not be
//! kept in one of them: the worker was killed, or lost the job, before its upload; another worker's upload was first, or
//! its own failed; or the listing of buckets' metrics broke off, so that what was answered may not have been all. The log of
//! calls tells which of these befell a try. What a try has stored must not be paid for again, whichever worker is killed then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use local_aws::{AskedSeries, CallRecord};

use crate::history::{Event, events};
use crate::subject::{ReportKey, Subject};
use crate::workers::worker_of;

/// After how many failures a listing breaks off: so often does the SDK try a call.
const TRIES_OF_A_CALL: usize = 5;

/// The account's id and the subject of each job, by its message's id.
pub(crate) type Jobs<'a> = HashMap<&'a str, (&'a str, Subject)>;

/// When the window of a report begins.
type Start = DateTime<Utc>;

/// A try: a job in a worker's hand.
struct Try<'a> {
    job: &'a str,
    subject: Subject,
    from: DateTime<Utc>,
    /// When the worker settled the job or was given it again; `None` if neither happened.
    until: Option<DateTime<Utc>>,
    /// Whether the worker put the job off or deleted it.
    is_settled: bool,
    /// When, and of which window.
    uploads: Vec<(DateTime<Utc>, Start, Upload)>,
    /// The windows of which it has read an earlier try's part.
    read: BTreeSet<Start>,
    /// The windows that an earlier try of the job had stored when this one began.
    stored_before: BTreeSet<Start>,
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

    /// Whether what a region had answered by then of these windows is lost in one of them, and not by the worker's fault.
    fn is_in_vain(&self, region: &str, answered: DateTime<Utc>, windows: &BTreeSet<Start>) -> bool {
        let failures = self.failed_listings.iter().filter(|failed| **failed == region).count();
        // Series are asked for once they are all listed.
        let breaks_off = matches!(self.subject, Subject::Day(_)) && failures >= TRIES_OF_A_CALL;
        breaks_off
            || windows.iter().any(|window| self.is_to_store(*window) && self.has_lost(*window, answered))
    }

    /// Whether a window is not complete yet. One that lies between two others is asked for with them.
    fn is_to_store(&self, window: Start) -> bool {
        !self.stored_before.contains(&window) || self.read.contains(&window)
    }

    fn has_lost(&self, window: Start, answered: DateTime<Utc>) -> bool {
        let uploads = self.uploads.iter().filter(|(at, of, _)| *at >= answered && *of == window);
        let uploads = uploads.map(|(_, _, upload)| *upload);
        match uploads.clone().find(|upload| *upload != Upload::Failed) {
            Some(upload) => upload == Upload::Overtaken,
            None => !self.is_settled || uploads.count() > 0,
        }
    }
}

/// The tries, by the worker and the account's id.
type Tries<'a> = HashMap<(&'a str, &'a str), Vec<Try<'a>>>;

/// Reads the log. `ids` are the accounts' by their names.
fn tries<'a>(calls: &'a [CallRecord], jobs: &Jobs<'a>, ids: &HashMap<&str, &'a str>) -> Tries<'a> {
    let mut tries = Tries::new();
    for (job, of_job) in events(calls) {
        let Some((account, subject)) = jobs.get(job).copied() else { continue };
        for (nth, (from, event)) in of_job.iter().enumerate() {
            let (Event::Received(key), Some(worker)) = (*event, worker_of(event.key())) else { continue };
            let next = of_job[nth + 1..].iter().find(|(_, event)| event.key() == key);
            tries.entry((worker, account)).or_default().push(Try {
                job,
                subject,
                from: *from,
                until: next.map(|(at, _)| *at),
                is_settled: next.is_some_and(|(_, event)| !matches!(event, Event::Received(_))),
                uploads: Vec::new(),
                read: BTreeSet::new(),
                stored_before: BTreeSet::new(),
                failed_listings: Vec::new(),
            });
        }
    }
    let mut in_order: Vec<&CallRecord> = calls.iter().collect();
    in_order.sort_by_key(|call| call.time + call.duration);
    // When each job stored each window for the first time.
    let mut stored: HashMap<(&str, Start), DateTime<Utc>> = HashMap::new();
    for call in in_order {
        let Some(worker) = worker_of(&call.access_key) else { continue };
        let at = call.time + call.duration;
        match call.operation.as_str() {
            "PutObject" | "GetObject" => {
                let Some(report) = call.key.as_deref().and_then(ReportKey::parse) else { continue };
                let (start, Some(account)) = (report.start, ids.get(report.account)) else { continue };
                let is_of = |it: &&mut Try<'_>| {
                    it.subject.dataset() == report.dataset && it.subject.windows().any(|own| own == start)
                };
                let under_way = under_way(&mut tries, (worker, account), at).filter(is_of);
                if call.operation == "GetObject" {
                    under_way.for_each(|it| _ = it.read.insert(start));
                    continue;
                }
                let upload = match call.outcome.as_str() {
                    "ok" | "lost" => Upload::Stored,
                    "PreconditionFailed" => Upload::Overtaken,
                    _ => Upload::Failed,
                };
                for it in under_way {
                    it.uploads.push((at, start, upload));
                    if upload == Upload::Stored {
                        stored.entry((it.job, start)).or_insert(at);
                    }
                }
            }
            // It does not say what it is for.
            "ListMetrics" if call.outcome != "ok" => {
                let under_way = under_way(&mut tries, (worker, &call.account), at);
                under_way.for_each(|it| it.failed_listings.push(&call.region));
            }
            _ => {}
        }
    }
    for it in tries.values_mut().flatten() {
        let windows = it.subject.windows();
        let before = |window: &Start| stored.get(&(it.job, *window)).is_some_and(|at| *at < it.from);
        it.stored_before = windows.filter(before).collect();
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

/// A series of a resource: its metric and its dimensions.
type OwnSeries<'a> = (&'a str, &'a [(String, String)]);

/// What a job was answered of a resource.
#[derive(Default)]
struct OfJob<'a> {
    /// All its series.
    series: BTreeSet<OwnSeries<'a>>,
    tries: BTreeMap<(&'a str, usize), Answered<'a>>,
}

/// What a try was answered of a resource.
struct Answered<'a> {
    /// How often, by series.
    times: BTreeMap<OwnSeries<'a>, usize>,
    last: DateTime<Utc>,
    windows: BTreeSet<Start>,
}

/// The resources that a job has paid for more often than it may. A try has paid for a resource if all its series were
/// answered: one that lacks any is asked for again as a whole.
pub(crate) fn paid_again(
    asked: &[AskedSeries],
    calls: &[CallRecord],
    jobs: &Jobs<'_>,
    ids: &HashMap<&str, &str>,
) -> Vec<String> {
    let tries = tries(calls, jobs, ids);
    let mut again = Vec::new();
    let mut resources: BTreeMap<(&str, &str, String), BTreeMap<&str, OfJob<'_>>> = BTreeMap::new();
    for series in asked {
        let (account, region, start, end) = (&*series.account, &*series.region, series.start, series.end);
        for ask in &series.asks {
            let worker = worker_of(&ask.access_key).unwrap_or_default();
            let of_worker = tries.get(&(worker, account)).map_or(&[][..], Vec::as_slice);
            let windows =
                |it: &Try<'_>| it.subject.asked(&series.namespace, start, end).collect::<BTreeSet<_>>();
            let found = of_worker.iter().enumerate().filter(|(_, it)| it.is_on(ask.at));
            let found = found.map(|(nth, it)| (nth, it, windows(it))).find(|(_, _, asked)| !asked.is_empty());
            let Some((nth, it, windows)) = found else {
                again.push(format!(
                    "{} in {region} at {start}: by a worker without its job",
                    resource(series)
                ));
                continue;
            };
            let of_job = resources.entry((account, region, resource(series))).or_default();
            let of_job = of_job.entry(it.job).or_default();
            let own = (&*series.metric, &*series.dimensions);
            of_job.series.insert(own);
            let first = || Answered { times: BTreeMap::new(), last: ask.at, windows: BTreeSet::new() };
            let answered = of_job.tries.entry((worker, nth)).or_insert_with(first);
            *answered.times.entry(own).or_default() += 1;
            answered.last = ask.at.max(answered.last);
            answered.windows.extend(windows);
        }
    }
    for ((account, region, resource), of_jobs) in resources {
        for OfJob { series, tries: of_job } in of_jobs.into_values() {
            let (mut times, mut most, mut subject) = (0, 1, None);
            for ((worker, nth), Answered { times: of_try, last, windows }) in of_job {
                let it = &tries[&(worker, account)][nth];
                let paid = series.iter().map(|own| of_try.get(own).copied().unwrap_or_default()).min();
                let paid = paid.unwrap_or_default();
                times += paid;
                most += usize::from(paid > 0 && it.is_in_vain(region, last, &windows));
                subject = Some(it.subject);
            }
            if times > most {
                let of = subject.map(|it| format!("{it:?}")).unwrap_or_default();
                let what = format!("{times} times and not {most}");
                again.push(format!("{resource} of account {account} in {region}, {of}: {what}"));
            }
        }
    }
    again
}

/// The row that a series is in: its dimensions without that by which a metric is split.
fn resource(series: &AskedSeries) -> String {
    let own = series.dimensions.iter().filter(|(name, _)| name != "StorageType");
    own.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("/")
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

    const DAY: &str = "s3_daily_storage/report_date=2026-11-03/account_name=data/report.csv";

    fn call(milliseconds: i64, worker: u32, operation: &str, outcome: &str) -> CallRecord {
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
            key: Some(DAY.into()),
            items: 1,
            message_ids: vec!["m".into()],
            visibility: Some(30),
        }
    }

    /// A call for the report of an hour.
    fn of_hour(hour: u32, call: CallRecord) -> CallRecord {
        let key = format!("ecs_service/report_date=2026-11-03/account_name=data/T{hour:02}00Z.csv");
        CallRecord { key: Some(key), ..call }
    }

    fn ask((milliseconds, worker): &(i64, u32)) -> Ask {
        Ask { at: at(*milliseconds), access_key: format!("{}X000", own_key(*worker)).into() }
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    /// Two series of a row, with the times and the workers that each was answered at and to.
    fn row(asks: [&[(i64, u32)]; 2]) -> Vec<AskedSeries> {
        let series = |(storage_type, asks): (&str, &[(i64, u32)])| AskedSeries {
            account: ID.into(),
            region: "eu-west-1".into(),
            namespace: "AWS/S3".into(),
            dimensions: vec![("BucketName".into(), "b".into()), ("StorageType".into(), storage_type.into())],
            metric: "BucketSizeBytes".into(),
            start: time("2026-11-01T00:00:00Z"),
            end: time("2026-11-04T00:00:00Z"),
            asks: asks.iter().map(ask).collect(),
        };
        ["A", "B"].into_iter().zip(asks).map(series).collect()
    }

    /// A metric of a service, asked for from one hour up to another.
    fn service(hours: (u32, u32), asks: &[(i64, u32)]) -> AskedSeries {
        let at = |hour: u32| time(&format!("2026-11-03T{hour:02}:00:00Z"));
        AskedSeries {
            namespace: "AWS/ECS".into(),
            dimensions: vec![("ClusterName".into(), "main".into()), ("ServiceName".into(), "web".into())],
            metric: "CPUUtilization".into(),
            start: at(hours.0),
            end: at(hours.1),
            asks: asks.iter().map(ask).collect(),
            ..row([&[], &[]]).remove(0)
        }
    }

    fn read(asked: &[AskedSeries], calls: &[CallRecord]) -> Vec<String> {
        let subject = if asked[0].namespace == "AWS/S3" {
            Subject::Day("2026-11-03".parse().expect("a day"))
        } else {
            Subject::Hours(time("2026-11-03T09:00:00Z"), 3)
        };
        paid_again(asked, calls, &Jobs::from([("m", (ID, subject))]), &HashMap::from([("data", ID)]))
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
            assert!(row.ends_with("Day(2026-11-03): 2 times and not 1"), "{row}");
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
    /// What is found where a first try asks for three hours together and stores these, and a second one asks from one of them
    /// on, and stores the rest.
    fn after_storing(stored: &[u32], again_from: u32, read_parts: bool) -> Vec<String> {
        let mut calls = vec![call(0, 1, "ReceiveMessage", "ok"), call(100, 2, "ReceiveMessage", "ok")];
        calls.extend(stored.iter().map(|hour| of_hour(*hour, call(20, 1, "PutObject", "ok"))));
        if read_parts {
            calls.extend(stored.iter().map(|hour| of_hour(*hour, call(105, 2, "GetObject", "ok"))));
        }
        calls.extend((again_from..12).map(|hour| of_hour(hour, call(120, 2, "PutObject", "ok"))));
        calls.push(call(130, 2, "DeleteMessage", "ok"));
        read(&[service((9, 12), &[(10, 1)]), service((again_from, 12), &[(110, 2)])], &calls)
    }

    #[test]
    fn hours_together_are_paid_for_once_and_again_if_one_of_them_was_lost() {
        assert!(after_storing(&[], 9, false).is_empty(), "killed before it stored any");
        assert!(after_storing(&[9, 10], 11, false).is_empty(), "killed before it stored the last");
        let [row] = &after_storing(&[9, 10, 11], 9, true)[..] else { panic!("all were stored") };
        assert!(row.starts_with("main/web of account") && row.ends_with("2 times and not 1"), "{row}");
    }

    #[test]
    fn an_hour_between_two_others_that_is_complete_already_excuses_no_payment() {
        // The first try stores the middle hour and dies; the second has stored the others when it dies; a third asks again.
        let tries = |read_middle: bool| {
            let mut calls = vec![
                call(0, 1, "ReceiveMessage", "ok"),
                of_hour(10, call(20, 1, "PutObject", "ok")),
                call(100, 2, "ReceiveMessage", "ok"),
                of_hour(9, call(120, 2, "PutObject", "ok")),
                of_hour(11, call(121, 2, "PutObject", "ok")),
                call(200, 3, "ReceiveMessage", "ok"),
                of_hour(10, call(220, 3, "PutObject", "ok")),
                call(230, 3, "DeleteMessage", "ok"),
            ];
            if read_middle {
                calls.insert(3, of_hour(10, call(105, 2, "GetObject", "ok")));
            }
            read(&[service((9, 12), &[(10, 1), (110, 2), (210, 3)])], &calls)
        };
        assert_eq!(tries(false).len(), 1, "nothing was lost in the second try");
        assert!(tries(true).is_empty(), "what it read was a part, and the rest of that is lost");
    }

    #[test]
    fn statistics_of_a_metric_in_two_calls_are_paid_for_twice() {
        let calls = [call(0, 1, "ReceiveMessage", "ok"), of_hour(9, call(20, 1, "PutObject", "ok"))];
        assert_eq!(read(&[service((9, 10), &[(10, 1), (11, 1)])], &calls).len(), 1);
        assert!(read(&[service((9, 10), &[(10, 1)])], &calls).is_empty());
    }
}
