// SPDX-License-Identifier: Apache-2.0
//! How far apart the datapoints of a series are, and how long CloudWatch keeps them.

/// The most datapoints that one page of `GetMetricData` has.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub const DATAPOINTS_PER_CALL: usize = 100_800;

/// The time from one datapoint of a series to the next: whole minutes that divide a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u32);

impl Period {
    pub const DAY: Self = Self(86_400);
    const FIVE_MINUTES: Self = Self(300);
    const HOUR: Self = Self(3_600);

    /// The period of so many seconds; `None` if CloudWatch has none or it divides no day.
    #[must_use]
    pub fn new(seconds: u32) -> Option<Self> {
        (seconds >= 60 && seconds.is_multiple_of(60) && 86_400_u32.is_multiple_of(seconds))
            .then_some(Self(seconds))
    }

    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// How many days CloudWatch keeps datapoints of this period.
    /// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#metrics-retention>
    #[must_use]
    pub const fn retention_days(self) -> u64 {
        match self.0 {
            ..300 => 15,
            300..3_600 => 63,
            3_600.. => 455,
        }
    }

    /// The period in which CloudWatch still has all of a day that began so many days ago: this one, or the shortest that
    /// is kept as long.
    #[must_use]
    pub fn kept_for(self, days: u64) -> Self {
        let mut periods = [self, self.max(Self::FIVE_MINUTES), self.max(Self::HOUR)].into_iter();
        // A day's first datapoint is one day older than the day.
        periods.find(|period| days < period.retention_days()).unwrap_or(self.max(Self::HOUR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_day_has_the_period_that_is_still_kept() {
        let kept = |seconds: u32, days: u64| {
            Period::new(seconds).unwrap_or_else(|| panic!("{seconds} s")).kept_for(days).seconds()
        };
        for (days, expected) in
            [(0, 60), (14, 60), (15, 300), (62, 300), (63, 3_600), (454, 3_600), (455, 3_600)]
        {
            assert_eq!(kept(60, days), expected, "{days} days");
        }
        assert_eq!((kept(900, 14), kept(900, 62), kept(900, 63)), (900, 900, 3_600));
        assert_eq!((kept(86_400, 3), kept(86_400, 400)), (86_400, 86_400));
    }

    #[test]
    fn a_period_is_whole_minutes_that_divide_a_day() {
        for (seconds, retention) in [(60, 15), (240, 15), (300, 63), (1_800, 63), (3_600, 455), (86_400, 455)]
        {
            let period = Period::new(seconds).unwrap_or_else(|| panic!("{seconds} s"));
            assert_eq!((period.seconds(), period.retention_days()), (seconds, retention));
        }
        for seconds in [0, 1, 30, 90, 420, 86_400 * 2] {
            assert_eq!(Period::new(seconds), None, "{seconds} s");
        }
    }
}
