//! What `run` says of what it sent.

use anyhow::Context;
use fleet::{
    manifest::{JobState, Manifest},
    output::{self, Format, count},
};
use serde_json::{Value, json};

use super::super::status::as_json;
use crate::{
    publish::Published,
    request::Request,
    status::{RunStatus, text},
    todo::{Todo, timestamp},
};

/// Names the run before the first job is sent, so that it is known whatever happens next.
pub(super) fn announce(manifest: &Manifest, request: &Request, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => {
            output::print(&format!("run {} for {}\n{}", manifest.run_id, manifest.date, request.describe()))
        }
        // One object, at the end.
        Format::Json => Ok(()),
    }
}

/// Tells what was sent and, where it was waited for, how the run stands.
pub(super) fn tell(
    manifest: &Manifest,
    request: &Request,
    todo: &Todo,
    published: &Published,
    status: Option<&RunStatus>,
    format: Format,
) -> anyhow::Result<()> {
    match format {
        Format::Text => output::print(&match status {
            Some(status) => text::painted(&text::render(status, false)),
            None => summary(manifest, todo, published),
        }),
        Format::Json => output::print_json(&object(manifest, request, todo, published, status)?),
    }
}

fn summary(manifest: &Manifest, todo: &Todo, published: &Published) -> String {
    let mut text = format!("{} sent{}", count(published.sent(), "job"), todo.left_out());
    // After a failure, the error says what comes next.
    if published.sent() > 0 && published.sent() == published.unsent.len() {
        text.push_str(&format!("\nNext: producer status {} --watch", manifest.run_id));
    }
    text
}

fn object(
    manifest: &Manifest,
    request: &Request,
    todo: &Todo,
    published: &Published,
    status: Option<&RunStatus>,
) -> anyhow::Result<Value> {
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
            json!({
                "account_name": job.account_name,
                "dataset": job.dataset,
                "report_key": job.report_key,
                "state": state,
            })
        })
        .collect();
    let mut object = json!({
        "run_id": manifest.run_id,
        "date": manifest.date,
        "accounts_from": request.accounts_from,
        "attributes": request.attributes,
        "sent": published.sent(),
        "already_complete": todo.already_complete(),
        "provisional": todo.provisional.map_or(0, |provisional| provisional.jobs),
        "settles_at": todo.provisional.map(|provisional| timestamp(provisional.settles_at)),
        "jobs": jobs,
    });
    if let Some(status) = status {
        let object = object.as_object_mut().context("cannot fail: it is an object")?;
        object.insert("status".into(), as_json(status)?);
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use fleet::RunId;

    use super::*;
    use crate::{
        expand::tests::request,
        status::tests::{manifest, nothing_exists},
        todo::Provisional,
    };

    fn run() -> (Manifest, Todo, Published) {
        let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
        let mut manifest = manifest(&run, &["a", "b", "c"]);
        manifest.jobs[1].state = JobState::AlreadyComplete;
        let published = Published { unsent: vec![None, Some("not tried".into())], interrupted: false };
        let states = manifest.jobs.iter().map(|job| job.state).collect();
        (manifest, Todo { states, ..Todo::default() }, published)
    }

    #[test]
    fn tells_each_job_what_became_of_it() {
        let (manifest, todo, published) = run();
        let status = nothing_exists(&manifest);
        let attributes = json!({"ticket": "OPS-7"}).as_object().expect("an object").clone();
        let request = Request { attributes, ..request(&["a", "b", "c"]) };
        let told = object(&manifest, &request, &todo, &published, Some(&status)).expect("JSON");
        assert_eq!(
            (&told["accounts_from"], &told["attributes"]["ticket"]),
            (&json!("request"), &json!("OPS-7"))
        );
        assert_eq!((&told["sent"], &told["already_complete"]), (&json!(1), &json!(1)));
        let words: Vec<_> = told["jobs"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|job| job["state"].as_str().expect("text"))
            .collect();
        assert_eq!(words, ["sent", "already_complete", "not_sent"]);
        assert_eq!(told["status"]["counts"]["missing"], 3);
        assert!(object(&manifest, &request, &todo, &published, None).expect("JSON").get("status").is_none());
    }

    #[test]
    fn says_what_to_do_next() {
        let (manifest, mut todo, mut published) = run();
        assert_eq!(summary(&manifest, &todo, &published), "1 job sent, 1 already complete");
        published.unsent[1] = None;
        assert_eq!(
            summary(&manifest, &todo, &published),
            "2 jobs sent, 1 already complete\nNext: producer status 019a0000-0000-7000-8000-000000000000 --watch"
        );
        published.unsent.clear();
        todo.states.fill(JobState::AlreadyComplete);
        let summary = |todo: &Todo| summary(&manifest, todo, &published);
        assert_eq!(summary(&todo), "0 jobs sent, 3 already complete", "nothing to follow");
        let settles_at = "2026-11-04T12:00:00Z".parse().expect("a moment");
        todo.provisional = Some(Provisional { jobs: 2, settles_at });
        assert_eq!(
            summary(&todo),
            "0 jobs sent, 3 already complete (2 provisional: --only-incomplete settles them from 2026-11-04 12:00 UTC on)"
        );
        let told = object(&manifest, &request(&["a", "b", "c"]), &todo, &published, None).expect("JSON");
        assert_eq!((&told["provisional"], &told["settles_at"]), (&json!(2), &json!("2026-11-04T12:00:00Z")));
    }
}
