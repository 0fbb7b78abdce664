//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// The whole fleet on this machine, with no AWS account, in ten seconds once it is built.
///
/// It starts a make-believe AWS on 127.0.0.1 with five accounts whose S3 buckets lie in several
/// regions, runs the real producer and real workers against it as processes of their own, and shows
/// each command as you would type it. Nothing leaves this machine, and none of your AWS settings is
/// read.
#[derive(Debug, Parser)]
#[command(name = "demo", version, after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// The folder for the reports; it is made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "demo-reports")]
    pub(crate) output: PathBuf,

    /// How many buckets the largest account has; the others have fewer, in proportion.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 800,
        value_parser = clap::value_parser!(u32).range(10..=10_000)
    )]
    pub(crate) buckets: u32,

    /// How many workers share the queue.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u8).range(1..=8)
    )]
    pub(crate) workers: u8,
}

const AFTER_HELP: &str = "\
The words, in the order in which they come up:
  account   an AWS account, under a name of yours
  request   which day of which accounts is wanted
  producer  the program that turns a request into jobs
  job       one account on one day; a message on the queue
  run       all the jobs of one request
  queue     holds a job until its report is safe; a job that can't be done ends on the
            dead-letter queue, with its reason
  worker    the program that does jobs; start as many as you like
  report    what came of a job: a CSV file in the report bucket, with a row for each bucket

Examples:
  demo                            # five accounts, two workers
  demo --buckets 4000 --workers 4
  demo --output /tmp/reports";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
