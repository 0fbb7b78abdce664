// SPDX-License-Identifier: Apache-2.0
//! The built-in datasets of shape `series`, each collected by the real worker from an account that has all of them at once,
//! beside the aggregates that AWS publishes under the same names.

use anyhow::{Context, Result};
use chrono::{NaiveDate, TimeDelta};
use fleet::Dataset;
use kit::{
    HOME_REGION, days_ago,
    series_zoo::{self, AGGREGATE, BUSY, Described, LATE, SILENT, Series, Zoo, published::PUBLISHED},
};
use local_aws::{Account, Fault, ResultStatus};

use crate::{
    described,
    series::{FAR, Fleet, ID, job, minute, seconds},
};

/// The regions that the worker asks where a dataset names none.
const ASKED: [&str; 2] = [HOME_REGION, FAR];

/// A fleet that lists as fast as it can: there are some hundred metrics to list.
async fn hurried() -> Result<Fleet> {
    let fleet = Fleet::start().await?;
    for region in ASKED {
        // The first share that is given stays.
        let _ = fleet.reporter.collector.limits.of(&ID.parse()?, &region.into(), 100.0);
    }
    Ok(fleet)
}

/// All datasets of series, and what there is of them.
fn zoo(date: NaiveDate) -> Result<(Vec<(&'static Dataset, Described)>, Zoo)> {
    let (datasets, mut zoo) = (described::all(&ASKED), Zoo::new(date));
    for (_, dataset) in &datasets {
        zoo.add(dataset)?;
    }
    Ok((datasets, zoo))
}

fn fill(account: &Account, zoo: &Zoo) {
    for (series, points) in &zoo.series {
        let dimensions: Vec<_> = series.dimensions.iter().map(|(name, value)| (*name, &**value)).collect();
        for (at, samples) in points {
            let Series { region, namespace, metric, .. } = series;
            account.samples(region, namespace, metric, &dimensions, *at, samples);
        }
    }
}

/// What of a report that the worker makes is not as the zoo has it.
async fn differences(
    fleet: &Fleet,
    (dataset, described): &(&'static Dataset, Described),
    zoo: &Zoo,
    date: NaiveDate,
) -> Result<Vec<String>> {
    let job = job(dataset, date)?;
    fleet.perform(&job, false).await.with_context(|| dataset.name)?;
    let (table, metadata) = fleet.report(&job)?;
    assert_eq!((&*metadata("status"), &*metadata("dataset")), ("complete", dataset.name));
    series_zoo::differences(&table, &zoo.report(described, ("data", ID))?)
}

#[tokio::test]
async fn each_dataset_has_its_own_series_and_no_others() -> Result<()> {
    let (fleet, date) = (hurried().await?, days_ago(3));
    let (datasets, zoo) = zoo(date)?;
    fill(&fleet.account, &zoo);
    for dataset in &datasets {
        let differences = differences(&fleet, dataset, &zoo, date).await?;
        assert_eq!(differences, Vec::<String>::new(), "{}", dataset.0.name);
    }
    assert_eq!(datasets.len(), PUBLISHED.len());
    Ok(())
}

#[tokio::test]
async fn a_wrong_grain_would_be_noticed() -> Result<()> {
    let (fleet, date) = (hurried().await?, days_ago(3));
    let (datasets, zoo) = zoo(date)?;
    // An aggregate lies among the series of the dataset, as it would for a worker that does not tell them apart.
    let mut planted = zoo.clone();
    for (_, dataset) in &datasets {
        planted.put(dataset, &dataset.resource(BUSY)?, 0, TimeDelta::zero(), &[AGGREGATE])?;
    }
    fill(&fleet.account, &planted);
    for dataset in &datasets {
        let differences = differences(&fleet, dataset, &zoo, date).await?;
        let metric = &dataset.0.metrics[0];
        let statistics = metric.statistics.iter().filter(|statistic| *statistic != "Minimum");
        let columns: Vec<String> = metric.columns_of(&metric.column).collect();
        let made = dataset.1.derived.iter().flatten();
        let made = made.filter(|ratio| ratio.iter().any(|of| columns.contains(of)));
        assert_eq!(
            differences.len(),
            statistics.count() + made.count(),
            "{}: {differences:?}",
            dataset.0.name
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_invented_zero_would_be_noticed() -> Result<()> {
    let (fleet, date) = (hurried().await?, days_ago(3));
    let (datasets, zoo) = zoo(date)?;
    let mut planted = zoo.clone();
    for (_, dataset) in &datasets {
        // In place of no data, or, where the account is the resource, of no row.
        planted.put(dataset, &dataset.resource(SILENT)?, 0, dataset.period, &[0.0])?;
        // In place of an empty cell, beside the one value of its row.
        planted.put(dataset, &dataset.resource(LATE)?, 0, TimeDelta::days(1) - dataset.period, &[0.0])?;
    }
    fill(&fleet.account, &planted);
    for dataset in &datasets {
        let differences = differences(&fleet, dataset, &zoo, date).await?;
        let ends = |end: &str| differences.iter().any(|difference| difference.ends_with(end));
        assert!(ends("a row that must not be"), "{}: {differences:?}", dataset.0.name);
        let has_empty_cells = dataset.1.metrics.len() > 1;
        assert_eq!(ends(r#" is "0" instead of """#), has_empty_cells, "{}: {differences:?}", dataset.0.name);
    }
    Ok(())
}

#[tokio::test]
async fn each_page_of_a_listing_is_read_and_a_missed_one_would_be_noticed() -> Result<()> {
    const CROWD: usize = 1100;
    let (fleet, date) = (hurried().await?, days_ago(3));
    let dataset = Dataset::find("usage").context("a dataset")?;
    let dataset = (dataset, described::described(dataset, &ASKED));
    let mut zoo = Zoo::new(date);
    zoo.add_crowd(&dataset.1, CROWD)?;
    fill(&fleet.account, &zoo);
    assert_eq!(differences(&fleet, &dataset, &zoo, date).await?, Vec::<String>::new());
    let fault = fleet.aws.fault(Fault::dropped_page().on("ListMetrics").after(1));
    let missed = differences(&fleet, &dataset, &zoo, date).await?;
    assert_eq!(fault.fired(), 1);
    // Two of three pages.
    assert_eq!(missed.len(), 100, "{missed:?}");
    assert!(missed.iter().all(|difference| difference.ends_with("no row")), "{missed:?}");
    Ok(())
}

#[tokio::test]
async fn a_missed_page_of_values_would_be_noticed() -> Result<()> {
    let (fleet, date) = (hurried().await?, days_ago(3));
    let dataset = Dataset::find("usage").context("a dataset")?;
    let described = described::described(dataset, &ASKED);
    let mut zoo = Zoo::new(date);
    zoo.add_crowd(&described, 50)?;
    fill(&fleet.account, &zoo);
    let fault = fleet.aws.fault(Fault::result(ResultStatus::Missing).after(40));
    let job = job(dataset, date)?;
    fleet.perform(&job, true).await?;
    // Ten, and again each time they are asked for once more.
    assert!(fault.fired() >= 10);
    let (table, metadata) = fleet.report(&job)?;
    assert_eq!(metadata("status"), "partial");
    let missed = series_zoo::differences(&table, &zoo.report(&described, ("data", ID))?)?;
    let rows = missed.iter().filter(|difference| difference.ends_with("no row"));
    assert_eq!(rows.count(), 10, "{missed:?}");
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
