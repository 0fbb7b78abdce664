// SPDX-License-Identifier: Apache-2.0
//! The statement by which Athena makes the table of a dataset's reports. Twin: `terraform/modules/reports/main.tf`, where
//! the reasons are. Plain functions over values.

use anyhow::{Context, bail};
use fleet::{
    Dataset, KeyTemplate, WindowLength, datasets::Shape, duration, report_bucket, report_key::DayFolder,
};

/// The partition key: a column of the table that no report has.
const DAY: &str = "day";

/// What ends a text in a statement.
const QUOTES: [char; 2] = ['\'', '\\'];

/// Where the reports are, and where the table is to be.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// Where the keys of reports begin, in the form of [`location`].
    pub(crate) location: &'a str,
    pub(crate) template: &'a KeyTemplate,
    /// The length of the reports' windows, if it is not the dataset's own.
    pub(crate) window: Option<WindowLength>,
    /// The table's database, if it is not the one that the query is run in.
    pub(crate) database: Option<&'a str>,
}

/// The statement for the table of a dataset.
///
/// # Errors
///
/// If there can be no such reports, or no such table.
pub(crate) fn statement(dataset: &Dataset, target: &Target<'_>) -> anyhow::Result<String> {
    let &Target { location, template, database, .. } = target;
    let window = target.window.unwrap_or(dataset.window);
    check_window(dataset, window)?;
    if dataset.columns.iter().any(|column| column.name == DAY) {
        bail!("{}: a table can't have the column day, by which Athena tells the days apart", dataset.name);
    }
    let DayFolder { days, day } = template.day_folder(dataset, window, "${day}")?;
    if day.contains(QUOTES) {
        bail!("key template {:?}: a table's location has no quote and no backslash", template.as_str());
    }
    let table = dataset.folder(window);
    let table = database.map_or_else(|| format!("`{table}`"), |database| format!("`{database}`.`{table}`"));
    let columns: Vec<String> = dataset
        .columns
        .iter()
        .map(|column| format!("  `{}` {}", column.name, column.cell.type_name()))
        .collect();
    Ok(format!(
        "\
CREATE EXTERNAL TABLE {table} (
{columns}
)
PARTITIONED BY (
  `day` string COMMENT 'The day that the report is of, YYYY-MM-DD: name it in every query'
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe'
WITH SERDEPROPERTIES (
  'field.delim' = ',',
  'serialization.format' = ',',
  'serialization.null.format' = ''
)
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{location}{days}'
TBLPROPERTIES (
  'classification' = 'csv',
  'skip.header.line.count' = '1',
  'projection.enabled' = 'true',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy-MM-dd',
  'projection.day.range' = '2025-01-01,NOW',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = '{location}{day}'
)",
        columns = columns.join(",\n"),
    ))
}

fn check_window(dataset: &Dataset, window: WindowLength) -> anyhow::Result<()> {
    if dataset.shape == Shape::NewestDay && !window.is_day() {
        bail!("{}: its windows are of 1d, and not of {window}", dataset.name);
    }
    if window.seconds() < dataset.period.seconds() {
        let period = duration::shown_seconds(dataset.period.seconds());
        bail!("{}: a window of {window} is shorter than its period, {period}", dataset.name);
    }
    Ok(())
}

/// A bucket, and a prefix if there is one: it ends with a slash.
pub(crate) fn location(text: &str) -> anyhow::Result<String> {
    let form = || format!("{text:?} is not of the form s3://bucket/ or s3://bucket/prefix/");
    let rest = text.strip_prefix("s3://").with_context(form)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    report_bucket::check_name(bucket).with_context(form)?;
    let is_odd = |c: char| !(' '..='~').contains(&c) || QUOTES.contains(&c) || ['$', '{', '}'].contains(&c);
    if prefix.contains(is_odd) {
        bail!("{text:?} has a character that the location of a table can't have");
    }
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    Ok(format!("s3://{bucket}/{prefix}{slash}"))
}

/// The name of a database.
/// Source: <https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html>
pub(crate) fn database(text: &str) -> anyhow::Result<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ['_', '-'].contains(&c);
    if !(1..=255).contains(&text.len()) || !text.chars().all(is_part) {
        bail!("{text:?} is no name of a database: letters, digits, _ and -, 255 at most");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, window: Option<&str>, template: &str) -> Result<String, String> {
        let target = Target {
            location: "s3://reports/",
            template: &template.parse().expect("valid"),
            window: window.map(|window| window.parse().expect("a length")),
            database: None,
        };
        statement(Dataset::find(name).expect("registered"), &target).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_table_is_of_a_folder() {
        let template = KeyTemplate::default();
        let template = template.as_str();
        let of_five = made("lambda_function", Some("5m"), template).expect("a statement");
        assert!(
            of_five.starts_with("CREATE EXTERNAL TABLE `lambda_function__5m` (\n  `function_name` string,")
        );
        assert!(of_five.contains("  `error_rate` double,\n"), "{of_five}");
        assert!(of_five.contains("LOCATION 's3://reports/lambda_function__5m/'"), "{of_five}");
        let own = made("lambda_function", Some("1d"), template).expect("a statement");
        assert!(own.contains("'s3://reports/lambda_function/report_date=${day}/'"), "{own}");
        let elsewhere = made("sqs", None, "aws/{date}/{dataset}/{account}/{time}.csv").expect("a statement");
        assert!(elsewhere.contains("LOCATION 's3://reports/aws/'"), "{elsewhere}");
        assert!(elsewhere.contains("'s3://reports/aws/${day}/sqs/'"), "{elsewhere}");
    }

    #[test]
    fn what_no_report_is_of_has_no_table() {
        for (name, window, template, expected) in [
            ("s3_daily_storage", Some("1h"), "", "s3_daily_storage: its windows are of 1d, and not of 1h"),
            ("ec2", Some("1m"), "", "ec2: a window of 1m is shorter than its period, 5m"),
            (
                "sqs",
                None,
                "{account}/{dataset}/{date}/report.csv",
                "begin with folders of {dataset} and {date}",
            ),
            ("sqs", None, "{dataset}/it's/{date}/{account}/report.csv", "no quote and no backslash"),
        ] {
            let default = KeyTemplate::default();
            let template = if template.is_empty() { default.as_str() } else { template };
            let error = made(name, window, template).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
        let text = include_str!("../../datasets/sqs.toml").replace("QueueName", "Day");
        let dataset = Dataset::parse(&text).expect("a dataset");
        let target = Target {
            location: "s3://reports/",
            template: &KeyTemplate::default(),
            window: None,
            database: Some("fleet"),
        };
        let error = statement(&dataset, &target).expect_err("two columns are day").to_string();
        assert_eq!(error, "sqs: a table can't have the column day, by which Athena tells the days apart");
    }

    #[test]
    fn a_location_is_a_bucket_and_a_folder() {
        for (text, expected) in [
            ("s3://reports", "s3://reports/"),
            ("s3://reports/", "s3://reports/"),
            ("s3://reports/a/b", "s3://reports/a/b/"),
            ("s3://reports/a b/", "s3://reports/a b/"),
        ] {
            assert_eq!(location(text).expect(text), expected);
        }
        for text in [
            "reports",
            "s3://",
            "s3://Reports/",
            "s3://reports/it's/",
            "s3://reports/${day}/",
            "s3://reports/ü/",
        ] {
            let error = location(text).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
        for text in ["", "a b", "a`b", "a.b"] {
            assert!(database(text).is_err(), "{text}");
        }
        assert_eq!(database("cloudwatch_fleet-2").expect("a name"), "cloudwatch_fleet-2");
    }
}
