// SPDX-License-Identifier: Apache-2.0
//! `producer datasets`: what can be collected, which needs no AWS.

use anyhow::anyhow;
use clap::Args;
use cli::{
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format},
};
use fleet::{
    Dataset,
    datasets::{self, DATASETS},
};

use crate::catalogue;

/// Lists the datasets that can be collected; with NAME, all that one of them is.
///
/// Shows columns, metrics, the permissions that the worker needs in an account, and the price of a day for 1,000 resources.
/// Asks nothing of AWS.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct DatasetsArgs {
    /// The dataset to show.
    #[arg(value_name = "NAME", value_parser = named)]
    name: Option<&'static Dataset>,

    /// How they are written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,
}

const AFTER_HELP: &str = "\
Examples:
  producer datasets
  producer datasets s3_daily_storage
  producer datasets --format json | jq '.datasets[] | .name, .permissions'

--format json, one object: datasets, each with name, group, title, namespace, shape, period_seconds,
settle_seconds, discovery, resource (its dimensions), columns (name, type: the words of Athena),
metrics (name, unit, statistics), permissions, optional_permissions (without them less is found),
resources (what people call them), and cost_usd_per_1000_resources: listed (a day whose series
CloudWatch still lists, up to eleven days ago) and unlisted (an older one).";

impl DatasetsArgs {
    pub(super) fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        faults.end(Some(()))?;
        match (self.format, self.name) {
            (Format::Text, None) => output::print(&catalogue::list(DATASETS.iter()))?,
            (Format::Text, Some(dataset)) => output::print(&catalogue::text(dataset))?,
            (Format::Json, None) => output::print_json(&catalogue::json(DATASETS.iter()))?,
            (Format::Json, Some(dataset)) => output::print_json(&catalogue::json([dataset]))?,
        }
        Ok(Outcome::Done)
    }
}

fn named(name: &str) -> anyhow::Result<&'static Dataset> {
    Dataset::find(name)
        .ok_or_else(|| anyhow!("dataset {name:?} is unknown; this version has {}", datasets::names()))
}
