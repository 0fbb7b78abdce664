//! A run from its request to its reports, and what happens when a part of it is killed.

use std::time::Duration;

use anyhow::Result;
use e2e::{DEAD, Fleet, HOME, JOBS, REPORTS, days_ago, end, expected::cells, finish, report_key, until};
use local_aws::Fault;

fn day() -> String {
    days_ago(4).to_string()
}

/// So many accounts of one bucket each, and the arguments that ask for all of them.
fn small_accounts(fleet: &mut Fleet, count: usize) -> Vec<String> {
    let mut arguments = Vec::new();
    for nth in 0..count {
        let name = format!("account-{nth:02}");
        let account = fleet.account(&name, &format!("{:012}", 100_000_000_000u64 + nth as u64));
        account.bucket(&format!("bucket-{nth:02}"), "eu-west-1").size("StandardStorage", days_ago(4), 7.0);
        arguments.extend(["--account-name".to_owned(), name]);
    }
    arguments.extend(["--date".to_owned(), day()]);
    arguments
}

fn terminate(process: &tokio::process::Child) -> Result<()> {
    let id = process.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status()?.success());
    Ok(())
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
    // GetCallerIdentity, ListBuckets, ListMetrics twice, GetMetricData.
    assert_eq!((of("api-calls"), of("estimated-cost-usd")), ("5", "0.000040"));
    assert_eq!(of("sha256"), sha256(&object.body));
    assert!(!object.metadata.contains_key("first-error"));
    let run_id = of("run-id");
    assert_eq!(fleet.home.keys(REPORTS, "runs/"), [format!("runs/{run_id}.json")]);
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
    Ok(())
}

#[tokio::test]
async fn a_producer_killed_between_two_batches_is_completed_by_the_next() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = small_accounts(&mut fleet, 25);
    let arguments = borrowed(&arguments);

    let hang = fleet.aws.fault(Fault::hang().on("SendMessageBatch").after(1));
    let mut killed = fleet.producer(&[&["run"][..], &arguments].concat()).spawn()?;
    until("the second batch hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    assert_eq!(end(killed).await?.code, None, "killed");
    hang.stop();
    let sent = fleet.home.messages(JOBS).len();
    assert!(sent > 0 && sent < 25, "{sent} of 25 jobs were sent");

    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    let status = finish(fleet.producer(&["status", "--format", "json"])).await?.status(3).json()?;
    let state = |wanted: &str| {
        let accounts = status["accounts"].as_array().expect("accounts");
        accounts.iter().filter(|account| account["state"] == wanted).count()
    };
    assert_eq!((state("complete"), state("missing")), (sent, 25 - sent), "{status}");

    let rerun = [&["run", "--only-incomplete", "--format", "json"][..], &arguments].concat();
    let run = finish(fleet.producer(&rerun)).await?.status(0).json()?;
    assert_eq!((&run["sent"], &run["already_complete"]), (&(25 - sent).into(), &sent.into()), "{run}");
    assert_eq!(fleet.home.messages(JOBS).len(), 25 - sent, "nothing is sent that need not be");

    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    finish(fleet.producer(&["status"])).await?.status(0);
    assert_eq!(fleet.aws.calls().operation("PutObject").count(), 25 + 2, "reports and manifests");
    Ok(())
}

