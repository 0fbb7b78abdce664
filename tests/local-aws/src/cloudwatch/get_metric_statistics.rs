// SPDX-License-Identifier: Apache-2.0
//! `GetMetricStatistics`, one series a call: the older of the two ways to read values.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html>

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::input::{Dimension, invalid_combination, invalid_value, missing, pairs};
use super::store::MetricRef;
use super::window::{Statistic, Statistics, Window, is_period};
use super::wire::{Timestamp, decode, encode};
use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::world::World;

const MAX_DATAPOINTS: u64 = 1440;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input<'a> {
    namespace: String,
    metric_name: String,
    #[serde(borrow, default)]
    dimensions: Vec<Dimension<'a>>,
    start_time: Timestamp,
    end_time: Timestamp,
    period: i64,
    #[serde(default)]
    statistics: Vec<String>,
    unit: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output<'a> {
    label: &'a str,
    datapoints: Vec<Datapoint<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datapoint<'a> {
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    unit: &'a str,
}

pub(crate) fn serve(world: &World, call: &mut Call, body: &[u8]) -> Result<Reply, ServiceError> {
    let input: Input<'_> = decode(call.protocol, body)?;
    call.items = 1;
    if input.start_time >= input.end_time {
        return Err(invalid_combination("The parameter StartTime must be less than the parameter EndTime."));
    }
    if !is_period(input.period) {
        return Err(invalid_value("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60."));
    }
    let statistics = input
        .statistics
        .iter()
        .map(|name| Statistic::parse(name))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| invalid_value("The value for parameter Statistics is invalid."))?;
    if statistics.is_empty() {
        return Err(missing("Statistics"));
    }
    let window = Window::new(input.start_time.0, input.end_time.0, input.period, world.now().timestamp());
    if window.estimate() > MAX_DATAPOINTS {
        let asked = window.estimate();
        return Err(invalid_combination(format!(
            "You have requested up to {asked} datapoints, which exceeds the limit of 1440. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )));
    }
    let metrics = world.cloudwatch.region(call.account(), &call.region);
    let metrics = metrics.read().unwrap_or_else(PoisonError::into_inner);
    let dimensions = pairs(&input.dimensions);
    let metric = MetricRef { namespace: &input.namespace, name: &input.metric_name, dimensions: &dimensions };
    let (points, unit) = metrics.points(&metric, input.unit.as_deref(), window.kept(), &mut String::new());
    let unit = unit.unwrap_or("None");
    let datapoints = window
        .fold(points.into_iter())
        .into_iter()
        .map(|(at, set)| datapoint(at, &set, &statistics, unit))
        .collect();
    Ok(encode(call.protocol, &Output { label: &input.metric_name, datapoints }))
}

fn datapoint<'a>(at: i64, set: &Statistics, wanted: &[Statistic], unit: &'a str) -> Datapoint<'a> {
    let get = |statistic| wanted.contains(&statistic).then(|| set.get(statistic));
    Datapoint {
        timestamp: Timestamp(at),
        average: get(Statistic::Average),
        sum: get(Statistic::Sum),
        minimum: get(Statistic::Minimum),
        maximum: get(Statistic::Maximum),
        sample_count: get(Statistic::SampleCount),
        unit,
    }
}
