//! What goes to standard output: data, and nothing else.

use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde_json::Value;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Tables and sentences.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Writes text to standard output, with a line's end. A reader that has gone away, as `head` does,
/// is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// Writes bytes to standard output, as they are.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("could not write to standard output"),
    }
}

/// Writes JSON to standard output.
pub fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&format!("{value:#}"))
}

/// A table without lines, which people can read and `grep` can cut: a header, and rows whose
/// columns `numbers` stand to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
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

/// Dollars, with as many digits as a small price needs.
#[must_use]
pub fn dollars(amount: f64) -> String {
    if amount < 1.0 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

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
    fn small_prices_keep_their_digits() {
        assert_eq!(dollars(0.000_29), "$0.0003");
        assert_eq!(dollars(12.345), "$12.35");
        assert_eq!(count(1, "job"), "1 job");
        assert_eq!(count(0, "job"), "0 jobs");
    }
}
