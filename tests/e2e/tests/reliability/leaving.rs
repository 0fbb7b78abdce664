// SPDX-License-Identifier: Apache-2.0
//! A worker that is stopped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kit::{Fleet, JOBS, end, says, terminate, until};
use local_aws::{Fault, Place};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Child,
    sync::mpsc,
    time::timeout,
};

/// What a worker logs when it is asked to stop.
const STOPPING: &str = "stopping; a second signal";

/// A worker with two jobs in flight that never end, and four on the queue.
async fn busy(fleet: &mut Fleet, arguments: &[&str]) -> Result<Child> {
    fleet.send_small_jobs(6).await?;
    let hang = fleet.aws.fault(Fault::hang().on("GetMetricData"));
    let worker = fleet.worker(&[&["run", "--concurrency", "2"], arguments].concat()).spawn()?;
    until("two jobs are in flight", || hang.fired() == 2).await?;
    Ok(worker)
}

#[tokio::test]
async fn a_stopped_worker_finishes_its_jobs_and_takes_no_more() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(6).await?;
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData"));
    let mut worker = fleet.worker(&["run", "--concurrency", "2"]).spawn()?;
    until("two jobs are in flight", || held.fired() == 2).await?;
    terminate(&worker)?;
    says(&mut worker, STOPPING).await?;
    held.stop();
    let ended = end(worker).await?.status(0);
    assert_eq!(ended.stderr.matches("the report is stored").count(), 2, "{}", ended.stderr);
    let counts = fleet.home.counts(JOBS);
    assert_eq!((counts.visible, counts.in_flight), (4, 0));
    Ok(())
}

/// How long it takes to return the jobs in flight.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Has something done that must take less than `most`, and once more where it took longer: the machine may be busy
/// with something else at any one time, and not at three.
async fn takes_less_than(most: Duration, work: impl AsyncFn() -> Result<Duration>) -> Result<()> {
    let mut took = Vec::new();
    for _ in 0..3 {
        took.push(work().await?);
        if took.last() < Some(&most) {
            return Ok(());
        }
    }
    panic!("not within {most:?}: {took:?}")
}

/// Waits for the end of a stopped worker, which returns both jobs in flight to the queue.
async fn gives_back(worker: Child, fleet: &Fleet) -> Result<Duration> {
    let reported = Instant::now();
    terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    let took = reported.elapsed();
    assert!(ended.stderr.contains("\"returned\":2"), "{}", ended.stderr);
    let counts = fleet.home.counts(JOBS);
    assert_eq!((counts.visible, counts.in_flight), (6, 0));
    Ok(took)
}

#[tokio::test]
async fn jobs_that_do_not_end_in_time_return_to_the_queue() -> Result<()> {
    let drain = Duration::from_secs(2);
    takes_less_than(drain + GIVING_BACK, async || {
        let mut fleet = Fleet::start().await?;
        let worker = busy(&mut fleet, &["--drain-timeout", "2"]).await?;
        let took = gives_back(worker, &fleet).await?;
        assert!(took > drain, "{took:?}");
        Ok(took)
    })
    .await
}

#[tokio::test]
async fn a_second_signal_returns_jobs_to_the_queue_at_once() -> Result<()> {
    takes_less_than(GIVING_BACK, async || {
        let mut fleet = Fleet::start().await?;
        let mut worker = busy(&mut fleet, &[]).await?;
        terminate(&worker)?;
        says(&mut worker, STOPPING).await?;
        gives_back(worker, &fleet).await
    })
    .await
}

/// The worker's own poll must not receive what the worker has just returned to the queue.
#[tokio::test]
async fn a_stop_costs_a_job_one_receive() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(1).await?;
    let hang = fleet.aws.fault(Fault::hang().on("GetMetricData"));
    for stop in 1..=2 {
        let worker = fleet.worker(&["run", "--drain-timeout", "0"]).spawn()?;
        until("the job is in flight", || hang.fired() == stop).await?;
        terminate(&worker)?;
        let ended = end(worker).await?.status(0);
        assert!(ended.stderr.contains("\"returned\":1"), "{}", ended.stderr);
        let [job] = &fleet.home.messages(JOBS)[..] else { panic!("one job") };
        assert_eq!((u64::from(job.receive_count), job.place), (stop, Place::Visible));
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_can_not_give_back_leaves_in_time_all_the_same() -> Result<()> {
    takes_less_than(Duration::from_secs(7), async || {
        let mut fleet = Fleet::start().await?;
        let worker = busy(&mut fleet, &["--drain-timeout", "0"]).await?;
        let hang = fleet.aws.fault(Fault::hang().on("ChangeMessageVisibility"));
        let reported = Instant::now();
        terminate(&worker)?;
        let ended = end(worker).await?.status(0);
        let took = reported.elapsed();
        assert_eq!(hang.fired(), 2);
        assert!(ended.stderr.contains("\"abandoned\":2"), "{}", ended.stderr);
        Ok(took)
    })
    .await
}

#[tokio::test]
async fn an_idle_worker_stops_at_once() -> Result<()> {
    let fleet = Fleet::start().await?;
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it polls", || fleet.aws.calls().operation("PutObject").count() > 0).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    terminate(&worker)?;
    end(worker).await?.status(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "a long poll takes twenty");
    Ok(())
}

#[tokio::test]
async fn a_worker_stopped_while_it_starts_exits_with_0() -> Result<()> {
    let fleet = Fleet::start().await?;
    let hang = fleet.aws.fault(Fault::hang().on("GetQueueAttributes"));
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it starts", || hang.fired() > 0).await?;
    terminate(&worker)?;
    end(worker).await?.status(0);
    Ok(())
}

/// It takes a minute, since a job must be that old.
#[tokio::test]
async fn a_task_is_protected_once_its_job_is_a_minute_old_until_it_is_done() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let agent = TcpListener::bind("127.0.0.1:0").await?;
    fleet.variable("ECS_AGENT_URI", &format!("http://{}/api/abc", agent.local_addr()?));
    let (asked, mut asking) = mpsc::unbounded_channel();
    let answers = tokio::spawn(async move {
        while let Ok((mut stream, _)) = agent.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut request).await {
                    let _ = asked.send(String::from_utf8_lossy(&request[..read]).into_owned());
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                }
            });
        }
    });
    fleet.send_small_jobs(1).await?;
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData"));
    let worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    until("the job is in flight", || held.fired() > 0).await?;
    let begun = Instant::now();
    let protected = timeout(Duration::from_secs(90), asking.recv()).await?.context("an agent")?;
    assert!(protected.starts_with("PUT /api/abc/task-protection/v1/state "), "{protected}");
    assert!(protected.contains("\"ProtectionEnabled\":true"), "{protected}");
    assert!(begun.elapsed() > Duration::from_secs(55), "after {:?}", begun.elapsed());
    held.stop();
    end(worker).await?.status(0);
    let released = asking.recv().await.context("an agent")?;
    assert!(released.contains("\"ProtectionEnabled\":false"), "{released}");
    assert!(asking.try_recv().is_err(), "once each");
    answers.abort();
    Ok(())
}
