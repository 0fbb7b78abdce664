//! The dead letters, for people: a table for each run, each message below its line, and for each
//! reason what to do and the command for it.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{
    Reason, RunId,
    output::{count, table},
};

use super::{Found, Letter, hidden_hint};

/// The most accounts that are named in a command to copy.
const MOST_NAMES: usize = 20;

/// The whole text; `queue` is the name of the dead-letter queue.
pub(crate) fn render(found: &Found, queue: &str) -> String {
    let hint = hidden_hint(found.elsewhere);
    if found.letters.is_empty() {
        return match hint {
            None => format!("nothing has failed: the dead-letter queue {queue} is empty"),
            Some(hint) => format!("no dead letter is to be seen in {queue} now; {hint}"),
        };
    }
    let mut text = tables(&found.letters);
    for (reason, letters) in by_reason(&found.letters) {
        text.push('\n');
        text.push_str(&what_to_do(reason, &letters, &found.letters));
    }
    text.push_str(&format!("\n{} in {queue}.", count(found.letters.len(), "dead letter")));
    if found.letters.iter().any(|letter| is_to_replay(letter.dead.reason())) {
        text.push_str(" To replay all, once everything is mended:\n  producer replay --all");
    }
    if let Some(hint) = hint {
        text.push_str(&format!("\n{hint}"));
    }
    text
}

