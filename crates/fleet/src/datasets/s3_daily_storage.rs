//! What every bucket of an account holds: bytes by storage class, and objects, once a day.
//!
//! S3 publishes both metrics once a day, best effort and one to two days late, at 00:00 UTC, in the
//! bucket's own region. They count noncurrent versions and unfinished multipart uploads too.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html>

use super::{Cell, Class, Column, Dataset, Discovery, Holders, Metric, Series};

pub(super) const DATASET: Dataset = Dataset {
    name: "s3_daily_storage",
    namespace: "AWS/S3",
    discovery: Discovery::Buckets,
    resource_dimension: "BucketName",
    metrics: &[
        Metric {
            name: "BucketSizeBytes",
            statistic: "Average",
            dimension: "StorageType",
            series: SIZES,
            other: Some("size_other"),
        },
        Metric {
            name: "NumberOfObjects",
            statistic: "Average",
            dimension: "StorageType",
            series: &[any("AllStorageTypes", "total_objects")],
            other: None,
        },
    ],
    period_seconds: 86_400,
    settle_hours: 60,
    columns: COLUMNS,
    bytes: "size_total",
    objects: "total_objects",
};

/// Every `StorageType` with its column. Two of them are older and newer names of one thing; AWS does not document
/// which is published for which days, so both are asked for. Directory buckets hold S3 Express One Zone or, in Local
/// Zones, One Zone-IA alone, and no other bucket holds S3 Express One Zone.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-overview.html>
const SIZES: &[Series] = &[
    general("StandardStorage", "size_standard"),
    general("StandardIAStorage", "size_standard_ia"),
    any("OneZoneIAStorage", "size_one_zone_ia"),
    general("GlacierInstantRetrievalStorage", "size_glacier_instant"),
    general("GlacierStorage", "size_glacier"),
    general("DeepArchiveStorage", "size_deep_archive"),
    general("ReducedRedundancyStorage", "size_reduced_redundancy"),
    directory("ExpressOneZoneStorage", "size_express_one_zone"),
    general("IntelligentTieringFAStorage", "size_intelligent_tiering_fa"),
    general("IntelligentTieringIAStorage", "size_intelligent_tiering_ia"),
    general("IntelligentTieringAIAStorage", "size_intelligent_tiering_aia"),
    general("IntelligentTieringAAStorage", "size_intelligent_tiering_aa"),
    general("IntelligentTieringDAAStorage", "size_intelligent_tiering_daa"),
    general("IntAAObjectOverhead", "size_intelligent_tiering_aa_object_overhead"),
    general("IntAAS3ObjectOverhead", "size_intelligent_tiering_aa_s3_object_overhead"),
    general("IntDAAObjectOverhead", "size_intelligent_tiering_daa_object_overhead"),
    general("IntDAAS3ObjectOverhead", "size_intelligent_tiering_daa_s3_object_overhead"),
    general("StandardIASizeOverhead", "size_standard_ia_size_overhead"),
    general("StandardIAObjectOverhead", "size_standard_ia_object_overhead"),
    general("OneZoneIASizeOverhead", "size_one_zone_ia_size_overhead"),
    general("GlacierInstantRetrievalSizeOverhead", "size_glacier_instant_size_overhead"),
    general("GlacierIRSizeOverhead", "size_glacier_instant_size_overhead"),
    general("GlacierStagingStorage", "size_glacier_staging"),
    general("GlacierObjectOverhead", "size_glacier_object_overhead"),
    general("GlacierS3ObjectOverhead", "size_glacier_s3_object_overhead"),
    general("DeepArchiveStagingStorage", "size_deep_archive_staging"),
    general("DeepArchiveObjectOverhead", "size_deep_archive_object_overhead"),
    general("DeepArchiveS3ObjectOverhead", "size_deep_archive_s3_object_overhead"),
];

const fn general(value: &'static str, column: &'static str) -> Series {
    Series { value, column, holders: Holders::Only(Class::General) }
}

const fn directory(value: &'static str, column: &'static str) -> Series {
    Series { value, column, holders: Holders::Only(Class::Directory) }
}

const fn any(value: &'static str, column: &'static str) -> Series {
    Series { value, column, holders: Holders::All }
}

const COLUMNS: &[Column] = &[
    Column { name: "bucket_name", cell: Cell::Resource },
    Column { name: "account_name", cell: Cell::AccountName },
    Column { name: "creation_date", cell: Cell::CreationDate },
    Column { name: "total_objects", cell: Cell::Measure },
    Column { name: "size_standard", cell: Cell::Measure },
    Column { name: "size_standard_ia", cell: Cell::Measure },
    Column { name: "size_one_zone_ia", cell: Cell::Measure },
    Column { name: "size_glacier_instant", cell: Cell::Measure },
    Column { name: "size_glacier", cell: Cell::Measure },
    Column { name: "size_deep_archive", cell: Cell::Measure },
    Column { name: "size_reduced_redundancy", cell: Cell::Measure },
    Column { name: "size_express_one_zone", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_fa", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_ia", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_aia", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_aa", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_daa", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_aa_object_overhead", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_aa_s3_object_overhead", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_daa_object_overhead", cell: Cell::Measure },
    Column { name: "size_intelligent_tiering_daa_s3_object_overhead", cell: Cell::Measure },
    Column { name: "size_standard_ia_size_overhead", cell: Cell::Measure },
    Column { name: "size_standard_ia_object_overhead", cell: Cell::Measure },
    Column { name: "size_one_zone_ia_size_overhead", cell: Cell::Measure },
    Column { name: "size_glacier_instant_size_overhead", cell: Cell::Measure },
    Column { name: "size_glacier_staging", cell: Cell::Measure },
    Column { name: "size_glacier_object_overhead", cell: Cell::Measure },
    Column { name: "size_glacier_s3_object_overhead", cell: Cell::Measure },
    Column { name: "size_deep_archive_staging", cell: Cell::Measure },
    Column { name: "size_deep_archive_object_overhead", cell: Cell::Measure },
    Column { name: "size_deep_archive_s3_object_overhead", cell: Cell::Measure },
    Column { name: "size_other", cell: Cell::Measure },
    Column { name: "size_total", cell: Cell::Total("BucketSizeBytes") },
    Column { name: "account_id", cell: Cell::AccountId },
    Column { name: "region", cell: Cell::Region },
    Column { name: "report_date", cell: Cell::ReportDate },
    Column { name: "datapoint_date", cell: Cell::DatapointDate },
    Column { name: "status", cell: Cell::Status },
];
