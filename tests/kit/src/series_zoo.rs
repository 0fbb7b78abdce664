// SPDX-License-Identifier: Apache-2.0
//! Everything that the series of a dataset can be, as data: what CloudWatch holds, and the report that must come of it,
//! which is read off the data by other code than the product's. Any AWS that takes datapoints can be filled with it.

pub mod published;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::HOME_REGION;
use published::Published;

/// A region besides the home region.
pub const FAR: &str = "us-east-1";

/// The resource with every value in the first period of the day, and some in the later ones.
pub const BUSY: &str = "busy";

/// What CloudWatch lists, with nothing in the window.
pub const SILENT: &str = "silent";

/// A text that is a formula to a spreadsheet, and is to be quoted.
const ODD: &str = "=2+3, 50%/a:b \"x\" 7";

/// What has a value in the last period alone. Its name is a number, which must stay as it is written.
pub const LATE: &str = "0042";

/// The value of what is no part of any cell of the dataset that it is put beside.
pub const AGGREGATE: f64 = 1e6;

/// How many columns tell what a function is.
const FACTS: usize = 7;

/// How long CloudWatch lists a series without datapoints.
const LISTED: TimeDelta = TimeDelta::days(14);

/// What the file of a dataset says of its table.
#[derive(Debug)]
pub struct Described {
    pub name: &'static str,
    /// The regions that are asked.
    pub regions: Vec<String>,
    pub period: TimeDelta,
    pub metrics: Vec<Metric>,
    /// The header.
    pub columns: Vec<String>,
    /// What is divided by what in the columns after the values; none if it is made of what is not known.
    pub derived: Vec<Option<[String; 2]>>,
    /// Whether they are functions, which Lambda lists. It lists none of the zoo.
    pub is_of_functions: bool,
}

/// The samples of a resource, by period and by the place of their metric.
type Periods = BTreeMap<DateTime<Utc>, BTreeMap<usize, Vec<f64>>>;

#[derive(Debug)]
pub struct Metric {
    pub name: String,
    pub statistics: Vec<String>,
    /// The metric that shows that a missing value is 0.
    pub zero_with: Option<String>,
}

