// SPDX-License-Identifier: Apache-2.0
//! The dead letters as text, grouped by run, reason and message: each message once, and for each reason
//! what to do and the command for it.

use std::collections::{BTreeMap, BTreeSet};

use cli::output::{count, table};
use fleet::{AccountName, Reason, RunId};

use super::{Found, Letter, hidden_hint, one_line, selection::Selection};

/// The maximum number of accounts named in a command to copy.
pub(crate) const MOST_NAMES: usize = 20;

/// Advice for dead letters that a replay can't help.
pub(crate) const REPLAY_FAILS_AGAIN: &str = "a replay would fail in the same way: they expire with the queue's retention; to remove \
                                     them earlier, delete them (aws sqs receive-message, delete-message)";

/// The whole text. `queue` is the name of the dead-letter queue.
pub(crate) fn render(found: &Found, selection: &Selection, queue: &str) -> String {
    let hint = hidden_hint(found.elsewhere);
    if found.letters.is_empty() {
        return match (hint, selection.words()) {
            (None, Some(words)) if !found.others.is_empty() => {
                format!("{queue} has {}, none {words}", count(found.others.len(), "dead letter"))
            }
            (None, _) => format!("nothing has failed: the dead-letter queue {queue} is empty"),
            (Some(hint), None) => format!("no dead letter is visible in {queue} now; {hint}"),
            (Some(hint), Some(words)) => {
                format!("no dead letter {words} is visible in {queue} now; {hint}")
            }
        };
    }
    let mut text = tables(&found.letters);
    for (reason, letters) in by_reason(&found.letters) {
        text.push('\n');
        text.push_str(&what_to_do(reason, &letters, found));
    }
    text.push_str(&format!("\n{} in {queue}", count(found.letters.len(), "dead letter")));
    match (selection.words(), found.others.len()) {
        (Some(words), others) => text.push_str(&format!(" {words}, and {others} not shown.")),
        (None, _) => {
            text.push('.');
            if found.letters.iter().all(|letter| is_to_replay(letter.dead.reason())) {
                text.push_str(" To replay all, once everything is fixed:\n  producer replay --all");
            }
        }
    }
    if let Some(hint) = hint {
        text.push_str(&format!("\n{hint}"));
    }
    text
}

/// The letters of each run, in order of the run's first letter.
type Runs<'a> = Vec<(Option<&'a RunId>, Vec<Cause<'a>>)>;

/// Letters of one run with the same reason and message.
struct Cause<'a> {
    reason: &'a str,
    /// The message with its account-specific parts replaced.
    pattern: String,
    letters: Vec<&'a Letter>,
}

/// One table, split by run and cause.
fn tables(letters: &[Letter]) -> String {
    let runs = by_run(letters);
    let header = ["ACCOUNT", "DATASET", "DATE", "STEP", "RECEIVES", "REPLAYS", "FIRST SEEN"];
    let in_order = runs.iter().flat_map(|(_, causes)| causes).flat_map(|cause| &cause.letters);
    // Formatted as one table, so that the columns of all runs line up.
    let whole = table(&header, &[4, 5], in_order.map(|letter| row(letter)));
    let mut lines = whole.lines();
    let header = lines.next().unwrap_or_default();
    let mut text = String::new();
    for (run, causes) in &runs {
        match run {
            Some(run) => text.push_str(&format!("run {run}\n    {header}\n")),
            None => text.push_str(&format!("no run\n    {header}\n")),
        }
        for cause in causes {
            text.push_str(&format!("  {}\n", cause.title()));
            for letter in &cause.letters {
                text.push_str(&format!("    {}\n", lines.next().unwrap_or_default()));
                match letter.beginning.as_deref() {
                    None => {}
                    Some("") => text.push_str("      the body is blank\n"),
                    Some(body) => text.push_str(&format!("      the body begins: {body}\n")),
                }
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

#[expect(clippy::indexing_slicing, reason = "cannot fail: the place was found, or made, just before")]
fn by_run(letters: &[Letter]) -> Runs<'_> {
    let mut runs: Runs<'_> = Vec::new();
    for letter in letters {
        let run = letter.dead.labels.run_id.as_ref();
        let index = runs.iter().position(|(known, _)| *known == run).unwrap_or_else(|| {
            runs.push((run, Vec::new()));
            runs.len() - 1
        });
        let causes = &mut runs[index].1;
        let (reason, pattern) = (letter.dead.reason(), pattern(letter));
        match causes.iter_mut().find(|cause| cause.reason == reason && cause.pattern == pattern) {
            Some(cause) => cause.letters.push(letter),
            None => causes.push(Cause { reason, pattern, letters: vec![letter] }),
        }
    }
    runs
}

impl Cause<'_> {
    fn title(&self) -> String {
        let messages: BTreeSet<String> = self.letters.iter().map(|letter| letter.message()).collect();
        let mut messages = messages.into_iter();
        let message = match (messages.next(), messages.next()) {
            (Some(message), None) => message,
            _ => self.pattern.clone(),
        };
        let reason = one_line(self.reason);
        if message.is_empty() { reason } else { format!("{reason}: {message}") }
    }
}

/// A letter's message with `{account}` in place of its account's name, variable names included, and
/// `{account_id}` in place of IDs. The pattern is the same for all accounts with the same failure.
fn pattern(letter: &Letter) -> String {
    let message = letter.message();
    let name = letter.dead.labels.account_name.as_ref().map(AccountName::as_str);
    let as_variable = name.map(|name| name.replace('-', "_") + "_account_");
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut pattern = String::new();
    let mut rest = message.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_of_word(c) != is_of_word(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        let variable = as_variable.as_deref().and_then(|variable| word.strip_prefix(variable));
        if Some(word) == name {
            pattern.push_str("{account}");
        } else if let Some(rest) = variable {
            pattern.push_str("{account}_account_");
            pattern.push_str(rest);
        } else if word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            pattern.push_str("{account_id}");
        } else {
            pattern.push_str(word);
        }
    }
    pattern
}

fn row(letter: &Letter) -> Vec<String> {
    let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into());
    let labels = &letter.dead.labels;
    let failure = letter.dead.cause.as_ref();
    // A message moved by SQS has no recorded failure; the time its job was sent is the best
    // approximation.
    let first_seen = failure.and_then(|failure| failure.first_seen).or(letter.sent_at);
    vec![
        or_dash(labels.account_name.as_ref().map(ToString::to_string)),
        or_dash(labels.dataset.map(|dataset| dataset.name.to_owned())),
        or_dash(labels.date.map(|date| date.to_string())),
        or_dash(failure.map(|failure| one_line(&failure.step))),
        or_dash(
            failure
                .filter(|failure| failure.receive_count > 0)
                .map(|failure| failure.receive_count.to_string()),
        ),
        letter.dead.replay_count.to_string(),
        or_dash(first_seen.map(|moment| moment.format("%Y-%m-%d %H:%MZ").to_string())),
    ]
}

