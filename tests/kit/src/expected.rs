// SPDX-License-Identifier: Apache-2.0
//! The report that a test expects, written out by the test itself: nothing here is the product's.

use chrono::NaiveDate;

/// The first line of a report, as docs/report-format.md has it.
pub const HEADER: &str = "bucket_name,account_name,creation_date,total_objects,size_standard,size_standard_ia,\
    size_one_zone_ia,size_glacier_instant,size_glacier,size_deep_archive,size_reduced_redundancy,\
    size_express_one_zone,size_intelligent_tiering_fa,size_intelligent_tiering_ia,\
    size_intelligent_tiering_aia,size_intelligent_tiering_aa,size_intelligent_tiering_daa,\
    size_intelligent_tiering_aa_object_overhead,size_intelligent_tiering_aa_s3_object_overhead,\
    size_intelligent_tiering_daa_object_overhead,size_intelligent_tiering_daa_s3_object_overhead,\
    size_standard_ia_size_overhead,size_standard_ia_object_overhead,size_one_zone_ia_size_overhead,\
    size_glacier_instant_size_overhead,size_glacier_staging,size_glacier_object_overhead,\
    size_glacier_s3_object_overhead,size_deep_archive_staging,size_deep_archive_object_overhead,\
    size_deep_archive_s3_object_overhead,size_other,size_total,account_id,region,report_date,\
    datapoint_date,status";

/// The storage types with their columns, as AWS names them.
pub const STORAGE_TYPES: [(&str, &str); 28] = [
    ("StandardStorage", "size_standard"),
    ("StandardIAStorage", "size_standard_ia"),
    ("OneZoneIAStorage", "size_one_zone_ia"),
    ("GlacierInstantRetrievalStorage", "size_glacier_instant"),
    ("GlacierStorage", "size_glacier"),
    ("DeepArchiveStorage", "size_deep_archive"),
    ("ReducedRedundancyStorage", "size_reduced_redundancy"),
    ("ExpressOneZoneStorage", "size_express_one_zone"),
    ("IntelligentTieringFAStorage", "size_intelligent_tiering_fa"),
    ("IntelligentTieringIAStorage", "size_intelligent_tiering_ia"),
    ("IntelligentTieringAIAStorage", "size_intelligent_tiering_aia"),
    ("IntelligentTieringAAStorage", "size_intelligent_tiering_aa"),
    ("IntelligentTieringDAAStorage", "size_intelligent_tiering_daa"),
    ("IntAAObjectOverhead", "size_intelligent_tiering_aa_object_overhead"),
    ("IntAAS3ObjectOverhead", "size_intelligent_tiering_aa_s3_object_overhead"),
    ("IntDAAObjectOverhead", "size_intelligent_tiering_daa_object_overhead"),
    ("IntDAAS3ObjectOverhead", "size_intelligent_tiering_daa_s3_object_overhead"),
    ("StandardIASizeOverhead", "size_standard_ia_size_overhead"),
    ("StandardIAObjectOverhead", "size_standard_ia_object_overhead"),
    ("OneZoneIASizeOverhead", "size_one_zone_ia_size_overhead"),
    ("GlacierInstantRetrievalSizeOverhead", "size_glacier_instant_size_overhead"),
    ("GlacierIRSizeOverhead", "size_glacier_instant_size_overhead"),
    ("GlacierStagingStorage", "size_glacier_staging"),
    ("GlacierObjectOverhead", "size_glacier_object_overhead"),
    ("GlacierS3ObjectOverhead", "size_glacier_s3_object_overhead"),
    ("DeepArchiveStagingStorage", "size_deep_archive_staging"),
    ("DeepArchiveObjectOverhead", "size_deep_archive_object_overhead"),
    ("DeepArchiveS3ObjectOverhead", "size_deep_archive_s3_object_overhead"),
];

#[derive(Debug, Clone)]
pub struct Row {
    cells: Vec<(&'static str, String)>,
}

impl Row {
    /// A row of a bucket of `account` on `date`, with `ok` and the date itself for its datapoints;
    /// everything else is empty.
    pub fn new(bucket: &str, account: (&str, &str), region: &str, date: NaiveDate) -> Self {
        let row = Self { cells: Vec::new() };
        row.cell("bucket_name", bucket)
            .cell("account_name", account.0)
            .cell("account_id", account.1)
            .cell("region", region)
            .cell("report_date", date)
            .cell("datapoint_date", date)
            .cell("status", "ok")
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test writes numbers, texts and days alike")]
    pub fn cell(mut self, column: &'static str, value: impl ToString) -> Self {
        assert!(HEADER.split(',').any(|known| known == column), "no column is named {column}");
        self.cells.retain(|(known, _)| *known != column);
        self.cells.push((column, value.to_string()));
        self
    }

    /// Sets every cell for a bucket without any datapoint.
    pub fn without_data(self) -> Self {
        self.cell("datapoint_date", "").cell("status", "no_data")
    }

    fn line(&self) -> String {
        let cell = |column: &str| {
            self.cells.iter().find(|(known, _)| *known == column).map_or("", |(_, value)| value.as_str())
        };
        HEADER.split(',').map(cell).collect::<Vec<_>>().join(",")
    }
}

/// The whole table, as it must be byte for byte.
pub fn table(rows: &[Row]) -> String {
    rows.iter().map(Row::line).fold(HEADER.to_owned() + "\n", |table, line| table + &line + "\n")
}

/// The rows of a table, each cell by its column's name.
pub fn cells(table: &str) -> Vec<std::collections::HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    reader.deserialize().map(|row| row.expect("a row of the table")).collect()
}
