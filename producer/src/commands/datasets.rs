// SPDX-License-Identifier: Apache-2.0
//! `producer datasets`: what can be collected.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use cli::{
    config_file::ConfigFile,
    exit::{CommandError, Outcome},
    faults::Faults,
    output,
};
use fleet::{Dataset, KeyTemplate, WindowLength, datasets, report_bucket, report_key};

use crate::{
    athena::{self, Target},
    catalogue,
};

/// Lists the datasets that can be collected; with NAME, all that one of them is.
///
/// Shows columns, metrics, the permissions that the worker needs in an account, and the price of a day for 1,000 resources.
/// Asks nothing of AWS, unless the configuration file is there.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
#[expect(clippy::doc_markdown, reason = "these comments are the help that people read in a terminal")]
pub(crate) struct DatasetsArgs {
    /// The dataset to show, or the group of datasets to list.
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// How they are written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: DatasetsFormat,

    /// The length of the reports' windows, as 5m: reports of another length than the dataset's own have a
    /// folder and a table of their own.
    #[arg(long, env = "FLEET_WINDOW", value_name = "LENGTH", help_heading = ATHENA)]
    window: Option<WindowLength>,

    /// Where the keys of the reports begin, as s3://bucket/ [default: the report bucket].
    #[arg(long, env = "FLEET_LOCATION", value_name = "S3_URL", value_parser = athena::location, help_heading = ATHENA)]
    location: Option<String>,

    /// The bucket of the reports.
    #[arg(
        long,
        env = "FLEET_REPORT_BUCKET",
        value_name = "BUCKET",
        value_parser = report_bucket::check_name,
        help_heading = ATHENA
    )]
    report_bucket: Option<String>,

    #[arg(
        long,
        env = "FLEET_KEY_TEMPLATE",
        value_name = "TEMPLATE",
        default_value_t,
        help = report_key::HELP,
        help_heading = ATHENA
    )]
    key_template: KeyTemplate,

    /// The database of the table [default: that in which the statement is run].
    #[arg(long, env = "FLEET_DATABASE", value_name = "NAME", value_parser = athena::database, help_heading = ATHENA)]
    database: Option<String>,

    #[command(flatten)]
    config: ConfigFile,
}

const ATHENA: &str = "With --format athena";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DatasetsFormat {
    /// Tables and sentences.
    Text,
    /// One JSON object.
    Json,
    /// The statement by which Athena makes the table of a dataset's reports.
    Athena,
}

const AFTER_HELP: &str = "\
Examples:
  producer datasets
  producer datasets s3_daily_storage
  producer datasets elb
  producer datasets --format json | jq '.datasets[] | .name, .permissions'
  producer datasets orders --format athena --location s3://my-reports/ --database fleet

--format json, one object: datasets, each with name, group, title, namespace, shape, period_seconds,
settle_seconds, discovery, resource (its dimensions), columns (name, type: the words of Athena),
metrics (name, unit, statistics), derived (name, ratio: what is divided by what), permissions,
optional_permissions (without them less is found), resources (what people call them), and
cost_usd_per_1000_resources: listed (a day whose series CloudWatch still lists, up to eleven days
ago) and unlisted (an older one).

--format athena writes CREATE EXTERNAL TABLE: run it as one query. The table is called as the folder
of the reports, and has a partition for each day, which no one needs to add.";

impl DatasetsArgs {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        self.config.read(&mut faults).await;
        if self.format == DatasetsFormat::Athena {
            return self.write_table(faults);
        }
        let named = match &self.name {
            Some(name) => faults.take(named(name).map_err(CommandError::usage)),
            None => Some(datasets::all().collect()),
        };
        let named: Vec<&'static Dataset> = faults.end(named)?;
        match &named[..] {
            named if self.format == DatasetsFormat::Json => {
                output::print_json(&catalogue::json(named.iter().copied()))?;
            }
            [dataset] => output::print(&catalogue::text(dataset))?,
            datasets => output::print(&catalogue::list(datasets.iter().copied()))?,
        }
        Ok(Outcome::Done)
    }

    fn write_table(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let dataset = match &self.name {
            Some(name) => {
                let found = Dataset::find(name).ok_or_else(|| anyhow!(datasets::unknown(name)));
                faults.take(found.map_err(CommandError::Usage))
            }
            None => {
                faults.usage("--format athena is of one dataset: name it, as in `producer datasets sqs --format athena`");
                None
            }
        };
        let of_bucket = || self.report_bucket.as_ref().map(|bucket| format!("s3://{bucket}/"));
        let location = self.location.clone().or_else(of_bucket);
        if location.is_none() && !faults.left_out("location") && !faults.left_out("report_bucket") {
            faults.usage(NO_LOCATION);
        }
        let statement = dataset.zip(location).and_then(|(dataset, location)| {
            let target = Target {
                location: &location,
                template: &self.key_template,
                window: self.window,
                database: self.database.as_deref(),
            };
            faults.take(athena::statement(dataset, &target).map_err(CommandError::Usage))
        });
        output::print(&faults.end(statement)?)?;
        Ok(Outcome::Done)
    }
}

const NO_LOCATION: &str = "--format athena needs the place of the reports: --report-bucket or FLEET_REPORT_BUCKET, or --location, as s3://my-reports/ or s3://my-copies/reports/";

/// The datasets that a name stands for.
fn named(name: &str) -> anyhow::Result<Vec<&'static Dataset>> {
    let named = Dataset::find(name).map_or_else(|| Dataset::named(name), |dataset| vec![dataset]);
    if named.is_empty() { Err(anyhow!(datasets::unknown(name))) } else { Ok(named) }
}
