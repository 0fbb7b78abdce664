// SPDX-License-Identifier: Apache-2.0
//! The sink `cloudwatch`: what was measured in many accounts and regions is in the central one, each value once, or is
//! reported.

mod answers;
mod forwarding;
mod kills;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use kit::{Fleet, HOME_REGION, JOBS, REPORTS, Setup, finish};
use local_aws::Account;
use serde_json::{Value, json};

const FAR: &str = "us-east-1";
const CENTRAL: &str = "eu-central-1";
const SOURCE: &str = "AWS/ECS";
const NAMESPACE: &str = "Fleet/ECS";
const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "Sum", "SampleCount"];
const GAUGE: &str = "CPUUtilization";
const COUNTER: &str = "RequestCount";
const SERVICES: [&str; 2] = ["api", "web"];

const FILE: &str = r#"
[[dataset]]
name      = "forwarded"
title     = "ECS services, for one place"
namespace = "AWS/ECS"
resource  = ["ClusterName", "ServiceName"]
shape     = "series"
period    = "1m"
window    = "5m"
settle    = "1m"
discovery = "list_metrics"
regions   = ["eu-west-1", "us-east-1"]

[[dataset.metric]]
name       = "CPUUtilization"
unit       = "Percent"
statistics = ["SampleCount", "Sum", "Minimum", "Maximum"]

[[dataset.metric]]
name       = "RequestCount"
unit       = "Count"
statistics = ["SampleCount", "Sum", "Minimum", "Maximum"]
counter    = true

[[dataset.metric]]
name       = "LiveTaskCount"
unit       = "Count"
statistics = ["Average"]

[[sink]]
name      = "central"
type      = "cloudwatch"
datasets  = ["forwarded"]
region    = "eu-central-1"
namespace = "Fleet/ECS"
"#;

/// Accounts with services, and a central account, which is the fleet's own.
struct Scene {
    fleet: Fleet,
    accounts: Vec<Account>,
    /// The end of the newest window of five minutes when it began.
    end: DateTime<Utc>,
}

/// What of the central account's values is not as at the source.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    /// Metrics and statistics with another value.
    wrong: BTreeSet<(&'static str, &'static str)>,
    /// Metrics that lack a datapoint.
    absent: BTreeSet<&'static str>,
    /// How many statistics are the same.
    same: usize,
}

impl Scene {
    /// Accounts of which each has two services in two regions, with some values in each minute of an hour.
    async fn new(setup: Setup, accounts: usize) -> Result<Self> {
        let mut fleet = Fleet::new(setup).await?;
        let path = fleet.file("fleet.toml", FILE)?;
        fleet.variable("FLEET_CONFIG", &path);
        let ids = (1..=accounts).map(|nth| format!("{}", nth * 111_111_111_111));
        let accounts = ids.zip(["one", "two", "three"]).map(|(id, name)| fleet.account(name, &id)).collect();
        let now = Utc::now().timestamp();
        let end = DateTime::from_timestamp(now - 60 - (now - 60) % 300, 0).context("a time")?;
        let scene = Self { fleet, accounts, end };
        // The next window too, in which a slow test may end.
        for minute in 0..65 {
            scene.measure(scene.end - TimeDelta::minutes(60 - minute), minute);
        }
        Ok(scene)
    }

    /// A scene whose jobs are dead letters as soon as they fail.
    async fn of_one_account() -> Result<Self> {
        Self::new(Setup { max_receives: 1, ..Setup::default() }, 1).await
    }

    fn measure(&self, at: DateTime<Utc>, seed: i64) {
        let mut value = f64::from(i32::try_from(seed).unwrap_or_default());
        for account in &self.accounts {
            for region in [HOME_REGION, FAR] {
                for service in SERVICES {
                    value += 100.125;
                    let dimensions = [("ClusterName", "main"), ("ServiceName", service)];
                    let put = |metric, values: &[f64]| {
                        account.samples(region, SOURCE, metric, &dimensions, at, values);
                    };
                    put(GAUGE, &[value, value + 0.3, value / 7.0]);
                    put(COUNTER, &[value.floor(), 3.0]);
                    put("LiveTaskCount", &[2.0]);
                }
            }
        }
    }

