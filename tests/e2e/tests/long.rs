// SPDX-License-Identifier: Apache-2.0
//! Tables with a row for each value.

use anyhow::{Context, Result};
use chrono::NaiveDate;
use fleet::{Dataset, Job, Windows};
use kit::{HOME_REGION, days_ago};
use local_aws::Fault;
use worker::report::Done;

use crate::series::{FAR, Fleet, ID, NAMESPACE, SERVICES, dataset, job, minute, seconds};

const HEADER: &str = "cluster_name,service_name,account_name,account_id,region,period_start,period_seconds,\
                      metric,unit,statistic,value,status\n";

/// The services of the other tests, by the hour.
fn services(layout: &str) -> Result<&'static Dataset> {
    let text = SERVICES.replace("window    = \"1d\"", "window    = \"1h\"");
    dataset(&text.replace("layout    = \"wide\"", &format!("layout    = \"{layout}\"")))
}

/// The job for two hours of a day.
fn range(dataset: &'static Dataset, date: NaiveDate) -> Result<Job> {
    let windows = Windows::between(minute(date, 0), minute(date, 120), "1h".parse()?)?;
    Ok(Job { windows, ..job(dataset, date)? })
}

/// Gives an account services with values in two hours; gives the reports that must come of it.
fn fill(fleet: &Fleet, date: NaiveDate) -> [String; 2] {
    for region in [HOME_REGION, FAR] {
        let put = |service: &str, metric: &str, at: i64, values: &[f64]| {
            let dimensions = [("ServiceName", service), ("ClusterName", "main")];
            fleet.account.samples(region, NAMESPACE, metric, &dimensions, minute(date, at), values);
        };
        put("api", "Requests", 7, &[0.0]);
        put("silent", "Requests", -5, &[1.0]);
        put("web", "CPUUtilization", 0, &[12.5, 13.0]);
        put("web", "Requests", 0, &[2.0]);
        put("web", "Errors", 0, &[0.5]);
        // Its zeros are known.
        put("web", "Requests", 1, &[4.0]);
        // They are not.
        put("web", "CPUUtilization", 59, &[1e-7]);
        put("web", "Errors", 60, &[3.0]);
    }
    let row = |service: &str, region: &str, at: i64, [metric, unit, statistic, value]: [&str; 4]| {
        let at = seconds(minute(date, at));
        format!("main,{service},data,{ID},{region},{at},60,{metric},{unit},{statistic},{value},ok\n")
    };
    let mut reports = [HEADER.to_owned(), HEADER.to_owned()];
    let [first, second] = &mut reports;
    // By resource, then by region, then by period, then as the file has the metrics.
    let requests = |value: &'static str| ["Requests", "Count", "Sum", value];
    let errors = |value: &'static str| ["Errors", "Count", "Sum", value];
    for service in ["api", "silent", "web"] {
        for region in [HOME_REGION, FAR] {
            let row = |at: i64, cells: [&'static str; 4]| row(service, region, at, cells);
            let nothing = format!("main,{service},data,{ID},{region},,,,,,,no_data\n");
            match service {
                "api" => {
                    *first += &(row(7, requests("0")) + &row(7, errors("0")));
                    *second += &nothing;
                }
                "silent" => {
                    *first += &nothing;
                    *second += &nothing;
                }
                _ => {
                    let cpu = |at: i64, values: [&'static str; 5]| {
                        let names = ["Average", "Minimum", "Maximum", "Sum", "SampleCount"];
                        let rows = names.iter().zip(values);
                        rows.map(|(name, value)| row(at, ["CPUUtilization", "Percent", *name, value]))
                            .collect::<String>()
                    };
                    *first += &cpu(0, ["12.75", "12.5", "13", "25.5", "2"]);
                    *first += &(row(0, requests("2")) + &row(0, errors("0.5")));
                    *first += &(row(1, requests("4")) + &row(1, errors("0")));
                    let small = "0.0000001";
                    *first += &cpu(59, [small, small, small, small, "1"]);
                    *second += &row(60, errors("3"));
                }
            }
        }
    }
    reports
}

fn reports(fleet: &Fleet, job: &Job) -> Result<Vec<String>> {
    job.windows.iter().map(|window| Ok(fleet.report(&job.of(window))?.0)).collect()
}

#[tokio::test]
async fn each_known_value_is_a_row_in_one_window_as_in_several() -> Result<()> {
    let (alone, together, date) = (Fleet::start().await?, Fleet::start().await?, days_ago(1));
    let expected = fill(&alone, date);
    fill(&together, date);
    let job = range(services("long")?, date)?;
    for window in job.windows.iter() {
        alone.perform(&job.of(window), false).await?;
    }
    let Done::Several { stored: 2, partial: 0, .. } = together.perform(&job, false).await? else {
        panic!("both are stored")
    };
    assert_eq!(reports(&alone, &job)?, expected);
    assert_eq!(reports(&together, &job)?, expected);
    let metadata = together.report(&job.of(job.windows.first()))?.1;
    assert_eq!(metadata("rows"), (expected[0].lines().count() - 1).to_string());
    assert_eq!((metadata("status"), metadata("rows-error")), ("complete".into(), "0".into()));
    // The price is that of a wide table: five statistics of a metric are one.
    let wide = Fleet::start().await?;
    fill(&wide, date);
    let of_wide = range(services("wide")?, date)?;
    wide.perform(&of_wide, false).await?;
    let price = |fleet: &Fleet, job: &Job| -> Result<String> {
        Ok(fleet.report(&job.of(job.windows.first()))?.1("job-metrics"))
    };
    assert_eq!(price(&together, &job)?, price(&wide, &of_wide)?);
    Ok(())
}

#[tokio::test]
async fn rows_that_one_attempt_has_the_next_keeps() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    let expected = fill(&fleet, date);
    let job = range(services("long")?, date)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&job, false).await.expect_err("a region does not answer");
    fault.stop();
    let partial = reports(&fleet, &job)?;
    for (partial, expected) in partial.iter().zip(&expected) {
        let lacking = format!("main,web,data,{ID},{FAR},,,,,,,error:InternalFailure\n");
        assert!(partial.contains(&lacking), "{partial}");
        let of_home = |table: &str| -> Vec<String> {
            table.lines().filter(|line| line.contains(HOME_REGION)).map(str::to_owned).collect()
        };
        assert_eq!(of_home(partial), of_home(expected));
    }
    let metadata = fleet.report(&job.of(job.windows.first()))?.1;
    assert_eq!((metadata("status"), metadata("rows-error")), ("partial".into(), "3".into()));
    let asked = fleet.asked(HOME_REGION);
    fleet.perform(&job, false).await?;
    assert_eq!(reports(&fleet, &job)?, expected);
    assert_eq!(fleet.asked(HOME_REGION), asked, "what is known is not asked for again");
    Ok(())
}

#[tokio::test]
async fn what_was_collected_in_another_layout_is_collected_again() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    let expected = fill(&fleet, date);
    let before = range(services("wide")?, date)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&before, false).await.expect_err("a region does not answer");
    fault.stop();
    let after = Job { dataset: services("long")?, ..before };
    fleet.perform(&after, false).await?;
    assert_eq!(reports(&fleet, &after)?, expected);
    Ok(())
}

#[tokio::test]
async fn a_metric_that_came_after_the_first_attempt_is_lacking_nowhere() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    let expected = fill(&fleet, date);
    // The columns are the same without it.
    let text = SERVICES.replace("layout    = \"wide\"", "layout    = \"long\"");
    let text = text.replace("window    = \"1d\"", "window    = \"1h\"");
    let (fewer, _) = text.split_once("[[metric]]\nname       = \"Errors\"").context("the last metric")?;
    let before = range(dataset(fewer)?, date)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&before, false).await.expect_err("a region does not answer");
    fault.stop();
    assert!(reports(&fleet, &before)?.iter().all(|partial| !partial.contains("Errors")));
    let after = Job { dataset: services("long")?, ..before };
    fleet.perform(&after, false).await?;
    assert_eq!(reports(&fleet, &after)?, expected);
    Ok(())
}