/// The letters grouped by reason, the most frequent reason first.
fn by_reason(letters: &[Letter]) -> Vec<(&str, Vec<&Letter>)> {
    let mut reasons: BTreeMap<&str, Vec<&Letter>> = BTreeMap::new();
    for letter in letters {
        reasons.entry(letter.dead.reason()).or_default().push(letter);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, letters)| std::cmp::Reverse(letters.len()));
    reasons
}

/// Whether a replay can succeed once the cause is fixed.
pub(crate) fn is_to_replay(reason: &str) -> bool {
    !matches!(
        Reason::from_code(reason),
        Some(Reason::BadMessage | Reason::OverBudget | Reason::TooOld | Reason::Superseded)
    )
}

/// One sentence on what to do about a reason.
pub(crate) fn advice(reason: &str) -> &'static str {
    Reason::from_code(reason).map_or("a reason of another version; see its message", Reason::advice)
}

fn what_to_do(reason: &str, letters: &[&Letter], found: &Found) -> String {
    let mut text = format!("{} {}: {}\n", letters.len(), one_line(reason), advice(reason));
    if !is_to_replay(reason) {
        text.push_str(&format!("  {REPLAY_FAILS_AGAIN}\n"));
        return text;
    }
    match selection(reason, letters, found) {
        Some(flags) => text.push_str(&format!("  producer replay{flags}\n")),
        None => text.push_str("  no flag of this version selects exactly these\n"),
    }
    let at_limit = letters.iter().filter(|letter| letter.reached_replay_limit()).count();
    if at_limit > 0 {
        let most = super::MOST_REPLAYS;
        let (was, is, it) = if at_limit == 1 { ("was", "is", "it") } else { ("were", "are", "them") };
        text.push_str(&format!(
            "  {at_limit} of them {was} already replayed {most} times and {is} skipped; --force includes {it}\n"
        ));
    }
    text
}

/// The flags that select exactly these letters. Prefers what is shortest to read; a reason, which must
/// be one of this version, comes last.
fn selection(reason: &str, letters: &[&Letter], found: &Found) -> Option<String> {
    let runs: BTreeSet<Option<&str>> = letters.iter().map(|letter| run(letter)).collect();
    let one_run = match runs.iter().next() {
        Some(Some(run)) if runs.len() == 1 => Some(*run),
        _ => None,
    };
    let names: Option<BTreeSet<&str>> = letters.iter().map(|letter| name(letter)).collect();
    let names = names.filter(|names| names.len() <= MOST_NAMES);
    let known = Reason::from_code(reason).map(|_| reason);
    let candidates = [
        (one_run.is_some(), None, None),
        (true, names.as_ref(), None),
        (known.is_some() && names.is_none(), None, known),
        (known.is_some(), names.as_ref(), known),
    ];
    let all = || found.letters.iter().chain(&found.others);
    let (_, names, reason) = candidates.into_iter().find(|(is_possible, names, reason)| {
        let matches = |letter: &&Letter| {
            one_run.is_none_or(|one| run(letter) == Some(one))
                && names.is_none_or(|names| name(letter).is_some_and(|name| names.contains(name)))
                && reason.is_none_or(|reason| letter.dead.reason() == reason)
        };
        let is_filter = one_run.is_some() || names.is_some() || reason.is_some();
        *is_possible && is_filter && all().filter(matches).count() == letters.len()
    })?;
    let mut flags = String::new();
    if let Some(reason) = reason {
        flags.push_str(&format!(" --reason {reason}"));
    }
    if let Some(run) = one_run {
        flags.push_str(&format!(" --run-id {run}"));
    }
    if let Some(names) = names {
        flags.push_str(&format!(" --account-name {}", names.iter().copied().collect::<Vec<_>>().join(",")));
    }
    Some(flags)
}

fn run(letter: &Letter) -> Option<&str> {
    letter.dead.labels.run_id.as_ref().map(RunId::as_str)
}

fn name(letter: &Letter) -> Option<&str> {
    letter.dead.labels.account_name.as_ref().map(AccountName::as_str)
}

#[cfg(test)]
mod tests;
