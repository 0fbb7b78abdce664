// SPDX-License-Identifier: Apache-2.0
use std::{collections::HashSet, sync::Arc};

use fleet::{Dataset, datasets::Period};
use proptest::prelude::*;

use super::{Grid, Layout, Listing, Plan, Reading};
use crate::{
    cloudwatch::{
        calls::Point,
        dimensions,
        plan::{ListedSeries, Window},
        rows::{Problem, Status},
    },
    table::{
        Encoded, Key, SeriesRows,
        content::{Spool, sha256},
    },
    table::{
        csv::Subject,
        series_csv::{self, Known, When, as_late, decode},
    },
};

const SERVICES: &str = r#"
name      = "services"
title     = "Services of clusters"
namespace = "Test/Services"
resource  = ["ClusterName", "ServiceName"]
shape     = "series"
period    = "1m"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[metric]]
name       = "CPUUtilization"
unit       = "Percent"
statistics = ["Average", "Minimum", "Maximum", "Sum", "SampleCount"]

[[metric]]
name       = "Requests"
unit       = "Count"
statistics = ["Sum"]

[[metric]]
name       = "4xxErrors"
column     = "errors_4xx"
unit       = "Count"
statistics = ["Sum", "Average"]
missing    = { zero_with = "Requests" }

[[metric]]
name       = "Messages"
unit       = "Count"
statistics = ["Sum"]

[metric.split]
dimension = "Kind"
values    = { Mail = "messages_mail", EMail = "messages_mail" }
other     = "messages_other"
"#;

fn services() -> &'static Dataset {
    Box::leak(Box::new(Dataset::parse(SERVICES).expect("a dataset")))
}

fn window() -> Window {
    Window::new("2026-11-03".parse().expect("a date"), 0)
}

/// The one-minute periods of a day, and the start of the first.
fn grid() -> (Grid, i64) {
    (Grid::new(window(), Period::new(60).expect("a period")), window().start().timestamp())
}

fn listed(dataset: &'static Dataset, metric: usize, resource: &str, value: &str) -> ListedSeries {
    ListedSeries { metric: &dataset.metrics[metric], resource: resource.into(), value: value.into() }
}

fn columns(layout: &Layout) -> Vec<&str> {
    let columns = &layout.dataset().columns;
    columns.iter().map(|column| &*column.name).collect()
}

#[test]
fn the_columns_are_the_dimensions_the_account_the_period_and_the_values() {
    assert_eq!(
        columns(&Layout::new(services())),
        [
            "cluster_name",
            "service_name",
            "account_name",
            "account_id",
            "region",
            "period_start",
            "period_seconds",
            "cpu_utilization_average",
            "cpu_utilization_minimum",
            "cpu_utilization_maximum",
            "cpu_utilization_sum",
            "cpu_utilization_sample_count",
            "requests_sum",
            "errors_4xx_sum",
            "errors_4xx_average",
            "messages_mail",
            "messages_other",
            "status",
        ]
    );
}

#[test]
fn statistics_of_a_series_stay_together_and_a_call_needs_no_second_page() {
    let dataset = services();
    let layout = Layout::new(dataset);
    let mut listing = Listing::new(&layout);
    for nth in (0..40).rev() {
        let resource = dimensions::joined(["cluster", &format!("service-{nth:02}")]);
        for metric in [2, 0, 1, 0] {
            listing.add(listed(dataset, metric, &resource, ""));
        }
        for value in ["Mail", "Fax"] {
            listing.add(listed(dataset, 3, &resource, value));
        }
    }
    let plan = listing.into_plan(|resource| resource.ends_with("07"));
    assert_eq!(plan.resources.len(), 39);
    assert!(plan.resources.is_sorted_by(|(one, _), (other, _)| one < other));
    for (periods, most) in [(1440, 70), (24, 500), (1, 500)] {
        let calls = plan.calls(&layout, periods);
        let mut planned = HashSet::new();
        for call in &calls {
            let groups =
                call.iter().map(|(of, group)| (&plan.resources[*of].0, &plan.resources[*of].1[*group]));
            let queries: Vec<_> = groups.flat_map(|(of, group)| group.queries(&layout, of)).collect();
            assert!(queries.len() <= most, "{} queries of {periods} points", queries.len());
            for query in queries {
                let series = (query.resource.to_owned(), &*query.metric.name, query.value.to_owned());
                assert!(planned.insert((series, query.statistic.to_owned())), "queried twice");
            }
        }
        // Five, one, two, and one for each of two kinds of messages.
        assert_eq!(planned.len(), 39 * 10);
        assert!(calls.len() <= (39 * 10_usize).div_ceil(most - 4), "{} calls", calls.len());
    }
}