impl Described {
    fn published(&self) -> anyhow::Result<&'static Published> {
        published::of(self.name).with_context(|| format!("the zoo does not know the dataset {}", self.name))
    }

    /// Its resource of a kind; the account's own series have no name.
    pub fn resource(&self, kind: &str) -> anyhow::Result<Vec<String>> {
        let places = 0..self.published()?.resource.len();
        let value = |place: usize| match kind {
            LATE => format!("{LATE}{place}"),
            // Of each dataset alone, since an aggregate of one is another's resource.
            _ => format!("{kind} {}.{place}", self.name),
        };
        Ok(places.map(value).collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub region: String,
    pub namespace: &'static str,
    pub metric: String,
    /// Sorted.
    pub dimensions: Vec<(&'static str, String)>,
}

/// The values of the samples of each series, by the time at which they were published.
#[derive(Debug, Clone)]
pub struct Zoo {
    pub series: BTreeMap<Series, BTreeMap<DateTime<Utc>, Vec<f64>>>,
    date: NaiveDate,
    /// Whether series are listed without end, which CloudWatch does not do.
    pub remembers: bool,
    /// Whether series with dimensions may lie beside those without any.
    pub is_exact: bool,
}

impl Zoo {
    /// An empty one, for reports of a day.
    pub fn new(date: NaiveDate) -> Self {
        Self { series: BTreeMap::new(), date, remembers: false, is_exact: true }
    }

    /// So many seconds after the beginning of the day.
    fn at(&self, after: TimeDelta) -> DateTime<Utc> {
        self.date.and_time(NaiveTime::MIN).and_utc() + after
    }

    /// Publishes samples of a resource of a dataset.
    pub fn put(
        &mut self,
        dataset: &Described,
        resource: &[String],
        metric: usize,
        after: TimeDelta,
        values: &[f64],
    ) -> anyhow::Result<()> {
        let region = dataset.regions.first().context("a region")?.clone();
        let name = &dataset.metrics.get(metric).context("a metric")?.name;
        let (_, names) = dataset.published()?.place_of(name);
        let dimensions = names.iter().copied().zip(resource.iter().cloned());
        self.publish(dataset, region, dimensions.collect(), metric, after, values)
    }

    fn publish(
        &mut self,
        dataset: &Described,
        region: String,
        mut dimensions: Vec<(&'static str, String)>,
        metric: usize,
        after: TimeDelta,
        values: &[f64],
    ) -> anyhow::Result<()> {
        dimensions.sort_unstable();
        let metric = dataset.metrics.get(metric).context("a metric")?.name.clone();
        let (namespace, _) = dataset.published()?.place_of(&metric);
        let series = Series { region, namespace, metric, dimensions };
        let at = self.at(after);
        self.series.entry(series).or_default().entry(at).or_default().extend(values);
        Ok(())
    }

    /// Adds what a dataset is about, and what is not to be taken for it.
    pub fn add(&mut self, dataset: &Described) -> anyhow::Result<()> {
        let (published, period, day) = (dataset.published()?, dataset.period, TimeDelta::days(1));
        let last = dataset.metrics.len() - 1;
        let busy = dataset.resource(BUSY)?;
        for nth in 0..=last {
            let value = cell(nth);
            self.put(dataset, &busy, nth, TimeDelta::zero(), &[value])?;
            // Of several samples a percentile is not known.
            if dataset.metrics[nth].statistics.iter().all(|name| is_plain(name)) {
                self.put(dataset, &busy, nth, period - TimeDelta::minutes(1), &[value + 1.0])?;
            }
        }
        let zeros = || dataset.metrics.iter().filter_map(|metric| metric.zero_with.as_deref());
        let place = |name: &str| dataset.metrics.iter().position(|metric| metric.name == name);
        let witnesses: BTreeSet<usize> = zeros().filter_map(place).collect();
        if let Some(witness) = witnesses.first() {
            self.put(dataset, &busy, *witness, period, &[cell(*witness)])?;
        }
        // What could be 0, with nothing to show whether the others of its kind were.
        if let Some(counted) = dataset.metrics.iter().position(|metric| metric.zero_with.is_some()) {
            self.put(dataset, &busy, counted, period * 2, &[cell(counted)])?;
        }
        for witness in &witnesses {
            self.put(dataset, &busy, *witness, period * 3, &[0.0])?;
        }
        self.add_aggregates(dataset, published, &busy)?;
        // In another region it is another resource, if the region is asked at all.
        let home = dataset.regions.first().context("a region")?;
        let other = [HOME_REGION, FAR].into_iter().find(|region| region != home).context("a region")?;
        let dimensions = published.resource.iter().copied().zip(busy.iter().cloned()).collect();
        self.publish(dataset, other.to_owned(), dimensions, 0, TimeDelta::zero(), &[7.5])?;
        // The last period has a value, and the days beside this one are no part of it.
        let late = dataset.resource(LATE)?;
        self.put(dataset, &late, last, day - period, &[cell(last)])?;
        for beside in [-period, day] {
            self.put(dataset, &late, last, beside, &[AGGREGATE])?;
        }
        if !published.resource.is_empty() {
            let odd = dataset.resource(ODD)?;
            for nth in 0..=last {
                // A zero that was measured.
                self.put(dataset, &odd, nth, TimeDelta::zero(), &[0.0])?;
            }
            let silent = dataset.resource(SILENT)?;
            for beside in [-period, day] {
                self.put(dataset, &silent, 0, beside, &[AGGREGATE])?;
            }
            // Deleted long before the day: it is listed for two weeks yet.
            self.put(dataset, &dataset.resource("ghost")?, 0, TimeDelta::days(-9), &[AGGREGATE])?;
            if !self.remembers {
                self.put(dataset, &dataset.resource("forgotten")?, 0, TimeDelta::days(-17), &[AGGREGATE])?;
            }
        }
        // One that differs from the first in one dimension alone.
        for place in (0..busy.len()).filter(|_| busy.len() > 1) {
            let mut twin = busy.clone();
            "twin".clone_into(&mut twin[place]);
            self.put(dataset, &twin, 0, TimeDelta::zero(), &[cell(0) + 0.5])?;
        }
        Ok(())
    }

    /// Each metric with one of the other dimensions in turn, so that all of these are there.
    fn add_aggregates(
        &mut self,
        dataset: &Described,
        published: &Published,
        busy: &[String],
    ) -> anyhow::Result<()> {
        if published.others.is_empty() || (busy.is_empty() && !self.is_exact) {
            return Ok(());
        }
        let value = |name: &str| {
            let own = published.resource.iter().position(|own| *own == name);
            own.map_or_else(|| format!("{} {name}", dataset.name), |place| busy[place].clone())
        };
        let (metrics, others) = (dataset.metrics.len(), published.others.len());
        for nth in 0..metrics.max(others) {
            let dimensions = published.others[nth % others].iter().map(|name| (*name, value(name))).collect();
            let region = dataset.regions.first().context("a region")?.clone();
            self.publish(dataset, region, dimensions, nth % metrics, TimeDelta::zero(), &[AGGREGATE])?;
        }
        Ok(())
    }

    /// Adds so many more resources, of which each has one value.
    pub fn add_crowd(&mut self, dataset: &Described, count: usize) -> anyhow::Result<()> {
        for nth in 0..count {
            self.put(dataset, &dataset.resource(&format!("crowd {nth:04}"))?, 0, TimeDelta::zero(), &[1.0])?;
        }
        Ok(())
    }

    /// The report that must come of it, for an account by its name and id.
    pub fn report(&self, dataset: &Described, account: (&str, &str)) -> anyhow::Result<String> {
        let published = dataset.published()?;
        let (from, to) = (self.at(TimeDelta::zero()), self.at(TimeDelta::days(1)));
        let mut resources: BTreeMap<(Vec<&str>, &str), Periods> = BTreeMap::new();
        for (series, points) in &self.series {
            let nth = dataset.metrics.iter().position(|metric| metric.name == series.metric);
            let is_listed = self.remembers || points.keys().any(|at| *at >= Utc::now() - LISTED);
            let own: BTreeSet<&str> = series.dimensions.iter().map(|(name, _)| *name).collect();
            let is_asked = dataset.regions.contains(&series.region);
            let (namespace, names) = published.place_of(&series.metric);
            let is_own = series.namespace == namespace && own == names.iter().copied().collect();
            let Some(nth) = nth.filter(|_| is_listed && is_asked && is_own) else { continue };
            let value = |wanted: &&str| {
                series.dimensions.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value)
            };
            let resource: Vec<&str> = names.iter().filter_map(value).collect();
            let periods = resources.entry((resource, &series.region)).or_default();
            for (at, samples) in points.range(from..to) {
                let within = (*at - from).num_seconds() % dataset.period.num_seconds();
                let period = periods.entry(*at - TimeDelta::seconds(within)).or_default();
                period.entry(nth).or_default().extend(samples);
            }
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&dataset.columns)?;
        for ((resource, region), periods) in resources {
            let who =
                resource.into_iter().map(shown).chain([account.0, account.1, region].map(str::to_owned));
            let who: Vec<String> = who.collect();
            let mut write = |when: [String; 2], cells: Vec<String>, status: &str| {
                writer.write_record([&who[..], &when, &cells, &[status.to_owned()]].concat())
            };
            if periods.is_empty() {
                let cells = dataset.cells(&BTreeMap::new());
                let status = if dataset.is_of_functions { "deleted" } else { "no_data" };
                write([const { String::new() }; 2], cells, status)?;
            }
            for (at, values) in periods {
                let when = at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
                write([when, dataset.period.num_seconds().to_string()], dataset.cells(&values), "ok")?;
            }
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

impl Described {
    /// The cells of a period.
    fn cells(&self, values: &BTreeMap<usize, Vec<f64>>) -> Vec<String> {
        // Nothing is known of functions that are not listed.
        let mut cells = vec![String::new(); if self.is_of_functions { FACTS } else { 0 }];
        for (nth, metric) in self.metrics.iter().enumerate() {
            let is_witness = |with: &String| {
                values.keys().any(|nth| self.metrics.get(*nth).is_some_and(|metric| metric.name == *with))
            };
            let is_zero = metric.zero_with.as_ref().is_some_and(is_witness);
            for statistic in &metric.statistics {
                let counts = ["Sum", "SampleCount"].contains(&&**statistic);
                cells.push(match values.get(&nth) {
                    Some(samples) => of_samples(statistic, samples).to_string(),
                    None if is_zero && counts => "0".to_owned(),
                    None => String::new(),
                });
            }
        }
        let header = self.columns.iter().skip_while(|column| *column != "period_seconds").skip(1);
        let known: BTreeMap<&String, f64> =
            header.zip(&cells).filter_map(|(column, cell)| Some((column, cell.parse().ok()?))).collect();
        let ratio = |[of, by]: &[String; 2]| {
            let by = known.get(by).filter(|by| **by != 0.0)?;
            Some((known.get(of)? / by).to_string())
        };
        let ratios = self.derived.iter().map(|of| of.as_ref().and_then(ratio).unwrap_or_default());
        let ratios: Vec<String> = ratios.collect();
        cells.extend(ratios);
        if self.is_of_functions {
            let published = published::of(self.name);
            let is_of_insights =
                |metric: &Metric| published.is_some_and(|it| it.place_of(&metric.name).0 != it.namespace);
            let has_insights = values.keys().any(|nth| self.metrics.get(*nth).is_some_and(is_of_insights));
            let insights = if has_insights { "" } else { "no_insights" };
            cells.extend([insights, "true"].map(str::to_owned));
        }
        cells
    }
}

/// A value that no other metric has.
fn cell(metric: usize) -> f64 {
    f64::from(u32::try_from(metric).unwrap_or(u32::MAX)) + 1.25
}

/// Whether a statistic is no percentile.
fn is_plain(statistic: &str) -> bool {
    ["Average", "Sum", "Minimum", "Maximum", "SampleCount"].contains(&statistic)
}

#[expect(clippy::cast_precision_loss, reason = "a few samples")]
fn of_samples(statistic: &str, samples: &[f64]) -> f64 {
    let sum: f64 = samples.iter().sum();
    match statistic {
        "Sum" => sum,
        "SampleCount" => samples.len() as f64,
        "Average" => sum / samples.len() as f64,
        "Minimum" => samples.iter().copied().fold(f64::INFINITY, f64::min),
        // So is a percentile of one sample.
        _ => samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

/// A text as a cell: none is a formula.
fn shown(text: &str) -> String {
    if text.starts_with('=') { format!("'{text}") } else { text.to_owned() }
}

/// What differs between two tables of series, cell by cell. None if they are the same to the byte.
pub fn differences(found: &str, expected: &str) -> anyhow::Result<Vec<String>> {
    let (header, found_rows) = rows(found)?;
    let (columns, expected_rows) = rows(expected)?;
    let mut differences = Vec::new();
    if header != columns {
        differences.push(format!("the columns are {header:?} instead of {columns:?}"));
    }
    for (key, cells) in &expected_rows {
        match found_rows.get(key) {
            None => differences.push(format!("{key:?}: no row")),
            Some(found) => {
                let each = found.iter().zip(cells).zip(&header).filter(|((found, cell), _)| found != cell);
                differences.extend(each.map(|((found, cell), column)| {
                    format!("{key:?}: {column} is {found:?} instead of {cell:?}")
                }));
            }
        }
    }
    let others = found_rows.keys().filter(|key| !expected_rows.contains_key(*key));
    differences.extend(others.map(|key| format!("{key:?}: a row that must not be")));
    if differences.is_empty() && found != expected {
        differences.push("the rows are in another order, or not written alike".to_owned());
    }
    Ok(differences)
}

/// The header of a table, and its rows by what comes before the period's length.
type Rows = (Vec<String>, BTreeMap<Vec<String>, Vec<String>>);

fn rows(table: &str) -> anyhow::Result<Rows> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let end = header.iter().position(|column| column == "period_seconds").context("no period_seconds")?;
    let mut rows = BTreeMap::new();
    for record in reader.records() {
        let cells: Vec<String> = record?.iter().map(str::to_owned).collect();
        let key = cells[..end].to_vec();
        anyhow::ensure!(rows.insert(key.clone(), cells).is_none(), "two rows of {key:?}");
    }
    Ok((header, rows))
}
