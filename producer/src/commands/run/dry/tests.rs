// SPDX-License-Identifier: Apache-2.0
use fleet::{Accounts, KeyTemplate, RunId};
use requests::{
    estimate::Range,
    plan::Planning,
    request::{Flags, Surroundings},
    testing::{planned, request},
    when::WhenFlags,
};

use super::*;

const DATE: &str = "2026-07-21";

fn price(metrics: u64, dollars: f64, calls: Option<u64>) -> Price {
    Price { metrics, dollars, dollars_each: dollars, calls }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

fn known(planned: &PlannedJob, price: Price) -> Quoted {
    Quoted {
        planned: planned.clone(),
        estimate: Estimate { price: Some(price), range: price.into(), parts: 1 },
    }
}

fn unknown(planned: &PlannedJob, range: Range) -> Quoted {
    Quoted { planned: planned.clone(), estimate: Estimate { price: None, range, parts: 1 } }
}

fn quote<'a>(request: &'a Request, jobs: Vec<Quoted>, todo: &'a Todo) -> Quote<'a> {
    let (datasets, asked) = (OfDataset::each(request), Asked::default());
    let forwarded = Vec::new();
    Quote { request, jobs, datasets, forwarded, asked, todo, unseen: None, now: at("2026-11-21T10:00:00Z") }
}

const UP_TO_A_THOUSAND: Range =
    Range { metrics: (0, 29_000), dollars: (0.0, 0.29), dollars_each: (0.0, 0.29) };

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
    assert!(text.contains("\npast reports could not be read: report bucket x: denied\n?  the acc"), "{text}");
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
    assert_eq!((&before.json()["collections"], &before.json()["cost_usd_most"]), (&json!(2), &json!(0.116)));
    let after = quote("2026-11-04T12:00:00Z");
    assert!(!after.text().contains("provisional"));
    assert_eq!(after.json()["collections"], 1);
}

#[test]
fn each_dataset_has_both_readings_and_its_month() {
    let flags = Flags {
        account_names: vec!["data".into(), "web".into()],
        datasets: vec!["ecs_service".into(), "sqs".into()],
        only_incomplete: true,
        max_usd: Some(1.0),
        when: WhenFlags { last: Some("1d".into()), ..WhenFlags::default() },
        ..Flags::default()
    };
    let now = at("2026-11-21T10:20:00Z");
    let accounts = Accounts::default();
    let around = Surroundings { now, accounts: Some(&accounts), default_accounts: &[] };
    let planning = Planning { around, clock: None, template: &KeyTemplate::default() };
    let plan = Plan::new(None, &flags, planning, RunId::generate()).expect("valid");
    let mut todo = Todo::all(plan.jobs.len());
    todo.states[0] = JobState::AlreadyComplete;
    let seen = Seen { todo, reports: vec![None; plan.jobs.len()], now };
    let asked = Asked { buckets: Some(100), every: Some(TimeDelta::minutes(5)), sinks: &[] };
    let quote = Quote::new(&plan, &seen, None, asked);
    insta::assert_snapshot!(quote.text(), @r"
    ACCOUNT  DATASET      DATE                     CALLS  METRICS      COST
    data     sqs          2026-11-20                   ?    ?1100    ?$0.01
    web      ecs_service  2026-11-20T10:00Z 24x1h      ?     ?400  ?$0.0040
    web      sqs          2026-11-20                   ?    ?1100    ?$0.01

    DATASET      JOBS  METRICS     COST  EACH PAID  TIMES A MONTH  MONTH  EACH PAID
    ecs_service     1      400  $0.0040    $0.0060            720  $5.76      $8.64
    sqs             2     2200    $0.02      $0.03             30  $0.66      $0.84
    COST counts up to five statistics of a metric as one, as AWS's price page does; EACH PAID counts each, as some bills do. Usage type CW:GMD-Metrics in Cost Explorer shows how yours does.
    a month of 30 days, every 5m: 8640 runs, $6.42, or $9.48 if each statistic is paid; with --only-incomplete a window is paid for once, and once more if it was provisional

    3 jobs to send, 1 already complete; cost: $0.03; nothing was sent
    accounts: the 2 that the request names
    max_usd allows $1.00
    ?  no report of the account was found; 1,000 resources cost about $0.11 for this day, or $0.14 if each statistic is paid; --buckets N sets how many an account has
    ");
    let json = quote.json();
    insta::assert_snapshot!(format!("{:#}", json["month"]), @r#"
    {
      "every_seconds": 300,
      "days": 30,
      "runs": 8640,
      "cost_usd_least": 6.42,
      "cost_usd_most": 6.42,
      "cost_usd_each_statistic_least": 9.48,
      "cost_usd_each_statistic_most": 9.48
    }
    "#);
    insta::assert_snapshot!(format!("{:#}", json["datasets"][0]), @r#"
    {
      "dataset": "ecs_service",
      "jobs": 1,
      "metrics_requested_least": 400,
      "metrics_requested_most": 400,
      "month": {
        "collections": 720,
        "cost_usd_least": 5.76,
        "cost_usd_most": 5.76,
        "cost_usd_each_statistic_least": 8.64,
        "cost_usd_each_statistic_most": 8.64
      },
      "cost_usd_least": 0.004,
      "cost_usd_most": 0.004,
      "cost_usd_each_statistic_least": 0.006,
      "cost_usd_each_statistic_most": 0.006
    }
    "#);
    assert_eq!((&json["max_usd"], &json["over_budget"]), (&json!(1.0), &json!(false)));
    assert_eq!(json["settled"], Value::Null);
}