#[test]
fn a_resource_without_series_is_in_the_plan_and_in_no_call() {
    let layout = Layout::new(services());
    let mut listing = Listing::new(&layout);
    listing.add(listed(layout.dataset(), 1, "busy", ""));
    for name in ["idle", "busy", "known"] {
        listing.add_resource(&name.into());
    }
    let plan = listing.into_plan(|resource| resource == "known");
    let planned: Vec<_> = plan.resources.iter().map(|(name, groups)| (&**name, groups.len())).collect();
    assert_eq!(planned, [("busy", 1), ("idle", 0)]);
    assert_eq!((plan.is_empty(), plan.calls(&layout, 60)), (false, vec![vec![(0, 0)]]));
    assert!(Plan { resources: plan.resources[1..].to_vec() }.is_empty());
}

#[test]
fn a_value_without_a_column_is_skipped_and_reported() {
    let text = SERVICES.replace("other     = \"messages_other\"\n", "");
    let dataset: &Dataset = Box::leak(Box::new(Dataset::parse(&text).expect("a dataset")));
    let layout = Layout::new(dataset);
    let mut listing = Listing::new(&layout);
    listing.add(listed(dataset, 3, "a", "Fax"));
    assert_eq!(listing.skipped().collect::<Vec<_>>(), [("Messages", "Fax")]);
    assert!(listing.into_plan(|_| false).resources.is_empty());
}

fn encode(layout: &Layout, service: &str, reading: Reading) -> (Key, Encoded) {
    let (name, id) = ("data".parse().expect("a name"), "111111111111".parse().expect("an id"));
    let subject =
        Subject { dataset: layout.dataset(), account_name: &name, account_id: &id, date: window().date() };
    let key = (Arc::from(dimensions::joined(["main", service])), Arc::from("eu-west-1"));
    let day: fleet::Window = "2026-11-03".parse::<fleet::ReportDate>().expect("a date").into();
    let part = reading.split(layout, &[day]).remove(0);
    let when = When { seconds: 60, end: day.end(), now: day.end() };
    let encoded = series_csv::encode(&subject, &key, &Known::default(), &when, part, &Spool::default());
    (key, encoded)
}

fn body(layout: &Layout, reading: Reading) -> String {
    String::from_utf8(encode(layout, "=web,1", reading).1.body.read().expect("read").to_vec()).expect("UTF-8")
}

#[test]
fn a_row_is_a_period_with_a_value_and_unknown_cells_are_empty() {
    let layout = Layout::new(services());
    let (grid, start) = grid();
    let mut reading = Reading::new(grid, &layout);
    let point = |minute: i64, value: f64| Point { at: start + 60 * minute, value };
    reading.add(0, Ok(vec![point(1439, 1e-7), point(1, 12.5)]));
    reading.add(5, Ok(vec![point(1, 3.0), point(2, -0.0)]));
    // One has a datapoint. A count that is missing while there are requests is 0; an average is not.
    reading.add(6, Ok(vec![point(1, 1.0)]));
    // Two kinds share a column.
    reading.add(8, Ok(vec![point(1, 4.0)]));
    reading.add(8, Ok(vec![point(1, 0.5)]));
    assert_eq!(
        body(&layout, reading),
        "\
main,\"'=web,1\",data,111111111111,eu-west-1,2026-11-03T00:01:00Z,60,12.5,,,,,3,1,,4.5,,ok
main,\"'=web,1\",data,111111111111,eu-west-1,2026-11-03T00:02:00Z,60,,,,,,0,0,,,,ok
main,\"'=web,1\",data,111111111111,eu-west-1,2026-11-03T23:59:00Z,60,0.0000001,,,,,,,,,,ok
"
    );
    let silent = body(&layout, Reading::new(grid, &layout));
    assert_eq!(silent, "main,\"'=web,1\",data,111111111111,eu-west-1,,,,,,,,,,,,,no_data\n");
}

