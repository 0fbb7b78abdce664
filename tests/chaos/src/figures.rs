//! The figures of a run, as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use cli::output::{self, Format};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    findings::Findings, history::History, judge::Ill, mix::Mix, steps::Step, worker_log::Sayings,
    workers::Toll, world::VISIBILITY,
};

/// How long after a kill another worker must have the job: the visibility timeout and five seconds.
const RECOVERED_WITHIN: Duration = VISIBILITY.saturating_add(Duration::from_secs(5));

/// All figures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    seed: u64,
    kills: usize,
    seconds: f64,
    rounds: usize,
    /// Each step with its kills, and how often its fault struck them.
    steps: Vec<(&'static str, usize, u64)>,
    reports: u64,
    dead_letters: u64,
    redeliveries: u64,
    put_off: u64,
    duplicate_executions: u64,
    duplicate_dead_letters: u64,
    recoveries: usize,
    recovery_seconds: [f64; 3],
    recovery_over_bound: usize,
    never_received_again: u64,
    paid_again: usize,
    lost: usize,
    short: usize,
    corrupt: usize,
    unexpected: usize,
    statuses: usize,
    longest_status_seconds: f64,
    status_disagrees: usize,
    workers_left: Vec<String>,
    mixed_in: Vec<(&'static str, u64)>,
    worker_log: BTreeMap<String, u64>,
    worker_cries: Vec<String>,
}

impl Figures {
    pub(crate) fn of(
        (seed, rounds, took): (u64, usize, Duration),
        toll: &Toll,
        findings: &Findings,
        history: &History,
        paid_again: &[String],
        mix: &Mix,
        sayings: &Sayings,
    ) -> Self {
        let of_step = |step: Step| {
            let kills = toll.kills.iter().filter(|kill| kill.step == step).count();
            (step.name(), kills, toll.fired.get(&step).copied().unwrap_or_default())
        };
        let (reports, dead_letters, duplicate_dead_letters) = findings.ends();
        Self {
            seed,
            kills: toll.kills.len(),
            seconds: rounded(took),
            rounds,
            steps: Step::ALL.into_iter().map(of_step).collect(),
            reports,
            dead_letters,
            redeliveries: history.redeliveries,
            put_off: history.put_off,
            duplicate_executions: history.duplicate_executions,
            duplicate_dead_letters,
            recoveries: history.recoveries.len(),
            recovery_seconds: [50, 95, 100].map(|percent| rounded(history.recovery(percent))),
            recovery_over_bound: history.longer_than(RECOVERED_WITHIN),
            never_received_again: history.never_received_again,
            paid_again: paid_again.len(),
            lost: findings.count(Ill::Lost),
            short: findings.count(Ill::Short),
            corrupt: findings.count(Ill::Corrupt),
            unexpected: findings.count(Ill::Unexpected),
            statuses: findings.statuses,
            longest_status_seconds: rounded(findings.longest_status),
            status_disagrees: findings.count(Ill::Status),
            workers_left: toll.left.clone(),
            mixed_in: mix.fired(),
            worker_log: sayings.said.clone(),
            worker_cries: sayings.cried.clone(),
        }
    }

    /// All that speaks against the run.
    pub(crate) fn faults(&self) -> Vec<String> {
        let never_received_again = usize::try_from(self.never_received_again).unwrap_or(usize::MAX);
        let counted = [
            ("lost", self.lost),
            ("short", self.short),
            ("corrupt", self.corrupt),
            ("unexpected", self.unexpected),
            ("rows paid for again", self.paid_again),
            ("in disagreement with `producer status`", self.status_disagrees),
            ("in a killed worker's hand and never received again", never_received_again),
            ("cries of workers", self.worker_cries.len()),
        ];
        let mut faults: Vec<String> = counted
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        // With a card for each there was, every step must have been met.
        if self.kills >= Step::ALL.len() {
            let never =
                self.steps.iter().filter(|(name, _, fired)| *fired == 0 && *name != Step::Random.name());
            faults.extend(never.map(|(name, ..)| format!("the fault of the step {name:?} never fired")));
        }
        faults
    }

    /// Writes them to standard output.
    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => output::print_json(&self.json()),
            Format::Text => output::print(&self.text()),
        }
    }

    /// The most that may be lost, short or corrupt of all kills, at 95 %, where none was: the rule of three.
    fn bound(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let kills = self.kills as f64;
        3.0 / kills.max(3.0)
    }

    fn json(&self) -> Value {
        let steps = |value: fn(&(&'static str, usize, u64)) -> u64| -> serde_json::Map<String, Value> {
            self.steps.iter().map(|step| (step.0.to_owned(), value(step).into())).collect()
        };
        let [p50, p95, max] = self.recovery_seconds;
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["steps"] = json!(steps(|step| step.1 as u64));
        json["step_faults_fired"] = json!(steps(|step| step.2));
        json["recovery_seconds"] = json!({ "p50": p50, "p95": p95, "max": max });
        json["recovery_bound_seconds"] = json!(RECOVERED_WITHIN.as_secs());
        json["mixed_in"] =
            self.mixed_in.iter().map(|(what, fired)| ((*what).to_owned(), json!(fired))).collect();
        json["bound_at_95_percent"] = json!(self.bound());
        json["faults"] = json!(self.faults());
        json
    }

    fn text(&self) -> String {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let steps = self.steps.iter().map(|(name, kills, fired)| {
            let fired = if *name == Step::Random.name() { String::new() } else { fired.to_string() };
            vec![(*name).to_owned(), kills.to_string(), fired]
        });
        let all = [vec!["all".to_owned(), self.kills.to_string(), String::new()]];
        let [p50, p95, max] = self.recovery_seconds;
        let figures = [
            row("accounts with a report", self.reports.to_string()),
            row("accounts with a dead letter", self.dead_letters.to_string()),
            row("redeliveries", self.redeliveries.to_string()),
            row("jobs put off", self.put_off.to_string()),
            row("duplicate executions", self.duplicate_executions.to_string()),
            row("duplicate dead letters", self.duplicate_dead_letters.to_string()),
            row("recoveries", self.recoveries.to_string()),
            row("recovery, p50", format!("{p50:.1} s")),
            row("recovery, p95", format!("{p95:.1} s")),
            row("recovery, longest", format!("{max:.1} s")),
            row(
                &format!("recoveries over {} s", RECOVERED_WITHIN.as_secs()),
                self.recovery_over_bound.to_string(),
            ),
            row("workers that left by themselves", self.workers_left.len().to_string()),
            row("lost", self.lost.to_string()),
            row("short", self.short.to_string()),
            row("corrupt", self.corrupt.to_string()),
            row("unexpected", self.unexpected.to_string()),
            row("rows paid for again", self.paid_again.to_string()),
            row("`producer status` asked", self.statuses.to_string()),
            row("`producer status` disagrees", self.status_disagrees.to_string()),
        ];
        let mixed = self.mixed_in.iter().map(|(what, fired)| row(what, fired.to_string()));
        let faults = self.faults();
        let verdict = if faults.is_empty() {
            format!(
                "0 of {} kills lost, shortened or corrupted a report: below {:.2} % at 95 %.",
                self.kills,
                100.0 * self.bound()
            )
        } else {
            format!("Wrong: {}.", faults.join("; "))
        };
        format!(
            "{}\n\n{}\n\n{}\n\nSeed {}, {} rounds, {:.0} s.\n{verdict}",
            output::table(&["KILLED AT", "KILLS", "FAULTS FIRED"], &[1, 2], steps.chain(all)),
            output::table(&["WHAT CAME OF IT", ""], &[1], figures),
            output::table(&["MIXED IN", "TIMES"], &[1], mixed),
            self.seed,
            self.rounds,
            self.seconds,
        )
    }
}

/// Seconds, to the millisecond.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
