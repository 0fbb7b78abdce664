// SPDX-License-Identifier: Apache-2.0
//! Which windows of a dataset can be reported.

use chrono::{DateTime, Utc};

use super::{WindowError, Windows};
use crate::{
    Dataset, ReportDate,
    datasets::{Period, Shape},
    date::{DateError, OLDEST_DAYS},
};

impl Windows {
    /// Refuses windows that a dataset does not have, whenever it is asked for.
    ///
    /// # Errors
    /// [`WindowError::OfDays`] or [`WindowError::ShorterThanPeriod`].
    pub fn check_of(self, dataset: &Dataset) -> Result<Self, WindowError> {
        let (name, length) = (dataset.name, self.length());
        match dataset.shape {
            Shape::NewestDay if !length.is_day() => Err(WindowError::OfDays { dataset: name, length }),
            Shape::Series if length.0 < dataset.period.seconds() => Err(WindowError::ShorterThanPeriod {
                dataset: name,
                length,
                period: dataset.period.seconds(),
            }),
            Shape::NewestDay | Shape::Series => Ok(self),
        }
    }

    /// Refuses windows that can't be reported at `now`: they are not over, CloudWatch has them no more, or has only periods
    /// of them that are longer than a window.
    ///
    /// # Errors
    /// Which of these it is.
    pub fn check(self, dataset: &Dataset, now: DateTime<Utc>) -> Result<Self, WindowError> {
        self.check_of(dataset)?;
        if self.end() > now {
            let last = self.last();
            return Err(WindowError::NotOver { from: last.from, to: last.end() });
        }
        let (first, today) = (self.first.date(), ReportDate::today(now));
        let oldest = today.days_before(OLDEST_DAYS);
        if first < oldest {
            return Err(WindowError::TooOld(DateError::TooOld { date: first, oldest }));
        }
        let kept = |day| dataset.period_of_rows(day, now).map_or(0, Period::seconds);
        if kept(first) > self.length().0 {
            // The retention of a shorter period ends sooner, so all later days have it.
            let days = first.days_until(now);
            let since = (0..days).map(|days| today.days_before(days));
            let since = since.take_while(|day| kept(*day) <= self.length().0).last().unwrap_or(today);
            return Err(WindowError::ShorterThanKept {
                dataset: dataset.name,
                length: self.length(),
                day: first,
                period: kept(first),
                since,
            });
        }
        Ok(self)
    }
}
