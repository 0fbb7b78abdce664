// SPDX-License-Identifier: Apache-2.0
//! A run from its request to its reports, and what happens when a part of it is killed.

mod completeness;
mod requests;
mod sending;
mod windows;

use std::time::Duration;

use anyhow::Result;
use chrono::{Datelike, NaiveDate, TimeDelta, Utc};
use fleet::{RunId, manifest::Manifest};
use kit::{Fleet, HOME, JOBS, REPORTS, days_ago, end, expected::cells, finish, report_key, until};
use local_aws::Fault;

fn day() -> String {
    days_ago(4).to_string()
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn attributes_pass_through_to_the_job_and_the_report() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let request =
        format!(r#"{{"account_name":"data","date":"{}","ticket":{{"id":7,"urgent":null}}}}"#, day());
    let request = fleet.file("request.json", &request)?;
    finish(fleet.producer(&[
        "run",
        "--request",
        &request,
        "--attribute",
        "owner=ça",
        "--attribute",
        "n:=[1.5]",
    ]))
    .await?
    .status(0);
    let [message] = &fleet.home.messages(JOBS)[..] else { panic!("one job") };
    let body: serde_json::Value = serde_json::from_str(&message.body)?;
    assert_eq!(body["ticket"], serde_json::json!({"id": 7, "urgent": null}));
    assert_eq!((&body["owner"], &body["n"]), (&serde_json::json!("ça"), &serde_json::json!([1.5])));
    assert_eq!(message.attributes["account_name"], "data");
    assert_eq!(message.attributes["run_id"], body["run_id"].as_str().expect("a run id"));

    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    let attributes = fleet.metadata("data", days_ago(4), "attributes")?;
    let attributes: serde_json::Value = serde_json::from_str(&attributes)?;
    assert_eq!(
        attributes,
        serde_json::json!({"ticket": {"id": 7, "urgent": null}, "owner": "ça", "n": [1.5]})
    );
    Ok(())
}

#[tokio::test]
async fn the_report_object_is_what_the_contract_says() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", "eu-west-1").objects(days_ago(4), 1.0).size("StandardStorage", days_ago(4), 7.0);
    fleet.run(&["--account-name", "data", "--date", &day()], &[]).await?;
    let object = fleet.object(&report_key("data", days_ago(4))).expect("a report");
    assert_eq!(object.content_type.as_deref(), Some("text/csv; charset=utf-8"));
    let of = |name: &str| object.metadata[name].as_str();
    assert_eq!(
        (of("account-name"), of("account-id"), of("dataset")),
        ("data", "111111111111", "s3_daily_storage")
    );
    assert_eq!((of("status"), of("report-date")), ("complete", &*day()));
    assert_eq!([of("rows"), of("rows-late"), of("rows-denied"), of("rows-error")], ["1", "0", "0", "0"]);
    assert_eq!((of("metrics-requested"), of("attributes")), ("2", "{}"));
    // GetCallerIdentity, ListBuckets, ListDirectoryBuckets, ListMetrics twice, GetMetricData.
    assert_eq!((of("api-calls"), of("estimated-cost-usd")), ("6", "0.000040"));
    assert_eq!(of("sha256"), sha256(&object.body));
    assert!(!object.metadata.contains_key("first-error"));
    let run_id: RunId = of("run-id").parse()?;
    assert_eq!(fleet.home.keys(REPORTS, "runs/"), [Manifest::key(&run_id)]);
    Ok(())
}

