// SPDX-License-Identifier: Apache-2.0
//! `producer replay`: sends dead letters to the work queue again.

use std::cell::RefCell;

use anyhow::anyhow;
use clap::{Args, builder::BoolishValueParser};
use cli::{
    config_file::ConfigFile,
    deployment::{Deployment, open_queue},
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format},
};
use fleet::{aws, run_id::AmbiguousRun};
use serde_json::{Value, json};

use super::{interrupted::interrupted_look, selection::SelectionArgs, wake::WakeArgs};
use crate::{
    dead_letters::{self, selection::Selection},
    progress::Progress,
    replay::{ReplayOutcome, ReplayStep, Replayed, replay, text},
};

/// Sends dead letters to the workers again, once their cause is fixed.
///
/// What is selected is sent to the work queue, body unchanged, and then deleted from the dead-letter
/// queue; if account, run and reason are given, all must match. A job that fails again is counted as
/// replayed once more; after three times, it is only replayed with --force.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// Replay everything in the dead-letter queue.
    #[arg(long, env = "FLEET_ALL", value_parser = BoolishValueParser::new())]
    all: bool,

    /// Also what failed again after three replays.
    #[arg(long, env = "FLEET_FORCE", value_parser = BoolishValueParser::new())]
    force: bool,

    #[command(flatten)]
    wake: WakeArgs,

    /// How the answer is written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    config: ConfigFile,

    #[command(flatten)]
    deployment: Deployment,
}

const AFTER_HELP: &str = "\
Examples:
  producer failed                                # first: what failed, why, and how to fix it
  producer replay --account-name data,opra-dev   # once the two are fixed
  producer replay --run-id 019a6b0c-…            # all that failed of a run
  producer replay --reason access_denied         # all that have this reason
  producer replay --all

What to do next:
  producer status RUN_ID --watch   follows the run whose jobs were replayed

Interrupted or killed in between, it leaves each job in one of the two queues, or in both: a job
that is done twice gives the same report. It keeps its day, its run and what other programs put
into its message attributes. The AWS console's \"Start DLQ redrive\" does the same, without
counting; choose the work queue as its custom destination, since SQS does not know the source of
what a worker sent.

Needs, on the dead-letter queue: sqs:GetQueueAttributes, sqs:ReceiveMessage,
sqs:ChangeMessageVisibility and sqs:DeleteMessage; on the work queue: sqs:SendMessage.

--format json, one object:
  replayed, left, not_selected, in_flight_elsewhere (how many), interrupted, unmatched (accounts
  that were named and have none), and dead_letters, those selected: message_id, account_name,
  dataset, run_id, failure_reason, replay_count, outcome (replayed, refused, left or
  not_deleted) and why.

Exit status: 0 done; 1 not all that was asked for was replayed, or it is hidden by another look for
up to a minute; 2 wrong usage or configuration.";

const NO_SELECTION: &str = "\
nothing says what to replay; pass one of these, once `producer failed` has shown the dead letters:
  --account-name NAME   what is of an account; may be repeated
  --run-id ID           what is of a run
  --reason CODE         what was given up for a reason
  --all                 everything";

