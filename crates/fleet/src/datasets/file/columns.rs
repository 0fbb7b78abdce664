// SPDX-License-Identifier: Apache-2.0
//! The columns of a dataset's table, by its resources, metrics and shape.

use crate::datasets::{Cell, Column, Derived, Discovery, Fact, Formula, Metric, snake_case};

fn column(name: &str, cell: Cell) -> Column {
    Column { name: name.to_owned(), cell }
}

/// The columns for the values of a resource's dimensions.
fn of_resource(resource: &[String]) -> Vec<Column> {
    let columns = resource.iter().enumerate();
    columns.map(|(place, name)| column(&snake_case(name), Cell::Resource(place))).collect()
}

/// The columns for the values of a metric.
fn of_values(metric: &Metric, cell: Cell) -> impl Iterator<Item = Column> {
    metric.measures().map(move |(name, _)| column(&name, cell))
}

/// The columns that say of what, and of when, a row of a series is, and what is known of a function.
fn of_period(resource: &[String], discovery: Discovery) -> Vec<Column> {
    let mut columns = of_resource(resource);
    columns.extend([
        column("account_name", Cell::AccountName),
        column("account_id", Cell::AccountId),
        column("region", Cell::Region),
        column("period_start", Cell::PeriodStart),
        column("period_seconds", Cell::PeriodSeconds),
    ]);
    if discovery == Discovery::ListFunctions {
        columns.extend(Fact::ALL.map(|fact| column(fact.name(), Cell::Fact(fact))));
    }
    columns
}

/// The last columns of a series.
fn of_end(discovery: Discovery) -> impl Iterator<Item = Column> {
    let settled = (discovery == Discovery::ListFunctions).then(|| column("settled", Cell::Settled));
    settled.into_iter().chain([column("status", Cell::Status)])
}

/// The columns of a table with a row for each value of a resource in a period, in order.
pub(in crate::datasets) fn of_long(resource: &[String], discovery: Discovery) -> Vec<Column> {
    let mut columns = of_period(resource, discovery);
    columns.extend([
        column("metric", Cell::Metric),
        column("unit", Cell::Unit),
        column("statistic", Cell::Statistic),
        column("value", Cell::Value),
    ]);
    columns.extend(of_end(discovery));
    columns
}

/// The columns of a table with a row for each resource and period, in order. A derived column that lacks one of its own is
/// not among them.
pub(in crate::datasets) fn of_series(
    resource: &[String],
    discovery: Discovery,
    metrics: &[Metric],
    derived: &[Derived],
) -> Vec<Column> {
    let mut columns = of_period(resource, discovery);
    let values: Vec<Column> = metrics.iter().flat_map(|metric| of_values(metric, Cell::Value)).collect();
    let place = |name: &String| values.iter().position(|value| value.name == *name);
    let made = |Derived { name, formula }: &Derived| Some(column(name, cell_of(formula, place)?));
    let derived: Vec<Column> = derived.iter().filter_map(made).collect();
    columns.extend(values.into_iter().chain(derived));
    if discovery == Discovery::ListFunctions && metrics.iter().any(Metric::is_of_lambda_insights) {
        columns.push(column("insights", Cell::Insights));
    }
    columns.extend(of_end(discovery));
    columns
}

/// The cell of a derived column, if all columns that it is made of have a place.
fn cell_of(formula: &Formula, place: impl Fn(&String) -> Option<usize>) -> Option<Cell> {
    Some(match formula {
        Formula::Ratio([of, by]) => Cell::Ratio(place(of)?, place(by)?),
        Formula::OfTimeout(of) => Cell::OfTimeout(place(of)?),
        Formula::LambdaCost([invocations, duration]) => {
            Cell::LambdaCost(place(invocations)?, place(duration)?)
        }
        Formula::Arm64Saving(duration) => Cell::Arm64Saving(place(duration)?),
    })
}

/// The columns of a table with a row for each resource, in order; `totals` has each metric's column for its total.
pub(super) fn of_newest_day(
    resource: &[String],
    discovery: Discovery,
    metrics: &[Metric],
    totals: &[Option<String>],
) -> Vec<Column> {
    let mut columns = of_resource(resource);
    columns.push(column("account_name", Cell::AccountName));
    if discovery.knows_creation() {
        columns.push(column("creation_date", Cell::CreationDate));
    }
    for (place, (metric, total)) in metrics.iter().zip(totals).enumerate() {
        columns.extend(of_values(metric, Cell::Measure));
        columns.extend(total.iter().map(|name| column(name, Cell::Total(place))));
    }
    columns.extend([
        column("account_id", Cell::AccountId),
        column("region", Cell::Region),
        column("report_date", Cell::ReportDate),
        column("datapoint_date", Cell::DatapointDate),
        column("status", Cell::Status),
    ]);
    columns
}

/// Whether a text can be the name of a column: Athena reads no other without quotes.
/// Source: <https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html>
pub(super) fn is_column(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && is_name(name)
}

/// Whether a text is `[a-z0-9_]+`.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cloudwatch_become_names_of_columns() {
        for (name, expected) in [
            ("BucketName", "bucket_name"),
            ("CPUUtilization", "cpu_utilization"),
            ("HTTPCode_Target_5XX_Count", "http_code_target_5xx_count"),
            ("DBInstanceIdentifier", "db_instance_identifier"),
            (
                "NumberOfNotificationsFilteredOut-InvalidAttributes",
                "number_of_notifications_filtered_out_invalid_attributes",
            ),
            ("EBSIOBalance%", "ebsio_balance"),
            ("function_name", "function_name"),
            ("4xxErrors", "4xx_errors"),
            ("%", ""),
        ] {
            assert_eq!(snake_case(name), expected);
        }
        assert!(is_column("p99_9") && !is_column("4xx_errors") && !is_column("") && !is_column("Ü"));
    }
}