fn sha256(body: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(body).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn the_layout_of_the_lambdas_is_a_template_away() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    fleet.variable("FLEET_KEY_TEMPLATE", "{year}/{year}-{month}/{year}-{month}-{account}.csv");
    fleet.run(&["--account-name", "data", "--date", &day()], &[]).await?;
    let (year, month) = (&day()[..4], &day()[..7]);
    assert_eq!(fleet.home.keys(REPORTS, year), [format!("{year}/{month}/{month}-data.csv")]);
    finish(fleet.producer(&["status"])).await?.status(0);
    // Without {dataset} in it, it is for this dataset alone: a request for another is refused, and so is a job.
    let refused = "without {dataset} it is for s3_daily_storage alone, and not for dataset sqs";
    let ended = finish(fleet.producer(&["run", "--account-name", "data", "--dataset", "sqs"])).await?;
    assert!(ended.status(2).stderr.contains(refused), "it says so");
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","dataset":"sqs","date":"{}"}}"#, day()));
    let ended = finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert!(ended.stderr.contains(refused), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn two_workers_share_the_accounts_of_a_run() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = fleet.small_accounts(30, days_ago(4));
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    // Else one might be done with all of them before the other has begun.
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData"));
    let worker = || fleet.worker(&["run", "--exit-when-empty", "--concurrency", "3"]).spawn();
    let (one, two) = (worker()?, worker()?);
    until("both have their hands full", || held.fired() == 2 * 3).await?;
    held.stop();
    let (one, two) = tokio::try_join!(end(one), end(two))?;
    let stored = |ended: kit::Ended| ended.status(0).stderr.matches("the report is stored").count();
    let (one, two) = (stored(one), stored(two));
    assert_eq!(one + two, 30, "each job is done once");
    assert!(one > 0 && two > 0, "{one} and {two}");
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn a_duplicate_of_a_run_changes_nothing_and_a_later_run_refreshes() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    let bucket = account.bucket("b", "eu-west-1");
    bucket.size("StandardStorage", days_ago(4), 7.0);
    let run = ["--account-name", "data", "--date", &day()];
    finish(fleet.producer(&[&["run"][..], &run].concat())).await?.status(0);
    let body = fleet.home.messages(JOBS)[0].body.clone();
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);

    fleet.home.send(JOBS, &body);
    let asked = fleet.aws.calls().operation("GetMetricData").count();
    let worker = finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert!(worker.stderr.contains("the report exists already"), "{}", worker.stderr);
    assert_eq!(fleet.aws.calls().operation("GetMetricData").count(), asked, "a duplicate costs nothing");
    assert!(fleet.home.messages(JOBS).is_empty(), "and is deleted");

    bucket.size("StandardStorage", days_ago(4), 8.0);
    fleet.run(&run, &[]).await?;
    assert_eq!(cells(&fleet.table("data", days_ago(4))?)[0]["size_total"], "8");

    // The older run's job comes once more: the later run's report stays.
    let refreshed = fleet.metadata("data", days_ago(4), "run-id")?;
    fleet.home.send(JOBS, &body);
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert_eq!(fleet.metadata("data", days_ago(4), "run-id")?, refreshed);
    Ok(())
}

#[tokio::test]
async fn a_job_sent_by_hand_needs_an_account_and_no_more() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{}"}}"#, day()));
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert!(fleet.metadata("data", days_ago(4), "run-id")?.starts_with("manual-"));
    Ok(())
}

#[tokio::test]
async fn a_queue_or_bucket_that_does_not_exist_is_named() -> Result<()> {
    let fleet = Fleet::start().await?;
    let queue = fleet.queue_url.replace("jobs", "jbos");
    let run = ["run", "--account-name", "data", "--date", &day()];
    let cases = [
        (fleet.worker(&["run", "--queue-url", &queue]), "jbos: could not be read; no such queue"),
        (fleet.worker(&["run", "--report-bucket", "no-such"]), "report bucket no-such: no such bucket"),
        (
            fleet.producer(&[&run[..], &["--queue-url", &queue]].concat()),
            "jbos: could not be read; no such queue",
        ),
        (
            fleet.producer(&[&run[..], &["--report-bucket", "no-such"]].concat()),
            "report bucket no-such: no such bucket",
        ),
    ];
    for (command, expected) in cases {
        let ended = finish(command).await?.status(2);
        assert!(ended.stderr.contains(expected), "{expected:?}: {}", ended.stderr);
    }
    assert!(fleet.home.messages(JOBS).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_job_sent_by_hand_refreshes_a_report_and_leaves_its_run_complete() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    let bucket = account.bucket("b", "eu-west-1");
    bucket.size("StandardStorage", days_ago(4), 7.0);
    fleet.run(&["--account-name", "data", "--date", &day()], &[]).await?;
    bucket.size("StandardStorage", days_ago(4), 8.0);
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{}"}}"#, day()));
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert_eq!(cells(&fleet.table("data", days_ago(4))?)[0]["size_total"], "8");
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn the_report_bucket_and_the_accounts_file_may_lie_in_other_regions() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    fleet.home.bucket("configuration", "us-west-2");
    fleet.home.bucket("far-reports", "ap-south-1");
    fleet.home.put_object("configuration", "accounts.toml", "[[account]]\nname = 'data'\n", &[]);
    fleet.variable("FLEET_ACCOUNTS", "s3://configuration/accounts.toml");
    fleet.variable("FLEET_REPORT_BUCKET", "far-reports");
    fleet.run(&["--date", &day()], &[]).await?;
    assert_eq!(fleet.home.keys("far-reports", "s3_daily_storage/"), [report_key("data", days_ago(4))]);
    finish(fleet.producer(&["status"])).await?.status(0);

    fleet.variable("FLEET_ACCOUNTS", "s3://configuration/acounts.toml");
    let ended = finish(fleet.producer(&["run", "--date", &day()])).await?.status(2);
    assert!(
        ended.stderr.contains("could not read the accounts file s3://configuration/acounts.toml"),
        "{}",
        ended.stderr
    );
    Ok(())
}

/// The UTC day that it is, and that it is still in a minute: what begins in one month ends in it.
async fn today() -> NaiveDate {
    while (Utc::now() + TimeDelta::minutes(1)).date_naive() != Utc::now().date_naive() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Utc::now().date_naive()
}

#[tokio::test]
async fn a_month_that_was_never_run_is_not_complete_whatever_else_was() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let past = days_ago(40).to_string();
    finish(fleet.producer(&["run", "--account-name", "data", "--date", &past])).await?.status(0);
    let today = today().await;
    let first = today.with_day(1).expect("every month has a first day");
    let asked = finish(fleet.producer(&["status", "--this-month"])).await?;
    if first == today {
        asked.status(2);
        return Ok(());
    }
    let asked = asked.status(1);
    assert!(asked.stderr.contains(&format!("has no run of {first}")), "{}", asked.stderr);
    // And once it was run, a later run of another day does not hide it.
    finish(fleet.producer(&["run", "--account-name", "data"])).await?.status(0);
    finish(fleet.producer(&["run", "--account-name", "data", "--date", &past])).await?.status(0);
    let status = finish(fleet.producer(&["status", "--this-month", "--format", "json"])).await?;
    assert_eq!(status.status(3).json()?["date"], first.to_string());
    Ok(())
}

