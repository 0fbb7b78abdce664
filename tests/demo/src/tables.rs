//! The tables that are shown. Plain functions over values.

use std::time::Duration;

use cli::output::{dollars, size, table_within};

use crate::{
    cast::Account,
    csv_report::{Kind, Row, Sums, USUAL_KINDS},
};

/// What came of one account: a line of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Its name.
    pub(crate) account: String,
    /// What its report holds.
    pub(crate) sums: Sums,
    /// How many calls of AWS that took.
    pub(crate) api_calls: u64,
    /// What it cost, by the list price.
    pub(crate) dollars: f64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The accounts before anything is done, where the largest has `largest` buckets.
pub(crate) fn accounts(width: usize, accounts: &[Account], largest: u32) -> String {
    let rows = accounts.iter().map(|account| {
        vec![
            account.name.to_owned(),
            account.id.to_owned(),
            grouped(account.listed(largest).into()),
            account.regions.join(", "),
        ]
    });
    table_within(width, &["ACCOUNT", "ID", "BUCKETS", "REGIONS"], &[2], rows)
}

/// What came of each account, and of all; `took` is how long that was by the clock.
pub(crate) fn results(width: usize, lines: &[Line], took: Duration) -> String {
    let mut all = Line { account: "all".to_owned(), sums: Sums::default(), api_calls: 0, dollars: 0.0, took };
    for line in lines {
        all.sums += line.sums;
        all.api_calls += line.api_calls;
        all.dollars += line.dollars;
    }
    let rows = lines.iter().chain([&all]).map(|line| {
        vec![
            line.account.clone(),
            grouped(line.sums.buckets),
            grouped(line.sums.objects),
            size(line.sums.bytes),
            grouped(line.api_calls),
            dollars(line.dollars),
            seconds(line.took),
        ]
    });
    let header = ["ACCOUNT", "BUCKETS", "OBJECTS", "BYTES", "API CALLS", "DOLLARS", "SECONDS"];
    table_within(width, &header, &[1, 2, 3, 4, 5, 6], rows)
}

/// Some columns of the first row of each kind that there is, and what the row means.
pub(crate) fn peek(width: usize, rows: &[Row]) -> String {
    let chosen = USUAL_KINDS.into_iter().filter_map(|kind| {
        let row = rows.iter().find(|row| row.kind() == kind)?;
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        Some(vec![
            row.bucket_name.clone(),
            number(row.total_objects),
            number(row.size_total),
            row.datapoint_date.map(|day| day.to_string()).unwrap_or_default(),
            row.status.clone(),
            meaning(kind).to_owned(),
        ])
    });
    let header = ["bucket_name", "total_objects", "size_total", "datapoint_date", "status", ""];
    table_within(width, &header, &[1, 2], chosen)
}

/// Commands, and what each is for.
pub(crate) fn commands(width: usize, commands: &[(&str, &str)]) -> String {
    let rows = commands.iter().map(|(command, purpose)| vec![(*command).to_owned(), (*purpose).to_owned()]);
    table_within(width, &["COMMAND", "WHAT IT TELLS"], &[], rows)
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::OnTime => "<- what CloudWatch has for the day",
        Kind::Late => "<- an earlier day's: not published yet",
        Kind::NoData => "<- not known is empty, never 0",
        Kind::Deleted => "<- gone now, but there on the day",
        Kind::Incomplete => "<- could not be asked for",
    }
}

/// A number with commas between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds to a tenth.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(account: &str, buckets: u64) -> Line {
        Line {
            account: account.to_owned(),
            sums: Sums { buckets, objects: buckets * 1_000, bytes: buckets * 1_000_000 },
            api_calls: 12,
            dollars: 0.25,
            took: Duration::from_millis(1_260),
        }
    }

    #[test]
    fn the_last_line_adds_up_all_but_the_seconds() {
        let shown = results(100, &[line("data", 900), line("web", 101)], Duration::from_millis(1_400));
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), 4, "{shown}");
        assert_eq!(lines[1], ["data", "900", "900,000", "900.00", "MB", "12", "$0.25", "1.3"]);
        assert_eq!(lines[3], ["all", "1,001", "1,001,000", "1.00", "GB", "24", "$0.50", "1.4"]);
    }

    #[test]
    fn no_number_is_broken_in_a_narrow_terminal() {
        let shown = results(77, &[line("data", 49_266_919), line("web", 101)], Duration::from_millis(1_400));
        assert!(shown.lines().all(|line| line.chars().count() <= 77), "{shown}");
        assert_eq!(shown.lines().count(), 4, "{shown}");
        assert!(shown.contains("49,266,919,000"), "{shown}");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(123_456_789), "123,456,789");
    }

    #[test]
    fn a_peek_has_one_row_of_each_kind() {
        let row = |name: &str, day: Option<&str>, status: &str| Row {
            bucket_name: name.to_owned(),
            total_objects: day.map(|_| 7),
            size_total: day.map(|_| 0),
            report_date: "2026-11-03".parse().expect("a day"),
            datapoint_date: day.map(|day| day.parse().expect("a day")),
            status: status.to_owned(),
        };
        let (on_time, earlier) = (Some("2026-11-03"), Some("2026-11-02"));
        let rows = [
            row("late", earlier, "late"),
            row("one", on_time, "ok"),
            row("two", on_time, "ok"),
            row("none", None, "no_data"),
        ];
        let shown = peek(200, &rows);
        let names: Vec<&str> =
            shown.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["one", "late", "none"]);
    }
}
