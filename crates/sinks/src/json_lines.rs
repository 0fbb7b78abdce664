// SPDX-License-Identifier: Apache-2.0
//! Sink `json_lines`: each report as a file of JSON lines in a folder, for a program that ships files to where no sink of
//! ours goes: Vector, Fluent Bit, Filebeat.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fleet::report::stored::{Cell, StoredReport};
use futures::{FutureExt, future::BoxFuture};
use serde_json::{Map, Value};
use tempfile::NamedTempFile;
use tokio::{
    fs::{self, File},
    io::{AsyncWriteExt, BufWriter},
};

use crate::{marker::Counts, settings::Settings, sink::Sink, transfer::Transfer};

/// A folder of files, each with the key of its report and the ending `.jsonl`.
#[derive(Debug)]
struct JsonLines {
    folder: PathBuf,
}

/// `folder`: where the files are written. It must exist.
pub(super) fn open(settings: &Settings<'_>) -> Option<Box<dyn Sink>> {
    let folder = settings.table.required("folder")?.text()?.into();
    Some(Box::new(JsonLines { folder }))
}

impl Sink for JsonLines {
    fn check(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        async {
            let written = NamedTempFile::new_in(&self.folder).map(drop);
            written.with_context(|| {
                let folder = self.folder.display();
                format!(
                    "the folder {folder} can't be written to; create it, or allow this user to write there"
                )
            })
        }
        .boxed()
    }

    fn deliver<'a>(&'a self, transfer: &'a mut Transfer<'_>) -> BoxFuture<'a, anyhow::Result<Counts>> {
        async {
            let report = &mut transfer.report;
            // A key has no part that leads out of the folder.
            let path = self.folder.join(&report.key).with_extension("jsonl");
            let sent = write(&path, report).await;
            let sent = sent.with_context(|| format!("could not write {}", path.display()))?;
            Ok(Counts { sent, ..Counts::default() })
        }
        .boxed()
    }
}

/// Writes a file whole or not at all, in place of one that is there.
async fn write(path: &Path, report: &mut StoredReport) -> anyhow::Result<u64> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).await?;
    let (file, temporary) = NamedTempFile::new_in(folder)?.into_parts();
    let mut file = BufWriter::new(File::from_std(file));
    let mut rows = 0;
    while let Some(row) = report.next().await? {
        let object: Map<String, Value> =
            row.cells().map(|(column, cell)| (column.to_owned(), value(cell))).collect();
        let mut line = serde_json::to_vec(&object)?;
        line.push(b'\n');
        file.write_all(&line).await?;
        rows += 1;
    }
    file.flush().await?;
    file.get_ref().sync_all().await?;
    temporary.persist(path)?;
    // The name is safe once the folder is.
    File::open(folder).await?.sync_all().await?;
    Ok(rows)
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Unknown => Value::Null,
        Cell::Text(text) => text.into(),
        // A number that JSON can't express stays a text.
        Cell::Number(digits) => serde_json::from_str(digits).map_or(digits.into(), Value::Number),
    }
}
