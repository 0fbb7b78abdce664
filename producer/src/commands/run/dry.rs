// SPDX-License-Identifier: Apache-2.0
//! `run --dry-run`: shows the jobs and what they will cost.

use chrono::{DateTime, TimeDelta, Utc};
use cli::{
    exit::{CommandError, Outcome},
    output::{self, Format, count, dollars, table},
};
use fleet::{
    Windows, duration::shown, existing::ExistingReport, manifest::JobState, report_bucket::ReportBucket,
};
use requests::{
    budget::{Known, OverBudget},
    estimate::{self, Estimate, Price},
    expand::PlannedJob,
    history,
    plan::Plan,
    request::Request,
    todo::{Todo, moment, timestamp},
};
use serde_json::{Value, json};
use sinks::Named;

use super::{
    cost::{Cost, OfDataset, between, numbers},
    forwarded::Forwarded,
    month::{self, Collections},
    sent::settled,
};

/// What a dry run reads from the report bucket.
pub(super) struct Seen {
    todo: Todo,
    /// The newest report of each job's account.
    reports: Vec<Option<ExistingReport>>,
    now: DateTime<Utc>,
}

/// What prices are asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// How many buckets an account without a report has.
    pub(super) buckets: Option<u64>,
    /// How often a schedule starts such a run.
    pub(super) every: Option<TimeDelta>,
    /// The sinks, which may cost something too.
    pub(super) sinks: &'a [Named],
}

/// The jobs that would be sent, and their cost.
struct Quote<'a> {
    request: &'a Request,
    jobs: Vec<Quoted>,
    /// Of all jobs of the request, also those that are complete.
    datasets: Vec<OfDataset>,
    forwarded: Vec<Forwarded<'a>>,
    asked: Asked<'a>,
    todo: &'a Todo,
    /// Why past reports are unknown, and with them what is already complete.
    unseen: Option<String>,
    now: DateTime<Utc>,
}

/// A job, with its price if known.
struct Quoted {
    planned: PlannedJob,
    estimate: Estimate,
}

impl Seen {
    /// Looks up past reports of the jobs to send.
    pub(super) async fn read(bucket: &ReportBucket, plan: &Plan, todo: Todo) -> anyhow::Result<Self> {
        let reports = history::newest_reports(bucket, &plan.jobs).await?;
        Ok(Self { todo, reports, now: bucket.now() })
    }
}

/// Shows what a run would send and what it would cost.
pub(super) fn show(
    plan: &Plan,
    seen: anyhow::Result<Seen>,
    asked: Asked<'_>,
    format: Format,
) -> Result<Outcome, CommandError> {
    let (seen, unseen) = match seen {
        Ok(seen) => (seen, None),
        Err(why) => {
            let (todo, reports) = (Todo::all(plan.jobs.len()), vec![None; plan.jobs.len()]);
            (Seen { todo, reports, now: Utc::now() }, Some(format!("{why:#}")))
        }
    };
    let quote = Quote::new(plan, &seen, unseen, asked);
    match format {
        Format::Text => output::print(&quote.text())?,
        Format::Json => output::print_json(&quote.json())?,
    }
    Ok(Outcome::Done)
}

impl<'a> Quote<'a> {
    fn new(plan: &'a Plan, seen: &'a Seen, unseen: Option<String>, asked: Asked<'a>) -> Self {
        let Seen { todo, reports, now } = seen;
        let reports = reports.iter().map(|report| report.as_ref().map(|report| &report.metadata));
        let narrowed = todo.narrow(plan.jobs.clone());
        let (mut jobs, mut datasets) = (Vec::new(), OfDataset::each(&plan.request));
        let mut forwarded = Forwarded::each(asked.sinks);
        for (((whole, planned), state), report) in
            plan.jobs.iter().zip(narrowed).zip(&todo.states).zip(reports)
        {
            let estimate = Estimate::new(&planned.job, report, asked.buckets, *now);
            if let Some(row) = datasets.iter_mut().find(|row| row.dataset.name == planned.job.dataset.name) {
                let month = asked.every.map(|every| {
                    let Collections { times, job, at } = month::collections(&plan.request, &whole.job, every);
                    let each = Estimate::new(&job, report, asked.buckets, at.unwrap_or(*now));
                    (times, each.range.times(times))
                });
                row.add(estimate.range, *state, month);
            }
            for forwarded in &mut forwarded {
                forwarded.add(planned.job.dataset, &estimate);
            }
            if *state == JobState::Sent {
                jobs.push(Quoted { planned, estimate });
            }
        }
        Self { request: &plan.request, jobs, datasets, forwarded, asked, todo, unseen, now: *now }
    }

    /// The cost of one collection.
    fn total(&self) -> Cost {
        self.jobs.iter().map(|quoted| quoted.estimate.range).fold(Cost::default(), Cost::plus)
    }

