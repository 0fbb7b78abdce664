// SPDX-License-Identifier: Apache-2.0
//! The folder that has all reports of a day, and nothing else: what a table in Athena is made of.

use super::{DEFAULT_TEMPLATE, Field, KeyError, KeyTemplate, Part};
use crate::{Dataset, WindowLength};

/// The place of a dataset's reports of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFolder {
    /// The folder of the days. It is empty or ends with a slash, as `day` does.
    pub days: String,
    /// The folder of a day.
    pub day: String,
}

impl KeyTemplate {
    /// The folder of a day's reports of windows of a length, with `date` in place of the day.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unusable`] if no folder has them alone, and [`KeyError::NoDataset`] if other datasets would have the same.
    pub fn day_folder(
        &self,
        dataset: &Dataset,
        length: WindowLength,
        date: &str,
    ) -> Result<DayFolder, KeyError> {
        self.check_dataset(dataset)?;
        let no_folder = || {
            self.unusable(format!(
                "no folder has the reports of a dataset and day alone; begin with folders of {{dataset}} and {{date}}, as {DEFAULT_TEMPLATE} does"
            ))
        };
        let is_known =
            |part: &&Part| matches!(part, Part::Literal(_) | Part::Field(Field::Dataset | Field::Date));
        let known = self.parts.iter().take_while(is_known);
        let (mut day, mut ends) = (String::new(), Vec::new());
        for part in known {
            match part {
                Part::Literal(text) => day.push_str(text),
                Part::Field(Field::Dataset) => day.push_str(&dataset.folder(length)),
                Part::Field(_) => day.push_str(date),
            }
            ends.push((part, day.len()));
        }
        let (folder, _) = day.rsplit_once('/').ok_or_else(no_folder)?;
        let is_in_folder = |field: Field| {
            !self.has(field)
                || ends.iter().any(|(part, end)| **part == Part::Field(field) && *end <= folder.len())
        };
        if !self.has(Field::Date) || !is_in_folder(Field::Date) || !is_in_folder(Field::Dataset) {
            return Err(no_folder());
        }
        let before = folder.split_once(date).map_or(folder, |(before, _)| before);
        let days = before.rsplit_once('/').map(|(days, _)| format!("{days}/")).unwrap_or_default();
        Ok(DayFolder { days, day: format!("{folder}/") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets;

    fn folder(template: &str, length: &str) -> Result<(String, String), String> {
        let template: KeyTemplate = template.parse().expect("valid");
        let dataset = Dataset::find("sqs").expect("registered");
        let folder = template.day_folder(dataset, length.parse().expect("a length"), "${day}");
        folder.map(|DayFolder { days, day }| (days, day)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_day_has_a_folder_of_its_own() {
        for (template, length, days, day) in [
            (DEFAULT_TEMPLATE, "1d", "sqs/", "sqs/report_date=${day}/"),
            (DEFAULT_TEMPLATE, "5m", "sqs__5m/", "sqs__5m/report_date=${day}/"),
            ("a/{date}/b-{dataset}/{account}.csv", "1d", "a/", "a/${day}/b-sqs/"),
            ("{date}/{dataset}/{time}-{account}.csv", "1d", "", "${day}/sqs/"),
            ("a/{dataset}-{date}/{date}/c/{account}.csv", "1d", "a/", "a/sqs-${day}/${day}/c/"),
        ] {
            assert_eq!(folder(template, length), Ok((days.to_owned(), day.to_owned())), "{template}");
        }
    }

    #[test]
    fn a_folder_of_more_or_of_less_is_refused() {
        for template in [
            "{account}/{dataset}/{date}/report.csv",
            "{dataset}/{year}/{month}/{day}/{account}.csv",
            "{dataset}/{date}-{account}.csv",
            "{date}/{dataset}-{account}.csv",
            "{dataset}/{account}/{date}.csv",
            "{dataset}{date}{account}.csv",
        ] {
            let error = folder(template, "1d").expect_err(template);
            assert!(error.contains("begin with folders of {dataset} and {date}"), "{error}");
        }
        let error = folder("{date}/{account}/report.csv", "1d").expect_err("no dataset");
        assert!(error.contains("without {dataset} it is for s3_daily_storage alone"), "{error}");
        let template: KeyTemplate = "a/{date}/{account}/report.csv".parse().expect("valid");
        let found = template.day_folder(*datasets::DEFAULT, WindowLength::DAY, "D").expect("a folder");
        assert_eq!(found.day, "a/D/");
    }
}
