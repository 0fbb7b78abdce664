// SPDX-License-Identifier: Apache-2.0
//! The sink `opensearch` in trouble: whatever the endpoint answers, and whenever a worker is killed, each row is there once.

use std::time::Duration;

use anyhow::{Context, Result};
use kit::{HOME_REGION, JOBS, REPORTS, Setup, days_ago, finish, until};
use local_aws::{Authentication, Fault, LocalAws, Options, Service};
use serde_json::{Value, json};

use crate::sink::{Scene, month};

/// What a double is told to do, and what it has to have seen at the end.
struct Trouble {
    fault: Fault,
    fired: u64,
}

#[tokio::test]
async fn whatever_the_endpoint_answers_each_row_is_there_once_and_no_metric_is_paid_again() -> Result<()> {
    let cut =
        |fault: Fault| Trouble { fault: fault.service(Service::OpenSearch).on("Bulk").times(2), fired: 2 };
    for (name, Trouble { fault, fired }) in [
        ("429", cut(Fault::throttle())),
        ("503", cut(Fault::unavailable())),
        ("500", cut(Fault::server_error())),
        ("taken, and no answer", cut(Fault::lost_answer())),
        ("a cut answer", cut(Fault::truncated())),
        ("a closed connection", cut(Fault::reset())),
        (
            "some items",
            Trouble {
                fault: Fault::failed_items(429, "rejected_execution_exception", "queue is full", [0, 2, 5])
                    .service(Service::OpenSearch)
                    .on("Bulk")
                    .times(3),
                fired: 3,
            },
        ),
    ] {
        let aws = LocalAws::start(Options::default()).await?;
        let search = aws.opensearch()?;
        let scene = Scene::new(search.url(), "").await?;
        scene.setup().await?;
        let handle = aws.fault(fault);
        scene.fleet.home.send(JOBS, &scene.fill_queues()?);
        let ended = scene.fleet.work(&[]).await?;
        assert_eq!(handle.fired(), fired, "{name}");
        assert!(scene.fleet.dead_letters().is_empty(), "{name}: {}", ended.stderr);
        let index = format!("{}-sqs-{}", scene.prefix, month(days_ago(1)));
        assert_eq!(search.documents(&index).len(), 180, "{name}");
        let coverage = format!("{}-coverage-{}", scene.prefix, month(days_ago(1)));
        assert_eq!(search.documents(&coverage).len(), 1, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sink_that_is_away_costs_no_call_and_gets_all_of_it_once_it_is_back() -> Result<()> {
    let aws = LocalAws::start(Options::default()).await?;
    let search = aws.opensearch()?;
    let scene = Scene::new(search.url(), "").await?;
    scene.setup().await?;
    let away = aws.fault(Fault::deny().service(Service::OpenSearch).on("Bulk"));
    scene.fleet.home.send(JOBS, &scene.fill_queues()?);
    scene.fleet.work(&[]).await?;
    assert!(away.fired() >= 1);
    let dead = scene.fleet.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].attributes["failure_reason"], "not_delivered");
    let asked = scene.fleet.aws.calls().operation("GetMetricData").count();
    away.stop();
    finish(scene.fleet.producer(&["replay", "--all"])).await?.status(0);
    scene.fleet.work(&[]).await?;
    let index = format!("{}-sqs-{}", scene.prefix, month(days_ago(1)));
    assert_eq!(search.documents(&index).len(), 180);
    assert_eq!(scene.fleet.aws.calls().operation("GetMetricData").count(), asked, "it asks nothing");
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_and_what_no_index_can_hold_is_kept_with_its_reason()
-> Result<()> {
    let aws = LocalAws::start(Options::default()).await?;
    let search = aws.opensearch()?;
    search.max_body(4_000);
    let scene = Scene::new(search.url(), "").await?;
    scene.setup().await?;
    scene.fleet.home.send(JOBS, &scene.fill_queues()?);
    scene.fleet.work(&[]).await?;
    assert!(aws.calls().operation("Bulk").outcome("413").count() > 0);
    let index = format!("{}-sqs-{}", scene.prefix, month(days_ago(1)));
    assert_eq!(search.documents(&index).len(), 180);

    // A user's index, one of whose fields has another type: set-up says so, and no row of its month is lost.
    let aws = LocalAws::start(Options::default()).await?;
    let search = aws.opensearch()?;
    let scene = Scene::new(search.url(), "").await?;
    let properties = json!({"@timestamp": {"type": "date"}, "region": {"type": "long"}});
    let index = format!("{}-sqs-{}", scene.prefix, month(days_ago(1)));
    scene.ask("PUT", &format!("/{index}"), json!({"mappings": {"properties": properties}})).await?;
    let said = finish(scene.fleet.producer(&["setup", "search"])).await?.status(1).stdout;
    assert!(said.contains(&format!("keep      index {index}: its field region has another type")), "{said}");
    scene.fleet.home.send(JOBS, &scene.fill_queues()?);
    let ended = scene.fleet.work(&[]).await?;
    assert!(
        ended.stderr.contains("the report is delivered to search, but not all of it"),
        "{}",
        ended.stderr
    );
    assert!(scene.fleet.dead_letters().is_empty());
    let mut lines = 0;
    for key in scene.fleet.home.keys(REPORTS, "rejects/search/") {
        let object = scene.fleet.home.object(REPORTS, &key).context("a file")?;
        for line in std::str::from_utf8(&object.body)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("[region]")), "{line}");
            assert_eq!(line["document"]["region"], HOME_REGION);
            lines += 1;
        }
    }
    assert_eq!(lines, 180);
    Ok(())
}

