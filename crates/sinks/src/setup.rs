// SPDX-License-Identifier: Apache-2.0
//! What `producer setup` does at a sink, and what came of it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How a sink is set up.
#[derive(Debug, Clone)]
pub struct SetUp {
    /// Whether to change nothing, and only say what would be.
    pub dry_run: bool,
    /// Whether what a user changed is replaced too.
    pub overwrite: bool,
    /// The role that may write documents then, by its ARN.
    pub map_role: Option<String>,
    /// By which what is past its retention is known.
    pub now: DateTime<Utc>,
}

/// One thing at a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is, such as `index template fleet-sqs`.
    pub what: String,
    pub action: Action,
    /// Why it is left as it is, left out, or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether reports are delivered all the same.
    #[serde(skip)]
    pub is_harmless: bool,
}

/// What was done about it, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    Delete,
    /// It is as it has to be.
    Unchanged,
    /// It is not as it has to be, and is a user's.
    Keep,
    /// It can't be had there, or nothing says where.
    Skip,
}

impl Change {
    #[must_use]
    pub fn new(what: impl Into<String>, action: Action) -> Self {
        Self { what: what.into(), action, why: None, is_harmless: false }
    }

    #[must_use]
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// No report is refused because of it.
    #[must_use]
    pub fn harmless(self) -> Self {
        Self { is_harmless: true, ..self }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Unchanged => "unchanged",
            Self::Keep => "keep",
            Self::Skip => "skip",
        })
    }
}
