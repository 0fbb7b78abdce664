// SPDX-License-Identifier: Apache-2.0
//! Windows shorter than a day: a job for one, and a job for several, which writes what a job for each would have written.

use anyhow::Result;
use chrono::NaiveDate;
use fleet::{Dataset, Job, Window, WindowLength, Windows};
use kit::{HOME_REGION, days_ago};
use local_aws::Fault;
use worker::{failure::Failure, report::Done};

use crate::series::{FAR, Fleet, ID, NAMESPACE, SERVICES, dataset, first_difference, job, minute, seconds};

/// The services of the other tests, with a report for each hour.
fn hourly() -> Result<&'static Dataset> {
    dataset(&SERVICES.replace("window    = \"1d\"", "window    = \"1h\""))
}

/// The job for an hour of a day.
fn job_of_hour(dataset: &'static Dataset, date: NaiveDate, hour: i64) -> Result<Job> {
    let hour = Window::containing(minute(date, 60 * hour), "1h".parse()?);
    Ok(Job { windows: hour.into(), ..job(dataset, date)? })
}

/// Puts a value of a metric of a service.
fn put(fleet: &Fleet, region: &str, service: &str, metric: &str, (date, at): (NaiveDate, i64), value: f64) {
    let dimensions = [("ClusterName", "main"), ("ServiceName", service)];
    fleet.account.metric(region, NAMESPACE, metric, &dimensions, minute(date, at), value);
}

#[tokio::test]
async fn an_hour_has_a_report_of_its_own_with_a_row_a_minute() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    for at in [13 * 60 - 1, 13 * 60, 13 * 60 + 59, 14 * 60] {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        put(&fleet, HOME_REGION, "web", "Requests", (date, at), at as f64);
    }
    put(&fleet, FAR, "silent", "Requests", (date, 0), 1.0);
    let job = job_of_hour(hourly()?, date, 13)?;
    let Done::Stored { key, .. } = fleet.perform(&job, false).await? else { panic!("it is stored") };
    assert_eq!(key, format!("services/report_date={date}/account_name=data/T1300Z.csv"));
    let (table, metadata) = fleet.report(&job)?;
    let row =
        |at: i64| format!("main,web,data,{ID},{HOME_REGION},{},60,,,,,,{at},0,ok", seconds(minute(date, at)));
    let silent = format!("main,silent,data,{ID},{FAR},,,,,,,,,,no_data");
    assert_eq!(table.lines().skip(1).collect::<Vec<_>>(), [silent, row(13 * 60), row(13 * 60 + 59)]);
    assert_eq!((metadata("from"), metadata("to")), (seconds(minute(date, 780)), seconds(minute(date, 840))));
    assert_eq!((metadata("report-date"), metadata("status")), (date.to_string(), "complete".into()));
    assert_eq!(metadata("settled"), "true", "ten minutes after its end");
    Ok(())
}

#[tokio::test]
async fn windows_of_another_length_than_the_dataset_s_have_a_folder_of_their_own() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    put(&fleet, HOME_REGION, "web", "Requests", (date, 780), 1.0);
    let five: WindowLength = "5m".parse()?;
    let windows = Windows::from(Window::containing(minute(date, 780), five));
    let short = Job { windows, ..job(hourly()?, date)? };
    fleet.perform(&short, false).await?;
    fleet.perform(&job_of_hour(hourly()?, date, 13)?, false).await?;
    fleet.perform(&job(hourly()?, date)?, false).await?;
    let keys = fleet.aws.account(kit::HOME).keys(kit::REPORTS, "services");
    let day = format!("report_date={date}/account_name=data");
    assert_eq!(
        keys,
        [
            format!("services/{day}/T1300Z.csv"),
            format!("services__1d/{day}/report.csv"),
            format!("services__5m/{day}/T1300Z.csv"),
        ]
    );
    Ok(())
}

/// The job for hours of a day, from one to another.
fn job_of_hours(dataset: &'static Dataset, date: NaiveDate, from: i64, to: i64) -> Result<Job> {
    let windows = Windows::between(minute(date, 60 * from), minute(date, 60 * to), "1h".parse()?)?;
    Ok(Job { windows, ..job(dataset, date)? })
}

/// Puts what a day of services has: values, gaps, a service that is silent for hours, and one that is for the whole day.
fn fill(fleet: &Fleet, date: NaiveDate) {
    for region in [HOME_REGION, FAR] {
        for at in (0..1440).step_by(3) {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            put(fleet, region, "web", "CPUUtilization", (date, at), at as f64 / 8.0);
            put(fleet, region, "web", "Requests", (date, at), 2.0);
        }
        for at in (300..360).chain(700..800) {
            put(fleet, region, "night", "Requests", (date, at), 1.0);
            put(fleet, region, "night", "Errors", (date, at), 0.5);
        }
        put(fleet, region, "silent", "Requests", (date, -5), 1.0);
    }
}

