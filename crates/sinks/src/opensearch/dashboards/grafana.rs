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
#[must_use]
pub fn dashboard(prefix: &str, dashboards: &[Dashboard]) -> Value {
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
        Kind::Number => {
            let reduce = json!({"calcs": [whole(dashboard, panel)], "fields": "", "values": false});
            ("stat", json!({"reduceOptions": reduce, "colorMode": "none", "graphMode": "none"}))
        }
        Kind::Pie => {
            let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": true});
            let legend = json!({"displayMode": "table", "placement": "right", "showLegend": true});
            ("piechart", json!({"reduceOptions": reduce, "pieType": "donut", "legend": legend}))
        }
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
    let alias = panel.columns.first().filter(|_| panel.has_ratio() && panel.by.len() == 1);
    let ratio = if panel.has_ratio() {
        json!({"unit": "percentunit", "custom": draw})
    } else {
        json!({"custom": draw})
    };
    let target = json!({
        "refId": "A", "datasource": source, "queryType": "lucene", "timeField": "@timestamp",
        "query": dashboard.query_of_all(panel), "alias": alias.map_or("", |column| column.label), "format": "table",
        "metrics": metrics(panel), "bucketAggs": groups(dashboard, panel),
    });
    json!({
        "id": id, "type": kind, "title": panel.title, "datasource": source, "gridPos": position,
        "fieldConfig": {"defaults": ratio, "overrides": overrides(panel)}, "options": options,
        "targets": [target],
    })
}

/// The group by which a number is asked for, since Grafana asks for none without one: its documents are of one dataset, or a
/// few. How many values a field has in all of them is how many groups of it there are.
fn group_of_number<'a>(dashboard: &Dashboard, panel: &'a Panel) -> &'a str {
    match panel.columns.first().map(|column| column.of) {
        Some(Of::Distinct(field)) if dashboard.dataset.is_none() => field,
        _ => "dataset",
    }
}

/// How the values of these groups make the number.
fn whole(dashboard: &Dashboard, panel: &Panel) -> &'static str {
    match panel.columns.first().map(|column| column.of) {
        Some(Of::Distinct(_)) if dashboard.dataset.is_none() => "count",
        Some(Of::Maximum(_)) => "max",
        Some(Of::Minimum(_)) => "min",
        _ => "sum",
    }
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
        let (kind, [field, _]) = column.of.parts();
        let name = match kind {
            "count" => "Count",
            "sum" => "Sum",
            "avg" => "Average",
            "max" => "Max",
            "min" => "Min",
            "cardinality" => "Unique Count",
            _ => return None,
        };
        // The field is a part of the name only if it tells two columns apart.
        let alike = panel.columns.iter().filter(|other| other.of.parts().0 == kind).count();
        let shown =
            field.filter(|_| alike > 1).map_or_else(|| name.to_owned(), |field| format!("{name} {field}"));
        let is_time = field.is_some_and(is_time) && kind != "cardinality";
        Some(named((shown, column.label), is_time.then(|| json!({"id": "unit", "value": "dateTimeAsIso"}))))
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

fn groups(dashboard: &Dashboard, panel: &Panel) -> Vec<Value> {
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
        return vec![json!({
            "id": "100", "type": "terms", "field": group_of_number(dashboard, panel),
            "settings": {"size": "500", "order": "desc", "orderBy": "_term", "min_doc_count": "1"},
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
        let accounts = panels.iter().find(|panel| panel["title"] == "Accounts").expect("a panel");
        assert_eq!(accounts["targets"][0]["bucketAggs"][0]["field"], "account_name");
        assert_eq!(accounts["options"]["reduceOptions"]["calcs"], json!(["count"]), "of the groups");
        assert_eq!(
            near["targets"][0]["query"],
            "dataset:lambda_function AND NOT _exists_:window_end AND timeout_proximity_maximum:>=0.8"
        );
    }
}
