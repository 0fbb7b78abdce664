// SPDX-License-Identifier: Apache-2.0
//! The message on the work queue: one account, one dataset, one day or some shorter windows.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::{
    AccountName, Dataset, ReportDate, RunId, Window, Windows,
    account::{InvalidAccountName, shorten},
    datasets,
    date::DateError,
    duration,
    json::{self, JsonError, kind, lossy_number},
    run_id::InvalidRunId,
    window::{self, WindowError},
};

/// The maximum size of a job, in bytes of JSON.
pub const MAX_BYTES: usize = 64 * 1024;

/// The keys of a job that no passthrough attribute may use.
pub const RESERVED_KEYS: [&str; 9] =
    ["account_name", "date", "dataset", "from", "to", "window", "settle", "run_id", "only_incomplete"];

const ONLY_INCOMPLETE: &str = "only_incomplete";

/// One account's part of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub account_name: AccountName,
    /// What to report, set before the job is sent, so that a duplicate writes the same reports: one for each window.
    pub windows: Windows,
    pub dataset: &'static Dataset,
    pub run_id: RunId,
    /// Whether to do only what is incomplete: if nothing is, the worker has nothing to do.
    pub only_incomplete: bool,
    /// How long after a window its values are taken as final, if that is not the dataset's.
    pub settle: Option<TimeDelta>,
    /// All other keys of the request, unchanged.
    pub attributes: Map<String, Value>,
}

/// The parts of a message from which a job takes what its body leaves out.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub message_id: &'a str,
    /// When the message was first sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// The day in the message's attributes, which an earlier copy of the message had.
    pub date: Option<&'a str>,
    /// The run in the message's attributes.
    pub run_id: Option<&'a str>,
}

