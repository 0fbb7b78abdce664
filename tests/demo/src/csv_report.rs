//! What a report holds, read as any other reader of CSV would. Plain functions over the table.

use chrono::NaiveDate;
use serde::Deserialize;

/// A row of a report, as far as it is shown here. A cell that is empty is not known, which is
/// something else than 0.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Row {
    pub(crate) bucket_name: String,
    pub(crate) total_objects: Option<u64>,
    pub(crate) size_total: Option<u64>,
    pub(crate) report_date: NaiveDate,
    pub(crate) datapoint_date: Option<NaiveDate>,
    pub(crate) status: String,
}

/// What is to be said of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CloudWatch has the day.
    OnTime,
    /// CloudWatch has an earlier day.
    Late,
    /// CloudWatch has nothing.
    NoData,
    /// The bucket is gone; its last values are there.
    Deleted,
    /// It could not be asked for, or not in full.
    Incomplete,
}

/// The kinds that a report without trouble may have, in the order in which they are explained.
pub(crate) const USUAL_KINDS: [Kind; 4] = [Kind::OnTime, Kind::Late, Kind::NoData, Kind::Deleted];

/// The sums over a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Rows, which are buckets.
    pub(crate) buckets: u64,
    /// Objects in all of them, of what is known.
    pub(crate) objects: u64,
    /// Bytes in all of them, of what is known.
    pub(crate) bytes: u64,
}

impl Row {
    /// What is to be said of the row.
    pub(crate) fn kind(&self) -> Kind {
        match self.status.as_str() {
            "late" => Kind::Late,
            "ok" => Kind::OnTime,
            "no_data" => Kind::NoData,
            "deleted" => Kind::Deleted,
            _ => Kind::Incomplete,
        }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.buckets += other.buckets;
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// The rows of a report.
pub(crate) fn rows(table: &[u8]) -> csv::Result<Vec<Row>> {
    csv::Reader::from_reader(table).deserialize().collect()
}

/// How many columns a report has.
pub(crate) fn columns(table: &[u8]) -> csv::Result<usize> {
    Ok(csv::Reader::from_reader(table).headers()?.len())
}

/// The sums over the rows of a report.
pub(crate) fn sums(rows: &[Row]) -> Sums {
    let total = |value: fn(&Row) -> Option<u64>| rows.iter().filter_map(value).sum();
    Sums {
        buckets: rows.len() as u64,
        objects: total(|row| row.total_objects),
        bytes: total(|row| row.size_total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
bucket_name,total_objects,size_standard,size_glacier,size_total,region,report_date,datapoint_date,status
a,2,10,5,15,eu-west-1,2026-11-03,2026-11-03,ok
b,1,,,,eu-west-1,2026-11-03,2026-11-02,late
c,,,,,us-east-1,2026-11-03,,no_data
d,4,0,,0,us-east-1,2026-11-03,2026-11-03,deleted
e,,,,,us-east-1,2026-11-03,,denied
";

    #[test]
    fn what_is_not_known_adds_nothing() {
        let rows = rows(TABLE.as_bytes()).expect("a table");
        let expected = Sums { buckets: 5, objects: 7, bytes: 15 };
        assert_eq!(sums(&rows), expected);
        assert_eq!(sums(&[]), Sums::default());
        assert_eq!(columns(TABLE.as_bytes()).expect("a table"), 9);
    }

    #[test]
    fn each_row_is_of_one_kind() {
        let rows = rows(TABLE.as_bytes()).expect("a table");
        let kinds: Vec<Kind> = rows.iter().map(Row::kind).collect();
        assert_eq!(kinds[..4], USUAL_KINDS);
        assert_eq!(kinds[4], Kind::Incomplete);
    }

    #[test]
    fn an_empty_account_has_no_rows() {
        let header = TABLE.lines().next().expect("a header");
        assert_eq!(rows(header.as_bytes()).expect("a table"), []);
    }
}