#[tokio::test]
async fn a_run_is_found_by_the_beginning_of_its_id_in_any_case() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let arguments = ["run", "--account-name", "data", "--date", &day(), "--format", "json"];
    let run = finish(fleet.producer(&arguments)).await?.status(0).json()?;
    let run_id = run["run_id"].as_str().expect("a run id");
    for text in [run_id.to_uppercase(), run_id[..8].to_owned(), run_id[..20].to_uppercase()] {
        let status =
            finish(fleet.producer(&["status", &text, "--format", "json"])).await?.status(3).json()?;
        assert_eq!(status["run_id"], run_id, "{text}");
    }
    // Another run within the same minute mostly begins the same.
    let other = format!("{}{}", &run_id[..35], if run_id.ends_with('0') { '1' } else { '0' });
    let manifest = fleet.object(&Manifest::key(&run_id.parse()?)).expect("a manifest");
    fleet.home.put_object(REPORTS, &Manifest::key(&other.parse()?), manifest.body.clone(), &[]);
    let ended = finish(fleet.producer(&["status", &run_id[..8]])).await?.status(2);
    assert!(ended.stderr.contains(run_id) && ended.stderr.contains(&other), "{}", ended.stderr);
    assert!(!ended.stderr.contains("--help"), "{}", ended.stderr);
    let ended = finish(fleet.producer(&["status", "00000000"])).await?.status(2);
    assert!(ended.stderr.contains("has no run 00000000"), "{}", ended.stderr);
    let calls = fleet.aws.calls().count();
    finish(fleet.producer(&["status", "notanid"])).await?.status(2);
    assert_eq!(fleet.aws.calls().count(), calls, "AWS is not asked about what is no id");
    Ok(())
}

#[tokio::test]
async fn an_object_that_is_no_report_is_left_alone_unless_it_is_to_be_replaced() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let key = report_key("data", days_ago(4));
    fleet.home.put_object(REPORTS, &key, "bucket,size\nb,7\n", &[("made-by", "another")]);
    fleet.run(&["--account-name", "data", "--date", &day()], &[]).await?;
    assert_eq!(fleet.object(&key).expect("it stays").body, "bucket,size\nb,7\n");
    assert_eq!(fleet.aws.calls().operation("ListMetrics").count(), 0, "nothing is paid for");
    let failed = finish(fleet.producer(&["failed", "--format", "json"])).await?.status(0).json()?;
    let letter = &failed["dead_letters"][0];
    assert_eq!(letter["failure_reason"], "foreign_object", "{failed}");
    assert!(failed.to_string().contains(&key), "{failed}");
    let status = finish(fleet.producer(&["status"])).await?.status(3);
    assert!(status.stdout.contains("foreign_object"), "{}", status.stdout);

    fleet.variable("FLEET_REPLACE_FOREIGN", "true");
    finish(fleet.producer(&["replay", "--all"])).await?.status(0);
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", days_ago(4), "status")?, "complete");
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn a_bucket_of_another_owner_than_expected_is_refused_at_the_start() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    fleet.home.put_object(REPORTS, "accounts.toml", "[[account]]\nname = 'data'\n", &[]);
    fleet.variable("FLEET_ACCOUNTS", &format!("s3://{REPORTS}/accounts.toml"));
    fleet.variable("FLEET_ACCOUNTS_OWNER", HOME);
    fleet.variable("FLEET_REPORT_BUCKET_OWNER", HOME);
    fleet.run(&["--date", &day()], &[]).await?;
    assert_eq!(fleet.metadata("data", days_ago(4), "status")?, "complete");

    for (variable, said) in [
        ("FLEET_REPORT_BUCKET_OWNER", "the bucket must be account 222222222222's"),
        ("FLEET_ACCOUNTS_OWNER", "accounts.toml from a bucket of account 222222222222"),
    ] {
        for command in
            [fleet.producer(&["run", "--date", &day()]), fleet.worker(&["run", "--exit-when-empty"])]
        {
            let mut command = command;
            command.env(variable, "222222222222");
            let ended = finish(command).await?;
            assert_ne!(ended.code, Some(0), "{variable}");
            assert!(ended.stderr.contains(said), "{variable}: {}", ended.stderr);
        }
    }
    Ok(())
}