#[tokio::test]
async fn two_workers_share_the_accounts_of_a_run() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = small_accounts(&mut fleet, 30);
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    let worker = || fleet.worker(&["run", "--exit-when-empty", "--concurrency", "3"]).spawn();
    let (one, two) = (worker()?, worker()?);
    let (one, two) = tokio::try_join!(end(one), end(two))?;
    let stored = |ended: e2e::Ended| ended.status(0).stderr.matches("the report is stored").count();
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
    assert!(worker.stderr.contains("the report stands already"), "{}", worker.stderr);
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
async fn a_message_that_is_no_job_is_left_to_redrive_and_stops_nobody() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
    let _ = fleet.account("data", "111111111111");
    fleet.home.send(JOBS, "not a job");
    fleet.home.send(JOBS, r#"{"account_name":"../../etc"}"#);
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{}"}}"#, day()));
    let worker = finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert!(fleet.object(&report_key("data", days_ago(4))).is_some(), "the good job is done");
    assert_eq!(worker.stderr.matches("\"reason\":\"bad_message\"").count(), 6, "{}", worker.stderr);
    let mut dead: Vec<_> = fleet.home.messages(DEAD).into_iter().map(|message| message.body).collect();
    dead.sort();
    assert_eq!(dead, ["not a job", r#"{"account_name":"../../etc"}"#], "bodies are unchanged");
    Ok(())
}

#[tokio::test]
async fn work_longer_than_the_visibility_timeout_runs_once() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
    let account = fleet.account("slow", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", days_ago(4), 7.0);
    let slow = fleet.aws.fault(Fault::slow(Duration::from_secs(8)).on("GetMetricData"));
    finish(fleet.producer(&["run", "--account-name", "slow", "--date", &day()])).await?.status(0);
    let worker = || fleet.worker(&["run", "--exit-when-empty"]).spawn();
    let (one, two) = (worker()?, worker()?);
    let (one, two) = tokio::try_join!(end(one), end(two))?;
    let (one, two) = (one.status(0).stderr, two.status(0).stderr);
    assert_eq!(slow.fired(), 1, "one worker, once");
    assert!(fleet.aws.calls().operation("ChangeMessageVisibility").count() >= 5);
    assert_eq!((one + &two).matches("the report is stored").count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_worker_told_to_stop_finishes_what_it_has_and_takes_no_more() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = small_accounts(&mut fleet, 6);
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    let slow = fleet.aws.fault(Fault::slow(Duration::from_secs(2)).on("GetMetricData"));
    let worker = fleet.worker(&["run", "--concurrency", "2"]).spawn()?;
    until("two jobs are in hand", || slow.fired() == 2).await?;
    terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    assert_eq!(ended.stderr.matches("the report is stored").count(), 2, "{}", ended.stderr);
    let counts = fleet.home.counts(JOBS);
    assert_eq!((counts.visible, counts.in_flight), (4, 0));
    Ok(())
}

#[tokio::test]
async fn an_idle_worker_told_to_stop_leaves_at_once() -> Result<()> {
    let fleet = Fleet::start().await?;
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it polls", || fleet.aws.calls().operation("GetQueueAttributes").count() > 0).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = std::time::Instant::now();
    terminate(&worker)?;
    end(worker).await?.status(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "a long poll takes twenty");
    Ok(())
}

#[tokio::test]
async fn a_failing_upload_leaves_the_job_on_the_queue() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
    let arguments = small_accounts(&mut fleet, 1);
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    let denied = fleet.aws.fault(Fault::deny().on("PutObject").account(HOME).times(1));
    let worker = finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert_eq!(denied.fired(), 1);
    assert!(worker.stderr.contains("\"reason\":\"report_bucket\""), "{}", worker.stderr);
    assert!(worker.stderr.contains("\"attempt\":2"), "it came back: {}", worker.stderr);
    assert!(fleet.object(&report_key("account-00", days_ago(4))).is_some());
    Ok(())
}

#[tokio::test]
async fn failed_entries_of_a_batch_are_sent_again_and_they_alone() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = small_accounts(&mut fleet, 10);
    let failed = fleet.aws.fault(Fault::failed_entries([1, 4, 7]).on("SendMessageBatch").times(1));
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    assert_eq!(failed.fired(), 1);
    let mut names: Vec<_> = fleet
        .home
        .messages(JOBS)
        .into_iter()
        .map(|message| message.attributes["account_name"].clone())
        .collect();
    names.sort();
    assert_eq!(names, (0..10).map(|nth| format!("account-{nth:02}")).collect::<Vec<_>>());
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

/// A long poll may bring its message at its very end; the lease begins then, and not with the poll.
#[tokio::test]
async fn a_job_that_comes_late_in_a_long_poll_is_done_at_its_first_receipt() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
    let arguments = small_accounts(&mut fleet, 1);
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it is ready", || fleet.aws.calls().operation("GetQueueAttributes").count() > 0).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    until("the report is there", || fleet.object(&report_key("account-00", days_ago(4))).is_some()).await?;
    until("the job is deleted", || fleet.home.messages(JOBS).is_empty()).await?;
    terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    assert!(ended.stderr.contains("\"attempt\":1"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lease_lost"), "{}", ended.stderr);
    assert_eq!(fleet.aws.calls().operation("ReceiveMessage").ok().count(), 1, "one poll brought it");
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

#[tokio::test]
async fn a_worker_told_to_stop_twice_leaves_at_once_and_its_job_comes_back() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
    let arguments = small_accounts(&mut fleet, 1);
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    let hang = fleet.aws.fault(Fault::hang().on("GetMetricData"));
    let worker = fleet.worker(&["run"]).spawn()?;
    until("the job hangs", || hang.fired() > 0).await?;
    terminate(&worker)?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminate(&worker)?;
    let ended = end(worker).await?.status(1);
    assert!(ended.stderr.contains("told to stop twice; 1 in hand"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("the job failed"), "{}", ended.stderr);
    hang.stop();
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    assert!(fleet.object(&report_key("account-00", days_ago(4))).is_some());
    Ok(())
}

#[tokio::test]
async fn a_worker_told_to_stop_while_it_starts_leaves_with_0() -> Result<()> {
    let fleet = Fleet::start().await?;
    let hang = fleet.aws.fault(Fault::hang().on("GetQueueAttributes"));
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it starts", || hang.fired() > 0).await?;
    terminate(&worker)?;
    end(worker).await?.status(0);
    Ok(())
}
