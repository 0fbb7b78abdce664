// SPDX-License-Identifier: Apache-2.0
//! Less of a dataset: some of its resources, metrics or statistics, or longer periods. A selection is a dataset of its own,
//! with a folder and a table of its own.

use super::{columns, name_of, period, settle, tags, title_of, window_of};
use crate::{
    WindowLength,
    account::shorten,
    datasets::{
        Dataset, Derived, Layout, Metric, Missing, Period, Shape,
        selection::{Pattern, Selection},
    },
    duration,
    settings::{Table, Value},
};

/// The dataset of a table `[[select]]`; `None` only if a fault says why.
pub(in crate::datasets) fn dataset(table: &Table<'_>) -> Option<Dataset> {
    let name = table.required("name").and_then(|value| name_of(&value));
    let of = table.required("dataset").and_then(|value| whole(&value));
    let resources = table.optional("resources").map(|value| value.texts()).unwrap_or_default();
    let tags_in = table.optional("tags");
    let metrics_in = table.optional("metrics");
    let statistics_in = table.optional("statistics");
    let [period_in, window_in, settle_in] = ["period", "window", "settle"].map(|key| table.optional(key));
    let title = table.optional("title").and_then(|value| title_of(&value));
    table.end();

    let selected = tags_in.map(|value| tags::of_selection(&value, of)).unwrap_or_default();
    let whole = of?;
    let metrics = chosen_metrics(whole, metrics_in.as_ref(), statistics_in.as_ref());
    let period = period_in.as_ref().map_or(Some(whole.period), |value| longer(value, whole));
    let window = window_in.as_ref().map_or(Some(whole.window), window_of);
    let settle = settle_in.as_ref().map_or(Some(whole.settle), settle);
    if let (Some(value), Some(window), Some(period)) =
        (window_in.as_ref().or(period_in.as_ref()), window, period)
    {
        if whole.shape == Shape::NewestDay && window != WindowLength::DAY {
            value.fault("is 1d in a dataset of shape newest_day");
        } else if window.seconds() < period.seconds() {
            value.fault("makes a window that is shorter than the period");
        }
    }
    let columns = match whole.shape {
        Shape::Series if whole.layout == Layout::Long => columns::of_long(&whole.resource, whole.discovery),
        Shape::Series => columns::of_series(&whole.resource, whole.discovery, &metrics, &whole.derived),
        // Its metrics and statistics can't be chosen.
        Shape::NewestDay => whole.columns.clone(),
    };
    let is_left = |made: &&Derived| columns.iter().any(|column| column.name == made.name);
    Some(Dataset {
        derived: whole.derived.iter().filter(is_left).cloned().collect(),
        group: name.clone()?,
        title: title.unwrap_or_else(|| whole.title.clone()),
        metrics,
        columns,
        period: period?,
        window: window?,
        settle: settle?,
        selection: Some(Selection {
            of: whole.name.to_owned(),
            resources: resources.into_iter().map(|(_, text)| Pattern(text.to_owned())).collect(),
            tags: selected,
        }),
        name: String::leak(name?),
        ..whole.clone()
    })
}

/// The dataset that something is chosen of.
fn whole(value: &Value<'_>) -> Option<&'static Dataset> {
    let name = value.text()?;
    let whole = Dataset::find(name).filter(|dataset| dataset.selection.is_none());
    if whole.is_none() {
        let members: Vec<_> = Dataset::named(name).iter().map(|dataset| dataset.name).collect();
        value.fault(match &members[..] {
            [] => {
                format!("{:?} is no dataset of this version; `producer datasets` lists them", shorten(name))
            }
            members => format!("is a group; name one of its datasets: {}", members.join(", ")),
        });
    }
    whole
}

fn chosen_metrics(whole: &Dataset, names: Option<&Value<'_>>, statistics: Option<&Value<'_>>) -> Vec<Metric> {
    if whole.shape == Shape::NewestDay {
        for value in names.iter().chain(&statistics) {
            value.fault("is not chosen in a dataset of shape newest_day, which adds up all");
        }
        return whole.metrics.clone();
    }
    let known: Vec<&str> = whole.metrics.iter().map(|metric| &*metric.name).collect();
    let wanted = names.map(|value| {
        let texts = value.texts();
        for (value, name) in &texts {
            if !known.contains(name) {
                value.fault(format!("is none of the metrics of {}: {}", whole.name, known.join(", ")));
            }
        }
        texts.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    });
    let kept = statistics.map(|value| value.texts().into_iter().map(|(_, name)| name).collect::<Vec<_>>());
    let metrics =
        whole.metrics.iter().filter(|metric| wanted.as_ref().is_none_or(|it| it.contains(&&*metric.name)));
    let narrowed = metrics.map(|metric| {
        let mut metric = metric.clone();
        metric.statistics.retain(|name| kept.as_ref().is_none_or(|it| it.contains(&&**name)));
        metric
    });
    let narrowed: Vec<Metric> = narrowed.filter(|metric| !metric.statistics.is_empty()).collect();
    if let (true, Some(value)) = (narrowed.is_empty(), statistics.or(names)) {
        value.fault("leaves no statistic of any metric");
    }
    // A zero is known by another metric, which has to be chosen too.
    for metric in &narrowed {
        if let (Missing::ZeroWith(with), Some(value)) = (&metric.missing, names.or(statistics))
            && !narrowed.iter().any(|metric| metric.name == *with)
        {
            value.fault(format!(
                "has {} without {with}, by which its zeros are known; choose both",
                metric.name
            ));
        }
    }
    narrowed
}

/// A period that is a multiple of the whole dataset's.
fn longer(value: &Value<'_>, whole: &Dataset) -> Option<Period> {
    let period = period(value)?;
    if !period.seconds().is_multiple_of(whole.period.seconds()) {
        let shown = duration::shown_seconds(whole.period.seconds());
        let fault =
            if period.seconds() < whole.period.seconds() { "is shorter than" } else { "is no multiple of" };
        value.fault(format!("{fault} that of {}, {shown}", whole.name));
    }
    Some(period)
}