/// The reports of a job's windows, in their order.
fn tables(fleet: &Fleet, job: &Job) -> Result<Vec<String>> {
    job.windows.iter().map(|window| Ok(fleet.report(&job.of(window))?.0)).collect()
}

/// The sum of a figure of the reports of a job's windows.
fn sum(fleet: &Fleet, job: &Job, name: &str) -> Result<u64> {
    let figures = job.windows.iter().map(|window| Ok(fleet.report(&job.of(window))?.1(name).parse::<u64>()?));
    figures.sum()
}

#[tokio::test]
async fn a_day_of_hours_is_what_a_job_an_hour_would_have_written_for_the_price_of_one() -> Result<()> {
    let (alone, together, date) = (Fleet::start().await?, Fleet::start().await?, days_ago(1));
    fill(&alone, date);
    fill(&together, date);
    let range = job_of_hours(hourly()?, date, 0, 24)?;
    for hour in 0..24 {
        alone.perform(&job_of_hour(hourly()?, date, hour)?, false).await?;
    }
    let Done::Several { stored: 24, partial: 0, duplicates: 0, .. } = together.perform(&range, false).await?
    else {
        panic!("each is stored")
    };
    let (expected, found) = (tables(&alone, &range)?, tables(&together, &range)?);
    for (hour, (expected, found)) in expected.iter().zip(&found).enumerate() {
        assert!(expected == found, "hour {hour}: {:?}", first_difference(found, expected));
    }
    assert!(found[5].contains("main,night,data") && found[6].contains(",no_data\n"));
    // Six metrics of the three services that are there, and no more than one hour costs.
    let of_one = alone.report(&job_of_hour(hourly()?, date, 0)?)?.1("metrics-requested").parse::<u64>()?;
    assert_eq!((sum(&together, &range, "metrics-requested")?, of_one), (of_one, 10));
    assert_eq!(sum(&alone, &range, "metrics-requested")?, 24 * of_one);
    assert_eq!(
        (together.asked(HOME_REGION), together.asked(FAR)),
        (1, 1),
        "1,440 datapoints each of 11 queries"
    );
    let (_, metadata) = together.report(&range.of(range.windows.last()))?;
    assert_eq!((metadata("job-windows"), metadata("status")), ("24".into(), "complete".into()));
    let Done::Several { duplicates: 24, stored: 0, .. } = together.perform(&range, false).await? else {
        panic!("all are there")
    };
    assert_eq!(together.asked(FAR), 1, "nothing is asked for twice");
    Ok(())
}

#[tokio::test]
async fn what_is_stored_of_a_range_is_not_asked_for_again() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    fill(&fleet, date);
    let range = job_of_hours(hourly()?, date, 0, 4)?;
    // A region does not answer: each window keeps what the other has.
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&range, false).await.expect_err("a region does not answer");
    assert!(fault.fired() > 0);
    fault.stop();
    let first = fleet.report(&range.of(range.windows.first()))?.1;
    assert_eq!((first("status"), first("unfinished")), ("partial".into(), "true".into()));
    let asked = fleet.asked(HOME_REGION);
    fleet.perform(&range, false).await?;
    assert_eq!(fleet.asked(HOME_REGION), asked, "what is known is not asked for again");
    for window in range.windows.iter() {
        assert_eq!(fleet.report(&range.of(window))?.1("status"), "complete");
    }
    // As if it had been asked for at once.
    let other = Fleet::start().await?;
    fill(&other, date);
    other.perform(&range, false).await?;
    assert_eq!(tables(&fleet, &range)?, tables(&other, &range)?);
    Ok(())
}

#[tokio::test]
async fn a_window_whose_checkpoint_is_lost_meanwhile_leaves_the_others_right() -> Result<()> {
    let (fleet, other, date) = (Fleet::start().await?, Fleet::start().await?, days_ago(1));
    fill(&fleet, date);
    fill(&other, date);
    let range = job_of_hours(hourly()?, date, 3, 8)?;
    other.perform(&range, false).await?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&range, false).await.expect_err("a region does not answer");
    fault.stop();
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData").region(FAR));
    let key = fleet.reporter.template.key(&job_of_hour(hourly()?, date, 4)?, None)?;
    let lose = async {
        while held.fired() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        fleet.aws.account(kit::HOME).delete_object(kit::REPORTS, &key);
        held.stop();
    };
    let (done, ()) = tokio::join!(fleet.perform(&range, false), lose);
    let failure = done.expect_err("its rows are nowhere");
    assert!(matches!(&failure, Failure::Contended(found) if *found == key), "{failure:?}");
    let mut complete = 0;
    for hour in [3, 5, 6, 7] {
        let job = job_of_hour(hourly()?, date, hour)?;
        let (found, metadata) = fleet.report(&job)?;
        if metadata("status") == "complete" {
            complete += 1;
            assert_eq!(found, other.report(&job)?.0, "hour {hour}");
        }
    }
    assert!(complete > 0, "some were stored before that was seen");
    fleet.perform(&range, false).await?;
    assert_eq!(tables(&fleet, &range)?, tables(&other, &range)?);
    Ok(())
}

