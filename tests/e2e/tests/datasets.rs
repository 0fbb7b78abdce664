// SPDX-License-Identifier: Apache-2.0
//! The built-in datasets of shape `series`, each collected by the real worker from an account that has all of them at once,
//! beside the aggregates that AWS publishes under the same names.

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use fleet::{
    Dataset,
    datasets::{self, Missing, Regions, Shape},
};
use kit::{HOME_REGION, days_ago};
use local_aws::Account;

use crate::series::{FAR, Fleet, ID, job, minute, seconds};

/// The only row of each kind that a dataset must have, and the account's series for them.
fn fill(account: &Account, dataset: &Dataset, date: NaiveDate) -> Result<String> {
    let region = match &dataset.regions {
        Regions::Named(regions) => regions.first().context("a region")?,
        _ => HOME_REGION,
    };
    let period = dataset.period.seconds();
    let at = |nth: i64| minute(date, 0) + TimeDelta::seconds(nth * i64::from(period));
    let resource = |name: &str| -> Vec<(String, String)> {
        let value = |dimension: &String| (dimension.clone(), format!("{name}/{}.fifo:1", dimension.len()));
        dataset.resource.iter().map(value).collect()
    };
    let put = |name: &str, dimensions: &[(String, String)], at: DateTime<Utc>, value: f64| {
        let dimensions: Vec<_> = dimensions.iter().map(|(name, value)| (&**name, &**value)).collect();
        account.metric(region, &dataset.namespace, name, &dimensions, at, value);
    };
    let busy = resource("busy");
    let finer = [&busy[..], &[("Decoy".to_owned(), "1".to_owned())]].concat();
    let witnesses: Vec<&str> = dataset
        .metrics
        .iter()
        .filter_map(|metric| match &metric.missing {
            Missing::ZeroWith(with) => Some(&**with),
            Missing::Empty => None,
        })
        .collect();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (value, metric) in (1_u32..).zip(&dataset.metrics) {
        let value = f64::from(value) + 0.25;
        put(&metric.name, &busy, at(0), value);
        put(&metric.name, &finer, at(0), 1e6);
        let is_witness = witnesses.contains(&&*metric.name);
        if is_witness {
            put(&metric.name, &busy, at(1), value);
        }
        for statistic in &metric.statistics {
            // There is one sample in each period.
            let value = if statistic == "SampleCount" { 1.0 } else { value };
            first.push(value.to_string());
            second.push(match &metric.missing {
                // Zero as far as the one that shows it is there.
                Missing::ZeroWith(_) => "0".to_owned(),
                Missing::Empty if is_witness => value.to_string(),
                Missing::Empty => String::new(),
            });
        }
    }
    let row = |resource: &[(String, String)], at: Option<DateTime<Utc>>, cells: Vec<String>, status: &str| {
        let values = resource.iter().map(|(_, value)| value.clone());
        let fixed = ["data".to_owned(), ID.to_owned(), region.to_owned()];
        let period =
            [at.map(seconds).unwrap_or_default(), at.map(|_| period.to_string()).unwrap_or_default()];
        let row = values.chain(fixed).chain(period).chain(cells).chain([status.to_owned()]);
        row.collect::<Vec<_>>().join(",") + "\n"
    };
    let columns: Vec<&str> = dataset.columns.iter().map(|column| &*column.name).collect();
    let nothing = vec![String::new(); first.len()];
    let mut table = columns.join(",") + "\n" + &row(&busy, Some(at(0)), first, "ok");
    if !witnesses.is_empty() {
        table += &row(&busy, Some(at(1)), second, "ok");
    }
    if !dataset.resource.is_empty() {
        // Alive the day before, so that it is listed, and silent on the day.
        let silent = resource("silent");
        let metric = dataset.metrics.first().context("a metric")?;
        put(&metric.name, &silent, at(-1), 1e6);
        table += &row(&silent, None, nothing, "no_data");
    }
    Ok(table)
}

#[tokio::test]
async fn each_dataset_has_its_own_series_and_no_others() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(3));
    let series: Vec<&'static Dataset> =
        datasets::all().filter(|dataset| dataset.shape == Shape::Series).collect();
    let mut expected = Vec::new();
    for dataset in &series {
        expected.push(fill(&fleet.account, dataset, date)?);
    }
    for (dataset, expected) in series.into_iter().zip(expected) {
        let job = job(dataset, date)?;
        fleet.perform(&job, false).await.with_context(|| dataset.name)?;
        let (table, metadata) = fleet.report(&job)?;
        assert_eq!(table, expected, "{}", dataset.name);
        assert_eq!((&*metadata("status"), &*metadata("dataset")), ("complete", dataset.name));
    }
    Ok(())
}

