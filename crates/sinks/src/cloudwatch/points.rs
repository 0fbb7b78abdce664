// SPDX-License-Identifier: Apache-2.0
//! Rows as datapoints. Pure functions.

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, MetricDatum, StatisticSet},
};
use fleet::{
    datasets::Cell as Content,
    report::stored::{Cell, Row, StoredReport},
};
use serde_json::{Map, Value, json};

use super::series::{ACCOUNT_ID, Measured, REGION, Series};

/// The largest absolute value that CloudWatch takes: 2^360.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
const MAX_VALUE: f64 = f64::from_bits((360 + 1023) << 52);

/// How many bytes of what is refused are kept for one report; the rest is counted.
const MAX_REJECTS: usize = 8 * 1024 * 1024;

/// One datapoint of one series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) is_counter: bool,
    /// When its period begins, in seconds since 1970.
    pub(super) at: i64,
    pub(super) datum: MetricDatum,
}

/// Makes the datapoints of one report.
#[derive(Debug)]
pub(super) struct Points {
    account_id: String,
    /// The name of each dimension of a resource, and its column.
    dimensions: Vec<(String, usize)>,
    region: Option<usize>,
    time: Option<usize>,
    /// Each metric, and its columns.
    metrics: Vec<(Measured, [usize; 4])>,
    /// Metrics of which the report has no columns: it is older than they are.
    pub(super) absent: Vec<String>,
}

/// What can never be put.
#[derive(Debug, Default)]
pub(super) struct Rejects {
    pub(super) count: u64,
    lines: Vec<u8>,
    left_out: u64,
}

impl Points {
    pub(super) fn new(series: &Series, report: &StoredReport) -> Self {
        let columns: Vec<&str> = report.columns().collect();
        let named = |name: &str| columns.iter().position(|column| *column == name);
        let place = |cell: Content| {
            let column = report.dataset.columns.iter().find(|column| column.cell == cell)?;
            named(&column.name)
        };
        let resource = report.dataset.resource.iter().enumerate();
        let mut points = Self {
            account_id: report.metadata.account_id.as_str().to_owned(),
            dimensions: resource
                .filter_map(|(nth, name)| Some((name.clone(), place(Content::Resource(nth))?)))
                .collect(),
            region: place(Content::Region),
            time: place(Content::PeriodStart),
            metrics: Vec::new(),
            absent: Vec::new(),
        };
        for metric in &series.measured {
            let [count, sum, minimum, maximum] = metric.columns.each_ref().map(|name| named(name));
            match (count, sum, minimum, maximum) {
                (Some(count), Some(sum), Some(minimum), Some(maximum)) => {
                    points.metrics.push((metric.clone(), [count, sum, minimum, maximum]));
                }
                _ => points.absent.push(metric.name.clone()),
            }
        }
        points
    }

    /// The datapoints of a row. A metric that lacks a statistic has none.
    pub(super) fn of(&self, row: Row<'_>, rejects: &mut Rejects) -> Vec<Point> {
        let text = |place: Option<usize>| match place.map(|place| row.get(place)) {
            Some(Cell::Text(text) | Cell::Number(text)) => Some(text),
            _ => None,
        };
        let Some(time) = text(self.time) else { return Vec::new() };
        let known = self.metrics.iter().filter_map(|(metric, places)| {
            let [count, sum, minimum, maximum] = places.map(|place| text(Some(place)));
            Some((metric, [count?, sum?, minimum?, maximum?]))
        });
        let mut points = Vec::new();
        for (metric, cells) in known {
            let point = self.dimensions(text).and_then(|dimensions| {
                let at = chrono::DateTime::parse_from_rfc3339(time);
                let at = at.map_err(|_| format!("{time:?} is no time"))?.timestamp();
                let datum = MetricDatum::builder()
                    .metric_name(&metric.name)
                    .unit((&*metric.unit).into())
                    .timestamp(DateTime::from_secs(at))
                    .set_dimensions(Some(dimensions))
                    .statistic_values(statistics(cells)?);
                Ok(Point { is_counter: metric.is_counter, at, datum: datum.build() })
            });
            match point {
                Ok(point) => points.push(point),
                Err(reason) => rejects.add(&reason, metric, row),
            }
        }
        points
    }