/// Why a message is not a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("the job has {0} bytes; the maximum is {MAX_BYTES}")]
    TooLarge(usize),
    /// Not JSON, nested too deeply, or with a repeated key. Not a `source`, since the message already
    /// contains it.
    #[error("the job {0}")]
    NotJson(JsonError),
    /// JSON, but not an object.
    #[error("the job is {0}, not a JSON object such as {{\"account_name\":\"data\"}}")]
    NotAnObject(&'static str),
    #[error("the job has no account_name")]
    NoAccountName,
    /// A key of the job has a value that is not a string.
    #[error("the job's {key} is {found}, not a string")]
    NotAString {
        key: &'static str,
        /// The kind of JSON value found.
        found: &'static str,
    },
    /// A key of the job has a value that is not a boolean.
    #[error("the job's {key} is {found}, not true or false")]
    NotABoolean {
        key: &'static str,
        /// The kind of JSON value found.
        found: &'static str,
    },
    /// An attribute that can't be carried unchanged.
    #[error("attribute {name:?}: {number} has more digits than a number can keep; write it as a string")]
    LossyNumber {
        /// The attribute's name, shortened if it is long.
        name: String,
        /// The number as it would be kept.
        number: String,
    },
    /// A name that is not safe in a key or a variable.
    #[error(transparent)]
    AccountName(#[from] InvalidAccountName),
    /// Not a date, or one that can't be reported.
    #[error(transparent)]
    Date(#[from] DateError),
    /// A run ID that is not safe in a key.
    #[error(transparent)]
    RunId(#[from] InvalidRunId),
    /// A message attribute replaces a missing key, but its value is not valid for the key.
    #[error("the message attribute {name}: {fault}")]
    Attribute { name: &'static str, fault: String },
    /// Windows that no report is of, or that can't be reported.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// A job names a day and a span, or half of a span.
    #[error("the job's {0}")]
    When(&'static str),
    /// CloudWatch dropped the day while the job was on the queue.
    #[error(
        "CloudWatch had date {date} when the job was sent, but no longer has it; the oldest available day is {oldest}"
    )]
    Outlived {
        date: ReportDate,
        /// The oldest day that can be requested.
        oldest: ReportDate,
    },
    /// Neither the job nor its message names the day.
    #[error("the job has no date, and its message does not say when it was sent")]
    NoDate,
    /// A dataset unknown to this version.
    #[error("{said}", said = datasets::unknown(.0))]
    UnknownDataset(String),
}

impl Job {
    /// Parses the body of a message.
    ///
    /// A body sent without the producer needs only an `account_name`: the date is then the producer's
    /// default for the time when the message was sent, and the run is named after the message. A copy of
    /// such a message has both in its attributes.
    pub fn parse(body: &str, envelope: Envelope<'_>) -> Result<Self, JobError> {
        if body.len() > MAX_BYTES {
            return Err(JobError::TooLarge(body.len()));
        }
        let mut object = match json::read(body).map_err(JobError::NotJson)? {
            Value::Object(object) => object,
            other => return Err(JobError::NotAnObject(kind(&other))),
        };
        let account_name = take(&mut object, "account_name")?.ok_or(JobError::NoAccountName)?.parse()?;
        let date = take(&mut object, "date")?;
        let dataset = match take(&mut object, "dataset")? {
            Some(name) => Dataset::find(&name).ok_or_else(|| JobError::UnknownDataset(shorten(&name)))?,
            None => *datasets::DEFAULT,
        };
        let windows = windows(&mut object, date.as_deref(), dataset, envelope)?;
        let settle = match take(&mut object, "settle")? {
            Some(text) => Some(parse_settle(&text).ok_or(JobError::When(SETTLE))?),
            None => None,
        };
        let run_id = match take(&mut object, "run_id")? {
            Some(text) => text.parse()?,
            None => envelope.run_id()?,
        };
        let only_incomplete = match object.shift_remove(ONLY_INCOMPLETE) {
            None => false,
            Some(Value::Bool(is_so)) => is_so,
            Some(other) => return Err(JobError::NotABoolean { key: ONLY_INCOMPLETE, found: kind(&other) }),
        };
        for (name, value) in &object {
            if let Some(number) = lossy_number(value) {
                return Err(JobError::LossyNumber { name: shorten(name), number });
            }
        }
        Ok(Self { account_name, windows, dataset, run_id, only_incomplete, settle, attributes: object })
    }

    /// Refuses a job whose day, or windows, can't be reported at `now`.
    ///
    /// # Errors
    ///
    /// [`JobError::Outlived`] if the day could still be reported when the job was sent; otherwise the
    /// error of [`ReportDate::check`] or [`Windows::check`].
    pub fn check(&self, sent_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), JobError> {
        // If this worker's clock is behind, the queue's is not.
        let now = sent_at.map_or(now, |sent_at| sent_at.max(now));
        let check = |now| match self.windows.day() {
            Some(day) => day.check(now).map(|_| ()).map_err(JobError::from),
            None => self.windows.check(self.dataset, now).map(|_| ()).map_err(|error| match error {
                WindowError::TooOld(error) => error.into(),
                error => error.into(),
            }),
        };
        match (check(now), sent_at.map(check)) {
            (Err(JobError::Date(DateError::TooOld { date, oldest })), Some(Ok(()))) => {
                Err(JobError::Outlived { date, oldest })
            }
            (checked, _) => checked,
        }
    }

    /// The first window, and the only one of a job for one report.
    #[must_use]
    pub fn window(&self) -> Window {
        self.windows.first()
    }

    /// The job for one of its windows alone: what makes the same report.
    #[must_use]
    pub fn of(&self, window: Window) -> Self {
        Self { windows: window.into(), ..self.clone() }
    }

    /// How long after a window its values are final.
    #[must_use]
    pub fn settle_time(&self) -> TimeDelta {
        self.settle.unwrap_or_else(|| self.dataset.settle_time())
    }

    /// The body of the message: first the keys of the job, then the attributes unchanged.
    #[must_use]
    pub fn body(&self) -> String {
        let mut object = Map::new();
        object.insert("account_name".into(), self.account_name.as_str().into());
        match self.windows.day().filter(|_| self.dataset.window.is_day()) {
            Some(day) => {
                object.insert("date".into(), day.to_string().into());
                object.insert("dataset".into(), self.dataset.name.into());
            }
            None => {
                object.insert("dataset".into(), self.dataset.name.into());
                object.extend(span(self.windows));
            }
        }
        object.insert("run_id".into(), self.run_id.as_str().into());
        if let Some(settle) = self.settle {
            object.insert("settle".into(), duration::shown(settle).into());
        }
        if self.only_incomplete {
            object.insert(ONLY_INCOMPLETE.into(), true.into());
        }
        object.extend(self.attributes.clone());
        // SQS refuses two characters that JSON allows. They can only be in a string, and are escaped.
        //
        // Source:
        // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
        Value::Object(object).to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    }
}

const SETTLE: &str = "settle is not a length of time of at most 60 days; write it as 3m or 1h";

/// The longest settle time of a job; a longer one is a slip, and no date overflows by it.
const LONGEST_SETTLE: TimeDelta = TimeDelta::days(60);

/// Reads a settle time of a request or a job.
#[must_use]
pub fn parse_settle(text: &str) -> Option<TimeDelta> {
    duration::parse(text).filter(|settle| *settle <= LONGEST_SETTLE)
}

/// The keys of windows that are not the day of a dataset that has days.
fn span(windows: Windows) -> Map<String, Value> {
    let keys = [
        ("from", window::moment(windows.start())),
        ("to", window::moment(windows.end())),
        ("window", windows.length().to_string()),
    ];
    keys.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// The windows of a job: of its day, or of the span that it names.
fn windows(
    object: &mut Map<String, Value>,
    date: Option<&str>,
    dataset: &Dataset,
    envelope: Envelope<'_>,
) -> Result<Windows, JobError> {
    let length = match take(object, "window")? {
        Some(text) => text.parse()?,
        None => dataset.window,
    };
    let windows = match (date, take(object, "from")?, take(object, "to")?) {
        (None, Some(from), Some(to)) => {
            Windows::between(window::time("from", &from)?, window::time("to", &to)?, length)?
        }
        (None, None, None) if length.is_day() => envelope.report_date()?.into(),
        (None, None, None) => return Err(JobError::When("date is missing; write it, or from and to")),
        (Some(date), None, None) => Windows::of_day(date.parse()?, length),
        (Some(_), ..) => return Err(JobError::When("date names the day already; leave out from and to")),
        (None, ..) => return Err(JobError::When("from and to belong together; write both")),
    };
    if windows.day().is_none() || !dataset.window.is_day() {
        // What is read can be written.
        for (key, at) in [("from", windows.start()), ("to", windows.end())] {
            window::time(key, &window::moment(at))?;
        }
    }
    Ok(windows.check_of(dataset)?)
}

impl Envelope<'_> {
    /// The day of a job that does not name one.
    fn report_date(&self) -> Result<ReportDate, JobError> {
        match self.date {
            Some(text) => text.parse().map_err(|error: DateError| not_taken("date", &error)),
            None => Ok(ReportDate::default_at(self.sent_at.ok_or(JobError::NoDate)?)?),
        }
    }

    /// The run of a job that does not name one.
    fn run_id(&self) -> Result<RunId, JobError> {
        match self.run_id {
            Some(text) => text.parse().map_err(|error: InvalidRunId| not_taken("run_id", &error)),
            None => Ok(RunId::manual(self.message_id)),
        }
    }
}

fn not_taken(name: &'static str, fault: &dyn std::error::Error) -> JobError {
    JobError::Attribute { name, fault: fault.to_string() }
}

fn take(object: &mut Map<String, Value>, key: &'static str) -> Result<Option<String>, JobError> {
    // Not `remove`, which would move the last attribute to the removed one's position.
    match object.shift_remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(JobError::NotAString { key, found: kind(&other) }),
    }
}

#[cfg(test)]
mod tests;
