// SPDX-License-Identifier: Apache-2.0
//! The status of a run as text: a table, a summary line, and what to do next.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use cli::{
    output::{self, count, dollars, table},
    terminal,
};
use fleet::{Reason, datasets};
use requests::{attributes, todo::moment};

use super::{
    RunStatus, Totals,
    account::{AccountStatus, State, missing_rows},
};
use crate::dead_letters::{
    one_line,
    text::{MOST_NAMES, REPLAY_FAILS_AGAIN, advice, is_to_replay},
};

/// The maximum number of accounts whose messages are shown, for each reason.
const MOST_SHOWN: usize = 20;

/// The place of the column with the windows, in a run that has some.
const WINDOWS: usize = 4;

/// The whole text. The table has all accounts, or only those that need attention.
pub(crate) fn render(status: &RunStatus, failed_only: bool) -> String {
    let mut text = String::new();
    let shown = |account: &&AccountStatus| !failed_only || account.needs_attention(status.wants_settled);
    let mut rows: Vec<Vec<String>> = status.accounts.iter().filter(shown).map(row).collect();
    if !rows.is_empty() {
        let mut header = vec!["ACCOUNT", "DATASET", "STATE", "VALUES", "ROWS", "LATE", "CALLS", "COST"];
        let has_windows = status.accounts.iter().any(|account| account.windows.is_some());
        if has_windows {
            header.insert(WINDOWS, "WINDOWS");
            let shown = status.accounts.iter().filter(shown);
            for (row, account) in rows.iter_mut().zip(shown) {
                let windows = account.windows.as_ref();
                let windows = windows.map(|windows| format!("{}/{}", windows.complete, windows.total));
                row.insert(WINDOWS, windows.unwrap_or_else(|| "-".to_owned()));
            }
        }
        if rows.iter().any(|row| row.last().is_some_and(|why| !why.is_empty())) {
            header.push("WHY");
        }
        for row in &mut rows {
            row.truncate(header.len());
        }
        let numbers = if has_windows { &[4, 5, 6, 7, 8][..] } else { &[4, 5, 6, 7] };
        text = table(&header, numbers, rows);
        text.push_str("\n\n");
    }
    text.push_str(&summary(status));
    text.push_str(&totals(&status.totals));
    text.push_str(&hidden(status));
    text.push_str(&hints(status));
    text.push_str(&others(status));
    text
}

/// The same text with the state of each account in colour.
pub(crate) fn painted(text: &str) -> String {
    output::paint(text, "STATE", |word| match word {
        word if word == State::Complete.word() => terminal::GOOD,
        word if [State::Failed, State::Missing].map(State::word).contains(&word) => terminal::BAD,
        _ => terminal::OPEN,
    })
}

/// One line with the counts.
pub(crate) fn summary(status: &RunStatus) -> String {
    let counts = &status.counts;
    let mut text = format!("run {} for {}: {} complete", status.run_id, status.when, counts.complete);
    let of_complete = [(counts.provisional, "provisional"), (counts.late, "late")];
    let of_complete: Vec<String> = of_complete
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if !of_complete.is_empty() {
        // Cannot fail: writing to a String does not.
        let _ = write!(text, " ({})", of_complete.join(", "));
    }
    for (number, word) in [
        (counts.partial, State::Partial),
        (counts.failed, State::Failed),
        (counts.in_progress, State::InProgress),
        (counts.missing, State::Missing),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {}", word.word());
        }
    }
    text
}

/// What accounts in progress wait for: waiting jobs are counted apart from those in flight.
pub(crate) fn queue(status: &RunStatus) -> Option<String> {
    let queue = status.queue.filter(|_| status.counts.in_progress > 0)?;
    let mut text = format!("queue: {} waiting, {} in flight", queue.waiting, queue.in_flight);
    if let Some(seconds) = queue.untaken_for {
        let time = humantime::format_duration(Duration::from_secs(seconds));
        // Cannot fail: writing to a String does not.
        let _ = write!(text, "; no worker is known to have had a job for {time}");
    }
    Some(text)
}

/// The totals over the reports, on a line of their own.
fn totals(totals: &Totals) -> String {
    let rows = count(totals.rows.try_into().unwrap_or(usize::MAX), "row");
    let size = match (totals.bytes, totals.objects) {
        _ if !totals.measures_bytes => String::new(),
        (Some(bytes), Some(objects)) => {
            format!(
                ", {} in {}",
                output::size(bytes),
                count(objects.try_into().unwrap_or(usize::MAX), "object")
            )
        }
        _ => ", bytes and objects unknown, as a report of an earlier version has no such figures".to_owned(),
    };
    format!("\ntotal: {rows}{size}, {}", dollars(totals.estimated_cost_usd))
}

