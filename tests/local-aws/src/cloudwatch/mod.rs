// SPDX-License-Identifier: Apache-2.0
//! CloudWatch metrics, over rpc-v2-cbor and awsJson.
//!
//! `window` has the rules of time and `store` the series; one file an operation puts them together; `wire` and `cbor`
//! are the protocols.

mod asked;
mod cbor;
mod get_metric_data;
mod get_metric_statistics;
mod input;
mod list_metrics;
mod put_metric_data;
mod store;
mod unknown;
mod window;
mod wire;

use bytes::Bytes;
use hyper::header::HeaderMap;

use crate::gateway::Call;
use crate::reply::{Reply, ServiceError, unknown_operation};
use crate::world::World;

pub(crate) use asked::Asked;
pub use asked::{Ask, AskedSeries};
pub(crate) use store::{CloudWatch, MetricRef, S3_NAMESPACE};
pub(crate) use unknown::UnknownNamespaces;
pub(crate) use window::{DAY, Statistic, Statistics};

pub(crate) fn serve(
    world: &World,
    call: &mut Call,
    headers: &HeaderMap,
    packed: &Bytes,
) -> Result<Reply, ServiceError> {
    let body = wire::unpack(headers, packed)?;
    match call.operation.as_str() {
        "GetMetricData" => get_metric_data::serve(world, call, &body),
        "GetMetricStatistics" => get_metric_statistics::serve(world, call, &body),
        "ListMetrics" => list_metrics::serve(world, call, &body),
        "PutMetricData" => put_metric_data::serve(world, call, &body),
        other => Err(unknown_operation(other)),
    }
}
