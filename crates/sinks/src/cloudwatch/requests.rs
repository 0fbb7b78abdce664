// SPDX-License-Identifier: Apache-2.0
//! Cuts datapoints into requests. Pure: the same datapoints are always the same requests, so that a later attempt knows by
//! a number what an earlier one sent.

use std::mem;

use super::points::Point;

/// The most metrics of a request.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>
const MAX_POINTS: usize = 1000;

/// The size of a request, before it is compressed, stays below the 1 MB that AWS takes.
const MAX_BYTES: usize = 1_000_000;

/// What a datapoint and a dimension take at most besides their texts: names of fields, numbers and lengths.
const BYTES_OF_POINT: usize = 200;
const BYTES_OF_DIMENSION: usize = 32;

/// One call. It has counters or none, since the two are treated differently if its answer is lost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Request {
    pub(super) is_counter: bool,
    pub(super) points: Vec<Point>,
    /// An upper bound of its size.
    pub(super) bytes: usize,
}

/// The requests that are being filled.
#[derive(Debug)]
pub(super) struct Requests {
    gauges: Request,
    counters: Request,
}

impl Requests {
    pub(super) fn new() -> Self {
        let counters = Request { is_counter: true, ..Request::default() };
        Self { gauges: Request::default(), counters }
    }

    /// Adds a datapoint; returns the request that has no room for it.
    pub(super) fn add(&mut self, point: Point) -> Option<Request> {
        let filled = if point.is_counter { &mut self.counters } else { &mut self.gauges };
        let bytes = size(&point);
        let has_room = filled.points.len() < MAX_POINTS && filled.bytes + bytes <= MAX_BYTES;
        let next = Request { is_counter: point.is_counter, ..Request::default() };
        let full = (!has_room).then(|| mem::replace(filled, next));
        filled.bytes += bytes;
        filled.points.push(point);
        full
    }

    /// The last requests.
    pub(super) fn end(self) -> impl Iterator<Item = Request> {
        [self.gauges, self.counters].into_iter().filter(|request| !request.points.is_empty())
    }
}

/// An upper bound of the size of a datapoint in a request.
fn size(Point { datum, .. }: &Point) -> usize {
    let length = |text: Option<&str>| text.unwrap_or_default().len();
    let dimensions = datum
        .dimensions()
        .iter()
        .map(|dimension| BYTES_OF_DIMENSION + length(dimension.name()) + length(dimension.value()));
    BYTES_OF_POINT + length(datum.metric_name()) + dimensions.sum::<usize>()
}

#[cfg(test)]
pub(super) mod tests {
    use aws_sdk_cloudwatch::{
        primitives::DateTime,
        types::{Dimension, MetricDatum, StatisticSet},
    };

    use super::*;

    pub(in crate::cloudwatch) fn point(is_counter: bool, at: i64, value: &str) -> Point {
        let set = StatisticSet::builder().sample_count(2.0).sum(3.0).minimum(1.0).maximum(2.0).build();
        let dimension = Dimension::builder().name("QueueName").value(value).build();
        let datum = MetricDatum::builder().metric_name("Sent").timestamp(DateTime::from_secs(at));
        let datum = datum.unit("Count".into()).dimensions(dimension).statistic_values(set).build();
        Point { is_counter, at, datum }
    }

    fn cut(points: impl IntoIterator<Item = Point>) -> Vec<Request> {
        let mut requests = Requests::new();
        let mut full: Vec<Request> = points.into_iter().filter_map(|point| requests.add(point)).collect();
        full.extend(requests.end());
        full
    }

    #[test]
    fn requests_are_of_one_kind_and_have_a_thousand_points_at_most() {
        let points: Vec<Point> = (0..4500).map(|nth| point(nth % 3 == 0, nth, "q")).collect();
        let requests = cut(points.clone());
        let shape: Vec<(bool, usize)> =
            requests.iter().map(|request| (request.is_counter, request.points.len())).collect();
        assert_eq!(shape, [(false, 1000), (true, 1000), (false, 1000), (false, 1000), (true, 500)]);
        assert_eq!(cut(points.clone()), requests, "always the same");
        for is_counter in [false, true] {
            let of_kind = requests.iter().filter(|request| request.is_counter == is_counter);
            let put: Vec<&Point> = of_kind.flat_map(|request| &request.points).collect();
            let expected: Vec<&Point> =
                points.iter().filter(|point| point.is_counter == is_counter).collect();
            assert_eq!(put, expected);
        }
        assert!(cut([]).is_empty());
    }

    #[test]
    fn no_request_is_larger_than_a_megabyte() {
        let long = "x".repeat(1024);
        let requests = cut((0..2000).map(|nth| point(false, nth, &long)));
        assert!(requests.len() == 3 && requests.iter().all(|request| request.bytes <= MAX_BYTES));
    }
}
