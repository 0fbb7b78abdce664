// SPDX-License-Identifier: Apache-2.0
//! What `run` prints about the jobs it sent.

use anyhow::Context;
use cli::output::{self, Format, count};
use fleet::manifest::{JobState, Manifest};
use requests::{
    estimate::rounded,
    publish::Published,
    request::Request,
    todo::{Settled, Todo, moment, timestamp},
};
use serde_json::{Value, json};

use super::super::status::as_json;
use crate::status::{RunStatus, text};

/// A run, for its output.
#[derive(Clone, Copy)]
pub(super) struct Ran<'a> {
    /// What is sent, or what an earlier delivery of the same start sent.
    pub(super) manifest: &'a Manifest,
    pub(super) request: &'a Request,
    pub(super) todo: &'a Todo,
}

impl Ran<'_> {
    /// Prints the run's ID before the first job is sent, so that it is known whatever happens next.
    pub(super) fn announce(self, format: Format) {
        // JSON output is one object, printed at the end.
        if format == Format::Text
            && let Err(error) = output::print(&format!("{}\n{}", self.heading(), self.request.describe()))
        {
            // A manifest that exists is followed by its jobs. If the final output can't be written
            // either, the command fails then.
            tracing::warn!("{error:#}");
        }
    }

    fn heading(self) -> String {
        let Manifest { run_id, sent_at, .. } = self.manifest;
        let when = self.manifest.when();
        match sent_at {
            _ if !self.is_recorded() => format!("nothing to send for {when}"),
            Some(at) => {
                format!("run {run_id} for {when}: sent already, {}; nothing is sent again", moment(*at))
            }
            None => format!("run {run_id} for {when}"),
        }
    }

    /// Whether the run has a manifest.
    fn is_recorded(self) -> bool {
        self.manifest.jobs.iter().any(|job| job.state == JobState::Sent)
    }

    /// Prints what was sent and, if the command waited, the run's status.
    pub(super) fn print(
        self,
        published: &Published,
        status: Option<&RunStatus>,
        format: Format,
    ) -> anyhow::Result<()> {
        match format {
            Format::Text => output::print(&match status {
                Some(status) => text::painted(&text::render(status, false)),
                None => self.summary(published),
            }),
            Format::Json => output::print_json(&self.object(published, status)?),
        }
    }

    fn summary(self, published: &Published) -> String {
        let mut text = format!("{} sent{}", count(published.sent(), "job"), self.todo.left_out());
        if !self.todo.undelivered.is_empty() {
            let deliveries = count(self.todo.undelivered.len(), "job");
            text.push_str(&format!(", {deliveries} to deliver what sinks lack"));
        }
        // After a failure, the error says what to do next.
        let is_all_sent = published.sent() > 0 && published.sent() == published.unsent.len();
        if is_all_sent || self.manifest.sent_at.is_some() {
            text.push_str(&format!("\nNext: producer status {} --watch", self.manifest.run_id));
        }
        text
    }

    fn object(self, published: &Published, status: Option<&RunStatus>) -> anyhow::Result<Value> {
        let Self { manifest, request, todo } = self;
        let mut unsent = published.unsent.iter();
        let jobs: Vec<Value> = manifest
            .jobs
            .iter()
            .map(|job| {
                let state = match job.state {
                    JobState::AlreadyComplete => "already_complete",
                    JobState::Sent if unsent.next().is_some_and(Option::is_some) => "not_sent",
                    JobState::Sent => "sent",
                };
                let mut object = json!({
                    "account_name": job.account_name,
                    "dataset": job.dataset,
                    "report_key": job.report_key,
                    "state": state,
                });
                if let (Some(object), Some(windows)) = (object.as_object_mut(), job.windows) {
                    object.insert("windows".into(), json!(windows));
                }
                object
            })
            .collect();
        let mut object = json!({
            "run_id": Some(&manifest.run_id).filter(|_| self.is_recorded()),
            "date": manifest.date,
            "sent_before": manifest.sent_at.map(timestamp),
            "accounts_from": request.accounts_from,
            "attributes": request.attributes,
            "sent": published.sent(),
            "deliveries": todo.undelivered.len(),
            "already_complete": todo.already_complete(),
            "provisional": todo.provisional.map_or(0, |provisional| provisional.jobs),
            "settles_at": todo.provisional.map(|provisional| timestamp(provisional.settles_at)),
            "settled": settled(todo),
            "jobs": jobs,
        });
        if let Some(status) = status {
            let object = object.as_object_mut().context("cannot fail: it is an object")?;
            object.insert("status".into(), as_json(status)?);
        }
        Ok(object)
    }
}

