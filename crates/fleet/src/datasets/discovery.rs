// SPDX-License-Identifier: Apache-2.0
//! How the resources of an account are found, and what that takes.

/// The permission to list general purpose buckets.
pub const LIST_BUCKETS: &str = "s3:ListAllMyBuckets";

/// The permission to list directory buckets.
pub const LIST_DIRECTORY_BUCKETS: &str = "s3express:ListAllMyDirectoryBuckets";

/// The permission to list functions.
pub const LIST_FUNCTIONS: &str = "lambda:ListFunctions";

/// The permission to list the regions that an account has enabled.
pub const LIST_REGIONS: &str = "account:ListRegions";

/// How the resources of an account are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// S3's `ListBuckets`, asked once; the answer names each bucket's region.
    ListBuckets,
    /// CloudWatch's `ListMetrics`, which names what has had a datapoint in the last two weeks.
    ListMetrics,
    /// `ListMetrics`, and besides Lambda's `ListFunctions`, which names functions that are idle, and says what each is.
    ListFunctions,
}

/// In which regions an account is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regions {
    /// Those in which a resource was found, and those that are configured.
    OfResources,
    /// The home region, and those that are configured.
    Configured,
    /// Those that the account has enabled, and those that are configured; the latter alone if the account does not tell.
    Enabled,
    /// These, and no others.
    Named(Vec<String>),
}

/// The class of a resource, if the resources of a dataset differ in the series that they can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// General purpose buckets.
    General,
    /// Directory buckets, of S3 Express One Zone and of Local Zones.
    Directory,
}

impl Discovery {
    pub(super) const ALL: [Self; 3] = [Self::ListBuckets, Self::ListMetrics, Self::ListFunctions];

    /// What a dataset's file calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListBuckets => "list_buckets",
            Self::ListMetrics => "list_metrics",
            Self::ListFunctions => "list_functions",
        }
    }

    /// What people call the resources.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::ListBuckets => "buckets",
            Self::ListMetrics => "resources",
            Self::ListFunctions => "functions",
        }
    }

    /// The IAM actions that it needs.
    #[must_use]
    pub fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::ListBuckets => &[LIST_BUCKETS],
            Self::ListMetrics | Self::ListFunctions => &[],
        }
    }

    /// The IAM actions without which it finds less.
    #[must_use]
    pub fn optional_permissions(self) -> &'static [&'static str] {
        match self {
            Self::ListBuckets => &[LIST_DIRECTORY_BUCKETS],
            Self::ListMetrics => &[],
            Self::ListFunctions => &[LIST_FUNCTIONS],
        }
    }

    /// The classes of resources that it finds, each by the name that a dataset's file has for it.
    #[must_use]
    pub(super) fn classes(self) -> &'static [(&'static str, Class)] {
        match self {
            Self::ListBuckets => &[("general", Class::General), ("directory", Class::Directory)],
            Self::ListMetrics | Self::ListFunctions => &[],
        }
    }

    /// The class that nearly all resources are of.
    #[must_use]
    pub fn usual_class(self) -> Class {
        match self {
            Self::ListBuckets | Self::ListMetrics | Self::ListFunctions => Class::General,
        }
    }

    /// Whether a day whose series are no longer listed is asked for all that may exist, since something else names the
    /// resources.
    #[must_use]
    pub fn asks_for_unlisted(self) -> bool {
        match self {
            Self::ListBuckets => true,
            Self::ListMetrics | Self::ListFunctions => false,
        }
    }

    /// Whether a resource says when it was created.
    #[must_use]
    pub(super) fn knows_creation(self) -> bool {
        match self {
            Self::ListBuckets => true,
            Self::ListMetrics | Self::ListFunctions => false,
        }
    }
}
