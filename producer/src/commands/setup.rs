// SPDX-License-Identifier: Apache-2.0
//! `producer setup`: sets a sink up, and deletes what is past its retention.

use anyhow::anyhow;
use chrono::Utc;
use clap::{Args, builder::BoolishValueParser};
use cli::{
    config_file::ConfigFile,
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format, count},
};
use fleet::aws;
use serde_json::json;
use sinks::{
    Configured,
    setup::{Action, Change, SetUp},
};

/// Sets a sink up, so that workers can deliver to it.
///
/// An OpenSearch sink gets an index template for each dataset, the fields that its indices lack, and
/// with --map-role a role that may write them. Indices past the sink's retention are deleted; the report
/// bucket still has their reports. What is as it has to be is left alone, and so is what a user has
/// changed, unless --overwrite is given. Run it after each upgrade, and daily if there is a retention.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct SetupArgs {
    /// The sink, by its name in the configuration file.
    #[arg(value_name = "SINK")]
    sink: String,

    /// Change nothing; show what would be changed.
    #[arg(long, env = "FLEET_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    /// Replace what a user has changed, too.
    #[arg(long, env = "FLEET_OVERWRITE", value_parser = BoolishValueParser::new())]
    overwrite: bool,

    /// The role of the workers, which may write then: on a domain with fine-grained access control.
    #[arg(long, env = "FLEET_MAP_ROLE", value_name = "ARN")]
    map_role: Option<String>,

    /// How the answer is written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    config: ConfigFile,
}

const AFTER_HELP: &str = "\
Examples:
  producer setup search --config fleet.toml --dry-run   # what would be changed
  producer setup search --config fleet.toml
  producer setup search --map-role arn:aws:iam::999999999999:role/worker

What to do next:
  producer deliver --sink search --last 30d   delivers the reports that exist

The credentials need to be allowed to manage index templates and indices and, for --map-role, the
security plugin: with auth = \"basic\", the variables FLEET_SINK_NAME_USER and
FLEET_SINK_NAME_PASSWORD are the master user's.

--format json, one object: sink, dry_run, and changes: what, action (create, update, delete,
unchanged or keep, which is a user's and not as it has to be), why.

Exit status: 0 done; 1 failed, or something of a user's was kept, so that reports may be refused; 2
wrong usage or configuration.";

impl SetupArgs {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let base = faults.at_start(aws::base().await);
        let sinks = match base {
            Some(base) => self.config.take(&mut faults, move |list| sinks::take(list, &base)).await,
            None => None,
        };
        let sink = self.sink(sinks, &mut faults);
        let sink = faults.end(sink)?;
        let Self { dry_run, overwrite, map_role, .. } = self;
        let how = SetUp { dry_run, overwrite, map_role, now: Utc::now() };
        let changes = sink.sink.set_up(&how).await;
        let changes = changes
            .map_err(|error| CommandError::Failed(error.context(format!("the sink {}", sink.named.name))))?;
        match self.format {
            Format::Json => {
                output::print_json(
                    &json!({"sink": sink.named.name, "dry_run": dry_run, "changes": changes}),
                )?;
            }
            Format::Text => output::print(&text(&sink.named.name, &changes, dry_run))?,
        }
        let kept = changes.iter().filter(|change| change.action == Action::Keep).count();
        if kept > 0 {
            return Err(CommandError::Failed(anyhow!(
                "{} left as a user has made it, so that reports may be refused",
                count(kept, "thing")
            )));
        }
        Ok(Outcome::Done)
    }

    fn sink(&self, sinks: Option<Vec<Configured>>, faults: &mut Faults) -> Option<Configured> {
        let Some(sinks) = sinks else {
            if faults.is_empty() {
                faults.usage("the configuration file has the sinks; pass --config, or set FLEET_CONFIG");
            }
            return None;
        };
        let names: Vec<String> = sinks.iter().map(|sink| sink.named.name.clone()).collect();
        let sink = sinks.into_iter().find(|sink| sink.named.name == self.sink);
        if sink.is_none() {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            faults.usage(format!("{:?} is no sink of the configuration file, which has {names}", self.sink));
        }
        sink
    }
}

fn text(sink: &str, changes: &[Change], dry_run: bool) -> String {
    let mut text = String::new();
    let mut settled = 0;
    for Change { what, action, why } in changes {
        if *action == Action::Unchanged {
            settled += 1;
            continue;
        }
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        text += &format!("{:<9} {what}{why}\n", action.to_string());
    }
    let number = changes.len() - settled;
    let verb = if dry_run { "would change" } else { "changed" };
    if changes.is_empty() {
        text += &format!("{sink} needs no set-up\n");
    } else {
        text += &format!("{sink}: {verb} {number}, {settled} as they have to be\n");
    }
    text
}