/// The rows of a report's one account, without what is the same in each: the account, its region and the period's length.
fn rows(table: &str, dimensions: usize) -> Vec<String> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let (resource, rest) = cells.split_at(dimensions);
        assert_eq!(rest[..3], ["data", ID, HOME_REGION], "{line}");
        [resource, &rest[3..4], &rest[5..]].concat().join(",")
    };
    table.lines().skip(1).map(row).collect()
}

#[tokio::test]
async fn services_of_clusters_are_told_apart_and_a_cluster_is_no_service() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(3));
    let put = |name: &str, dimensions: &[(&str, &str)], at: i64, value: f64| {
        fleet.account.metric(HOME_REGION, "AWS/ECS", name, dimensions, minute(date, at), value);
    };
    put("CPUUtilization", &[("ServiceName", "web"), ("ClusterName", "main")], 7, 30.5);
    put("MemoryUtilization", &[("ClusterName", "main"), ("ServiceName", "web")], 7, 130.0);
    put("CPUUtilization", &[("ClusterName", "test"), ("ServiceName", "web")], 8, 1.0);
    put("CPUUtilization", &[("ClusterName", "main"), ("ServiceName", "idle")], -1, 9.0);
    put("CPUUtilization", &[("ClusterName", "main")], 7, 77.0);
    put("CPUReservation", &[("ClusterName", "main")], 7, 12.5);
    let at = |minutes: i64| seconds(minute(date, minutes));

    let services = job(Dataset::find("ecs_service").context("a dataset")?, date)?;
    fleet.perform(&services, false).await?;
    let (table, metadata) = fleet.report(&services)?;
    let expected = [
        "main,idle,,,,,,,,no_data".to_owned(),
        format!("main,web,{},30.5,30.5,130,130,,,ok", at(7)),
        format!("test,web,{},1,1,,,,,ok", at(8)),
    ];
    assert_eq!(rows(&table, 2), expected);
    assert_eq!((&*metadata("rows"), &*metadata("metrics-requested")), ("3", "4"));

    let clusters = job(Dataset::find("ecs_cluster").context("a dataset")?, date)?;
    fleet.perform(&clusters, false).await?;
    let (table, _) = fleet.report(&clusters)?;
    assert_eq!(rows(&table, 1), [format!("main,{},77,77,,,12.5,,,ok", at(7))]);
    Ok(())
}

