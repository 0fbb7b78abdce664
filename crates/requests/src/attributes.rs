// SPDX-License-Identifier: Apache-2.0
//! Passthrough attributes: every key of a request that the request format does not define.
//!
//! Jobs carry them unchanged, type included. A key that looks like a typo of a known key is refused: if
//! `acount_name` were taken for an attribute, the request would run every account.

use fleet::{
    json::{self, JsonError, kind, lossy_number},
    reserved::{RESERVED_WORDS, ReservedWord, reserved_word},
};
use serde_json::{Map, Value};

/// The keys of a request, each with the flag that sets it.
const KNOWN_KEYS: [(&str, &str); 4] = [
    ("account_name", "--account-name"),
    ("account_names", "--account-name"),
    ("date", "--date"),
    ("dataset", "--dataset"),
];

/// The maximum nesting depth of an attribute. `serde_json` reads 127 levels, and the manifest adds two:
/// the manifest contains the request, which contains the attribute.
const MAX_DEPTH: usize = 125;

/// The maximum number of characters to show of an attribute.
const MAX_SHOWN: usize = 80;

/// The maximum edit distance at which a name counts as a typo of a known key.
const MAX_EDITS: usize = 2;

/// The maximum edit distance from a reserved word, and the minimum length of that word: many ordinary
/// names are close to a short word.
const MAX_RESERVED_EDITS: usize = 1;
const LONG_WORD: usize = 6;

/// Merges the attributes of the request's text with those of the flags, and adds every fault to
/// `faults`.
pub fn merge(text: Map<String, Value>, flags: &[String], faults: &mut Vec<String>) -> Map<String, Value> {
    let mut meant = Map::new();
    for flag in flags {
        match parse(flag) {
            Ok((name, _)) if meant.contains_key(&name) => {
                faults.push(format!("--attribute {name:?} is given twice; leave one out"));
            }
            Ok((name, value)) => {
                meant.insert(name, value);
            }
            Err(fault) => faults.push(fault),
        }
    }
    for (name, value) in &text {
        match reserved_word(name) {
            Some(reserved) if !reserved.can_be_meant => faults.push(reserved_word_fault(name, reserved)),
            _ if meant.contains_key(name) => {}
            Some(reserved) => faults.push(format!(
                "{}; if you mean an attribute, pass {}",
                reserved_word_fault(name, reserved),
                as_flag(name, value)
            )),
            None => {
                if let Some(known) = nearest_key(name) {
                    faults.push(format!(
                        "attribute {name:?} looks like {known}; correct it, or if you mean it, pass {}",
                        as_flag(name, value)
                    ));
                }
            }
        }
    }
    let mut merged = text;
    merged.extend(meant);
    for (name, value) in &merged {
        let depth = depth(value);
        if depth > MAX_DEPTH {
            faults.push(format!(
                "attribute {name:?} is nested {depth} levels deep, and the maximum is {MAX_DEPTH}; make it flatter"
            ));
        }
        if let Some(number) = lossy_number(value) {
            faults.push(format!(
                "attribute {name:?}: {number} has more digits than a number can keep; write it as a string"
            ));
        }
    }
    merged
}

/// Parses `KEY=VALUE`, where the value is a string, or `KEY:=JSON`.
fn parse(flag: &str) -> Result<(String, Value), String> {
    let (name, text) = flag.split_once('=').ok_or_else(|| {
        format!("--attribute {flag:?} has no '='; write KEY=VALUE for a string, or KEY:=JSON for any JSON")
    })?;
    let (name, value) = match name.strip_suffix(':') {
        None => (name, Value::from(text)),
        Some(name) => match json::read(text) {
            Ok(value) => (name, value),
            Err(JsonError::Syntax(error)) => {
                return Err(format!(
                    "--attribute {flag:?}: what follows ':=' is not JSON ({error}); for a string write {name}={text}"
                ));
            }
            Err(error) => return Err(format!("--attribute {flag:?}: what follows ':=' {error}")),
        },
    };
    if name.is_empty() {
        return Err(format!("--attribute {flag:?} has no name before its '='"));
    }
    if let Some(reserved) = reserved_word(name).filter(|reserved| !reserved.can_be_meant) {
        return Err(reserved_word_fault(name, reserved));
    }
    match KNOWN_KEYS.iter().find(|(key, _)| *key == name) {
        Some((key, flag)) => Err(format!("{key} is not an attribute; set it with {flag}")),
        None => Ok((name.to_owned(), value)),
    }
}

