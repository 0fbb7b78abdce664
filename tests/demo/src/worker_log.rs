//! What a worker says, out of its JSON log. Plain functions over lines.

use serde_json::Value;

/// Something in a worker's log that the demo tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A report is stored.
    Stored(Stored),
    /// A job can't be done, and goes to the dead-letter queue.
    GivenUp(GivenUp),
    /// A job failed, and comes back; why.
    Failed(String),
    /// The worker leaves, having done so many jobs.
    Leaves(u64),
}

/// A report that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Whose.
    pub(crate) account: String,
    /// Under which key.
    pub(crate) key: String,
    /// Whether all of it is there: `complete`, or `partial`.
    pub(crate) status: String,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// How many calls of AWS it took.
    pub(crate) calls: u64,
    /// How many metrics were asked for.
    pub(crate) metrics: u64,
    /// How long it took from taking the job to storing the report, in milliseconds.
    pub(crate) milliseconds: u64,
}

/// A job that can't be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// Whose.
    pub(crate) account: String,
    /// The code of the reason.
    pub(crate) reason: String,
    /// What happened.
    pub(crate) why: String,
}

/// The event that a line tells of; none where it tells of something else.
pub(crate) fn parse(line: &str) -> Option<Event> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let message = line["message"].as_str()?;
    match message {
        "the report is stored" => Some(Event::Stored(Stored {
            account: text(&line["span"]["account_name"])?,
            key: text(&line["key"])?,
            status: text(&line["status"])?,
            rows: line["rows"].as_u64()?,
            calls: line["api_calls"].as_u64()?,
            metrics: line["metrics_requested"].as_u64()?,
            milliseconds: milliseconds(&line["duration_ms"])?,
        })),
        "the worker leaves" => Some(Event::Leaves(line["done"].as_u64()?)),
        _ if message.starts_with("the job can't be done") => Some(Event::GivenUp(GivenUp {
            account: text(&line["span"]["account_name"])?,
            reason: text(&line["reason"])?,
            why: message.to_owned(),
        })),
        _ if message.starts_with("the job failed") => Some(Event::Failed(message.to_owned())),
        _ => None,
    }
}

/// A number, which is text where it was logged as one of 128 bits.
fn milliseconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_report_is_told_with_its_figures() {
        let line = r#"{"level":"INFO","message":"the report is stored","key":"k","duration_ms":812,
            "status":"complete","rows":81,"api_calls":17,"metrics_requested":254,
            "span":{"account_name":"data","attempt":1,"name":"job"}}"#;
        let stored = Stored {
            account: "data".into(),
            key: "k".into(),
            status: "complete".into(),
            rows: 81,
            calls: 17,
            metrics: 254,
            milliseconds: 812,
        };
        assert_eq!(parse(line), Some(Event::Stored(stored)));
        assert_eq!(milliseconds(&"812".into()), Some(812));
    }

    #[test]
    fn failures_and_farewells_are_told_and_nothing_else() {
        let failed = r#"{"message":"the job failed and stays on the queue: no","reason":"x"}"#;
        let why = "the job failed and stays on the queue: no".to_owned();
        assert_eq!(parse(failed), Some(Event::Failed(why)));
        let dead = r#"{"message":"the job can't be done: no","reason":"x","span":{"account_name":"data"}}"#;
        let why = "the job can't be done: no".to_owned();
        let given_up = GivenUp { account: "data".into(), reason: "x".into(), why };
        assert_eq!(parse(dead), Some(Event::GivenUp(given_up)));
        assert_eq!(parse(r#"{"message":"the worker leaves","done":3}"#), Some(Event::Leaves(3)));
        assert_eq!(parse(r#"{"message":"the worker is ready"}"#), None);
        assert_eq!(parse("thread 'main' panicked"), None);
    }
}
