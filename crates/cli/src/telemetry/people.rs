// SPDX-License-Identifier: Apache-2.0
//! Log lines for people: what happened, to which account, and only the most useful fields.

use std::fmt::Debug;

use chrono::Utc;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use crate::{output, terminal};

/// Writes each event as a line, by `write_line`.
pub(super) struct People<Write> {
    /// Whether a line begins with the time of day, in UTC.
    pub(super) has_time: bool,
    /// Whether all fields are shown.
    pub(super) is_verbose: bool,
    pub(super) write_line: Write,
}

/// The message and the fields of a span or an event.
#[derive(Debug, Default, Clone)]
struct Recorded {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Recorded {
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.fields.iter().position(|(field, _)| *field == name)?;
        Some(self.fields.remove(at).1)
    }

    fn set(&mut self, field: &Field, value: &str) {
        // Control characters must not move the cursor or set colours.
        let shown = |c: char| {
            if c.is_control() && !"\n\t".contains(c) { c.escape_default().to_string() } else { c.into() }
        };
        let value: String = value.chars().map(shown).collect();
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Recorded {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, &format!("{value:?}"));
    }
}

impl<S, Write> Layer<S> for People<Write>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    Write: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut recorded = Recorded::default();
        attributes.record(&mut recorded);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(recorded);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(recorded) = span.extensions_mut().get_mut::<Recorded>()
        {
            values.record(recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut around = Recorded::default();
        let recorded_by =
            |span: SpanRef<'_, S>| span.extensions().get::<Recorded>().cloned().unwrap_or_default();
        for span in context.event_scope(event).into_iter().flatten() {
            around.fields.extend(recorded_by(span).fields);
        }
        let mut recorded = Recorded::default();
        event.record(&mut recorded);
        let time = if self.has_time { Utc::now().format("%H:%M:%S ").to_string() } else { String::new() };
        (self.write_line)(&format!("{time}{}", self.line(*event.metadata().level(), recorded, around)));
    }
}

impl<Write> People<Write> {
    /// A line, without its time.
    fn line(&self, level: Level, mut recorded: Recorded, mut around: Recorded) -> String {
        let of_span = around.take("account_name");
        let account =
            recorded.take("account_name").or(of_span).map(|name| format!("{name}: ")).unwrap_or_default();
        let error = recorded.take("error").map(|error| format!(": {error}")).unwrap_or_default();
        let word = match level {
            Level::ERROR => terminal::paint(terminal::BAD, "error:") + " ",
            Level::WARN => terminal::paint(terminal::OPEN, "warning:") + " ",
            _ => String::new(),
        };
        // If the log is of many accounts, the account comes first.
        let begin = if self.has_time { account + &word } else { word + &account };
        let Recorded { message, fields } = recorded;
        let rest = if self.is_verbose {
            in_parentheses(fields.iter().chain(&around.fields))
        } else if level <= Level::WARN {
            in_parentheses(&fields)
        } else {
            let figures: Vec<_> = fields.iter().filter_map(|(name, value)| figure(name, value)).collect();
            if figures.is_empty() { String::new() } else { format!(": {}", figures.join(", ")) }
        };
        format!("{begin}{message}{error}{rest}")
    }
}

fn in_parentheses<'a>(fields: impl IntoIterator<Item = &'a (&'static str, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) }
}

/// The text of a field that is shown in short lines.
fn figure(name: &str, value: &str) -> Option<String> {
    let number = || value.parse::<f64>().ok();
    let unless_none = |word: &str| (value != "0").then(|| format!("{value} {word}"));
    match name {
        "status" | "first_error" => Some(value.to_owned()),
        "rows" => Some(format!("{value} rows")),
        "estimated_cost_usd" => number().map(output::dollars),
        "duration_ms" => number().map(|milliseconds| format!("{:.1} s", milliseconds / 1000.0)),
        "jobs" => Some(format!("{value} jobs")),
        "done" => Some(format!("{value} done")),
        "dead_lettered" => unless_none("dead letters"),
        "retried" => unless_none("to be retried"),
        "returned" => unless_none("returned to the queue"),
        "abandoned" => unless_none("abandoned"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The lines that are logged during `work`.
    fn logged(has_time: bool, is_verbose: bool, work: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = lines.clone();
        let write_line = move |line: &str| {
            let plain = anstream::adapter::strip_str(line).to_string();
            // Without the time.
            to.lock().expect("not poisoned").push(if has_time { plain[9..].to_owned() } else { plain });
        };
        let people = People { has_time, is_verbose, write_line };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(people), work);
        std::mem::take(&mut *lines.lock().expect("not poisoned"))
    }

    fn a_job() {
        let span = tracing::info_span!("job", message_id = "m-1", account_name = tracing::field::Empty);
        let _entered = span.enter();
        span.record("account_name", "data");
        tracing::info!(
            key = "a/b.csv",
            status = "complete",
            rows = 120,
            duration_ms = 1234,
            "the report is stored"
        );
        tracing::warn!(region = "eu-west-1", error = %"s3:X: Denied", "the region could not be asked");
    }

    #[test]
    fn a_job_is_a_line_that_begins_with_its_account() {
        assert_eq!(
            logged(true, false, a_job),
            [
                "data: the report is stored: complete, 120 rows, 1.2 s",
                "data: warning: the region could not be asked: s3:X: Denied (region=eu-west-1)",
            ]
        );
    }

    #[test]
    fn verbose_lines_have_all_fields() {
        assert_eq!(
            logged(false, true, a_job),
            [
                "data: the report is stored (key=a/b.csv, status=complete, rows=120, duration_ms=1234, message_id=m-1)",
                "warning: data: the region could not be asked: s3:X: Denied (region=eu-west-1, message_id=m-1)",
            ]
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let lines = logged(false, false, || {
            tracing::error!(bucket = "\u{1b}[2J\u{9b}x", "one\n  two\r\u{7}");
        });
        assert_eq!(lines, ["error: one\n  two\\r\\u{7} (bucket=\\u{1b}[2J\\u{9b}x)"]);
    }

    #[test]
    fn the_counts_of_a_worker_are_shown_unless_they_are_0() {
        let lines = logged(true, false, || {
            tracing::info!(
                done = 3,
                dead_lettered = 1,
                retried = 0,
                returned = 2,
                abandoned = 0,
                "the worker stops"
            );
        });
        assert_eq!(lines, ["the worker stops: 3 done, 1 dead letters, 2 returned to the queue"]);
    }
}