fn reserved_word_fault(name: &str, reserved: &ReservedWord) -> String {
    format!("{name:?} is not an attribute: {}", reserved.instead)
}

/// The known key or reserved word that a name is probably a typo of, the nearest if there are several.
/// Case is ignored: `Account_Names` is a typo too.
fn nearest_key(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let keys = KNOWN_KEYS.iter().map(|(key, _)| (*key, MAX_EDITS));
    let long = RESERVED_WORDS.iter().filter(|reserved| reserved.word.len() >= LONG_WORD);
    keys.chain([("run_id", MAX_EDITS)])
        .chain(long.map(|reserved| (reserved.word, MAX_RESERVED_EDITS)))
        .map(|(key, most)| (strsim::osa_distance(&name, key), most, key))
        .filter(|(edits, most, _)| edits <= most)
        .min_by_key(|(edits, ..)| *edits)
        .map(|(.., key)| key)
}

/// An attribute in the form of a flag, shortened to one line.
#[must_use]
pub fn in_short(name: &str, value: &Value) -> String {
    let flag = assignment(name, value);
    let line: String = flag.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN).collect();
    if line.len() < flag.len() { line + "…" } else { line }
}

fn assignment(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}:={other}"),
    }
}

/// The flag that sets this attribute to this value, quoted for a shell.
fn as_flag(name: &str, value: &Value) -> String {
    let flag = assignment(name, value);
    if flag.len() <= 80 && !flag.contains(|c: char| c == '\'' || c.is_control()) {
        format!("--attribute '{flag}'")
    } else {
        format!("--attribute, which sets it to {} too", kind(value))
    }
}

/// The flag to copy into a shell that sets this attribute to this value; `None` if no flag does, or if
/// the flag would be unreadable.
pub fn to_copy(name: &str, value: &Value) -> Option<String> {
    let flag = assignment(name, value);
    let means_it = parse(&flag).is_ok_and(|parsed| parsed == (name.to_owned(), value.clone()));
    if !means_it || flag.len() > 200 || flag.starts_with('-') || flag.contains(char::is_control) {
        return None;
    }
    let is_plain = flag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.,:/@%+=".contains(&byte));
    let quoted = || format!("'{}'", flag.replace('\'', r"'\''"));
    Some(format!("--attribute {}", if is_plain { flag.clone() } else { quoted() }))
}

