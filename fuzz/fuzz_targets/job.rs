//! The body of a message, from any bytes. Twin: `fleet/src/job.rs`.

#![no_main]

use fleet::job::{Envelope, Job, JobError, MAX_BYTES};
use libfuzzer_sys::fuzz_target;

fn parse(body: &str) -> Result<Job, JobError> {
    let sent_at = "2026-11-21T10:00:00Z".parse().expect("a moment");
    Job::parse(body, Envelope { message_id: "0a1b2c3d-4e5f", sent_at })
}

fn is_name(text: &str, longest: usize, also: &str) -> bool {
    (1..=longest).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

fuzz_target!(|data: &[u8]| {
    let body = String::from_utf8_lossy(data);
    let job = match parse(&body) {
        Ok(job) => job,
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 1500, "{} bytes of message", told.len());
            assert!(!told.contains(char::is_control), "{told:?}");
            return;
        }
    };
    assert!(body.len() <= MAX_BYTES, "{} bytes were taken", body.len());
    assert!(is_name(job.account_name.as_str(), 63, "_-"), "{}", job.account_name);
    assert!(!job.account_name.as_str().starts_with(['_', '-']), "{}", job.account_name);
    assert!(is_name(job.run_id.as_str(), 64, "._-"), "{}", job.run_id);

    // Escapes may make what is written longer than what was read.
    let written = job.body();
    match parse(&written) {
        Ok(again) => {
            assert_eq!(again.body(), written);
            assert_eq!(again, job);
        }
        Err(error) => assert_eq!(error, JobError::TooLarge(written.len())),
    }
});
