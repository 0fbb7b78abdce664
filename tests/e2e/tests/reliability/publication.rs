// SPDX-License-Identifier: Apache-2.0
//! A day that CloudWatch is still publishing: what is collected too early is right, and settled, in the end.

use anyhow::Result;
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, TimeDelta, Utc};
use kit::{
    Ended, Fleet, JOBS, days_ago,
    expected::{Row, cells, table},
    finish,
};
use local_aws::Account;
use serde_json::Value;

const DATA: (&str, &str) = ("data", "111111111111");
const REGION: &str = "eu-west-1";

/// A moment of a month, by its day and hour, if the day asked for is its first.
fn moment(day_of_month: u64, hour: u32) -> DateTime<Utc> {
    let day = the_first() + Days::new(day_of_month - 1);
    day.and_hms_opt(hour, 1, 0).expect("an hour").and_utc()
}

/// The day asked for. Its settle time is over within the days that this machine's clock has seen.
fn the_first() -> NaiveDate {
    days_ago(6)
}

/// A fleet whose AWS is at a moment.
async fn fleet_at(now: DateTime<Utc>) -> Result<(Fleet, Account)> {
    let mut fleet = Fleet::start().await?;
    fleet.aws.set_clock(now);
    let account = fleet.account(DATA.0, DATA.1);
    Ok((fleet, account))
}

/// Sends what is asked for; gives what the producer said of it.
async fn send(fleet: &Fleet, more: &[&str]) -> Result<Value> {
    let day = the_first().to_string();
    let arguments = ["run", "--account-name", DATA.0, "--date", &day, "--format", "json"];
    finish(fleet.producer(&[&arguments[..], more].concat())).await?.status(0).json()
}

/// Whether `--only-incomplete` sends a job.
async fn is_sent_to_complete(fleet: &Fleet) -> Result<bool> {
    let run = send(fleet, &["--only-incomplete"]).await?;
    let jobs = fleet.home.messages(JOBS).len();
    assert_eq!(run["sent"], jobs, "{run}");
    Ok(jobs > 0)
}

async fn status(fleet: &Fleet, more: &[&str], code: i32) -> Result<Value> {
    let arguments = [&["status", "--format", "json"][..], more].concat();
    finish(fleet.producer(&arguments)).await?.status(code).json()
}

fn paid_calls(fleet: &Fleet) -> u64 {
    ["GetMetricData", "ListMetrics"].map(|name| fleet.aws.calls().operation(name).count()).iter().sum()
}

#[tokio::test]
async fn a_day_collected_while_it_is_published_is_right_and_settled_in_the_end() -> Result<()> {
    let (the_first, created) = (the_first(), moment(1, 0) - TimeDelta::days(2));
    let before = the_first - Days::new(1);
    let (fleet, account) = fleet_at(moment(2, 18)).await?;
    let bucket = |name: &str| account.bucket(name, REGION).created(created).clone();
    let (half, new, gone, whole) = (bucket("half"), bucket("new"), bucket("gone"), bucket("whole"));
    half.size("StandardStorage", before, 9.0).size("GlacierStorage", before, 89.0).objects(before, 2.0);
    half.size("StandardStorage", the_first, 10.0).objects(the_first, 3.0);
    gone.size("StandardStorage", before, 7.0).objects(before, 1.0).deleted();
    whole.size("StandardStorage", the_first, 5.0).objects(the_first, 1.0);

    send(&fleet, &[]).await?;
    fleet.work(&[]).await?;
    let early = cells(&fleet.table("data", the_first)?);
    let of = |name: &str| early.iter().find(|row| row["bucket_name"] == name).expect("a row");
    assert_eq!((&*of("half")["status"], &*of("half")["size_total"]), ("late", ""), "a part is not the whole");
    assert_eq!(&*of("new")["status"], "no_data");
    assert_eq!((&*of("whole")["status"], &*of("whole")["size_total"]), ("ok", "5"));
    assert_eq!(fleet.metadata("data", the_first, "settled")?, "false");
    assert_eq!(status(&fleet, &[], 0).await?["counts"]["provisional"], 1);
    status(&fleet, &["--settled"], 3).await?;

    let left_out = send(&fleet, &["--only-incomplete"]).await?;
    let settles_at = moment(4, 12).date_naive().and_hms_opt(12, 0, 0).expect("noon").and_utc();
    let settles_at = settles_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    assert_eq!((&left_out["sent"], &left_out["settles_at"]), (&0.into(), &settles_at.into()), "{left_out}");
    fleet.aws.set_clock(moment(3, 12));
    half.size("GlacierStorage", the_first, 90.0);
    gone.size("StandardStorage", the_first, 7.5e12).objects(the_first, 2.0);
    new.size("StandardStorage", the_first, 5e12).objects(the_first, 4.0);
    // The next day of a series may come before this one of another.
    half.size("StandardStorage", the_first + Days::new(1), 11.0);
    assert!(!is_sent_to_complete(&fleet).await?, "it can't be settled yet");
    fleet.aws.set_clock(moment(4, 11));
    assert!(!is_sent_to_complete(&fleet).await?, "nor an hour before its time");

    fleet.aws.set_clock(moment(4, 12));
    assert!(is_sent_to_complete(&fleet).await?);
    fleet.work(&[]).await?;
    let row = |name: &str, objects: u64, size: u64| {
        let row = Row::new(name, DATA, REGION, the_first).cell("creation_date", created.date_naive());
        row.cell("total_objects", objects).cell("size_standard", size).cell("size_total", size)
    };
    let expected = table(&[
        row("gone", 2, 7_500_000_000_000).cell("creation_date", "").cell("status", "deleted"),
        row("half", 3, 10).cell("size_glacier", 90).cell("size_total", 100),
        row("new", 4, 5_000_000_000_000),
        row("whole", 1, 5),
    ]);
    assert_eq!(fleet.table("data", the_first)?, expected);
    assert_eq!(fleet.metadata("data", the_first, "status")?, "complete");
    assert_eq!(fleet.metadata("data", the_first, "settled")?, "true");
    assert_eq!(fleet.metadata("data", the_first, "rows-late")?, "0");
    status(&fleet, &["--settled"], 0).await?;

    fleet.aws.set_clock(moment(6, 12));
    let paid = paid_calls(&fleet);
    assert!(!is_sent_to_complete(&fleet).await?, "what is settled is final");
    assert_eq!(paid_calls(&fleet), paid);
    Ok(())
}

