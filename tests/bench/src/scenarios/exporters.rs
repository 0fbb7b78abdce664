// SPDX-License-Identifier: Apache-2.0
//! The worker beside two exporters in Go, if their programs are given: YACE, which serves what it has scraped, and Telegraf,
//! which writes what it has gathered to a file.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use local_aws::Service;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use cli::terminal::say;

use super::{
    add,
    series::{DOLLARS_A_METRIC, ID, Shape, Span, Stage},
};
use crate::{
    outcome::{Bar, Case, Outcome, case, figure, name, number},
    program::{self, Programs, tail},
    stopwatch::Measured,
    world::{self, REST},
};

/// How many times better than an exporter the worker must be at least.
#[derive(Debug, Clone, Copy)]
struct Least {
    faster: f64,
    cpu: f64,
    memory: f64,
    /// An hour is asked for once, and not each five minutes.
    dollars: f64,
}

/// How many resources there are, and what the worker must be for so many.
const CASES: [(usize, Least); 2] = [
    (1_000, Least { faster: 1.0 / 0.7, cpu: 1.0, memory: 1.0, dollars: 11.0 }),
    (10_000, Least { faster: 1.0 / 0.7, cpu: 4.0, memory: 3.0, dollars: 11.0 }),
];
const SHORT_CASES: [(usize, Least); 1] = [(100, Least { faster: 0.0, cpu: 0.0, memory: 0.0, dollars: 0.0 })];

/// How often an exporter polls in an hour.
const POLLS_AN_HOUR: f64 = 12.0;

/// How far back exporters look, so that they have the same quota of datapoints as the worker.
const DELAY_S: u32 = 4 * 3600;

/// How often YACE is asked whether it has scraped, and how long it may take.
const GLANCE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_mins(10);

/// Clock ticks a second in Linux's `/proc`.
const TICKS: f64 = 100.0;

/// The programs of the exporters that are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exporters {
    pub(crate) yace: Option<PathBuf>,
    pub(crate) telegraf: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum Side<'a> {
    Ours,
    Yace(&'a Path),
    Telegraf(&'a Path),
}

/// Adds the cases and bars of each exporter.
pub(super) async fn measure(
    outcome: &mut Outcome,
    programs: &Programs,
    exporters: &Exporters,
    short: bool,
    only: &str,
) -> anyhow::Result<()> {
    let yace = exporters.yace.as_deref().map(Side::Yace);
    let telegraf = exporters.telegraf.as_deref().map(Side::Telegraf);
    let others: Vec<Side<'_>> = yace.into_iter().chain(telegraf).collect();
    if others.is_empty() {
        return Ok(());
    }
    for (resources, least) in if short { &SHORT_CASES[..] } else { &CASES[..] } {
        let name = |side: &Side<'_>| format!("{}-{resources}-resources-exported", side.name());
        // All or none: they are compared.
        if ![Side::Ours].iter().chain(&others).any(|side| name(side).contains(only)) {
            continue;
        }
        let shape = Shape { resources: *resources, regions: 4, span: Span::Hour, minutes: 5 };
        let stage = Stage::new(shape).await?;
        let before = outcome.cases.len();
        for side in [Side::Ours].iter().chain(&others) {
            let name = name(side);
            say(&format!("peers: {name}"));
            sleep(REST).await;
            add(outcome, &name, side.measure(&name, &stage, programs).await);
        }
        let bars = bars(&outcome.cases[before..], &number(f64_of(*resources)), *least);
        outcome.bars.extend(bars);
    }
    outcome.notes.push(
        "Beside exporters, an hour by five minutes is collected by one job. A poll of YACE asks for its twelve periods and keeps the \
         newest, one of Telegraf asks for one period; their CPU is that of a single poll, and their dollars those of the twelve polls \
         of an hour. Polls of both are of four hours ago, where the quota of datapoints is the worker's."
            .to_owned(),
    );
    Ok(())
}

impl Side<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Yace(_) => "yace",
            Self::Telegraf(_) => "telegraf",
        }
    }

    async fn measure(self, name: &str, stage: &Stage, programs: &Programs) -> anyhow::Result<Case> {
        stage.fleet.aws.reset_calls();
        let (took, polls_an_hour) = match self {
            Self::Ours => (stage.collect(programs).await?.took, 1.0),
            Self::Yace(program) => (yace(program, stage).await?, POLLS_AN_HOUR),
            Self::Telegraf(program) => (telegraf(program, stage).await?, POLLS_AN_HOUR),
        };
        let calls = stage.fleet.aws.calls().service(Service::CloudWatch);
        let pages = calls.clone().operation("ListMetrics").ok().count();
        let queries: usize = world::calls(&stage.fleet, "GetMetricData").iter().map(|call| call.items).sum();
        let metrics = f64_of(queries * stage.metrics().count()) / f64_of(stage.queries_a_resource());
        let pages = f64_of(usize::try_from(pages).unwrap_or(usize::MAX));
        Ok(case! {
            "name": name,
            "resources": stage.shape.resources,
            "wall_s": took.wall_s,
            "api_calls": calls.count(),
            "throttled": calls.clone().outcome("Throttling").count(),
            "metrics": metrics,
            "cpu_s": took.cpu_s,
            "peak_rss_mib": took.peak_rss_mib,
            "dollars_an_hour": DOLLARS_A_METRIC * (metrics + pages) * polls_an_hour,
        })
    }
}

