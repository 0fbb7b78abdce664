// SPDX-License-Identifier: Apache-2.0
//! `producer datasets`: what can be collected.

use anyhow::anyhow;
use clap::Args;
use cli::{
    config_file::ConfigFile,
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format},
};
use fleet::{Dataset, datasets};

use crate::catalogue;

/// Lists the datasets that can be collected; with NAME, all that one of them is.
///
/// Shows columns, metrics, the permissions that the worker needs in an account, and the price of a day for 1,000 resources.
/// Asks nothing of AWS, unless the configuration file is there.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct DatasetsArgs {
    /// The dataset to show, or the group of datasets to list.
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// How they are written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    config: ConfigFile,
}

const AFTER_HELP: &str = "\
Examples:
  producer datasets
  producer datasets s3_daily_storage
  producer datasets elb
  producer datasets --format json | jq '.datasets[] | .name, .permissions'

--format json, one object: datasets, each with name, group, title, namespace, shape, period_seconds,
settle_seconds, discovery, resource (its dimensions), columns (name, type: the words of Athena),
metrics (name, unit, statistics), derived (name, ratio: what is divided by what), permissions,
optional_permissions (without them less is found), resources (what people call them), and
cost_usd_per_1000_resources: listed (a day whose series CloudWatch still lists, up to eleven days
ago) and unlisted (an older one).";

impl DatasetsArgs {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        self.config.read(&mut faults).await;
        let named = match &self.name {
            Some(name) => faults.take(named(name).map_err(CommandError::usage)),
            None => Some(datasets::all().collect()),
        };
        let named: Vec<&'static Dataset> = faults.end(named)?;
        match (self.format, &named[..]) {
            (Format::Text, [dataset]) => output::print(&catalogue::text(dataset))?,
            (Format::Text, datasets) => output::print(&catalogue::list(datasets.iter().copied()))?,
            (Format::Json, datasets) => output::print_json(&catalogue::json(datasets.iter().copied()))?,
        }
        Ok(Outcome::Done)
    }
}

/// The datasets that a name stands for.
fn named(name: &str) -> anyhow::Result<Vec<&'static Dataset>> {
    let named = Dataset::find(name).map_or_else(|| Dataset::named(name), |dataset| vec![dataset]);
    if named.is_empty() { Err(anyhow!(datasets::unknown(name))) } else { Ok(named) }
}
