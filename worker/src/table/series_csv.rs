// SPDX-License-Identifier: Apache-2.0
//! The rows of series as CSV, resource by resource, in the format of [`csv`](super::csv). Pure functions.

use std::{borrow::Cow, collections::BTreeMap, io, ops::Range, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use csv::{QuoteStyle, ReaderBuilder, StringRecord, Terminator, Writer, WriterBuilder};
use fleet::{
    Dataset,
    datasets::{Cell, Fact, Layout, Metric},
    report::stored::plain,
};

use super::csv::{DecodeError, Subject, text};
use crate::{
    account::functions::{self, Facts},
    cloudwatch::{dimensions, rows::Status},
    collect::series::Part,
    table::{
        Encoded, Key, SeriesRows,
        content::{Content, Spool},
    },
};

const CANNOT_FAIL: &str = "cannot fail: the writer is memory, and each record has a cell for each column";

/// The first line of the table.
#[must_use]
pub fn header(dataset: &Dataset) -> Vec<u8> {
    let mut writer = writer();
    writer.write_record(dataset.columns.iter().map(|column| &column.name)).expect(CANNOT_FAIL);
    writer.into_inner().expect(CANNOT_FAIL)
}

/// What a row has of a period.
struct Line<'a> {
    /// When the period begins; `None` if the resource has no value in the window.
    at: Option<i64>,
    values: &'a [f64],
    /// The metric and the statistic, if the row has but one value.
    measure: Option<&'a Measure>,
}

/// What is known of a resource besides its values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The values of the columns of tags; none if the resource has none of them.
    pub tags: &'a [&'a str],
    /// If it is a function that is listed.
    pub function: Option<&'a Facts>,
}

/// The times of a resource's rows.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// How long a period is.
    pub seconds: u32,
    /// When the window ends.
    pub end: DateTime<Utc>,
    /// When the collection began.
    pub now: DateTime<Utc>,
}

/// A metric and one of its statistics.
type Measure = (&'static Metric, &'static str);

/// The rows of a resource in a window: one for each period with a value, or in a long table for each value, or one without
/// a period if there are none. They are kept in `spool`.
#[must_use]
pub fn encode(
    subject: &Subject<'_>,
    key: &Key,
    known: &Known<'_>,
    when: &When,
    Part { status, periods }: Part,
    spool: &Spool,
) -> Encoded {
    let shown = status.to_string();
    let measures = measures(subject.dataset);
    let insights = insights(subject.dataset);
    // The same in each row.
    let facts =
        Fact::ALL.map(|fact| (fact, known.function.map(|function| function.cell(fact)).unwrap_or_default()));
    let lines = lines(subject.dataset.layout, &periods, &measures);
    let (resource, region) = key;
    let resource: Vec<&str> = dimensions::values(resource).collect();
    let mut writer = writer();
    for Line { at, values, measure } in &lines {
        let mut cells = values.iter();
        let value = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let function =
            |made: &dyn Fn(&Facts) -> f64| known.function.map(made).map(number).unwrap_or_default();
        for column in &subject.dataset.columns {
            let cell = match column.cell {
                Cell::Resource(place) => text(resource.get(place).copied().unwrap_or_default()),
                Cell::AccountName => text(subject.account_name.as_str()),
                Cell::AccountId => subject.account_id.as_str().into(),
                Cell::Region => text(region),
                Cell::ReportDate => subject.date.to_string().into(),
                Cell::Tag(place) => text(known.tags.get(place).copied().unwrap_or_default()),
                Cell::PeriodStart => at.map(moment).unwrap_or_default().into(),
                Cell::PeriodSeconds => at.map(|_| when.seconds.to_string()).unwrap_or_default().into(),
                Cell::Metric => text(measure.map(|(metric, _)| &*metric.name).unwrap_or_default()),
                Cell::Unit => measure.map(|(metric, _)| &*metric.unit).unwrap_or_default().into(),
                Cell::Statistic => measure.map(|(_, statistic)| *statistic).unwrap_or_default().into(),
                Cell::Value => cells.next().map(|value| number(*value)).unwrap_or_default().into(),
                // What is divided by 0 is no number.
                Cell::Ratio(of, by) => number(value(of) / value(by)).into(),
                Cell::Status => text(&shown),
                // Rows of series have none of these.
                Cell::CreationDate | Cell::DatapointDate | Cell::Measure | Cell::Total(_) => "".into(),
                Cell::Fact(fact) => {
                    text(facts.iter().find(|(of, _)| *of == fact).map_or("", |(_, cell)| cell))
                }
                Cell::OfTimeout(of) => function(&|facts| facts.of_timeout(value(of))).into(),
                Cell::LambdaCost(invocations, duration) => {
                    function(&|facts| facts.cost(region, value(invocations), value(duration))).into()
                }
                Cell::Arm64Saving(duration) => {
                    function(&|facts| facts.arm64_saving(region, value(duration))).into()
                }
                Cell::Insights if insights.iter().any(|place| !value(*place).is_nan()) => "".into(),
                Cell::Insights => "no_insights".into(),
                Cell::Settled => when.is_settled(*at, known.function).to_string().into(),
            };
            writer.write_field(cell.as_bytes()).expect(CANNOT_FAIL);
        }
        writer.write_record(None::<&[u8]>).expect(CANNOT_FAIL);
    }
    let body = spool.keep(writer.into_inner().expect(CANNOT_FAIL));
    Encoded { body, rows: lines.len() as u64, status }
}