#[tokio::test]
async fn a_target_group_without_requests_has_zeros_while_it_has_targets() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(3));
    let (balancer, group) =
        (("LoadBalancer", "app/web/50dc6c495c0c9188"), ("TargetGroup", "targetgroup/api/73e2d6bc24d8a067"));
    let put = |name: &str, dimensions: &[(&str, &str)], at: i64, value: f64| {
        fleet.account.metric(HOME_REGION, "AWS/ApplicationELB", name, dimensions, minute(date, at), value);
    };
    let own = [balancer, group];
    for at in [0, 1] {
        put("HealthyHostCount", &own, at, 2.0);
    }
    put("RequestCount", &own, 0, 40.0);
    put("HTTPCode_Target_5XX_Count", &own, 0, 3.0);
    put("TargetResponseTime", &own, 0, 0.125);
    // Requests while no target is known to have been there: what else there was is not known.
    put("RequestCount", &own, 2, 1.0);
    // The same again: of the balancer, of the group, and as one zone sees it.
    let zone = ("AvailabilityZone", "eu-central-1a");
    for dimensions in [&[balancer][..], &[group], &[zone, balancer], &[zone, balancer, group]] {
        for name in ["RequestCount", "HealthyHostCount", "HTTPCode_Target_5XX_Count"] {
            put(name, dimensions, 0, 1e6);
        }
    }
    let job = job(Dataset::find("elb_application_target").context("a dataset")?, date)?;
    fleet.perform(&job, false).await?;
    let (table, _) = fleet.report(&job)?;
    let resource = format!("{},{}", balancer.1, group.1);
    let at = |minutes: i64| seconds(minute(date, minutes));
    assert_eq!(
        rows(&table, 2),
        [
            // Requests, of IPv6, by answer, their time, healthy and unhealthy hosts, the rest.
            format!("{resource},{},40,0,0,0,0,3,0.125,0.125,0.125,2,2,,,,0,0,0,0,,ok", at(0)),
            format!("{resource},{},0,0,0,0,0,0,,,,2,2,,,,0,0,0,0,,ok", at(1)),
            format!("{resource},{},1,,,,,,,,,,,,,,,,,,,ok", at(2)),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_silent_queue_holds_nothing_that_is_known() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(3));
    let put = |queue: &str, name: &str, at: i64, value: f64| {
        let dimensions = [("QueueName", queue)];
        fleet.account.metric(HOME_REGION, "AWS/SQS", name, &dimensions, minute(date, at), value);
    };
    for (at, value) in [(10, 4.0), (11, 6.0)] {
        put("orders.fifo", "ApproximateNumberOfMessagesVisible", at, value);
    }
    put("orders.fifo", "NumberOfMessagesSent", 10, 2.0);
    put("orders.fifo", "NumberOfDeduplicatedSentMessages", 10, 0.0);
    put("dead", "ApproximateNumberOfMessagesVisible", -30, 5.0);
    // Of another region, which is asked too.
    fleet.account.metric(
        FAR,
        "AWS/SQS",
        "NumberOfEmptyReceives",
        &[("QueueName", "x")],
        minute(date, 0),
        1.0,
    );
    let job = job(Dataset::find("sqs").context("a dataset")?, date)?;
    fleet.perform(&job, false).await?;
    let (table, metadata) = fleet.report(&job)?;
    let at = |minutes: i64| seconds(minute(date, minutes));
    let (far, home): (Vec<&str>, Vec<&str>) = table.lines().skip(1).partition(|line| line.contains(FAR));
    assert_eq!(far, [format!("x,data,{ID},{FAR},{},60,,,,,,,,,,1,,,,,ok", at(0))]);
    assert_eq!(
        home,
        [
            format!("dead,data,{ID},{HOME_REGION},,,,,,,,,,,,,,,,,no_data"),
            format!("orders.fifo,data,{ID},{HOME_REGION},{},60,4,4,,,,,2,,,,,,0,,ok", at(10)),
            format!("orders.fifo,data,{ID},{HOME_REGION},{},60,6,6,,,,,,,,,,,,,ok", at(11)),
        ]
    );
    assert_eq!(metadata("settle-seconds"), "1200");
    Ok(())
}

#[tokio::test]
async fn every_region_that_the_account_has_enabled_is_asked_or_the_report_says_that_it_is_not() -> Result<()>
{
    const NEVER_CONFIGURED: [&str; 2] = ["ap-southeast-2", "sa-east-1"];
    let date = days_ago(3);
    let dataset = Dataset::find("sqs").context("a dataset")?;
    for is_denied in [false, true] {
        let fleet = Fleet::start().await?;
        fleet.account.enable_regions(&[NEVER_CONFIGURED[0], FAR, HOME_REGION, NEVER_CONFIGURED[1]]);
        if is_denied {
            fleet.account.deny("account:ListRegions");
        }
        for region in [NEVER_CONFIGURED[0], FAR, HOME_REGION, NEVER_CONFIGURED[1], "eu-north-1"] {
            let queue = [("QueueName", "orders")];
            fleet.account.metric(region, "AWS/SQS", "NumberOfMessagesSent", &queue, minute(date, 0), 1.0);
        }
        let job = job(dataset, date)?;
        fleet.perform(&job, false).await?;
        let (table, metadata) = fleet.report(&job)?;
        let region = |line: &str| line.split(',').nth(3).map(str::to_owned).context("a region");
        let regions: Vec<String> = table.lines().skip(1).map(region).collect::<Result<_>>()?;
        let mut expected = vec![FAR, HOME_REGION];
        if !is_denied {
            expected.extend(NEVER_CONFIGURED);
        }
        expected.sort_unstable();
        assert_eq!(regions, expected, "denied: {is_denied}");
        assert_eq!(metadata("status"), "complete");
        assert_eq!(metadata("regions"), if is_denied { "not listed" } else { "" });
        let listed = fleet.aws.calls().operation("ListRegions");
        // Two a page.
        assert_eq!(listed.region(FAR).count(), if is_denied { 1 } else { 2 });
    }
    Ok(())
}
