// SPDX-License-Identifier: Apache-2.0
//! What each panel has to show, computed from the documents one by one and not from what the panel says of itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, NaiveTime};
use serde_json::Value;
use sinks::opensearch::dashboards::panel::Line;

use super::world::{DAY, World};

type Documents<'a> = Vec<&'a Value>;

/// The lines of a panel, in no order.
pub(crate) fn of(world: &World, board: &str, panel: &str) -> Result<Vec<Line>> {
    let functions: Documents<'_> = world.functions.iter().filter(|one| is_of_day(one)).collect();
    let gaps = |dataset: &'static str| world.gaps.iter().filter(move |gap| text(gap, "dataset") == dataset);
    let lines = match board {
        "lambda_function" => {
            let idle: Documents<'_> =
                gaps("lambda_function").filter(|gap| text(gap, "status") == "no_data").collect();
            let known = functions.iter().copied().chain(gaps("lambda_function")).collect();
            of_functions(panel, &functions, &idle, &known)
        }
        "ecs_service" => of_services(panel, &world.services.iter().collect()),
        _ => {
            let all = world.everything().filter(|one| is_of_day(one)).collect();
            of_fleet(panel, &all, &world.gaps.iter().collect())
        }
    };
    lines.with_context(|| format!("nothing says what {board} {panel} has to show"))
}

fn of_functions(
    panel: &str,
    rows: &Documents<'_>,
    idle: &Documents<'_>,
    known: &Documents<'_>,
) -> Option<Vec<Line>> {
    let all = |value: Option<f64>| vec![Line { groups: Vec::new(), values: vec![value] }];
    let some = |keep: &dyn Fn(&Value) -> bool| only(rows, keep);
    let rate = |rows: &Documents<'_>| Some(total(rows, "errors_sum")? / total(rows, "invocations_sum")?);
    Some(match panel {
        "invocations" => all(total(rows, "invocations_sum")),
        "errors" => all(total(rows, "errors_sum")),
        "functions" => all(different(rows, "resource_path")),
        "cost" => all(total(rows, "cost_usd")),
        "timeouts" => all(count(&some(&|row| number(row, "timeout_proximity_maximum") >= Some(0.99)))),
        "idle" => all(different(idle, "resource_path")),
        "invocations-over-time" => {
            by(rows, &[hour], |rows| vec![total(rows, "invocations_sum"), total(rows, "errors_sum")])
        }
        "error-rate" => by(rows, &[hour], |rows| vec![rate(rows)]),
        "errors-by-function" => by(rows, &[path], |rows| {
            vec![total(rows, "errors_sum"), total(rows, "invocations_sum"), total(rows, "throttles_sum")]
        }),
        "error-rate-by-account" => by(rows, &[account, hour], |rows| vec![rate(rows)]),
        "errors-by-account" => by(rows, &[account], |rows| vec![total(rows, "errors_sum")]),
        "near-timeouts" => {
            let near = some(&|row| number(row, "timeout_proximity_maximum") >= Some(0.8));
            by(&near, &[path], |rows| {
                vec![
                    most(rows, "timeout_proximity_maximum"),
                    most(rows, "timeout_proximity_p99"),
                    most(rows, "timeout_seconds"),
                    count(rows),
                ]
            })
        }
        "cold-starts" => by(rows, &[hour], |rows| vec![total(rows, "cold_starts")]),
        "cold-starts-by-function" => {
            by(&some(&|row| number(row, "cold_starts").is_some()), &[path], |rows| {
                vec![
                    total(rows, "cold_starts"),
                    most(rows, "init_duration_maximum"),
                    total(rows, "invocations_sum"),
                ]
            })
        }
        "oversized" => {
            let measured = some(&|row| {
                number(row, "memory_utilization_maximum").is_some() && number(row, "memory_mb") > Some(128.0)
            });
            by(&measured, &[path], |rows| {
                vec![
                    most(rows, "memory_utilization_maximum"),
                    most(rows, "used_memory_max_maximum"),
                    most(rows, "memory_mb"),
                    total(rows, "cost_usd"),
                ]
            })
        }
        "memory" => {
            by(&some(&|row| number(row, "memory_utilization_maximum") >= Some(90.0)), &[path], |rows| {
                vec![most(rows, "memory_utilization_maximum"), most(rows, "memory_mb")]
            })
        }
        "runtimes" => {
            let with_runtime = only(known, &|row| row.get("runtime").is_some());
            by(&with_runtime, &[runtime], |rows| vec![different(rows, "resource_path")])
        }
        "runtimes-on-the-way-out" => {
            let dated = only(known, &|row| row.get("runtime_deprecated_on").is_some());
            by(&dated, &[runtime], |rows| {
                vec![
                    least_date(rows, "runtime_deprecated_on"),
                    different(rows, "resource_path"),
                    different(rows, "account_name"),
                ]
            })
        }
        "functions-to-move" => {
            let soon =
                only(known, &|row| row.get("runtime_deprecated_on").is_some_and(|day| day != "2099-06-30"));
            by(&soon, &[path], |rows| {
                vec![least_date(rows, "runtime_deprecated_on"), latest(rows, "last_modified")]
            })
        }
        "cost-by-account" => by(rows, &[account], |rows| vec![total(rows, "cost_usd")]),
        "cost-by-function" => by(rows, &[path], |rows| {
            vec![total(rows, "cost_usd"), total(rows, "invocations_sum"), total(rows, "duration_sum")]
        }),
        "arm64" => by(&some(&|row| text(row, "architecture") == "x86_64"), &[path], |rows| {
            vec![total(rows, "arm64_saving_usd"), total(rows, "cost_usd")]
        }),
        "idle-functions" => by(idle, &[path], |rows| vec![count(rows), latest(rows, "window_end")]),
        _ => return None,
    })
}

