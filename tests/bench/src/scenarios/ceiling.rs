// SPDX-License-Identifier: Apache-2.0
//! How much the AWS on 127.0.0.1 can answer, with no quota and no latency, so that it is known not to be the
//! bottleneck.

use std::{fs, time::Duration};

use chrono::{NaiveDate, NaiveTime};
use ciborium::{Value, cbor};
use kit::finish;
use local_aws::SyntheticAccount;

use crate::{
    floor::Age,
    load::Load,
    outcome::{Bar, Outcome, case, figure, number},
    stopwatch::own_cpu_s,
    world::{self, date},
};

/// Metrics in the account: a count of objects for each bucket.
const METRICS: usize = 100_000;
const QUERIES: usize = 500;
const CONNECTIONS: usize = 4;

/// `GetMetricData` calls a second that the quotas of four regions let through.
const OF_FOUR_REGIONS: f64 = 200.0;

pub(super) async fn measure(short: bool) -> anyhow::Result<Outcome> {
    let fleet = world::start(Duration::ZERO).await?;
    fleet.aws.quotas(false);
    let account = world::account(&fleet, METRICS, 1);
    let folder = fleet.folder.path().join("requests");
    fs::create_dir(&folder)?;
    for (nth, request) in requests(&account, date(Age::Recent))?.iter().enumerate() {
        fs::write(folder.join(nth.to_string()), request)?;
    }
    let seconds = if short { 2 } else { 10 };
    let arguments = [
        fleet.aws.address().to_string(),
        folder.display().to_string(),
        CONNECTIONS.to_string(),
        seconds.to_string(),
    ];
    let load = fleet.command(&kit::program("load"), "load", &arguments.each_ref().map(String::as_str));
    // Nothing else runs in this process meanwhile: its CPU is the AWS's.
    let before = own_cpu_s()?;
    let load: Load = serde_json::from_value(finish(load).await?.status(0).json()?)?;
    let cpu_s = own_cpu_s()? - before;
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let calls = load.calls as f64;
    let calls_per_s = calls / load.seconds;
    let case = case! {
        "name": "get-metric-data-500-queries",
        "metrics": METRICS,
        "calls_per_s": calls_per_s,
        "cpu_us_per_call": cpu_s / calls * 1e6,
        "connections": CONNECTIONS,
        "calls": load.calls,
    };
    let limit = if short { 1.0 } else { 5.0 };
    let detail = format!("{} a second, {} µs of CPU each", number(calls_per_s), number(cpu_s / calls * 1e6));
    let bar = "calls that local-aws answers, as a multiple of what the quotas of four regions let through";
    let bar = Bar::at_least(bar, calls_per_s / OF_FOUR_REGIONS, limit).with(detail);
    let notes = vec![format!(
        "local-aws is asked for {} metrics, {QUERIES} a GetMetricData, by a client that has a part of the same processors.",
        number(figure(&case, "metrics"))
    )];
    Ok(Outcome {
        scenario: "ceiling".to_owned(),
        short,
        cases: vec![case],
        bars: vec![bar],
        notes,
        made: None,
    })
}

/// The requests, head and all, that ask for every metric once.
fn requests(account: &SyntheticAccount, date: NaiveDate) -> anyhow::Result<Vec<Vec<u8>>> {
    let (region, id) = (&account.buckets()[0].1, account.id());
    let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp();
    let time = |seconds: i64| Value::Tag(1, Box::new(Value::Integer(seconds.into())));
    let mut requests = Vec::new();
    for buckets in account.buckets().chunks(QUERIES) {
        let mut queries = Vec::new();
        for (nth, (bucket, _)) in buckets.iter().enumerate() {
            let metric = cbor!({
                "Namespace" => "AWS/S3",
                "MetricName" => "NumberOfObjects",
                "Dimensions" => [
                    { "Name" => "BucketName", "Value" => bucket },
                    { "Name" => "StorageType", "Value" => "AllStorageTypes" },
                ],
            })?;
            let stat = cbor!({ "Metric" => metric, "Period" => 86_400, "Stat" => "Average" })?;
            queries.push(cbor!({ "Id" => format!("q{nth}"), "MetricStat" => stat })?);
        }
        let input = Value::Map(vec![
            ("MetricDataQueries".into(), Value::Array(queries)),
            ("StartTime".into(), time(midnight - 2 * 86_400)),
            ("EndTime".into(), time(midnight + 86_400)),
        ]);
        let mut body = Vec::new();
        ciborium::into_writer(&input, &mut body)?;
        let mut request = format!(
            "POST /service/GraniteServiceVersion20100801/operation/GetMetricData HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/cbor\r\nSmithy-Protocol: rpc-v2-cbor\r\nContent-Length: {}\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential={id}/20260101/{region}/monitoring/aws4_request\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.append(&mut body);
        requests.push(request);
    }
    Ok(requests)
}
