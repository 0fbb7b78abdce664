// SPDX-License-Identifier: Apache-2.0
//! `PutMetricData`, as strict about its limits as AWS is.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>

use std::sync::PoisonError;

use hyper::StatusCode;
use serde::Deserialize;

use super::input::{Dimension, invalid_combination, invalid_value, missing, pairs};
use super::store::{MetricRef, RegionMetrics};
use super::window::{DAY, Statistics};
use super::wire::{Timestamp, decode, encode};
use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::world::World;

const MAX_METRICS: usize = 1000;
const MAX_BYTES: usize = 1024 * 1024;
const MAX_DIMENSIONS: usize = 30;
const MAX_VALUES: usize = 150;

/// 2^360; what is not a number is not below it.
const MAX_VALUE: f64 = f64::from_bits((360 + 1023) << 52);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input<'a> {
    namespace: String,
    #[serde(borrow, default)]
    metric_data: Vec<Datum<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datum<'a> {
    metric_name: String,
    #[serde(borrow, default)]
    dimensions: Vec<Dimension<'a>>,
    timestamp: Option<Timestamp>,
    value: Option<f64>,
    values: Option<Vec<f64>>,
    counts: Option<Vec<f64>>,
    statistic_values: Option<StatisticSet>,
    unit: Option<String>,
    storage_resolution: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

pub(crate) fn serve(world: &World, call: &mut Call, body: &[u8]) -> Result<Reply, ServiceError> {
    // AWS documents 1 MB of what is sent, and that it may be compressed. Here it is before that: who keeps to this keeps to both.
    if body.len() > MAX_BYTES {
        return Err(ServiceError::new("RequestEntityTooLarge", "The request is larger than 1 MB.")
            .status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let input: Input<'_> = decode(call.protocol, body)?;
    call.items = input.metric_data.len();
    if input.namespace.is_empty() {
        return Err(missing("Namespace"));
    }
    if input.namespace.starts_with("AWS/") {
        return Err(invalid_value("The value AWS/ for parameter Namespace is invalid."));
    }
    if input.metric_data.len() > MAX_METRICS {
        return Err(invalid_value("The collection MetricData must not have a size greater than 1000."));
    }
    let now = world.now().timestamp();
    let checked: Vec<_> =
        input.metric_data.iter().map(|datum| check(datum, now)).collect::<Result<_, ServiceError>>()?;
    let metrics = world.cloudwatch.region(call.account(), &call.region);
    let mut metrics = metrics.write().unwrap_or_else(PoisonError::into_inner);
    for (datum, (at, sets)) in input.metric_data.iter().zip(checked) {
        store(&mut metrics, &input.namespace, datum, at, &sets);
    }
    Ok(encode(call.protocol, &serde_json::json!({})))
}

fn store(metrics: &mut RegionMetrics, namespace: &str, datum: &Datum<'_>, at: i64, sets: &[Statistics]) {
    let dimensions = pairs(&datum.dimensions);
    let metric = MetricRef { namespace, name: &datum.metric_name, dimensions: &dimensions };
    for set in sets {
        metrics.put(&metric, datum.unit.as_deref(), at, set);
    }
}

/// The time and the statistic sets of a datum, or why it is refused.
fn check(datum: &Datum<'_>, now: i64) -> Result<(i64, Vec<Statistics>), ServiceError> {
    let at = datum.timestamp.map_or(now, |timestamp| timestamp.0);
    if at < now - 14 * DAY || at > now + 2 * 3600 {
        return Err(invalid_value(
            "The value for parameter MetricData.member.Timestamp must be at most two weeks old and two hours ahead.",
        ));
    }
    if datum.dimensions.len() > MAX_DIMENSIONS {
        return Err(invalid_value("The collection Dimensions must not have a size greater than 30."));
    }
    let grain = if datum.storage_resolution == Some(1) { 1 } else { 60 };
    let at = at - at.rem_euclid(grain);
    let sets = match (datum.value, &datum.values, &datum.statistic_values) {
        (Some(value), None, None) => vec![Statistics::of(value)],
        (None, Some(values), None) => weighted(values, datum.counts.as_deref())?,
        (None, None, Some(set)) => {
            vec![Statistics {
                sum: set.sum,
                minimum: set.minimum,
                maximum: set.maximum,
                count: set.sample_count,
            }]
        }
        (None, None, None) => return Err(missing("MetricData.member.1.Value")),
        _ => {
            return Err(invalid_combination("Value, Values and StatisticValues are mutually exclusive."));
        }
    };
    let is_within = |value: f64| value.abs() <= MAX_VALUE;
    let is_whole =
        |set: &Statistics| [set.sum, set.minimum, set.maximum, set.count].into_iter().all(is_within);
    if !sets.iter().all(is_whole) || sets.iter().any(|set| set.count <= 0.0) {
        return Err(invalid_value("The value for parameter MetricData.member.Value is invalid."));
    }
    Ok((at, sets))
}

fn weighted(values: &[f64], counts: Option<&[f64]>) -> Result<Vec<Statistics>, ServiceError> {
    if values.is_empty()
        || values.len() > MAX_VALUES
        || counts.is_some_and(|counts| counts.len() != values.len())
    {
        return Err(invalid_value("Values must hold 1 to 150 values, and Counts as many."));
    }
    let count = |place: usize| counts.map_or(1.0, |counts| counts[place]);
    let set = |(place, value): (usize, &f64)| Statistics {
        sum: value * count(place),
        minimum: *value,
        maximum: *value,
        count: count(place),
    };
    Ok(values.iter().enumerate().map(set).collect())
}
