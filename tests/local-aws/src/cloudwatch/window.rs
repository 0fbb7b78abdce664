// SPDX-License-Identifier: Apache-2.0
//! Time in CloudWatch: rounding of the start, periods, retention, and statistics over a period. Seconds since the
//! epoch, no I/O, no clock of its own.

pub(crate) const DAY: i64 = 86_400;

/// A statistic set: what CloudWatch keeps of one or many values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) sum: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
    pub(crate) count: f64,
}

impl Statistics {
    pub(crate) fn of(value: f64) -> Self {
        Self { sum: value, minimum: value, maximum: value, count: 1.0 }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        self.count += other.count;
    }

    pub(crate) fn get(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::Average => self.sum / self.count,
            Statistic::Sum => self.sum,
            Statistic::Minimum | Statistic::Percentile => self.minimum,
            Statistic::Maximum => self.maximum,
            Statistic::SampleCount => self.count,
        }
    }

    /// Whether it has a statistic: of different values that were put together nothing says which is in the middle.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Percentiles>
    #[expect(clippy::float_cmp, reason = "they are the same value, or they are not")]
    pub(crate) fn has(&self, statistic: Statistic) -> bool {
        statistic != Statistic::Percentile || self.minimum == self.maximum
    }
}

/// The statistics that differ here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    Average,
    Sum,
    Minimum,
    Maximum,
    SampleCount,
    /// Any percentile: of one value all are the same.
    Percentile,
}

impl Statistic {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "Average" => Some(Self::Average),
            "Sum" => Some(Self::Sum),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            "SampleCount" => Some(Self::SampleCount),
            _ => None,
        }
    }

    /// One of the five, or a percentile such as `p99.9`.
    pub(crate) fn parse_any(name: &str) -> Option<Self> {
        let percentile = || name.strip_prefix('p')?.parse().ok().filter(|of| (0.0..=100.0).contains(of));
        Self::parse(name).or_else(|| percentile().map(|_: f64| Self::Percentile))
    }
}

/// Whether a period is one that CloudWatch takes: 1, 5, 10, 20, 30 or a multiple of 60 seconds.
pub(crate) fn is_period(period: i64) -> bool {
    matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period % 60 == 0)
}

/// What a request asks of one series: from `start`, inclusive, to `end`, exclusive, in steps of `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) period: i64,
    /// Periods are counted from here.
    origin: i64,
    oldest: i64,
}

impl Window {
    /// Rounds the start down to the minute, five minutes or hour, by its age, as `GetMetricData` documents:
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
    pub(crate) fn new(start: i64, end: i64, period: i64, now: i64) -> Self {
        let age = now - start;
        let grain = if age < 15 * DAY {
            60
        } else if age <= 63 * DAY {
            300
        } else {
            3600
        };
        let grain = if period < 60 { period } else { grain };
        let start = start - start.rem_euclid(grain);
        Self { start, end, period, origin: start, oldest: now - retention(period) }
    }

    /// Counts the periods from the epoch, whatever the start: those of a day begin at midnight, UTC.
    pub(crate) fn aligned(self) -> Self {
        Self { origin: 0, ..self }
    }

    /// The datapoints that the quota counts, there or not.
    pub(crate) fn estimate(&self) -> u64 {
        let span = (self.end - self.start).max(0);
        u64::try_from((span + self.period - 1) / self.period).unwrap_or(0)
    }

    /// The part of the window whose data is not forgotten.
    pub(crate) fn kept(&self) -> std::ops::Range<i64> {
        let from = self.start.max(self.oldest);
        from..self.end.max(from)
    }

    /// Folds datapoints, oldest first, into periods.
    pub(crate) fn fold(&self, points: impl Iterator<Item = (i64, Statistics)>) -> Vec<(i64, Statistics)> {
        let mut folded: Vec<(i64, Statistics)> = Vec::new();
        for (at, statistics) in points {
            let at = at - (at - self.origin).rem_euclid(self.period);
            match folded.last_mut() {
                Some((last, sum)) if *last == at => sum.merge(&statistics),
                _ => folded.push((at, statistics)),
            }
        }
        folded
    }
}

