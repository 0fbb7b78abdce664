// SPDX-License-Identifier: Apache-2.0
//! What the worker computes itself, for each metric that it asks: the plan of the calls, the rows that
//! answers make, and the table. Everything else of an account is AWS's quotas and the SDK.
//!
//! `just bench-pure`. An element is one metric asked; none may take above a microsecond: at AWS's quota of
//! 25,000 metrics a second and region that is a fortieth of one core.

use std::{collections::HashMap, hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fleet::datasets::{Class, DEFAULT as DATASET, Metric};
use worker::{
    cloudwatch::{
        plan::{self, ListedSeries, Planner, Series, Window},
        rows::{self, Answer, Datapoint, Listing, Reading, Resource, Row},
    },
    table::csv,
};

const BUCKETS: usize = 1000;

/// A recent day, and the two before it for what comes late: up to three datapoints a series.
fn window() -> Window {
    Window::new("2026-11-03".parse().expect("a date"), 2)
}

fn names() -> impl Iterator<Item = Arc<str>> {
    (0..BUCKETS).map(|nth| Arc::from(format!("some-team-data-{nth:04}-eu-west-1")))
}

fn of_general(names: &[Arc<str>]) -> impl Iterator<Item = (Arc<str>, Class)> {
    names.iter().map(|name| (name.clone(), Class::General))
}

/// What a recent day lists of each bucket: two storage classes and the count of objects.
fn listed() -> Vec<ListedSeries> {
    let [objects, sizes]: [&'static Metric; 2] = [&DATASET.metrics[0], &DATASET.metrics[1]];
    let series =
        [(sizes, "StandardStorage"), (sizes, "GlacierInstantRetrievalStorage"), (objects, "AllStorageTypes")];
    series
        .into_iter()
        .flat_map(|(metric, value)| {
            names().map(move |name| ListedSeries {
                metric,
                resource: name.to_string(),
                value: value.to_owned(),
            })
        })
        .collect()
}

fn plan_of(listed: Vec<ListedSeries>, names: &[Arc<str>]) -> Vec<Vec<Series>> {
    let places: HashMap<Arc<str>, u32> = names.iter().cloned().zip(0..).collect();
    let mut planner = Planner::new(*DATASET, plan::QUERIES_PER_CALL);
    let mut calls = Vec::new();
    for ListedSeries { metric, resource, value } in listed {
        let (name, place) = places.get_key_value(resource.as_str()).expect("one of the names");
        calls.extend(planner.add(metric, value, *place, name));
    }
    calls.extend(planner.rest());
    calls
}

fn answers(calls: &[Vec<Series>]) -> Vec<Vec<Answer>> {
    let days = ["2026-11-01", "2026-11-02", "2026-11-03"].map(|day| day.parse().expect("a day"));
    let answer = |_: &Series| Ok(days.map(|day| Datapoint { day, value: 123_456_789.0 }).to_vec());
    calls.iter().map(|series| series.iter().map(answer).collect()).collect()
}

fn rows_of(names: &[Arc<str>], calls: &[Vec<Series>], answers: Vec<Vec<Answer>>) -> Vec<Row> {
    let mut readings = vec![Reading::default(); names.len()];
    for (series, answers) in calls.iter().zip(answers) {
        for (series, answer) in series.iter().zip(answers) {
            readings[series.resource as usize].add(series.kind.column, answer, window());
        }
    }
    let region: Arc<str> = "eu-west-1".into();
    let mut rows: Vec<Row> = names
        .iter()
        .zip(readings)
        .filter_map(|(name, reading)| {
            let (name, region) = (name.clone(), Some(region.clone()));
            let creation_date = Some("2020-02-29".parse().expect("a day"));
            let resource =
                Resource { name, region, creation_date, listing: Listing::Listed, class: Class::General };
            reading.into_row(resource, window(), true)
        })
        .collect();
    rows::sort(&mut rows);
    rows
}

fn pure(criterion: &mut Criterion) {
    let names: Vec<Arc<str>> = names().collect();
    let (account_name, account_id) =
        ("data".parse().expect("a name"), "111111111111".parse().expect("an id"));
    let subject = csv::Subject {
        dataset: *DATASET,
        account_name: &account_name,
        account_id: &account_id,
        date: window().date(),
    };
    let recent = plan_of(listed(), &names);
    let old: Vec<Vec<Series>> =
        plan::everything(*DATASET, of_general(&names), plan::QUERIES_PER_CALL).collect();

    for (age, calls) in [("recent", &recent), ("old", &old)] {
        let metrics: usize = calls.iter().map(Vec::len).sum();
        let mut group = criterion.benchmark_group(age);
        group.throughput(Throughput::Elements(metrics as u64));
        group.bench_function("plan", |bencher| match age {
            "recent" => bencher.iter_batched(listed, |listed| plan_of(listed, &names), BatchSize::LargeInput),
            _ => bencher.iter(|| {
                plan::everything(*DATASET, of_general(black_box(&names)), plan::QUERIES_PER_CALL)
                    .map(|call| call.len())
                    .sum::<usize>()
            }),
        });
        group.bench_function("rows", |bencher| {
            let rows = |answers| rows_of(&names, calls, answers);
            bencher.iter_batched(|| answers(calls), rows, BatchSize::LargeInput);
        });
        let rows = rows_of(&names, calls, answers(calls));
        group.bench_function("csv", |bencher| bencher.iter(|| csv::encode(&subject, black_box(&rows))));
        group.finish();
    }
}

criterion_group!(benches, pure);
criterion_main!(benches);
