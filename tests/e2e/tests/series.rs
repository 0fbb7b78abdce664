// SPDX-License-Identifier: Apache-2.0
//! Datasets that are one file each, and in no list: what is found by `ListMetrics`, with several dimensions at one minute,
//! and what is split by a dimension. Jobs of them are done by the real worker, and each report is right to the byte.

use std::fmt::Write;

use anyhow::{Context, Result};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use engine::Attempt;
use fleet::{
    Accounts, Dataset, Job, KeyTemplate, ReportDate, RunId, accounts::KeptAccounts, aws,
    bucket_terms::BucketTerms, report_bucket::ReportBucket,
};
use kit::{HOME, HOME_REGION, REPORTS, days_ago};
use local_aws::{Account, Fault, LocalAws, Options, Trust};
use worker::{
    account::breaker::Breaker,
    cloudwatch::limits::Limits,
    failure::Failure,
    report::{Collector, Done, Reporter},
    usage::Usage,
};

pub(crate) const FAR: &str = "us-east-1";
pub(crate) const ID: &str = "111111111111";
pub(crate) const NAMESPACE: &str = "Test/Services";

pub(crate) const SERVICES: &str = r#"
name      = "services"
title     = "Services of clusters, by the minute"
namespace = "Test/Services"
resource  = ["ClusterName", "ServiceName"]
shape     = "series"
layout    = "wide"
period    = "1m"
window    = "1d"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[metric]]
name       = "CPUUtilization"
unit       = "Percent"
statistics = ["Average", "Minimum", "Maximum", "Sum", "SampleCount"]
missing    = "empty"

[[metric]]
name       = "Requests"
unit       = "Count"
statistics = ["Sum"]

[[metric]]
name       = "Errors"
unit       = "Count"
statistics = ["Sum"]
missing    = { zero_with = "Requests" }
"#;

const QUEUES: &str = r#"
name      = "queues"
title     = "Messages of queues, by their kind"
namespace = "Test/Queues"
resource  = ["QueueName"]
shape     = "series"
period    = "5m"
settle    = "10m"
discovery = "list_metrics"
regions   = ["us-east-1"]

[[metric]]
name       = "Messages"
unit       = "Count"
statistics = ["Sum"]

[metric.split]
dimension = "Kind"
values    = { Mail = "mail", Fax = "fax" }
other     = "other"
"#;

/// An AWS with an account, and a worker that knows it.
pub(crate) struct Fleet {
    pub(crate) aws: LocalAws,
    pub(crate) account: Account,
    pub(crate) reporter: Reporter,
}

impl Fleet {
    pub(crate) async fn start() -> Result<Self> {
        let world = LocalAws::start(Options::default()).await?;
        world.account(HOME).bucket(REPORTS, HOME_REGION);
        let keys = Credentials::new(HOME, "secret", None, None, "test");
        let base = aws::base().await.ok().context("no configuration")?;
        let base = aws::with_region(&aws::with_endpoint(&base, &world.endpoint()), HOME_REGION);
        let base = base.to_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build();
        let account = world.account(ID);
        let role = account.role("reader", Trust::default());
        let accounts = Accounts::parse(&format!("[[account]]\nname = 'data'\nrole_arn = '{role}'\n"))?;
        let bucket = ReportBucket::open(&base, REPORTS, BucketTerms::default()).await?;
        let collector = Collector {
            base,
            accounts: KeptAccounts::from(accounts),
            lookback_days: 2,
            regions: vec![FAR.to_owned()],
            limits: Limits::default(),
            authentication: Breaker::default(),
        };
        let reporter = Reporter {
            collector,
            bucket,
            template: KeyTemplate::default(),
            replaces_foreign: false,
            storing: Breaker::default(),
        };
        Ok(Self { aws: world, account, reporter })
    }

    /// Does a job, as a worker that takes it off the queue does.
    pub(crate) async fn perform(&self, job: &Job, is_last: bool) -> Result<Done, Failure> {
        Box::pin(self.reporter.perform(job, &Usage::default(), &Attempt::new(is_last))).await
    }

    /// The report of a job, and its metadata by name.
    pub(crate) fn report(&self, job: &Job) -> Result<(String, impl Fn(&str) -> String + use<>)> {
        let key = self.reporter.template.key(job, None)?;
        let object = self.aws.account(HOME).object(REPORTS, &key).with_context(|| format!("no {key}"))?;
        let metadata = object.metadata.clone();
        let of = move |name: &str| metadata.get(name).cloned().unwrap_or_default();
        Ok((String::from_utf8(object.body.to_vec())?, of))
    }