/// The settled reports that a run requests again, which `--only-incomplete` leaves out; null if there are none.
pub(super) fn settled(todo: &Todo) -> Value {
    todo.settled.map_or(Value::Null, |Settled { collected, dollars, kept }| {
        json!({ "collected_again": collected, "cost_usd": rounded(dollars), "kept": kept })
    })
}

#[cfg(test)]
mod tests {
    use fleet::RunId;
    use requests::{
        testing::{manifest, request},
        todo::Provisional,
    };

    use super::*;
    use crate::status::tests::nothing_exists;

    fn run() -> (Manifest, Todo, Published) {
        let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
        let mut manifest = manifest(&run, &["a", "b", "c"]);
        manifest.jobs[1].state = JobState::AlreadyComplete;
        let published =
            Published { unsent: vec![None, Some("not tried".into())], failed: None, interrupted: false };
        let states = manifest.jobs.iter().map(|job| job.state).collect();
        (manifest, Todo { states, ..Todo::default() }, published)
    }

    fn ran<'a>(manifest: &'a Manifest, request: &'a Request, todo: &'a Todo) -> Ran<'a> {
        Ran { manifest, request, todo }
    }

    #[test]
    fn as_json_each_job_has_its_outcome() {
        let (manifest, todo, published) = run();
        let status = nothing_exists(&manifest);
        let attributes = json!({"ticket": "OPS-7"}).as_object().expect("an object").clone();
        let request = Request { attributes, ..request(&["a", "b", "c"]) };
        let ran = Ran { manifest: &manifest, request: &request, todo: &todo };
        let object = ran.object(&published, Some(&status)).expect("JSON");
        assert_eq!(
            (&object["accounts_from"], &object["attributes"]["ticket"]),
            (&json!("request"), &json!("OPS-7"))
        );
        assert_eq!((&object["sent"], &object["already_complete"]), (&json!(1), &json!(1)));
        let words: Vec<_> = object["jobs"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|job| job["state"].as_str().expect("text"))
            .collect();
        assert_eq!(words, ["sent", "already_complete", "not_sent"]);
        assert_eq!(object["status"]["counts"]["missing"], 3);
        assert!(ran.object(&published, None).expect("JSON").get("status").is_none());
    }

    #[test]
    fn says_what_to_do_next() {
        let (mut manifest, mut todo, mut published) = run();
        let request = request(&["a", "b", "c"]);
        assert_eq!(ran(&manifest, &request, &todo).summary(&published), "1 job sent, 1 already complete");
        published.unsent[1] = None;
        let next = "Next: producer status 019a0000-0000-7000-8000-000000000000 --watch";
        assert_eq!(
            ran(&manifest, &request, &todo).summary(&published),
            format!("2 jobs sent, 1 already complete\n{next}")
        );

        // Jobs that an earlier delivery of the start sent are not sent again.
        published.unsent.clear();
        manifest.sent_at = Some("2026-11-02T18:00:00Z".parse().expect("a moment"));
        let again = ran(&manifest, &request, &todo);
        assert_eq!(
            again.heading(),
            "run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: sent already, 2026-11-02 18:00 UTC; nothing is sent again"
        );
        assert!(again.summary(&published).ends_with(next));
        let object = again.object(&published, None).expect("JSON");
        assert_eq!((&object["sent"], &object["sent_before"]), (&json!(0), &json!("2026-11-02T18:00:00Z")));
        assert_eq!(object["jobs"][2]["state"], "sent");

        manifest.sent_at = None;
        todo.states.fill(JobState::AlreadyComplete);
        for job in &mut manifest.jobs {
            job.state = JobState::AlreadyComplete;
        }
        assert_eq!(ran(&manifest, &request, &todo).heading(), "nothing to send for 2026-11-01");
        let summary = ran(&manifest, &request, &todo).summary(&published);
        assert_eq!(summary, "0 jobs sent, 3 already complete", "nothing to follow");
        let settles_at = "2026-11-04T12:00:00Z".parse().expect("a moment");
        todo.provisional = Some(Provisional { jobs: 2, settles_at });
        assert_eq!(
            ran(&manifest, &request, &todo).summary(&published),
            "0 jobs sent, 3 already complete (2 provisional: --only-incomplete settles them from 2026-11-04 12:00 UTC on)"
        );
        let object = ran(&manifest, &request, &todo).object(&published, None).expect("JSON");
        assert_eq!(
            (&object["provisional"], &object["settles_at"]),
            (&json!(2), &json!("2026-11-04T12:00:00Z"))
        );
        assert_eq!(object["run_id"], Value::Null, "no manifest is written of it");
    }
}
