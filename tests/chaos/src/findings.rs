// SPDX-License-Identifier: Apache-2.0
//! What was found wrong with the accounts' ends, and how many were looked at.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    path::PathBuf,
    time::Duration,
};

use ::cli::destination::Destination;
use chrono::{DateTime, Utc};
use kit::{Ended, Fleet};
use local_aws::{Message, Object};
use serde_json::Value;

use crate::{
    accounts::{Accounts, End, Member},
    judge::{Facts, Ill, judge},
    rounds::Round,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) ill: Ill,
    pub(crate) run_id: String,
    pub(crate) account: String,
    pub(crate) what: String,
}

#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) folder: PathBuf,
    pub(crate) problems: Vec<Problem>,
    /// How many jobs of each kind were looked at, and how many reports were compared.
    pub(crate) jobs: BTreeMap<&'static str, u64>,
    pub(crate) compared: u64,
    /// How often `producer status` was asked.
    pub(crate) statuses: usize,
    pub(crate) longest_status: Duration,
    /// Accounts by the end that they had, by run and name; how many dead letters.
    ends: HashMap<(String, String), Reached>,
}

/// The end that an account of a round had.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    report: bool,
    dead_letters: u64,
}

impl Findings {
    pub(crate) fn into(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// How many problems are of a kind.
    pub(crate) fn count(&self, ill: Ill) -> usize {
        self.problems.iter().filter(|problem| problem.ill == ill).count()
    }

    /// How many accounts ended in a report, how many in a dead letter, and how many dead letters there were
    /// beyond one for each.
    pub(crate) fn ends(&self) -> (u64, u64, u64) {
        self.ends.values().fold((0, 0, 0), |(reports, dead, more), end| {
            let beyond = end.dead_letters.saturating_sub(1);
            (reports + u64::from(end.report), dead + u64::from(end.dead_letters > 0), more + beyond)
        })
    }

    /// Looks at the end of each account of a round, and at the reports of the windows that are its own: of others a later
    /// round may have replaced them.
    pub(crate) fn look(
        &mut self,
        fleet: &Fleet,
        accounts: &Accounts,
        round: &Round,
        is_own: impl Fn(DateTime<Utc>) -> bool,
    ) {
        let dead = fleet.dead_letters();
        let mut letters: HashMap<&str, Vec<&Message>> = HashMap::new();
        for letter in &dead {
            let said = |name: &str| letter.attributes.get(name).map(String::as_str);
            if said("run_id") == Some(round.run_id.as_str()) {
                letters.entry(said("account_name").unwrap_or_default()).or_default().push(letter);
            }
        }
        for member in round.members(accounts) {
            let letters = letters.get(member.name.as_str()).map_or(&[][..], Vec::as_slice);
            let found = self.reports(fleet, round, member, &is_own);
            let is_reported = match member.end {
                End::Report => found == round.subject.windows().count(),
                End::DeadLetter(_) => found > 0,
            };
            let end = match self.ends.entry((round.run_id.clone(), member.name.clone())) {
                Entry::Occupied(end) => end.into_mut(),
                Entry::Vacant(end) => {
                    *self.jobs.entry(round.subject.kind()).or_default() += 1;
                    end.insert(Reached::default())
                }
            };
            end.report |= is_reported;
            end.dead_letters = letters.len() as u64;
            let has_report = end.report;
            let reason =
                |letter: &&Message| letter.attributes.get("failure_reason").cloned().unwrap_or_default();
            let reasons: Vec<String> = letters.iter().map(reason).collect();
            match member.end {
                _ if !has_report && letters.is_empty() => {
                    self.add(Ill::Lost, round, member, "neither all its reports nor a dead letter");
                }
                End::Report if !letters.is_empty() => {
                    let other = if has_report { "a report and" } else { "no report, and" };
                    self.add(Ill::Unexpected, round, member, &format!("{other} dead letters: {reasons:?}"));
                }
                End::DeadLetter(_) if has_report => {
                    self.add(Ill::Unexpected, round, member, "a report of an account that can't have one");
                }
                End::DeadLetter(right) if reasons.iter().any(|reason| reason != right) => {
                    let what = format!("dead letters for {reasons:?} and not {right}");
                    self.add(Ill::Unexpected, round, member, &what);
                }
                _ => {}
            }
        }
    }

    /// Compares an account's reports of this round, of the windows that are its own, and says how many there are.
    fn reports(
        &mut self,
        fleet: &Fleet,
        round: &Round,
        member: &Member,
        is_own: &impl Fn(DateTime<Utc>) -> bool,
    ) -> usize {
        let mut found = 0;
        for window in round.subject.windows() {
            let key = round.subject.key(&member.name, window);
            let of_round = |object: &Object| object.metadata.get("run-id") == Some(&round.run_id);
            if let Some(object) = fleet.object(&key).filter(of_round).filter(|_| is_own(window)) {
                found += 1;
                self.compare(&object, &key, round, member, window);
            }
        }
        found
    }

    /// Compares a report with what it must be.
    fn compare(&mut self, object: &Object, key: &str, round: &Round, member: &Member, window: DateTime<Utc>) {
        self.compared += 1;
        let expected = member.report(round.subject, window);
        let account = (member.name.as_str(), member.id.as_str());
        let facts = Facts { account, subject: round.subject, window, run_id: &round.run_id };
        let Err((ill, what)) = judge(object, &expected, facts) else { return };
        let name = format!("{}-{}-{}", round.run_id, member.name, window.format("%Y%m%dT%H"));
        let stem = self.folder.join(name);
        // The run does not depend on it.
        let mut what = format!("{key}: {what}");
        for (extension, body) in [("actual.csv", &*object.body), ("expected.csv", expected.as_bytes())] {
            let written =
                Destination::open(&stem.with_extension(extension)).and_then(|file| file.write(body));
            if let Err(error) = written {
                what += &format!("; {error:#}");
            }
        }
        self.add(ill, round, member, &what);
    }

    /// Compares what `producer status` says with the ends that the accounts must have.
    pub(crate) fn compare_status(
        &mut self,
        accounts: &Accounts,
        round: &Round,
        ended: &Ended,
        took: Duration,
    ) {
        self.statuses += 1;
        self.longest_status = self.longest_status.max(took);
        let code = if round.members(accounts).all(|member| member.end == End::Report) { 0 } else { 3 };
        if ended.code != Some(code) {
            let what = format!("exit status {:?} and not {code}: {}", ended.code, ended.stderr);
            self.add_of_run(round, what);
        }
        let reported: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        let none = Vec::new();
        let listed = reported["accounts"].as_array().unwrap_or(&none);
        for member in round.members(accounts) {
            let reported = listed.iter().find(|account| account["account_name"] == member.name.as_str());
            let reported = reported.unwrap_or(&Value::Null);
            let (state, reason) = match member.end {
                End::Report => ("complete", Value::Null),
                End::DeadLetter(reason) => ("failed", reason.into()),
            };
            if reported["state"] != state || reported["failure_reason"] != reason {
                let what = format!(
                    "it says {} {}, and not {state} {reason}",
                    reported["state"], reported["failure_reason"]
                );
                self.add(Ill::Status, round, member, &what);
            }
        }
    }

    fn add(&mut self, ill: Ill, round: &Round, member: &Member, what: &str) {
        let (run_id, account) = (round.run_id.clone(), member.name.clone());
        self.push(Problem { ill, run_id, account, what: what.to_owned() });
    }

    fn add_of_run(&mut self, round: &Round, what: String) {
        self.push(Problem { ill: Ill::Status, run_id: round.run_id.clone(), account: String::new(), what });
    }

    fn push(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
