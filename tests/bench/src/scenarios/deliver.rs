// SPDX-License-Identifier: Apache-2.0
//! A stored report on its way to OpenSearch, beside `helpers.bulk` of opensearch-py with the same rows at the same node.

use std::{ffi::OsStr, fs, path::Path};

use anyhow::{Context, ensure};
use cli::terminal::say;
use kit::{
    REPORTS, http,
    search_node::{Node, Version},
};
use serde::Deserialize;
use serde_json::Value;
use sinks::opensearch::mapping;

use super::{
    add,
    series::{ACCOUNT, Shape, Span, Stage},
};
use crate::{
    outcome::{Bar, Case, Outcome, case, figure, number},
    program::{self, Programs},
    python, queued,
    stopwatch::Measured,
};

const SINK: &str = "search";

/// Who delivers.
const OURS: &str = "the worker";
const PEER: &str = "opensearch-py";

/// The rows of the large report: what a million of them takes in memory.
const RESOURCES: usize = 3_480;
const RESOURCES_WITH_PEER: usize = 700;
const RESOURCES_SHORT: usize = 50;

const MOST_MIB: f64 = 96.0;

/// The least share of the peer's CPU for a document.
const TIMES_LESS_CPU: f64 = 6.0;

/// What took a report's rows.
enum Server {
    /// The OpenSearch of local-aws, in this process.
    Double,
    Real(Version, Node),
}

impl Server {
    fn name(&self) -> String {
        match self {
            Self::Double => "the OpenSearch of local-aws".to_owned(),
            Self::Real(version, _) => format!("OpenSearch {}", version.number()),
        }
    }
}

pub(super) async fn measure(programs: &Programs, short: bool, without_peer: bool) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { scenario: "deliver".to_owned(), short, ..Outcome::default() };
    let interpreter = if without_peer { None } else { Some(python::interpreter().await?) };
    let mut servers = vec![Server::Double];
    for version in Version::ALL {
        servers.extend(Node::start(version, &[])?.map(|node| Server::Real(version, node)));
    }
    let resources = if short { RESOURCES_SHORT } else { RESOURCES_WITH_PEER };
    let mut stage = Stored::new(programs, resources).await?;
    for server in &servers {
        let case = stage.deliver(programs, server).await;
        let is_measured = case.is_ok();
        add(&mut outcome, &stage.name(&server.name(), OURS), case);
        if let (true, Some(interpreter), Server::Real(_, node)) = (is_measured, &interpreter, server) {
            let case = stage.peer(interpreter, &server.name(), node.url()).await;
            add(&mut outcome, &stage.name(&server.name(), PEER), case);
        }
    }
    if let (false, Some(server)) = (short, servers.iter().find(|it| matches!(it, Server::Real(..)))) {
        let mut stage = Stored::new(programs, RESOURCES).await?;
        let case = stage.deliver(programs, server).await;
        add(&mut outcome, &stage.name(&server.name(), OURS), case);
    }
    outcome.bars.extend(bars(&outcome.cases, short));
    outcome.notes.push(
        "A report of series with 12 metrics a resource, each five minutes of a day, is delivered by a job `deliver` from the \
         queue: timed from the receive to the delete, with the CPU of the whole process, in which reading the report from S3 is \
         counted too. Of opensearch-py only `helpers.bulk` is counted: 5,000 documents or 4 MiB a request, compressed, one \
         writer, of documents that were made before."
            .to_owned(),
    );
    Ok(outcome)
}

/// A report that is in the bucket.
struct Stored {
    stage: Stage,
    key: String,
}

impl Stored {
    async fn new(programs: &Programs, resources: usize) -> anyhow::Result<Self> {
        let shape = Shape { resources, regions: 4, span: Span::Day, minutes: 5 };
        let stage = Stage::new(shape).await?;
        let done = stage.collect(programs).await?;
        let [(key, _)] = &done.reports[..] else { anyhow::bail!("{} reports", done.reports.len()) };
        ensure!(done.is_complete(), "the report is not complete");
        Ok(Self { key: key.clone(), stage })
    }

    fn rows(&self) -> usize {
        self.stage.shape.resources * self.stage.shape.periods()
    }

    /// What a case is called.
    fn name(&self, server: &str, side: &str) -> String {
        format!("{} rows to {server} by {side}", self.rows())
    }

    async fn deliver(&mut self, programs: &Programs, server: &Server) -> anyhow::Result<Case> {
        say(&format!("deliver: {}", self.name(&server.name(), OURS)));
        let double = self.stage.fleet.aws.opensearch()?;
        let url = match server {
            Server::Double => double.url(),
            Server::Real(_, node) => node.url(),
        };
        let (dataset, prefix) = (self.stage.dataset, format!("b{}", self.rows()));
        for template in mapping::templates(&prefix, dataset) {
            let url = format!("{url}/_index_template/{}", template.name);
            let (status, answer) = http::json("PUT", &url, &template.body).await?;
            ensure!(status == 200, "the index template: {status} {answer}");
        }
        let sink = format!(
            "[[sink]]\nname = '{SINK}'\ntype = 'opensearch'\ndatasets = ['{}']\nurl = '{url}'\nauth = 'none'\n\
             prefix = '{prefix}'\n",
            dataset.name
        );
        let fleet = &mut self.stage.fleet;
        let path = fleet.file("fleet.toml", &sink)?;
        fleet.variable("FLEET_CONFIG", &path);
        fleet.aws.reset_calls();
        let day = self.stage.shape.start().date_naive();
        let job = serde_json::json!({
            "kind": "deliver", "sink": SINK, "again": true, "account_name": ACCOUNT, "dataset": dataset.name,
            "from": day.to_string(), "to": (day + chrono::TimeDelta::days(1)).to_string(), "window": "1d", "run_id": "bench",
        });
        let took = queued::measure(programs, fleet, &job, dataset.name).await?.took;
        let index = format!("{url}/{prefix}-{}-*", dataset.name);
        let (status, answer) = http::json("POST", &format!("{index}/_refresh"), &Value::Null).await?;
        ensure!(status == 200, "{status} {answer}");
        let (_, answer) = http::json("GET", &format!("{index}/_count"), &Value::Null).await?;
        ensure!(answer["count"] == self.rows(), "{answer} and not {} documents", self.rows());
        Ok(self.case(&server.name(), OURS, took))
    }

