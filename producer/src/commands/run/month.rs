// SPDX-License-Identifier: Apache-2.0
//! What a schedule costs in a month: how often a run of it pays for a dataset, and what for. Plain functions over values.

use chrono::{DateTime, TimeDelta, Utc};
use fleet::{Job, Windows, datasets::Shape};
use requests::request::Request;

/// A month, for prices.
const MONTH: TimeDelta = TimeDelta::days(30);

/// A report of a day is collected as soon as the day is over, and once more when it is settled.
const COLLECTIONS_OF_A_DAY: u64 = 2;

/// How long after a day a schedule collects it.
const COLLECTED_AFTER: TimeDelta = TimeDelta::days(1);

/// Parses how often a schedule starts a run.
pub(super) fn every(text: &str) -> Result<TimeDelta, String> {
    let every = fleet::duration::parse(text).filter(|every| (TimeDelta::minutes(1)..=MONTH).contains(every));
    every.ok_or_else(|| format!("{text:?} is not a length of time from 1m to 30d; write it as 5m, 6h or 1d"))
}

/// How many runs a month has.
pub(super) fn runs(every: TimeDelta) -> u64 {
    times(MONTH, every)
}

/// The collections of a job in a month.
pub(super) struct Collections {
    pub(super) times: u64,
    /// The part of the job that each has.
    pub(super) job: Job,
    /// When they are made, if that is not about now.
    pub(super) at: Option<DateTime<Utc>>,
}

/// How often the runs of a month collect a job.
///
/// With `--only-incomplete` a window is paid for once, so only runs that find a new one collect anything. Without it, each
/// run collects all its windows again, as one of now does.
pub(super) fn collections(request: &Request, job: &Job, every: TimeDelta) -> Collections {
    let runs = runs(every);
    let all = |times| Collections { times, job: job.clone(), at: None };
    if !request.only_incomplete {
        return all(runs);
    }
    let twice = if request.when.is_provisional() { 2 } else { 1 };
    match job.dataset.shape {
        // When the day is over, CloudWatch still lists its series.
        Shape::NewestDay => {
            let at = Some(job.windows.end() + COLLECTED_AFTER).filter(|_| request.when.follows_the_clock());
            Collections { at, ..all(runs.min(COLLECTIONS_OF_A_DAY)) }
        }
        Shape::Series if !request.when.follows_the_clock() => all(runs.min(twice)),
        Shape::Series => {
            let length = TimeDelta::seconds(job.windows.length().seconds().into());
            let job = newest(job, times(every, length));
            Collections { times: runs.min(times(MONTH, length) * twice), job, at: None }
        }
    }
}

/// How often a time has another in it, at least once.
fn times(all: TimeDelta, one: TimeDelta) -> u64 {
    u64::try_from(all.num_seconds() / one.num_seconds().max(1)).unwrap_or(1).max(1)
}

/// The job for so many of its newest windows.
fn newest(job: &Job, windows: u64) -> Job {
    let all = job.windows.count();
    let left_out = all.saturating_sub(usize::try_from(windows).unwrap_or(usize::MAX));
    let first = job.windows.iter().nth(left_out);
    let part = first.and_then(|first| Windows::part(first, job.windows.last()));
    Job { windows: part.unwrap_or(job.windows), ..job.clone() }
}

#[cfg(test)]
mod tests {
    use fleet::{Dataset, ReportDate};
    use requests::{
        request::{Flags, Surroundings},
        testing::planned,
        when::WhenFlags,
    };

    use super::*;

    /// The collections of a month, and the windows of each.
    fn month(dataset: &str, flags: &[(&str, &str)], every_text: &str) -> (u64, usize) {
        let of =
            |key: &str| flags.iter().find(|(flag, _)| *flag == key).map(|(_, value)| (*value).to_owned());
        let flags = Flags {
            account_names: vec!["data".into()],
            datasets: vec![dataset.into()],
            only_incomplete: of("only_incomplete").is_some(),
            when: WhenFlags {
                last: of("last"),
                date: of("date"),
                window: of("window"),
                provisional: of("provisional").is_some(),
                ..WhenFlags::default()
            },
            ..Flags::default()
        };
        let now = "2026-11-21T10:20:00Z".parse().expect("a moment");
        let around = Surroundings { now, accounts: None, default_accounts: &[] };
        let request = Request::read(None, &flags, around).expect("valid");
        let dataset = Dataset::find(dataset).expect("a dataset");
        let windows = request.windows[0];
        let job = Job { dataset, windows, ..planned("data", "2026-11-20").job };
        let month = collections(&request, &job, every(every_text).expect("a time"));
        assert!(month.at.is_none_or(|at| job.windows.first().date().is_listed_at(at)), "while it is listed");
        (month.times, month.job.windows.count())
    }

    #[test]
    fn a_window_is_paid_for_once_or_by_each_run() {
        let ecs = |flags: &[(&str, &str)], every| month("ecs_service", flags, every);
        let hours = ("last", "6h");
        assert_eq!(ecs(&[hours], "5m"), (8640, 6), "each run pays for all six");
        let once = ("only_incomplete", "");
        assert_eq!(ecs(&[hours, once], "5m"), (720, 1), "one of twelve runs finds a new hour");
        assert_eq!(ecs(&[hours, once], "3h"), (240, 3), "each run finds three");
        assert_eq!(ecs(&[hours, once], "1d"), (30, 6), "each run finds all that it asks for");
        assert_eq!(ecs(&[hours, once, ("provisional", "")], "5m"), (1440, 1), "over, and once more settled");
        assert_eq!(ecs(&[once], "5m"), (720, 1), "the newest window");
        assert_eq!(ecs(&[once, ("date", "2026-11-19")], "5m"), (1, 24), "a day that stays the same");
        assert_eq!(ecs(&[hours, once, ("window", "5m")], "5m"), (8640, 1));
    }

    #[test]
    fn a_day_a_month_is_collected_when_it_is_over_and_when_it_is_settled() {
        let once = ("only_incomplete", "");
        assert_eq!(month("s3_daily_storage", &[once], "1d"), (2, 1));
        assert_eq!(month("s3_daily_storage", &[once], "30d"), (1, 1));
        assert_eq!(month("s3_daily_storage", &[], "1d"), (30, 1));
    }

    #[test]
    fn a_schedule_has_a_start_a_minute_at_most() {
        assert_eq!(every("5m").map(runs), Ok(8640));
        assert_eq!(every("30d").map(runs), Ok(1));
        for text in ["30s", "31d", "0m", "often", ""] {
            let fault = every(text).expect_err(text);
            assert!(
                fault.ends_with("is not a length of time from 1m to 30d; write it as 5m, 6h or 1d"),
                "{fault}"
            );
        }
        let day: ReportDate = "2026-11-20".parse().expect("a date");
        let job = Job { windows: day.into(), ..planned("data", "2026-11-20").job };
        assert_eq!(newest(&job, 7).windows, job.windows);
    }
}
