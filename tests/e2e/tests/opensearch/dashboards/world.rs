// SPDX-License-Identifier: Apache-2.0
//! A small fleet as documents: functions, services, and what had no datapoint, on one day.

use serde_json::{Value, json};

/// The day that panels are asked about.
pub(crate) const DAY: &str = "2026-11-24";

pub(crate) struct World {
    pub(crate) functions: Vec<Value>,
    pub(crate) services: Vec<Value>,
    pub(crate) gaps: Vec<Value>,
}

/// A function of the fleet: what it is, and what it does in an hour of average load.
struct Function {
    account: &'static str,
    region: &'static str,
    name: &'static str,
    runtime: Option<&'static str>,
    architecture: &'static str,
    memory_mb: u32,
    timeout_seconds: u32,
    invocations: u32,
    /// One invocation in so many fails; none if it is 0.
    fails_once_in: u32,
    duration_maximum: f64,
    /// With Lambda Insights: the percentage of the memory that is used.
    memory: Option<f64>,
}

const FUNCTIONS: &[Function] = &[
    function("shop", "eu-west-1", "checkout", Some("nodejs18.x"), "x86_64", 1024, 30, 4000, 250, 8_400.0),
    function("shop", "eu-west-1", "resize", Some("python3.13"), "arm64", 512, 60, 900, 0, 12_000.0),
    function("shop", "us-east-1", "invoice", Some("python3.8"), "x86_64", 2048, 15, 320, 11, 14_940.0),
    function("media", "eu-west-1", "resize", Some("python3.13"), "x86_64", 3008, 60, 2600, 400, 50_400.0),
    function("media", "eu-west-1", "transcode", None, "arm64", 4096, 900, 45, 9, 899_500.0),
    function("data", "us-east-1", "ingest", Some("python3.13"), "x86_64", 256, 60, 1500, 0, 22_000.0),
    Function {
        memory: Some(93.0),
        ..function("data", "us-east-1", "export", Some("nodejs18.x"), "x86_64", 128, 30, 60, 30, 9_000.0)
    },
];

#[expect(clippy::too_many_arguments, reason = "a line of a table")]
const fn function(
    account: &'static str,
    region: &'static str,
    name: &'static str,
    runtime: Option<&'static str>,
    architecture: &'static str,
    memory_mb: u32,
    timeout_seconds: u32,
    invocations: u32,
    fails_once_in: u32,
    duration_maximum: f64,
) -> Function {
    Function {
        account,
        region,
        name,
        runtime,
        architecture,
        memory_mb,
        timeout_seconds,
        invocations,
        fails_once_in,
        duration_maximum,
        memory: None,
    }
}

/// What the table of runtimes says. The day of the last is so late that no run of these tests is within half a year of it.
fn deprecated_on(runtime: Option<&str>) -> Option<&'static str> {
    match runtime? {
        "python3.8" => Some("2024-10-14"),
        "nodejs18.x" => Some("2025-09-01"),
        _ => Some("2099-06-30"),
    }
}

fn account_id(name: &str) -> &'static str {
    match name {
        "shop" => "111111111111",
        "media" => "222222222222",
        "data" => "333333333333",
        _ => "444444444444",
    }
}

/// A document's fields that do not depend on what it is of.
fn common(dataset: &str, account: &str, region: &str, resource: &str, day: &str, hour: u32) -> Value {
    json!({
        "@timestamp": format!("{day}T{hour:02}:00:00Z"), "dataset": dataset, "run_id": "r",
        "collected_at": format!("{day}T{hour:02}:30:00Z"), "settled": true,
        "account_name": account, "account_id": account_id(account), "region": region,
        "resource_path": format!("{account}/{region}/{resource}"),
    })
}

fn with(mut document: Value, more: Value) -> Value {
    if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
        document.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    document
}