    fn dimensions<'a>(
        &self,
        text: impl Fn(Option<usize>) -> Option<&'a str>,
    ) -> Result<Vec<Dimension>, String> {
        let own = self.dimensions.iter().map(|(name, place)| (&**name, text(Some(*place))));
        let all = own.chain([(ACCOUNT_ID, Some(&*self.account_id)), (REGION, text(self.region))]);
        all.map(|(name, value)| {
            let value = value.ok_or_else(|| format!("its {name} is empty"))?;
            Ok(Dimension::builder().name(name).value(value).build())
        })
        .collect()
    }
}

/// A statistic set of its cells; an error says why CloudWatch would refuse it.
fn statistics(cells: [&str; 4]) -> Result<StatisticSet, String> {
    let number = |cell: &str| {
        let value: f64 = cell.parse().map_err(|_| format!("{cell:?} is no number"))?;
        // Not a number is not within, either.
        let is_within = value.abs() <= MAX_VALUE;
        if is_within {
            Ok(value)
        } else {
            Err(format!("{cell} is outside of what CloudWatch takes, ±2^360"))
        }
    };
    let [count, sum, minimum, maximum] = cells.map(number);
    let (count, sum, minimum, maximum) = (count?, sum?, minimum?, maximum?);
    if count <= 0.0 {
        return Err(format!("its SampleCount is {count}"));
    }
    if minimum > maximum {
        return Err(format!("its Minimum {minimum} is above its Maximum {maximum}"));
    }
    let set = StatisticSet::builder().sample_count(count).sum(sum);
    Ok(set.minimum(minimum).maximum(maximum).build())
}

impl Rejects {
    fn add(&mut self, reason: &str, metric: &Measured, row: Row<'_>) {
        self.count += 1;
        if self.lines.len() >= MAX_REJECTS {
            self.left_out += 1;
            return;
        }
        let cells: Map<String, Value> = row
            .cells()
            .filter_map(|(column, cell)| match cell {
                Cell::Text(text) | Cell::Number(text) => Some((column.to_owned(), text.into())),
                Cell::Unknown => None,
            })
            .collect();
        let line = json!({"reason": reason, "metric": metric.name, "row": cells});
        self.lines.extend_from_slice(format!("{line}\n").as_bytes());
    }

    /// The lines that are kept; none if nothing is refused.
    pub(super) fn into_lines(mut self) -> Option<Vec<u8>> {
        if self.left_out > 0 {
            let line =
                json!({"reason": format!("{} more were refused, which are not kept here", self.left_out)});
            self.lines.extend_from_slice(format!("{line}\n").as_bytes());
        }
        (self.count > 0).then_some(self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloudwatch_takes_is_a_statistic_set_and_the_rest_is_named() {
        let set = statistics(["2", "25.5", "12.5", "13"]).expect("valid");
        assert_eq!(
            [set.sample_count, set.sum, set.minimum, set.maximum],
            [Some(2.0), Some(25.5), Some(12.5), Some(13.0)]
        );
        let most = format!("{MAX_VALUE:?}");
        assert_eq!(MAX_VALUE.log2().to_bits(), 360f64.to_bits());
        for edge in [&*most, &format!("-{most}"), "-7", "0"] {
            statistics(["1", edge, edge, edge]).expect(edge);
        }
        for (cells, expected) in [
            (["1", "NaN", "1", "1"], "NaN is outside of what CloudWatch takes, ±2^360"),
            (["1", "1", "-inf", "1"], "-inf is outside of"),
            (["1", "1", "1", "2.4e108"], "2.4e108 is outside of"),
            (["1", "x", "1", "1"], "\"x\" is no number"),
            (["0", "0", "0", "0"], "its SampleCount is 0"),
            (["2", "3", "2", "1"], "its Minimum 2 is above its Maximum 1"),
        ] {
            let said = statistics(cells).expect_err(expected);
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
