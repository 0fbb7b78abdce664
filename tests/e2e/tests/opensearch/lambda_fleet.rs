// SPDX-License-Identifier: Apache-2.0
//! A thousand functions of twenty accounts, from CloudWatch into real nodes: each number of the fleet as an aggregation gives
//! it there, against what was published; also after a redelivery, another collection, and a restart of a node that throttles.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use kit::{
    Fleet, JOBS, Setup, days_ago, finish, http,
    search_node::{Node, Version},
};
use local_aws::{Account, Function, SyntheticMetric, SyntheticSeries};
use serde_json::{Value, json};

const ACCOUNTS: usize = 20;
const FUNCTIONS: usize = 50;

/// Seconds from one row of a function to the next, and how many rows it has in an hour.
const PERIOD: u32 = 300;
const ROWS_AN_HOUR: usize = 12;

const TIMEOUT_SECONDS: f64 = 60.0;

/// Prices of us-east-1 and eu-west-1: of a request, and of a GB-second on x86 and on arm64.
const REQUEST: f64 = 0.2 / 1e6;
const X86: f64 = 0.000_016_666_7;
const ARM64: f64 = 0.000_013_333_4;

/// The only writer, and one place before it: more writers at once are answered 429.
const NARROW: [&str; 2] = ["thread_pool.write.size=1", "thread_pool.write.queue_size=1"];

/// What is true of an account, or what the node says of it, by what it is called.
type Numbers = BTreeMap<String, f64>;

struct World {
    fleet: Fleet,
    plan: SyntheticSeries,
    accounts: Vec<(String, Account)>,
}

impl World {
    async fn new(url: &str) -> Result<Self> {
        let setup = Setup { max_receives: 100, ..Setup::default() };
        let mut fleet = Fleet::new(setup).await?;
        let metric = |namespace: &str, name: &str, unit: &str| SyntheticMetric {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            split: None,
            dimensions: (namespace == "LambdaInsights").then(|| vec!["function_name".to_owned()]),
        };
        let plan = SyntheticSeries {
            dimensions: vec!["FunctionName".to_owned()],
            metrics: vec![
                metric("AWS/Lambda", "Invocations", "Count"),
                metric("AWS/Lambda", "Errors", "Count"),
                metric("AWS/Lambda", "Duration", "Milliseconds"),
                metric("LambdaInsights", "memory_utilization", "Percent"),
                metric("LambdaInsights", "init_duration", "Milliseconds"),
            ],
            resources: FUNCTIONS,
            regions: 2,
            period: PERIOD,
            days: 3,
            seed: 3,
        };
        let mut accounts = Vec::new();
        for nth in 0..ACCOUNTS {
            let name = format!("team-{nth:02}");
            let account = fleet.account(&name, &format!("{:012}", 700_000_000_001 + nth));
            account.enable_regions(plan.regions());
            account.synthetic_series(&plan);
            for (number, (region, values)) in plan.resources().enumerate() {
                account.create_function(region, function(&values[0], number));
            }
            accounts.push((name, account));
        }
        let file = fleet.file(
            "fleet.toml",
            &format!(
                "[[select]]\nname = 'lambda_fleet'\ndataset = 'lambda_function'\nperiod = '5m'\nwindow = '1h'\n\n\
                 [[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = ['lambda_fleet']\nurl = '{url}'\nauth = 'none'\n"
            ),
        )?;
        fleet.variable("FLEET_CONFIG", &file);
        let names: Vec<&str> = accounts.iter().map(|(name, _)| name.as_str()).collect();
        fleet.variable("FLEET_DEFAULT_ACCOUNTS", &names.join(","));
        Ok(Self { fleet, plan, accounts })
    }

    async fn producer(&self, arguments: &[&str]) -> Result<String> {
        Ok(finish(self.fleet.producer(arguments)).await?.status(0).stdout)
    }