/// Starts YACE, waits until it shows every series, and ends it.
async fn yace(program: &Path, stage: &Stage) -> anyhow::Result<Measured> {
    let mut config = format!(
        "apiVersion: v1alpha1\ncustomNamespace:\n  - name: bench\n    namespace: {}\n    regions: [{}]\n    \
         dimensionNameRequirements: [{}]\n    metrics:\n",
        stage.dataset.namespace,
        stage.plan.regions().join(", "),
        stage.dataset.resource.join(", "),
    );
    let period = stage.shape.seconds();
    let length = period * u32::try_from(stage.shape.periods())?;
    for metric in stage.metrics() {
        let _ = writeln!(
            config,
            "      - name: {}\n        statistics: [{}]\n        period: {period}\n        length: {length}\n        delay: {DELAY_S}",
            metric.name,
            metric.statistics.join(", ")
        );
    }
    let config = stage.fleet.file("yace.yaml", &config)?;
    // A port that is free now.
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let listen = format!("-listen-address=127.0.0.1:{port}");
    let config = format!("-config.file={config}");
    let arguments = [config.as_str(), &listen, "-cloudwatch-concurrency=25", "-scraping-interval=3600"];
    let log = stage.fleet.folder.path().join("yace.log");
    let mut command = stage.fleet.command(program, "yace", &arguments);
    let command =
        command.env("AWS_ACCESS_KEY_ID", ID).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("could not start {}", program.display()))?;
    let due = stage.shape.resources * stage.queries_a_resource();
    let shows_all = async {
        loop {
            sleep(GLANCE).await;
            if let Some(status) = child.try_wait()? {
                bail!("YACE ended with {status}:\n{}", tail(&std::fs::read(&log)?));
            }
            let Ok(shown) = get(port).await else { continue };
            let series = |line: &&str| line.starts_with("aws_") && !line.contains("aws_custom_info");
            if shown.lines().filter(series).count() >= due {
                return Ok(());
            }
        }
    };
    let shown = timeout(PATIENCE, shows_all).await;
    let wall_s = begun.elapsed().as_secs_f64();
    let taken = child.id().context("it has ended").and_then(|id| of_process(id, wall_s));
    child.kill().await?;
    shown.with_context(|| format!("YACE does not show {due} series"))??;
    taken
}

/// What `/metrics` shows.
async fn get(port: u16) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut shown = Vec::new();
    stream.read_to_end(&mut shown).await?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// What a process has taken so far, by Linux.
