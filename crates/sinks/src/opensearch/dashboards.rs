// SPDX-License-Identifier: Apache-2.0
//! Dashboards over the indices of a sink: what each panel asks is defined once, and made into searches, into saved objects of
//! OpenSearch Dashboards, and into a dashboard of Grafana.

mod catalogue;
pub mod grafana;
pub mod panel;
pub mod saved_objects;

use fleet::{Dataset, datasets::Layout};

use self::{
    catalogue::Template,
    panel::{Over, Panel},
};
use super::mapping::{self, COVERAGE};

/// A dashboard of one sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// `fleet-sqs`, or `fleet` for that of the fleet itself: what the ids of its objects begin with.
    pub id: String,
    pub title: String,
    prefix: String,
    dataset: Option<&'static Dataset>,
    /// All that the sink has.
    datasets: Vec<&'static Dataset>,
    pub panels: Vec<&'static Panel>,
}

/// The dashboards of a sink: one for each dataset that has some, and that of the fleet itself.
#[must_use]
pub fn of(prefix: &str, datasets: &[&'static Dataset]) -> Vec<Dashboard> {
    let mut known: Vec<&'static Dataset> = Vec::new();
    for dataset in datasets {
        // A group and one of its own may both be named.
        if !known.iter().any(|other| other.name == dataset.name) {
            known.push(dataset);
        }
    }
    let mut all = Vec::new();
    for template in catalogue::ALL {
        match template.dataset {
            None => all.push(dashboard(prefix, template, None, &known)),
            Some(name) => {
                let of = |dataset: &&&Dataset| is_of(dataset, name);
                let boards = known.iter().filter(of);
                all.extend(boards.map(|dataset| dashboard(prefix, template, Some(dataset), &known)));
            }
        }
    }
    all.retain(|dashboard| !dashboard.panels.is_empty());
    all
}

/// Whether a dataset is the one of this name, or a selection of it, with a column for each value.
fn is_of(dataset: &Dataset, name: &str) -> bool {
    let whole = dataset.selection.as_ref().map_or(dataset.name, |selection| &*selection.of);
    whole == name && dataset.layout == Layout::Wide
}

fn dashboard(
    prefix: &str,
    template: &Template,
    dataset: Option<&'static Dataset>,
    datasets: &[&'static Dataset],
) -> Dashboard {
    let mut dashboard = Dashboard {
        id: dataset.map_or_else(|| prefix.to_owned(), |dataset| format!("{prefix}-{}", dataset.name)),
        title: dataset.map_or_else(
            || format!("{prefix}: what was collected"),
            |dataset| format!("{prefix}: {} ({})", dataset.title, dataset.name),
        ),
        prefix: prefix.to_owned(),
        dataset,
        datasets: datasets.to_vec(),
        panels: Vec::new(),
    };
    let is_known = |panel: &&Panel| {
        let templates = dashboard.templates(panel.over);
        panel.fields().iter().all(|field| templates.iter().all(|template| template.has(field)))
    };
    let panels = template.panels.iter().filter(is_known).collect();
    dashboard.panels = panels;
    dashboard
}

impl Dashboard {
    /// What the indices of a panel's documents are called, with commas: `fleet-sqs-*`.
    #[must_use]
    pub fn indices(&self, over: Over) -> String {
        let templates = self.templates(over);
        let names = templates.iter().map(|template| format!("{}-*", template.name));
        names.collect::<Vec<_>>().join(",")
    }

    /// The templates of these indices.
    fn templates(&self, over: Over) -> Vec<mapping::Template> {
        let of = |datasets: &[&'static Dataset]| {
            let rows = datasets.iter().map(|dataset| {
                let [rows, _] = mapping::templates(&self.prefix, dataset);
                rows
            });
            rows.collect::<Vec<_>>()
        };
        let own = self.dataset.as_slice();
        let gaps = || vec![mapping::gaps(&self.prefix)];
        match over {
            Over::Rows => of(own),
            Over::Gaps => gaps(),
            Over::Resources => [of(own), gaps()].concat(),
            Over::Everything => [of(&self.datasets), gaps()].concat(),
        }
    }

    /// A panel's query in Lucene's syntax, with the dataset if its indices have others too.
    #[must_use]
    pub fn query(&self, panel: &Panel) -> String {
        let is_shared = matches!(panel.over, Over::Gaps | Over::Resources);
        let dataset = self.dataset.filter(|_| is_shared).map(|dataset| format!("dataset:{}", dataset.name));
        let own = Some(panel.query.to_owned()).filter(|query| !query.is_empty());
        dataset.into_iter().chain(own).collect::<Vec<_>>().join(" AND ")
    }

    /// The same, where the indices are those of the whole sink.
    #[must_use]
    pub fn query_of_all(&self, panel: &Panel) -> String {
        let dataset = self.dataset.map(|dataset| format!("dataset:{}", dataset.name));
        let kind = match panel.over {
            // Only a document of a gap has the end of its window.
            Over::Rows => Some("NOT _exists_:window_end"),
            Over::Gaps => Some("_exists_:window_end"),
            Over::Resources | Over::Everything => None,
        };
        let own = Some(panel.query).filter(|query| !query.is_empty());
        let parts = dataset.iter().map(|dataset| &**dataset).chain(kind).chain(own);
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// The id of a panel's index pattern.
    fn pattern_id(&self, over: Over) -> String {
        match over {
            Over::Rows => self.id.clone(),
            Over::Gaps => format!("{}-{COVERAGE}", self.prefix),
            Over::Resources => format!("{}-with-{COVERAGE}", self.id),
            // No dataset has a - in its name.
            Over::Everything => format!("{}-all-datasets", self.prefix),
        }
    }

    /// The id of a panel's saved object.
    fn panel_id(&self, panel: &Panel) -> String {
        match self.dataset {
            Some(_) => format!("{}-{}", self.id, panel.id),
            None => format!("{}-all-datasets-{}", self.prefix, panel.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fleet::datasets;

    use super::*;

    #[test]
    fn every_field_of_every_panel_is_in_each_of_its_mappings() {
        let all: Vec<_> = datasets::all().collect();
        let boards = of("fleet", &all);
        assert_eq!(
            boards.iter().map(|board| &*board.id).collect::<Vec<_>>(),
            ["fleet-lambda_function", "fleet-ecs_service", "fleet"]
        );
        for (board, template) in boards.iter().zip(catalogue::ALL) {
            assert_eq!(board.panels.len(), template.panels.len(), "{} has all its panels", board.id);
            for panel in &board.panels {
                for template in board.templates(panel.over) {
                    for field in panel.fields() {
                        assert!(template.has(field), "{} {}: {field}", panel.id, template.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_panel_is_named_and_drawn_in_a_way_that_its_columns_allow() {
        for template in catalogue::ALL {
            let mut ids = HashSet::new();
            for panel in template.panels {
                assert!(ids.insert(panel.id), "{} is there twice", panel.id);
                assert!(
                    panel.id.bytes().all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte))
                );
                assert_eq!(panel.kind == panel::Kind::Number, panel.by.is_empty(), "{}", panel.id);
                if panel.has_ratio() {
                    assert_eq!(panel.kind, panel::Kind::Line, "{}", panel.id);
                    assert_eq!(panel.by.last(), Some(&panel::By::Time), "{}", panel.id);
                }
            }
        }
    }
}