impl World {
    pub(crate) fn new() -> Self {
        let mut functions = Vec::new();
        for (place, one) in FUNCTIONS.iter().enumerate() {
            for hour in 0..24 {
                functions.push(row(one, place, DAY, hour));
            }
        }
        // It may still change: no alert is to come of it.
        let last = FUNCTIONS.len() - 1;
        let provisional = json!({"settled": false, "errors_sum": 60.0, "status": "provisional"});
        let place = last * 24 + 23;
        functions[place] = with(functions[place].clone(), provisional);
        // An account of which nothing has come for six days.
        let silent = Function { account: "legacy", name: "cron", ..FUNCTIONS[5] };
        functions.push(row(&silent, 9, "2026-11-18", 12));

        let mut services = Vec::new();
        for (place, (account, service)) in
            [("shop", "web"), ("shop", "worker"), ("media", "web")].into_iter().enumerate()
        {
            for hour in 0..24 {
                let load = wave(place, hour);
                let path = format!("main/{service}");
                let document = common("ecs_service", account, "eu-west-1", &path, DAY, hour);
                let base = 20.0 + 15.0 * f64::from(u32::try_from(place).unwrap_or_default());
                services.push(with(
                    document,
                    json!({
                        "cluster_name": "main", "service_name": service, "period_seconds": 3600,
                        "cpu_utilization_average": base * load, "cpu_utilization_maximum": base * load * 1.5,
                        "memory_utilization_average": base + 10.0, "memory_utilization_maximum": base + 20.0,
                        "status": "ok",
                    }),
                ));
            }
        }

        let mut gaps = Vec::new();
        let gap = |dataset, account, region, resource, hour: u32, status: &str| {
            let end = json!({"window_end": format!("{DAY}T{:02}:00:00Z", hour + 1), "status": status, "resource": resource});
            with(common(dataset, account, region, resource, DAY, hour), end)
        };
        for hour in 0..6 {
            let facts = json!({"runtime": "python3.8", "runtime_deprecated_on": "2024-10-14", "last_modified": "2021-03-04T10:00:00Z"});
            gaps.push(with(
                gap("lambda_function", "media", "us-east-1", "thumbnails", hour, "no_data"),
                facts,
            ));
        }
        let facts = json!({"runtime": "python3.13", "runtime_deprecated_on": "2099-06-30"});
        gaps.push(with(gap("lambda_function", "data", "us-east-1", "export", 3, "no_data"), facts));
        gaps.push(gap("lambda_function", "shop", "us-east-1", "old", 3, "deleted"));
        gaps.push(gap("ecs_service", "data", "us-east-1", "main/batch", 4, "no_data"));
        Self { functions, services, gaps }
    }

    /// Every document, whatever it is of.
    pub(crate) fn everything(&self) -> impl Iterator<Item = &Value> {
        self.functions.iter().chain(&self.services).chain(&self.gaps)
    }
}

/// How busy an hour is: quiet at night, and not the same for all.
fn wave(place: usize, hour: u32) -> f64 {
    let place = f64::from(u32::try_from(place).unwrap_or_default());
    let turn = std::f64::consts::TAU * (f64::from(hour) - 8.0 - place) / 24.0;
    (turn.sin() * 0.6 + 1.0 + f64::from(hour % 3) * 0.05).max(0.1)
}

/// An hour of a function, in whole numbers where it counts something.
fn row(one: &Function, place: usize, day: &str, hour: u32) -> Value {
    let load = wave(place, hour);
    let invocations = (f64::from(one.invocations) * load).round();
    let errors =
        if one.fails_once_in == 0 { 0.0 } else { (invocations / f64::from(one.fails_once_in)).floor() };
    let longest = one.duration_maximum * (0.9 + f64::from(hour % 5) * 0.025);
    let sum = invocations * longest / 8.0;
    let timeout = f64::from(one.timeout_seconds) * 1000.0;
    let gb_seconds = sum / 1000.0 * f64::from(one.memory_mb) / 1024.0;
    let price = if one.architecture == "arm64" { 0.000_013_333_4 } else { 0.000_016_666_7 };
    let saving = (one.architecture == "x86_64").then_some(gb_seconds * 0.000_003_333_3);
    // Those with Lambda Insights.
    let memory =
        one.memory.or_else(|| (one.memory_mb >= 1024).then(|| 15.0 + f64::from(one.memory_mb) / 60.0));
    let used = memory.map(|percent| (percent * f64::from(one.memory_mb) / 100.0).round());
    let cold_starts = memory.map(|_| (invocations / 200.0).ceil());
    with(
        common("lambda_function", one.account, one.region, one.name, day, hour),
        json!({
            "function_name": one.name, "period_seconds": 3600, "status": "ok", "package_type": "Zip",
            "runtime": one.runtime, "runtime_deprecated_on": deprecated_on(one.runtime),
            "architecture": one.architecture, "memory_mb": one.memory_mb, "timeout_seconds": one.timeout_seconds,
            "last_modified": format!("2026-0{}-11T09:00:00Z", place % 9 + 1),
            "invocations_sum": invocations, "errors_sum": errors, "throttles_sum": (errors / 4.0).floor(),
            "duration_maximum": longest, "duration_p99": longest * 0.8, "duration_sum": sum,
            "timeout_proximity_maximum": longest / timeout, "timeout_proximity_p99": longest * 0.8 / timeout,
            "error_rate": errors / invocations, "memory_utilization_maximum": memory,
            "used_memory_max_maximum": used, "cold_starts": cold_starts,
            "init_duration_maximum": memory.map(|percent| percent * 20.0 + f64::from(hour)),
            "cost_usd": invocations * 0.000_000_2 + gb_seconds * price, "arm64_saving_usd": saving,
        }),
    )
}