#[tokio::test]
async fn temporary_keys_are_signed_for_the_service_and_a_password_for_no_one_else() -> Result<()> {
    let aws = LocalAws::start(Options::default()).await?;
    let search = aws.opensearch()?;
    search.authentication(Authentication::Basic { user: "fleet".into(), password: "correct horse".into() });
    let mut scene = Scene::new(search.url(), "").await?;
    let text = std::fs::read_to_string(scene.fleet.folder.path().join("fleet.toml"))?;
    let path = scene.fleet.file("fleet.toml", &text.replace("auth = 'none'", "auth = 'basic'"))?;
    scene.fleet.variable("FLEET_CONFIG", &path);
    scene.fleet.variable("FLEET_SINK_SEARCH_USER", "fleet");
    scene.fleet.variable("FLEET_SINK_SEARCH_PASSWORD", "wrong horse");
    let refused = finish(scene.fleet.producer(&["setup", "search"])).await?.status(1);
    assert!(refused.stderr.contains("does not accept the credentials (user fleet)"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("wrong horse"), "{}", refused.stderr);
    scene.fleet.variable("FLEET_SINK_SEARCH_PASSWORD", "correct horse");
    scene.setup().await?;
    scene.fleet.home.send(JOBS, &scene.fill_queues()?);
    let ended = scene.fleet.work(&[]).await?;
    assert!(scene.fleet.dead_letters().is_empty(), "{}", ended.stderr);
    assert!(!ended.stderr.contains("horse"));
    let index = format!("{}-sqs-{}", scene.prefix, month(days_ago(1)));
    assert_eq!(search.documents(&index).len(), 180);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_killed_amid_a_delivery_leaves_nothing_out_and_nothing_twice() -> Result<()> {
    // Before the endpoint takes the documents, after it has, and before the record is written.
    for (name, service, fault) in [
        ("held", Service::OpenSearch, Fault::hold().on("Bulk")),
        ("taken", Service::OpenSearch, Fault::lost_answer().on("Bulk")),
        ("unrecorded", Service::S3, Fault::hold().on("PutObject").key_prefix("delivered/")),
    ] {
        let aws = LocalAws::start(Options::default()).await?;
        let search = aws.opensearch()?;
        let setup = Setup { visibility_timeout: Duration::from_secs(3), ..Setup::default() };
        let scene = Scene::with(setup, search.url(), "").await?;
        scene.setup().await?;
        let fault = fault.service(service);
        let held = if service == Service::S3 { scene.fleet.aws.fault(fault) } else { aws.fault(fault) };
        scene.fleet.home.send(JOBS, &scene.fill_queues()?);
        let mut worker = scene.fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
        until("it is caught", || held.fired() > 0).await?;
        worker.start_kill()?;
        worker.wait().await?;
        let asked = scene.fleet.aws.calls().operation("GetMetricData").count();
        held.stop();
        scene.fleet.work(&[]).await?;
        assert!(scene.fleet.dead_letters().is_empty(), "{name}");
        let index = format!("{}-sqs-{}", scene.prefix, month(days_ago(1)));
        assert_eq!(search.documents(&index).len(), 180, "{name}");
        assert_eq!(
            scene.fleet.aws.calls().operation("GetMetricData").count(),
            asked,
            "{name}: nothing is paid again"
        );
        let markers = scene.fleet.home.keys(REPORTS, "delivered/search/");
        assert_eq!(markers.len(), 2, "{name}");
        for key in markers {
            let marker = scene.fleet.home.object(REPORTS, &key).context("a marker")?;
            let marker: Value = serde_json::from_slice(&marker.body)?;
            assert!(marker.get("until").is_none(), "{name}: {marker}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_can_t_be_set_up_is_named_with_what_to_do() -> Result<()> {
    let aws = LocalAws::start(Options::default()).await?;
    let search = aws.opensearch()?;
    let setup = async |scene: &Scene| -> Result<String> {
        let ended = finish(scene.fleet.producer(&["setup", "search"])).await?.status(1);
        Ok(ended.stderr)
    };
    let scene = Scene::new("http://127.0.0.1:9", "").await?;
    let said = setup(&scene).await?;
    assert!(said.contains("could not ask http://127.0.0.1:9 what it is; check the sink's url"), "{said}");

    let scene = Scene::new(search.url(), "").await?;
    let denied = aws.fault(Fault::deny().service(Service::OpenSearch).on("Info"));
    let said = setup(&scene).await?;
    assert!(said.contains("map the role (`producer setup --map-role`)"), "{said}");
    denied.stop();

    search.version("elasticsearch", "7.1.1");
    let said = setup(&scene).await?;
    assert!(
        said.contains("7.1.1, which has no composable index templates; upgrade it to OpenSearch 2 or 3"),
        "{said}"
    );
    assert_eq!(aws.calls().operation("PutIndexTemplate").count(), 0, "nothing is changed");
    for (distribution, number) in [("opensearch", "1.3.20"), ("elasticsearch", "8.19.0")] {
        search.version(distribution, number);
        let said = finish(scene.fleet.producer(&["setup", "search"])).await?.status(0).stderr;
        assert!(
            said.contains(&format!("{number}; the sink is tested with OpenSearch 2 and 3: upgrade it")),
            "{said}"
        );
    }
    Ok(())
}
