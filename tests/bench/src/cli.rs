// SPDX-License-Identifier: Apache-2.0
//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use cli::output::Format;

/// Measures the fleet: speed, calls, memory, CPU and fairness, each beside its floor.
///
/// The real worker runs as a process of its own on a make-believe AWS on 127.0.0.1, which has CloudWatch's
/// quotas and answers every call after 50 ms. Ends with 1 where a bar is missed, and says which.
#[derive(Debug, Parser)]
#[command(name = "bench", version, after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How the figures are written to standard output.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,

    /// Small worlds, and bars with room for a busy machine: for continuous integration. Of `all`, what misses
    /// a bar is measured up to three times.
    #[arg(long, global = true)]
    pub(crate) short: bool,

    /// The worker to measure [default: the one that this program was built with].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,
}

/// What can be measured, and what becomes of figures; each says so itself.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// How much the AWS on 127.0.0.1 can answer, so that it is known not to be the bottleneck.
    Ceiling,
    /// One account of 1,000 to 100,000 buckets, in 1 and in 4 regions, on a recent and on an old day.
    Account {
        /// Only the cases whose names have this in them, such as 10000-buckets or 4-regions-old.
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
    },
    /// Many small accounts on 1, 2, 4 and 8 workers.
    Fleet {
        /// How many accounts 8 workers have; fewer workers have fewer, in proportion.
        #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u16).range(80..=9000))]
        accounts: u16,
    },
    /// Small accounts beside a huge one.
    Mixed,
    /// A dataset of series: 1,000 and 20,000 resources of 12 metrics, an hour and a day of them, in 1 and in 4 regions.
    Series {
        /// Only the cases whose names have this in them, such as 20000-resources or 1-region-day.
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
    },
    /// A year of daily storage by one job, of 1,000 and of 10,000 buckets.
    Range,
    /// A report on its way to OpenSearch, beside opensearch-py; on real nodes after `just search-node`.
    Deliver {
        /// Leave opensearch-py out, which needs Python and `PyPI`.
        #[arg(long)]
        without_peer: bool,
    },
    /// The worker beside Python programs that one would write instead, and beside exporters; needs Python and, once, `PyPI`.
    Peers {
        /// Only the cases whose names have this in them, such as 1000-resources or exported.
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
        /// The program of YACE (yet-another-cloudwatch-exporter), to be measured too.
        #[arg(long, value_name = "FILE")]
        yace: Option<PathBuf>,
        /// The program of Telegraf with its CloudWatch input and its file output, to be measured too.
        #[arg(long, value_name = "FILE")]
        telegraf: Option<PathBuf>,
    },
    /// From a worker's start to its first receive and its first report.
    Start,
    /// All of them, sequentially.
    All {
        /// Leave the peers out, which need Python and `PyPI`.
        #[arg(long)]
        without_peers: bool,
    },
    /// Makes one table of figures that were written as JSON: Markdown on standard output.
    Table {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Writes the figures of tests/bench/figures.json into tests/bench/FIGURES.md, and their sum into the README.
    ///
    /// Their drawing is tests/bench/figures.svg.
    Document,
}

impl Command {
    /// Its word on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Account { .. } => "account",
            Self::Fleet { .. } => "fleet",
            Self::Mixed => "mixed",
            Self::Series { .. } => "series",
            Self::Range => "range",
            Self::Deliver { .. } => "deliver",
            Self::Peers { .. } => "peers",
            Self::Start => "start",
            Self::All { .. } => "all",
            Self::Table { .. } => "table",
            Self::Document => "document",
        }
    }
}

const AFTER_HELP: &str = "\
The floor of a case is the least that AWS's rules allow:
  calls    a page of 10,000 buckets, 500 series a ListMetrics page and 500 a GetMetricData, and
           who we are
  seconds  of the regions, which run beside each other, the longest: the greatest of ListMetrics
           calls at 25/s, GetMetricData calls at 50/s and the longest chain of pages at the
           latency of a call; and three latencies on top. In JSON, floor_in_turn_s is what it
           would be if a region's listing had to end before its first metric is asked for

Examples:
  bench all --short                   # a minute, for continuous integration
  bench account --format json > account.json
  bench peers --format json > peers.json
  bench table account.json peers.json
  bench all --format json > tests/bench/figures.json
  bench document";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
