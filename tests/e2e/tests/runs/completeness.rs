// SPDX-License-Identifier: Apache-2.0
//! What counts as done, from the producer's side: provisional and settled reports, reports of another account,
//! unfinished ones, and runs of a producer whose clock is wrong.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use fleet::{
    Job, ReportDate, RunId, datasets,
    manifest::Manifest,
    report::{ReportMetadata, ReportStatus},
};
use kit::{Fleet, JOBS, REPORTS, days_ago, expected::cells, finish, report_key};
use serde_json::{Map, Value, json};

/// Longer than any queue keeps a message.
const RETENTION: Duration = Duration::from_hours(15 * 24);

/// What a report of account `data`, id 111111111111, says of itself.
fn report(run_id: &str, date: NaiveDate, collected_at: DateTime<Utc>) -> Result<ReportMetadata> {
    let job = Job {
        account_name: "data".parse()?,
        windows: ReportDate::from(date).into(),
        dataset: *datasets::DEFAULT,
        run_id: run_id.parse()?,
        only_incomplete: false,
        settle: None,
        attributes: Map::new(),
    };
    Ok(ReportMetadata { rows: 1, ..ReportMetadata::new(&job, "111111111111".parse()?, collected_at) })
}

/// Stores a report of account `data`.
fn store(fleet: &Fleet, report: &ReportMetadata) {
    let headers = report.to_headers();
    let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    fleet.home.put_object(REPORTS, &report_key("data", report.window.date().day()), "", &headers);
}

async fn status(fleet: &Fleet, arguments: &[&str], code: i32) -> Result<Value> {
    let arguments = [&["status", "--format", "json"], arguments].concat();
    finish(fleet.producer(&arguments)).await?.status(code).json()
}

/// Sends the jobs of a run, and gives what it says.
async fn send(fleet: &Fleet, arguments: &[&str]) -> Result<Value> {
    let arguments = [&["run", "--format", "json"], arguments].concat();
    finish(fleet.producer(&arguments)).await?.status(0).json()
}

#[tokio::test]
async fn a_provisional_report_is_left_alone_until_it_can_be_settled() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let day = days_ago(1);
    let date = day.to_string();
    let run = ["--account-name", "data", "--date", &*date];
    let first = send(&fleet, &run).await?;
    let run_id = first["run_id"].as_str().unwrap_or_default();
    let mut provisional = report(run_id, day, fleet.aws.now())?;
    (provisional.bytes, provisional.objects, provisional.estimated_cost_usd) = (Some(7), Some(2), 0.5);
    store(&fleet, &provisional);
    fleet.home.pass_time(JOBS, RETENTION);

    let reported = status(&fleet, &[], 0).await?;
    assert_eq!(
        (&reported["counts"]["complete"], &reported["counts"]["provisional"]),
        (&json!(1), &json!(1)),
        "{reported}"
    );
    let account = &reported["accounts"][0];
    assert_eq!((&account["state"], &account["settled"]), (&json!("complete"), &json!(false)), "{reported}");
    let collected_at: DateTime<Utc> = account["collected_at"].as_str().unwrap_or_default().parse()?;
    assert!((collected_at - provisional.collected_at).abs() < TimeDelta::seconds(1), "{reported}");
    let totals = json!({"rows": 1, "bytes": 7, "objects": 2, "estimated_cost_usd": 0.5});
    assert_eq!(reported["totals"], totals);
    let reported = status(&fleet, &["--settled", "--failed-only"], 3).await?;
    assert_eq!(
        (&reported["complete"], &reported["accounts"][0]["account_name"]),
        (&json!(false), &json!("data"))
    );

    let settles_at = provisional.settles_at();
    let completion = [&["--only-incomplete"], &run[..]].concat();
    let early = send(&fleet, &completion).await?;
    assert_eq!([&early["sent"], &early["provisional"]], [&json!(0), &json!(1)], "{early}");
    assert_eq!(early["settles_at"].as_str().unwrap_or_default().parse::<DateTime<Utc>>()?, settles_at);
    assert!(fleet.home.messages(JOBS).is_empty());

    // Days go by, for AWS at least.
    fleet.aws.set_clock(settles_at);
    let late = send(&fleet, &completion).await?;
    assert_eq!([&late["sent"], &late["provisional"]], [&json!(1), &json!(0)], "{late}");
    let [message] = &fleet.home.messages(JOBS)[..] else { panic!("one job") };
    let body: Value = serde_json::from_str(&message.body)?;
    assert_eq!(body["only_incomplete"], true);
    let reported = status(&fleet, &[], 3).await?;
    assert_eq!(reported["accounts"][0]["state"], "in_progress", "until its job is done: {reported}");

    // Whichever run it is done for.
    store(&fleet, &report(run_id, day, settles_at)?);
    let reported = status(&fleet, &["--settled"], 0).await?;
    assert_eq!(
        (&reported["counts"]["provisional"], &reported["accounts"][0]["settled"]),
        (&json!(0), &json!(true))
    );
    fleet.home.pass_time(JOBS, RETENTION);
    assert_eq!(send(&fleet, &completion).await?["sent"], 0);
    Ok(())
}

