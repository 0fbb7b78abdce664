// SPDX-License-Identifier: Apache-2.0
//! The command line.

use clap::{Parser, ValueEnum};
use cli::output::Format;

/// Kills workers at every step of a job, and shows that nothing is lost.
///
/// Real producer and worker processes run on a make-believe AWS on 127.0.0.1. Workers are killed
/// (SIGKILL) at twelve named steps and at random moments, each at once replaced by a new one, while
/// calls are throttled, fail, hang and are cut off. In the end every report is compared, byte by byte,
/// with what was put into CloudWatch, and every account must have ended in one report, or in a dead
/// letter with its reason where it can't succeed.
#[derive(Debug, Parser)]
#[command(name = "chaos", version, after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// How many workers are killed. The steps take turns: from 650 on, each has at least 50. A worker that is
    /// not met at its step counts as killed at a random moment, and one more may be killed for it.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) kills: u32,

    /// Decides which steps come in which order, how long each worker lives before, which calls fail, and
    /// what is in the buckets. What meets what is up to the clock: two runs of a seed are not the same.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many workers run concurrently, each a process with one to three jobs in flight.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(2..=64))]
    pub(crate) workers: u8,

    /// How many accounts can succeed. For every three of them there is one more that can't, and must
    /// end in a dead letter.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(3..=300))]
    pub(crate) accounts: u16,

    /// How the figures are written to standard output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,

    /// Keep the folder with the workers' logs also where nothing was wrong.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Make AWS lie, to see that this program finds it: the run must fail then.
    #[arg(long, value_name = "LIE")]
    pub(crate) plant: Option<Plant>,
}

/// A lie of AWS's that no worker can find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plant {
    /// A few values are one too high: reports are corrupt.
    OffByOne,
    /// Of a long listing only the first page is given: reports are short.
    DroppedPage,
    /// A partial report is not there when the next try reads it: rows are paid for again.
    LostCheckpoint,
}

const AFTER_HELP: &str = "\
The words of the table:
  lost         an account with neither report nor dead letter, and its job is gone
  short        a report with a row or a value too few, or a partial one
  corrupt      any other difference from the report that must come of it, its metadata included
  unexpected   a dead letter of an account that can succeed or with another reason than its own, a
               report of one that can't, or an account with both
  redelivery   a receive of a job beyond its first
  duplicate execution     a job that more than one worker collected
  duplicate dead letter   a second dead letter of a job: its worker died before it deleted the job
  documents    in an OpenSearch, to which every report is delivered; lost: a row of a report without one,
               and not among those that were kept with the reason for which they were refused;
               doubled: a second one of a row; stale: one that says anything but the report as it is
  paid again   a row that CloudWatch gave to a job once more, though no answer was lost: by a kill
               before the upload, by calls that failed, or since two workers had the job at once
  recovery     from a kill until another worker is given a job that the killed one had in flight

Examples:
  chaos --kills 300 --seed 7
  chaos --kills 3000 --workers 8 --format json > chaos.json
  chaos --kills 20 --plant off-by-one      # must fail

Exit status: 0 where lost, short, corrupt and unexpected are 0, of documents too, no row was paid for again, `producer status`
agreed, and every step's fault fired; else 1, and the folder with the workers' logs is kept and named. 2 wrong usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
