//! `producer replay`: dead letters become jobs once more.

use std::cell::RefCell;

use anyhow::anyhow;
use clap::{Args, builder::BoolishValueParser};
use fleet::{
    AccountName, RunId,
    account::InvalidAccountName,
    aws,
    deployment::{Deployment, Queue},
    exit::{CommandError, Outcome},
    output::{self, Format},
};
use serde_json::{Value, json};

use crate::{
    dead_letters,
    progress::Progress,
    replay::{Fate, Replayed, Selection, Step, replay, text},
};

/// Sends jobs that were given up to the workers once more, after their cause was mended.
///
/// What is selected is sent to the work queue, body unchanged, and deleted from the dead-letter queue
/// after that; where both are given, account and run must match. A job that fails again comes back
/// with one replay more to its name; after three, it is only replayed with --force.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct ReplayArgs {
    /// Replay what is of this account; may be repeated, or be a list with commas.
    #[arg(
        long,
        env = "FLEET_ACCOUNT_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = account_name
    )]
    account_name: Vec<AccountName>,

    /// Replay what is of this run.
    #[arg(long, env = "FLEET_RUN_ID", value_name = "ID")]
    run_id: Option<RunId>,

    /// Replay everything in the dead-letter queue.
    #[arg(long, env = "FLEET_ALL", value_parser = BoolishValueParser::new())]
    all: bool,

    /// Also what failed again after three replays.
    #[arg(long, env = "FLEET_FORCE", value_parser = BoolishValueParser::new())]
    force: bool,

    /// How the answer is written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    deployment: Deployment,
}

const AFTER_HELP: &str = "\
Examples:
  producer failed                                # first: what failed, why, and how to mend it
  producer replay --account-name data,opra-dev   # once the two are mended
  producer replay --run-id 019a6b0c-…            # all that failed of a run
  producer replay --all

What to do next:
  producer status RUN_ID --watch   follows the run whose jobs were replayed

Interrupted or killed in between, it leaves each job in one of the two queues, or in both: a job
that is done twice gives the same report. The AWS console's \"Start DLQ redrive\" does the same,
without counting.

Needs, on the dead-letter queue: sqs:GetQueueAttributes, sqs:ReceiveMessage,
sqs:ChangeMessageVisibility and sqs:DeleteMessage; on the work queue: sqs:SendMessage.

--format json, one object:
  replayed, left, not_selected, in_flight_elsewhere (how many), interrupted, unmatched (accounts
  that were named and have none), and dead_letters, those selected: message_id, account_name,
  dataset, run_id, failure_reason, replay_count, outcome (replayed, refused, left or not_deleted)
  and why.

Exit status: 0 done; 1 not all that was asked for was replayed; 2 wrong usage or configuration.";

const NO_SELECTION: &str = "\
nothing says what to replay; pass one of these, once `producer failed` has told what there is:
  --account-name NAME   what is of an account; may be repeated
  --run-id ID           what is of a run
  --all                 everything";

impl ReplayArgs {
    /// Replays what is selected.
    pub(crate) async fn execute(self) -> Result<Outcome, CommandError> {
        let url = self.deployment.queue()?;
        let is_narrowed = !self.account_name.is_empty() || self.run_id.is_some();
        match (self.all, is_narrowed) {
            (false, false) => return Err(CommandError::Usage(anyhow!(NO_SELECTION))),
            (true, true) => {
                return Err(CommandError::Usage(anyhow!(
                    "--all is everything, and --account-name and --run-id are less (FLEET_ALL, FLEET_ACCOUNT_NAME \
                     and FLEET_RUN_ID say so too); pass one or the other"
                )));
            }
            _ => {}
        }
        let base = aws::base().await;
        let (queue, attributes) = Queue::open(&base, url).await?;
        let dead = dead_letters::of_queue(&queue, &attributes)?;
        let counts = dead_letters::counts(&dead).await?;
        let selection = Selection { accounts: self.account_name, run_id: self.run_id, force: self.force };
        let stop = super::interrupted();
        tokio::pin!(stop);
        let bar = RefCell::new(None);
        let progress = |step| match step {
            Step::Begin(total) => *bar.borrow_mut() = Some(Progress::begin("dead letters replayed", total)),
            Step::More(number) => {
                if let Some(bar) = bar.borrow().as_ref() {
                    bar.add(number);
                }
            }
        };
        let replayed = replay(&queue, &dead, counts, &selection, stop, progress).await?;
        drop(bar);
        let nothing = replayed.letters.is_empty() && !replayed.interrupted;
        let why_nothing = nothing.then(|| text::nothing(&replayed, &selection, dead_letters::name(&dead)));
        match (self.format, &why_nothing) {
            (Format::Json, _) => output::print_json(&as_json(&replayed))?,
            (Format::Text, Some(why)) if self.all => output::print(why)?,
            (Format::Text, None) if !replayed.letters.is_empty() => output::print(&text::render(&replayed))?,
            (Format::Text, _) => {}
        }
        let told = match why_nothing {
            Some(_) if self.all => None,
            Some(why) => Some(why),
            None => text::explain(&replayed),
        };
        match (replayed.problem, told) {
            (None, None) => Ok(Outcome::Done),
            (None, Some(told)) => Err(CommandError::Failed(anyhow!(told))),
            (Some(problem), None) => Err(CommandError::Failed(problem)),
            (Some(problem), Some(told)) => Err(CommandError::Failed(anyhow!("{problem:#}; {told}"))),
        }
    }
}

fn account_name(text: &str) -> Result<AccountName, InvalidAccountName> {
    text.trim().parse()
}

fn as_json(replayed: &Replayed) -> Value {
    let letter = |(letter, fate): &(dead_letters::Letter, Fate)| {
        let labels = &letter.dead.labels;
        let (outcome, why) = match fate {
            Fate::Replayed => ("replayed", None),
            Fate::WornOut => ("refused", Some("replayed too often already; --force replays it")),
            Fate::Left(why) => ("left", Some(why.as_str())),
            Fate::NotDeleted(why) => ("not_deleted", Some(why.as_str())),
        };
        let is_sent = matches!(fate, Fate::Replayed | Fate::NotDeleted(_));
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
