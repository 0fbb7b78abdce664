// SPDX-License-Identifier: Apache-2.0
//! Many days of daily storage in one job: each report is what a job for its day would have written, and each metric is paid
//! for once.

use anyhow::Result;
use chrono::NaiveDate;
use fleet::{Job, ReportDate, Windows, datasets};
use kit::{HOME_REGION, days_ago};
use local_aws::Fault;
use worker::{failure::Failure, report::Done};

use crate::series::{FAR, Fleet, first_difference, job};

/// The job for all days from so many days ago to so many.
fn job_of_days(from: u64, to: u64) -> Result<Job> {
    let [first, last] = [from, to].map(|days| ReportDate::from(days_ago(days)).into());
    let windows = Windows::part(first, last).expect("a span of days");
    Ok(Job { windows, ..job(*datasets::DEFAULT, days_ago(from))? })
}

/// Fills an account with buckets of all fates, from 40 days ago on.
fn fill(fleet: &Fleet) {
    let account = &fleet.account;
    let value = |region, bucket: &str, kind, day: NaiveDate, value| {
        account.datapoint(region, bucket, kind, day, value);
    };
    for region in [HOME_REGION, FAR] {
        let name = |kind: &str| format!("{kind}-{region}");
        for kind in ["steady", "moved", "gaps", "odd", "silent"] {
            account.bucket(&name(kind), region);
        }
        account.directory_bucket(&format!("fast-{region}--use1-az4--x-s3"), region);
        for ago in 0_u32..40 {
            let day = days_ago(ago.into());
            let size = f64::from(1_000 + ago);
            value(region, &name("steady"), "StandardStorage", day, size);
            value(region, &name("steady"), "AllStorageTypes", day, 7.0);
            let kind = if ago > 20 { "StandardStorage" } else { "GlacierStorage" };
            value(region, &name("moved"), kind, day, size);
            if ago % 4 == 0 {
                value(region, &name("gaps"), "StandardStorage", day, size);
            }
            value(region, &name("odd"), "StandardStorage", day, if ago == 17 { -1.0 } else { size });
            value(region, &name("odd"), "FutureStorage", day, 5.0);
            value(region, &format!("fast-{region}--use1-az4--x-s3"), "ExpressOneZoneStorage", day, size);
            // It was deleted six days ago, and no listing of S3 has it.
            if ago > 6 {
                value(region, &name("deleted"), "StandardStorage", day, size);
            }
        }
    }
}

fn tables(fleet: &Fleet, job: &Job) -> Result<Vec<String>> {
    job.windows.iter().map(|window| Ok(fleet.report(&job.of(window))?.0)).collect()
}

fn metrics(fleet: &Fleet, job: &Job) -> Result<u64> {
    let of = |window| Ok(fleet.report(&job.of(window))?.1("metrics-requested").parse::<u64>()?);
    job.windows.iter().map(of).sum()
}

#[tokio::test]
async fn a_month_of_daily_storage_is_what_a_job_a_day_would_have_written_for_the_price_of_one() -> Result<()>
{
    let (alone, together) = (Fleet::start().await?, Fleet::start().await?);
    fill(&alone);
    fill(&together);
    // Over the day since which series are listed: of earlier ones, all that a bucket may have is asked for.
    let range = job_of_days(33, 3)?;
    for window in range.windows.iter() {
        alone.perform(&range.of(window), false).await?;
    }
    let done = together.perform(&range, false).await?;
    let Done::Several { stored: 31, partial: 3, duplicates: 0, .. } = done else { panic!("{done:?}") };
    let (expected, found) = (tables(&alone, &range)?, tables(&together, &range)?);
    for (expected, (found, window)) in expected.iter().zip(found.iter().zip(range.windows.iter())) {
        assert!(expected == found, "{window}: {:?}", first_difference(found, expected));
    }
    let all = found.concat();
    for fate in [",late", ",deleted", ",no_data", ",error:UnexpectedDatapoint", "fast-"] {
        assert!(all.contains(fate), "{fate}: {}", found[0]);
    }
    let of = |ago: u64| metrics(&together, &job_of_days(ago, ago)?);
    let (old, listed) = (metrics(&alone, &job_of_days(33, 33)?)?, metrics(&alone, &job_of_days(3, 3)?)?);
    assert_eq!(metrics(&together, &range)?, old + listed, "each part is paid for as a day of it is");
    assert!(of(33)? < old && old > 200 && listed > 10, "{old} {listed}");
    let Done::Several { duplicates: 28, stored: 3, .. } = together.perform(&range, false).await? else {
        panic!("all but those with a value that is none are there")
    };
    Ok(())
}

#[tokio::test]
async fn what_is_known_of_a_month_is_not_asked_for_again() -> Result<()> {
    let (fleet, other) = (Fleet::start().await?, Fleet::start().await?);
    for fleet in [&fleet, &other] {
        fill(fleet);
    }
    for (range, is_listed) in [(job_of_days(30, 18)?, false), (job_of_days(9, 5)?, true)] {
        let far = || fleet.asked(FAR);
        let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
        fleet.perform(&range, false).await.expect_err("a region does not answer");
        assert!(fault.fired() > 0);
        fault.stop();
        let first = fleet.report(&range.of(range.windows.first()))?.1;
        assert_eq!((first("status"), first("unfinished")), ("partial".into(), "true".into()));
        let (near, before) = (fleet.asked(HOME_REGION), far());
        let done = fleet.perform(&range, false).await?;
        assert!(matches!(done, Done::Several { duplicates: 0, kept: 0, .. }), "{done:?}");
        assert!(far() > before);
        // What was deleted may be listed again, and has no row of its last days.
        assert!(
            fleet.asked(HOME_REGION) - near <= u64::from(is_listed),
            "{} {near}",
            fleet.asked(HOME_REGION)
        );
        other.perform(&range, false).await?;
        for (found, expected) in tables(&fleet, &range)?.iter().zip(&tables(&other, &range)?) {
            assert!(found == expected, "{:?}", first_difference(found, expected));
        }
    }
    Ok(())
}

#[tokio::test]
async fn another_checkpoint_than_the_one_that_was_counted_on_is_not_taken() -> Result<()> {
    let fleet = Fleet::start().await?;
    fill(&fleet);
    let range = job_of_days(20, 18)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&range, false).await.expect_err("a region does not answer");
    fault.stop();
    // While CloudWatch is asked for the rest, a checkpoint is lost.
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData").region(FAR));
    let lost = range.windows.iter().nth(1).expect("it has three windows");
    let key = fleet.reporter.template.key(&range.of(lost), None)?;
    let losing = async {
        while held.fired() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        fleet.aws.account(kit::HOME).delete_object(kit::REPORTS, &key);
        held.stop();
    };
    let (done, ()) = tokio::join!(fleet.perform(&range, false), losing);
    let failure = done.expect_err("its rows are nowhere");
    assert!(matches!(&failure, Failure::Contended(found) if *found == key), "{failure:?}");
    let other = Fleet::start().await?;
    fill(&other);
    other.perform(&range, false).await?;
    // What is complete by now is right: no window has the rows of another.
    for window in range.windows.iter().filter(|window| *window != lost) {
        let (found, metadata) = fleet.report(&range.of(window))?;
        if metadata("status") == "complete" {
            assert_eq!(found, other.report(&range.of(window))?.0, "{window}");
        }
    }
    fleet.perform(&range, false).await?;
    assert_eq!(tables(&fleet, &range)?, tables(&other, &range)?);
    Ok(())
}
