// SPDX-License-Identifier: Apache-2.0
//! How `producer setup` installs dashboards, monitors and their channel. Neither Dashboards nor the plugins can be run here: the
//! double takes their documents as the published sources do.

use anyhow::{Context, Result};
use kit::{Fleet, Setup, finish, http};
use local_aws::OpenSearch;
use serde_json::{Value, json};

const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:alarms";

struct Scene {
    fleet: Fleet,
    search: OpenSearch,
}

impl Scene {
    /// A sink at the double, with more keys of its own.
    async fn new(more: &str) -> Result<Self> {
        let fleet = Fleet::new(Setup::default()).await?;
        let search = fleet.aws.opensearch()?;
        let mut scene = Self { fleet, search };
        scene.configure(&["lambda", "ecs_service"], more)?;
        Ok(scene)
    }

    /// Gives the sink these datasets and keys.
    fn configure(&mut self, datasets: &[&str], more: &str) -> Result<()> {
        let (url, dashboards) = (self.search.url(), self.search.dashboards_url());
        let text = format!(
            "[[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = {datasets:?}\nurl = '{url}'\n\
             auth = 'none'\ndashboards = '{dashboards}'\n{more}\n"
        );
        let file = self.fleet.file("fleet.toml", &text)?;
        self.fleet.variable("FLEET_CONFIG", &file);
        Ok(())
    }

    async fn setup(&self, more: &[&str]) -> Result<String> {
        let arguments = [&["setup", "search"], more].concat();
        Ok(finish(self.fleet.producer(&arguments)).await?.status(0).stdout)
    }

    /// Changes an attribute of a saved object, as a user does.
    async fn edit(&self, kind: &str, id: &str, attribute: &str, value: &str) -> Result<()> {
        let key = (kind.to_owned(), id.to_owned());
        let mut object = self.search.saved_objects().remove(&key).context("an object")?;
        object["attributes"][attribute] = value.into();
        let url = format!("{}/api/saved_objects/_bulk_create?overwrite=true", self.search.dashboards_url());
        let headers = [("osd-xsrf", "true"), ("content-type", "application/json")];
        let answer = http::send("POST", &url, &headers, json!([object]).to_string()).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.status);
        Ok(())
    }

    fn object(&self, kind: &str, id: &str) -> Value {
        let key = (kind.to_owned(), id.to_owned());
        self.search.saved_objects().remove(&key).unwrap_or_default()
    }
}

#[tokio::test]
async fn dashboards_are_installed_once_and_what_a_user_edits_is_kept() -> Result<()> {
    let scene = Scene::new("tenant = 'global'").await?;
    let dry = scene.setup(&["--dry-run"]).await?;
    assert!(dry.contains("create    visualization fleet-lambda_function-error-rate"), "{dry}");
    assert!(scene.search.saved_objects().is_empty());

    scene.setup(&[]).await?;
    let first = scene.search.saved_objects();
    let of = |kind: &str| first.keys().filter(|(known, _)| known == kind).count();
    assert_eq!((of("dashboard"), of("visualization"), of("index-pattern")), (3, 39, 5));
    assert_eq!(scene.search.tenant().as_deref(), Some("global"));
    let again = scene.setup(&[]).await?;
    assert!(again.contains("search: changed 0, "), "{again}");
    assert_eq!(scene.search.saved_objects(), first);

    let (kind, id) = ("visualization", "fleet-lambda_function-errors");
    scene.edit(kind, id, "title", "Our errors").await?;
    let kept = scene.setup(&[]).await?;
    assert!(
        kept.contains(&format!("keep      {kind} {id}: a user has edited it; --overwrite replaces it")),
        "{kept}"
    );
    assert_eq!(scene.object(kind, id)["attributes"]["title"], "Our errors");
    let taken = scene.setup(&["--overwrite"]).await?;
    assert!(taken.contains(&format!("update    {kind} {id}")), "{taken}");
    assert_eq!(scene.search.saved_objects(), first);
    Ok(())
}

#[tokio::test]
async fn what_an_earlier_set_up_wrote_is_replaced_and_formats_of_fields_stay() -> Result<()> {
    let mut scene = Scene::new("").await?;
    scene.setup(&[]).await?;
    scene.edit("index-pattern", "fleet-all-datasets", "fieldFormatMap", "{}").await?;
    // Another dataset changes the indices of the fleet, and nothing that is of functions.
    scene.configure(&["lambda", "ecs_service", "sqs"], "")?;
    let said = scene.setup(&[]).await?;
    assert!(said.contains("update    index pattern fleet-all-datasets"), "{said}");
    assert!(!said.contains("fleet-lambda_function-error"), "{said}");
    let pattern = scene.object("index-pattern", "fleet-all-datasets");
    let title = pattern["attributes"]["title"].as_str().context("a title")?;
    assert!(title.contains("fleet-sqs-*") && title.contains("fleet-coverage-*"), "{title}");
    assert_eq!(pattern["attributes"]["fieldFormatMap"], "{}");
    Ok(())
}

