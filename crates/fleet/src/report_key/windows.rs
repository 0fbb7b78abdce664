// SPDX-License-Identifier: Apache-2.0
//! The keys of windows shorter than a day, and of several windows.

use std::borrow::Cow;

use super::{Field, KeyError, KeyTemplate, Part};
use crate::{AccountId, Job, Window, WindowLength};

/// The placeholders that tell windows apart.
const OF_TIME: [Field; 5] = [Field::Date, Field::Year, Field::Month, Field::Day, Field::Time];

impl KeyTemplate {
    /// The key of the report of each window of a job, with the placeholders of time left in it, for [`fill`]; the key itself
    /// of a job for one report.
    ///
    /// # Errors
    ///
    /// Those of [`KeyTemplate::key`], and [`KeyError::SameKey`] if two windows would have one key.
    pub fn pattern(&self, job: &Job, account_id: Option<&AccountId>) -> Result<String, KeyError> {
        let key = self.key(job, account_id)?;
        if job.windows.is_one() {
            return Ok(key);
        }
        let of_day = [Field::Year, Field::Month, Field::Day];
        let same = |add| KeyError::SameKey { template: self.text.clone(), add };
        if !self.has(Field::Date) && !of_day.into_iter().all(|field| self.has(field)) {
            return Err(same("date"));
        }
        self.render(job, account_id, None)
    }

    /// The parts of the key of a window. The reports of a day's windows are in one folder, so the time replaces a file name
    /// that is the same for all.
    pub(super) fn parts_for(&self, length: WindowLength) -> Result<Cow<'_, [Part]>, KeyError> {
        if length.is_day() || self.has(Field::Time) {
            return Ok(Cow::Borrowed(&self.parts));
        }
        let named = match self.parts.split_last() {
            Some((Part::Literal(last), rest)) => last.rsplit_once('/').map(|named| (named, rest)),
            _ => None,
        };
        let Some(((folder, file), rest)) = named else {
            return Err(KeyError::SameKey { template: self.text.clone(), add: "time" });
        };
        let mut parts = rest.to_vec();
        parts.push(Part::Literal(format!("{folder}/")));
        parts.push(Part::Field(Field::Time));
        if let Some((_, extension)) = file.split_once('.') {
            parts.push(Part::Literal(format!(".{extension}")));
        }
        Ok(Cow::Owned(parts))
    }
}

impl Field {
    /// What it stands for, if it is of time.
    pub(super) fn of(self, window: Window) -> Option<String> {
        let start = window.start();
        Some(match self {
            Self::Date => window.date().to_string(),
            Self::Year => start.format("%Y").to_string(),
            Self::Month => start.format("%m").to_string(),
            Self::Day => start.format("%d").to_string(),
            Self::Time => window.time(),
            Self::Dataset | Self::Account | Self::AccountId | Self::RunId => return None,
        })
    }
}

/// The key of a window, from what [`KeyTemplate::pattern`] gave.
#[must_use]
pub fn fill(pattern: &str, window: Window) -> String {
    OF_TIME.into_iter().fold(pattern.to_owned(), |key, field| {
        let value = field.of(window).unwrap_or_default();
        key.replace(&field.placeholder(), &value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::{ReportDate, Windows, datasets, report_key::DEFAULT_TEMPLATE, window::time};

    fn job(windows: Windows) -> Job {
        Job {
            account_name: "data".parse().expect("a name"),
            windows,
            dataset: *datasets::DEFAULT,
            run_id: "r1".parse().expect("a run id"),
            only_incomplete: false,
            settle: None,
            attributes: Map::new(),
        }
    }

    fn windows(from: &str, to: &str, length: &str) -> Windows {
        let [from, to] = [from, to].map(|text| time("at", text).expect("a time"));
        Windows::between(from, to, length.parse().expect("a length")).expect("windows")
    }

    #[test]
    fn a_window_shorter_than_a_day_has_its_time_for_a_name_and_another_length_a_folder() {
        let hour = job(windows("2026-11-01T13:00:00Z", "2026-11-01T14:00:00Z", "1h"));
        let key = |template: &str| template.parse::<KeyTemplate>().expect("valid").key(&hour, None);
        let day = "report_date=2026-11-01/account_name=data";
        assert_eq!(key(DEFAULT_TEMPLATE), Ok(format!("s3_daily_storage__1h/{day}/T1300Z.csv")));
        assert_eq!(key("{account}/{date}/report"), Ok("data/2026-11-01/T1300Z".into()));
        assert_eq!(key("{account}/{date}{time}.csv"), Ok("data/2026-11-01T1300Z.csv".into()));
        for template in ["{date}/{account}.csv", "{date}-{account}"] {
            let error = key(template).expect_err(template).to_string();
            assert!(error.ends_with("would have the same key; add {time}"), "{error}");
        }
    }

    #[test]
    fn a_day_has_a_name_without_a_time_unless_the_template_has_one() {
        let day = job(windows("2026-11-01", "2026-11-02", "1d"));
        let key = |template: &str| template.parse::<KeyTemplate>().expect("valid").pattern(&day, None);
        assert_eq!(key("{account}/{date}/report.csv"), Ok("data/2026-11-01/report.csv".into()));
        assert_eq!(key("{account}/{date}/{time}.csv"), Ok("data/2026-11-01/T0000Z.csv".into()));
    }

    #[test]
    fn several_days_need_their_day_in_the_key() {
        let days = job(windows("2026-11-01", "2026-11-03", "1d"));
        let error = "{account}.csv".parse::<KeyTemplate>().expect("valid").pattern(&days, None);
        assert!(error.expect_err("one key").to_string().ends_with("add {date}"));
    }

    proptest! {
        #[test]
        fn each_window_of_a_pattern_has_the_key_of_its_own_job(
            length in prop::sample::select(vec!["1m", "5m", "1h", "6h", "1d"]),
            template in prop::sample::select(vec![
                DEFAULT_TEMPLATE, "{year}/{month}/{day}/{account}/x.csv", "a/{account_id}{date}{time}", "{date}/{run_id}/{account}/f",
            ]),
            day in 0u64..3000,
        ) {
            let from = "2030-01-01".parse::<ReportDate>().expect("a day").days_before(day);
            let all = Windows::between(from.start(), from.end() + chrono::TimeDelta::days(1), length.parse().expect("a length"));
            let all = job(all.expect("windows"));
            let template: KeyTemplate = template.parse().expect("valid");
            let id = "111111111111".parse().expect("an id");
            let pattern = template.pattern(&all, Some(&id)).expect("a pattern");
            let mut keys = std::collections::HashSet::new();
            for window in all.windows.iter() {
                let key = template.key(&all.of(window), Some(&id)).expect("a key");
                prop_assert_eq!(fill(&pattern, window), key.clone());
                prop_assert!(keys.insert(key), "two windows have one key");
            }
        }
    }
}
