//! Why a job is not done, as everybody names it: the worker's logs, the dead letters, `producer
//! failed` and `status`, and `docs/operations.md`.

use std::fmt;

/// Why a job is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The message is no job.
    BadMessage,
    /// CloudWatch has forgotten the day.
    TooOld,
    /// The accounts file does not have the account.
    UnknownAccount,
    /// Nothing says how to become the account, or what says so is refused.
    NoCredentials,
    /// The account's credentials were good and are no longer.
    ExpiredCredentials,
    /// The credentials are another account's.
    WrongAccount,
    /// The account does not allow a call.
    AccessDenied,
    /// AWS refused a call for good.
    AwsError,
    /// The report has no key.
    BadKeyTemplate,
    /// The report is partial, and a complete one of its day stands.
    Partial,
    /// A later run's report stands.
    Superseded,
    /// An object that is no report exists under the report's key.
    ForeignObject,
    /// The report bucket refuses this report, and not others.
    ReportBucket,
    /// It took longer than a job may.
    Deadline,
    /// A passing cause that did not pass.
    Unavailable,
    /// Others kept writing under the report's key.
    Contended,
    /// A fault in the worker's program.
    Panic,
    /// The queue gave it up: it was received too often, by workers that could not say why.
    MaxReceives,
    /// The message may be another worker's by now.
    LeaseLost,
    /// The worker itself: its role, its credentials, its bucket.
    OwnFault,
}

impl Reason {
    /// Every reason, those that a dead letter may have first.
    pub const ALL: [Self; 20] = [
        Self::BadMessage,
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
        Self::Panic,
        Self::MaxReceives,
        Self::LeaseLost,
        Self::OwnFault,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BadMessage => "bad_message",
            Self::TooOld => "too_old",
            Self::UnknownAccount => "unknown_account",
            Self::NoCredentials => "no_credentials",
            Self::ExpiredCredentials => "expired_credentials",
            Self::WrongAccount => "wrong_account",
            Self::AccessDenied => "access_denied",
            Self::AwsError => "aws_error",
            Self::BadKeyTemplate => "bad_key_template",
            Self::Partial => "partial",
            Self::Superseded => "superseded",
            Self::ForeignObject => "foreign_object",
            Self::ReportBucket => "report_bucket",
            Self::Deadline => "deadline",
            Self::Unavailable => "unavailable",
            Self::Contended => "contended",
            Self::Panic => "panic",
            Self::MaxReceives => "max_receives",
            Self::LeaseLost => "lease_lost",
            Self::OwnFault => "own_fault",
        }
    }

    /// The reason of a code; none of one that this version does not have.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// What an operator does about it, in one sentence without its full stop.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::BadMessage => "correct what sent it; a replay of the same message fails the same way",
            Self::TooOld => "CloudWatch no longer has the day; ask for a later one, since no replay helps",
            Self::UnknownAccount => "add the account to the workers' accounts file, then replay",
            Self::NoCredentials => {
                "set or correct the variables, profile or role that the message names, at the workers; then replay"
            }
            Self::ExpiredCredentials => {
                "give the workers new temporary credentials of the account, then replay"
            }
            Self::WrongAccount => {
                "the credentials are another account's than `id` in the accounts file; correct one of them, then replay"
            }
            Self::AccessDenied => {
                "allow the action that the message names (`worker check` lists all that is missing in the home region and in configured ones), then replay"
            }
            Self::AwsError => "AWS refused the call for good; look its code up, fix the cause, then replay",
            Self::BadKeyTemplate => {
                "the key template wants what the account does not have; correct either, then replay"
            }
            Self::Partial => {
                "a complete report of the day stands and is kept; fix what the message says is missing and replay, or leave it"
            }
            Self::Superseded => "a later run's report stands and is kept; nothing to do",
            Self::ForeignObject => {
                "an object that is no report exists under the report's key: move it, choose another key template, or set FLEET_REPLACE_FOREIGN=true; then replay"
            }
            Self::ReportBucket => {
                "the bucket refuses this report alone: look at its policy for the report's key, then replay"
            }
            Self::Deadline => {
                "it took two hours: raise the account's `quota_share`, or ask AWS for more quota; then replay, which goes on from what was collected"
            }
            Self::Unavailable => {
                "AWS did not answer or throttled, at every receive; replay once it is well again"
            }
            Self::Contended => "others kept writing under the report's key; replay",
            Self::Panic => "a fault in the worker itself: report it with its log; a replay may meet it again",
            Self::MaxReceives => {
                "workers died with the job in hand, or gave it back, as often as the queue allows (its maxReceiveCount); see their logs, then replay"
            }
            Self::LeaseLost => {
                "nothing: another worker has the job; where it is frequent, raise the queue's visibility timeout"
            }
            Self::OwnFault => {
                "the worker's own role, credentials or report bucket: fix what the line names; the worker left, and its jobs are back on the queue"
            }
        }
    }

    /// Whether jobs that failed so stay on the work queue and are never dead letters.
    #[must_use]
    pub fn is_of_the_worker(self) -> bool {
        matches!(self, Self::LeaseLost | Self::OwnFault)
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
    fn a_code_is_one_reasons_alone() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Reason::from_code("nobody_knows"), None);
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
