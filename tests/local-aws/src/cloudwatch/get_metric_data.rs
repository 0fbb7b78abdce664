// SPDX-License-Identifier: Apache-2.0
//! `GetMetricData`: up to 500 queries, paged by datapoints.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use super::input::{Dimension, invalid_token, pairs, validation};
use super::store::{MetricRef, RegionMetrics};
use super::window::{Statistic, Window, is_period};
use super::wire::{Timestamp, decode, encode};
use crate::faults::{Armed, Effect, ResultStatus};
use crate::gateway::Call;
use crate::quotas::Meter;
use crate::reply::{Reply, ServiceError};
use crate::world::World;

const MAX_QUERIES: usize = 500;
const MAX_DATAPOINTS: usize = 100_800;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input<'a> {
    #[serde(borrow, default)]
    metric_data_queries: Vec<Query<'a>>,
    start_time: Timestamp,
    end_time: Timestamp,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    metric_stat: Option<MetricStat<'a>>,
    label: Option<String>,
    return_data: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat<'a> {
    #[serde(borrow)]
    metric: Metric<'a>,
    period: i64,
    #[serde(borrow)]
    stat: Cow<'a, str>,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "AWS's name")]
struct Metric<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    metric_name: Cow<'a, str>,
    #[serde(borrow, default)]
    dimensions: Vec<Dimension<'a>>,
}

