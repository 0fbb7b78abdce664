// SPDX-License-Identifier: Apache-2.0
//! Rows of functions in a long table; the tests of both programs have those of a wide one.

use std::sync::Arc;

use aws_sdk_lambda::types::{Architecture, FunctionConfiguration, PackageType};
use chrono::TimeDelta;
use fleet::{Dataset, datasets::Period};

use super::{Grid, Layout, Reading};
use crate::{
    account::functions::Facts,
    cloudwatch::{calls::Point, plan::Window},
    table::{
        SeriesRows,
        content::Spool,
        csv::Subject,
        series_csv::{self, Known, When, decode},
    },
};

const FUNCTIONS: &str = r#"
name      = "functions"
title     = "Functions, value by value"
namespace = "AWS/Lambda"
resource  = ["FunctionName"]
shape     = "series"
layout    = "long"
period    = "1m"
settle    = "20m"
discovery = "list_functions"
regions   = "configured"

[[metric]]
name       = "Invocations"
unit       = "Count"
statistics = ["Sum"]

[[metric]]
name       = "memory_utilization"
namespace  = "LambdaInsights"
resource   = ["function_name"]
unit       = "Percent"
statistics = ["Maximum"]
"#;

#[test]
fn each_value_has_what_its_function_is_and_whether_it_is_settled() {
    let dataset: &Dataset = Box::leak(Box::new(Dataset::parse(FUNCTIONS).expect("a dataset")));
    let layout = Layout::new(dataset);
    let date = "2026-11-03".parse::<fleet::ReportDate>().expect("a date");
    let day: fleet::Window = date.into();
    let (window, start) = (Window::new(date, 0), day.start().timestamp());
    let mut reading = Reading::new(Grid::new(window, Period::new(60).expect("a period")), &layout);
    reading.add(0, Ok(vec![Point { at: start, value: 3.0 }, Point { at: start + 60, value: 4.0 }]));
    reading.add(1, Ok(vec![Point { at: start, value: 12.5 }]));
    let function = FunctionConfiguration::builder()
        .runtime("nodejs20.x".into())
        .architectures(Architecture::Arm64)
        .memory_size(128)
        .timeout(60)
        .package_type(PackageType::Zip)
        .last_modified("2026-11-03T10:00:00.000+0000");
    let facts = Facts::from(function.build());
    let (name, id) = ("data".parse().expect("a name"), "111111111111".parse().expect("an id"));
    let subject = Subject { dataset, account_name: &name, account_id: &id, date: window.date() };
    let key = (Arc::from("=f"), Arc::from("eu-west-1"));
    // Six minutes after the first period.
    let when = When { seconds: 60, end: day.end(), now: day.start() + TimeDelta::minutes(7) };
    let known = Known { tags: &[], function: Some(&facts) };
    let part = reading.split(&layout, &[day]).remove(0);
    let encoded = series_csv::encode(&subject, &key, &known, &when, part, &Spool::default());
    let row = |minute: u32, measured: &str, settled: bool| {
        format!(
            "'=f,data,111111111111,eu-west-1,2026-11-03T00:0{minute}:00Z,60,nodejs20.x,2026-04-30,arm64,128,60,Zip,\
             2026-11-03T10:00:00Z,{measured},{settled},ok\n"
        )
    };
    let expected = [
        row(0, "Invocations,Count,Sum,3", true),
        row(0, "memory_utilization,Percent,Maximum,12.5", true),
        row(1, "Invocations,Count,Sum,4", false),
    ];
    let body = encoded.body.read().expect("read");
    assert_eq!(String::from_utf8_lossy(&body), expected.concat());
    // They are read back as they are.
    let mut table = SeriesRows::default();
    table.0.insert(key, encoded);
    let (whole, _) = table.join(&series_csv::header(dataset)).expect("in memory");
    let read = decode(dataset, &whole).expect("its own table");
    assert_eq!(read.0.values().map(|encoded| encoded.rows).collect::<Vec<_>>(), [3]);
}
