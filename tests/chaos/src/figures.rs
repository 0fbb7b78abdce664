// SPDX-License-Identifier: Apache-2.0
//! The figures of a run: JSON, or a table made of the same JSON.

use std::time::Duration;

use ::cli::output;
use serde_json::{Map, Value, json};

use crate::{
    deliveries::Deliveries,
    findings::Findings,
    history::History,
    judge::Ill,
    mix::Mix,
    steps::Step,
    worker_log::WorkerLog,
    workers::{Toll, VISIBILITY},
};

/// How long after a kill another worker must have the job.
const RECOVERED_WITHIN: Duration = VISIBILITY.saturating_add(Duration::from_secs(5));

/// What must be nothing: a figure of that name, and how it is reported.
const MUST_BE_ZERO: [(&str, &str); 11] = [
    ("lost", "lost"),
    ("short", "short"),
    ("corrupt", "corrupt"),
    ("unexpected", "unexpected"),
    ("paid_again", "rows paid for again"),
    ("documents_lost", "rows without a document"),
    ("documents_doubled", "rows with two documents"),
    ("documents_stale", "documents that no report has"),
    ("status_disagrees", "in disagreement with `producer status`"),
    ("never_received_again", "in flight at a killed worker and never received again"),
    ("worker_cries", "lines of workers that no logger wrote"),
];

/// All that a run is judged by.
pub(crate) struct Run<'a> {
    pub(crate) seed: u64,
    pub(crate) rounds: usize,
    pub(crate) took: Duration,
    pub(crate) toll: &'a Toll,
    pub(crate) findings: &'a Findings,
    pub(crate) history: &'a History,
    pub(crate) paid_again: &'a [String],
    pub(crate) deliveries: &'a Deliveries,
    pub(crate) mix: &'a Mix,
    pub(crate) log: &'a WorkerLog,
}

impl Run<'_> {
    pub(crate) fn figures(&self) -> Value {
        let Self { toll, findings, history, log, deliveries, .. } = self;
        let kills = toll.kills.len();
        let of_steps = |count: &dyn Fn(Step) -> u64| -> Map<String, Value> {
            Step::ALL.iter().map(|(step, name)| ((*name).to_owned(), count(*step).into())).collect()
        };
        let mixed_in = self.mix.fired().map(|(what, fired)| (what.to_owned(), fired.into()));
        let (reports, dead_letters, duplicate_dead_letters) = findings.ends();
        let [p50, p95, max] = [50, 95, 100].map(|percent| seconds(history.recovery(percent)));
        let mut figures = json!({
            "seed": self.seed,
            "kills": kills,
            "seconds": seconds(self.took),
            "rounds": self.rounds,
            "steps": of_steps(&|step| toll.kills.iter().filter(|kill| kill.step == step).count() as u64),
            "step_faults_fired": of_steps(&|step| toll.fired.get(&step).copied().unwrap_or_default()),
            "jobs": findings.jobs,
            "reports": reports,
            "reports_compared": findings.compared,
            "dead_letters": dead_letters,
            "redeliveries": history.redeliveries,
            "put_off": history.put_off,
            "duplicate_executions": history.duplicate_executions,
            "duplicate_dead_letters": duplicate_dead_letters,
            "recoveries": history.recoveries.len(),
            "recovery_seconds": { "p50": p50, "p95": p95, "max": max },
            "recovery_bound_seconds": RECOVERED_WITHIN.as_secs(),
            "recovery_over_bound": history.longer_than(RECOVERED_WITHIN),
            "never_received_again": history.never_received_again,
            "paid_again": self.paid_again.len(),
            "documents_compared": deliveries.documents,
            "documents_without_datapoint": deliveries.gaps,
            "documents_rejected": deliveries.rejected,
            "documents_lost": deliveries.lost.len(),
            "documents_doubled": deliveries.doubled.len(),
            "documents_stale": deliveries.stale.len(),
            "lost": findings.count(Ill::Lost),
            "short": findings.count(Ill::Short),
            "corrupt": findings.count(Ill::Corrupt),
            "unexpected": findings.count(Ill::Unexpected),
            "statuses": findings.statuses,
            "longest_status_seconds": seconds(findings.longest_status),
            "status_disagrees": findings.count(Ill::Status),
            "workers_left": toll.left,
            "mixed_in": mixed_in.collect::<Map<_, _>>(),
            "worker_log": log.said,
            "worker_cries": log.cried,
            "bound_at_95_percent": bound(kills),
        });
        figures["faults"] = faults(&figures).into();
        figures
    }
}

fn faults(figures: &Value) -> Vec<String> {
    let count = |name: &str| match &figures[name] {
        Value::Array(all) => all.len() as u64,
        number => number.as_u64().unwrap_or_default(),
    };
    let wrong = MUST_BE_ZERO.iter().map(|(name, what)| (count(name), what)).filter(|(count, _)| *count > 0);
    let mut faults: Vec<String> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
    // If there were as many kills as steps, every step must have been met.
    let all_met = count("kills") >= Step::ALL.len() as u64;
    for (step, name) in Step::ALL.iter().filter(|(step, _)| all_met && *step != Step::Random) {
        if figures["step_faults_fired"][*name] == 0 {
            faults.push(format!("the fault of the step {:?} never fired", step.name()));
        }
    }
    faults
}

/// Tables of the figures, and a verdict.
pub(crate) fn text(figures: &Value) -> String {
    let none = Map::new();
    let pairs = |name: &str| figures[name].as_object().unwrap_or(&none).iter();
    let row = |name: &str, value: &Value| vec![name.replace('_', " "), value.to_string()];
    let fired = &figures["step_faults_fired"];
    let steps =
        pairs("steps").map(|(name, kills)| vec![name.clone(), kills.to_string(), fired[name].to_string()]);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (name, value) in figures.as_object().unwrap_or(&none) {
        match value {
            Value::Number(_) if !name.starts_with("bound") => rows.push(row(name, value)),
            Value::Array(all) => rows.push(row(name, &all.len().into())),
            _ => {}
        }
    }
    rows.extend(pairs("jobs").map(|(kind, jobs)| row(&format!("jobs for {kind}"), jobs)));
    rows.extend(pairs("recovery_seconds").map(|(which, value)| row(&format!("recovery, {which}"), value)));
    let verdict = match figures["faults"].as_array().map(Vec::as_slice) {
        Some([]) => format!(
            "0 of {} kills lost, shortened or corrupted a report: below {:.2} % at 95 %.",
            figures["kills"],
            100.0 * figures["bound_at_95_percent"].as_f64().unwrap_or(1.0)
        ),
        faults => format!(
            "Wrong: {}.",
            faults.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        ),
    };
    format!(
        "{}\n\n{}\n\n{}\n\n{verdict}",
        output::table(&["KILLED AT", "KILLS", "FAULTS FIRED"], &[1, 2], steps),
        output::table(&["WHAT CAME OF IT", ""], &[1], rows),
        output::table(&["MIXED IN", "TIMES"], &[1], pairs("mixed_in").map(|(what, fired)| row(what, fired))),
    )
}

/// The largest share of kills that may do harm, at 95 %, if none did: the rule of three.
fn bound(kills: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let kills = kills as f64;
    3.0 / kills.max(3.0)
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
