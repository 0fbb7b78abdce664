// SPDX-License-Identifier: Apache-2.0
//! Sink `cloudwatch`: each datapoint of a report as a statistic set of a metric in one region, usually of a central account.
//!
//! CloudWatch adds what is put twice, and has no token that would make a repetition harmless. So each request is recorded
//! before it is sent, and its answer before the next one is: at any time at most one is uncertain. It is put again if it has
//! gauges, whose Average, Minimum and Maximum stay right, and is counted as unknown if it has counters.

mod client;
mod points;
mod progress;
mod requests;
mod series;

use anyhow::Context;
use aws_config::SdkConfig;
use chrono::TimeDelta;
use fleet::{Dataset, aws::is_region, settings::Value};
use futures::{FutureExt, future::BoxFuture};

use self::{
    client::{Answer, Client},
    points::{Points, Rejects},
    progress::{Progress, Step},
    requests::{Request, Requests},
    series::Series,
};
use crate::{
    marker::Counts,
    settings::Settings,
    sink::Sink,
    transfer::{Record, Transfer},
};

/// How old a datapoint may be: two weeks, less the time that a request may take.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>
const MAX_AGE: TimeDelta = TimeDelta::minutes(14 * 24 * 60 - 5);

/// The maximum length of a namespace.
const MAX_NAMESPACE: usize = 255;

/// A namespace of `CloudWatch` in one region.
#[derive(Debug)]
struct Namespace {
    client: Client,
    aws: SdkConfig,
    datasets: Vec<(&'static Dataset, Series)>,
}

/// One report on its way.
struct Sending<'a, 'b> {
    client: &'a Client,
    record: &'a mut Record<'b>,
    progress: Progress,
    counts: Counts,
    /// How many requests were looked at.
    place: u32,
    /// Whether only what is unknown is put again.
    is_forced: bool,
    /// Whether its windows are those that the sink takes.
    is_taken: bool,
}

/// The keys `region` and `namespace`.
pub(super) fn open(settings: &Settings<'_>) -> Option<Box<dyn Sink>> {
    let region = settings.table.required("region").and_then(|value| region_of(&value));
    let namespace = settings.table.required("namespace").and_then(|value| namespace_of(&value));
    let mut datasets = Vec::new();
    for dataset in settings.datasets {
        match Series::new(dataset) {
            Ok(series) => datasets.push((*dataset, series)),
            Err(said) => settings.table.fault("datasets", said),
        }
    }
    if let Some(said) = series::clash(&datasets) {
        settings.table.fault("datasets", said);
    }
    let client = Client::new(settings.aws, region?, namespace?);
    let is_whole = datasets.len() == settings.datasets.len();
    is_whole.then(|| Box::new(Namespace { client, aws: settings.aws.clone(), datasets }) as Box<dyn Sink>)
}

/// How many metrics of each resource of a dataset a sink of this type puts.
#[must_use]
pub fn metrics_put(dataset: &Dataset) -> usize {
    Series::new(dataset).map_or(0, |series| series.measured.len())
}

fn region_of<'a>(value: &Value<'a>) -> Option<&'a str> {
    let region = value.text()?;
    if !is_region(region) {
        value.fault("is no region; write it as eu-west-1");
        return None;
    }
    Some(region)
}

fn namespace_of<'a>(value: &Value<'a>) -> Option<&'a str> {
    let namespace = value.text()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#: ".contains(&byte);
    if namespace.starts_with("AWS/") {
        value.fault("begins with AWS/, which CloudWatch keeps for AWS's own metrics; choose another, such as Fleet/ECS");
    } else if namespace.starts_with(':')
        || namespace.len() > MAX_NAMESPACE
        || !namespace.bytes().all(is_plain)
    {
        value.fault(format!(
            "is no namespace: letters, digits and ._-/#: , {MAX_NAMESPACE} at most, with no colon first"
        ));
    } else {
        return Some(namespace);
    }
    None
}

impl Sink for Namespace {
    fn check(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        async {
            let Client { namespace, region, .. } = &self.client;
            for (Dataset { name, .. }, Series { left_out, .. }) in &self.datasets {
                if !left_out.is_empty() {
                    let metrics = left_out.join(", ");
                    tracing::info!(
                        "of {name}, these metrics are not put into {namespace} in {region}, since they lack a statistic of {}: {metrics}",
                        series::STATISTICS.join(", ")
                    );
                }
            }
            self.client.check(&self.aws).await
        }
        .boxed()
    }

    fn deliver<'a>(&'a self, transfer: &'a mut Transfer<'_>) -> BoxFuture<'a, anyhow::Result<Counts>> {
        self.send(transfer).boxed()
    }
}