/// The cause in short, for the table; the full message is printed below it.
fn why(account: &AccountStatus) -> String {
    let rows = account.report.as_ref().map(|report| missing_rows(report.rows_denied, report.rows_error));
    match (account.state, &account.failure_reason, rows) {
        (State::Failed, Some(reason), _) => one_line(reason),
        (State::Partial, _, Some(rows)) if !rows.is_empty() => rows.join(", "),
        _ => account.detail.clone().unwrap_or_default(),
    }
}

fn row(account: &AccountStatus) -> Vec<String> {
    let figure = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string());
    let report = account.report.as_ref();
    vec![
        account.account_name.to_string(),
        account.dataset.clone(),
        account.state.word().to_owned(),
        match (account.state, report) {
            (State::Complete, Some(report)) if report.settled => "settled".to_owned(),
            (State::Complete, Some(_)) => "provisional".to_owned(),
            _ => "-".to_owned(),
        },
        figure(report.map(|report| report.rows)),
        figure(report.map(|report| report.rows_late)),
        figure(report.map(|report| report.api_calls)),
        report.map_or_else(|| "-".to_owned(), |report| dollars(report.estimated_cost_usd)),
        why(account),
    ]
}

/// A note that dead letters in flight elsewhere may belong to undecided accounts.
fn hidden(status: &RunStatus) -> String {
    let accounts = match (status.counts.in_progress > 0, status.counts.missing > 0) {
        (false, false) => return String::new(),
        (true, false) => "accounts in progress",
        (false, true) => "missing accounts",
        (true, true) => "accounts in progress or missing",
    };
    let letters = match status.dead_elsewhere {
        0 => return String::new(),
        1 => "1 dead letter".to_owned(),
        more => format!("{more} dead letters"),
    };
    format!(
        "\n{letters} can't be seen now (another command is reading them, or was a minute ago); some of the {accounts} may \
         have failed; look again in a minute"
    )
}

/// What to do next, for each problem.
fn hints(status: &RunStatus) -> String {
    let mut text = String::new();
    let counts = &status.counts;
    if let Some(queue) = queue(status) {
        text.push_str(&format!("\n{queue}"));
        if status.queue.is_some_and(|queue| queue.untaken_for.is_some()) {
            text.push_str(
                "\nStart a worker (`worker run`), or find out why the workers' service starts none.",
            );
        }
    }
    if counts.in_progress > 0 {
        text.push_str("\nTo follow it to the end:");
        text.push_str(&format!("\n  producer status {} --watch", status.run_id));
    }
    text.push_str(&failures(status));
    if counts.missing > 0 {
        text.push_str(
            "\nThe workers' logs say why an account is missing; they must have the producer's key template.",
        );
        if status.dead_unreadable {
            text.push_str("\nCheck first: the dead-letter queue could not be read, so these may have failed");
        }
        let missing = count(counts.missing, "missing job");
        text.push_str(&again(status, &format!("To send the {missing} again"), is_missing));
    }
    if counts.partial > 0 {
        text.push_str(&format!("\n{} partial:", count(counts.partial, "account")));
        let partial: Vec<&AccountStatus> =
            status.accounts.iter().filter(|account| is_partial(account)).collect();
        text.push_str(&messages(&partial, &format!("producer status {} --format json", status.run_id)));
        text.push_str("\nTo see what an account does not allow:");
        text.push_str(&format!("\n  worker check{}", account_flag(status, is_partial).unwrap_or_default()));
        text.push_str(&again(status, "To collect it again after that", is_partial));
    }
    text.push_str(&to_settle(status));
    let left_out: Vec<String> = not_copyable(status).collect();
    if text.contains("--only-incomplete") && !left_out.is_empty() {
        text.push_str(&format!(
            "\nAlso repeat these attributes of the first request, which don't fit into a command: {}.",
            left_out.join(", ")
        ));
    }
    text
}

/// How to settle provisional reports.
fn to_settle(status: &RunStatus) -> String {
    let provisional = status.accounts.iter().filter(|account| account.is_provisional());
    let settle_times =
        provisional.filter_map(|account| account.report.as_ref()).map(|report| report.settles_at);
    let Some(settles_at) = settle_times.max() else { return String::new() };
    let from = if settles_at > status.now {
        format!(", from {} on, when CloudWatch has published the day", moment(settles_at))
    } else {
        String::new()
    };
    let reports = count(status.counts.provisional, "provisional report");
    again(status, &format!("To settle the {reports}{from}"), AccountStatus::is_provisional)
}

/// The command that sends these accounts' jobs again, below a line with its purpose.
fn again(status: &RunStatus, purpose: &str, wanted: fn(&AccountStatus) -> bool) -> String {
    let names = account_flag(status, wanted);
    let accounts = match &names {
        Some(_) => "",
        // Without names the command uses the default accounts. The manifest does not say whether the run
        // did.
        None => ", with the accounts of the first request if it named any",
    };
    let mut text = format!(
        "\n{purpose}{accounts}:\n  producer run --only-incomplete{}{}{}",
        status.when_flags,
        names.unwrap_or_default(),
        dataset_flag(status, wanted)
    );
    for flag in status.attributes.iter().filter_map(|(name, value)| attributes::to_copy(name, value)) {
        text.push_str(&format!(" {flag}"));
    }
    text
}