    pub(crate) fn asked(&self, region: &str) -> u64 {
        self.aws.calls().operation("GetMetricData").region(region).count()
    }
}

/// A dataset of a file that is in no list.
pub(crate) fn dataset(text: &str) -> Result<&'static Dataset> {
    Ok(Box::leak(Box::new(Dataset::parse(text)?)))
}

pub(crate) fn job(dataset: &'static Dataset, date: NaiveDate) -> Result<Job> {
    Ok(Job {
        account_name: "data".parse()?,
        windows: ReportDate::from(date).into(),
        dataset,
        run_id: RunId::generate(),
        only_incomplete: false,
        settle: None,
        attributes: serde_json::Map::new(),
    })
}

pub(crate) fn minute(date: NaiveDate, minute: i64) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(minute)
}

pub(crate) fn seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Gives an account services with a value each minute in two regions, and what is no service of this dataset; gives the
/// report that must come of it.
fn fill(account: &Account, date: NaiveDate, services: usize) -> String {
    let mut rows = Vec::new();
    for region in [HOME_REGION, FAR] {
        for nth in 0..services {
            let service = format!("service-{nth:03}");
            let dimensions = [("ClusterName", "main"), ("ServiceName", &*service)];
            let put = |name: &str, dimensions: &[(&str, &str)], at: i64, value: f64| {
                account.metric(region, NAMESPACE, name, dimensions, minute(date, at), value);
            };
            // Each second minute is silent, and each other one has requests; on the third of them there are errors.
            for at in (0..1440).step_by(2) {
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                let cpu = at as f64 / 8.0 + nth as f64;
                put("CPUUtilization", &dimensions, at, cpu);
                let mut row = format!(
                    "main,{service},data,{ID},{region},{},60,{cpu},{cpu},{cpu},{cpu},1",
                    seconds(minute(date, at))
                );
                let requests = (at % 4 == 0).then_some(7.0);
                if let Some(requests) = requests {
                    put("Requests", &dimensions, at, requests);
                }
                if at == 4 {
                    put("Errors", &dimensions, at, 2.5);
                }
                let errors = requests.map(|_| if at == 4 { "2.5" } else { "0" }).unwrap_or_default();
                let requests = requests.map(|requests| requests.to_string()).unwrap_or_default();
                let _ = write!(row, ",{requests},{errors},ok");
                rows.push(row);
            }
            // What has fewer or more dimensions is another series, which these are counted in.
            put("CPUUtilization", &[("ClusterName", "main")], 0, 1e6);
            let task = [&dimensions[..], &[("TaskId", "1")]].concat();
            put("CPUUtilization", &task, 1, 1e6);
            // The days beside it.
            put("CPUUtilization", &dimensions, -1, 1e6);
            put("CPUUtilization", &dimensions, 1440, 1e6);
        }
        // Alive, and silent on the day.
        let silent = [("ClusterName", "main"), ("ServiceName", "silent")];
        account.metric(region, NAMESPACE, "Requests", &silent, minute(date, -5), 1.0);
        rows.push(format!("main,silent,data,{ID},{region},,,,,,,,,,no_data"));
    }
    // By resource, then by region, then by period.
    rows.sort_by_key(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        (cells[1].to_owned(), cells[4].to_owned(), cells[5].to_owned())
    });
    let header = "cluster_name,service_name,account_name,account_id,region,period_start,period_seconds,\
                  cpu_utilization_average,cpu_utilization_minimum,cpu_utilization_maximum,cpu_utilization_sum,\
                  cpu_utilization_sample_count,requests_sum,errors_sum,status";
    rows.insert(0, header.to_owned());
    rows.join("\n") + "\n"
}

#[tokio::test]
async fn two_dimensions_at_one_minute_are_one_file() -> Result<()> {
    const SERVICES_IN_A_REGION: usize = 20;
    let (fleet, date) = (Fleet::start().await?, days_ago(3));
    let expected = fill(&fleet.account, date, SERVICES_IN_A_REGION);
    let job = job(dataset(SERVICES)?, date)?;
    let Done::Stored { .. } = fleet.perform(&job, false).await? else { panic!("it is stored") };
    let (table, metadata) = fleet.report(&job)?;
    assert!(table == expected, "the first that differs: {:?}", first_difference(&table, &expected));
    assert_eq!(metadata("status"), "complete");
    assert_eq!(metadata("rows"), (2 * (SERVICES_IN_A_REGION * 720 + 1)).to_string());
    assert_eq!(metadata("settle-seconds"), "600");
    // Five statistics of a metric are paid for as one.
    assert_eq!(metadata("metrics-requested"), (2 * (SERVICES_IN_A_REGION * 3 + 1)).to_string());
    // 1,440 datapoints a query, so 70 queries a call, and ten services of seven queries fill one.
    assert_eq!((fleet.asked(HOME_REGION), fleet.asked(FAR)), (3, 3), "no second page, and no more calls");
    Ok(())
}

