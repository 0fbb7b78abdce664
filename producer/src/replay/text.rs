// SPDX-License-Identifier: Apache-2.0
//! The output of a replay, for people.

use std::collections::BTreeMap;

use cli::output::{count, table};
use fleet::RunId;

use super::{ReplayOutcome, Replayed};
use crate::dead_letters::{Letter, MOST_REPLAYS, hidden_hint, one_line, selection::Selection};

/// The maximum number of dead letters named in an error; the table has all of them.
const MOST_NAMES: usize = 20;

/// The table, and what to do next.
pub(crate) fn render(replayed: &Replayed) -> String {
    let rows = replayed.letters.iter().map(|(letter, outcome)| row(letter, outcome));
    let mut text = table(&["ACCOUNT", "DATASET", "REASON", "REPLAYS", "OUTCOME", "RUN"], &[3], rows);
    let sent = sent(replayed);
    text.push_str(&format!("\n\n{} replayed", count(sent, "dead letter")));
    let left = replayed.letters.len() - sent;
    if left > 0 {
        text.push_str(&format!(", {left} left in the dead-letter queue"));
    }
    if replayed.others > 0 {
        text.push_str(&format!(", {} not selected", replayed.others));
    }
    if let Some(hint) = hidden_hint(replayed.elsewhere) {
        text.push_str(&format!("\n{hint}"));
    }
    for run in runs(replayed) {
        text.push_str(&format!("\nNext: producer status {run} --watch"));
    }
    text
}

/// What was asked for but not done, and what to do about it; `None` if all was done.
pub(crate) fn explain(replayed: &Replayed) -> Option<String> {
    if replayed.interrupted && replayed.letters.is_empty() {
        return Some("interrupted; nothing was replayed, and all is back in the dead-letter queue".into());
    }
    let mut parts = Vec::new();
    if replayed.interrupted {
        let left = replayed.letters.len() - sent(replayed);
        parts.push(format!(
            "interrupted: {} replayed, {left} left in the dead-letter queue; the same command replays what is left",
            count(sent(replayed), "dead letter")
        ));
    }
    let of = |wanted: fn(&ReplayOutcome) -> bool| -> Vec<&Letter> {
        replayed.letters.iter().filter(|(_, outcome)| wanted(outcome)).map(|(letter, _)| letter).collect()
    };
    let at_limit = of(|outcome| *outcome == ReplayOutcome::LimitReached);
    if !at_limit.is_empty() {
        parts.push(format!(
            "not replayed, since {MOST_REPLAYS} replays did not help: {}; fix the cause, then add --force",
            names(&at_limit)
        ));
    }
    let failing_again = of(|outcome| *outcome == ReplayOutcome::WouldFailAgain);
    if !failing_again.is_empty() {
        parts.push(format!(
            "not replayed, since they would fail in the same way: {}; `producer failed` says what to do, and --force \
             replays them anyway",
            names(&failing_again)
        ));
    }
    // The message of the interruption already covers these.
    let mut left: BTreeMap<&str, Vec<&Letter>> = BTreeMap::new();
    for (letter, outcome) in &replayed.letters {
        if let ReplayOutcome::NotReplayed(why) = outcome
            && !(replayed.interrupted && why == "not tried")
        {
            left.entry(why).or_default().push(letter);
        }
    }
    for (why, letters) in left {
        parts.push(format!("left in the dead-letter queue ({}): {}", one_line(why), names(&letters)));
    }
    let not_deleted = of(|outcome| matches!(outcome, ReplayOutcome::NotDeleted(_)));
    if !not_deleted.is_empty() {
        parts.push(format!(
            "replayed, but also still in the dead-letter queue, since they could not be deleted: {}; another replay \
             duplicates them, which is harmless",
            names(&not_deleted)
        ));
    }
    if !replayed.unmatched.is_empty() && !replayed.interrupted {
        let unmatched: Vec<&str> = replayed.unmatched.iter().map(fleet::AccountName::as_str).collect();
        parts.push(format!(
            "no matching dead letter of {}; `producer failed` shows what there is",
            unmatched.join(", ")
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The message if nothing was selected.
pub(crate) fn nothing(replayed: &Replayed, selection: &Selection, queue: &str) -> String {
    if replayed.others == 0 {
        let all = match replayed.elsewhere {
            0 => return format!("nothing to replay: the dead-letter queue {queue} is empty"),
            1 => format!("the 1 dead letter of {queue} is"),
            more => format!("all {more} dead letters of {queue} are"),
        };
        return format!(
            "nothing replayed: {all} hidden, by another failed, status or replay, or by one that was killed \
             within the last minute; run it again in a minute"
        );
    }
    let wanted = selection.words().unwrap_or_else(|| "selected".into());
    let others = count(replayed.others, "dead letter");
    match hidden_hint(replayed.elsewhere) {
        Some(hint) => format!("{queue} has {others} visible, none {wanted}; {hint}"),
        None => format!("{queue} has {others}, none {wanted}; `producer failed` shows what there is"),
    }
}

/// How many are on the work queue.
pub(crate) fn sent(replayed: &Replayed) -> usize {
    let is_sent =
        |outcome: &ReplayOutcome| matches!(outcome, ReplayOutcome::Replayed | ReplayOutcome::NotDeleted(_));
    replayed.letters.iter().filter(|(_, outcome)| is_sent(outcome)).count()
}

fn row(letter: &Letter, outcome: &ReplayOutcome) -> Vec<String> {
    let labels = &letter.dead.labels;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let is_sent = matches!(outcome, ReplayOutcome::Replayed | ReplayOutcome::NotDeleted(_));
    vec![
        or_dash(labels.account_name.as_ref().map(ToString::to_string)),
        or_dash(labels.dataset.map(|dataset| dataset.name.to_owned())),
        one_line(letter.dead.reason()),
        letter.dead.replay_count.saturating_add(u32::from(is_sent)).to_string(),
        match outcome {
            ReplayOutcome::Replayed => "replayed".into(),
            ReplayOutcome::LimitReached | ReplayOutcome::WouldFailAgain => "refused".into(),
            ReplayOutcome::NotReplayed(_) => "left".into(),
            ReplayOutcome::NotDeleted(_) => "replayed, not deleted".into(),
        },
        or_dash(labels.run_id.as_ref().map(ToString::to_string)),
    ]
}

/// The runs to follow, if they are few.
fn runs(replayed: &Replayed) -> Vec<&RunId> {
    let mut runs: Vec<&RunId> = Vec::new();
    for (letter, outcome) in &replayed.letters {
        if let (Some(run), ReplayOutcome::Replayed | ReplayOutcome::NotDeleted(_)) =
            (&letter.dead.labels.run_id, outcome)
            && run.is_generated()
            && !runs.contains(&run)
        {
            runs.push(run);
        }
    }
    if runs.len() > 3 { Vec::new() } else { runs }
}

/// The accounts of dead letters, or the message IDs of those without an account.
fn names(letters: &[&Letter]) -> String {
    let name = |letter: &&Letter| match &letter.dead.labels.account_name {
        Some(name) => name.to_string(),
        None => format!("message {}", letter.message_id),
    };
    let mut names: Vec<String> = letters.iter().take(MOST_NAMES).map(name).collect();
    if letters.len() > MOST_NAMES {
        names.push(format!("and {} more", letters.len() - MOST_NAMES));
    }
    names.join(", ")
}
