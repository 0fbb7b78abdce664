// SPDX-License-Identifier: Apache-2.0
//! What the workers log: kept in a file each, counted where it is a warning or worse, and read for which message is
//! which job.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::ChildStderr,
    sync::oneshot,
};

use crate::workers::lock;

/// Warnings and errors, each with how often it was logged, and what is no log line at all.
#[derive(Debug, Default)]
pub(crate) struct WorkerLog {
    /// By level and text, cut where the details begin.
    pub(crate) said: BTreeMap<String, u64>,
    /// What no logger wrote: a panic's words.
    pub(crate) cried: Vec<String>,
    /// The account's name and the run of each job that they had in flight, by its message's id.
    pub(crate) jobs: HashMap<String, (String, String)>,
}

#[derive(Deserialize)]
struct Line<'a> {
    level: &'a str,
    message: std::borrow::Cow<'a, str>,
    reason: Option<&'a str>,
    span: Option<Span>,
}

/// The job that a line is about. A line about none may have another span, or none.
#[derive(Deserialize)]
struct Span {
    message_id: Option<String>,
    account_name: Option<String>,
    run_id: Option<String>,
}

/// What a worker logs when it is about to take jobs.
const READY: &str = "the worker is ready";

/// Follows a worker's log to its end, and tells when the worker is ready.
pub(crate) async fn follow(
    stderr: ChildStderr,
    path: PathBuf,
    ready: oneshot::Sender<()>,
    log: Arc<Mutex<WorkerLog>>,
) {
    let mut file = File::create(path).map(BufWriter::new).ok();
    let mut ready = Some(ready);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        if let Some(file) = &mut file {
            // The run does not depend on it.
            let _ = writeln!(file, "{text}");
        }
        if text.contains(READY)
            && let Some(ready) = ready.take()
        {
            let _ = ready.send(());
        }
        hear(&text, &mut lock(&log));
    }
}

fn hear(text: &str, log: &mut WorkerLog) {
    let Ok(line) = serde_json::from_str::<Line<'_>>(text) else {
        // The last line of one who was killed may be a part of one.
        if !text.starts_with('{') {
            log.cried.push(text.to_owned());
        }
        return;
    };
    if let Some(Span { message_id: Some(message), account_name: Some(name), run_id: Some(run_id) }) =
        line.span
    {
        log.jobs.insert(message, (name, run_id));
    }
    if !matches!(line.level, "INFO" | "DEBUG") {
        let short = line.message.split([':', ';']).next().unwrap_or_default();
        let reason = line.reason.map_or_else(String::new, |reason| format!(" [{reason}]"));
        *log.said.entry(format!("{} {short}{reason}", line.level)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_counted_without_their_details_and_cries_are_kept() {
        let mut log = WorkerLog::default();
        for line in [
            r#"{"level":"INFO","message":"the worker is ready"}"#,
            r#"{"level":"INFO","message":"a","span":{"message_id":"m","account_name":"data","run_id":"r"}}"#,
            r#"{"level":"INFO","message":"a","span":{"name":"job"}}"#,
            r#"{"level":"WARN","message":"the job failed: a","reason":"unavailable"}"#,
            r#"{"level":"WARN","message":"the job failed: b","reason":"unavailable"}"#,
            r#"{"level":"WARN","message":"cut o"#,
            "thread 'main' panicked at src/main.rs:1:1:",
        ] {
            hear(line, &mut log);
        }
        assert_eq!(log.said, BTreeMap::from([("WARN the job failed [unavailable]".to_owned(), 2)]));
        assert_eq!(log.cried.len(), 1);
        assert_eq!(log.jobs, HashMap::from([("m".to_owned(), ("data".to_owned(), "r".to_owned()))]));
    }
}