#[tokio::test]
async fn what_one_try_has_collected_the_next_does_not_ask_for() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(3));
    let expected = fill(&fleet.account, date, 3);
    let job = job(dataset(SERVICES)?, date)?;
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("GetMetricData").region(FAR));
    let failure = fleet.perform(&job, false).await.expect_err("a region does not answer");
    assert!(fault.fired() > 0, "{failure}");
    let (partial, metadata) = fleet.report(&job)?;
    assert_eq!((metadata("status"), metadata("unfinished")), ("partial".into(), "true".into()));
    assert!(partial.contains(&format!("main,service-000,data,{ID},{FAR},,,,,,,,,,error:InternalFailure\n")));
    fault.stop();
    let asked = fleet.asked(HOME_REGION);
    let Done::Stored { .. } = fleet.perform(&job, false).await? else { panic!("it is stored") };
    let (table, metadata) = fleet.report(&job)?;
    assert!(table == expected, "the first that differs: {:?}", first_difference(&table, &expected));
    assert_eq!(metadata("status"), "complete");
    assert_eq!(fleet.asked(HOME_REGION), asked, "what is known is not asked for again");
    Ok(())
}

#[tokio::test]
async fn an_older_day_has_the_period_that_is_still_kept() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(20));
    let dimensions = [("ClusterName", "main"), ("ServiceName", "web")];
    // Of a day so long ago CloudWatch keeps five minutes together, and names the series for what came since.
    for (at, value) in [(0, 1.0), (5, 3.0)] {
        fleet.account.metric(HOME_REGION, NAMESPACE, "Requests", &dimensions, minute(date, at), value);
    }
    fleet.account.metric(HOME_REGION, NAMESPACE, "Requests", &dimensions, minute(days_ago(1), 0), 9.0);
    let job = job(dataset(SERVICES)?, date)?;
    fleet.perform(&job, false).await?;
    let (table, metadata) = fleet.report(&job)?;
    let rows: Vec<&str> = table.lines().skip(1).collect();
    let row = |at: i64, value: &str| {
        format!("main,web,data,{ID},{HOME_REGION},{},300,,,,,,{value},0,ok", seconds(minute(date, at)))
    };
    assert_eq!(rows, [row(0, "1"), row(5, "3")]);
    assert_eq!(metadata("listed"), "false");
    Ok(())
}

#[tokio::test]
async fn a_split_by_a_dimension_is_one_file() -> Result<()> {
    let (fleet, date) = (Fleet::start().await?, days_ago(2));
    let put = |region: &str, queue: &str, kind: &str, at: i64, value: f64| {
        let dimensions = [("Kind", kind), ("QueueName", queue)];
        fleet.account.metric(region, "Test/Queues", "Messages", &dimensions, minute(date, at), value);
    };
    for (kind, at, value) in [("Mail", 0, 1.0), ("Mail", 5, 2.0), ("Fax", 5, 4.0)] {
        put(FAR, "a", kind, at, value);
    }
    // What has no name here is added up.
    for kind in ["Pigeon", "Smoke"] {
        put(FAR, "b", kind, 10, 0.25);
    }
    // The dataset is of one region.
    put(HOME_REGION, "c", "Mail", 0, 1.0);
    let job = job(dataset(QUEUES)?, date)?;
    fleet.perform(&job, false).await?;
    let (table, metadata) = fleet.report(&job)?;
    let row = |queue: &str, at: i64, cells: &str| {
        format!("{queue},data,{ID},{FAR},{},300,{cells},ok\n", seconds(minute(date, at)))
    };
    assert_eq!(
        table,
        [
            "queue_name,account_name,account_id,region,period_start,period_seconds,mail,fax,other,status\n",
            &row("a", 0, "1,,"),
            &row("a", 5, "2,4,"),
            &row("b", 10, ",,0.5"),
        ]
        .concat()
    );
    assert_eq!(metadata("metrics-requested"), "4");
    Ok(())
}

pub(crate) fn first_difference<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    one.lines().zip(other.lines()).find(|(one, other)| one != other)
}
