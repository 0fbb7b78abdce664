// SPDX-License-Identifier: Apache-2.0
//! What a table has of a function besides its values.

/// Something that `ListFunctions` says of a function, or that follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Runtime,
    /// The day from which AWS no longer supports the runtime.
    RuntimeDeprecatedOn,
    Architecture,
    MemoryMb,
    TimeoutSeconds,
    PackageType,
    LastModified,
}

impl Fact {
    /// In the order of the columns.
    pub const ALL: [Self; 7] = [
        Self::Runtime,
        Self::RuntimeDeprecatedOn,
        Self::Architecture,
        Self::MemoryMb,
        Self::TimeoutSeconds,
        Self::PackageType,
        Self::LastModified,
    ];

    /// What its column is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::RuntimeDeprecatedOn => "runtime_deprecated_on",
            Self::Architecture => "architecture",
            Self::MemoryMb => "memory_mb",
            Self::TimeoutSeconds => "timeout_seconds",
            Self::PackageType => "package_type",
            Self::LastModified => "last_modified",
        }
    }

    /// The type of its column, in the words of Athena and Glue.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::MemoryMb | Self::TimeoutSeconds => "bigint",
            Self::RuntimeDeprecatedOn => "date",
            // Athena's timestamps have no T and no Z.
            Self::Runtime | Self::Architecture | Self::PackageType | Self::LastModified => "string",
        }
    }
}
