// SPDX-License-Identifier: Apache-2.0
//! `producer setup`: sets a sink up, and deletes what is past its retention.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use chrono::Utc;
use clap::{Args, builder::BoolishValueParser};
use cli::{
    config_file::ConfigFile,
    destination::Destination,
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
/// An OpenSearch sink gets an index template for each dataset, the fields that its indices lack,
/// dashboards, the monitors of its table alerts, and with --map-role a role that may write documents.
/// Indices past the sink's retention are deleted; the report bucket still has their reports. What is as it
/// has to be is left alone, and so is what a user has changed, unless --overwrite is given. Run it after
/// each upgrade, and daily if there is a retention.
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

    /// Write the dashboards for Grafana to this file, and do nothing else; - is standard output.
    #[arg(long, env = "FLEET_GRAFANA", value_name = "FILE", conflicts_with_all = ["dry_run", "overwrite", "map_role"])]
    grafana: Option<PathBuf>,

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
  producer setup search --grafana fleet.json            # the dashboards, for Grafana

What to do next:
  producer deliver --sink search --last 30d   delivers the reports that exist

The credentials need to be allowed to manage index templates, indices, saved objects of Dashboards
and, for alerts, monitors and notification channels; for --map-role the security plugin: with
auth = \"basic\", the variables FLEET_SINK_NAME_USER and FLEET_SINK_NAME_PASSWORD are the master
user's.

--format json, one object: sink, dry_run, and changes: what, action (create, update, delete,
unchanged, skip, which can't be had there, or keep, which is a user's and not as it has to be), why.

Exit status: 0 done, a user's own dashboards and monitors kept; 1 failed, or an index or a template
of a user's was kept, so that reports may be refused; 2 wrong usage or configuration.";

impl SetupArgs {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let base = faults.at_start(aws::base().await);
        let sinks = match base {
            Some(base) => self.config.take(&mut faults, move |list| sinks::take(list, &base)).await,
            None => None,
        };
        let sink = self.sink(sinks, &mut faults);
        let sink = faults.end(sink)?;
        if let Some(file) = &self.grafana {
            return write_grafana(&sink, file).map_err(CommandError::Failed);
        }
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
        let refuses = |change: &&Change| change.action == Action::Keep && !change.is_harmless;
        let kept = changes.iter().filter(refuses).count();
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

fn write_grafana(sink: &Configured, file: &Path) -> anyhow::Result<Outcome> {
    let name = &sink.named.name;
    let Some(dashboard) = sink.sink.grafana() else {
        bail!("the sink {name} has no dashboards for Grafana; an opensearch sink has");
    };
    Destination::open(file)?.write(format!("{dashboard:#}\n").as_bytes())?;
    Ok(Outcome::Done)
}

fn text(sink: &str, changes: &[Change], dry_run: bool) -> String {
    let mut text = String::new();
    let (mut settled, mut skipped) = (0, 0);
    for Change { what, action, why, .. } in changes {
        match action {
            Action::Unchanged => {
                settled += 1;
                continue;
            }
            Action::Skip => skipped += 1,
            _ => {}
        }
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        text += &format!("{:<9} {what}{why}\n", action.to_string());
    }
    let number = changes.len() - settled - skipped;
    let verb = if dry_run { "would change" } else { "changed" };
    if changes.is_empty() {
        text += &format!("{sink} needs no set-up\n");
    } else {
        text += &format!("{sink}: {verb} {number}, {settled} as they have to be\n");
    }
    text
}
