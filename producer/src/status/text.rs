//! How a run stands, for people: a table, a line that counts, and what to do next.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use fleet::{
    datasets,
    output::{count, dollars, table},
};

use super::{AccountStatus, RunStatus, State};
use crate::dead_letters::{
    one_line,
    text::{advice, is_to_replay},
};

/// The most accounts that are named in a command to copy.
const MOST_NAMES: usize = 20;

/// What stands for more of them: those of the first request do, since no complete one is sent again.
const MANY: &str = "…";

/// The whole text; the table has all accounts, or those alone that are to be mended.
pub(crate) fn render(status: &RunStatus, failed_only: bool) -> String {
    let mut text = String::new();
    let shown = |account: &&AccountStatus| !failed_only || account.state.is_failed();
    let mut rows: Vec<Vec<String>> = status.accounts.iter().filter(shown).map(row).collect();
    if !rows.is_empty() {
        let mut header = vec!["ACCOUNT", "DATASET", "STATE", "ROWS", "LATE", "CALLS", "COST"];
        if rows.iter().any(|row| row.last().is_some_and(|why| !why.is_empty())) {
            header.push("WHY");
        }
        for row in &mut rows {
            row.truncate(header.len());
        }
        text = table(&header, &[3, 4, 5, 6], rows);
        text.push_str("\n\n");
    }
    text.push_str(&summary(status));
    text.push_str(&hints(status));
    text.push_str(&others(status));
    text
}

