// SPDX-License-Identifier: Apache-2.0
//! A queue or a network that is gone, and what is between here and AWS.

use std::time::Duration;

use anyhow::Result;
use kit::{DEAD, Fleet, HOME_REGION, JOBS, end, finish, report_key, terminate, until};
use local_aws::{Fault, QueueOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::{day, job};

#[tokio::test]
async fn a_worker_outlives_its_queue_and_goes_on_when_it_is_back() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it polls", || fleet.aws.calls().operation("PutObject").count() > 0).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    fleet.home.delete_queue(JOBS);
    let refused = || fleet.aws.calls().operation("ReceiveMessage").failed().count();
    until("it is refused", || refused() >= 2).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(refused() <= 6, "{} polls in a few seconds", refused());
    let redrive = Some((DEAD.to_owned(), 3));
    let region = HOME_REGION.to_owned();
    fleet.home.queue(JOBS, QueueOptions { region, redrive, ..QueueOptions::default() });
    fleet.home.send(JOBS, &job("data"));
    until("it continues", || fleet.object(&report_key("data", day())).is_some()).await?;
    terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    assert!(ended.stderr.contains("could not poll; retrying"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_network_that_breaks_costs_tries_and_no_job() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(30).await?;
    let faults = [Fault::reset(), Fault::reset_answer(), Fault::truncated(), Fault::unavailable()];
    // Seldom enough that the SDK's five tries of a request fix all of it.
    let faults = (1..).zip(faults).map(|(seed, fault)| fleet.aws.fault(fault.probability(0.03, seed)));
    let faults: Vec<_> = faults.collect();
    fleet.work(&[]).await?;
    assert!(faults.iter().all(|fault| fault.fired() > 0));
    fleet.aws.clear_faults();
    assert_eq!(fleet.home.keys(kit::REPORTS, "s3_daily_storage/").len(), 30);
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

/// What a proxy shows in the place of an answer.
const PAGE: &str = "<html><head><title>Log in to the network</title></head></html>";

#[tokio::test]
async fn a_page_in_the_place_of_an_answer_costs_tries_and_no_report() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(1).await?;
    let operations =
        ["GetCallerIdentity", "ListBuckets", "ListMetrics", "GetMetricData", "PutObject", "DeleteMessage"];
    let mut faults = Vec::new();
    for (operation, status) in operations.into_iter().flat_map(|name| [(name, 200), (name, 403)]) {
        faults.push(fleet.aws.fault(Fault::foreign(status, "text/html", PAGE).on(operation).times(1)));
    }
    fleet.work(&[]).await?;
    assert!(faults.iter().all(|fault| fault.fired() == 1));
    assert_eq!(fleet.home.keys(kit::REPORTS, "s3_daily_storage/").len(), 1);
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn a_web_page_is_reported_as_one_and_not_as_a_missing_permission() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let page = fleet.aws.fault(Fault::foreign(403, "text/html", PAGE).on("GetCallerIdentity"));
    let ended = finish(fleet.worker(&["check", "--account-name", "data"])).await?.status(1);
    assert!(page.fired() > 0);
    for reported in ["403, text/html", "Log in to the network", "unavailable"] {
        assert!(ended.stdout.contains(reported), "{reported}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("allow "), "{}", ended.stdout);
    Ok(())
}

/// A proxy that answers each CONNECT by what it is asked, passes that on, and ends the connection.
async fn proxy(answer: fn(&str) -> &'static str) -> Result<(String, mpsc::UnboundedReceiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let place = listener.local_addr()?.to_string();
    let (asked, asking) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            request.truncate(read);
            let request = String::from_utf8_lossy(&request).into_owned();
            let _ = stream.write_all(answer(&request).as_bytes()).await;
            let _ = asked.send(request);
        }
    });
    Ok((place, asking))
}

#[tokio::test]
async fn a_proxy_that_refuses_is_asked_for_every_host_and_named_without_its_credentials() -> Result<()> {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let mut fleet = Fleet::start().await?;
        let _ = fleet.account("data", "111111111111");
        let (place, mut asked) = proxy(|_| "HTTP/1.1 403 Forbidden\r\n\r\n").await?;
        fleet.variable(variable, &format!("http://user:hunter2@{place}"));
        let mut worker = fleet.worker(&["check", "--account-name", "data"]);
        let ended = finish({
            worker.env_remove("AWS_ENDPOINT_URL");
            worker
        });
        let ended = ended.await?.status(1);
        let mut requests = Vec::new();
        while let Ok(request) = asked.try_recv() {
            assert!(request.contains("Basic dXNlcjpodW50ZXIy"), "{request}");
            requests.push(request);
        }
        let host = "CONNECT sts.eu-west-1.amazonaws.com:443 ";
        assert!(requests.iter().any(|request| request.starts_with(host)), "{requests:?}");
        let reported = format!("the proxy http://{place} does not connect to sts.eu-west-1.amazonaws.com");
        assert!(ended.stdout.contains(&reported), "{}", ended.stdout);
        assert!(!(ended.stdout + &ended.stderr).contains("hunter2"));
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_for_plain_http_is_used_by_all_clients_unless_the_host_is_left_out() -> Result<()> {
    for (variable, exempt) in [("HTTP_PROXY", "NO_PROXY"), ("http_proxy", "no_proxy")] {
        let mut fleet = Fleet::start().await?;
        fleet.send_small_jobs(1).await?;
        // The AWS is its own proxy, and there is no other way to this host.
        let place = fleet.aws.endpoint().replace("http://", "http://user:hunter2@");
        fleet.variable("AWS_ENDPOINT_URL", "http://aws.invalid");
        fleet.variable(variable, &place);
        fleet.work(&[]).await?;
        assert_eq!(fleet.home.keys(kit::REPORTS, "s3_daily_storage/").len(), 1);
        // A proxy that is down is in no one's way who does not ask it.
        fleet.variable("AWS_ENDPOINT_URL", &fleet.aws.endpoint());
        fleet.variable(variable, "http://127.0.0.1:1");
        fleet.variable(exempt, "127.0.0.1");
        finish(fleet.producer(&["status"])).await?.status(0);
    }
    Ok(())
}

#[tokio::test]
async fn a_bundle_of_authorities_that_can_not_be_read_is_refused_at_start() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.variable("AWS_CA_BUNDLE", "/no/such/bundle.pem");
    for ended in [finish(fleet.worker(&["run"])).await?, finish(fleet.producer(&["status"])).await?] {
        let ended = ended.status(2);
        assert!(
            ended.stderr.contains("AWS_CA_BUNDLE: /no/such/bundle.pem can't be used"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}

/// Behind a proxy, what this machine's DNS says is not what counts.
#[tokio::test]
async fn a_configured_region_that_does_not_exist_is_refused_at_start_by_name_and_place() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let accounts =
        fleet.file("accounts.toml", "[[account]]\nname = 'data'\nregions = ['eu-wset-1', 'us-east-1']\n")?;
    let (place, mut asked) = proxy(|request| {
        let exists = ["eu-west-1.", "us-east-1."].iter().any(|region| request.contains(region));
        if exists { "HTTP/1.1 200 OK\r\n\r\n" } else { "HTTP/1.1 503 Service Unavailable\r\n\r\n" }
    })
    .await?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    fleet.variable("FLEET_REGIONS", "us-east-3");
    fleet.variable("HTTPS_PROXY", &format!("http://{place}"));
    for arguments in [&["check"][..], &["collect", "--account-name", "data"], &["run"]] {
        let mut worker = fleet.worker(arguments);
        worker.env_remove("AWS_ENDPOINT_URL");
        let ended = finish(worker).await?.status(2);
        for (place, region) in [("FLEET_REGIONS", "us-east-3"), ("account data", "eu-wset-1")] {
            let reported = format!("{place}: {region}: ");
            assert!(ended.stderr.contains(&reported), "{arguments:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(&format!("monitoring.{region}.amazonaws.com")), "{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("account data: us-east-1"), "{}", ended.stderr);
    }
    let mut requests = Vec::new();
    while let Ok(request) = asked.try_recv() {
        requests.push(request);
    }
    assert!(requests.iter().all(|request| !request.starts_with("CONNECT sts.")), "{requests:?}");

    // The process's own, of the producer too.
    let mut producer = fleet.producer(&["status"]);
    producer.env_remove("AWS_ENDPOINT_URL").env("AWS_REGION", "eu-wst-1");
    let ended = finish(producer).await?;
    // The only region that is asked: what the proxy refuses may be all that it is asked.
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("AWS_REGION: eu-wst-1: "), "{}", ended.stderr);
    Ok(())
}