impl Metric<'_> {
    fn named<'b>(&'b self, dimensions: &'b [(Cow<'b, str>, Cow<'b, str>)]) -> MetricRef<'b> {
        MetricRef { namespace: &self.namespace, name: &self.metric_name, dimensions }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output<'a> {
    metric_data_results: Vec<MetricDataResult<'a>>,
    messages: [&'static str; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDataResult<'a> {
    id: &'a str,
    label: &'a str,
    timestamps: Vec<Timestamp>,
    values: Vec<f64>,
    status_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[MessageData; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MessageData {
    code: &'static str,
    value: &'static str,
}

struct Plan<'a> {
    id: &'a str,
    label: &'a str,
    metric: &'a Metric<'a>,
    statistic: Statistic,
    unit: Option<&'a str>,
    window: Window,
}

/// Where a page begins: at a query, and how many of its datapoints were given before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cursor {
    query: usize,
    datapoints: usize,
}

impl Cursor {
    fn parse(token: &str) -> Option<Self> {
        let (query, datapoints) = token.strip_prefix("gmd-")?.split_once('-')?;
        Some(Self { query: query.parse().ok()?, datapoints: datapoints.parse().ok()? })
    }

    fn token(self) -> String {
        format!("gmd-{}-{}", self.query, self.datapoints)
    }
}

pub(crate) fn serve(world: &World, call: &mut Call, body: &[u8]) -> Result<Reply, ServiceError> {
    let input: Input<'_> = decode(call.protocol, body)?;
    call.items = input.metric_data_queries.len();
    let now = world.now().timestamp();
    let plans = plan(&input, now)?;
    let place = match &input.next_token {
        None => Cursor::default(),
        Some(token) => {
            Cursor::parse(token).filter(|place| place.query < plans.len()).ok_or_else(invalid_token)?
        }
    };
    let estimate = plans.iter().map(|plan| plan.window.estimate()).sum();
    let recent = now - input.start_time.0 <= 3 * 3600;
    let meter = if recent { Meter::RecentDatapoints } else { Meter::OlderDatapoints };
    world.quotas.take(meter, call.account(), &call.region, estimate)?;

    let metrics = world.cloudwatch.region(call.account(), &call.region);
    let metrics = metrics.read().unwrap_or_else(PoisonError::into_inner);
    let faults = world.faults.content(&call.target());
    let ascending = input.scan_by.as_deref() == Some("TimestampAscending");
    let mut page =
        Page { left: input.max_datapoints.unwrap_or(MAX_DATAPOINTS), results: Vec::new(), next: None };
    page.fill(&plans, place, &metrics, &faults, ascending);
    if let Some(mut asking) = world.asked.by(&call.caller, &call.region) {
        for plan in answered(&plans, &page.results) {
            asking.add(&plan.metric.named(&pairs(&plan.metric.dimensions)), &plan.window);
        }
    }
    let next_token = page.next.map(Cursor::token).filter(|_| !drops_token(&faults));
    Ok(encode(call.protocol, &Output { metric_data_results: page.results, messages: [], next_token }))
}

/// A query of each series whose queries are all answered as complete.
fn answered<'a>(
    plans: &'a [Plan<'a>],
    results: &[MetricDataResult<'_>],
) -> impl Iterator<Item = &'a Plan<'a>> {
    let complete: HashSet<&str> =
        results.iter().filter(|result| result.status_code == "Complete").map(|result| result.id).collect();
    let mut series: HashMap<String, (&Plan<'a>, bool)> = HashMap::new();
    for plan in plans {
        let mut key = String::new();
        plan.metric.named(&pairs(&plan.metric.dimensions)).write_key(&mut key);
        series.entry(key).or_insert((plan, true)).1 &= complete.contains(plan.id);
    }
    series.into_values().filter(|(_, is_complete)| *is_complete).map(|(plan, _)| plan)
}

fn plan<'a>(input: &'a Input<'a>, now: i64) -> Result<Vec<Plan<'a>>, ServiceError> {
    let queries = &input.metric_data_queries;
    if queries.is_empty() {
        return Err(validation("The parameter MetricDataQueries must not be empty."));
    }
    if queries.len() > MAX_QUERIES {
        return Err(validation("The collection MetricDataQueries must not have a size greater than 500."));
    }
    if input.start_time >= input.end_time {
        return Err(validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    if !(1..=MAX_DATAPOINTS).contains(&input.max_datapoints.unwrap_or(MAX_DATAPOINTS)) {
        return Err(validation("The parameter MaxDatapoints must be between 1 and 100800."));
    }
    if !matches!(input.scan_by.as_deref(), None | Some("TimestampAscending" | "TimestampDescending")) {
        return Err(validation("The value for parameter ScanBy is invalid."));
    }
    let mut ids = HashSet::with_capacity(queries.len());
    let mut plans = Vec::with_capacity(queries.len());
    for query in queries {
        if !is_id(&query.id) {
            return Err(validation(format!("The value {} for parameter Id is not valid.", query.id)));
        }
        if !ids.insert(query.id.as_ref()) {
            return Err(validation(format!(
                "The values for parameter id in MetricDataQueries are not unique: {}.",
                query.id
            )));
        }
        let Some(stat) = &query.metric_stat else {
            return Err(validation(
                "Metric math and Metrics Insights are left out here: MetricStat is required.",
            ));
        };
        if !is_period(stat.period) {
            return Err(validation("Period must be 1, 5, 10, 20, 30 or any multiple of 60."));
        }
        let statistic = Statistic::parse_any(&stat.stat).ok_or_else(|| {
            validation(format!("The value {} for parameter Stat is not supported.", stat.stat))
        })?;
        if query.return_data == Some(false) {
            continue;
        }
        plans.push(Plan {
            id: &query.id,
            label: query.label.as_deref().unwrap_or(&stat.metric.metric_name),
            metric: &stat.metric,
            statistic,
            unit: stat.unit.as_deref(),
            window: Window::new(input.start_time.0, input.end_time.0, stat.period, now).aligned(),
        });
    }
    Ok(plans)
}

/// An id begins with a lower-case letter and has letters, digits and underscores.
fn is_id(id: &str) -> bool {
    id.len() <= 255
        && id.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Page<'a> {
    left: usize,
    results: Vec<MetricDataResult<'a>>,
    next: Option<Cursor>,
}

impl<'a> Page<'a> {
    fn fill(
        &mut self,
        plans: &[Plan<'a>],
        from: Cursor,
        metrics: &RegionMetrics,
        faults: &[Arc<Armed>],
        ascending: bool,
    ) {
        let mut key = String::with_capacity(128);
        for (query, plan) in plans.iter().enumerate().skip(from.query) {
            let given = if query == from.query { from.datapoints } else { 0 };
            let dimensions = pairs(&plan.metric.dimensions);
            let metric = plan.metric.named(&dimensions);
            let struck = strike(faults, &metric);
            if let Some(status) = struck.status {
                self.results.extend(faulty(plan, status));
                continue;
            }
            let (points, _) = metrics.points(&metric, plan.unit, plan.window.kept(), &mut key);
            let mut folded = plan.window.fold(points.into_iter());
            folded.retain(|(_, set)| set.has(plan.statistic));
            if !ascending {
                folded.reverse();
            }
            let rest = folded.len().saturating_sub(given);
            if rest > 0 && self.left == 0 {
                self.next = Some(Cursor { query, datapoints: given });
                return;
            }
            let taken = rest.min(self.left);
            self.left -= taken;
            let shown = folded.iter().skip(given).take(taken);
            self.results.push(MetricDataResult {
                id: plan.id,
                label: plan.label,
                timestamps: shown.clone().map(|(at, _)| Timestamp(*at)).collect(),
                values: shown.map(|(_, set)| set.get(plan.statistic) + struck.added).collect(),
                status_code: if taken < rest { "PartialData" } else { "Complete" },
                messages: None,
            });
            if taken < rest {
                self.next = Some(Cursor { query, datapoints: given + taken });
                return;
            }
        }
    }
}

#[derive(Default)]
struct Struck {
    status: Option<ResultStatus>,
    added: f64,
}

/// What the faults do to one series.
fn strike(faults: &[Arc<Armed>], metric: &MetricRef<'_>) -> Struck {
    let mut struck = Struck::default();
    let is_for_it = |fault: &&Arc<Armed>| {
        fault.is_for_resource(metric.dimension("BucketName"))
            && fault.is_for_storage_type(metric.dimension("StorageType"))
    };
    for fault in faults.iter().filter(is_for_it) {
        match fault.effect() {
            Effect::Result(status) if struck.status.is_none() && fault.strikes() => {
                struck.status = Some(*status);
            }
            Effect::OffByOne if fault.strikes() => struck.added += 1.0,
            _ => {}
        }
    }
    struck
}

fn faulty<'a>(plan: &Plan<'a>, status: ResultStatus) -> Option<MetricDataResult<'a>> {
    let status_code = match status {
        ResultStatus::PartialData => "PartialData",
        ResultStatus::InternalError => "InternalError",
        ResultStatus::Forbidden => "Forbidden",
        ResultStatus::Missing => return None,
    };
    let messages = Some([MessageData { code: status_code, value: "by a fault" }]);
    Some(MetricDataResult {
        id: plan.id,
        label: plan.label,
        timestamps: Vec::new(),
        values: Vec::new(),
        status_code,
        messages,
    })
}

/// Whether a fault withholds the token of this page, which has one.
pub(crate) fn drops_token(faults: &[Arc<Armed>]) -> bool {
    faults.iter().any(|fault| matches!(fault.effect(), Effect::DropNextToken) && fault.strikes())
}

#[cfg(test)]
mod tests {
    use super::super::window::DAY;
    use super::*;

    const NOW: i64 = 1_800_000_000 - 1_800_000_000 % DAY;

    fn input(json: &serde_json::Value) -> String {
        serde_json::to_string(&json).expect("JSON")
    }

    fn query(id: &str, metric: &str) -> serde_json::Value {
        let metric = serde_json::json!({ "Namespace": "N", "MetricName": metric });
        serde_json::json!({ "Id": id, "MetricStat": { "Metric": metric, "Period": 86400, "Stat": "Average" } })
    }

    /// The pages of a request, as `id: values status` lines.
    fn pages(max: usize, ascending: bool) -> Vec<Vec<String>> {
        let mut metrics = RegionMetrics::default();
        for (name, days) in [("one", 3), ("none", 0), ("two", 2)] {
            let metric = MetricRef { namespace: "N", name, dimensions: &[] };
            for day in 0..days {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                metrics.set(&metric, None, NOW + day * DAY, day as f64);
            }
        }
        let queries = [query("a", "one"), query("b", "none"), query("c", "two")];
        let json = input(&serde_json::json!({
            "MetricDataQueries": queries, "StartTime": NOW, "EndTime": NOW + 5 * DAY,
        }));
        let input: Input<'_> = serde_json::from_str(&json).expect("input");
        let plans = plan(&input, NOW + 5 * DAY).map_err(|error| error.message).expect("plan");
        let (mut place, mut pages) = (Some(Cursor::default()), Vec::new());
        while let Some(from) = place {
            let mut page = Page { left: max, results: Vec::new(), next: None };
            page.fill(&plans, from, &metrics, &[], ascending);
            let line = |it: &MetricDataResult<'_>| format!("{}: {:?} {}", it.id, it.values, it.status_code);
            pages.push(page.results.iter().map(line).collect());
            place = page.next;
            assert_eq!(place.and_then(|place| Cursor::parse(&place.token())), place);
        }
        pages
    }

    #[test]
    fn the_newest_come_first_unless_asked_otherwise() {
        assert_eq!(
            pages(100, false),
            [["a: [2.0, 1.0, 0.0] Complete", "b: [] Complete", "c: [1.0, 0.0] Complete"]]
        );
        assert_eq!(pages(100, true)[0][0], "a: [0.0, 1.0, 2.0] Complete");
    }

    #[test]
    fn pages_are_cut_by_datapoints_and_lose_none() {
        let cut = pages(2, false);
        assert_eq!(cut[0], ["a: [2.0, 1.0] PartialData"]);
        assert_eq!(cut[1], ["a: [0.0] Complete", "b: [] Complete", "c: [1.0] PartialData"]);
        assert_eq!(cut[2], ["c: [0.0] Complete"]);
        assert_eq!(pages(3, false)[0], ["a: [2.0, 1.0, 0.0] Complete", "b: [] Complete"]);
    }

    #[test]
    fn ids_and_limits_are_checked() {
        assert!(is_id("q0") && is_id("a_B9"));
        assert!(!is_id("Q0") && !is_id("0q") && !is_id("") && !is_id("a-b"));
        let queries: Vec<_> = (0..501).map(|number| query(&format!("q{number}"), "one")).collect();
        let json = input(&serde_json::json!({
            "MetricDataQueries": queries, "StartTime": NOW, "EndTime": NOW + DAY,
        }));
        let input: Input<'_> = serde_json::from_str(&json).expect("input");
        assert_eq!(
            plan(&input, NOW).err().map(|error| error.code.into_owned()).as_deref(),
            Some("ValidationError")
        );
    }
}