fn with_ratio() -> &'static Dataset {
    let text =
        format!("{SERVICES}\n[[derived]]\nname = \"rate\"\nratio = [\"errors_4xx_sum\", \"requests_sum\"]\n");
    Box::leak(Box::new(Dataset::parse(&text).expect("a dataset")))
}

#[test]
fn a_ratio_is_empty_where_it_is_not_known() {
    let layout = Layout::new(with_ratio());
    let (grid, start) = grid();
    let cells = [
        (Some(1.0), Some(3.0), "0.3333333333333333"),
        (Some(0.0), Some(8.0), "0"),
        (Some(-0.0), Some(8.0), "0"),
        // What CloudWatch does not have of the errors, while there are requests, is 0.
        (None, Some(8.0), "0"),
        (Some(5.0), Some(0.0), ""),
        (Some(0.0), Some(0.0), ""),
        (None, Some(0.0), ""),
        (Some(5.0), None, ""),
        (Some(1e-7), Some(1.0), "0.0000001"),
        (Some(1e300), Some(1e-300), ""),
    ];
    let mut reading = Reading::new(grid, &layout);
    let at = |minute: usize| start + 60 * i64::try_from(minute).expect("few");
    for (minute, (of, by, _)) in cells.iter().enumerate() {
        for (column, value) in [(6, of), (5, by)] {
            let point = value.map(|value| Point { at: at(minute), value });
            reading.add(column, Ok(point.into_iter().collect()));
        }
    }
    let expected: Vec<&str> = cells.iter().map(|(.., expected)| *expected).collect();
    let body = body(&layout, reading);
    let found: Vec<&str> = body.lines().map(|line| line.rsplit(',').nth(1).expect("a cell")).collect();
    assert_eq!(found, expected);
    // Errors that could not be asked for are not known to be none.
    let mut failed = Reading::new(grid, &layout);
    failed.add(5, Ok(vec![Point { at: start, value: 3.0 }]));
    failed.add(6, Err(Problem::Denied));
    assert!(self::body(&layout, failed).ends_with(",60,,,,,,3,,,,,,denied\n"));
    assert!(self::body(&layout, Reading::new(grid, &layout)).ends_with("eu-west-1,,,,,,,,,,,,,,no_data\n"));
}

#[test]
fn rows_from_before_a_derived_column_are_not_mixed_with_those_after() {
    for [one, other] in [[services(), with_ratio()], [with_ratio(), services()]] {
        let error = decode(other, &series_csv::header(one).into()).expect_err("another table").to_string();
        assert!(["the column rate is missing", "the column status is missing"].contains(&&*error), "{error}");
    }
}

fn long() -> &'static Dataset {
    let (wide, _) = SERVICES.split_once("[metric.split]").expect("it has a split");
    let text =
        wide.replace("column     = \"errors_4xx\"\n", "").replace("regions ", "layout = \"long\"\nregions ");
    Box::leak(Box::new(Dataset::parse(&text).expect("a dataset")))
}

#[test]
fn a_row_of_a_long_table_is_a_value_that_is_known() {
    let layout = Layout::new(long());
    let (grid, start) = grid();
    let mut reading = Reading::new(grid, &layout);
    let point = |minute: i64, value: f64| Point { at: start + 60 * minute, value };
    reading.add(0, Ok(vec![point(1439, 1e-7), point(1, 12.5)]));
    reading.add(4, Ok(vec![point(1, 2.0)]));
    reading.add(5, Ok(vec![point(1, 3.0), point(2, -0.0)]));
    reading.add(6, Ok(vec![point(1, 1.0)]));
    reading.add(7, Ok(vec![point(1, 0.5)]));
    let row = |at: &str, cells: &str| {
        format!("main,\"'=web,1\",data,111111111111,eu-west-1,2026-11-03T{at}:00Z,60,{cells}\n")
    };
    let expected = [
        row("00:01", "CPUUtilization,Percent,Average,12.5,ok"),
        row("00:01", "CPUUtilization,Percent,SampleCount,2,ok"),
        row("00:01", "Requests,Count,Sum,3,ok"),
        row("00:01", "4xxErrors,Count,Sum,1,ok"),
        row("00:01", "4xxErrors,Count,Average,0.5,ok"),
        row("00:02", "Requests,Count,Sum,0,ok"),
        // A count that is missing while there are requests; an average is not known.
        row("00:02", "4xxErrors,Count,Sum,0,ok"),
        row("23:59", "CPUUtilization,Percent,Average,0.0000001,ok"),
    ];
    let (_, encoded) = encode(&layout, "=web,1", reading);
    assert_eq!(encoded.rows, 8);
    assert_eq!(String::from_utf8_lossy(&encoded.body.read().expect("read")), expected.concat());
    let silent = body(&layout, Reading::new(grid, &layout));
    assert_eq!(silent, "main,\"'=web,1\",data,111111111111,eu-west-1,,,,,,,no_data\n");
    let mut failed = Reading::new(grid, &layout);
    failed.fail(Problem::Denied);
    assert!(body(&layout, failed).ends_with(",eu-west-1,,,,,,,denied\n"));
}