    /// The bounds of the newest window.
    fn window(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.end - TimeDelta::minutes(5), self.end)
    }

    /// Runs the first account's newest window.
    async fn run(&self) -> Result<()> {
        let (from, to) = self.window();
        let (from, to) = (moment(from), moment(to));
        let run = ["run", "--account-name", "one", "--dataset", "forwarded", "--window", "5m"];
        let run = [&run[..], &["--from", &from, "--to", &to]].concat();
        finish(self.fleet.producer(&run)).await?.status(0);
        self.fleet.work(&[]).await?;
        Ok(())
    }

    /// Sends the job of the first account for the newest window.
    fn send(&self) {
        let (from, to) = self.window();
        let job = json!({
            "account_name": "one", "dataset": "forwarded", "from": moment(from), "to": moment(to), "window": "5m",
            "run_id": "0199a000-0000-7000-8000-000000000001",
        });
        self.fleet.home.send(JOBS, &job.to_string());
    }

    /// Sends what is in the dead-letter queue again, and lets a worker do it.
    async fn try_again(&self) -> Result<()> {
        finish(self.fleet.producer(&["replay", "--all"])).await?.status(0);
        self.fleet.work(&[]).await?;
        Ok(())
    }

    async fn force(&self) -> Result<()> {
        let deliver = ["deliver", "--sink", "central", "--account-name", "one", "--last", "20m", "--force"];
        finish(self.fleet.producer(&deliver)).await?.status(0);
        self.fleet.work(&[]).await?;
        assert!(self.fleet.dead_letters().is_empty(), "{:?}", self.fleet.dead_letters());
        Ok(())
    }

    fn puts(&self) -> u64 {
        self.fleet.aws.calls().operation("PutMetricData").count()
    }

    /// The records of what was delivered.
    fn markers(&self) -> Result<Vec<Value>> {
        let keys = self.fleet.home.keys(REPORTS, "delivered/central/");
        keys.iter()
            .map(|key| Ok(serde_json::from_slice(&self.fleet.object(key).context("a marker")?.body)?))
            .collect()
    }

    /// The only record of what was delivered.
    fn marker(&self) -> Result<Value> {
        let markers = self.markers()?;
        let [marker] = &markers[..] else { anyhow::bail!("not one: {markers:?}") };
        Ok(marker.clone())
    }

    /// Compares the datapoints of minutes, all statistics of all services of the first `accounts`.
    fn differences(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Differences {
        let mut differences = Differences::default();
        for account in &self.accounts {
            for (region, service) in
                [HOME_REGION, FAR].into_iter().flat_map(|region| SERVICES.map(|it| (region, it)))
            {
                let resource = [("ClusterName", "main"), ("ServiceName", service)];
                let central = [resource[0], resource[1], ("AccountId", account.id()), ("Region", region)];
                let mut at = from;
                while at < to {
                    for metric in [GAUGE, COUNTER] {
                        for statistic in STATISTICS {
                            let source =
                                account.statistic(region, (SOURCE, metric, statistic), &resource, at, 60);
                            let put = self.fleet.home.statistic(
                                CENTRAL,
                                (NAMESPACE, metric, statistic),
                                &central,
                                at,
                                60,
                            );
                            match put {
                                None => _ = differences.absent.insert(metric),
                                Some(_) if put == source => differences.same += 1,
                                Some(_) => _ = differences.wrong.insert((metric, statistic)),
                            }
                        }
                    }
                    at += TimeDelta::minutes(1);
                }
            }
        }
        differences
    }

    /// Compares the newest window.
    fn of_window(&self) -> Differences {
        let (from, to) = self.window();
        self.differences(from, to)
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What a marker counts: sent, unknown, repeated.
fn counts(marker: &Value) -> [u64; 3] {
    ["sent", "unknown", "repeated"].map(|name| marker[name].as_u64().unwrap_or_default())
}