#[tokio::test]
async fn a_settled_day_that_is_paid_for_again_is_warned_of() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", days_ago(4), 7.0);
    let day = days_ago(4).to_string();
    let run = ["run", "--account-name", "data", "--date", &*day];
    let warning = "accounts with a settled report of the day already: 1; collecting them again costs about $0.000030; \
                   --only-incomplete skips them";
    let first = finish(fleet.producer(&run)).await?.status(0);
    assert!(!first.stderr.contains("settled report"), "{}", first.stderr);
    fleet.work(&[]).await?;
    let again = finish(fleet.producer(&run)).await?.status(0);
    assert!(again.stderr.contains(warning), "{}", again.stderr);
    let completion = finish(fleet.producer(&[&run[..], &["--only-incomplete"]].concat())).await?.status(0);
    assert!(!completion.stderr.contains("settled report"), "{}", completion.stderr);
    assert!(completion.stdout.contains("0 jobs sent, 1 already complete"), "{}", completion.stdout);
    Ok(())
}

#[tokio::test]
async fn a_report_of_another_account_counts_for_nothing() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "222222222222");
    let accounts = fleet.file("accounts.toml", "[[account]]\nname = 'data'\nid = '222222222222'\n")?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    let day = days_ago(4);
    let date = day.to_string();
    let sent = send(&fleet, &["--date", &date]).await?;
    let run_id = sent["run_id"].as_str().unwrap_or_default();
    let mut foreign = report(run_id, day, fleet.aws.now())?;
    foreign.estimated_cost_usd = 9.0;
    store(&fleet, &foreign);

    let reported = status(&fleet, &[], 3).await?;
    assert_eq!(reported["accounts"][0]["state"], "in_progress", "{reported}");
    assert!(reported["accounts"][0].get("rows").is_none(), "{reported}");
    assert_eq!(send(&fleet, &["--date", &date, "--only-incomplete"]).await?["sent"], 1);
    let quote = send(&fleet, &["--date", &date, "--dry-run"]).await?;
    assert_eq!(quote["jobs"][0]["estimated_cost_usd"], Value::Null, "{quote}");

    // Of an account whose id is known nowhere, any report of its name counts.
    fleet.variable("FLEET_ACCOUNTS", &fleet.file("names.toml", "[[account]]\nname = 'data'\n")?);
    let reported = send(&fleet, &["--date", &date, "--only-incomplete"]).await?;
    assert_eq!([&reported["sent"], &reported["already_complete"]], [&json!(0), &json!(1)], "{reported}");
    Ok(())
}

#[tokio::test]
async fn an_unfinished_report_is_in_progress_while_its_job_is_on_the_queue() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let date = days_ago(4).to_string();
    let sent = send(&fleet, &["--account-name", "data", "--date", &date]).await?;
    let run_id = sent["run_id"].as_str().unwrap_or_default();
    let mut unfinished = report(run_id, days_ago(4), fleet.aws.now())?;
    (unfinished.status, unfinished.is_unfinished, unfinished.rows_error) = (ReportStatus::Partial, true, 1);
    store(&fleet, &unfinished);
    let reported = status(&fleet, &[], 3).await?;
    assert_eq!(reported["accounts"][0]["state"], "in_progress", "{reported}");
    fleet.home.pass_time(JOBS, RETENTION);
    let reported = status(&fleet, &[], 3).await?;
    let account = &reported["accounts"][0];
    assert_eq!(
        (&account["state"], &account["detail"]),
        (&json!("partial"), &json!("1 row with errors")),
        "{reported}"
    );
    Ok(())
}

