// SPDX-License-Identifier: Apache-2.0
//! What the services of an account do, and the hourly reports that must come of it. A value is a plain function of the
//! seed, the service, the metric and the minute: nothing here is the product's, nor asked of any AWS.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;

use crate::{
    subject::{hours_later, text},
    truth::pick,
};

pub(crate) const DATASET: &str = "ecs_service";

pub(crate) const NAMESPACE: &str = "AWS/ECS";

/// The metrics, and whether a report has the maximum beside the average.
const METRICS: [(&str, bool); 4] = [
    ("CPUUtilization", true),
    ("MemoryUtilization", true),
    ("EBSFilesystemUtilization", false),
    ("LiveTaskCount", false),
];

const HEADER: &str = "cluster_name,service_name,account_name,account_id,region,period_start,period_seconds,\
    cpu_utilization_average,cpu_utilization_maximum,memory_utilization_average,memory_utilization_maximum,\
    ebs_filesystem_utilization_average,live_task_count_average,status";

/// What is odd about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Nothing.
    Steady,
    /// It has datapoints of some minutes, of some metrics, and of some hours none.
    Gappy,
    /// It is listed, and has no datapoint in any window.
    Silent,
    /// It has one metric only.
    OneMetric,
    /// It has fractions, zeros, and the most that a double counts exactly.
    Extreme,
}

impl Load {
    pub(crate) const ALL: [Self; 5] =
        [Self::Steady, Self::Gappy, Self::Silent, Self::OneMetric, Self::Extreme];
}

#[derive(Debug, Clone)]
pub(crate) struct KnownService {
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) region: &'static str,
    pub(crate) load: Load,
    pub(crate) seed: u64,
}

impl KnownService {
    pub(crate) fn dimensions(&self) -> [(&str, &str); 2] {
        [("ClusterName", &self.cluster), ("ServiceName", &self.name)]
    }

    /// The metrics that CloudWatch lists of it.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &'static str> {
        let count = if self.load == Load::OneMetric { 1 } else { METRICS.len() };
        METRICS.into_iter().take(count).map(|(name, _)| name)
    }

    /// The values that a metric has in the minute that begins then; none if there is no datapoint.
    pub(crate) fn samples(&self, metric: &str, at: DateTime<Utc>) -> Vec<f64> {
        let minute = at.timestamp().unsigned_abs() / 60;
        let own = metric.bytes().fold(self.seed, |sum, byte| sum.wrapping_mul(257) + u64::from(byte));
        let one_in = |nth, count| pick(own ^ minute, nth, count) == 0;
        let is_there = match self.load {
            Load::Silent => false,
            Load::Gappy => pick(self.seed ^ (minute / 60), 1, 3) > 0 && one_in(2, 4),
            // A third of the minutes: as much as is needed to tell them apart.
            Load::Steady | Load::OneMetric | Load::Extreme => (minute + self.seed).is_multiple_of(3),
        };
        if !is_there || !self.metrics().any(|it| it == metric) {
            return Vec::new();
        }
        let mut random = Rng::with_seed(own ^ minute.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if self.load == Load::Extreme {
            let values = [0.0, 1.0 / 3.0, 9_007_199_254_740_991.0, 1e-7, 12_345.678];
            return vec![values[random.usize(0..values.len())]];
        }
        // Eighths: their mean is exact, and their maximum is another.
        let mut value = || f64::from(random.u32(1..800)) / 8.0;
        let first = value();
        vec![first, first + value()]
    }

    /// Its rows in the report of the hour that begins then.
    fn rows(&self, account: (&str, &str), hour: DateTime<Utc>) -> Vec<String> {
        let Self { cluster, name, region, .. } = self;
        let whose = format!("{cluster},{name},{},{},{region}", account.0, account.1);
        let minutes = (0..60).filter_map(|minute| {
            let at = hour + TimeDelta::minutes(minute);
            let mut row = format!("{whose},{},60", text(at));
            let mut is_there = false;
            for (metric, has_maximum) in METRICS {
                let samples = self.samples(metric, at);
                let most = samples.iter().copied().max_by(f64::total_cmp);
                #[expect(clippy::cast_precision_loss, reason = "one or two")]
                let mean = most.map(|_| samples.iter().sum::<f64>() / samples.len() as f64);
                for value in [mean].into_iter().chain(has_maximum.then_some(most)) {
                    is_there |= value.is_some();
                    let value = value.map(|value| value.to_string()).unwrap_or_default();
                    let _ = write!(row, ",{value}");
                }
            }
            is_there.then(|| row + ",ok")
        });
        let rows: Vec<String> = minutes.collect();
        if rows.is_empty() { vec![format!("{whose},,,,,,,,,no_data")] } else { rows }
    }
}

/// The report of an account's services, of the hour that begins then.
pub(crate) fn report(services: &[KnownService], account: (&str, &str), hour: DateTime<Utc>) -> String {
    let mut sorted: Vec<_> = services.iter().collect();
    sorted.sort_by_key(|service| (&service.cluster, &service.name, service.region));
    let rows = sorted.into_iter().flat_map(|service| service.rows(account, hour));
    rows.fold(HEADER.to_owned() + "\n", |table, row| table + &row + "\n")
}

/// The minutes of so many hours.
pub(crate) fn minutes(from: DateTime<Utc>, hours: usize) -> impl Iterator<Item = DateTime<Utc>> {
    let end = hours_later(from, hours);
    (0..).map(move |minute| from + TimeDelta::minutes(minute)).take_while(move |at| *at < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(load: Load) -> KnownService {
        KnownService { cluster: "main".into(), name: "web".into(), region: "eu-west-1", load, seed: 42 }
    }

    fn hour() -> DateTime<Utc> {
        "2026-11-10T13:00:00Z".parse().expect("a time")
    }

    fn rows(load: Load) -> Vec<String> {
        service(load).rows(("data", "111111111111"), hour())
    }

    #[test]
    fn a_row_has_a_mean_and_a_maximum_and_is_the_same_each_time() {
        let found = rows(Load::Steady);
        assert_eq!(found.len(), 20);
        assert_eq!(found, rows(Load::Steady));
        let cells: Vec<&str> = found[0].split(',').collect();
        assert_eq!(cells.len(), HEADER.split(',').count());
        assert_eq!(cells[..5], ["main", "web", "data", "111111111111", "eu-west-1"]);
        let [mean, most] = [7, 8].map(|at| cells[at].parse::<f64>().expect("a number"));
        assert!(mean < most, "{found:?}");
    }

    #[test]
    fn what_is_not_there_is_empty_and_a_silent_service_has_a_row() {
        assert_eq!(rows(Load::Silent), ["main,web,data,111111111111,eu-west-1,,,,,,,,,no_data"]);
        assert!(rows(Load::OneMetric).iter().all(|row| row.ends_with(",,,,,ok")));
        assert!(rows(Load::Extreme).iter().any(|row| row.contains(",0.3333333333333333,")));
        assert_eq!(minutes(hour(), 2).count(), 120);
    }
}