fn of_services(panel: &str, rows: &Documents<'_>) -> Option<Vec<Line>> {
    let all = |value: Option<f64>| vec![Line { groups: Vec::new(), values: vec![value] }];
    let both = |most_of: &'static str, mean_of: &'static str| {
        by(rows, &[path], |rows| vec![most(rows, most_of), mean(rows, mean_of)])
    };
    Some(match panel {
        "services" => all(different(rows, "resource_path")),
        "busiest" => all(most(rows, "cpu_utilization_maximum")),
        "fullest" => all(most(rows, "memory_utilization_maximum")),
        "cpu" => by(rows, &[account, hour], |rows| vec![mean(rows, "cpu_utilization_average")]),
        "memory" => by(rows, &[account, hour], |rows| vec![mean(rows, "memory_utilization_average")]),
        "cpu-by-service" => both("cpu_utilization_maximum", "cpu_utilization_average"),
        "memory-by-service" => both("memory_utilization_maximum", "memory_utilization_average"),
        _ => return None,
    })
}

fn of_fleet(panel: &str, all: &Documents<'_>, gaps: &Documents<'_>) -> Option<Vec<Line>> {
    let one = |value: Option<f64>| vec![Line { groups: Vec::new(), values: vec![value] }];
    let unsettled = only(all, &|row| row["settled"] == false);
    Some(match panel {
        "documents" => one(count(all)),
        "accounts" => one(different(all, "account_name")),
        "unsettled" => one(count(&unsettled)),
        "last-window" => by(all, &[account], |rows| {
            vec![latest(rows, "@timestamp"), latest(rows, "collected_at"), count(rows)]
        }),
        "documents-by-account" => by(all, &[account, hour], |rows| vec![count(rows)]),
        "documents-by-dataset" => by(all, &[dataset], |rows| {
            vec![count(rows), different(rows, "account_name"), latest(rows, "@timestamp")]
        }),
        "unsettled-by-account" => {
            by(&unsettled, &[account], |rows| vec![count(rows), latest(rows, "collected_at")])
        }
        "gaps-by-status" => by(gaps, &[status], |rows| vec![count(rows)]),
        "gaps-by-account" => by(gaps, &[account], |rows| {
            vec![count(rows), different(rows, "resource_path"), different(rows, "dataset")]
        }),
        _ => return None,
    })
}