fn of_process(id: u32, wall_s: f64) -> anyhow::Result<Measured> {
    let read = |file: &str| {
        let path = format!("/proc/{id}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("could not read {path}, which needs Linux"))
    };
    let (stat, status) = (read("stat")?, read("status")?);
    // After the name, which may have spaces: the 14th and 15th fields.
    let fields: Vec<&str> = stat.rsplit_once(") ").context("no stat")?.1.split(' ').collect();
    let ticks = |nth: usize| fields.get(nth).and_then(|ticks| ticks.parse::<f64>().ok()).context("no ticks");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = most.trim().trim_end_matches(" kB").parse().context("VmHWM")?;
    Ok(Measured {
        wall_s,
        cpu_s: (ticks(11)? + ticks(12)?) / TICKS,
        peak_rss_mib: kib / 1024.0,
        code: Some(0),
    })
}

/// Lets Telegraf gather once into a file.
async fn telegraf(program: &Path, stage: &Stage) -> anyhow::Result<Measured> {
    let gathered = stage.fleet.file("telegraf.out", "")?;
    let rows = stage.shape.resources;
    let mut config = format!(
        "[agent]\n  interval = \"5m\"\n  round_interval = false\n  omit_hostname = true\n  metric_batch_size = 10000\n  \
         metric_buffer_limit = {}\n[[outputs.file]]\n  files = [{gathered:?}]\n  data_format = \"influx\"\n",
        2 * rows * stage.queries_a_resource()
    );
    for region in stage.plan.regions() {
        let _ = writeln!(
            config,
            "[[inputs.cloudwatch]]\n  region = \"{region}\"\n  endpoint_url = \"{}\"\n  access_key = \"{ID}\"\n  secret_key = \
             \"secret\"\n  period = \"{}s\"\n  delay = \"{DELAY_S}s\"\n  interval = \"5m\"\n  ratelimit = 50\n  namespaces = \
             [\"{}\"]",
            stage.fleet.aws.endpoint(),
            stage.shape.seconds(),
            stage.dataset.namespace,
        );
        for metric in stage.metrics() {
            let statistics: Vec<String> =
                metric.statistics.iter().map(|name| format!("\"{}\"", snake(name))).collect();
            let _ = writeln!(
                config,
                "  [[inputs.cloudwatch.metrics]]\n    names = [\"{}\"]\n    statistic_include = [{}]",
                metric.name,
                statistics.join(", ")
            );
            for dimension in &stage.dataset.resource {
                let _ = writeln!(
                    config,
                    "    [[inputs.cloudwatch.metrics.dimensions]]\n      name = \"{dimension}\"\n      value = \"*\""
                );
            }
        }
    }
    let config = stage.fleet.file("telegraf.toml", &config)?;
    let arguments = ["--config", &config, "--once"].map(std::ffi::OsStr::new);
    let took = program::time(program, &stage.fleet, arguments).await?;
    let written = std::fs::read_to_string(&gathered)?;
    ensure!(written.lines().count() >= rows, "Telegraf wrote {} rows of {rows}", written.lines().count());
    Ok(took)
}

/// A statistic as Telegraf spells it.
fn snake(statistic: &str) -> String {
    if statistic == "SampleCount" { "sample_count".to_owned() } else { statistic.to_lowercase() }
}

fn bars(cases: &[Case], resources: &str, least: Least) -> Vec<Bar> {
    let Some((ours, others)) = cases.split_first() else { return Vec::new() };
    let bar = |other: &Case, what: &str, unit: &str, told: &str, least: f64| {
        let side = if name(other).starts_with("yace") { "YACE" } else { "Telegraf" };
        let (own, theirs) = (figure(ours, what), figure(other, what));
        let detail = format!("{} {unit} beside {} {unit}", number(own), number(theirs));
        Bar::at_least(format!("times {told} {side}, {resources} resources"), theirs / own, least).with(detail)
    };
    let of_one = |other| {
        [
            bar(other, "wall_s", "s", "faster with an hour than a poll of", least.faster),
            bar(other, "cpu_s", "s", "less CPU for an hour than a poll of", least.cpu),
            bar(other, "peak_rss_mib", "MiB", "less memory than", least.memory),
            bar(other, "dollars_an_hour", "$", "fewer dollars an hour than", least.dollars),
        ]
    };
    others.iter().flat_map(of_one).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn f64_of(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exporter_is_held_against_the_worker() {
        let case = |name: &str, cpu: f64| {
            case! { "name": name, "wall_s": cpu, "cpu_s": cpu, "peak_rss_mib": 10.0 * cpu, "dollars_an_hour": 3.0 * cpu }
        };
        let cases = [case("ours-1", 1.0), case("yace-1", 4.0), case("telegraf-1", 0.5)];
        let bars = bars(&cases, "1,000", Least { faster: 1.4, cpu: 4.0, memory: 5.0, dollars: 11.0 });
        let told: Vec<_> = bars.iter().map(|bar| (bar.figure, bar.met)).collect();
        let yace = [(4.0, true), (4.0, true), (4.0, false), (4.0, false)];
        assert_eq!(told, [yace, [(0.5, false); 4]].concat());
        assert_eq!(bars[5].what, "times less CPU for an hour than a poll of Telegraf, 1,000 resources");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_taken_something() {
        let own = of_process(std::process::id(), 1.0).expect("Linux");
        assert!(own.peak_rss_mib > 1.0 && own.cpu_s >= 0.0, "{own:?}");
    }
}
