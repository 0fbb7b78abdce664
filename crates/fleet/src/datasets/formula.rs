// SPDX-License-Identifier: Apache-2.0
//! How a derived column is made of the others of its row.

/// What a derived column is, by the names of the columns that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formula {
    /// The first divided by the second.
    Ratio([String; 2]),
    /// Milliseconds, as a part of the function's timeout: 1 is all of it.
    OfTimeout(String),
    /// What invocations and their milliseconds cost by the list price.
    LambdaCost([String; 2]),
    /// What milliseconds on x86 would cost less on arm64.
    Arm64Saving(String),
}

impl Formula {
    /// What a dataset's file calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ratio(_) => "ratio",
            Self::OfTimeout(_) => "of_timeout",
            Self::LambdaCost(_) => "lambda_cost",
            Self::Arm64Saving(_) => "arm64_saving",
        }
    }

    /// The columns that it is made of.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Ratio(columns) | Self::LambdaCost(columns) => columns,
            Self::OfTimeout(column) | Self::Arm64Saving(column) => std::slice::from_ref(column),
        }
    }

    /// Whether it needs what is known of functions.
    pub(super) fn is_of_functions(&self) -> bool {
        !matches!(self, Self::Ratio(_))
    }

    /// The formula, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Ratio([of, by]) => format!("{of} / {by}"),
            Self::OfTimeout(of) => format!("{of} / (timeout_seconds * 1000)"),
            Self::LambdaCost([requests, duration]) => {
                format!("list price of {requests} and of {duration} * memory_mb")
            }
            Self::Arm64Saving(duration) => {
                format!("list price of {duration} * memory_mb on x86, less that on arm64")
            }
        }
    }
}
