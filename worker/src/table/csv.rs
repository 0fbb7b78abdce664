// SPDX-License-Identifier: Apache-2.0
//! The table as CSV: RFC 4180, UTF-8, always with a header, lines end with `\n`. Pure functions.

use std::borrow::Cow;

use chrono::NaiveDate;
use csv::{QuoteStyle, ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use fleet::{
    AccountId, AccountName, Dataset,
    datasets::{Cell, Class, Column, Metric},
    report::stored::{is_formula, plain},
};

use crate::cloudwatch::rows::{Listing, Resource, Row, Status};

/// What all rows of a report have in common.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    pub dataset: &'static Dataset,
    pub account_name: &'a AccountName,
    pub account_id: &'a AccountId,
    /// The requested day.
    pub date: NaiveDate,
}

/// Encodes the rows in this order. Unknown values are empty cells, never 0.
#[must_use]
pub fn encode(subject: &Subject<'_>, rows: &[Row]) -> Vec<u8> {
    let dataset = subject.dataset;
    let columns: Vec<(&Column, Vec<u16>)> = dataset
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| (column, summed(dataset, column, at)))
        .collect();
    let mut writer = WriterBuilder::new()
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::with_capacity((rows.len() + 1) * 256));
    let cannot_fail = "cannot fail: the writer is memory, and each record has a cell for each column";
    writer.write_record(dataset.columns.iter().map(|column| &column.name)).expect(cannot_fail);
    for row in rows {
        for (column, summed) in &columns {
            writer.write_field(cell(subject, row, column, summed).as_bytes()).expect(cannot_fail);
        }
        writer.write_record(None::<&[u8]>).expect(cannot_fail);
    }
    writer.into_inner().expect(cannot_fail)
}

fn cell<'a>(subject: &'a Subject<'_>, row: &'a Row, column: &Column, summed: &[u16]) -> Cow<'a, str> {
    let day = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    match column.cell {
        Cell::Resource(_) => text(&row.resource.name),
        Cell::AccountName => text(subject.account_name.as_str()),
        Cell::AccountId => subject.account_id.as_str().into(),
        // A year of five digits is written with a sign.
        Cell::CreationDate => text(&day(row.resource.creation_date)).into_owned().into(),
        Cell::Region => text(row.resource.region.as_deref().unwrap_or_default()),
        Cell::ReportDate => subject.date.to_string().into(),
        Cell::DatapointDate => day(row.datapoint_date).into(),
        Cell::Status => text(&row.status.to_string()).into_owned().into(),
        Cell::Measure => summed
            .first()
            .and_then(|column| row.value(*column))
            .map(|value| value.to_string())
            .unwrap_or_default()
            .into(),
        Cell::Total(_) => row.total(summed).map(|total| total.to_string()).unwrap_or_default().into(),
        // A row of a day has no period, and no tags.
        Cell::PeriodStart
        | Cell::PeriodSeconds
        | Cell::Value
        | Cell::Metric
        | Cell::Unit
        | Cell::Statistic
        | Cell::Tag(_)
        | Cell::Ratio(..)
        | Cell::Fact(_)
        | Cell::OfTimeout(_)
        | Cell::LambdaCost(..)
        | Cell::Arm64Saving(_)
        | Cell::Insights
        | Cell::Settled => Cow::Borrowed(""),
    }
}

/// Why a body is not a valid table.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error("the column {0} is missing")]
    NoColumn(&'static str),
    /// A cell has an invalid value.
    #[error("line {line}, column {column}: {text:?} is not a valid value")]
    Cell {
        /// From 1.
        line: u64,
        column: &'static str,
        text: String,
    },
}

