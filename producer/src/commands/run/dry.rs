//! `run --dry-run`: the jobs, and what they will cost.

use chrono::{DateTime, Utc};
use fleet::{
    existing::ExistingReport,
    exit::{CommandError, Outcome},
    manifest::JobState,
    output::{self, Format, count, dollars, table},
    report_bucket::ReportBucket,
};
use serde_json::{Value, json};

use super::Plan;
use crate::{
    estimate::{self, Price},
    expand::PlannedJob,
    history,
    request::Request,
    todo::{Todo, moment, timestamp},
};

/// The jobs that would be sent, each with its price where it is known.
struct Quote<'a> {
    request: &'a Request,
    jobs: Vec<(&'a PlannedJob, Option<Price>)>,
    todo: &'a Todo,
    now: DateTime<Utc>,
}

/// Shows what a run would send, and what it would cost.
pub(super) async fn show(
    bucket: &ReportBucket,
    plan: &Plan,
    todo: &Todo,
    format: Format,
) -> Result<Outcome, CommandError> {
    let jobs = plan.jobs.iter().zip(&todo.states);
    let to_send: Vec<PlannedJob> =
        jobs.filter(|(_, state)| **state == JobState::Sent).map(|(planned, _)| planned.clone()).collect();
    let reports = history::newest_reports(bucket, &to_send).await?;
    let now = bucket.now();
    let price = |(planned, report): (&PlannedJob, Option<ExistingReport>)| {
        report.map(|report| estimate::price(&report.metadata, planned.job.dataset, planned.job.date, now))
    };
    let prices: Vec<Option<Price>> = to_send.iter().zip(reports).map(price).collect();
    let quote = Quote { request: &plan.request, jobs: to_send.iter().zip(prices).collect(), todo, now };
    match format {
        Format::Text => output::print(&quote.text())?,
        Format::Json => output::print_json(&quote.json())?,
    }
    Ok(Outcome::Done)
}

impl Quote<'_> {
    fn total(&self) -> f64 {
        // Not `sum`, which gives -0 where there is nothing to add.
        self.prices().fold(0.0, |total, price| total + price.dollars)
    }

    fn prices(&self) -> impl Iterator<Item = Price> {
        self.jobs.iter().filter_map(|(_, price)| *price)
    }

    fn is_all_known(&self) -> bool {
        self.jobs.iter().all(|(_, price)| price.is_some())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.jobs.is_empty() {
            let header = ["ACCOUNT", "DATASET", "DATE", "CALLS", "METRICS", "COST"];
            text = table(&header, &[3, 4, 5], self.jobs.iter().map(|(planned, price)| row(planned, *price)));
            text.push_str("\n\n");
        }
        let left_out = self.todo.left_out();
        let at_least = if self.is_all_known() { "" } else { "at least " };
        let about = if self.prices().any(|price| price.is_scaled()) { "about " } else { "" };
        let cost = if self.jobs.is_empty() || self.prices().next().is_some() {
            format!("{at_least}{about}{}", dollars(self.total()))
        } else {
            "not known yet".to_owned()
        };
        text.push_str(&format!(
            "{} to send{left_out}; cost: {cost}; nothing was sent",
            count(self.jobs.len(), "job")
        ));
        text.push_str(&format!("\n{}", self.request.describe()));
        if let Some((planned, _)) = self.jobs.iter().find(|(_, price)| price.is_none()) {
            let (noun, price) = estimate::per_thousand(planned.job.dataset, planned.job.date, self.now);
            text.push_str(&format!(
                "\n?  no report of the account was found; 1,000 {noun} cost about ${price:.2} on this day"
            ));
        }
        if self.prices().any(|price| price.is_scaled()) {
            text.push_str(
                "\n~  scaled by the rows of the account's newest report, since of a day of up to two weeks ago \
                 fewer metrics are asked than of an older one",
            );
        }
        if let Some(settles_at) = self.settles_at() {
            text.push_str(&format!(
                "\nthese reports will be provisional, as CloudWatch may publish the day until {}; --only-incomplete \
                 collects them once more after that, for about the same price",
                moment(settles_at)
            ));
        }
        text
    }

    /// From when on the reports of the jobs can be settled, if that is not yet.
    fn settles_at(&self) -> Option<DateTime<Utc>> {
        let settles_at = |planned: &PlannedJob| planned.job.date.end() + planned.job.dataset.settle_time();
        self.jobs.iter().map(|(planned, _)| settles_at(planned)).max().filter(|at| *at > self.now)
    }

    fn json(&self) -> Value {
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|(planned, price)| {
                let (_, per_thousand) =
                    estimate::per_thousand(planned.job.dataset, planned.job.date, self.now);
                json!({
                    "account_name": planned.job.account_name,
                    "dataset": planned.job.dataset.name,
                    "date": planned.job.date,
                    "report_key": planned.report_key,
                    "api_calls": price.and_then(|price| price.calls),
                    "metrics_requested": price.map(|price| price.metrics),
                    "estimated_cost_usd": price.map(|price| price.dollars),
                    "scaled": price.is_some_and(|price| price.is_scaled()),
                    "cost_usd_per_1000_resources": per_thousand,
                })
            })
            .collect();
        json!({
            "dry_run": true,
            "accounts_from": self.request.accounts_from,
            "attributes": self.request.attributes,
            "already_complete": self.todo.already_complete(),
            "provisional": self.todo.provisional.map_or(0, |provisional| provisional.jobs),
            "settles_at": self.todo.provisional.map(|provisional| timestamp(provisional.settles_at)),
            "estimated_cost_usd": self.total(),
            "at_least": !self.is_all_known(),
            "jobs": jobs,
        })
    }
}