/// One line that counts.
pub(crate) fn summary(status: &RunStatus) -> String {
    let counts = &status.counts;
    let mut text = format!("run {} for {}: {} complete", status.run_id, status.date, counts.complete);
    if counts.late > 0 {
        // Cannot fail: writing to a String does not.
        let _ = write!(text, " ({} with late rows)", counts.late);
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

fn row(account: &AccountStatus) -> Vec<String> {
    let figure = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string());
    let report = account.report.as_ref();
    vec![
        account.account_name.to_string(),
        account.dataset.clone(),
        account.state.word().to_owned(),
        figure(report.map(|report| report.rows)),
        figure(report.map(|report| report.rows_late)),
        figure(report.map(|report| report.api_calls)),
        report.map_or_else(|| "-".to_owned(), |report| dollars(report.estimated_cost_usd)),
        account.detail.clone().unwrap_or_default(),
    ]
}

/// What to do next, for each thing that is not as it should be.
fn hints(status: &RunStatus) -> String {
    let again = |wanted: fn(&AccountStatus) -> bool| {
        format!(
            "\n  producer run --only-incomplete --date {}{}{}",
            status.date,
            account_flag(status, wanted),
            dataset_flag(status, wanted)
        )
    };
    let mut text = String::new();
    let counts = &status.counts;
    if counts.in_progress > 0 {
        text.push_str("\nTo follow it to the end:");
        text.push_str(&format!("\n  producer status {} --watch", status.run_id));
    }
    text.push_str(&failures(status));
    if counts.missing > 0 {
        text.push_str(
            "\nThe workers' logs say why an account is missing; they must have the producer's key template.",
        );
        text.push_str(&format!("\nTo send the {} again:", count(counts.missing, "missing job")));
        text.push_str(&again(is_missing));
    }
    if counts.partial > 0 {
        text.push_str("\nTo see what an account does not allow, and to collect it again after that:");
        text.push_str(&format!("\n  worker check{}", account_flag(status, is_partial)));
        text.push_str(&again(is_partial));
    }
    if counts.late > 0 {
        text.push_str(
            "\nTo complete the late rows, once CloudWatch has published the day, one to two days late:",
        );
        text.push_str(&again(AccountStatus::is_late));
    }
    if text.contains("--only-incomplete") {
        let left_out = match (text.contains(MANY), status.has_attributes) {
            (false, false) => return text,
            (true, false) => "accounts",
            (false, true) => "attributes",
            (true, true) => "accounts and attributes",
        };
        text.push_str(&format!("\nGive the {left_out} of the first request again."));
    }
    text
}

/// For each reason that jobs were given up for: what to do, and the command that sends them again.
fn failures(status: &RunStatus) -> String {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for account in &status.accounts {
        if let Some(reason) = &account.failure_reason {
            reasons.entry(reason).or_default().push(account.account_name.as_str());
        }
    }
    let is_one = reasons.len() == 1;
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    let mut text = String::new();
    for (reason, mut names) in reasons {
        text.push_str(&format!(
            "\n{} failed, {}: {}",
            count(names.len(), "account"),
            one_line(reason),
            advice(reason)
        ));
        if !is_to_replay(reason) {
            continue;
        }
        text.push_str(&format!("\n  producer replay --run-id {}", status.run_id));
        names.dedup();
        if !is_one && names.len() <= MOST_NAMES {
            text.push_str(&format!(" --account-name {}", names.join(",")));
        }
    }
    text
}

/// The dead letters that are of no account that failed in this run.
fn others(status: &RunStatus) -> String {
    let mut text = String::new();
    if status.dead_elsewhere > 0 && status.counts.missing > 0 {
        let (number, are, were) = match status.dead_elsewhere {
            1 => ("1 dead letter".to_owned(), "is", "was"),
            more => (format!("{more} dead letters"), "are", "were"),
        };
        text.push_str(&format!(
            "\n{number} {are} being looked at by somebody else, or {were} a minute ago; look again in a minute."
        ));
    }
    let all = status.counts.other_dead_letters.unwrap_or_default();
    let of_complete = status.dead_and_complete.min(all);
    let mut parts = Vec::new();
    if all > of_complete {
        parts.push(format!("{} of other runs or of none", count(all - of_complete, "dead letter")));
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

/// The flag that names these accounts.
fn account_flag(status: &RunStatus, wanted: fn(&AccountStatus) -> bool) -> String {
    let accounts = status.accounts.iter().filter(|account| wanted(account));
    let mut names: Vec<&str> = accounts.map(|account| account.account_name.as_str()).collect();
    // An account's datasets stand beside each other.
    names.dedup();
    let names = if names.len() > MOST_NAMES { MANY.to_owned() } else { names.join(",") };
    format!(" --account-name {names}")
}

/// The flag that names the datasets of these accounts, where it is needed.
fn dataset_flag(status: &RunStatus, wanted: fn(&AccountStatus) -> bool) -> String {
    let accounts = status.accounts.iter().filter(|account| wanted(account));
    let names: BTreeSet<&str> = accounts.map(|account| account.dataset.as_str()).collect();
    if names.iter().all(|name| *name == datasets::DEFAULT.name) {
        return String::new();
    }
    format!(" --dataset {}", names.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use fleet::{RunId, report::ReportStatus};

    use super::*;
    use crate::{
        dead_letters::tests::letter,
        reports::Standing,
        status::{
            Dead,
            tests::{complete, manifest, standing},
        },
    };

    #[test]
    fn a_run_in_every_state() {
        let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
        let mut late = complete("data", &run);
        late.rows_late = 3;
        let mut partial = complete("opra-dev", &run);
        partial.status = ReportStatus::Partial;
        partial.rows_error = 1;
        partial.first_error = Some("eu-west-1: Throttling".into());
        let manifest = manifest(&run, &["data", "opra-dev", "lost"]);
        let standings = [standing(late), standing(partial), Standing::Absent];
        insta::assert_snapshot!(render(&RunStatus::of(&manifest, &standings, true, &Dead::NotSeen), false), @r"
        ACCOUNT   DATASET           STATE     ROWS  LATE  CALLS     COST  WHY
        data      s3_daily_storage  complete   200     3     14  $0.0580
        opra-dev  s3_daily_storage  partial    200     0     14  $0.0580  1 row with errors; eu-west-1: Throttling
        lost      s3_daily_storage  missing      -     -      -        -  no report, and no job left on the queue

        run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete (1 with late rows), 1 partial, 1 missing
        The workers' logs say why an account is missing; they must have the producer's key template.
        To send the 1 missing job again:
          producer run --only-incomplete --date 2026-11-01 --account-name lost
        To see what an account does not allow, and to collect it again after that:
          worker check --account-name opra-dev
          producer run --only-incomplete --date 2026-11-01 --account-name opra-dev
        To complete the late rows, once CloudWatch has published the day, one to two days late:
          producer run --only-incomplete --date 2026-11-01 --account-name data
        ");
        insta::assert_snapshot!(render(&RunStatus::of(&manifest, &standings, false, &Dead::NotSeen), true), @r"
        ACCOUNT   DATASET           STATE    ROWS  LATE  CALLS     COST  WHY
        opra-dev  s3_daily_storage  partial   200     0     14  $0.0580  1 row with errors; eu-west-1: Throttling

        run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete (1 with late rows), 1 partial, 1 in progress
        To follow it to the end:
          producer status 019a0000-0000-7000-8000-000000000000 --watch
        To see what an account does not allow, and to collect it again after that:
          worker check --account-name opra-dev
          producer run --only-incomplete --date 2026-11-01 --account-name opra-dev
        To complete the late rows, once CloudWatch has published the day, one to two days late:
          producer run --only-incomplete --date 2026-11-01 --account-name data
        ");
    }

    #[test]
    fn a_command_to_copy_says_what_it_lacks_of_the_request() {
        let run = RunId::generate();
        let names: Vec<String> = (0..21).map(|index| format!("a{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut manifest = manifest(&run, &names);
        manifest.jobs[20].dataset = "ec2".into();
        manifest.request.insert("ticket".into(), "OPS-7".into());
        let standings = vec![Standing::Absent; 21];
        let text = render(&RunStatus::of(&manifest, &standings, true, &Dead::NotSeen), false);
        assert!(text.contains(" --account-name … --dataset ec2,s3_daily_storage\n"), "{text}");
        assert!(text.ends_with("\nGive the accounts and attributes of the first request again."), "{text}");
    }

    #[test]
    fn a_complete_run_needs_nothing() {
        let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
        let standings = [standing(complete("data", &run))];
        insta::assert_snapshot!(render(&RunStatus::of(&manifest(&run, &["data"]), &standings, false, &Dead::NotSeen), false), @r"
        ACCOUNT  DATASET           STATE     ROWS  LATE  CALLS     COST
        data     s3_daily_storage  complete   200     0     14  $0.0580

        run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete
        ");
    }

    #[test]
    fn failed_accounts_are_told_by_reason() {
        let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
        let manifest = manifest(&run, &["data", "opra-dev", "web", "lost", "done"]);
        let mut standings = vec![Standing::Absent; 4];
        standings.push(standing(complete("done", &run)));
        let of = |account: &str, reason: &str, message: &str| letter(account, run.as_str(), reason, message);
        let mut letters = vec![
            of("data", "access_denied", "cloudwatch:ListMetrics in eu-west-1: AccessDenied: no"),
            of("opra-dev", "access_denied", &"denied ".repeat(30)),
            of("web", "bad_message", "the job is not JSON"),
            of("done", "panic", ""),
            letter("data", "r-2", "panic", ""),
            letter("data", "r-3", "panic", ""),
        ];
        let dead = Dead::Seen { letters: letters.clone(), elsewhere: 1 };
        insta::assert_snapshot!(render(&RunStatus::of(&manifest, &standings, true, &dead), true), @r"
        ACCOUNT   DATASET           STATE    ROWS  LATE  CALLS  COST  WHY
        data      s3_daily_storage  failed      -     -      -     -  access_denied: cloudwatch:ListMetrics in eu-west-1: AccessDenied: no
        opra-dev  s3_daily_storage  failed      -     -      -     -  access_denied: denied denied denied denied denied denied denied denied deni…
        web       s3_daily_storage  failed      -     -      -     -  bad_message: the job is not JSON
        lost      s3_daily_storage  missing     -     -      -     -  no report, and no job left on the queue

        run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete, 3 failed, 1 missing
        2 accounts failed, access_denied: allow the action that the message names (`worker check` lists all that is missing), then replay
          producer replay --run-id 019a0000-0000-7000-8000-000000000000 --account-name data,opra-dev
        1 account failed, bad_message: correct what sent it; a replay of the same message fails the same way
        The workers' logs say why an account is missing; they must have the producer's key template.
        To send the 1 missing job again:
          producer run --only-incomplete --date 2026-11-01 --account-name lost
        1 dead letter is being looked at by somebody else, or was a minute ago; look again in a minute.
        2 dead letters of other runs or of none, 1 dead letter of this run's accounts that did not fail in the end; `producer failed` shows them.
        ");
        letters.truncate(2);
        let dead = Dead::Seen { letters, elsewhere: 0 };
        let text = render(&RunStatus::of(&manifest, &standings, false, &dead), false);
        assert!(
            text.ends_with("\n  producer replay --run-id 019a0000-0000-7000-8000-000000000000"),
            "{text}"
        );
    }
}
