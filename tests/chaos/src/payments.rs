//! What was paid for twice: rows whose values were asked of CloudWatch more often than kills explain. Plain functions
//! over values.
//!
//! It is a figure, and no fault of a run: an answer that is lost on its way, and a listing that breaks off, are paid for as well,
//! and are not among what is allowed here.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use local_aws::{AskedSeries, CallRecord};

use crate::history::parts;
use crate::truth::day_of_window;
use crate::workers::{Kill, worker_of};

/// How often a row of an account on a day may be paid for, by account and day.
pub(crate) type Allowed<'a> = HashMap<(&'a str, NaiveDate), u64>;

/// What a worker is collecting in an account, as far as its calls show.
#[derive(Debug, Clone, Copy)]
struct Try {
    date: NaiveDate,
    /// Whether CloudWatch was asked, and nothing stored since.
    is_unstored: bool,
}

/// How often each row may be paid for: once for each job, once more for each worker that was killed, or that another
/// overtook, between its question and the end of its upload. `jobs` are those that were sent, and `ids` the accounts' by
/// their names.
pub(crate) fn allowed<'a>(
    jobs: impl Iterator<Item = (&'a str, NaiveDate)>,
    calls: &'a [CallRecord],
    kills: &[Kill],
    ids: &HashMap<&str, &'a str>,
) -> Allowed<'a> {
    let mut allowed = Allowed::new();
    jobs.for_each(|job| *allowed.entry(job).or_default() += 1);
    let killed: HashSet<&str> = kills.iter().filter_map(|kill| worker_of(&kill.key)).collect();
    let mut tries: HashMap<(&'a str, &'a str), Try> = HashMap::new();
    let mut in_order: Vec<&'a CallRecord> = calls.iter().collect();
    in_order.sort_by_key(|call| call.time + call.duration);
    for call in in_order {
        let Some(worker) = worker_of(&call.access_key) else { continue };
        if call.operation == "GetMetricData" {
            if let Some(asking) = tries.get_mut(&(worker, call.account.as_str())) {
                asking.is_unstored = true;
            }
            continue;
        }
        let report = call.key.as_deref().and_then(parts);
        let Some((date, id)) = report.and_then(|(_, date, name)| Some((date.parse().ok()?, *ids.get(name)?)))
        else {
            continue;
        };
        match (call.operation.as_str(), call.outcome.as_str()) {
            ("HeadObject", _) => {
                let fresh = Try { date, is_unstored: false };
                tries
                    .entry((worker, id))
                    .and_modify(|it| {
                        if it.date != date {
                            *it = fresh;
                        }
                    })
                    .or_insert(fresh);
            }
            ("PutObject", "ok" | "lost") => {
                if let Some(stored) = tries.get_mut(&(worker, id)) {
                    stored.is_unstored = false;
                }
            }
            // Another was first, and both have paid.
            ("PutObject", "PreconditionFailed") => *allowed.entry((id, date)).or_default() += 1,
            _ => {}
        }
    }
    for ((worker, id), last) in tries {
        if last.is_unstored && killed.contains(worker) {
            *allowed.entry((id, last.date)).or_default() += 1;
        }
    }
    allowed
}

/// The rows that were paid for more often: those whose series were all answered too often. A row that lacks one of them
/// is asked for again as a whole.
pub(crate) fn paid_again(asked: &[AskedSeries], allowed: &Allowed<'_>) -> Vec<String> {
    let mut rows: BTreeMap<(&str, &str, &str, DateTime<Utc>), u64> = BTreeMap::new();
    for series in asked {
        let row = (&*series.account, &*series.region, &*series.bucket, series.start);
        rows.entry(row).and_modify(|times| *times = (*times).min(series.times)).or_insert(series.times);
    }
    let too_often = rows.into_iter().filter_map(|((account, region, bucket, start), times)| {
        let date = day_of_window(start.date_naive());
        let most = allowed.get(&(account, date)).copied().unwrap_or_default();
        (times > most).then(|| {
            format!("{bucket} of account {account} in {region} on {date}: {times} times and not {most}")
        })
    });
    too_often.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use local_aws::Service;

    use super::*;
    use crate::steps::Step;
    use crate::workers::own_key;

    const ID: &str = "111111111111";

    fn date() -> NaiveDate {
        "2026-11-03".parse().expect("a day")
    }

    fn call(milliseconds: i64, worker: u32, operation: &str, outcome: &str) -> CallRecord {
        let key = "s3_daily_storage/report_date=2026-11-03/account_name=data/report.csv";
        CallRecord {
            time: DateTime::from_timestamp_millis(milliseconds).expect("a time"),
            duration: Duration::ZERO,
            service: Service::S3,
            operation: operation.into(),
            account: ID.into(),
            region: String::new(),
            access_key: own_key(worker),
            outcome: outcome.into(),
            resource: None,
            key: (operation != "GetMetricData").then(|| key.into()),
            items: 1,
            message_ids: Vec::new(),
            visibility: None,
        }
    }

    fn allowed_after(calls: &[CallRecord], killed: &[u32]) -> u64 {
        let kill = |worker: &u32| Kill { step: Step::Random, at: Utc::now(), key: own_key(*worker) };
        let kills: Vec<Kill> = killed.iter().map(kill).collect();
        let jobs = [(ID, date())].into_iter();
        allowed(jobs, calls, &kills, &HashMap::from([("data", ID)]))[&(ID, date())]
    }

    #[test]
    fn a_kill_allows_to_pay_again_only_for_what_was_not_stored() {
        let asked = [call(0, 1, "HeadObject", "404"), call(1, 1, "GetMetricData", "ok")];
        assert_eq!(allowed_after(&asked, &[]), 1, "who lives stores what there is");
        assert_eq!(allowed_after(&asked, &[1]), 2);
        assert_eq!(allowed_after(&asked, &[2]), 1, "another was killed");
        assert_eq!(allowed_after(&asked[..1], &[1]), 1, "nothing was asked");
        for (outcome, most) in [("ok", 1), ("lost", 1), ("abandoned", 2), ("PreconditionFailed", 3)] {
            let stored = [&asked[..], &[call(2, 1, "PutObject", outcome)]].concat();
            assert_eq!(allowed_after(&stored, &[1]), most, "{outcome}");
        }
    }

    #[test]
    fn a_row_is_paid_again_if_all_its_series_are() {
        let series = |storage_type: &str, times| AskedSeries {
            account: ID.into(),
            region: "eu-west-1".into(),
            bucket: "b".into(),
            storage_type: storage_type.into(),
            start: "2026-11-01T00:00:00Z".parse().expect("a time"),
            times,
        };
        let allowed = Allowed::from([((ID, date()), 1)]);
        assert!(paid_again(&[series("A", 1), series("B", 2)], &allowed).is_empty());
        let [row] = &paid_again(&[series("A", 3), series("B", 2)], &allowed)[..] else { panic!("one row") };
        assert!(row.contains("2026-11-03: 2 times and not 1"), "{row}");
    }
}