    /// Sends the jobs of an hour of yesterday.
    async fn send(&self, command: &[&str], hour: i64) -> Result<()> {
        let [from, to] = [hour, hour + 1].map(|hour| moment(begin() + TimeDelta::hours(hour)));
        let what = ["--dataset", "lambda_fleet", "--from", &from, "--to", &to];
        self.producer(&[command, &what].concat()).await.map(drop)
    }

    /// Lets two workers do what is on the queue, however often it takes.
    async fn work(&self) -> Result<()> {
        let run = ["run", "--exit-when-empty", "--concurrency", "4"];
        for _ in 0..20 {
            let (one, two) =
                tokio::try_join!(finish(self.fleet.worker(&run)), finish(self.fleet.worker(&run)))?;
            ensure!(one.code == Some(0) && two.code == Some(0), "{}{}", one.stderr, two.stderr);
            if self.fleet.home.counts(JOBS).total() == 0 {
                let dead = self.fleet.dead_letters();
                ensure!(dead.is_empty(), "{dead:?}");
                return Ok(());
            }
            // What is retried later, is retried now.
            self.fleet.home.pass_time(JOBS, Duration::from_hours(1));
        }
        anyhow::bail!("the queue is not empty")
    }

    /// What is true of each account in so many hours.
    fn truth(&self, hours: i64) -> BTreeMap<String, Numbers> {
        let of = |(name, account): &(String, Account)| (name.clone(), self.truth_of(account, hours));
        self.accounts.iter().map(of).collect()
    }