#[tokio::test]
async fn jobs_that_no_worker_takes_are_shown_apart_with_how_long_that_is() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let date = days_ago(4).to_string();
    send(&fleet, &["--account-name", "data", "--date", &date]).await?;
    fleet.aws.set_clock(fleet.aws.now() + TimeDelta::minutes(5));
    let reported = status(&fleet, &[], 3).await?;
    assert_eq!(
        (&reported["queue"]["waiting"], &reported["queue"]["in_flight"]),
        (&json!(1), &json!(0)),
        "{reported}"
    );
    let untaken = reported["queue"]["no_worker_for_seconds"].as_u64().unwrap_or_default();
    assert!((295..400).contains(&untaken), "{reported}");
    let shown = finish(fleet.producer(&["status"])).await?.status(3).stdout;
    assert!(
        shown.contains("queue: 1 waiting, 0 in flight; no worker is known to have had a job for "),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn a_producer_whose_clock_is_ahead_blocks_no_later_run() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    let bucket = account.bucket("b", "eu-west-1");
    bucket.size("StandardStorage", days_ago(4), 7.0);
    let date = days_ago(4).to_string();
    let run = ["--account-name", "data", "--date", &*date];
    // AWS is an hour behind this machine, and then it is not.
    fleet.aws.set_clock(Utc::now() - TimeDelta::hours(1));
    let ahead = send(&fleet, &run).await?;
    let ahead: RunId = ahead["run_id"].as_str().unwrap_or_default().parse()?;
    let began_at = ahead.time().unwrap_or_default();
    assert!((began_at - fleet.aws.now()).abs() < TimeDelta::minutes(1), "{began_at}");
    fleet.work(&[]).await?;

    fleet.aws.set_clock(Utc::now());
    bucket.size("StandardStorage", days_ago(4), 8.0);
    let right = send(&fleet, &run).await?;
    fleet.work(&[]).await?;
    assert_eq!(cells(&fleet.table("data", days_ago(4))?)[0]["size_total"], "8");
    assert_eq!(status(&fleet, &[], 0).await?["run_id"], right["run_id"], "the latest run");
    Ok(())
}

#[tokio::test]
async fn no_run_begins_while_another_is_in_the_future() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let date = days_ago(4).to_string();
    let run = ["run", "--account-name", "data", "--date", &*date];
    let future = RunId::generate_at(Utc::now() + TimeDelta::hours(1));
    let key = Manifest::key(&future);
    fleet.home.put_object(REPORTS, &key, "{}", &[]);
    let refused = finish(fleet.producer(&run)).await?.status(1);
    let began_at = future.time().unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    for expected in
        [&format!("run {future} is of {began_at}"), &format!("s3://{REPORTS}/{key}"), "Wait until then"]
    {
        assert!(refused.stderr.contains(expected), "{expected}: {}", refused.stderr);
    }
    assert!(fleet.home.messages(JOBS).is_empty());
    // The way on: its manifest is removed, or its time has come.
    fleet.aws.set_clock(Utc::now() + TimeDelta::minutes(61));
    finish(fleet.producer(&run)).await?.status(0);
    fleet.aws.set_clock(Utc::now());
    fleet.home.delete_object(REPORTS, &key);
    let refused = finish(fleet.producer(&run)).await?.status(1);
    assert!(refused.stderr.contains("a machine whose clock was ahead began it"), "{}", refused.stderr);
    Ok(())
}

