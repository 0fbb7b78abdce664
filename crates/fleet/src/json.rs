// SPDX-License-Identifier: Apache-2.0
//! The reader for JSON that people write: the body of a job, a request, the value of an attribute.
//!
//! It accepts a leading byte order mark, which editors on Windows write. It refuses what other JSON
//! readers change silently: most keep only the last of two equal keys of an object, and turn a whole
//! number beyond 64 bits into the nearest floating-point number.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};

use crate::account::shorten;

/// Why a text is not accepted as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON: for example it ends too early, or continues after its value.
    #[error("is not JSON: {0}")]
    Syntax(String),
    /// A value is nested more deeply than the reader supports.
    #[error("is nested more than 127 levels deep, at line {line} column {column}; make it flatter")]
    TooDeep {
        /// The line at which the reader stopped.
        line: usize,
        column: usize,
    },
    /// An object, at any depth, has a key twice.
    #[error("has the key {key:?} twice, at line {line} column {column}; leave one out")]
    RepeatedKey {
        /// The key, shortened if it is long.
        key: String,
        /// The line of the second occurrence.
        line: usize,
        column: usize,
    },
}

/// Parses a text.
///
/// # Errors
///
/// The first fault of the text.
pub fn read(text: &str) -> Result<Value, JsonError> {
    let repeated = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let read = Unchanged { repeated: &repeated }.deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match repeated.take() {
            Some(key) => JsonError::RepeatedKey { key, line, column },
            // serde_json has no error kind for it.
            None if error.classify() == Category::Syntax
                && error.to_string().starts_with("recursion limit") =>
            {
                JsonError::TooDeep { line, column }
            }
            None => JsonError::Syntax(error.to_string()),
        }
    })
}

/// The kind of a JSON value, for messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A whole number in a value that is beyond 64 bits and was therefore read as the nearest floating-point
/// number.
#[must_use]
pub fn lossy_number(value: &Value) -> Option<String> {
    const BITS_64: f64 = 18_446_744_073_709_551_616.0;
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64())?;
            (float.fract() == 0.0 && (float.abs() >= BITS_64)).then(|| number.to_string())
        }
        Value::Array(values) => values.iter().find_map(lossy_number),
        Value::Object(members) => members.values().find_map(lossy_number),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// Reads a value as `serde_json` does, but stops at a repeated key of an object.
#[derive(Clone, Copy)]
struct Unchanged<'a> {
    repeated: &'a RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Unchanged<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unchanged<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            list.push(element);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                *self.repeated.borrow_mut() = Some(shorten(&key));
                return Err(A::Error::custom("a key twice"));
            }
            object.insert(key, members.next_value_seed(self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text() {
        assert_eq!(read("\u{feff}{\"a\":1}"), Ok(json!({"a": 1})));
        assert_eq!(read("\u{feff}\u{feff} 1"), Ok(json!(1)), "two editors in a row");
        assert_eq!(read("{\"\u{feff}a\":\"\u{feff}\"}"), Ok(json!({"\u{feff}a": "\u{feff}"})));
        assert!(matches!(read("1\u{feff}"), Err(JsonError::Syntax(_))));
    }

    #[test]
    fn a_key_that_an_object_has_twice_is_named_at_any_depth() {
        let message = |text| read(text).expect_err(text).to_string();
        let twice = "has the key \"a\" twice, at line 1 column ";
        assert!(message(r#"{"a":1,"a":1}"#).starts_with(twice), "{}", message(r#"{"a":1,"a":1}"#));
        assert!(message(r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#).starts_with(twice));
        // In any notation.
        assert!(message("{\"a\":1,\"\\u0061\":2}").starts_with(twice));
        let message = message("{\"x\": 1,\n \"b\\n\u{202e}\": 2,\n \"b\\n\u{202e}\": 3}");
        assert!(message.starts_with(r#"has the key "b\n\u{202e}" twice, at line 3 column "#), "{message}");
        let same = json!({"a": {"a": [{"a": 1}, {"a": 1}]}, "A": 1, "a ": 1});
        assert_eq!(read(&same.to_string()), Ok(same), "the same key in two objects, or one unlike it");
    }

    #[test]
    fn the_first_fault_of_a_text_is_the_one_that_is_reported() {
        let message = |text: &str| read(text).expect_err(text).to_string();
        for (text, expected) in [
            ("", "is not JSON: EOF while parsing a value at line 1 column 0"),
            ("{} {}", "is not JSON: trailing characters at line 1 column 4"),
            ("{\"a\":1}\u{0}", "is not JSON: trailing characters"),
            ("{\"a\":\"\u{0}\"}", "is not JSON: control character"),
            (r#"{"a":"\ud800"}"#, "is not JSON: "),
            (r#"{"a":"\udc00\ud800"}"#, "is not JSON: "),
            ("{'a':1}", "is not JSON: key must be a string"),
            ("NaN", "is not JSON: expected value"),
            ("1e999", "is not JSON: number out of range"),
        ] {
            assert!(message(text).starts_with(expected), "{}", message(text));
        }
        let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
        assert!(
            message(&deep).starts_with("is nested more than 127 levels deep, at line 1 column"),
            "{}",
            message(&deep)
        );
    }

    #[test]
    fn a_long_key_makes_a_short_message() {
        let key = "\u{10ffff}\u{1b}".repeat(5000);
        let text = format!("{{{0}:1,{0}:2}}", json!(key));
        let message = read(&text).expect_err("twice").to_string();
        assert!(message.len() < 1200 && !message.contains(char::is_control), "{message}");
    }

    proptest! {
        /// An accepted text means the same to any other reader.
        #[test]
        fn it_differs_from_other_readers_in_what_it_refuses_alone(text in "[{}\\[\\]\":,ab0-9.e-]{0,24}|(?s:.*)") {
            if let Ok(value) = read(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')).ok(), Some(value));
            }
        }
    }
}