impl ReplayArgs {
    pub(crate) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        self.config.read(&mut faults).await;
        let url = self.deployment.queue(&mut faults);
        let is_unread = ["account_name", "run_id", "reason"].iter().any(|argument| faults.left_out(argument));
        let selection = Selection::from(self.selection);
        match (self.all, selection.is_narrowed() || is_unread) {
            (false, false) => faults.usage(NO_SELECTION),
            (true, true) => faults.usage(
                "--all is everything, and --account-name, --run-id and --reason are less (FLEET_ALL, \
                 FLEET_ACCOUNT_NAME, FLEET_RUN_ID and FLEET_REASON say so too); pass one or the other",
            ),
            _ => {}
        }
        self.wake.check(&mut faults);
        let base = faults.at_start(aws::at_start().await);
        let (url, base) = faults.end(url.zip(base))?;
        let (queue, attributes) = open_queue(&base, url).await?;
        let dead = dead_letters::required_queue(&queue, &attributes)?;
        let counts = dead_letters::counts(&dead).await?;
        let stop = interrupted_look();
        tokio::pin!(stop);
        let bar = RefCell::new(None);
        let progress = |step| match step {
            ReplayStep::Begin(total) => {
                *bar.borrow_mut() = Some(Progress::begin("dead letters replayed", total));
            }
            ReplayStep::More(number) => {
                if let Some(bar) = bar.borrow().as_ref() {
                    bar.add(number);
                }
            }
        };
        let replayed = replay(&queue, &dead, counts, (&selection, self.force), stop, progress).await;
        let replayed = replayed.map_err(|error| match error.downcast::<AmbiguousRun>() {
            Ok(ambiguous) => CommandError::configuration(ambiguous),
            Err(error) => CommandError::Failed(error),
        })?;
        drop(bar);
        let woken = self.wake.wake(&base, text::sent(&replayed)).await;
        if replayed.letters.is_empty() && !replayed.interrupted && replayed.problem.is_none() {
            return nothing(&replayed, &selection, dead_letters::name(&dead), self.format);
        }
        match self.format {
            Format::Json => output::print_json(&as_json(&replayed))?,
            Format::Text if !replayed.letters.is_empty() => output::print(&text::render(&replayed))?,
            Format::Text => {}
        }
        let message = text::explain(&replayed);
        if let Err(error) = &woken
            && (replayed.problem.is_some() || message.is_some())
        {
            tracing::warn!("{error:#}");
        }
        match (replayed.problem, message) {
            (None, None) => woken.map(|()| Outcome::Done).map_err(CommandError::Failed),
            (None, Some(message)) => Err(CommandError::Failed(anyhow!(message))),
            (Some(problem), None) => Err(CommandError::Failed(problem)),
            (Some(problem), Some(message)) => Err(CommandError::Failed(anyhow!("{problem:#}; {message}"))),
        }
    }
}

/// Reports that nothing was replayed, and why. This is a success only if `--all` was given and the queue
/// is empty.
fn nothing(
    replayed: &Replayed,
    selection: &Selection,
    queue: &str,
    format: Format,
) -> Result<Outcome, CommandError> {
    let why = text::nothing(replayed, selection, queue);
    let is_done = !selection.is_narrowed() && replayed.elsewhere == 0;
    match format {
        Format::Json => output::print_json(&as_json(replayed))?,
        Format::Text if is_done => output::print(&why)?,
        Format::Text => {}
    }
    if is_done { Ok(Outcome::Done) } else { Err(CommandError::Failed(anyhow!(why))) }
}

fn as_json(replayed: &Replayed) -> Value {
    let letter = |(letter, replay_outcome): &(dead_letters::Letter, ReplayOutcome)| {
        let labels = &letter.dead.labels;
        let (outcome, why) = match replay_outcome {
            ReplayOutcome::Replayed => ("replayed", None),
            ReplayOutcome::LimitReached => {
                ("refused", Some("replayed too often already; --force replays it"))
            }
            ReplayOutcome::WouldFailAgain => {
                ("refused", Some("it would fail in the same way; --force replays it"))
            }
            ReplayOutcome::NotReplayed(why) => ("left", Some(why.as_str())),
            ReplayOutcome::NotDeleted(why) => ("not_deleted", Some(why.as_str())),
        };
        let is_sent = matches!(replay_outcome, ReplayOutcome::Replayed | ReplayOutcome::NotDeleted(_));
        json!({
            "message_id": letter.message_id,
            "account_name": labels.account_name,
            "dataset": labels.dataset.map(|dataset| dataset.name),
            "run_id": labels.run_id,
            "failure_reason": letter.dead.reason(),
            "replay_count": letter.dead.replay_count.saturating_add(u32::from(is_sent)),
            "outcome": outcome,
            "why": why,
        })
    };
    let sent = text::sent(replayed);
    json!({
        "replayed": sent,
        "left": replayed.letters.len() - sent,
        "not_selected": replayed.others,
        "in_flight_elsewhere": replayed.elsewhere,
        "interrupted": replayed.interrupted,
        "unmatched": replayed.unmatched,
        "dead_letters": replayed.letters.iter().map(letter).collect::<Vec<_>>(),
    })
}