#[tokio::test]
async fn a_manifest_of_the_first_version_is_still_read() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let day = days_ago(4);
    let run_id = "019a6b0c-1111-7222-8333-444455556666";
    let manifest = json!({
        "run_id": run_id,
        "created_at": "2025-11-09T20:13:00Z",
        "version": "0.1.0",
        "request": {"account_name": ["data"], "date": day, "dataset": ["s3_daily_storage"]},
        "date": day,
        "jobs": [{
            "account_name": "data",
            "dataset": "s3_daily_storage",
            "report_key": report_key("data", day),
            "state": "sent",
        }],
    });
    fleet.home.put_object(REPORTS, &format!("runs/{run_id}.json"), manifest.to_string(), &[]);
    // And so is a report of it.
    let headers: HashMap<&str, &str> = [
        ("run-id", run_id),
        ("account-name", "data"),
        ("account-id", "111111111111"),
        ("dataset", "s3_daily_storage"),
        ("status", "complete"),
        ("rows", "4"),
        ("rows-late", "1"),
        ("rows-denied", "0"),
        ("rows-error", "0"),
        ("sha256", "00"),
        ("api-calls", "9"),
        ("metrics-requested", "12"),
        ("estimated-cost-usd", "0.000120"),
        ("attributes", "{}"),
    ]
    .into();
    let date = day.to_string();
    let headers: Vec<_> = headers.into_iter().chain([("report-date", date.as_str())]).collect();
    fleet.home.put_object(REPORTS, &report_key("data", day), "", &headers);
    for arguments in [&[][..], &[run_id]] {
        let reported = status(&fleet, arguments, 0).await?;
        assert_eq!(
            (&reported["run_id"], &reported["accounts"][0]["rows"]),
            (&json!(run_id), &json!(4)),
            "{reported}"
        );
        let totals = json!({"rows": 4, "bytes": null, "objects": null, "estimated_cost_usd": 0.00012});
        assert_eq!(reported["totals"], totals);
    }
    Ok(())
}

#[tokio::test]
async fn what_cloudwatch_publishes_after_the_first_collection_is_in_the_second() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    let (day, before) = (days_ago(1), days_ago(2));
    // Of one bucket, a storage class is published late; of another, all is. A third was emptied the day before.
    let mixed = account.bucket("mixed", "eu-west-1");
    mixed.objects(day, 2.0).size("StandardStorage", day, 1.0).size("GlacierStorage", before, 800.0);
    let new = account.bucket("new", "eu-west-1");
    account.bucket("emptied", "eu-west-1").size("StandardStorage", before, 5.0);
    let date = day.to_string();
    let run = ["--account-name", "data", "--date", &*date];
    fleet.run(&run, &[]).await?;
    let reported = status(&fleet, &[], 0).await?;
    assert_eq!(
        (&reported["counts"]["complete"], &reported["counts"]["provisional"]),
        (&json!(1), &json!(1)),
        "{reported}"
    );
    status(&fleet, &["--settled"], 3).await?;
    let completion = [&run[..], &["--only-incomplete"]].concat();
    let early = send(&fleet, &completion).await?;
    assert_eq!((&early["sent"], &early["provisional"]), (&json!(0), &json!(1)), "{early}");

    mixed.size("GlacierStorage", day, 900.0);
    new.size("StandardStorage", day, 5e12);
    let settles_at: DateTime<Utc> = early["settles_at"].as_str().unwrap_or_default().parse()?;
    fleet.aws.set_clock(settles_at);
    fleet.run(&completion, &[]).await?;
    let table = fleet.table("data", day)?;
    let total = |bucket: &str| {
        let rows = cells(&table);
        rows.iter().find(|row| row["bucket_name"] == bucket).map(|row| row["size_total"].clone())
    };
    assert_eq!([total("mixed"), total("new")], ["901", "5000000000000"].map(|total| Some(total.to_owned())));
    let reported = status(&fleet, &["--settled"], 0).await?;
    assert_eq!(
        (&reported["counts"]["provisional"], &reported["accounts"][0]["settled"]),
        (&json!(0), &json!(true))
    );
    // Whatever its rows say, nothing is paid for again.
    assert_eq!(send(&fleet, &completion).await?["sent"], 0);
    Ok(())
}

#[tokio::test]
async fn jobs_that_complete_cost_nothing_once_another_has_done_what_they_are_for() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", days_ago(4), 7.0);
    let date = days_ago(4).to_string();
    let run = ["--account-name", "data", "--date", &*date];
    let completion = [&run[..], &["--only-incomplete"]].concat();
    let mut runs = Vec::new();
    for arguments in [&run[..], &completion, &completion] {
        let sent = send(&fleet, arguments).await?;
        assert_eq!(sent["sent"], 1, "{sent}");
        runs.push(sent["run_id"].as_str().unwrap_or_default().to_owned());
    }
    fleet.work(&["--concurrency", "1"]).await?;
    assert_eq!(fleet.aws.calls().operation("GetMetricData").count(), 1, "one collection");
    assert!(fleet.home.messages(JOBS).is_empty());
    for run_id in &runs {
        status(&fleet, &[run_id], 0).await?;
    }
    Ok(())
}
