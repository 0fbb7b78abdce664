// SPDX-License-Identifier: Apache-2.0
//! Standard output, which has data and nothing else.

use std::io::{self, Write};

use anyhow::Context;
use clap::{ValueEnum, builder::styling::Style};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets::NOTHING};
use serde_json::Value;

use crate::terminal;

/// The format of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Tables and sentences.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Writes text and a newline to standard output, with styles if colour is enabled there. A closed pipe, as with `head`, is
/// not an error.
pub fn print(text: &str) -> anyhow::Result<()> {
    write_to(anstream::stdout().lock(), format!("{text}\n").as_bytes())
}

/// Writes bytes to standard output.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    write_to(io::stdout().lock(), bytes)
}

fn write_to(mut stdout: impl Write, bytes: &[u8]) -> anyhow::Result<()> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("could not write to standard output"),
    }
}

/// Writes JSON to standard output.
pub fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&format!("{value:#}"))
}

/// A table without lines, for people and for tools such as `grep`: a header and rows. The columns `numbers` are aligned
/// to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    lines_of(Table::new(), header, numbers, rows)
}

/// A number of bytes in the largest unit that gives at least one.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut number, mut unit) = (u128::from(bytes) * 100, None);
    for larger in units {
        if number < 100_000 {
            break;
        }
        (number, unit) = (number / 1000, Some(larger));
    }
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |unit| format!("{}.{:02} {unit}", number / 100, number % 100),
    )
}

/// The same table with a maximum width, only for people: long cells are wrapped, except numbers.
pub fn table_within(
    width: usize,
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(header.to_vec());
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    lines_of(table, header, numbers, rows)
}

fn lines_of(
    mut table: Table,
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    table.load_style(NOTHING).set_header(header.to_vec()).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Styles the words in a column of a text that begins with a [`table`]. The column, and those before it, must be aligned
/// to the left.
#[must_use]
pub fn paint(text: &str, column: &str, style: impl Fn(&str) -> Style) -> String {
    let (table, rest) = text.split_once("\n\n").map_or((text, None), |(table, rest)| (table, Some(rest)));
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let Some(at) = header.find(column) else { return text.to_owned() };
    let mut painted = header.to_owned();
    for line in lines {
        let (before, from) = line.split_at_checked(at).unwrap_or((line, ""));
        let (word, after) = from.split_at(from.find("  ").unwrap_or(from.len()));
        painted.push_str(&format!("\n{before}{}{after}", terminal::paint(style(word), word)));
    }
    rest.map_or(painted.clone(), |rest| painted + "\n\n" + rest)
}

/// Dollars: in cents, and below a cent with two significant digits.
#[must_use]
pub fn dollars(amount: f64) -> String {
    // Amounts that round to a cent.
    if amount >= 0.009_95 || amount <= 0.0 {
        return format!("${amount:.2}");
    }
    let mut digits = 4;
    while digits < MAX_DIGITS && amount * 10f64.powi(digits - 1) < 0.995 {
        digits += 1;
    }
    format!("${amount:.*}", usize::try_from(digits).unwrap_or_default())
}

/// The maximum number of decimals: a ten-millionth of a dollar is less than the price of any call.
const MAX_DIGITS: i32 = 7;

/// A number with its noun, such as `1 job` or `2 jobs`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let rows = [vec!["data".to_owned(), "7".to_owned()], vec!["b".to_owned(), "1200".to_owned()]];
        insta::assert_snapshot!(table(&["ACCOUNT", "ROWS"], &[1], rows), @r"
        ACCOUNT  ROWS
        data        7
        b        1200
        ");
    }

    #[test]
    fn the_words_of_one_column_are_painted_and_no_others() {
        let cells = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [cells(["data", "in progress", "2"]), cells(["b", "complete", "complete"])];
        let text = table(&["ACCOUNT", "STATE", "WHY"], &[], rows) + "\n\ncomplete below";
        let style = |word: &str| if word == "complete" { terminal::GOOD } else { Style::new() };
        assert_eq!(
            paint(&text, "STATE", style),
            text.replacen("complete", "\u{1b}[32mcomplete\u{1b}[0m", 1),
            "and nothing moves"
        );
        assert_eq!(paint("nothing", "STATE", style), "nothing");
    }

    #[test]
    fn small_prices_keep_their_digits() {
        for (amount, text) in [
            (0.0, "$0.00"),
            (0.000_000_01, "$0.0000000"),
            (0.000_01, "$0.000010"),
            (0.000_29, "$0.00029"),
            (0.000_999, "$0.0010"),
            (0.001, "$0.0010"),
            (0.005_8, "$0.0058"),
            (0.009_94, "$0.0099"),
            (0.009_96, "$0.01"),
            (0.058, "$0.06"),
            (0.18, "$0.18"),
            (1.74, "$1.74"),
            (12.345, "$12.35"),
        ] {
            assert_eq!(dollars(amount), text, "{amount}");
        }
        assert_eq!(count(1, "job"), "1 job");
        assert_eq!(count(0, "job"), "0 jobs");
    }
}