/// A bucket that was emptied before the day has no datapoint of it, and never will.
#[tokio::test]
async fn what_has_ended_before_the_day_is_settled_too() -> Result<()> {
    let the_first = the_first();
    let (fleet, account) = fleet_at(moment(4, 13)).await?;
    account.bucket("emptied", REGION).size("StandardStorage", the_first - Days::new(1), 7.0);
    send(&fleet, &[]).await?;
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", the_first, "settled")?, "true");
    assert!(!is_sent_to_complete(&fleet).await?, "nothing more will come");
    status(&fleet, &["--settled"], 0).await?;
    Ok(())
}

/// Two copies of a job that completes: the second finds nothing left to do.
#[tokio::test]
async fn a_second_copy_of_a_completing_job_costs_nothing() -> Result<()> {
    let (fleet, account) = fleet_at(moment(2, 18)).await?;
    account.bucket("b", REGION).size("StandardStorage", the_first(), 7.0);
    send(&fleet, &[]).await?;
    fleet.work(&[]).await?;
    fleet.aws.set_clock(moment(4, 12));
    assert!(is_sent_to_complete(&fleet).await?);
    let copy = fleet.home.messages(JOBS)[0].body.clone();
    fleet.work(&[]).await?;
    let paid = paid_calls(&fleet);
    fleet.home.send(JOBS, &copy);
    fleet.work(&[]).await?;
    assert_eq!(paid_calls(&fleet), paid);
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());
    Ok(())
}

/// A day that `ListMetrics` no longer names, but did when it was collected first.
fn the_listed() -> NaiveDate {
    days_ago(16)
}

/// Collects that day at a moment, for the first time if it is early, and gives what the worker said.
async fn collect_listed_at(fleet: &Fleet, days_later: u64, hour: u32) -> Result<Ended> {
    let at = (the_listed() + Days::new(days_later)).and_hms_opt(hour, 1, 0).expect("an hour");
    fleet.aws.set_clock(at.and_utc());
    fleet.run(&["--account-name", DATA.0, "--date", &the_listed().to_string()], &[]).await
}

/// A bucket that is there, and one that is deleted, which only a listing finds.
async fn one_is_gone() -> Result<Fleet> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account(DATA.0, DATA.1);
    account.bucket("there", REGION).size("StandardStorage", the_listed(), 5.0).objects(the_listed(), 1.0);
    let gone = account.bucket("gone", REGION);
    gone.size("StandardStorage", the_listed(), 7e12).objects(the_listed(), 2.0).deleted();
    Ok(fleet)
}

#[tokio::test]
async fn rows_that_a_later_collection_can_not_see_are_carried_over_as_late() -> Result<()> {
    let fleet = one_is_gone().await?;
    collect_listed_at(&fleet, 1, 18).await?;
    let of = |name: &str| -> Result<_> {
        let rows = cells(&fleet.table(DATA.0, the_listed())?);
        Ok(rows.into_iter().find(|row| row["bucket_name"] == name).expect("a row"))
    };
    assert_eq!(fleet.metadata(DATA.0, the_listed(), "settled")?, "false");
    assert_eq!(&*of("gone")?["size_total"], "7000000000000");

    collect_listed_at(&fleet, 13, 12).await?;
    assert_eq!((&*of("there")?["status"], &*of("there")?["size_total"]), ("ok", "5"));
    let gone = of("gone")?;
    assert_eq!(
        (&*gone["status"], &*gone["size_standard"], &*gone["size_total"]),
        ("late", "7000000000000", "")
    );
    let metadata = |name: &str| fleet.metadata(DATA.0, the_listed(), name);
    assert_eq!((&*metadata("listed")?, &*metadata("rows-carried")?), ("false", "1"));
    assert_eq!((&*metadata("rows-late")?, &*metadata("status")?), ("1", "complete"));
    Ok(())
}

#[tokio::test]
async fn a_settled_report_of_what_was_listed_is_kept_before_anything_is_paid_for() -> Result<()> {
    let fleet = one_is_gone().await?;
    collect_listed_at(&fleet, 3, 12).await?;
    let (settled, paid) = (fleet.table(DATA.0, the_listed())?, paid_calls(&fleet));
    assert_eq!(fleet.metadata(DATA.0, the_listed(), "settled")?, "true");

    let ended = collect_listed_at(&fleet, 13, 12).await?;
    assert!(ended.stderr.contains("kept"), "{}", ended.stderr);
    assert_eq!((fleet.table(DATA.0, the_listed())?, paid_calls(&fleet)), (settled, paid));
    assert_eq!(status(&fleet, &[], 0).await?["counts"]["complete"], 1);
    Ok(())
}