    fn truth_of(&self, account: &Account, hours: i64) -> Numbers {
        let mut numbers = Numbers::new();
        let mut most = BTreeMap::new();
        for (number, (region, values)) in self.plan.resources().enumerate() {
            let function = function(&values[0], number);
            let price = if function.architecture == "arm64" { ARM64 } else { X86 };
            for row in 0..hours * i64::try_from(ROWS_AN_HOUR).unwrap_or(0) {
                let at = begin() + TimeDelta::seconds(i64::from(PERIOD) * row);
                let get = |namespace: &str, metric: &str, statistic: &str| {
                    let dimension = if namespace == "AWS/Lambda" { "FunctionName" } else { "function_name" };
                    let dimensions = [(dimension, &*values[0])];
                    account.statistic(region, (namespace, metric, statistic), &dimensions, at, PERIOD)
                };
                let of_lambda = |metric: &str, statistic: &str| get("AWS/Lambda", metric, statistic);
                let of_insights = |metric: &str, statistic: &str| get("LambdaInsights", metric, statistic);
                let mut add = |name: &str, value: f64| *numbers.entry(name.to_owned()).or_default() += value;
                let [invocations, errors] =
                    ["Invocations", "Errors"].map(|it| of_lambda(it, "Sum").unwrap_or_default());
                let duration = of_lambda("Duration", "Sum").unwrap_or_default();
                add("invocations", invocations);
                add("errors", errors);
                add("duration", duration);
                add("cold_starts", of_insights("init_duration", "SampleCount").unwrap_or_default());
                let gb_seconds = duration / 1000.0 * f64::from(function.memory_mb) / 1024.0;
                add("cost", invocations * REQUEST + gb_seconds * price);
                add("rows", 1.0);
                let maximum = of_lambda("Duration", "Maximum");
                let part = |milliseconds: f64| milliseconds / (TIMEOUT_SECONDS * 1000.0);
                for (name, value) in [
                    ("p50", of_lambda("Duration", "p50")),
                    ("p95", of_lambda("Duration", "p95")),
                    ("p99", of_lambda("Duration", "p99")),
                    ("maximum", maximum),
                    ("memory", of_insights("memory_utilization", "Maximum")),
                    ("proximity", maximum.map(part)),
                    ("proximity_p99", of_lambda("Duration", "p99").map(part)),
                ] {
                    let known = most.entry(name).or_insert(f64::MIN);
                    *known = value.map_or(*known, |value| value.max(*known));
                }
            }
            let runtime = function.runtime.as_deref().unwrap_or("image");
            *numbers.entry(format!("functions of {runtime}")).or_default() += 1.0;
        }
        numbers.extend(most.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let of = |name: &str| numbers.get(name).copied().unwrap_or(f64::NAN);
        let (rate, average) = (of("errors") / of("invocations"), of("duration") / of("invocations"));
        numbers.extend([("error_rate".to_owned(), rate), ("average".to_owned(), average)]);
        numbers
    }
}

fn begin() -> DateTime<Utc> {
    days_ago(1).and_time(NaiveTime::MIN).and_utc()
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a function is, by its number.
fn function(name: &str, number: usize) -> Function {
    let runtime = match number % 5 {
        0 => None,
        1 => Some("nodejs16.x"),
        2 => Some("nodejs22.x"),
        _ => Some("python3.13"),
    };
    Function {
        runtime: runtime.map(str::to_owned),
        architecture: if number.is_multiple_of(3) { "arm64" } else { "x86_64" }.to_owned(),
        memory_mb: 128 << (number % 4),
        timeout_seconds: 60,
        ..Function::new(name)
    }
}

/// What the node says of each account.
async fn found(url: &str) -> Result<BTreeMap<String, Numbers>> {
    http::json("POST", &format!("{url}/fleet-*/_refresh"), &Value::Null).await?;
    let mut of_account = serde_json::Map::new();
    for (name, kind, field) in [
        ("invocations", "sum", "invocations_sum"),
        ("errors", "sum", "errors_sum"),
        ("duration", "sum", "duration_sum"),
        ("cold_starts", "sum", "cold_starts"),
        ("cost", "sum", "cost_usd"),
        ("rows", "value_count", "period_start"),
        ("p50", "max", "duration_p50"),
        ("p95", "max", "duration_p95"),
        ("p99", "max", "duration_p99"),
        ("maximum", "max", "duration_maximum"),
        ("memory", "max", "memory_utilization_maximum"),
        ("proximity", "max", "timeout_proximity_maximum"),
        ("proximity_p99", "max", "timeout_proximity_p99"),
    ] {
        of_account.insert(name.to_owned(), json!({ kind: { "field": field } }));
    }
    let functions =
        json!({"functions": {"cardinality": {"field": "resource_path", "precision_threshold": 1000}}});
    let runtimes = json!({"terms": {"field": "runtime", "missing": "image", "size": 20}, "aggs": functions});
    of_account.insert("runtimes".to_owned(), runtimes);
    let by_account = json!({"terms": {"field": "account_name", "size": 100}, "aggs": of_account});
    let body = json!({"size": 0, "track_total_hits": true, "aggs": {"accounts": by_account}});
    let (status, answer) = http::json("POST", &format!("{url}/fleet-lambda_fleet-*/_search"), &body).await?;
    ensure!(status == 200, "{status} {answer}");
    let buckets = answer.pointer("/aggregations/accounts/buckets").and_then(Value::as_array);
    let numbers = |bucket: &Value| {
        let fields = bucket.as_object().into_iter().flatten();
        let mut numbers: Numbers =
            fields.filter_map(|(name, of)| Some((name.clone(), of["value"].as_f64()?))).collect();
        for runtime in bucket["runtimes"]["buckets"].as_array().into_iter().flatten() {
            let name = format!("functions of {}", runtime["key"].as_str().unwrap_or_default());
            numbers.insert(name, runtime["functions"]["value"].as_f64().unwrap_or_default());
        }
        let of = |name: &str| numbers.get(name).copied().unwrap_or(f64::NAN);
        let (rate, average) = (of("errors") / of("invocations"), of("duration") / of("invocations"));
        numbers.extend([("error_rate".to_owned(), rate), ("average".to_owned(), average)]);
        (bucket["key"].as_str().unwrap_or_default().to_owned(), numbers)
    };
    Ok(buckets.context("no accounts")?.iter().map(numbers).collect())
}

/// Compares all of it, but for the last digits of sums in another order.
fn compare(found: &BTreeMap<String, Numbers>, truth: &BTreeMap<String, Numbers>) -> Result<()> {
    ensure!(found.keys().eq(truth.keys()), "the accounts are {:?}", found.keys());
    for (account, truth) in truth {
        let found = &found[account];
        ensure!(found.keys().eq(truth.keys()), "{account}: {found:?} and not {truth:?}");
        for (name, expected) in truth {
            let is_same = (found[name] - expected).abs() <= expected.abs() * 1e-9;
            ensure!(is_same, "{account}: {name} is {} and not {expected}", found[name]);
        }
    }
    Ok(())
}

/// How many writes the node refused since it started, for want of room in its queue.
async fn refused(url: &str) -> Result<u64> {
    let (_, answer) = http::json("GET", &format!("{url}/_nodes/stats/thread_pool"), &Value::Null).await?;
    let nodes = answer["nodes"].as_object().context("no nodes")?;
    Ok(nodes.values().filter_map(|node| node["thread_pool"]["write"]["rejected"].as_u64()).sum())
}

async fn documents(url: &str) -> Result<u64> {
    http::json("POST", &format!("{url}/fleet-*/_refresh"), &Value::Null).await?;
    let (_, answer) = http::json("GET", &format!("{url}/fleet-lambda_fleet-*/_count"), &Value::Null).await?;
    answer["count"].as_u64().context("no count")
}

#[tokio::test]
async fn each_number_of_the_fleet_is_what_was_published_whatever_is_repeated_or_restarted() -> Result<()> {
    for version in Version::ALL {
        let folder = tempfile::tempdir()?;
        let data = format!("path.data={}", folder.path().display());
        let Some(node) = Node::start(version, &[&data, NARROW[0], NARROW[1]])? else { continue };
        let url = node.url().to_owned();
        let world = World::new(&url).await?;
        let an_hour = (ACCOUNTS * FUNCTIONS * ROWS_AN_HOUR) as u64;

        world.producer(&["setup", "search"]).await?;
        let again: Value =
            serde_json::from_str(&world.producer(&["setup", "search", "--format", "json"]).await?)?;
        let changes = again["changes"].as_array().context("no changes")?;
        let is_idle = |change: &Value| ["unchanged", "skip"].iter().any(|idle| change["action"] == *idle);
        ensure!(!changes.is_empty() && changes.iter().all(is_idle), "{again}");

        world.send(&["run"], 0).await?;
        world.work().await?;
        compare(&found(&url).await?, &world.truth(1))?;

        ensure!(refused(&url).await? > 0, "the node took every write at once");

        // Delivered once more, and collected once more.
        let asked = world.fleet.aws.calls().operation("GetMetricData").count();
        world.send(&["deliver", "--sink", "search"], 0).await?;
        world.work().await?;
        ensure!(
            world.fleet.aws.calls().operation("GetMetricData").count() == asked,
            "a delivery asks nothing"
        );
        world.send(&["run"], 0).await?;
        world.work().await?;
        ensure!(world.fleet.aws.calls().operation("GetMetricData").count() > asked, "it was collected again");
        assert_eq!(documents(&url).await?, an_hour);
        compare(&found(&url).await?, &world.truth(1))?;

        // The node is away from the moment that it has some of the next hour.
        world.send(&["run"], 1).await?;
        let (worked, restarted) = tokio::join!(world.work(), restart(node, version, &data, an_hour));
        let node = restarted?;
        worked?;
        assert_eq!(node.url(), url);
        assert_eq!(documents(&url).await?, 2 * an_hour);
        compare(&found(&url).await?, &world.truth(2))?;
    }
    Ok(())
}

/// Ends a node once it has more than so many documents, and starts it again at the same address with what it had.
async fn restart(node: Node, version: Version, data: &str, documents_before: u64) -> Result<Node> {
    let url = node.url().to_owned();
    while documents(&url).await? <= documents_before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let port = format!("http.port={}", url.rsplit(':').next().context("a port")?);
    let data = data.to_owned();
    let again = tokio::task::spawn_blocking(move || {
        drop(node);
        Node::start(version, &[&data, &port, NARROW[0], NARROW[1]])
    });
    again.await??.context("the node was there before")
}