/// One table, cut into runs.
fn tables(letters: &[Letter]) -> String {
    let mut runs: Vec<(Option<&RunId>, Vec<&Letter>)> = Vec::new();
    for letter in letters {
        let run = letter.dead.labels.run_id.as_ref();
        match runs.iter_mut().find(|(known, _)| *known == run) {
            Some((_, letters)) => letters.push(letter),
            None => runs.push((run, vec![letter])),
        }
    }
    let header = ["ACCOUNT", "DATASET", "REASON", "STEP", "RECEIVES", "REPLAYS", "FIRST SEEN"];
    let in_order = runs.iter().flat_map(|(_, letters)| letters);
    // Made as one, so that the columns of all runs line up.
    let whole = table(&header, &[4, 5], in_order.map(|letter| row(letter)));
    let mut lines = whole.lines();
    let header = lines.next().unwrap_or_default();
    let mut text = String::new();
    for (run, letters) in runs {
        match run {
            Some(run) => text.push_str(&format!("run {run}\n{header}\n")),
            None => text.push_str(&format!("of no run\n{header}\n")),
        }
        for letter in letters {
            text.push_str(lines.next().unwrap_or_default());
            text.push('\n');
            for detail in details(letter) {
                text.push_str(&format!("    {detail}\n"));
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn row(letter: &Letter) -> Vec<String> {
    let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into());
    let labels = &letter.dead.labels;
    let failure = letter.dead.failure.as_ref();
    // A redriven message has no failure; when the job was sent is the best that is known of it.
    let first_seen = failure.and_then(|failure| failure.first_seen).or(letter.sent_at);
    vec![
        or_dash(labels.account_name.as_ref().map(ToString::to_string)),
        or_dash(labels.dataset.map(|dataset| dataset.name.to_owned())),
        super::one_line(letter.dead.reason()),
        or_dash(failure.map(|failure| super::one_line(&failure.step))),
        or_dash(failure.filter(|failure| failure.attempts > 0).map(|failure| failure.attempts.to_string())),
        letter.dead.replay_count.to_string(),
        or_dash(first_seen.map(|moment| moment.format("%Y-%m-%d %H:%MZ").to_string())),
    ]
}

fn details(letter: &Letter) -> Vec<String> {
    let message = Some(letter.message()).filter(|message| !message.is_empty());
    let beginning = letter.beginning.as_ref().map(|body| {
        if body.is_empty() { "the body is blank".to_owned() } else { format!("the body begins: {body}") }
    });
    message.into_iter().chain(beginning).collect()
}

/// The letters of each reason, the most frequent reason first.
fn by_reason(letters: &[Letter]) -> Vec<(&str, Vec<&Letter>)> {
    let mut reasons: BTreeMap<&str, Vec<&Letter>> = BTreeMap::new();
    for letter in letters {
        reasons.entry(letter.dead.reason()).or_default().push(letter);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, letters)| std::cmp::Reverse(letters.len()));
    reasons
}

/// Whether a replay of what failed so can end otherwise, once something is mended.
pub(crate) fn is_to_replay(reason: &str) -> bool {
    !matches!(Reason::of_code(reason), Some(Reason::BadMessage | Reason::Superseded))
}

/// What to do about a reason, in one sentence.
pub(crate) fn advice(reason: &str) -> &'static str {
    Reason::of_code(reason).map_or("a reason of another version; its message says more", Reason::advice)
}

fn what_to_do(reason: &str, letters: &[&Letter], all: &[Letter]) -> String {
    let mut text = format!("{} {}: {}\n", letters.len(), super::one_line(reason), advice(reason));
    if !is_to_replay(reason) {
        text.push_str("  (it leaves the queue by itself, once the queue's retention is over)\n");
        return text;
    }
    text.push_str(&format!("  producer replay{}", selection(letters, all)));
    let worn_out = letters.iter().filter(|letter| letter.is_worn_out()).count();
    if worn_out > 0 {
        let most = super::MOST_REPLAYS;
        text.push_str(&format!(" --force   # {worn_out} of them failed again after {most} replays"));
    }
    text.push('\n');
    text
}

/// The flags that select these letters, and others as seldom as flags can.
fn selection(letters: &[&Letter], all: &[Letter]) -> String {
    let runs: BTreeSet<Option<&str>> = letters.iter().map(|letter| run(letter)).collect();
    let one_run = match runs.iter().next() {
        Some(Some(run)) if runs.len() == 1 => Some(*run),
        _ => None,
    };
    let names: Option<BTreeSet<&str>> =
        letters.iter().map(|letter| Some(letter.dead.labels.account_name.as_ref()?.as_str())).collect();
    let names = names.filter(|names| names.len() <= MOST_NAMES);
    let is_whole_run =
        |run: &str| all.iter().filter(|letter| self::run(letter) == Some(run)).count() == letters.len();
    match (names, one_run) {
        _ if letters.len() == all.len() && one_run.is_none() => " --all".into(),
        (_, Some(run)) if is_whole_run(run) => format!(" --run-id {run}"),
        (Some(names), Some(run)) => format!(" --run-id {run} --account-name {}", joined(names)),
        (Some(names), None) => format!(" --account-name {}", joined(names)),
        (None, Some(run)) => format!(" --run-id {run}"),
        (None, None) => " --all".into(),
    }
}

fn joined(names: BTreeSet<&str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(",")
}

fn run(letter: &Letter) -> Option<&str> {
    letter.dead.labels.run_id.as_ref().map(RunId::as_str)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::letter, *};

    fn found(letters: Vec<Letter>) -> Found {
        Found { letters, ..Found::default() }
    }

    #[test]
    fn a_queue_with_everything_in_it() {
        let run = "019a0000-0000-7000-8000-000000000000";
        let other = "019b0000-0000-7000-8000-000000000000";
        let denied = "data: cloudwatch:ListMetrics is denied in eu-west-1;\nallow it to \u{1b}[31mthe role";
        let mut worn_out = letter("web", other, "access_denied", denied);
        worn_out.dead.replay_count = 3;
        let mut redriven = letter("opra-dev", run, "", "");
        redriven.dead.failure = None;
        let mut no_job = letter("data", run, "bad_message", "the job is not JSON");
        no_job.dead.labels = fleet::Labels::default();
        no_job.beginning = Some("not a job".into());
        let mut letters = vec![
            letter("data", run, "access_denied", denied),
            letter("backup", run, "access_denied", denied),
            redriven,
            worn_out,
            no_job,
        ];
        letters.push(letter("data", other, "of_the_future", "it will have been"));
        let found = Found { letters, elsewhere: 2, ..Found::default() };
        insta::assert_snapshot!(render(&found, "jobs-dead"), @r"
        run 019a0000-0000-7000-8000-000000000000
        ACCOUNT   DATASET           REASON         STEP      RECEIVES  REPLAYS  FIRST SEEN
        data      s3_daily_storage  access_denied  discover         2        0  2026-11-21 10:00Z
            data: cloudwatch:ListMetrics is denied in eu-west-1; allow it to [31mthe role
        backup    s3_daily_storage  access_denied  discover         2        0  2026-11-21 10:00Z
            data: cloudwatch:ListMetrics is denied in eu-west-1; allow it to [31mthe role
        opra-dev  s3_daily_storage  max_receives   -                -        0  2026-11-21 10:05Z

        run 019b0000-0000-7000-8000-000000000000
        ACCOUNT   DATASET           REASON         STEP      RECEIVES  REPLAYS  FIRST SEEN
        web       s3_daily_storage  access_denied  discover         2        3  2026-11-21 10:00Z
            data: cloudwatch:ListMetrics is denied in eu-west-1; allow it to [31mthe role
        data      s3_daily_storage  of_the_future  discover         2        0  2026-11-21 10:00Z
            it will have been

        of no run
        ACCOUNT   DATASET           REASON         STEP      RECEIVES  REPLAYS  FIRST SEEN
        -         -                 bad_message    discover         2        0  2026-11-21 10:00Z
            the job is not JSON
            the body begins: not a job

        3 access_denied: allow the action that the message names (`worker check` lists all that is missing), then replay
          producer replay --account-name backup,data,web --force   # 1 of them failed again after 3 replays

        1 bad_message: correct what sent it; a replay of the same message fails the same way
          (it leaves the queue by itself, once the queue's retention is over)

        1 max_receives: workers kept dying with the job in hand, or the queue's maxReceiveCount is low; see their logs, then replay
          producer replay --run-id 019a0000-0000-7000-8000-000000000000 --account-name opra-dev

        1 of_the_future: a reason of another version; its message says more
          producer replay --run-id 019b0000-0000-7000-8000-000000000000 --account-name data

        6 dead letters in jobs-dead. To replay all, once everything is mended:
          producer replay --all
        2 more are being looked at by somebody else, or were a minute ago; look again in a minute
        ");
    }

    #[test]
    fn an_empty_queue_and_one_that_only_looks_so() {
        assert_eq!(render(&found(vec![]), "d"), "nothing has failed: the dead-letter queue d is empty");
        let hidden = Found { elsewhere: 1, ..Found::default() };
        assert_eq!(
            render(&hidden, "d"),
            "no dead letter is to be seen in d now; 1 more is being looked at by somebody else, or was a minute \
             ago; look again in a minute"
        );
    }

    #[test]
    fn a_command_selects_as_little_else_as_it_can() {
        let of = |account: &str, run: &str| letter(account, run, "panic", "");
        let flags = |letters: &[Letter], others: &[Letter]| {
            let all: Vec<Letter> = letters.iter().chain(others).cloned().collect();
            selection(&letters.iter().collect::<Vec<_>>(), &all)
        };
        let (one, other) = ([of("a", "r1"), of("b", "r1")], [of("c", "r1")]);
        let (elsewhere, many) =
            ([of("c", "r2")], (0..21).map(|n| of(&format!("a{n}"), "r1")).collect::<Vec<_>>());
        let both = [of("a", "r1"), of("b", "r2")];
        assert_eq!(flags(&one, &[]), " --run-id r1", "a run's all");
        assert_eq!(flags(&one, &elsewhere), " --run-id r1");
        assert_eq!(flags(&one, &other), " --run-id r1 --account-name a,b");
        assert_eq!(flags(&both, &[]), " --all");
        assert_eq!(flags(&both, &other), " --account-name a,b");
        assert_eq!(flags(&many, &other), " --run-id r1", "too many to name");
        let mut nameless = of("a", "r1");
        nameless.dead.labels.account_name = None;
        nameless.dead.labels.run_id = None;
        assert_eq!(flags(&[nameless], &other), " --all", "nothing else selects it");
    }
}