#[tokio::test]
async fn a_range_is_cut_where_the_kept_period_changes_and_each_part_is_paid_for_once() -> Result<()> {
    let (fleet, alone) = (Fleet::start().await?, Fleet::start().await?);
    // Minutes are kept for the younger of the two days, and five minutes for the older.
    let (older, younger) = (days_ago(15), days_ago(14));
    for fleet in [&fleet, &alone] {
        for (date, at) in [(older, 1380), (older, 1385), (younger, 0), (younger, 1), (days_ago(1), 0)] {
            put(fleet, HOME_REGION, "web", "Requests", (date, at), 3.0);
        }
    }
    let windows = Windows::between(minute(older, 1380), minute(younger, 60), "1h".parse()?)?;
    let range = Job { windows, ..job(hourly()?, older)? };
    fleet.perform(&range, false).await?;
    for window in windows.iter() {
        alone.perform(&range.of(window), false).await?;
    }
    let found = tables(&fleet, &range)?;
    assert_eq!(found, tables(&alone, &range)?);
    assert!(found[0].contains(",300,") && found[1].contains(",60,"), "{found:?}");
    assert_eq!(sum(&fleet, &range, "metrics-requested")?, 2);
    Ok(())
}

#[tokio::test]
async fn a_window_in_whose_way_another_object_is_costs_no_other() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    fill(&fleet, date);
    let range = job_of_hours(hourly()?, date, 0, 3)?;
    let key = fleet.reporter.template.key(&job_of_hour(hourly()?, date, 1)?, None)?;
    fleet.aws.account(kit::HOME).put_object(kit::REPORTS, &key, "mine", &[]);
    let done = fleet.perform(&range, false).await?;
    let Done::Several { failure: Some(Failure::ForeignObject(found)), stored: 2, .. } = done else {
        panic!("{done:?}")
    };
    assert_eq!(found, key);
    for hour in [0, 2] {
        assert_eq!(fleet.report(&job_of_hour(hourly()?, date, hour)?)?.1("status"), "complete");
    }
    Ok(())
}

#[tokio::test]
async fn a_report_of_many_rows_passes_through_files() -> Result<()> {
    const SERVICES_OF_A_REGION: u32 = 21;
    let (fleet, other, date) = (Fleet::start().await?, Fleet::start().await?, days_ago(1));
    for fleet in [&fleet, &other] {
        for region in [HOME_REGION, FAR] {
            for service in 0..SERVICES_OF_A_REGION {
                let (name, value) = (format!("{}-{service}", "s".repeat(240)), f64::from(service));
                for at in 0..1440 {
                    put(fleet, region, &name, "Requests", (date, at), value);
                }
            }
        }
    }
    let job = job(hourly()?, date)?;
    // The rows of one region are stored as a checkpoint, and read back by the next attempt.
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&job, false).await.expect_err("a region does not answer");
    fault.stop();
    let (partial, metadata) = fleet.report(&job)?;
    assert_eq!(metadata("status"), "partial");
    assert!(partial.len() > 8 << 20, "{}", partial.len());
    let asked = fleet.asked(HOME_REGION);
    fleet.perform(&job, false).await?;
    assert_eq!(fleet.asked(HOME_REGION), asked, "what is known is not asked for again");
    other.perform(&job, false).await?;
    let (table, metadata) = fleet.report(&job)?;
    assert_eq!((metadata("status"), metadata("rows")), ("complete".into(), "60480".into()));
    assert!(table.len() > 16 << 20 && table.lines().count() == 60_481, "{}", table.len());
    let (expected, _) = other.report(&job)?;
    assert!(table == expected, "{:?}", first_difference(&table, &expected));
    let keys: Vec<_> =
        table.lines().skip(1).map(|line| line.split(",60,").next().unwrap_or_default()).collect();
    assert!(keys.is_sorted(), "by service, region and period");
    Ok(())
}