/// Decodes the rows that [`encode`] wrote, by the column names in the header.
///
/// # Errors
///
/// If the body is not such a table.
pub fn decode(dataset: &'static Dataset, body: &[u8]) -> Result<Vec<Row>, DecodeError> {
    let mut reader = ReaderBuilder::new().from_reader(body);
    let header = reader.headers()?.clone();
    let mut places = Vec::with_capacity(dataset.columns.len());
    for (at, column) in dataset.columns.iter().enumerate() {
        let place = header.iter().position(|name| name == column.name);
        let place = place.ok_or(DecodeError::NoColumn(&column.name))?;
        places.push((column, place, summed(dataset, column, at)));
    }
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let mut row = Row {
            resource: Resource {
                name: "".into(),
                region: None,
                creation_date: None,
                listing: Listing::Listed,
                class: Class::General,
            },
            datapoint_date: None,
            values: Vec::new(),
            status: Status::NoData,
            withholds_total: false,
        };
        for (column, place, summed) in &places {
            let text = plain(record.get(*place).unwrap_or_default());
            let wrong = || DecodeError::Cell { line, column: &column.name, text: text.to_owned() };
            let day = || (!text.is_empty()).then(|| text.parse().map_err(|_| wrong())).transpose();
            match column.cell {
                Cell::Resource(_) => row.resource.name = text.into(),
                Cell::Region => row.resource.region = (!text.is_empty()).then(|| text.into()),
                Cell::CreationDate => row.resource.creation_date = day()?,
                Cell::DatapointDate => row.datapoint_date = day()?,
                Cell::Status => row.status = text.parse().map_err(|_| wrong())?,
                Cell::Measure if !text.is_empty() => {
                    let value = text.parse().map_err(|_| wrong())?;
                    row.values.extend(summed.iter().map(|column| (*column, value)));
                }
                // The columns of values come before their total.
                Cell::Total(_) => {
                    row.withholds_total |=
                        text.is_empty() && row.values.iter().any(|(column, _)| summed.contains(column));
                }
                Cell::Measure
                | Cell::AccountName
                | Cell::AccountId
                | Cell::ReportDate
                | Cell::PeriodStart
                | Cell::Tag(_)
                | Cell::PeriodSeconds
                | Cell::Value
                | Cell::Metric
                | Cell::Unit
                | Cell::Statistic
                | Cell::Ratio(..)
                | Cell::Fact(_)
                | Cell::OfTimeout(_)
                | Cell::LambdaCost(..)
                | Cell::Arm64Saving(_)
                | Cell::Insights
                | Cell::Settled => {}
            }
        }
        row.withholds_total |= row.status.lacks_something();
        rows.push(row);
    }
    Ok(rows)
}

/// The indexes of the columns whose values are in a column: itself or, for a total, those of its metric.
#[must_use]
pub fn summed(dataset: &Dataset, column: &Column, at: usize) -> Vec<u16> {
    let feeds = |metric: &Metric, name: &str| metric.bases().any(|base| base == name);
    let place = |at: usize| u16::try_from(at).expect("cannot fail: a table has some dozen columns");
    match column.cell {
        Cell::Total(metric) => {
            let metric = dataset.metrics.get(metric);
            let columns = dataset.columns.iter().enumerate();
            columns
                .filter(|(_, column)| metric.is_some_and(|metric| feeds(metric, &column.name)))
                .map(|(at, _)| place(at))
                .collect()
        }
        _ => vec![place(at)],
    }
}

