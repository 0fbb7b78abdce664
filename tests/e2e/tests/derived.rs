// SPDX-License-Identifier: Apache-2.0
//! Columns that are made of others of their row.

use anyhow::Result;
use chrono::NaiveDate;
use fleet::{Dataset, Job, Windows};
use kit::{HOME_REGION, days_ago};
use local_aws::Fault;
use worker::report::Done;

use crate::series::{FAR, Fleet, ID, dataset, job, minute, seconds};

const NAMESPACE: &str = "Shop";

const ORDERS: &str = r#"
name      = "orders"
title     = "Orders of shops"
namespace = "Shop"
resource  = ["ShopName"]
shape     = "series"
period    = "1m"
window    = "1h"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[metric]]
name       = "Orders"
unit       = "Count"
statistics = ["Sum"]

[[metric]]
name       = "Refusals"
unit       = "Count"
statistics = ["Sum", "Maximum"]

[[metric]]
name       = "Returns"
unit       = "Count"
statistics = ["Sum"]
missing    = { zero_with = "Orders" }
"#;

const DERIVED: &str = r#"
[[derived]]
name  = "return_rate"
ratio = ["returns_sum", "orders_sum"]

[[derived]]
name  = "most_refused"
ratio = ["refusals_maximum", "refusals_sum"]
"#;

const HEADER: &str = "shop_name,account_name,account_id,region,period_start,period_seconds,\
                      orders_sum,refusals_sum,refusals_maximum,returns_sum,return_rate,most_refused,status\n";

fn with_derived() -> Result<&'static Dataset> {
    dataset(&format!("{ORDERS}{DERIVED}"))
}

/// The job for two hours of a day.
fn range(dataset: &'static Dataset, date: NaiveDate) -> Result<Job> {
    let windows = Windows::between(minute(date, 0), minute(date, 120), "1h".parse()?)?;
    Ok(Job { windows, ..job(dataset, date)? })
}

/// Gives an account shops with all that a ratio can be made of, in two hours; gives the reports that must come of it.
fn fill(fleet: &Fleet, date: NaiveDate) -> [String; 2] {
    let values: [(i64, [&[f64]; 3], &str); 8] = [
        (0, [&[3.0], &[2.0, 6.0], &[1.0]], "3,8,6,1,0.3333333333333333,0.75"),
        // No return is known, and it is 0 beside orders.
        (1, [&[4.0], &[], &[]], "4,,,0,0,"),
        // Nothing can be divided by no orders.
        (2, [&[0.0], &[0.0], &[5.0]], "0,0,0,5,,"),
        (3, [&[0.0], &[], &[]], "0,,,0,,"),
        // Returns beside no known orders.
        (4, [&[], &[], &[7.0]], ",,,7,,"),
        (59, [&[], &[0.5], &[]], ",0.5,0.5,,,1"),
        (60, [&[2e7], &[], &[1.0]], "20000000,,,1,0.00000005,"),
        (119, [&[1.0], &[3.0], &[3.0]], "1,3,3,3,3,1"),
    ];
    let mut reports = [HEADER.to_owned(), HEADER.to_owned()];
    for region in [HOME_REGION, FAR] {
        let put = |shop: &str, metric: &str, at: i64, values: &[f64]| {
            let dimensions = [("ShopName", shop)];
            fleet.account.samples(region, NAMESPACE, metric, &dimensions, minute(date, at), values);
        };
        put("silent", "Orders", -5, &[1.0]);
        for (at, metrics, _) in values {
            for (metric, values) in ["Orders", "Refusals", "Returns"].iter().zip(metrics) {
                if !values.is_empty() {
                    put("north", metric, at, values);
                }
            }
        }
    }
    for (report, hour) in reports.iter_mut().zip([0..60, 60..120]) {
        // By resource, then by region.
        for region in [HOME_REGION, FAR] {
            for (at, _, cells) in values.iter().filter(|(at, ..)| hour.contains(at)) {
                let at = seconds(minute(date, *at));
                *report += &format!("north,data,{ID},{region},{at},60,{cells},ok\n");
            }
        }
        for region in [HOME_REGION, FAR] {
            *report += &format!("silent,data,{ID},{region},,,,,,,,,no_data\n");
        }
    }
    reports
}

fn reports(fleet: &Fleet, job: &Job) -> Result<Vec<String>> {
    job.windows.iter().map(|window| Ok(fleet.report(&job.of(window))?.0)).collect()
}

#[tokio::test]
async fn a_ratio_is_made_of_its_row_and_is_empty_where_it_is_not_known() -> Result<()> {
    let (alone, together, date) = (Fleet::start().await?, Fleet::start().await?, days_ago(1));
    let expected = fill(&alone, date);
    fill(&together, date);
    let job = range(with_derived()?, date)?;
    for window in job.windows.iter() {
        alone.perform(&job.of(window), false).await?;
    }
    let Done::Several { stored: 2, partial: 0, .. } = together.perform(&job, false).await? else {
        panic!("both are stored")
    };
    assert_eq!(reports(&alone, &job)?, expected);
    assert_eq!(reports(&together, &job)?, expected);
    // What is made of others is not paid for.
    let asked = together.report(&job.of(job.windows.first()))?.1("job-metrics");
    assert_eq!(asked, (2 * 4).to_string());
    Ok(())
}

#[tokio::test]
async fn a_ratio_that_one_attempt_has_made_the_next_keeps() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    let expected = fill(&fleet, date);
    let job = range(with_derived()?, date)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&job, false).await.expect_err("a region does not answer");
    fault.stop();
    let partial = reports(&fleet, &job)?;
    let lacking = format!("north,data,{ID},{FAR},,,,,,,,,error:InternalFailure\n");
    assert!(partial.iter().all(|partial| partial.contains(&lacking)), "{partial:?}");
    assert!(partial[0].contains("3,8,6,1,0.3333333333333333,0.75,ok\n"), "{partial:?}");
    let asked = fleet.asked(HOME_REGION);
    fleet.perform(&job, false).await?;
    assert_eq!(reports(&fleet, &job)?, expected);
    assert_eq!(fleet.asked(HOME_REGION), asked, "what is known is not asked for again");
    Ok(())
}

#[tokio::test]
async fn what_was_collected_before_a_column_was_derived_is_collected_again() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(1));
    let expected = fill(&fleet, date);
    let before = range(dataset(ORDERS)?, date)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    fleet.perform(&before, false).await.expect_err("a region does not answer");
    fault.stop();
    assert!(reports(&fleet, &before)?.iter().all(|partial| !partial.contains("return_rate")));
    // The same job, by a worker that has read the file anew.
    let after = Job { dataset: with_derived()?, ..before };
    fleet.perform(&after, false).await?;
    assert_eq!(reports(&fleet, &after)?, expected);
    Ok(())
}