impl Namespace {
    async fn send(&self, Transfer { report, record }: &mut Transfer<'_>) -> anyhow::Result<Counts> {
        let series = self.datasets.iter().find(|(dataset, _)| dataset.name == report.dataset.name);
        let (_, series) = series.context("its dataset was taken out of the sink")?;
        let (window, own) = (report.metadata.window.length(), report.dataset.window);
        if window != own {
            tracing::warn!(
                key = report.key,
                "nothing of the report is put: it is of {window}, and the windows of {} are of {own}; those of two lengths would be added up",
                report.dataset.name
            );
        }
        let points = Points::new(series, report);
        if !points.absent.is_empty() {
            let metrics = points.absent.join(", ");
            tracing::warn!(
                key = report.key,
                "the report has no statistic sets of {metrics}; it is older than their columns"
            );
        }
        let mut sending = Sending::new(&self.client, record, window == own);
        let (mut requests, mut rejects) = (Requests::new(), Rejects::default());
        while let Some(row) = report.next().await? {
            for point in points.of(row, &mut rejects) {
                if let Some(full) = requests.add(point) {
                    sending.send(full).await?;
                }
            }
        }
        for request in requests.end() {
            sending.send(request).await?;
        }
        let Sending { progress, mut counts, .. } = sending;
        counts.rejected = rejects.count;
        if let Some(lines) = rejects.into_lines() {
            record.reject(lines).await?;
        }
        if progress.has_unknown() {
            record.keep(&progress)?;
        }
        Ok(counts)
    }
}

impl<'a, 'b> Sending<'a, 'b> {
    fn new(client: &'a Client, record: &'a mut Record<'b>, is_taken: bool) -> Self {
        let known = record.earlier().map(|earlier| (earlier.is_done(), earlier.counts));
        let is_forced = known.is_some_and(|(is_done, _)| is_done);
        let (progress, counts) = match (record.state(), known) {
            (Some(progress), Some((_, counts))) => (progress, counts),
            // What is unknown of it can't be put again.
            (None, Some((true, counts))) => (Progress::default(), counts),
            (None, Some((false, _))) => (Progress::after_another(record.earlier_state()), Counts::default()),
            (_, None) => (Progress::default(), Counts::default()),
        };
        Self { client, record, progress, counts, place: 0, is_forced, is_taken }
    }

    /// Sends a request, unless an earlier attempt did.
    async fn send(&mut self, request: Request) -> anyhow::Result<()> {
        let oldest = if self.is_taken { (self.record.now() - MAX_AGE).timestamp() } else { i64::MAX };
        let place = self.place;
        self.place += 1;
        let step = if self.is_forced {
            self.progress.again(place, &request, oldest)
        } else {
            self.progress.next(place, &request, oldest)
        };
        let Some(Step { put, counts, before, after }) = step else { return Ok(()) };
        if !put.is_empty() {
            self.record.begun(self.counts, &before).await?;
            let data = put.into_iter().map(|point| point.datum.clone()).collect();
            match self.client.put(data).await {
                Answer::Put => {}
                Answer::NotPut(error) => {
                    // Where this can't be written, it stays uncertain.
                    let _ = self.record.begun(self.counts, &self.progress).await;
                    return Err(error);
                }
                Answer::Uncertain(error) => {
                    return Err(error.context("it is not known whether CloudWatch has the last request"));
                }
            }
        }
        if self.is_forced {
            self.counts.unknown = self.counts.unknown.saturating_sub(counts.repeated);
        }
        self.counts += counts;
        self.progress = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use fleet::configuration;

    use super::series::tests::FILE;

    fn faults(sink: &str) -> Option<String> {
        let own = FILE.replace("[[metric]]", "[[dataset.metric]]");
        let text = format!(
            "[[sink]]\nname = 'central'\ntype = 'cloudwatch'\n{sink}\n[[dataset]]\n{own}\n[[dataset]]\n{}",
            own.replace("'forwarded'", "'again'")
        );
        let aws = SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build();
        let read = configuration::parse(&text, |list| crate::take(list, &aws));
        read.err().map(|faults| faults.to_string())
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_named_with_the_reason() {
        let region = "region = 'eu-west-1'\nnamespace = 'Fleet/ECS'";
        let forwarded = "datasets = ['forwarded']";
        assert_eq!(faults(&format!("{forwarded}\n{region}")), None);
        for (sink, expected) in [
            (
                forwarded.to_owned(),
                "line 1, sink[0].namespace: is missing\nline 1, sink[0].region: is missing",
            ),
            (
                format!("{forwarded}\nregion = 'Ireland'\nnamespace = 'AWS/ECS'"),
                "line 5, sink[0].region: is no region; write it as eu-west-1\n\
                 line 6, sink[0].namespace: begins with AWS/, which CloudWatch keeps for AWS's own metrics; choose another, such as Fleet/ECS",
            ),
            (
                format!("{forwarded}\nregion = 'eu-west-1'\nnamespace = ':x'"),
                "line 6, sink[0].namespace: is no namespace: letters, digits and ._-/#: , 255 at most, with no colon first",
            ),
            (
                format!("datasets = ['ecs_service']\n{region}"),
                "line 1, sink[0].datasets: has ecs_service, of which no metric has the statistics SampleCount, Sum, Minimum, Maximum; write a [[dataset]] like it in which the metrics that you need have them",
            ),
            (
                format!("datasets = ['forwarded', 'again']\n{region}"),
                "line 1, sink[0].datasets: has forwarded and again, which both have CPUUtilization of the same resources; give each a sink with a namespace of its own",
            ),
        ] {
            assert_eq!(faults(&sink).as_deref(), Some(expected));
        }
    }
}