    fn prices(&self) -> impl Iterator<Item = Price> {
        self.jobs.iter().filter_map(|quoted| quoted.estimate.price)
    }

    fn is_all_known(&self) -> bool {
        self.jobs.iter().all(|quoted| quoted.estimate.price.is_some())
    }

    /// The cost of both collections, if a report made now must be collected again once the day is
    /// settled.
    fn both_collections(&self) -> Cost {
        self.total().times(if self.settles_at().is_some() { 2.0 } else { 1.0 })
    }

    /// What is known of the cost of one collection, to compare with what the run may cost.
    fn known(&self) -> Known {
        Known::new(self.jobs.iter().map(|quoted| &quoted.estimate), self.asked.buckets)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.jobs.is_empty() {
            let header = ["ACCOUNT", "DATASET", "DATE", "CALLS", "METRICS", "COST"];
            text = table(&header, &[3, 4, 5], self.jobs.iter().map(Quoted::row));
            text.push_str("\n\n");
        }
        text.push_str(&self.by_dataset());
        let about = if self.prices().any(|price| price.is_scaled()) { "about " } else { "" };
        text.push_str(&format!(
            "{} to send{}; cost: {about}{}; nothing was sent",
            count(self.jobs.len(), "job"),
            self.todo.left_out(),
            self.total()
        ));
        text.push_str(&format!("\n{}", self.request.describe()));
        text.extend(self.forwarded.iter().filter_map(Forwarded::text));
        if let Some(max_usd) = self.request.max_usd {
            text.push_str(&match self.known().check(max_usd) {
                Ok(()) => format!("\nmax_usd allows {}", dollars(max_usd)),
                Err(OverBudget { estimate, max_usd }) => format!(
                    "\nmax_usd allows {}, so this run would be refused: it costs about {}",
                    dollars(max_usd),
                    dollars(estimate)
                ),
            });
        }
        if let Some(why) = &self.unseen {
            text.push_str(&format!("\npast reports could not be read: {why}"));
            if self.request.only_incomplete {
                text.push_str("; it is unknown which accounts are complete, so all jobs are counted");
            }
        }
        if let Some(Quoted { planned, .. }) = self.jobs.iter().find(|quoted| quoted.estimate.price.is_none())
        {
            let dataset = planned.job.dataset;
            let (price, each) = estimate::per_thousand(dataset, planned.job.window().date(), self.now);
            let why = if self.unseen.is_some() {
                "the account's price is unknown"
            } else {
                "no report of the account was found"
            };
            let cost = Cost { by_five: (price, price), each: (each, each) };
            text.push_str(&format!(
                "\n?  {why}; 1,000 {} cost about {} for this day{}; --buckets N sets how many an account has",
                dataset.discovery.noun(),
                dollars(price),
                cost.if_each()
            ));
        }
        if self.prices().any(|price| price.is_scaled()) {
            text.push_str(
                "\n~  scaled by the rows of the account's newest report, since a day of the last eleven days needs \
                 fewer metrics than an older one",
            );
        }
        if self.jobs.iter().any(|quoted| quoted.estimate.parts > 1) {
            text.push_str(
                "\nsome metrics are paid for more than once: a job is cut where its rows would not fit into memory, where \
                 CloudWatch keeps another period, and where it no longer lists all series",
            );
        }
        if let Some(settles_at) = self.settles_at() {
            text.push_str(&format!(
                "\nthese reports will be provisional, as CloudWatch may publish the day until {}; --only-incomplete \
                 collects them again after that: {about}{} in all",
                moment(settles_at),
                self.both_collections()
            ));
        }
        text
    }

    /// The time from which the jobs' reports can be settled, if that is in the future.
    fn settles_at(&self) -> Option<DateTime<Utc>> {
        let settles_at = |planned: &PlannedJob| planned.job.windows.end() + planned.job.settle_time();
        self.jobs.iter().map(|quoted| settles_at(&quoted.planned)).max().filter(|at| *at > self.now)
    }

    /// A line for each dataset, if there is more to say than of the run as a whole.
    fn by_dataset(&self) -> String {
        let is_counted_two_ways = self.datasets.iter().any(|row| row.cost.is_counted_two_ways());
        if self.datasets.len() < 2 && !is_counted_two_ways && self.asked.every.is_none() {
            return String::new();
        }
        let mut header = vec!["DATASET", "JOBS", "METRICS", "COST", "EACH PAID"];
        if self.asked.every.is_some() {
            header.extend(["TIMES A MONTH", "MONTH", "EACH PAID"]);
        }
        let numbers: Vec<usize> = (1..header.len()).collect();
        let mut text = table(&header, &numbers, self.datasets.iter().map(OfDataset::row));
        if is_counted_two_ways {
            text.push_str(
                "\nCOST counts up to five statistics of a metric as one, as AWS's price page does; EACH PAID counts each, as \
                 some bills do. Usage type CW:GMD-Metrics in Cost Explorer shows how yours does.",
            );
        }
        if let Some(every) = self.asked.every {
            let paid = if self.request.only_incomplete {
                "with --only-incomplete a window is paid for once, and once more if it was provisional"
            } else {
                "without --only-incomplete each run pays for all its windows again"
            };
            text.push_str(&format!(
                "\na month of 30 days, every {}: {}, {}; {paid}",
                shown(every),
                count(usize::try_from(month::runs(every)).unwrap_or(usize::MAX), "run"),
                self.month_total()
            ));
        }
        text + "\n\n"
    }

