//! What the workers log: kept in a file each, and counted where it is a warning or worse.

use std::{
    collections::BTreeMap,
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
pub(crate) struct Sayings {
    /// By level and text, cut where the details begin.
    pub(crate) said: BTreeMap<String, u64>,
    /// What no logger wrote: a panic's words.
    pub(crate) cried: Vec<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    level: &'a str,
    message: std::borrow::Cow<'a, str>,
    reason: Option<&'a str>,
}

/// What a worker logs when it is about to take jobs.
const READY: &str = "the worker is ready";

/// Follows a worker's log to its end, and tells when the worker is ready.
pub(crate) async fn follow(
    stderr: ChildStderr,
    path: PathBuf,
    ready: oneshot::Sender<()>,
    sayings: Arc<Mutex<Sayings>>,
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
        hear(&text, &mut lock(&sayings));
    }
}

fn hear(text: &str, sayings: &mut Sayings) {
    let Ok(line) = serde_json::from_str::<Line<'_>>(text) else {
        // The last line of one who was killed may be a part of one.
        if !text.starts_with('{') {
            sayings.cried.push(text.to_owned());
        }
        return;
    };
    if !matches!(line.level, "INFO" | "DEBUG") {
        let short = line.message.split([':', ';']).next().unwrap_or_default();
        let reason = line.reason.map_or_else(String::new, |reason| format!(" [{reason}]"));
        *sayings.said.entry(format!("{} {short}{reason}", line.level)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_counted_without_their_details_and_cries_are_kept() {
        let mut sayings = Sayings::default();
        for line in [
            r#"{"level":"INFO","message":"the worker is ready"}"#,
            r#"{"level":"WARN","message":"the job failed: a","reason":"unavailable"}"#,
            r#"{"level":"WARN","message":"the job failed: b","reason":"unavailable"}"#,
            r#"{"level":"WARN","message":"cut o"#,
            "thread 'main' panicked at src/main.rs:1:1:",
        ] {
            hear(line, &mut sayings);
        }
        assert_eq!(sayings.said, BTreeMap::from([("WARN the job failed [unavailable]".to_owned(), 2)]));
        assert_eq!(sayings.cried.len(), 1);
    }
}