#[test]
fn a_failed_query_is_an_error_and_not_zero() {
    let layout = Layout::new(services());
    let (grid, start) = grid();
    for (answer, expected) in [
        (Err(Problem::Denied), "denied"),
        (Err(Problem::Transient("InternalError".into())), "error:InternalError"),
        (Ok(vec![Point { at: start + 30, value: 1.0 }]), "error:UnexpectedDatapoint"),
        (Ok(vec![Point { at: start + 86_400, value: 1.0 }]), "error:UnexpectedDatapoint"),
        (Ok(vec![Point { at: start - 60, value: 1.0 }]), "error:UnexpectedDatapoint"),
        (Ok(vec![Point { at: start, value: f64::INFINITY }]), "error:UnexpectedDatapoint"),
    ] {
        let mut reading = Reading::new(grid, &layout);
        reading.add(5, Ok(vec![Point { at: start, value: 3.0 }]));
        reading.add(6, answer);
        let body = body(&layout, reading);
        assert!(body.ends_with(&format!("2026-11-03T00:00:00Z,60,,,,,,3,,,,,{expected}\n")), "{body}");
    }
}

#[test]
fn a_tag_that_looks_like_the_end_of_a_row_stays_as_it_is() {
    let body = b"web,\"x,ok\ny \"\"z\"\",ok\n\",1,ok\nweb,\"ok\",2,ok\n".to_vec();
    let late = as_late(Encoded { body: body.into(), rows: 2, status: Status::Ok }).expect("read");
    let expected = b"web,\"x,ok\ny \"\"z\"\",ok\n\",1,late\nweb,\"ok\",2,late\n";
    assert_eq!(&late.body.read().expect("read")[..], expected);
}

#[test]
fn rows_from_before_the_settle_time_are_late() {
    let layout = Layout::new(services());
    let (grid, start) = grid();
    let mut reading = Reading::new(grid, &layout);
    reading.add(5, Ok(vec![Point { at: start, value: 3.0 }]));
    let (_, encoded) = encode(&layout, "=web,1", reading);
    let late = as_late(encoded).expect("read");
    assert_eq!(late.status, Status::Late);
    assert!(late.body.read().expect("read").ends_with(b",late\n"), "{late:?}");
}

#[test]
fn a_table_with_other_columns_is_refused() {
    let other = SERVICES.replace("errors_4xx", "errors");
    let other: &Dataset = Box::leak(Box::new(Dataset::parse(&other).expect("a dataset")));
    let body = series_csv::header(other).into();
    let error = decode(services(), &body).expect_err("another table").to_string();
    assert_eq!(error, "the column errors_4xx_sum is missing");
}

fn hours(numbers: &[usize]) -> Vec<fleet::Window> {
    let day = "2026-11-03".parse().expect("a date");
    let hours = fleet::Windows::of_day(day, "1h".parse().expect("a length"));
    numbers.iter().filter_map(|hour| hours.iter().nth(*hour)).collect()
}

#[test]
fn each_window_has_its_own_periods_and_status() {
    let layout = Layout::new(services());
    let (grid, start) = grid();
    let mut reading = Reading::new(grid, &layout);
    let point = |minute: i64| Point { at: start + 60 * minute, value: 1.0 };
    reading.add(5, Ok(vec![point(59), point(60), point(119), point(180), point(300)]));
    let parts = reading.split(&layout, &hours(&[1, 2, 3]));
    let minutes: Vec<Vec<i64>> =
        parts.iter().map(|part| part.periods.iter().map(|(at, _)| (at - start) / 60).collect()).collect();
    assert_eq!(minutes, [vec![60, 119], vec![], vec![180]]);
    let statuses: Vec<_> = parts.iter().map(|part| part.status.to_string()).collect();
    assert_eq!(statuses, ["ok", "no_data", "ok"]);
    let mut failed = Reading::new(grid, &layout);
    failed.add(5, Ok(vec![point(60)]));
    failed.fail(Problem::Denied);
    assert!(failed.split(&layout, &hours(&[1, 2])).iter().all(|part| part.status == Status::Denied));
}

