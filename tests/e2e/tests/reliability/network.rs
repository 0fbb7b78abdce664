//! A queue or a network that is gone.

use std::time::Duration;

use anyhow::Result;
use e2e::{DEAD, Fleet, HOME_REGION, JOBS, end, finish, report_key, terminate, until};
use local_aws::{Fault, QueueOptions};

use crate::{day, job};

#[tokio::test]
async fn a_worker_outlives_its_queue_and_goes_on_when_it_is_back() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let worker = fleet.worker(&["run"]).spawn()?;
    until("it polls", || fleet.aws.calls().operation("PutObject").count() > 0).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    fleet.home.delete_queue(JOBS);
    let refused = || fleet.aws.calls().operation("ReceiveMessage").failed().count();
    until("it is told so", || refused() >= 2).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(refused() <= 6, "{} polls in a few seconds", refused());
    let redrive = Some((DEAD.to_owned(), 3));
    let region = HOME_REGION.to_owned();
    fleet.home.queue(JOBS, QueueOptions { region, redrive, ..QueueOptions::default() });
    fleet.home.send(JOBS, &job("data"));
    until("it goes on", || fleet.object(&report_key("data", day())).is_some()).await?;
    terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    assert!(ended.stderr.contains("could not poll; trying again"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_network_that_breaks_costs_tries_and_no_job() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(30).await?;
    let faults = [Fault::reset(), Fault::reset_answer(), Fault::truncated(), Fault::unavailable()];
    // Seldom enough that the SDK's five tries of a request mend all of it.
    let faults = (1..).zip(faults).map(|(seed, fault)| fleet.aws.fault(fault.probability(0.03, seed)));
    let faults: Vec<_> = faults.collect();
    fleet.work(&[]).await?;
    assert!(faults.iter().all(|fault| fault.fired() > 0));
    fleet.aws.clear_faults();
    assert_eq!(fleet.home.keys(e2e::REPORTS, "s3_daily_storage/").len(), 30);
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}
