// SPDX-License-Identifier: Apache-2.0
//! Dashboards as saved objects of OpenSearch Dashboards: index patterns, visualizations, and the dashboard that has them.
//! Pure functions.
//!
//! They are of the versions that Dashboards 1, 2 and 3 take. Source:
//! <https://github.com/opensearch-project/OpenSearch-Dashboards>, `src/plugins/visualizations/server/saved_objects`,
//! `src/plugins/dashboard/server/saved_objects` and `src/plugins/data/server/saved_objects`

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Dashboard,
    panel::{By, Column, Kind, Panel},
};

/// How wide a dashboard is, and how high a panel, in units of its grid.
const WIDTH: u32 = 48;
const HEIGHT: u32 = 14;
const HEIGHT_OF_NUMBER: u32 = 7;

/// The name by which a visualization refers to its index pattern.
const INDEX: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";

/// A saved object as it has to be.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedObject {
    pub kind: &'static str,
    pub id: String,
    /// Without the description, which says whose it is.
    pub attributes: Value,
    pub references: Value,
}

impl SavedObject {
    /// The object with a description, as it is imported.
    #[must_use]
    pub fn with_description(&self, description: &str) -> Value {
        let version = match self.kind {
            "index-pattern" => "7.6.0",
            "visualization" => "7.10.0",
            _ => "7.9.3",
        };
        let mut attributes = self.attributes.clone();
        // An index pattern has no description.
        if let Some(attributes) = attributes.as_object_mut().filter(|_| self.kind != "index-pattern") {
            attributes.insert("description".to_owned(), description.into());
        }
        json!({
            "type": self.kind, "id": self.id, "attributes": attributes, "references": self.references,
            "migrationVersion": {self.kind: version},
        })
    }
}

/// The objects of dashboards, each after those that it refers to.
#[must_use]
pub fn all(dashboards: &[Dashboard]) -> Vec<SavedObject> {
    let mut patterns = BTreeMap::new();
    for dashboard in dashboards {
        for panel in &dashboard.panels {
            let id = dashboard.pattern_id(panel.over);
            patterns.entry(id.clone()).or_insert_with(|| pattern(id, &dashboard.indices(panel.over)));
        }
    }
    let mut all: Vec<SavedObject> = patterns.into_values().collect();
    for dashboard in dashboards {
        all.extend(dashboard.panels.iter().map(|panel| visualization(dashboard, panel)));
        all.push(whole(dashboard));
    }
    all
}

/// Its fields are those of its indices: Dashboards looks them up when it is opened first.
fn pattern(id: String, indices: &str) -> SavedObject {
    let number = |pattern: &str| json!({"id": "number", "params": {"pattern": pattern}});
    let percent = json!({"id": "percent", "params": {"pattern": "0.[00]%"}});
    let formats = json!({
        "cost_usd": number("$0,0.00[00]"), "arm64_saving_usd": number("$0,0.00[00]"), "error_rate": percent,
        "timeout_proximity_maximum": percent, "timeout_proximity_p99": percent,
    });
    SavedObject {
        kind: "index-pattern",
        id,
        attributes: json!({
            "title": indices, "timeFieldName": "@timestamp", "fieldFormatMap": formats.to_string(),
        }),
        references: json!([]),
    }
}

fn visualization(dashboard: &Dashboard, panel: &Panel) -> SavedObject {
    let title = format!("{}: {}", dashboard.id, panel.title);
    let (state, query, references) = if panel.has_ratio() {
        (time_series(dashboard, panel, &title), String::new(), json!([]))
    } else {
        let id = dashboard.pattern_id(panel.over);
        let references = json!([{"name": INDEX, "type": "index-pattern", "id": id}]);
        (classic(panel, &title), dashboard.query(panel), references)
    };
    let mut source = json!({"query": {"query": query, "language": "lucene"}, "filter": []});
    if references != json!([])
        && let Some(source) = source.as_object_mut()
    {
        source.insert("indexRefName".to_owned(), INDEX.into());
    }
    SavedObject {
        kind: "visualization",
        id: dashboard.panel_id(panel),
        attributes: json!({
            "title": title, "visState": state.to_string(), "uiStateJSON": "{}", "version": 1,
            "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
        }),
        references,
    }
}