    async fn peer(&self, interpreter: &Path, server: &str, url: &str) -> anyhow::Result<Case> {
        /// What the peer writes.
        #[derive(Deserialize)]
        struct Bulk {
            documents: usize,
            wall_s: f64,
            cpu_s: f64,
        }
        say(&format!("deliver: {}", self.name(server, PEER)));
        let fleet = &self.stage.fleet;
        let report = fleet.object(&self.key).with_context(|| format!("no {} in {REPORTS}", self.key))?;
        let table = fleet.file("report.csv", std::str::from_utf8(&report.body)?)?;
        let index = format!("peer-{}", self.rows());
        let output = fleet.file("bulk.json", "")?;
        let arguments = [&python::peer("bulk.py").display().to_string(), &table, url, &index, &output];
        let took = program::time(interpreter, fleet, arguments.map(OsStr::new)).await?;
        let bulk: Bulk = serde_json::from_slice(&fs::read(output)?)?;
        ensure!(bulk.documents == self.rows(), "the peer delivered {} documents", bulk.documents);
        Ok(self.case(server, PEER, Measured { wall_s: bulk.wall_s, cpu_s: bulk.cpu_s, ..took }))
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of documents")]
    fn case(&self, server: &str, side: &str, took: Measured) -> Case {
        let rows = self.rows();
        case! {
            "name": self.name(server, side),
            "server": server,
            "side": side,
            "documents": rows,
            "wall_s": took.wall_s,
            "documents_per_s": rows as f64 / took.wall_s,
            "cpu_s": took.cpu_s,
            "cpu_us_per_document": took.cpu_s / rows as f64 * 1e6,
            "peak_rss_mib": took.peak_rss_mib,
        }
    }
}

/// Ours beside the peer's at the same node, and the memory of the largest report.
fn bars(cases: &[Case], short: bool) -> Vec<Bar> {
    // Of a small report a worker's start is most of the CPU.
    let (less_cpu, faster) = if short { (1.5, 0.5) } else { (TIMES_LESS_CPU, 1.0) };
    let is = |case: &Case, what: &str, text: &str| case.get(what).and_then(Value::as_str) == Some(text);
    let (ours, theirs): (Vec<_>, Vec<_>) = cases.iter().partition(|case| is(case, "side", OURS));
    let mut bars = Vec::new();
    for theirs in theirs {
        let server = theirs.get("server").and_then(Value::as_str).unwrap_or_default();
        let Some(ours) = ours.iter().find(|case| is(case, "server", server)) else { continue };
        let beside = |what: &str, unit: &str| {
            format!("{}{unit} beside {}{unit}", number(figure(ours, what)), number(figure(theirs, what)))
        };
        let cpu = figure(theirs, "cpu_us_per_document") / figure(ours, "cpu_us_per_document");
        let speed = figure(ours, "documents_per_s") / figure(theirs, "documents_per_s");
        bars.push(
            Bar::at_least(format!("times less CPU a document than {PEER}, {server}"), cpu, less_cpu)
                .with(beside("cpu_us_per_document", " µs")),
        );
        bars.push(
            Bar::at_least(format!("times faster than {PEER}, {server}"), speed, faster)
                .with(beside("documents_per_s", "/s")),
        );
    }
    let documents = |case: &&&Case| figure(case, "documents");
    if let Some(largest) = ours.iter().max_by(|one, other| documents(one).total_cmp(&documents(other))) {
        let what = format!("peak MiB, {} rows", number(documents(&largest)));
        bars.push(Bar::at_most(what, figure(largest, "peak_rss_mib"), MOST_MIB));
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_is_held_against_the_peer_at_the_same_node() {
        let case = |server: &str, side: &str, documents: u64, cpu: f64, speed: f64| {
            case! {
                "name": "a", "server": server, "side": side, "documents": documents, "cpu_us_per_document": cpu,
                "documents_per_s": speed, "peak_rss_mib": 64.0,
            }
        };
        let cases = [
            case("local-aws", OURS, 10, 1.0, 10.0),
            case("OpenSearch 3", OURS, 10, 2.0, 30.0),
            case("OpenSearch 3", PEER, 10, 11.0, 20.0),
            case("OpenSearch 3", OURS, 99, 2.0, 30.0),
        ];
        let shown: Vec<_> =
            bars(&cases, false).into_iter().map(|bar| (bar.what, bar.figure, bar.met)).collect();
        let shown: Vec<_> = shown.iter().map(|(what, figure, met)| (&**what, *figure, *met)).collect();
        assert_eq!(
            shown,
            [
                ("times less CPU a document than opensearch-py, OpenSearch 3", 5.5, false),
                ("times faster than opensearch-py, OpenSearch 3", 1.5, true),
                ("peak MiB, 99 rows", 64.0, true),
            ]
        );
    }
}