fn is_of_day(document: &Value) -> bool {
    text(document, "@timestamp").starts_with(DAY)
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap_or_default()
}

fn number(document: &Value, field: &str) -> Option<f64> {
    document[field].as_f64()
}

fn only<'a>(documents: &Documents<'a>, keep: &dyn Fn(&Value) -> bool) -> Documents<'a> {
    documents.iter().copied().filter(|document| keep(document)).collect()
}

/// Groups documents by keys, and computes the values of each group.
fn by(
    documents: &Documents<'_>,
    keys: &[fn(&Value) -> String],
    values: impl Fn(&Documents<'_>) -> Vec<Option<f64>>,
) -> Vec<Line> {
    let mut groups: BTreeMap<Vec<String>, Documents<'_>> = BTreeMap::new();
    for document in documents {
        groups.entry(keys.iter().map(|key| key(document)).collect()).or_default().push(document);
    }
    groups.into_iter().map(|(groups, documents)| Line { groups, values: values(&documents) }).collect()
}

fn hour(document: &Value) -> String {
    text(document, "@timestamp").replace('Z', ".000Z")
}

fn path(document: &Value) -> String {
    text(document, "resource_path").to_owned()
}

fn account(document: &Value) -> String {
    text(document, "account_name").to_owned()
}

fn runtime(document: &Value) -> String {
    text(document, "runtime").to_owned()
}

fn dataset(document: &Value) -> String {
    text(document, "dataset").to_owned()
}

fn status(document: &Value) -> String {
    text(document, "status").to_owned()
}

fn numbers<'a>(documents: &'a Documents<'_>, field: &'a str) -> impl Iterator<Item = f64> + 'a {
    documents.iter().filter_map(move |document| number(document, field))
}

fn total(documents: &Documents<'_>, field: &str) -> Option<f64> {
    // Of nothing it is 0, as OpenSearch has it.
    numbers(documents, field).try_fold(0.0, |sum, number| Some(sum + number))
}

fn mean(documents: &Documents<'_>, field: &str) -> Option<f64> {
    let all: Vec<f64> = numbers(documents, field).collect();
    Some(all.iter().sum::<f64>() / f64::from(u32::try_from(all.len()).ok()?))
}

fn most(documents: &Documents<'_>, field: &str) -> Option<f64> {
    numbers(documents, field).reduce(f64::max)
}

fn whole(number: usize) -> Option<f64> {
    u32::try_from(number).ok().map(f64::from)
}

fn count(documents: &Documents<'_>) -> Option<f64> {
    whole(documents.len())
}

fn different(documents: &Documents<'_>, field: &str) -> Option<f64> {
    whole(documents.iter().map(|document| text(document, field)).collect::<BTreeSet<_>>().len())
}

/// A time or a day in milliseconds.
fn millis(text: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = day.or_else(|_| text.parse::<DateTime<chrono::Utc>>());
    time.ok().map(|time| time.timestamp_millis())
}

#[expect(clippy::cast_precision_loss, reason = "no time here has more digits")]
fn least_date(documents: &Documents<'_>, field: &str) -> Option<f64> {
    documents.iter().filter_map(|document| millis(text(document, field))).min().map(|time| time as f64)
}

#[expect(clippy::cast_precision_loss, reason = "no time here has more digits")]
fn latest(documents: &Documents<'_>, field: &str) -> Option<f64> {
    documents.iter().filter_map(|document| millis(text(document, field))).max().map(|time| time as f64)
}
