// SPDX-License-Identifier: Apache-2.0
//! `producer failed`: what is in the dead-letter queue, and why.

use std::collections::BTreeMap;

use anyhow::anyhow;
use clap::Args;
use cli::{
    config_file::ConfigFile,
    deployment::{Deployment, open_queue},
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format},
};
use fleet::aws;
use serde_json::{Value, json};

use super::{
    interrupted::{INTERRUPTED_LOOK, interrupted_look},
    selection::SelectionArgs,
};
use crate::dead_letters::{self, Found, Letter, ReadOutcome, selection::Selection, text};

/// Shows the dead letters: which jobs could not be done, and why.
///
/// A job that can't be done goes to the dead-letter queue with its reason; one that was received too
/// often is moved there by SQS and has the reason `max_receives`. SQS can't be looked into: every
/// message is received, hidden from others for as long as that takes, and returned.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct FailedArgs {
    #[command(flatten)]
    selection: SelectionArgs,

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
  producer failed                                # what failed, why, and what to do about it
  producer failed --reason access_denied         # these alone
  producer failed --format json | jq .counts     # how often each reason

What to do next:
  fix what a reason names, then              producer replay --reason CODE
  see the state of the accounts of a run     producer status RUN_ID --failed-only

The table, by run, reason and message; {account} and {account_id} in a message are placeholders:
  DATE        the day that the job was to report; - if the message does not name it
  RECEIVES    how often a worker received the job; - if SQS moved it there
  REPLAYS     how often it was replayed already; after 3, replay needs --force
  FIRST SEEN  when a worker received it first or, if SQS moved it there, when it was sent
  A message that is no job has - for its account, and shows how its body begins.

Needs, on the dead-letter queue: sqs:GetQueueAttributes, sqs:ReceiveMessage and
sqs:ChangeMessageVisibility.

--format json, one object:
  counts (reason: how many), not_selected (how many others there are), in_flight_elsewhere (how many
  another process is reading), and dead_letters: message_id, account_name, dataset, date, run_id,
  failure_reason, failure_message, failure_step, failure_attempts, failure_first_seen,
  failure_worker_version, replay_count, sent_at, body (as it was sent, but for secrets; null above
  64 KiB); null if it is not known.

Exit status: 0 done, whether something failed or not; 1 failed; 2 wrong usage or configuration.";

impl FailedArgs {
    pub(crate) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        self.config.read(&mut faults).await;
        let base = faults.at_start(aws::at_start().await);
        let url = self.deployment.queue(&mut faults);
        let (url, base) = faults.end(url.zip(base))?;
        let (queue, attributes) = open_queue(&base, url).await?;
        let dead = dead_letters::required_queue(&queue, &attributes)?;
        let stop = interrupted_look();
        tokio::pin!(stop);
        let selection = Selection::from(self.selection);
        let letter = match self.format {
            Format::Text => Letter::from_message,
            Format::Json => Letter::with_body,
        };
        let found = match dead_letters::look_now(&dead, stop, letter).await? {
            ReadOutcome::All(found) => found,
            ReadOutcome::Stopped(()) => return Err(CommandError::Failed(anyhow!(INTERRUPTED_LOOK))),
        };
        let selection = selection.resolved(&found.letters).map_err(CommandError::configuration)?;
        let found = found.filtered(&selection);
        match self.format {
            Format::Text => output::print(&text::render(&found, &selection, dead_letters::name(&dead)))?,
            Format::Json => output::print_json(&as_json(&found))?,
        }
        match found.not_released {
            None => Ok(Outcome::Done),
            Some(error) => Err(CommandError::Failed(error)),
        }
    }
}

fn as_json(found: &Found) -> Value {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in &found.letters {
        *counts.entry(letter.dead.reason()).or_default() += 1;
    }
    json!({
        "dead_letters": found.letters.iter().map(entry).collect::<Vec<_>>(),
        "counts": counts,
        "not_selected": found.others.len(),
        "in_flight_elsewhere": found.elsewhere,
    })
}

fn entry(letter: &Letter) -> Value {
    let labels = &letter.dead.labels;
    let failure = letter.dead.cause.as_ref();
    let non_empty = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    json!({
        "message_id": letter.message_id,
        "account_name": labels.account_name,
        "dataset": labels.dataset.map(|dataset| dataset.name),
        "date": labels.date,
        "run_id": labels.run_id,
        "failure_reason": letter.dead.reason(),
        "failure_message": non_empty(failure.map(|failure| &failure.message)),
        "failure_step": non_empty(failure.map(|failure| &failure.step)),
        "failure_attempts": failure.map(|failure| failure.receive_count).filter(|count| *count > 0),
        "failure_first_seen": failure.and_then(|failure| failure.first_seen),
        "failure_worker_version": non_empty(failure.map(|failure| &failure.worker_version)),
        "replay_count": letter.dead.replay_count,
        "sent_at": letter.sent_at,
        "body": letter.body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::tests::letter;

    #[test]
    fn as_json_what_is_not_known_is_null() {
        let mut redriven = letter("web", "r-1", "", "");
        redriven.dead.cause = None;
        redriven.dead.labels = fleet::Labels::default();
        let mut denied = letter("data", "r-1", "access_denied", "denied");
        denied.body = Some("{}".into());
        let others = vec![letter("b", "r-1", "panic", "")];
        let json =
            as_json(&Found { letters: vec![denied, redriven], others, elsewhere: 1, not_released: None });
        assert_eq!(
            json,
            json!({
                "dead_letters": [
                    {
                        "message_id": "data-r-1",
                        "account_name": "data",
                        "dataset": "s3_daily_storage",
                        "date": "2026-11-01",
                        "run_id": "r-1",
                        "failure_reason": "access_denied",
                        "failure_message": "denied",
                        "failure_step": "discover",
                        "failure_attempts": 2,
                        "failure_first_seen": "2026-11-21T10:00:00Z",
                        "failure_worker_version": "0.1.0",
                        "replay_count": 0,
                        "sent_at": "2026-11-21T10:05:00Z",
                        "body": "{}",
                    },
                    {
                        "message_id": "web-r-1",
                        "account_name": null,
                        "dataset": null,
                        "date": null,
                        "run_id": null,
                        "failure_reason": "max_receives",
                        "failure_message": null,
                        "failure_step": null,
                        "failure_attempts": null,
                        "failure_first_seen": null,
                        "failure_worker_version": null,
                        "replay_count": 0,
                        "sent_at": "2026-11-21T10:05:00Z",
                        "body": null,
                    },
                ],
                "counts": {"access_denied": 1, "max_receives": 1},
                "not_selected": 1,
                "in_flight_elsewhere": 1,
            })
        );
    }
}