/// The values of some minutes for a column; `None` if it is denied.
type Answered = (usize, Option<Vec<(i64, f64)>>);

fn any_answers() -> impl Strategy<Value = Vec<Answered>> {
    let points = prop::collection::vec((0..1440_i64, -1e9..1e9), 0..4);
    let answer = prop_oneof![9 => points.prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0..10_usize, answer), 0..8)
}

proptest! {
    /// Windows that are collected together have the same values as if each were collected alone.
    #[test]
    fn windows_collected_together_are_as_if_collected_alone(answers in any_answers(), skipped in 0usize..24) {
        let layout = Layout::new(services());
        let (grid, start) = grid();
        let add = |grid: Grid, window: Option<fleet::Window>| {
            let mut reading = Reading::new(grid, &layout);
            for (column, answer) in &answers {
                let points = answer.iter().flatten().map(|(minute, value)| Point { at: start + 60 * minute, value: *value });
                let is_inside = |point: &Point| window.is_none_or(|window| {
                    (window.start().timestamp()..window.end().timestamp()).contains(&point.at)
                });
                let points: Vec<_> = points.filter(is_inside).collect();
                reading.add(*column, answer.as_ref().map(|_| points).ok_or(Problem::Denied));
            }
            reading
        };
        let windows = hours(&(0..24).filter(|hour| *hour != skipped).collect::<Vec<_>>());
        let together = add(grid, None).split(&layout, &windows);
        for (window, part) in windows.into_iter().zip(together) {
            let alone = Grid::new(Window::of(window.into(), 0), Period::new(60).expect("a period"));
            let alone = add(alone, Some(window)).split(&layout, &[window]);
            // Unknown values are NaN, which equals nothing.
            prop_assert_eq!(format!("{:?}", [part]), format!("{alone:?}"));
        }
    }

    /// For any answers, the rows are read back unchanged and in order.
    #[test]
    fn rows_are_read_back_unchanged(answers in any_answers(), is_long in any::<bool>()) {
        let layout = Layout::new(if is_long { long() } else { with_ratio() });
        let (grid, start) = grid();
        let mut reading = Reading::new(grid, &layout);
        for (column, answer) in answers.iter().filter(|(column, _)| *column < layout.len()) {
            let point = |(minute, value): &(i64, f64)| Point { at: start + 60 * minute, value: *value };
            let points = answer.as_ref().map(|points| points.iter().map(point).collect());
            reading.add(*column, points.ok_or(Problem::Denied));
        }
        let (key, encoded) = encode(&layout, "=web,1", reading);
        let statuses = ["ok", "no_data", "denied"];
        prop_assert!(statuses.contains(&encoded.status.to_string().as_str()));
        let mut table = SeriesRows::default();
        table.0.insert(key, encoded);
        table.0.extend([encode(&layout, "api", Reading::new(grid, &layout))]);
        let header = series_csv::header(layout.dataset());
        let rows = |table: &SeriesRows| -> Vec<_> {
            let read = |encoded: &Encoded| (encoded.body.read().expect("read"), encoded.rows, encoded.status.clone());
            table.0.iter().map(|(key, encoded)| (key.clone(), read(encoded))).collect()
        };
        let before = rows(&table);
        let whole: Vec<u8> = before.iter().flat_map(|(_, (body, ..))| body.to_vec()).collect();
        let (body, digest) = table.join(&header).expect("in memory");
        let text = body.read().expect("in memory");
        prop_assert_eq!(&text[header.len()..], &whole[..]);
        prop_assert_eq!(sha256(&text), digest);
        let mut again = decode(layout.dataset(), &body).expect("its own table");
        prop_assert_eq!(rows(&table), before);
        prop_assert_eq!(rows(&again), rows(&table));
        prop_assert_eq!(again.join(&header).expect("in memory").0.read().expect("in memory"), text);
    }
}

#[test]
fn an_empty_plan_makes_no_call() {
    assert!(Plan::default().calls(&Layout::new(services()), 1440).is_empty());
}