/// A cell of text. What a spreadsheet takes for a formula gets a quote in front.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if is_formula(text) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject<'a>(name: &'a AccountName, id: &'a AccountId) -> Subject<'a> {
        let dataset = Dataset::find("s3_daily_storage").expect("registered");
        Subject { dataset, account_name: name, account_id: id, date: day("2026-11-03") }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn row(name: &str, status: Status, values: &[(u16, u64)]) -> Row {
        Row {
            resource: Resource {
                name: name.into(),
                region: Some("eu-west-1".into()),
                creation_date: Some(day("2020-02-29")),
                listing: Listing::Listed,
                class: Class::General,
            },
            datapoint_date: (!values.is_empty()).then(|| day("2026-11-02")),
            values: values.to_vec(),
            withholds_total: status.lacks_something(),
            status,
        }
    }

    fn encode_rows(rows: &[Row]) -> String {
        let (name, id) = ("data".parse().expect("a name"), "111111111111".parse().expect("an id"));
        String::from_utf8(encode(&subject(&name, &id), rows)).expect("UTF-8")
    }

    const HEADER: &str = "bucket_name,account_name,creation_date,total_objects,size_standard,size_standard_ia,\
        size_one_zone_ia,size_glacier_instant,size_glacier,size_deep_archive,size_reduced_redundancy,\
        size_express_one_zone,size_intelligent_tiering_fa,size_intelligent_tiering_ia,\
        size_intelligent_tiering_aia,size_intelligent_tiering_aa,size_intelligent_tiering_daa,\
        size_intelligent_tiering_aa_object_overhead,size_intelligent_tiering_aa_s3_object_overhead,\
        size_intelligent_tiering_daa_object_overhead,size_intelligent_tiering_daa_s3_object_overhead,\
        size_standard_ia_size_overhead,size_standard_ia_object_overhead,size_one_zone_ia_size_overhead,\
        size_glacier_instant_size_overhead,size_glacier_staging,size_glacier_object_overhead,\
        size_glacier_s3_object_overhead,size_deep_archive_staging,size_deep_archive_object_overhead,\
        size_deep_archive_s3_object_overhead,size_other,size_total,account_id,region,report_date,\
        datapoint_date,status\n";

    #[test]
    fn an_empty_account_gives_the_header_alone() {
        assert_eq!(encode_rows(&[]), HEADER);
    }

    #[test]
    fn zero_is_0_and_an_unknown_value_is_empty() {
        let known = row("b", Status::Ok, &[(3, 2), (4, 0), (5, 7)]);
        let empty = ",".repeat(26);
        assert_eq!(
            encode_rows(&[known]),
            format!(
                "{HEADER}b,data,2020-02-29,2,0,7{empty},7,111111111111,eu-west-1,2026-11-03,2026-11-02,ok\n"
            )
        );
        let nothing = row("b", Status::NoData, &[]);
        let empty = ",".repeat(30);
        assert_eq!(
            encode_rows(&[nothing]),
            format!("{HEADER}b,data,2020-02-29{empty},111111111111,eu-west-1,2026-11-03,,no_data\n")
        );
    }

    #[test]
    fn objects_alone_have_no_total_of_bytes() {
        let objects = encode_rows(&[row("b", Status::Ok, &[(3, 2)])]);
        assert!(objects.contains(",2,,,") && objects.contains(",,111111111111,"), "{objects}");
    }

    #[test]
    fn an_invalid_table_is_refused() {
        let dataset = Dataset::find("s3_daily_storage").expect("registered");
        let cells = |status: &str, size: &str| {
            let row = encode_rows(&[row("b", Status::Ok, &[(4, 7)])]);
            row.replace(",ok\n", &format!(",{status}\n")).replace(",7,", &format!(",{size},"))
        };
        assert_eq!(decode(dataset, cells("late", "8").as_bytes()).expect("a table")[0].value(4), Some(8));
        for (body, expected) in [
            (String::new(), "the column bucket_name is missing"),
            (HEADER.replace(",status", ",state"), "the column status is missing"),
            (cells("fine", "7"), "line 2, column status: \"fine\" is not a valid value"),
            (cells("ok", "x"), "line 2, column size_standard: \"x\""),
            (format!("{HEADER}b,data\n"), "found record with 2 fields"),
        ] {
            let error = decode(dataset, body.as_bytes()).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_withheld_total_stays_withheld() {
        let part = Row { withholds_total: true, ..row("b", Status::Late, &[(4, 7)]) };
        let whole = row("c", Status::Late, &[(4, 7)]);
        let dataset = Dataset::find("s3_daily_storage").expect("registered");
        let decoded = decode(dataset, encode_rows(&[part, whole]).as_bytes()).expect("a table");
        assert_eq!(decoded.iter().map(|row| row.withholds_total).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn an_error_row_keeps_its_values_and_has_no_total() {
        let error = encode_rows(&[row("b", Status::Error("InternalError".into()), &[(4, 5)])]);
        assert!(error.contains("2020-02-29,,5,"), "{error}");
        assert!(error.contains(",,111111111111,") && error.ends_with(",error:InternalError\n"), "{error}");
    }

    const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

    /// Any text, often with characters that end a cell or a line or begin a formula.
    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof!["(?s:.{0,20})", "[=+@\t\r\n-](?s:.{0,5})", "[\"',\r\n\t=a]{0,8}"]
    }

    fn any_row() -> impl Strategy<Value = Row> {
        let status = prop_oneof![Just(Status::Ok), Just(Status::NoData), any_text().prop_map(Status::Error)];
        let days = prop_oneof![700_000i32..750_000, -90_000_000i32..90_000_000];
        let created = prop_oneof![Just(None), days.prop_map(NaiveDate::from_num_days_from_ce_opt)];
        let values = prop::collection::btree_map(3u16..32, any::<u64>(), 0..4);
        (any_text(), prop::option::of(any_text()), created, status, values).prop_map(
            |(name, region, creation_date, status, values)| Row {
                resource: Resource {
                    region: region.map(Into::into),
                    creation_date,
                    ..row(&name, Status::Ok, &[]).resource
                },
                ..row("", status, &values.into_iter().collect::<Vec<_>>())
            },
        )
    }

    /// A text as it is in a cell: a quote is added before a formula.
    fn shown(text: &str) -> String {
        if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
    }

    #[test]
    fn a_year_of_five_digits_is_not_a_formula() {
        let mut row = row("b", Status::NoData, &[]);
        row.resource.creation_date = NaiveDate::from_ymd_opt(10_000, 1, 1);
        assert!(encode_rows(&[row]).contains("b,data,'+10000-01-01,"));
    }

    proptest! {
        /// Any CSV reader returns each row with all cells: texts that are not formulas, numbers unchanged, and empty
        /// cells for unknown values.
        #[test]
        fn any_rows_survive(rows in prop::collection::vec(any_row(), 0..4)) {
            let encoded = encode_rows(&rows);
            let mut reader = csv::Reader::from_reader(encoded.as_bytes());
            let records = reader.records().map(|record| record.expect("as long as the header"));
            let records: Vec<_> = records.collect();
            prop_assert_eq!(records.len(), rows.len());
            // A text that begins with a quote before a formula looks like one to which the quote was added.
            let is_plain = |text: &str| !text.strip_prefix('\'').is_some_and(is_formula);
            let plain = rows.iter().all(|row| {
                is_plain(&row.resource.name) && row.resource.region.as_deref().is_none_or(is_plain)
            });
            if plain {
                let dataset = Dataset::find("s3_daily_storage").expect("registered");
                let decoded = decode(dataset, encoded.as_bytes()).expect("its own table");
                for (decoded, row) in decoded.iter().zip(&rows) {
                    let mut row = row.clone();
                    // An empty cell means no region.
                    row.resource.region = row.resource.region.filter(|region| !region.is_empty());
                    prop_assert_eq!(decoded, &row);
                }
            }
            for (record, row) in records.iter().zip(&rows) {
                prop_assert!(!record.iter().any(|cell| cell.starts_with(FORMULA)), "{:?}", record);
                prop_assert_eq!(&record[0], shown(&row.resource.name));
                prop_assert_eq!(&record[34], shown(row.resource.region.as_deref().unwrap_or_default()));
                prop_assert_eq!(&record[37], shown(&row.status.to_string()));
                for column in 3u16..32 {
                    let value = row.value(column).map(|value| value.to_string()).unwrap_or_default();
                    prop_assert_eq!(&record[usize::from(column)], value);
                }
            }
        }
    }
}