/// How long data of a period is kept:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#metrics-retention>
fn retention(period: i64) -> i64 {
    if period < 60 {
        3 * 3600
    } else if period % 3600 == 0 {
        455 * DAY
    } else if period % 300 == 0 {
        63 * DAY
    } else {
        15 * DAY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000 - 1_800_000_000 % DAY;

    #[test]
    fn the_start_is_rounded_down_by_its_age() {
        let start = |age: i64| Window::new(NOW - age + 754, NOW, 3600, NOW).start - (NOW - age);
        assert_eq!(start(2 * DAY), 720, "12:34 becomes 12:00 in seconds: the minute");
        assert_eq!(start(30 * DAY), 600, "five minutes");
        assert_eq!(start(100 * DAY), 0, "the hour");
    }

    #[test]
    fn old_data_is_there_for_long_periods_only() {
        let kept = |age: i64, period| {
            let window = Window::new(NOW - age * DAY, NOW - age * DAY + DAY, period, NOW);
            !window.kept().is_empty()
        };
        assert!(kept(10, 60) && !kept(17, 60));
        assert!(kept(60, 300) && !kept(65, 300));
        assert!(kept(450, 86_400) && !kept(457, 86_400));
        assert!(!kept(65, 1500), "a multiple of 300 but not of 3600");
    }

    #[test]
    fn values_fold_into_periods_from_the_start() {
        let window = Window::new(NOW, NOW + DAY, 3600, NOW + DAY);
        let points = [(NOW, 1.0), (NOW + 1800, 3.0), (NOW + 3600, 10.0)];
        let folded = window.fold(points.into_iter().map(|(at, value)| (at, Statistics::of(value))));
        let averages: Vec<_> =
            folded.iter().map(|(at, set)| (at - NOW, set.get(Statistic::Average))).collect();
        assert_eq!(averages, [(0, 2.0), (3600, 10.0)]);
        assert!((folded[0].1.get(Statistic::SampleCount) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_percentile_is_known_of_equal_values() {
        assert_eq!(Statistic::parse_any("p99.9"), Some(Statistic::Percentile));
        for name in ["p", "p101", "99", "pNaN"] {
            assert_eq!(Statistic::parse_any(name), None, "{name}");
        }
        let mut set = Statistics::of(4.0);
        set.merge(&Statistics::of(4.0));
        assert!(
            set.has(Statistic::Percentile) && (set.get(Statistic::Percentile) - 4.0).abs() < f64::EPSILON
        );
        set.merge(&Statistics::of(6.0));
        assert!(!set.has(Statistic::Percentile) && set.has(Statistic::Average));
    }

    #[test]
    fn periods_begin_at_the_start_or_at_whole_periods() {
        let window = Window::new(NOW + 1800, NOW + DAY, 3600, NOW + DAY);
        let times = |window: Window| {
            let points = [1800, 4000, 9000].map(|later| (NOW + later, Statistics::of(1.0)));
            window.fold(points.into_iter()).into_iter().map(|(at, _)| at - NOW).collect::<Vec<_>>()
        };
        assert_eq!(times(window), [1800, 9000]);
        assert_eq!(times(window.aligned()), [0, 3600, 7200]);
    }

    #[test]
    fn estimates_count_started_periods() {
        assert_eq!(Window::new(NOW, NOW + 3 * DAY, DAY, NOW).estimate(), 3);
        assert_eq!(Window::new(NOW, NOW + DAY + 1, DAY, NOW).estimate(), 2);
        assert_eq!(Window::new(NOW, NOW, DAY, NOW).estimate(), 0);
    }

    #[test]
    fn periods_are_those_that_cloudwatch_takes() {
        assert!([1, 5, 10, 20, 30, 60, 300, 3600, 86_400].into_iter().all(is_period));
        assert!(![0, -60, 2, 45, 61].into_iter().any(is_period));
    }
}
