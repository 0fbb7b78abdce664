// SPDX-License-Identifier: Apache-2.0
//! Tells what we wrote from what a user has edited since: what is written carries our version and a hash of its content, which
//! an edit leaves as it is. Pure functions.

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::setup::Action;

/// What a description of ours begins with.
const BY: &str = "By cloudwatch-fleet ";

/// What is to be done about something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Do(Action),
    /// It is left as it is, and this is why.
    Keep(String),
}

/// The description of what we write.
pub(super) fn description(content: &Value) -> String {
    format!(
        "{BY}{} ({}). `producer setup` replaces it unless a user has edited it.",
        fleet::VERSION,
        hash(content)
    )
}

/// Compares what is there, with its description, to what it has to be.
pub(super) fn verdict(wanted: &Value, installed: Option<(&Value, Option<&str>)>, overwrite: bool) -> Verdict {
    let Some((installed, description)) = installed else { return Verdict::Do(Action::Create) };
    let now = hash(installed);
    if now == hash(wanted) {
        return Verdict::Do(Action::Unchanged);
    }
    if overwrite {
        return Verdict::Do(Action::Update);
    }
    match description.and_then(marked) {
        Some((version, _)) if is_newer(version) => {
            Verdict::Keep(format!("version {version} has written it; --overwrite replaces it"))
        }
        Some((_, hash)) if hash == now => Verdict::Do(Action::Update),
        _ => Verdict::Keep(EDITED.to_owned()),
    }
}

/// Why something of a user's is left as it is.
pub(super) const EDITED: &str = "a user has edited it; --overwrite replaces it";

/// The version and the hash in a description of ours.
fn marked(description: &str) -> Option<(&str, &str)> {
    let (version, rest) = description.strip_prefix(BY)?.split_once(" (")?;
    Some((version, rest.split_once(')')?.0))
}

/// Whether a version is newer than this one.
pub(super) fn is_newer(version: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u64>>();
    numbers(version) > numbers(fleet::VERSION)
}

/// A hash of a value that does not know the order of its keys.
fn hash(value: &Value) -> String {
    let digest = URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(sorted(value).to_string()));
    digest.chars().take(16).collect()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(all) => {
            let mut keys: Vec<_> = all.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            Value::Object(keys.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(all) => Value::Array(all.iter().map(sorted).collect()),
        _ => value.clone(),
    }
}

/// Of what is there, the keys that ours has: a server adds others.
pub(super) fn in_our_keys(ours: &Value, theirs: &Value) -> Value {
    let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) else { return theirs.clone() };
    let known = theirs.iter().filter(|(key, _)| ours.contains_key(*key));
    Value::Object(known.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

/// Whether a value is what a server shows, which may have added keys.
pub(super) fn is_written_in(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.iter().all(|(key, value)| theirs.get(key).is_some_and(|their| is_written_in(value, their)))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(value, their)| is_written_in(value, their))
        }
        // 1 and 1.0 are the same.
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        _ => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_is_told_from_what_an_older_version_wrote() {
        let (old, new) = (json!({"a": 1, "b": [2]}), json!({"a": 3}));
        let ours = description(&old);
        assert_eq!(verdict(&new, None, false), Verdict::Do(Action::Create));
        let same = json!({"b": [2], "a": 1});
        assert_eq!(verdict(&old, Some((&same, Some("other"))), false), Verdict::Do(Action::Unchanged));
        assert_eq!(verdict(&new, Some((&old, Some(&ours))), false), Verdict::Do(Action::Update));
        let edited = json!({"a": 1, "b": [3]});
        let kept = Verdict::Keep(EDITED.to_owned());
        assert_eq!(verdict(&new, Some((&edited, Some(&ours))), false), kept);
        assert_eq!(verdict(&new, Some((&old, None)), false), kept, "it was never ours");
        assert_eq!(verdict(&new, Some((&edited, Some(&ours))), true), Verdict::Do(Action::Update));
        let newer = ours.replace(fleet::VERSION, "99.0.0");
        let why = "version 99.0.0 has written it; --overwrite replaces it".to_owned();
        assert_eq!(verdict(&new, Some((&old, Some(&newer))), false), Verdict::Keep(why));
    }

    #[test]
    fn what_a_server_adds_is_no_difference() {
        let ours = json!({"a": [{"b": 1}]});
        assert!(is_written_in(&ours, &json!({"a": [{"b": 1.0, "boost": 1}], "c": 2})));
        assert!(!is_written_in(&ours, &json!({"a": [{"b": 1}, {"b": 2}]})), "an entry more");
        assert!(!is_written_in(&ours, &json!({"a": [{"b": "1"}]})));
    }
}
