//! The reports out of the bucket, in the person's folder.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use chrono::Utc;
use cli::destination::Destination;
use fleet::report::ReportMetadata;

use crate::{
    cast::CAST,
    csv_report::{self, Row},
    tables::Line,
    worker_log::Stored,
    world::World,
};

/// A report that was fetched.
pub(crate) struct Fetched {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// How many columns it has.
    pub(crate) columns: usize,
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// What is to be said of it.
    pub(crate) line: Line,
}

/// Fetches the report of each account, in the order of the cast.
pub(crate) fn fetch_all(world: &World, folder: &Path, stored: &[Stored]) -> anyhow::Result<Vec<Fetched>> {
    CAST.iter()
        .map(|account| {
            let stored = stored.iter().find(|stored| stored.account == account.name);
            fetch(world, folder, stored.with_context(|| format!("no report of {}", account.name))?)
        })
        .collect()
}

/// Takes a report out of the bucket into the folder, under its key, and reads it.
fn fetch(world: &World, folder: &Path, stored: &Stored) -> anyhow::Result<Fetched> {
    let key = &stored.key;
    let object = world.object(key).with_context(|| format!("no object {key}"))?;
    let path = folder.join(key);
    let within = path.parent().unwrap_or(folder);
    fs::create_dir_all(within).with_context(|| format!("could not make the folder {}", within.display()))?;
    Destination::open(&path)?.write(&object.body)?;
    let rows = csv_report::rows(&object.body).with_context(|| format!("{key} is not a table"))?;
    let headers: HashMap<String, String> = object.metadata.into_iter().collect();
    let metadata = ReportMetadata::from_headers(&headers, Utc::now())
        .with_context(|| format!("{key} does not say what it is: {headers:?}"))?;
    Ok(Fetched {
        path,
        columns: csv_report::columns(&object.body)?,
        line: Line {
            account: stored.account.clone(),
            sums: csv_report::sums(&rows),
            api_calls: metadata.api_calls,
            dollars: metadata.estimated_cost_usd,
            took: Duration::from_millis(stored.milliseconds),
        },
        rows,
    })
}
