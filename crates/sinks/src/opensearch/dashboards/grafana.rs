// SPDX-License-Identifier: Apache-2.0
//! The dashboards as one of Grafana, for its OpenSearch data source. Pure functions.
//!
//! A data source there has one index pattern, so that it is that of the whole sink, and each query says the dataset. Source:
//! <https://github.com/grafana/opensearch-datasource>, `src/types.ts` and `provisioning/dashboards`

use serde_json::{Map, Value, json};

use super::{
    Dashboard,
    panel::{By, Column, Kind, Of, Panel},
    saved_objects::grid,
};

/// One dashboard, with a row of panels for each of ours.
pub(in super::super) fn dashboard(prefix: &str, dashboards: &[Dashboard]) -> Value {
    let mut panels = Vec::new();
    let mut top = 0;
    for dashboard in dashboards {
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": dashboard.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
        }));
        top += 1;
        let mut bottom = top;
        for (panel, place) in grid(&dashboard.panels) {
            // Its grid has half as many columns, and rows that are nearly twice as high.
            let (height, y) = (place.height * 4 / 7, top + place.y * 4 / 7);
            let position = json!({"x": place.x / 2, "y": y, "w": place.width / 2, "h": height});
            bottom = bottom.max(y + height);
            panels.push(one(dashboard, panel, panels.len() + 1, &position));
        }
        top = bottom;
    }
    let source = json!({
        "name": "source", "label": "OpenSearch", "type": "datasource", "query": "grafana-opensearch-datasource",
        "refresh": 1, "hide": 0, "multi": false, "includeAll": false,
    });
    json!({
        "uid": format!("{prefix}-fleet"), "title": format!("{prefix}: the fleet"), "tags": ["cloudwatch-fleet"],
        "description": format!("For a data source with the index {prefix}-* and the time field @timestamp."),
        "schemaVersion": 39, "version": 1, "editable": true, "timezone": "utc", "refresh": "",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": [source]}, "annotations": {"list": []}, "panels": panels,
    })
}

fn one(dashboard: &Dashboard, panel: &Panel, id: usize, position: &Value) -> Value {
    let source = json!({"type": "grafana-opensearch-datasource", "uid": "${source}"});
    let is_over_time = panel.by.last() == Some(&By::Time);
    let (kind, options) = match panel.kind {
        Kind::Number => ("stat", reduced(&json!({"colorMode": "none", "graphMode": "none"}))),
        Kind::Pie => (
            "piechart",
            reduced(
                &json!({"pieType": "donut", "legend": {"displayMode": "table", "placement": "right", "showLegend": true}}),
            ),
        ),
        Kind::Line => ("timeseries", json!({"legend": {"showLegend": true}})),
        Kind::Bar if is_over_time => ("timeseries", json!({"legend": {"showLegend": true}})),
        Kind::Bar => ("barchart", json!({"legend": {"showLegend": false}})),
        Kind::Table => ("table", json!({"showHeader": true})),
    };
    let draw = if panel.kind == Kind::Bar && is_over_time {
        json!({"drawStyle": "bars", "stacking": {"mode": "normal"}, "fillOpacity": 80})
    } else {
        json!({})
    };
    let ratio = if panel.has_ratio() {
        json!({"unit": "percentunit", "custom": draw})
    } else {
        json!({"custom": draw})
    };
    let target = json!({
        "refId": "A", "datasource": source, "queryType": "lucene", "timeField": "@timestamp",
        "query": dashboard.query_of_all(panel), "alias": "", "format": "table",
        "metrics": metrics(panel), "bucketAggs": groups(panel),
    });
    json!({
        "id": id, "type": kind, "title": panel.title, "datasource": source, "gridPos": position,
        "fieldConfig": {"defaults": ratio, "overrides": overrides(panel)}, "options": options,
        "targets": [target],
    })
}

/// Options of a panel that shows each line of its table as a value of its own.
fn reduced(more: &Value) -> Value {
    let mut options = json!({"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": true}});
    if let (Some(options), Some(more)) = (options.as_object_mut(), more.as_object()) {
        options.extend(more.clone());
    }
    options
}