impl When {
    /// Whether the values are final of a period that begins at this time, or of the whole window without one.
    fn is_settled(&self, begin: Option<i64>, function: Option<&Facts>) -> bool {
        let end =
            begin.and_then(|begin| DateTime::from_timestamp(begin.checked_add(self.seconds.into())?, 0));
        functions::is_settled(function, end.unwrap_or(self.end), self.now)
    }
}

/// The places of the values that Lambda Insights has.
fn insights(dataset: &Dataset) -> Vec<usize> {
    let of = |metric: &Metric| {
        let is_of = metric.is_of_lambda_insights();
        metric.measures().map(move |_| is_of).collect::<Vec<_>>()
    };
    let values = dataset.metrics.iter().flat_map(of).enumerate();
    values.filter(|(_, is_of)| *is_of).map(|(place, _)| place).collect()
}

/// The metric and the statistic of each value of a period, if rows have them.
fn measures(dataset: &'static Dataset) -> Vec<Measure> {
    let of = |metric: &'static Metric| metric.measures().map(move |(_, statistic)| (metric, statistic));
    match dataset.layout {
        Layout::Wide => Vec::new(),
        Layout::Long => dataset.metrics.iter().flat_map(of).collect(),
    }
}

/// The rows of all periods, or one without a period.
fn lines<'a>(layout: Layout, periods: &'a [(i64, Vec<f64>)], measures: &'a [Measure]) -> Vec<Line<'a>> {
    let mut lines = Vec::with_capacity(periods.len());
    for (at, values) in periods {
        let at = Some(*at);
        match layout {
            Layout::Wide => lines.push(Line { at, values, measure: None }),
            Layout::Long => {
                let each = values.chunks(1).zip(measures);
                let known = each.filter(|(values, _)| values.iter().all(|value| !value.is_nan()));
                lines.extend(known.map(|(values, measure)| Line { at, values, measure: Some(measure) }));
            }
        }
    }
    if lines.is_empty() {
        lines.push(Line { at: None, values: &[], measure: None });
    }
    lines
}

/// Splits a table of a [`header`] and rows that [`encode`] wrote into the rows of each resource.
///
/// # Errors
///
/// If the body is not such a table.
pub fn decode(dataset: &'static Dataset, body: &Content) -> Result<SeriesRows, DecodeError> {
    let mut reader = ReaderBuilder::new().from_reader(body.reader().map_err(csv::Error::from)?);
    let found = reader.headers()?.clone();
    for (place, column) in dataset.columns.iter().enumerate() {
        if found.get(place) != Some(&*column.name) {
            return Err(DecodeError::NoColumn(&column.name));
        }
    }
    let mut rows: BTreeMap<Key, Encoded> = BTreeMap::new();
    let mut record = StringRecord::new();
    // The rows of a resource are consecutive.
    let mut last: Option<(Key, Range<u64>, Encoded)> = None;
    loop {
        let from = reader.position().byte();
        if !reader.read_record(&mut record)? {
            break;
        }
        let to = reader.position().byte();
        let line = record.position().map_or(0, csv::Position::line);
        let (mut resource, mut region, mut status) = (Vec::new(), "", "");
        for (column, cell) in dataset.columns.iter().zip(&record) {
            match column.cell {
                Cell::Resource(_) => resource.push(plain(cell)),
                Cell::Region => region = plain(cell),
                Cell::Status => status = plain(cell),
                _ => {}
            }
        }
        let wrong = |_| DecodeError::Cell { line, column: "status", text: status.to_owned() };
        let status: Status = status.parse().map_err(wrong)?;
        let key = (Arc::from(dimensions::joined(resource)), Arc::from(region));
        match &mut last {
            Some((known, range, encoded)) if *known == key => {
                range.end = to;
                encoded.rows += 1;
            }
            _ => {
                let next = (key, from..to, Encoded { body: Vec::new().into(), rows: 1, status });
                rows.extend(last.replace(next).map(|last| part(body, last)));
            }
        }
    }
    rows.extend(last.map(|last| part(body, last)));
    Ok(SeriesRows(rows))
}

/// The rows of a resource as a slice of the body.
fn part(body: &Content, (key, range, encoded): (Key, Range<u64>, Encoded)) -> (Key, Encoded) {
    (key, Encoded { body: body.slice(range), ..encoded })
}

/// Marks rows that were collected before their values were final.
///
/// # Errors
///
/// That of the file system, if they are kept in a file.
pub fn as_late(mut encoded: Encoded) -> io::Result<Encoded> {
    if encoded.status == Status::Ok {
        // The status is the last cell of each line. A line does not end in quotes, between which a tag has any text.
        let body = encoded.body.read()?;
        let body = String::from_utf8_lossy(&body);
        let parts = body.split('"').enumerate();
        let parts = parts.map(|(nth, part)| match nth % 2 {
            0 => part.replace(",ok\n", ",late\n").into(),
            _ => Cow::Borrowed(part),
        });
        let body = parts.collect::<Vec<_>>().join("\"");
        encoded = Encoded { body: body.into_bytes().into(), status: Status::Late, ..encoded };
    }
    Ok(encoded)
}

fn writer() -> Writer<Vec<u8>> {
    let mut builder = WriterBuilder::new();
    builder.quote_style(QuoteStyle::Necessary).terminator(Terminator::Any(b'\n')).from_writer(Vec::new())
}

fn moment(at: i64) -> String {
    let at = DateTime::from_timestamp(at, 0);
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

/// The shortest decimal that parses to the same value, without an exponent; empty if it is no number.
fn number(value: f64) -> String {
    if !value.is_finite() {
        String::new()
    } else if value == 0.0 {
        // Not -0.
        "0".to_owned()
    } else {
        value.to_string()
    }
}