/// The state of a classic visualization: its aggregations, and how they are drawn.
fn classic(panel: &Panel, title: &str) -> Value {
    let metric = |(place, column): (usize, &Column)| {
        let (kind, fields) = column.of.parts();
        let mut params = json!({"customLabel": column.label});
        if let ([Some(field), _], Some(params)) = (fields, params.as_object_mut()) {
            params.insert("field".to_owned(), field.into());
        }
        json!({"id": format!("{}", place + 1), "enabled": true, "type": kind, "schema": "metric", "params": params})
    };
    let groups = panel.by.len();
    let bucket = |(place, by): (usize, &By)| {
        let schema = match panel.kind {
            Kind::Table => "bucket",
            // The innermost is the axis, and those around it are series.
            Kind::Line | Kind::Bar if place + 1 < groups => "group",
            _ => "segment",
        };
        let (kind, params) = match by {
            By::Time => {
                let params = json!({
                    "field": "@timestamp", "interval": "auto", "min_doc_count": 1, "extended_bounds": {},
                    "drop_partials": false, "scaleMetricValues": false,
                });
                ("date_histogram", params)
            }
            By::Values { field, label, size, ascending } => {
                let params = json!({
                    "field": field, "customLabel": label, "size": size, "orderBy": "1",
                    "order": if *ascending { "asc" } else { "desc" },
                    "otherBucket": false, "otherBucketLabel": "Other", "missingBucket": false,
                    "missingBucketLabel": "Missing",
                });
                ("terms", params)
            }
        };
        let id = format!("{}", panel.columns.len() + place + 1);
        json!({"id": id, "enabled": true, "type": kind, "schema": schema, "params": params})
    };
    let metrics = panel.columns.iter().enumerate().map(metric);
    let aggs: Vec<Value> = metrics.chain(panel.by.iter().enumerate().map(bucket)).collect();
    let (kind, params) = drawn(panel);
    json!({"title": title, "type": kind, "params": params, "aggs": aggs})
}