/// The nesting depth of lists and objects; 0 for a scalar.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(text: &Value, flags: &[&str]) -> Result<Value, Vec<String>> {
        let text = text.as_object().cloned().expect("an object");
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut faults = Vec::new();
        let merged = merge(text, &flags, &mut faults);
        if faults.is_empty() { Ok(merged.into()) } else { Err(faults) }
    }

    #[test]
    fn a_flag_adds_or_replaces_and_keeps_the_order() {
        let merged = merged(
            &json!({"ticket": "OPS-7", "n": 1}),
            &["n:=[1.50, null]", "url=a=b", "empty=", "ticket=OPS-8"],
        )
        .expect("valid");
        assert_eq!(merged.to_string(), r#"{"ticket":"OPS-8","n":[1.5,null],"url":"a=b","empty":""}"#);
    }

    #[test]
    fn a_flag_to_copy_sets_the_same_attribute() {
        let copied = |name: &str, value: Value| to_copy(name, &value);
        assert_eq!(copied("ticket", json!("OPS-7")).as_deref(), Some("--attribute ticket=OPS-7"));
        assert_eq!(copied("n", json!([1])).as_deref(), Some("--attribute 'n:=[1]'"));
        assert_eq!(copied("who", json!("it's $me")).as_deref(), Some(r"--attribute 'who=it'\''s $me'"));
        assert_eq!(copied("empty", json!("")).as_deref(), Some("--attribute empty="));
        assert_eq!(copied("a=b", json!("c")), None, "it would be parsed as another key");
        assert_eq!(copied("a:", json!("c")), None);
        assert_eq!(copied("-a", json!("c")), None);
        assert_eq!(copied("note", json!("two\nlines")), None);
        assert_eq!(copied("long", json!("x".repeat(300))), None);
    }

    #[test]
    fn a_misspelt_key_is_refused_unless_a_flag_confirms_it() {
        for (name, key) in [
            ("acount_name", "account_name"),
            ("account_nmae", "account_name"),
            ("account-names", "account_names"),
            ("accountName", "account_name"),
            ("DATE", "date"),
            ("rate", "date"),
            ("data", "date"),
            ("rund_id", "run_id"),
            ("acounts", "accounts"),
            ("regoin", "region"),
            ("only_incomplet", "only_incomplete"),
        ] {
            let faults = merged(&json!({name: "x"}), &[]).expect_err(name);
            let expected = format!(
                "attribute {name:?} looks like {key}; correct it, or if you mean it, pass --attribute '{name}=x'"
            );
            assert_eq!(faults, [expected]);
            let flag = format!("{name}=x");
            assert_eq!(merged(&json!({name: "x"}), &[&flag]), Ok(json!({name: "x"})));
        }
        for name in ["ticket", "team", "run", "owner", "reason", "person", "amount_due", ""] {
            assert!(merged(&json!({name: 1}), &[]).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_reserved_word_is_refused_unless_a_flag_confirms_it() {
        for reserved in &RESERVED_WORDS {
            let word = reserved.word;
            let faults = merged(&json!({word: "x"}), &[]).expect_err(word);
            let [fault] = &faults[..] else { panic!("one fault: {faults:?}") };
            assert!(
                fault.starts_with(&format!("{word:?} is not an attribute: {}", reserved.instead)),
                "{fault}"
            );
            let flag = format!("{word}=x");
            if reserved.can_be_meant {
                assert!(
                    fault.ends_with(&format!("; if you mean an attribute, pass --attribute '{flag}'")),
                    "{fault}"
                );
                assert_eq!(merged(&json!({word: "x"}), &[&flag]), Ok(json!({word: "x"})), "{word}");
                assert_eq!(merged(&json!({}), &[&flag]), Ok(json!({word: "x"})), "{word}");
            } else {
                assert!(fault.ends_with(reserved.instead), "{fault}");
                assert_eq!(merged(&json!({}), &[&flag]).expect_err(word), std::slice::from_ref(fault));
            }
        }
    }

    #[test]
    fn each_invalid_flag_is_refused_with_the_correct_form() {
        for (flag, expected) in [
            ("ticket", "has no '='; write KEY=VALUE"),
            ("=x", "has no name"),
            (":=1", "has no name"),
            ("n:=one", "for a string write n=one"),
            (r#"n:=[{"a":1,"a":2}]"#, "what follows ':=' has the key \"a\" twice"),
            ("date=2026-01-01", "date is not an attribute; set it with --date"),
            ("account_names=x", "set it with --account-name"),
        ] {
            let faults = merged(&json!({}), &[flag]).expect_err(flag);
            assert!(faults[0].contains(expected), "{faults:?} should say {expected}");
        }
        let faults = merged(&json!({}), &["a=1", "a=2"]).expect_err("twice");
        assert_eq!(faults, ["--attribute \"a\" is given twice; leave one out"]);
    }

    #[test]
    fn an_attribute_that_is_too_deep_for_the_manifest_is_refused() {
        let flag = |depth: usize| format!("x:={}{}", "[".repeat(depth), "]".repeat(depth));
        let faults = merged(&json!({}), &[&flag(MAX_DEPTH + 1)]).expect_err("too deep");
        assert_eq!(
            faults,
            ["attribute \"x\" is nested 126 levels deep, and the maximum is 125; make it flatter"]
        );
        let deepest = merged(&json!({}), &[&flag(MAX_DEPTH)]).expect("valid");
        let mut manifest = crate::testing::manifest(&fleet::RunId::generate(), &["data"]);
        manifest.request = deepest.as_object().cloned().expect("an object");
        let stored = serde_json::to_vec(&manifest).expect("JSON");
        assert_eq!(
            serde_json::from_slice::<fleet::manifest::Manifest>(&stored).expect("read back"),
            manifest
        );
    }

    #[test]
    fn a_number_that_would_lose_digits_is_refused() {
        let text: Value = serde_json::from_str(r#"{"id": [123456789012345678901]}"#).expect("JSON");
        let faults = merged(&text, &[]).expect_err("too many digits");
        assert!(faults[0].ends_with("write it as a string"), "{faults:?}");
        let text: Value =
            serde_json::from_str(r#"{"id": 18446744073709551615, "share": 0.1}"#).expect("JSON");
        assert_eq!(merged(&text, &[]), Ok(text));
    }
}
