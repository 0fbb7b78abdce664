// SPDX-License-Identifier: Apache-2.0
//! A request, from any text. Twin: `crates/requests/src/request/tests.rs`.

#![no_main]

use std::collections::HashSet;

use fleet::{
    AccountName, Accounts, Dataset, RunId,
    job::{Envelope, Job, MAX_BYTES},
    json,
    reserved::reserved_word,
};
use libfuzzer_sys::fuzz_target;
use requests::request::{Flags, Request, Source, Surroundings};
use serde_json::{Map, Value};

const KEYS: [&str; 13] = [
    "account_name",
    "account_names",
    "dataset",
    "date",
    "month",
    "from",
    "to",
    "last",
    "window",
    "settle",
    "provisional",
    "only_incomplete",
    "max_usd",
];
const LISTED: &str = "[[account]]\nname='data'\n[[account]]\nname='opra-dev'\n";

fn read(text: &str, accounts: &Accounts) -> Result<Request, String> {
    let source = Source { name: "request.json".into(), text: Ok(text.into()) };
    let around = Surroundings {
        now: "2026-11-21T10:00:00Z".parse().expect("a moment"),
        accounts: Some(accounts),
        default_accounts: &["data".to_owned(), "opra-dev".to_owned()],
    };
    Request::read(Some(&source), &Flags::default(), around).map_err(|error| error.to_string())
}

/// What a message must say of an object, as far as that can be told without reading it as a request.
fn faults(object: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for name in object.keys().filter(|name| !KEYS.contains(&name.as_str())) {
        if reserved_word(name).is_some_and(|reserved| !reserved.can_be_meant) {
            faults.push(format!("{name:?} is not an attribute: "));
        }
    }
    if object.get("max_usd").is_some_and(|dollars| !dollars.is_number()) {
        faults.push("max_usd is ".into());
    }
    if object.get("date").is_some_and(|date| !date.is_string()) {
        faults.push("date is ".into());
    }
    if let Some(Value::String(dataset)) = object.get("dataset")
        && Dataset::named(dataset).is_empty()
    {
        faults.push("is unknown; this version has ".into());
    }
    match (object.get("account_name"), object.get("account_names")) {
        (Some(_), Some(_)) => faults.push("are both given".into()),
        (Some(Value::Array(names)), None) | (None, Some(Value::Array(names))) => {
            let texts = names.iter().filter_map(Value::as_str);
            let hostile = texts.filter(|name| name.contains(|c: char| !c.is_ascii()) && name.len() <= 80);
            faults.extend(hostile.map(|name| format!("account name {name:?} is not well-formed")));
        }
        _ => {}
    }
    faults
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let object = match json::read(&text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    };
    let faults = object.as_ref().map(faults).unwrap_or_default();
    let request = match read(&text, &Accounts::default()) {
        Ok(request) => request,
        Err(reported) => {
            assert!(reported.starts_with("the request is not valid:\n  "), "{reported}");
            for fault in faults {
                assert!(reported.contains(&fault), "{reported}\nshould say {fault}");
            }
            return;
        }
    };
    assert!(faults.is_empty(), "{faults:?} went unsaid");

    let mut attributes = object.expect("a request is an object");
    attributes.retain(|key, _| !KEYS.contains(&key.as_str()));
    assert!(request.attributes.iter().eq(&attributes), "{attributes:?} became {:?}", request.attributes);

    let names: HashSet<&str> = request.accounts.iter().map(AccountName::as_str).collect();
    assert_eq!(names.len(), request.accounts.len(), "an account is listed twice");
    assert!(!names.is_empty() && !request.datasets.is_empty());

    // What is sent is what a worker reads.
    let run_id = RunId::generate();
    for job in request.jobs(&run_id) {
        let body = job.body();
        assert!(body.len() <= MAX_BYTES, "{} bytes would be sent", body.len());
        let envelope = Envelope { message_id: "0a1b2c3d", sent_at: None, date: None, run_id: None };
        assert_eq!(Job::parse(&body, envelope).expect("a job"), job);
    }
    let again = Value::from(request.to_json()).to_string();
    let again = read(&again, &Accounts::default()).expect("its own text");
    // The text names the accounts and the day that the defaults chose, too.
    let (accounts_from, when) = (request.accounts_from, request.when.clone());
    assert_eq!(Request { accounts_from, when, ..again }, request);

    let known = Accounts::parse(LISTED).expect("an accounts file");
    let listed = names.iter().all(|name| ["data", "opra-dev"].contains(name));
    assert_eq!(read(&text, &known).is_ok(), listed, "an account is known where the file lists it");
});