/// The type of a classic visualization, and its parameters.
fn drawn(panel: &Panel) -> (&'static str, Value) {
    match panel.kind {
        Kind::Number => {
            let style = json!({"bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 36});
            let metric = json!({
                "percentageMode": false, "useRanges": false, "colorSchema": "Green to Red",
                "metricColorMode": "None", "colorsRange": [{"from": 0, "to": 10000}],
                "labels": {"show": true}, "invertColors": false, "style": style,
            });
            ("metric", json!({"addTooltip": true, "addLegend": false, "type": "metric", "metric": metric}))
        }
        Kind::Table => {
            let params = json!({
                "perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false,
                "sort": {"columnIndex": null, "direction": null}, "showTotal": false, "totalFunc": "sum",
                "percentageCol": "",
            });
            ("table", params)
        }
        Kind::Pie => {
            let labels = json!({"show": true, "values": true, "last_level": true, "truncate": 100});
            let params = json!({
                "type": "pie", "addTooltip": true, "addLegend": true, "legendPosition": "right",
                "isDonut": true, "labels": labels,
            });
            ("pie", params)
        }
        Kind::Line => ("line", axes(panel, "line")),
        Kind::Bar => ("histogram", axes(panel, "histogram")),
    }
}

fn axes(panel: &Panel, kind: &str) -> Value {
    let first = panel.columns.first().map_or("", |column| column.label);
    let category = json!({
        "id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": true, "style": {},
        "scale": {"type": "linear"}, "labels": {"show": true, "filter": true, "truncate": 100}, "title": {},
    });
    let value = json!({
        "id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left", "show": true,
        "style": {}, "scale": {"type": "linear", "mode": "normal"},
        "labels": {"show": true, "rotate": 0, "filter": false, "truncate": 100}, "title": {"text": first},
    });
    let mode = if kind == "line" { "normal" } else { "stacked" };
    let one = |(place, column): (usize, &Column)| {
        json!({
            "show": true, "type": kind, "mode": mode, "valueAxis": "ValueAxis-1",
            "data": {"id": format!("{}", place + 1), "label": column.label},
            "drawLinesBetweenPoints": true, "lineWidth": 2, "showCircles": true, "interpolate": "linear",
        })
    };
    let series: Vec<Value> = panel.columns.iter().enumerate().map(one).collect();
    json!({
        "type": kind, "grid": {"categoryLines": false}, "categoryAxes": [category], "valueAxes": [value],
        "seriesParams": series, "addTooltip": true, "addLegend": true, "legendPosition": "right", "times": [],
        "addTimeMarker": false,
        "labels": {}, "thresholdLine": {
            "show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C"
        },
    })
}

/// The state of a time series whose values are ratios of sums, which only the visual builder can divide.
fn time_series(dashboard: &Dashboard, panel: &Panel, title: &str) -> Value {
    let series = panel.columns.iter().enumerate().map(|(place, column)| {
        let id = |what: &str| format!("{}-{what}{place}", panel.id);
        let (_, [of, by]) = column.of.parts();
        let metrics = json!([
            {"id": id("of"), "type": "sum", "field": of},
            {"id": id("by"), "type": "sum", "field": by},
            {
                "id": id("ratio"), "type": "math", "script": "params.of / params.by",
                "variables": [
                    {"id": id("x"), "name": "of", "field": id("of")},
                    {"id": id("y"), "name": "by", "field": id("by")},
                ],
            },
        ]);
        let split = panel.by.iter().find_map(|by| match by {
            By::Values { field, size, .. } => Some((*field, *size)),
            By::Time => None,
        });
        json!({
            "id": id("series"), "label": if split.is_some() { "" } else { column.label }, "color": "#006BB4",
            "split_mode": if split.is_some() { "terms" } else { "everything" },
            "terms_field": split.map(|(field, _)| field), "terms_size": split.map(|(_, size)| size.to_string()),
            "terms_order_by": split.map(|_| id("of")), "terms_direction": "desc",
            "metrics": metrics, "separate_axis": 0, "axis_position": "right", "formatter": "percent",
            "chart_type": "line", "line_width": 1, "point_size": 2, "fill": 0, "stacked": "none",
        })
    });
    let params = json!({
        "id": panel.id, "type": "timeseries", "series": series.collect::<Vec<_>>(),
        "time_field": "@timestamp", "index_pattern": dashboard.indices(panel.over), "interval": "",
        "filter": {"query": dashboard.query(panel), "language": "lucene"},
        "axis_position": "left", "axis_formatter": "number", "axis_scale": "normal", "show_legend": 1,
        "show_grid": 1, "tooltip_mode": "show_all",
    });
    json!({"title": title, "type": "metrics", "params": params, "aggs": []})
}

fn whole(dashboard: &Dashboard) -> SavedObject {
    let (mut panels, mut references) = (Vec::new(), Vec::new());
    for (place, (panel, Place { x, y, width, height })) in grid(&dashboard.panels).enumerate() {
        let (index, name) = (place.to_string(), format!("panel_{place}"));
        panels.push(json!({
            "version": "7.9.3", "panelIndex": index, "embeddableConfig": {}, "panelRefName": name,
            "title": panel.title,
            "gridData": {"x": x, "y": y, "w": width, "h": height, "i": index},
        }));
        let id = dashboard.panel_id(panel);
        references.push(json!({"name": name, "type": "visualization", "id": id}));
    }
    let source = json!({"query": {"query": "", "language": "lucene"}, "filter": []});
    SavedObject {
        kind: "dashboard",
        id: format!("{}-dashboard", dashboard.id),
        attributes: json!({
            "title": dashboard.title, "hits": 0, "version": 1,
            "panelsJSON": Value::from(panels).to_string(),
            "optionsJSON": json!({"hidePanelTitles": false, "useMargins": true}).to_string(),
            "timeRestore": true, "timeFrom": "now-7d", "timeTo": "now",
            "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
        }),
        references: references.into(),
    }
}

/// Where a panel is on a dashboard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Panels in rows: as many numbers as fit in one row, then two others in each.
pub(super) fn grid<'a>(panels: &'a [&'static Panel]) -> impl Iterator<Item = (&'static Panel, Place)> + 'a {
    let numbers = panels.iter().filter(|panel| panel.kind == Kind::Number).count();
    let width_of_number = WIDTH / u32::try_from(numbers.max(1)).unwrap_or(1);
    let (mut x, mut y, mut row) = (0, 0, 0);
    panels.iter().map(move |panel| {
        let (width, height) = match panel.kind {
            Kind::Number => (width_of_number, HEIGHT_OF_NUMBER),
            _ => (WIDTH / 2, HEIGHT),
        };
        if x + width > WIDTH || (row != 0 && row != height) {
            (x, y) = (0, y + row);
        }
        let place = Place { x, y, width, height };
        (x, row) = (x + width, height);
        (*panel, place)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use fleet::datasets;

    use super::*;
    use crate::opensearch::dashboards;

    fn parsed(value: &Value) -> Value {
        serde_json::from_str(value.as_str().expect("a text")).expect("JSON")
    }

    #[test]
    fn references_resolve_and_ids_are_there_once() {
        let objects = all(&dashboards::of("fleet", &datasets::all().collect::<Vec<_>>()));
        let mut known = HashMap::new();
        for object in &objects {
            for reference in object.references.as_array().expect("a list") {
                let key =
                    (reference["type"].as_str().expect("a type"), reference["id"].as_str().expect("an id"));
                assert!(known.contains_key(&key), "{} refers to what comes before it: {key:?}", object.id);
            }
            let full = object.with_description("ours");
            assert!(known.insert((object.kind, &*object.id), full).is_none(), "{} is there twice", object.id);
        }
        let ids: HashSet<_> = objects.iter().map(|object| &object.id).collect();
        assert!(ids.contains(&"fleet-lambda_function-near-timeouts".to_owned()));
        assert_eq!(ids.len(), objects.len(), "over all types");
    }

    #[test]
    fn what_a_visualization_refers_to_by_name_it_has() {
        let boards = dashboards::of("fleet", &datasets::all().collect::<Vec<_>>());
        for object in all(&boards).iter().filter(|object| object.kind == "visualization") {
            let source = parsed(&object.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
            let state = parsed(&object.attributes["visState"]);
            match object.references.as_array().expect("a list").as_slice() {
                [reference] => assert_eq!(source["indexRefName"], reference["name"]),
                _ => {
                    assert_eq!(state["type"], "metrics", "{}", object.id);
                    let pattern = state["params"]["index_pattern"].as_str().expect("a pattern");
                    assert!(pattern.starts_with("fleet-") && pattern.ends_with("-*"));
                }
            }
            // Order and axes name an aggregation by its id.
            let aggs = state["aggs"].as_array().expect("a list");
            let ids: HashSet<_> = aggs.iter().map(|one| one["id"].as_str().expect("an id")).collect();
            assert_eq!(ids.len(), aggs.len(), "{}", object.id);
            for order in aggs.iter().filter_map(|one| one["params"]["orderBy"].as_str()) {
                assert!(ids.contains(order), "{}", object.id);
            }
        }
    }

    #[test]
    fn panels_do_not_overlap_and_fill_rows() {
        for dashboard in dashboards::of("fleet", &datasets::all().collect::<Vec<_>>()) {
            let mut taken = HashSet::new();
            for (panel, place) in grid(&dashboard.panels) {
                assert!(place.x + place.width <= WIDTH, "{}", panel.id);
                for x in place.x..place.x + place.width {
                    for y in place.y..place.y + place.height {
                        assert!(taken.insert((x, y)), "{} lies on another", panel.id);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_and_coverage_have_index_patterns_of_their_own() {
        let objects = all(&dashboards::of("ops", &fleet::Dataset::named("ecs_service")));
        let titles: Vec<_> = objects
            .iter()
            .filter(|object| object.kind == "index-pattern")
            .map(|object| object.attributes["title"].as_str().expect("a title"))
            .collect();
        assert_eq!(titles, ["ops-ecs_service-*,ops-coverage-*", "ops-coverage-*", "ops-ecs_service-*"]);
        assert!(!objects.iter().any(|object| matches!(object.id.as_str(), "ops-lambda_function")));
    }
}