/// The attributes that can't be set by a flag to copy.
fn not_copyable(status: &RunStatus) -> impl Iterator<Item = String> {
    let lost = status.attributes.iter().filter(|(name, value)| attributes::to_copy(name, value).is_none());
    lost.map(|(name, _)| one_line(name))
}

/// For each failure reason: the accounts' messages, what to do, and the command that sends their jobs
/// again.
fn failures(status: &RunStatus) -> String {
    let mut reasons: BTreeMap<&str, Vec<&AccountStatus>> = BTreeMap::new();
    for account in &status.accounts {
        if let Some(reason) = &account.failure_reason {
            reasons.entry(reason).or_default().push(account);
        }
    }
    let is_one = reasons.len() == 1;
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, accounts)| std::cmp::Reverse(accounts.len()));
    let mut text = String::new();
    for (reason, accounts) in reasons {
        text.push_str(&format!("\n{} failed, {}:", count(accounts.len(), "account"), one_line(reason)));
        text.push_str(&messages(&accounts, &format!("producer failed --run-id {}", status.run_id)));
        text.push_str(&format!("\nTo fix it: {}", advice(reason)));
        if !is_to_replay(reason) {
            text.push_str(&format!("\n  {REPLAY_FAILS_AGAIN}"));
            continue;
        }
        text.push_str(&format!("\n  producer replay --run-id {}", status.run_id));
        let mut names: Vec<&str> = accounts.iter().map(|account| account.account_name.as_str()).collect();
        names.dedup();
        if is_one {
            continue;
        }
        if names.len() <= MOST_NAMES {
            text.push_str(&format!(" --account-name {}", names.join(",")));
        } else if Reason::from_code(reason).is_some() {
            text.push_str(&format!(" --reason {reason}"));
        }
    }
    text
}

/// The message of each account on a line of its own. `more` is the command that shows the rest of many.
fn messages(accounts: &[&AccountStatus], more: &str) -> String {
    let mut text = String::new();
    for account in accounts.iter().take(MOST_SHOWN) {
        let dataset = match account.dataset.as_str() {
            dataset if dataset == datasets::DEFAULT.name => String::new(),
            dataset => format!(" {dataset}"),
        };
        let message = account.one_line_message.as_deref().unwrap_or("no details are known");
        text.push_str(&format!("\n  {}{dataset}: {message}", account.account_name));
    }
    if accounts.len() > MOST_SHOWN {
        text.push_str(&format!("\n  and {} more; {more}", accounts.len() - MOST_SHOWN));
    }
    text
}

/// A note on dead letters that belong to no failed account of this run.
fn others(status: &RunStatus) -> String {
    let mut text = String::new();
    let all = status.counts.other_dead_letters.unwrap_or_default();
    let of_complete = status.dead_and_complete.min(all);
    let mut parts = Vec::new();
    if all > of_complete {
        parts.push(format!("{} of other runs or without a run", count(all - of_complete, "dead letter")));
    }
    if of_complete > 0 {
        let noun = count(of_complete, "dead letter");
        parts.push(format!("{noun} of this run's accounts that did not fail in the end"));
    }
    if !parts.is_empty() {
        text.push_str(&format!("\n{}; `producer failed` shows them.", parts.join(", ")));
    }
    text
}

fn is_missing(account: &AccountStatus) -> bool {
    account.state == State::Missing
}

fn is_partial(account: &AccountStatus) -> bool {
    account.state == State::Partial
}

/// The flag that names these accounts; `None` if there are too many.
fn account_flag(status: &RunStatus, wanted: fn(&AccountStatus) -> bool) -> Option<String> {
    let accounts = status.accounts.iter().filter(|account| wanted(account));
    let mut names: Vec<&str> = accounts.map(|account| account.account_name.as_str()).collect();
    // An account's datasets are adjacent.
    names.dedup();
    (names.len() <= MOST_NAMES).then(|| format!(" --account-name {}", names.join(",")))
}

/// The flag that names the datasets of these accounts; empty if they are all the default.
fn dataset_flag(status: &RunStatus, wanted: fn(&AccountStatus) -> bool) -> String {
    let accounts = status.accounts.iter().filter(|account| wanted(account));
    let names: BTreeSet<&str> = accounts.map(|account| account.dataset.as_str()).collect();
    if names.iter().all(|name| *name == datasets::DEFAULT.name) {
        return String::new();
    }
    format!(" --dataset {}", names.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests;