#[tokio::test]
async fn an_import_that_refuses_types_that_it_has_is_gone_around() -> Result<()> {
    let scene = Scene::new("").await?;
    scene.search.imports(false);
    scene.setup(&[]).await?;
    let calls = |operation| scene.fleet.aws.calls().operation(operation).count();
    assert_eq!((calls("ImportSavedObjects"), calls("BulkCreateSavedObjects")), (1, 1));
    assert!(scene.setup(&[]).await?.contains("search: changed 0, "));
    Ok(())
}

#[tokio::test]
async fn monitors_and_their_channel_are_installed_once_and_follow_the_thresholds() -> Result<()> {
    let alerts = format!("[sink.alerts]\nsns_topic = '{TOPIC}'\n");
    let mut scene = Scene::new(&alerts).await?;
    scene.setup(&[]).await?;
    let monitors = scene.search.monitors();
    assert_eq!(monitors.len(), 4);
    let by_name = |monitors: &std::collections::BTreeMap<String, Value>, name: &str| {
        let found = monitors
            .iter()
            .find(|(_, monitor)| monitor["name"].as_str().is_some_and(|known| known.contains(name)));
        found.map(|(id, monitor)| (id.clone(), monitor.clone())).with_context(|| format!("no monitor {name}"))
    };
    let channel = &scene.search.channels()["fleet-alerts"];
    assert_eq!((&channel["config_type"], &channel["sns"]["topic_arn"]), (&json!("sns"), &json!(TOPIC)));
    let (id, rate) = by_name(&monitors, "error rate")?;
    let trigger = &rate["triggers"][0]["bucket_level_trigger"];
    assert_eq!(trigger["actions"][0]["destination_id"], "fleet-alerts");
    assert!(
        trigger["condition"]["script"]["source"].as_str().is_some_and(|script| script.ends_with("> 0.05"))
    );
    assert!(scene.setup(&[]).await?.contains("search: changed 0, "));

    // A threshold of the file goes to the monitor that there is.
    scene.configure(&["lambda", "ecs_service"], &format!("{alerts}error_rate = '20%'\n"))?;
    let said = scene.setup(&[]).await?;
    assert!(said.contains("update    monitor \"fleet: error rate of lambda_function\""), "{said}");
    assert!(said.contains("search: changed 1, "), "{said}");
    let (same, mut edited) = by_name(&scene.search.monitors(), "error rate")?;
    assert_eq!(same, id, "it is not made anew");

    // A user's edit is kept, whatever the file says.
    edited["schedule"]["period"]["interval"] = json!(5);
    let url = format!("{}/_plugins/_alerting/monitors/{id}", scene.search.url());
    assert_eq!(http::json("PUT", &url, &edited).await?.0, 200);
    let said = scene.setup(&[]).await?;
    assert!(
        said.contains("keep      monitor \"fleet: error rate of lambda_function\": a user has edited it"),
        "{said}"
    );
    scene.setup(&["--overwrite"]).await?;
    let (_, taken) = by_name(&scene.search.monitors(), "error rate")?;
    assert_eq!(taken["schedule"]["period"]["interval"], 60);
    Ok(())
}

#[tokio::test]
async fn the_url_of_a_channel_is_a_secret_of_the_environment() -> Result<()> {
    let mut scene = Scene::new("[sink.alerts]\nchannel = 'slack'").await?;
    let failed = finish(scene.fleet.producer(&["setup", "search"])).await?.status(1);
    assert!(
        failed.stderr.contains("need the environment variable FLEET_SINK_SEARCH_CHANNEL_URL"),
        "{}",
        failed.stderr
    );
    let secret = "https://hooks.slack.example/T0/B0/hush";
    scene.fleet.variable("FLEET_SINK_SEARCH_CHANNEL_URL", secret);
    let done = finish(scene.fleet.producer(&["setup", "search"])).await?.status(0);
    assert!(!done.stdout.contains("hush") && !done.stderr.contains("hush"));
    assert_eq!(scene.search.channels()["fleet-alerts"]["slack"]["url"], secret);
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_no_dashboards_is_named() -> Result<()> {
    let mut scene = Scene::new("").await?;
    let url = scene.search.url();
    let text = format!(
        "[[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = ['lambda']\nurl = '{url}'\nauth = 'none'\n\
         dashboards = '{url}/nothing'\n"
    );
    let file = scene.fleet.file("fleet.toml", &text)?;
    scene.fleet.variable("FLEET_CONFIG", &file);
    let failed = finish(scene.fleet.producer(&["setup", "search"])).await?.status(1);
    assert!(failed.stderr.contains("/nothing answers 400"), "{}", failed.stderr);
    assert!(scene.search.saved_objects().is_empty());
    Ok(())
}

#[tokio::test]
async fn the_dashboards_are_a_file_for_grafana() -> Result<()> {
    let scene = Scene::new("").await?;
    let file = scene.fleet.file("grafana.json", "")?;
    finish(scene.fleet.producer(&["setup", "search", "--grafana", &file])).await?.status(0);
    let drawn: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    assert_eq!(drawn["title"], "fleet: the fleet");
    let panels = drawn["panels"].as_array().context("panels")?;
    assert_eq!(panels.len(), 39 + 3, "a row for each dashboard");
    assert!(scene.search.saved_objects().is_empty() && scene.search.indices().is_empty());
    Ok(())
}