/// What the columns of a table are called, and which of them are times.
fn overrides(panel: &Panel) -> Vec<Value> {
    let named = |(name, label): (String, &str), more: Option<Value>| {
        let properties = std::iter::once(json!({"id": "displayName", "value": label})).chain(more);
        json!({
            "matcher": {"id": "byName", "options": name}, "properties": properties.collect::<Vec<_>>(),
        })
    };
    if panel.kind != Kind::Table {
        return Vec::new();
    }
    let groups = panel.by.iter().filter_map(|by| match by {
        By::Values { field, label, .. } => Some(named(((*field).to_owned(), label), None)),
        By::Time => None,
    });
    let columns = panel.columns.iter().filter_map(|column| {
        let (name, field) = match column.of {
            Of::Count => ("Count".to_owned(), None),
            Of::Sum(field) => (format!("Sum {field}"), Some(field)),
            Of::Average(field) => (format!("Average {field}"), Some(field)),
            Of::Maximum(field) => (format!("Max {field}"), Some(field)),
            Of::Minimum(field) => (format!("Min {field}"), Some(field)),
            Of::Distinct(field) => (format!("Unique Count {field}"), Some(field)),
            Of::Ratio(..) => return None,
        };
        let is_time = field.is_some_and(is_time);
        Some(named((name, column.label), is_time.then(|| json!({"id": "unit", "value": "dateTimeAsIso"}))))
    });
    groups.chain(columns).collect()
}

/// Whether a field has times, whose largest is a number of milliseconds.
fn is_time(field: &str) -> bool {
    matches!(field, "@timestamp" | "collected_at" | "window_end" | "last_modified" | "runtime_deprecated_on")
}

fn metrics(panel: &Panel) -> Vec<Value> {
    let mut all = Vec::new();
    for (place, Column { of, .. }) in panel.columns.iter().enumerate() {
        let id = (place * 3 + 1).to_string();
        match of.parts() {
            (kind, [Some(of), Some(by)]) => {
                let (dividend, divisor) = ((place * 3 + 2).to_string(), (place * 3 + 3).to_string());
                all.push(json!({"id": dividend, "type": "sum", "field": of, "hide": true}));
                all.push(json!({"id": divisor, "type": "sum", "field": by, "hide": true}));
                let variables =
                    json!([{"name": "of", "pipelineAgg": dividend}, {"name": "by", "pipelineAgg": divisor}]);
                let script = json!({"script": "params.of / params.by"});
                all.push(json!({"id": id, "type": kind, "pipelineVariables": variables, "settings": script}));
            }
            (kind, [field, _]) => {
                let mut one = Map::new();
                one.insert("id".to_owned(), id.into());
                one.insert("type".to_owned(), kind.into());
                one.extend(field.map(|field| ("field".to_owned(), Value::from(field))));
                all.push(Value::Object(one));
            }
        }
    }
    all
}

fn groups(panel: &Panel) -> Vec<Value> {
    let first = panel.columns.first().map(|column| column.of);
    let order = match first {
        Some(Of::Count) | None => "_count",
        // A ratio is ordered by what is divided.
        Some(Of::Ratio(..)) => "2",
        Some(_) => "1",
    };
    let group = |(place, by): (usize, &By)| {
        let id = (100 + place).to_string();
        match by {
            By::Time => json!({
                "id": id, "type": "date_histogram", "field": "@timestamp",
                "settings": {"interval": "auto", "min_doc_count": "0"},
            }),
            By::Values { field, size, ascending, .. } => json!({
                "id": id, "type": "terms", "field": field,
                "settings": {
                    "size": size.to_string(), "order": if *ascending { "asc" } else { "desc" },
                    "orderBy": order, "min_doc_count": "1",
                },
            }),
        }
    };
    if panel.by.is_empty() {
        // A number is that of one group, which has all documents: each has a dataset, and few are the names of those.
        return vec![json!({
            "id": "100", "type": "filters",
            "settings": {"filters": [{"label": panel.title, "query": "*"}]},
        })];
    }
    panel.by.iter().enumerate().map(group).collect()
}

#[cfg(test)]
mod tests {
    use fleet::datasets;

    use super::*;
    use crate::opensearch::dashboards;

    #[test]
    fn every_panel_is_there_and_asks_for_its_dataset() {
        let boards = dashboards::of("fleet", &datasets::all().collect::<Vec<_>>());
        let drawn = dashboard("fleet", &boards);
        let panels = drawn["panels"].as_array().expect("panels");
        let rows = panels.iter().filter(|panel| panel["type"] == "row").count();
        let all: usize = boards.iter().map(|board| board.panels.len()).sum();
        assert_eq!((rows, panels.len() - rows), (boards.len(), all));
        let mut below = 0;
        for (place, panel) in panels.iter().enumerate() {
            assert_eq!(panel["id"], place + 1);
            let y = panel["gridPos"]["y"].as_u64().expect("a place");
            if panel["type"] == "row" {
                assert!(y >= below, "a row begins below what is above it");
            }
            below = below.max(y + panel["gridPos"]["h"].as_u64().expect("a height"));
        }
        let near = panels.iter().find(|panel| panel["title"] == "Near their timeouts").expect("a panel");
        assert_eq!(
            near["targets"][0]["query"],
            "dataset:lambda_function AND NOT _exists_:window_end AND timeout_proximity_maximum:>=0.8"
        );
    }
}
