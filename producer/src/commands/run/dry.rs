// SPDX-License-Identifier: Apache-2.0
//! `run --dry-run`: shows the jobs and what they will cost.

use chrono::{DateTime, Utc};
use cli::{
    exit::{CommandError, Outcome},
    output::{self, Format, count, dollars, table},
};
use fleet::{Windows, existing::ExistingReport, manifest::JobState, report_bucket::ReportBucket};
use requests::{
    estimate::{self, Price, Range},
    expand::PlannedJob,
    history,
    plan::Plan,
    request::Request,
    todo::{Todo, moment, timestamp},
};
use serde_json::{Value, json};

/// What a dry run reads from the report bucket.
pub(super) struct Seen {
    todo: Todo,
    /// The newest report of each account whose job is to be sent.
    reports: Vec<Option<ExistingReport>>,
    now: DateTime<Utc>,
}

/// The jobs that would be sent, and their cost.
struct Quote<'a> {
    request: &'a Request,
    jobs: Vec<Quoted<'a>>,
    todo: &'a Todo,
    /// Why past reports are unknown, and with them what is already complete.
    unseen: Option<String>,
    now: DateTime<Utc>,
}

/// A job, with its price if known.
struct Quoted<'a> {
    planned: &'a PlannedJob,
    price: Option<Price>,
    range: Range,
    /// How often each metric is paid for.
    parts: u64,
}

impl Seen {
    /// Looks up past reports of the jobs to send.
    pub(super) async fn read(bucket: &ReportBucket, plan: &Plan, todo: Todo) -> anyhow::Result<Self> {
        let to_send: Vec<PlannedJob> = to_send(plan, &todo).cloned().collect();
        let reports = history::newest_reports(bucket, &to_send).await?;
        Ok(Self { todo, reports, now: bucket.now() })
    }
}

fn to_send<'a>(plan: &'a Plan, todo: &'a Todo) -> impl Iterator<Item = &'a PlannedJob> {
    let jobs = plan.jobs.iter().zip(&todo.states);
    jobs.filter(|(_, state)| **state == JobState::Sent).map(|(planned, _)| planned)
}

/// Shows what a run would send and what it would cost. Accounts without a report are assumed to have
/// `buckets` buckets.
pub(super) fn show(
    plan: &Plan,
    seen: anyhow::Result<Seen>,
    buckets: Option<u64>,
    format: Format,
) -> Result<Outcome, CommandError> {
    let (seen, unseen) = match seen {
        Ok(seen) => (seen, None),
        Err(why) => {
            let (todo, reports) = (Todo::all(plan.jobs.len()), vec![None; plan.jobs.len()]);
            (Seen { todo, reports, now: Utc::now() }, Some(format!("{why:#}")))
        }
    };
    let Seen { todo, reports, now } = seen;
    let plan = &Plan { jobs: todo.narrow(plan.jobs.clone()), ..plan.clone() };
    let jobs = to_send(plan, &todo).zip(reports).map(|(planned, report)| {
        let PlannedJob { job, .. } = planned;
        let (date, report) = (job.window().date(), report.map(|report| report.metadata));
        let parts = estimate::parts(job, report.as_ref(), buckets, now);
        let price = report.as_ref();
        let price = price.map(|report| estimate::price_once(report, job.dataset, date, now).times(parts));
        let guess = || estimate::guess(job.dataset, date, now, buckets).times(parts);
        Quoted { planned, price, range: price.map_or_else(guess, Range::from), parts }
    });
    let jobs = jobs.collect();
    let quote = Quote { request: &plan.request, jobs, todo: &todo, unseen, now };
    match format {
        Format::Text => output::print(&quote.text())?,
        Format::Json => output::print_json(&quote.json())?,
    }
    Ok(Outcome::Done)
}

