// SPDX-License-Identifier: Apache-2.0
//! The reasons why a job is not done, with one name everywhere: the worker's logs, the dead letters,
//! `producer failed` and `status`, and `docs/operations.md`.

use std::fmt;

/// Why a job is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    BadMessage,
    /// A run of the request would cost more than the request allows.
    OverBudget,
    /// CloudWatch no longer has the day.
    TooOld,
    /// The accounts file does not have the account.
    UnknownAccount,
    /// No setting says how to access the account, or AWS does not know its keys.
    NoCredentials,
    /// The account's credentials have expired.
    ExpiredCredentials,
    /// The credentials belong to another account.
    WrongAccount,
    AccessDenied,
    /// A permanent AWS error.
    AwsError,
    /// The key template can't be filled in for this job.
    BadKeyTemplate,
    /// The report is partial, and a complete one of its day exists.
    Partial,
    Superseded,
    /// Another program's object exists under the report's key.
    ForeignObject,
    /// The report bucket refuses this report, but not others.
    ReportBucket,
    /// It exceeded the time limit of a job.
    Deadline,
    /// Each attempt ended with a transient error.
    Unavailable,
    /// Other processes kept writing under the report's key.
    Contended,
    /// The report is stored, and a sink does not have it.
    NotDelivered,
    /// A bug in the worker.
    Panic,
    /// SQS moved it: it was received too often by workers that could not report a reason.
    MaxReceives,
    /// Another worker may have the message by now.
    LeaseLost,
    /// The worker is misconfigured: its role, its credentials or its bucket.
    WorkerMisconfigured,
}

impl Reason {
    pub const ALL: [Self; 22] = [
        Self::BadMessage,
        Self::OverBudget,
        Self::TooOld,
        Self::UnknownAccount,
        Self::NoCredentials,
        Self::ExpiredCredentials,
        Self::WrongAccount,
        Self::AccessDenied,
        Self::AwsError,
        Self::BadKeyTemplate,
        Self::Partial,
        Self::Superseded,
        Self::ForeignObject,
        Self::ReportBucket,
        Self::Deadline,
        Self::Unavailable,
        Self::Contended,
        Self::NotDelivered,
        Self::Panic,
        Self::MaxReceives,
        Self::LeaseLost,
        Self::WorkerMisconfigured,
    ];

    /// The stable code, and what an operator does about it in one sentence without its full stop.
    fn code_and_advice(self) -> (&'static str, &'static str) {
        match self {
            Self::BadMessage => (
                "bad_message",
                "fix the program that sent it; a replay of the same message fails the same way",
            ),
            Self::OverBudget => (
                "over_budget",
                "a run of the message's request would cost more than its `max_usd`: raise that in the schedule, or send the request with `producer run` and a higher one; a replay is refused again",
            ),
            Self::TooOld => {
                ("too_old", "CloudWatch no longer has the day; request a later one, since no replay helps")
            }
            Self::UnknownAccount => {
                ("unknown_account", "add the account to the workers' accounts file, then replay")
            }
            Self::NoCredentials => (
                "no_credentials",
                "set or correct the variables, profile or role that the message names, at the workers; then replay",
            ),
            Self::ExpiredCredentials => (
                "expired_credentials",
                "give the workers new temporary credentials of the account, then replay",
            ),
            Self::WrongAccount => (
                "wrong_account",
                "the credentials belong to another account than `id` in the accounts file; correct one of them, then replay",
            ),
            Self::AccessDenied => (
                "access_denied",
                "allow the action that the message names (`worker check` lists all that is missing in the home region and in configured ones), then replay",
            ),
            Self::AwsError => {
                ("aws_error", "permanent AWS error: look up the code, fix the cause, then replay")
            }
            Self::BadKeyTemplate => (
                "bad_key_template",
                "the key template does not fit the account or the dataset; correct it, then replay",
            ),
            Self::Partial => (
                "partial",
                "a complete report of the day exists and is kept; fix what the message names and replay, or do nothing",
            ),
            Self::Superseded => ("superseded", "a later run's report exists and is kept; nothing to do"),
            Self::ForeignObject => (
                "foreign_object",
                "another program's object exists under the report's key: move it, choose another key template, or set FLEET_REPLACE_FOREIGN=true; then replay",
            ),
            Self::ReportBucket => (
                "report_bucket",
                "the bucket refuses only this report, or this run: check its policy for the key that the message names, then replay",
            ),
            Self::Deadline => (
                "deadline",
                "it took two hours: raise the account's `quota_share`, or ask AWS for more quota; then replay, which continues from what was collected",
            ),
            Self::Unavailable => (
                "unavailable",
                "AWS did not respond, or throttled, in every attempt; replay once it has recovered",
            ),
            Self::Contended => ("contended", "other processes kept writing under the report's key; replay"),
            Self::NotDelivered => (
                "not_delivered",
                "the report is stored, but the sink that the message names does not have it: fix the sink, then replay, which only delivers",
            ),
            Self::Panic => ("panic", "a bug in the worker: report it with its log; a replay may fail again"),
            Self::MaxReceives => (
                "max_receives",
                "workers died or returned the job as often as the queue allows (its maxReceiveCount); see their logs, then replay",
            ),
            Self::LeaseLost => (
                "lease_lost",
                "nothing: another worker has the job; if this happens often, raise the queue's visibility timeout",
            ),
            Self::WorkerMisconfigured => (
                "own_fault",
                "the worker's own role, credentials or report bucket: fix what the message names; the worker stopped, and its jobs are back on the queue",
            ),
        }
    }

    #[must_use]
    pub fn code(self) -> &'static str {
        self.code_and_advice().0
    }

    /// The reason with this code; `None` if this version does not have it.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// What an operator does about it, in one sentence without its full stop.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.code_and_advice().1
    }

    /// Whether such jobs stay on the work queue and are never dead-lettered.
    #[must_use]
    pub fn is_of_the_worker(self) -> bool {
        matches!(self, Self::LeaseLost | Self::WorkerMisconfigured)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_belongs_to_one_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Reason::from_code("not_known"), None);
    }

    #[test]
    fn the_document_has_a_section_for_each_reason_with_its_advice() {
        let document = include_str!("../../../docs/operations.md");
        let (_, reasons) = document.split_once("\n## Reasons\n").expect("a section of reasons");
        let sections: Vec<_> = reasons.split("\n### ").skip(1).collect();
        let headings: Vec<_> = sections.iter().filter_map(|section| section.lines().next()).collect();
        assert_eq!(headings, Reason::ALL.map(|reason| format!("`{reason}`")));
        for (reason, section) in Reason::ALL.into_iter().zip(sections) {
            let advice = format!("- **What to do:** {}.", reason.advice());
            assert!(
                section.lines().any(|line| line == advice),
                "docs/operations.md lacks at {reason}:\n{advice}"
            );
            let has = |what: &str| section.contains(&format!("\n- **{what}"));
            assert!(has("Cause:** ") && has("The fleet** "), "{section}");
        }
    }
}