fn row(planned: &PlannedJob, price: Option<Price>) -> Vec<String> {
    let (calls, metrics, cost) = match price {
        None => ("?".to_owned(), "?".to_owned(), "?".to_owned()),
        Some(price) => {
            let about = if price.is_scaled() { "~" } else { "" };
            (
                price.calls.map_or_else(|| "?".to_owned(), |calls| calls.to_string()),
                format!("{about}{}", price.metrics),
                format!("{about}{}", dollars(price.dollars)),
            )
        }
    };
    vec![
        planned.job.account_name.to_string(),
        planned.job.dataset.name.to_owned(),
        planned.job.date.to_string(),
        calls,
        metrics,
        cost,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::tests::{planned, request};

    const DATE: &str = "2026-07-21";

    fn price(metrics: u64, dollars: f64, calls: Option<u64>) -> Price {
        Price { metrics, dollars, calls }
    }

    #[test]
    fn unknown_prices_are_told_as_such() {
        let [data, opra, new] = ["data", "opra-dev", "new"].map(|account| planned(account, DATE));
        let todo = Todo { states: vec![JobState::AlreadyComplete; 2], ..Todo::default() };
        let quote = Quote {
            request: &request(&["data", "opra-dev", "new"]),
            jobs: vec![
                (&data, Some(price(5_800, 0.058, Some(14)))),
                (&opra, Some(price(29_000, 0.29, None))),
                (&new, None),
            ],
            todo: &todo,
            now: "2026-11-21T10:00:00Z".parse().expect("a moment"),
        };
        insta::assert_snapshot!(quote.text(), @r"
        ACCOUNT   DATASET           DATE        CALLS  METRICS      COST
        data      s3_daily_storage  2026-07-21     14     5800   $0.0580
        opra-dev  s3_daily_storage  2026-07-21      ?   ~29000  ~$0.2900
        new       s3_daily_storage  2026-07-21      ?        ?         ?

        3 jobs to send, 2 already complete; cost: at least about $0.3480; nothing was sent
        accounts: the 3 that the request names
        ?  no report of the account was found; 1,000 buckets cost about $0.29 on this day
        ~  scaled by the rows of the account's newest report, since of a day of up to two weeks ago fewer metrics are asked than of an older one
        ");
        let told = quote.json();
        assert_eq!(told["at_least"], true);
        assert_eq!(told["jobs"][1]["scaled"], true);
        assert_eq!(told["jobs"][2]["estimated_cost_usd"], Value::Null);
        assert_eq!(told["jobs"][0]["api_calls"], 14);
    }

    #[test]
    fn known_prices_are_a_price() {
        let data = planned("data", DATE);
        let request = request(&["data"]);
        let (none, one) = (Todo::all(1), Todo { states: vec![JobState::AlreadyComplete], ..Todo::default() });
        let mut quote = Quote {
            request: &request,
            jobs: vec![(&data, Some(price(5_800, 0.058, Some(14))))],
            todo: &none,
            now: "2026-11-21T10:00:00Z".parse().expect("a moment"),
        };
        let text = quote.text();
        assert!(text.contains("1 job to send; cost: $0.0580; nothing was sent\naccounts: the one"), "{text}");
        quote.jobs = vec![(&data, None)];
        assert!(
            quote.text().contains("1 job to send; cost: not known yet; nothing was sent"),
            "{}",
            quote.text()
        );
        quote.jobs.clear();
        quote.todo = &one;
        assert!(
            quote.text().starts_with("0 jobs to send, 1 already complete; cost: $0.0000; nothing was sent\n"),
            "{}",
            quote.text()
        );
    }

    #[test]
    fn a_day_that_is_not_settled_is_said_to_cost_two_collections() {
        let data = planned("data", "2026-11-01");
        let todo = Todo::all(1);
        let text = |now: &str| {
            let jobs = vec![(&data, Some(price(5_800, 0.058, Some(14))))];
            Quote { request: &request(&["data"]), jobs, todo: &todo, now: now.parse().expect("a moment") }
                .text()
        };
        let expected = "CloudWatch may publish the day until 2026-11-04 12:00 UTC; --only-incomplete collects them once \
                        more after that, for about the same price";
        assert!(text("2026-11-04T11:59:59Z").ends_with(expected), "{}", text("2026-11-04T11:59:59Z"));
        assert!(!text("2026-11-04T12:00:00Z").contains("provisional"));
    }
}