    fn month_total(&self) -> Cost {
        let costs = self.datasets.iter().filter_map(|row| row.month).map(|(_, cost)| cost);
        costs.fold(Cost::default(), Cost::and)
    }

    fn month(&self, every: TimeDelta) -> Value {
        self.month_total().within(json!({
            "every_seconds": every.num_seconds(),
            "days": 30,
            "runs": month::runs(every),
        }))
    }

    fn json(&self) -> Value {
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|Quoted { planned, estimate: Estimate { price, range, parts } }| {
                let (per_thousand, per_thousand_each) =
                    estimate::per_thousand(planned.job.dataset, planned.job.window().date(), self.now);
                let mut job = json!({
                    "account_name": planned.job.account_name,
                    "dataset": planned.job.dataset.name,
                    "date": planned.job.window().date(),
                    "report_key": planned.report_key,
                    "api_calls": price.and_then(|price| price.calls),
                    "metrics_requested": price.map(|price| price.metrics),
                    "estimated_cost_usd": price.map(|price| price.dollars),
                    "cost_usd_least": range.dollars.0,
                    "cost_usd_most": range.dollars.1,
                    "cost_usd_each_statistic_least": range.dollars_each.0,
                    "cost_usd_each_statistic_most": range.dollars_each.1,
                    "scaled": price.is_some_and(|price| price.is_scaled()),
                    "cost_usd_per_1000_resources": per_thousand,
                    "cost_usd_per_1000_resources_each_statistic": per_thousand_each,
                });
                let windows = planned.job.windows;
                if let Some(job) = job.as_object_mut().filter(|_| windows.day().is_none()) {
                    let more = json!({
                        "from": timestamp(windows.start()),
                        "to": timestamp(windows.end()),
                        "window": windows.length().to_string(),
                        "windows": windows.count(),
                        "times_paid": parts,
                    });
                    job.extend(more.as_object().cloned().unwrap_or_default());
                }
                job
            })
            .collect();
        self.both_collections().within(json!({
            "dry_run": true,
            "accounts_from": self.request.accounts_from,
            "attributes": self.request.attributes,
            "already_complete": self.todo.already_complete(),
            "provisional": self.todo.provisional.map_or(0, |provisional| provisional.jobs),
            "settles_at": self.todo.provisional.map(|provisional| timestamp(provisional.settles_at)),
            "estimated_cost_usd": estimate::rounded(self.prices().fold(0.0, |total, price| total + price.dollars)),
            "at_least": !self.is_all_known(),
            "collections": if self.settles_at().is_some() { 2 } else { 1 },
            "max_usd": self.request.max_usd,
            "over_budget": self.request.max_usd.map(|max_usd| self.known().check(max_usd).is_err()),
            "settled": settled(self.todo),
            "datasets": self.datasets.iter().map(OfDataset::json).collect::<Vec<_>>(),
            "month": self.asked.every.map(|every| self.month(every)),
            "sinks": self.forwarded.iter().map(Forwarded::json).collect::<Vec<_>>(),
            "past_reports_error": self.unseen,
            "jobs": jobs,
        }))
    }
}

/// The day, or when the windows begin, and how many there are.
fn when(windows: Windows) -> String {
    match windows.day() {
        Some(day) => day.to_string(),
        None => {
            let start = windows.start().format("%Y-%m-%dT%H:%MZ");
            format!("{start} {}x{}", windows.count(), windows.length())
        }
    }
}

impl Quoted {
    fn row(&self) -> Vec<String> {
        let Self { planned, estimate: Estimate { price, range, .. } } = self;
        let mark = match price {
            None => "?",
            Some(price) if price.is_scaled() => "~",
            Some(_) => "",
        };
        let metrics = numbers(range.metrics);
        let calls = price.and_then(|price| price.calls);
        vec![
            planned.job.account_name.to_string(),
            planned.job.dataset.name.to_owned(),
            when(planned.job.windows),
            calls.map_or_else(|| "?".to_owned(), |calls| calls.to_string()),
            format!("{mark}{metrics}"),
            format!("{mark}{}", between(range.dollars)),
        ]
    }
}

#[cfg(test)]
mod tests;
