// SPDX-License-Identifier: Apache-2.0
//! What the panels of dashboards and the monitors ask, at real nodes of both versions, compared with the truth; and how both are
//! installed, at the double.

mod draw;
mod installed;
mod monitors;
mod truth;
mod world;

use std::{cmp::Ordering, env, fs};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use fleet::Dataset;
use kit::{
    Fleet, Setup, finish, http,
    search_node::{Node, Version},
};
use serde_json::{Value, json};
use sinks::opensearch::dashboards::{
    self, Dashboard,
    panel::{By, Line, Panel},
};

use self::world::{DAY, World};
use crate::NDJSON;

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dashboards");

const DATASETS: [&str; 2] = ["lambda_function", "ecs_service"];

/// A node that the documents of a [`World`] are in, whose indices `producer setup` has prepared.
struct Filled {
    url: String,
    prefix: String,
    world: World,
}

impl Filled {
    /// One for each version that is here.
    async fn all() -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for version in Version::ALL {
            if let Some(node) = Node::shared(version)? {
                all.push(Self::new(node.url()).await?);
            }
        }
        Ok(all)
    }

    async fn new(url: &str) -> Result<Self> {
        let mut fleet = Fleet::new(Setup::default()).await?;
        let prefix = format!("t{:08x}", fastrand::u32(..));
        let file = fleet.file(
            "fleet.toml",
            &format!(
                "[[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = ['lambda_function', 'ecs_service']\n\
                 url = '{url}'\nauth = 'none'\nprefix = '{prefix}'\n"
            ),
        )?;
        fleet.variable("FLEET_CONFIG", &file);
        let said = finish(fleet.producer(&["setup", "search"])).await?.status(0).stdout;
        ensure!(said.contains("skip      dashboards: the sink has no key dashboards"), "{said}");

        let world = World::new();
        let mut body = String::new();
        for document in world.everything() {
            let text = |field: &str| document[field].as_str().unwrap_or_default();
            let kind = if document.get("window_end").is_some() { "coverage" } else { text("dataset") };
            let month = text("@timestamp").get(..7).context("a month")?.replace('-', ".");
            let index = format!("{prefix}-{kind}-{month}");
            body += &format!("{}\n{document}\n", json!({"index": {"_index": index}}));
        }
        let answer =
            http::send("POST", &format!("{url}/_bulk?refresh=true"), &[NDJSON], body).await?.json()?;
        ensure!(answer["errors"] == false, "strict mappings take every field: {answer}");
        Ok(Self { url: url.to_owned(), prefix, world })
    }

    fn dashboards(&self) -> Vec<Dashboard> {
        let datasets: Vec<_> = DATASETS.iter().flat_map(|name| Dataset::named(name)).collect();
        dashboards::of(&self.prefix, &datasets)
    }

    async fn search(&self, indices: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/{indices}/_search", self.url);
        let (status, answer) = http::json("POST", &url, body).await?;
        ensure!(status == 200, "{status}: {answer}");
        Ok(answer)
    }

    /// What a panel shows of the day.
    async fn lines(&self, dashboard: &Dashboard, panel: &Panel) -> Result<Vec<Line>> {
        let body = panel.search(&dashboard.query(panel), day()?, "1h");
        let answer = self.search(&dashboard.indices(panel.over), &body).await?;
        Ok(panel.lines(&answer))
    }
}

fn day() -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let from = DAY.parse::<NaiveDate>()?.and_time(NaiveTime::MIN).and_utc();
    Ok((from, from + TimeDelta::days(1)))
}

/// The dataset of a dashboard, without the prefix of its indices.
fn board(prefix: &str, dashboard: &Dashboard) -> String {
    let name = dashboard.id.strip_prefix(prefix).unwrap_or_default();
    name.trim_start_matches('-').to_owned()
}

fn is_near(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() <= 1e-9 * one.abs().max(two.abs()).max(1e-6),
        (one, two) => one == two,
    }
}

#[tokio::test]
async fn every_panel_shows_the_truth() -> Result<()> {
    for filled in Filled::all().await? {
        let mut compared = 0;
        for dashboard in filled.dashboards() {
            for panel in &dashboard.panels {
                let name = board(&filled.prefix, &dashboard);
                let shown = filled.lines(&dashboard, panel).await?;
                let mut found = shown.clone();
                found.sort_by(|one, two| one.groups.cmp(&two.groups));
                let expected = truth::of(&filled.world, &name, panel.id)?;
                ensure!(!expected.is_empty(), "{name} {}: an empty truth", panel.id);
                let same = found.len() == expected.len()
                    && found.iter().zip(&expected).all(|(one, two)| {
                        let values = one.values.iter().zip(&two.values);
                        one.groups == two.groups
                            && values.fold(true, |same, (one, two)| same && is_near(*one, *two))
                    });
                ensure!(same, "{name} {}:\n{found:#?}\nmust be\n{expected:#?}", panel.id);
                ensure!(is_ordered(panel, &shown), "{name} {}: {shown:#?}", panel.id);
                compared += 1;
            }
        }
        assert_eq!(compared, 39, "panels at {}", filled.url);
    }
    Ok(())
}

#[tokio::test]
async fn what_grafana_asks_of_all_indices_is_the_same() -> Result<()> {
    for filled in Filled::all().await? {
        for dashboard in filled.dashboards() {
            for panel in &dashboard.panels {
                let body = panel.search(&dashboard.query_of_all(panel), day()?, "1h");
                let answer = filled.search(&format!("{}-*", filled.prefix), &body).await?;
                assert_eq!(panel.lines(&answer), filled.lines(&dashboard, panel).await?, "{}", panel.id);
            }
        }
    }
    Ok(())
}

/// With `UPDATE_DOCS=1` the pictures are drawn anew.
#[tokio::test]
async fn the_pictures_are_what_the_panels_show() -> Result<()> {
    for filled in Filled::all().await? {
        for dashboard in filled.dashboards() {
            let mut panels = Vec::new();
            for panel in &dashboard.panels {
                panels.push((*panel, filled.lines(&dashboard, panel).await?));
            }
            let title = dashboard.title.replace(&filled.prefix, "fleet");
            let drawn = draw::dashboard(&title, &panels);
            let name = Some(board(&filled.prefix, &dashboard)).filter(|name| !name.is_empty());
            let file = format!("{PICTURES}/{}.svg", name.as_deref().unwrap_or("fleet"));
            if env::var("UPDATE_DOCS").is_ok_and(|value| value == "1") {
                fs::write(&file, drawn)?;
            } else {
                let kept = fs::read_to_string(&file).with_context(|| format!("could not read {file}"))?;
                ensure!(kept == drawn, "{file} is another picture; UPDATE_DOCS=1 draws it");
            }
        }
    }
    Ok(())
}

/// Whether lines of one group each are in the order that the panel says.
fn is_ordered(panel: &Panel, lines: &[Line]) -> bool {
    let [By::Values { ascending, .. }] = panel.by else { return true };
    let order = if *ascending { Ordering::Greater } else { Ordering::Less };
    let first = |line: &Line| line.values.first().copied().flatten().unwrap_or_default();
    lines.windows(2).all(|pair| first(&pair[0]).total_cmp(&first(&pair[1])) != order)
}