impl Quote<'_> {
    /// The minimum and maximum cost of one collection.
    fn total(&self) -> (f64, f64) {
        // Not `sum`, which returns -0 for an empty iterator.
        let add = |total: (f64, f64), more: (f64, f64)| (total.0 + more.0, total.1 + more.1);
        self.jobs.iter().map(|quoted| quoted.range.dollars).fold((0.0, 0.0), add)
    }

    fn prices(&self) -> impl Iterator<Item = Price> {
        self.jobs.iter().filter_map(|quoted| quoted.price)
    }

    fn is_all_known(&self) -> bool {
        self.jobs.iter().all(|quoted| quoted.price.is_some())
    }

    /// The cost of both collections, if a report made now must be collected again once the day is
    /// settled.
    fn both_collections(&self) -> (f64, f64) {
        let (least, most) = self.total();
        let times = if self.settles_at().is_some() { 2.0 } else { 1.0 };
        (rounded(times * least), rounded(times * most))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.jobs.is_empty() {
            let header = ["ACCOUNT", "DATASET", "DATE", "CALLS", "METRICS", "COST"];
            text = table(&header, &[3, 4, 5], self.jobs.iter().map(Quoted::row));
            text.push_str("\n\n");
        }
        let about = if self.prices().any(|price| price.is_scaled()) { "about " } else { "" };
        text.push_str(&format!(
            "{} to send{}; cost: {about}{}; nothing was sent",
            count(self.jobs.len(), "job"),
            self.todo.left_out(),
            between(self.total())
        ));
        text.push_str(&format!("\n{}", self.request.describe()));
        if let Some(why) = &self.unseen {
            text.push_str(&format!("\npast reports could not be read: {why}"));
            if self.request.only_incomplete {
                text.push_str("; it is unknown which accounts are complete, so all jobs are counted");
            }
        }
        if let Some(Quoted { planned, .. }) = self.jobs.iter().find(|quoted| quoted.price.is_none()) {
            let (noun, price) =
                estimate::per_thousand(planned.job.dataset, planned.job.window().date(), self.now);
            let why = if self.unseen.is_some() {
                "the account's price is unknown"
            } else {
                "no report of the account was found"
            };
            text.push_str(&format!(
                "\n?  {why}; 1,000 {noun} cost about {} for this day; --buckets N sets how many an account has",
                dollars(price)
            ));
        }
        if self.prices().any(|price| price.is_scaled()) {
            text.push_str(
                "\n~  scaled by the rows of the account's newest report, since a day of the last eleven days needs \
                 fewer metrics than an older one",
            );
        }
        if self.jobs.iter().any(|quoted| quoted.parts > 1) {
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
                between(self.both_collections())
            ));
        }
        text
    }

    /// The time from which the jobs' reports can be settled, if that is in the future.
    fn settles_at(&self) -> Option<DateTime<Utc>> {
        let settles_at = |planned: &PlannedJob| planned.job.windows.end() + planned.job.settle_time();
        self.jobs.iter().map(|quoted| settles_at(quoted.planned)).max().filter(|at| *at > self.now)
    }

    fn json(&self) -> Value {
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|Quoted { planned, price, range, parts }| {
                let (_, per_thousand) =
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
                    "scaled": price.is_some_and(|price| price.is_scaled()),
                    "cost_usd_per_1000_resources": per_thousand,
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
        let (least, most) = self.both_collections();
        json!({
            "dry_run": true,
            "accounts_from": self.request.accounts_from,
            "attributes": self.request.attributes,
            "already_complete": self.todo.already_complete(),
            "provisional": self.todo.provisional.map_or(0, |provisional| provisional.jobs),
            "settles_at": self.todo.provisional.map(|provisional| timestamp(provisional.settles_at)),
            "estimated_cost_usd": rounded(self.prices().fold(0.0, |total, price| total + price.dollars)),
            "at_least": !self.is_all_known(),
            "collections": if self.settles_at().is_some() { 2 } else { 1 },
            "cost_usd_least": least,
            "cost_usd_most": most,
            "past_reports_error": self.unseen,
            "jobs": jobs,
        })
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

/// Rounded to the millionth: binary fractions would show in JSON.
fn rounded(dollars: f64) -> f64 {
    (dollars * 1e6).round() / 1e6
}

/// Two amounts, or one if both are printed alike.
fn between((least, most): (f64, f64)) -> String {
    let (least, most) = (dollars(least), dollars(most));
    if least == most { most } else { format!("{least} to {most}") }
}

impl Quoted<'_> {
    fn row(&self) -> Vec<String> {
        let Self { planned, price, range, .. } = self;
        let mark = match price {
            None => "?",
            Some(price) if price.is_scaled() => "~",
            Some(_) => "",
        };
        let metrics = match range.metrics {
            (fewest, most) if fewest == most => most.to_string(),
            (fewest, most) => format!("{fewest} to {most}"),
        };
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
mod tests {
    use requests::testing::{planned, request};

    use super::*;

    const DATE: &str = "2026-07-21";

    fn price(metrics: u64, dollars: f64, calls: Option<u64>) -> Price {
        Price { metrics, dollars, calls }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    fn known(planned: &PlannedJob, price: Price) -> Quoted<'_> {
        Quoted { planned, price: Some(price), range: price.into(), parts: 1 }
    }

    fn unknown(planned: &PlannedJob, range: Range) -> Quoted<'_> {
        Quoted { planned, price: None, range, parts: 1 }
    }

    fn quote<'a>(request: &'a Request, jobs: Vec<Quoted<'a>>, todo: &'a Todo) -> Quote<'a> {
        Quote { request, jobs, todo, unseen: None, now: at("2026-11-21T10:00:00Z") }
    }

    const UP_TO_A_THOUSAND: Range = Range { metrics: (0, 29_000), dollars: (0.0, 0.29) };

    #[test]
    fn an_unknown_price_makes_a_range() {
        let [data, opra, new] = ["data", "opra-dev", "new"].map(|account| planned(account, DATE));
        let todo = Todo { states: vec![JobState::AlreadyComplete; 2], ..Todo::default() };
        let request = request(&["data", "opra-dev", "new"]);
        let jobs = vec![
            known(&data, price(5_800, 0.058, Some(14))),
            known(&opra, price(29_000, 0.29, None)),
            unknown(&new, UP_TO_A_THOUSAND),
        ];
        let quote = quote(&request, jobs, &todo);
        insta::assert_snapshot!(quote.text(), @r"
        ACCOUNT   DATASET           DATE        CALLS      METRICS             COST
        data      s3_daily_storage  2026-07-21     14         5800            $0.06
        opra-dev  s3_daily_storage  2026-07-21      ?       ~29000           ~$0.29
        new       s3_daily_storage  2026-07-21      ?  ?0 to 29000  ?$0.00 to $0.29

        3 jobs to send, 2 already complete; cost: about $0.35 to $0.64; nothing was sent
        accounts: the 3 that the request names
        ?  no report of the account was found; 1,000 buckets cost about $0.28 for this day; --buckets N sets how many an account has
        ~  scaled by the rows of the account's newest report, since a day of the last eleven days needs fewer metrics than an older one
        ");
        let json = quote.json();
        assert_eq!((&json["at_least"], &json["collections"]), (&json!(true), &json!(1)));
        assert_eq!((&json["cost_usd_least"], &json["cost_usd_most"]), (&json!(0.348), &json!(0.638)));
        assert_eq!(json["jobs"][1]["scaled"], true);
        assert_eq!(json["jobs"][2]["estimated_cost_usd"], Value::Null);
        assert_eq!(json["jobs"][2]["cost_usd_most"], 0.29);
        assert_eq!(json["jobs"][0]["api_calls"], 14);
    }

    #[test]
    fn reports_that_cannot_be_read_are_not_reported_as_absent() {
        let new = planned("new", DATE);
        let (todo, asked) = (Todo::all(1), request(&["new"]));
        let mut quote = quote(&asked, vec![unknown(&new, UP_TO_A_THOUSAND)], &todo);
        quote.unseen = Some("report bucket x: denied".into());
        let text = quote.text();
        assert!(text.contains("1 job to send; cost: $0.00 to $0.29; nothing was sent"), "{text}");
        assert!(
            text.contains("\npast reports could not be read: report bucket x: denied\n?  the acc"),
            "{text}"
        );
        assert!(!text.contains("was found"), "{text}");
        assert_eq!(quote.json()["past_reports_error"], "report bucket x: denied");
        let asked = Request { only_incomplete: true, ..request(&["new"]) };
        quote.request = &asked;
        assert!(quote.text().contains("it is unknown which accounts are complete, so all jobs are counted"));
    }

    #[test]
    fn known_prices_are_a_price() {
        let data = planned("data", DATE);
        let request = request(&["data"]);
        let (all, none) = (Todo::all(1), Todo { states: vec![JobState::AlreadyComplete], ..Todo::default() });
        let text = quote(&request, vec![known(&data, price(5_800, 0.058, Some(14)))], &all).text();
        assert!(text.contains("1 job to send; cost: $0.06; nothing was sent\naccounts: the one"), "{text}");
        let text = quote(&request, Vec::new(), &none).text();
        assert!(
            text.starts_with("0 jobs to send, 1 already complete; cost: $0.00; nothing was sent\n"),
            "{text}"
        );
    }

    #[test]
    fn a_day_that_is_not_settled_costs_two_collections() {
        let data = planned("data", "2026-11-01");
        let (todo, request) = (Todo::all(1), request(&["data"]));
        let quote = |now: &str| {
            let jobs = vec![known(&data, price(5_800, 0.058, Some(14)))];
            Quote { now: at(now), ..quote(&request, jobs, &todo) }
        };
        let before = quote("2026-11-04T11:59:59Z");
        let expected = "CloudWatch may publish the day until 2026-11-04 12:00 UTC; --only-incomplete collects them again \
                        after that: $0.12 in all";
        assert!(before.text().ends_with(expected), "{}", before.text());
        assert_eq!(
            (&before.json()["collections"], &before.json()["cost_usd_most"]),
            (&json!(2), &json!(0.116))
        );
        let after = quote("2026-11-04T12:00:00Z");
        assert!(!after.text().contains("provisional"));
        assert_eq!(after.json()["collections"], 1);
    }
}
