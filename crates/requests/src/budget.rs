// SPDX-License-Identifier: Apache-2.0
//! What a run may cost at most: one whose estimate is above is refused before anything of it is sent.

use chrono::{DateTime, Utc};
use cli::output::{count, dollars};
use fleet::{existing::ExistingReport, report_bucket::ReportBucket};

use crate::{
    estimate::{Estimate, rounded},
    expand::PlannedJob,
    history, manifests,
    plan::Plan,
    todo::Todo,
};

/// A run that is refused: its estimate is above what it may cost.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the run would cost about {}, and max_usd allows {}; nothing was sent. Ask for fewer accounts or windows, leave out \
     what is complete (only_incomplete), or raise max_usd; producer run --dry-run shows the estimate",
    dollars(*estimate), dollars(*max_usd)
)]
pub struct OverBudget {
    pub estimate: f64,
    pub max_usd: f64,
}

/// What is known of the cost of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Known {
    /// In US dollars, if each statistic is paid: the higher of the two readings.
    pub dollars: f64,
    /// The jobs of which nothing is known, since their account has no report.
    pub unknown: usize,
}

impl Known {
    /// Adds up the estimates of jobs. Those of accounts without a report count if `resources` says how many they have.
    pub fn new<'a>(estimates: impl IntoIterator<Item = &'a Estimate>, resources: Option<u64>) -> Self {
        let mut known = Self::default();
        for estimate in estimates {
            if estimate.price.is_some() || resources.is_some() {
                known.dollars = rounded(known.dollars + estimate.range.dollars_each.1);
            } else {
                known.unknown += 1;
            }
        }
        known
    }

    /// Compares it with a limit.
    ///
    /// # Errors
    ///
    /// If it is above.
    pub fn check(self, max_usd: f64) -> Result<(), OverBudget> {
        if self.dollars > max_usd { Err(OverBudget { estimate: self.dollars, max_usd }) } else { Ok(()) }
    }
}

/// Refuses a run whose estimate is above what its request allows. One that an earlier delivery of its start began is
/// completed, whatever is known of its price since.
///
/// # Errors
///
/// [`OverBudget`], or that the reports to estimate by could not be read.
pub async fn check(
    bucket: &ReportBucket,
    plan: &Plan,
    todo: &Todo,
    resources: Option<u64>,
) -> anyhow::Result<()> {
    let Some(max_usd) = plan.request.max_usd else { return Ok(()) };
    if manifests::read(bucket, &plan.run_id).await?.is_some() {
        return Ok(());
    }
    let jobs = todo.to_send(&plan.jobs);
    let reports = history::newest_reports(bucket, &jobs).await?;
    let known = Known::new(&estimates(&jobs, &reports, resources, bucket.now()), resources);
    if known.unknown > 0 {
        tracing::warn!(
            "no report of the account was found for {}, so max_usd takes no account of what they cost",
            count(known.unknown, "job")
        );
    }
    Ok(known.check(max_usd)?)
}

/// The estimate of each job, by the newest report of its account.
#[must_use]
pub fn estimates(
    jobs: &[PlannedJob],
    reports: &[Option<ExistingReport>],
    resources: Option<u64>,
    now: DateTime<Utc>,
) -> Vec<Estimate> {
    let metadata = reports.iter().map(|report| report.as_ref().map(|report| &report.metadata));
    jobs.iter().zip(metadata).map(|(it, report)| Estimate::new(&it.job, report, resources, now)).collect()
}

#[cfg(test)]
mod tests {
    use fleet::RunId;

    use super::*;
    use crate::testing::{complete, planned};

    #[test]
    fn what_is_known_is_added_up_by_the_higher_reading() {
        let now = "2026-11-21T10:00:00Z".parse().expect("a moment");
        let job = planned("data", "2026-11-20").job;
        let report = complete("data", &RunId::generate());
        let known = Estimate::new(&job, Some(&report), None, now);
        let range = crate::estimate::Range { dollars_each: (0.1, 0.2), ..known.range };
        let known = Estimate { range, ..known };
        let unknown = Estimate::new(&job, None, None, now);
        let sum = Known::new([&known, &known, &unknown], None);
        assert_eq!(sum, Known { dollars: 0.4, unknown: 1 });
        assert_eq!(sum.check(0.4), Ok(()));
        let refused = sum.check(0.39).expect_err("more than that");
        let text = refused.to_string();
        assert!(
            text.starts_with("the run would cost about $0.40, and max_usd allows $0.39; nothing"),
            "{text}"
        );

        // 1,000 buckets of three metrics.
        let guessed = Estimate::new(&job, None, Some(1000), now);
        assert_eq!(Known::new([&guessed], Some(1000)), Known { dollars: 0.03, unknown: 0 });
    }
}
