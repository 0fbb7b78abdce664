// SPDX-License-Identifier: Apache-2.0
//! Which values fit which field, and what becomes of a field that the mapping does not have.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value, json};

/// The types that a field may have here.
const TYPES: [&str; 14] = [
    "keyword",
    "text",
    "long",
    "integer",
    "short",
    "byte",
    "unsigned_long",
    "double",
    "float",
    "scaled_float",
    "boolean",
    "date",
    "flat_object",
    "object",
];

/// Why a document is not taken: the type of the error and its reason.
pub(super) type Refusal = (&'static str, String);

/// The first field of a type that there is not, and that type.
pub(super) fn unknown_type(mapping: &Value) -> Option<(String, String)> {
    let properties = mapping.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, field)| match field.get("type").and_then(Value::as_str) {
        Some(kind) if !TYPES.contains(&kind) => Some((name.clone(), kind.to_owned())),
        _ => unknown_type(field),
    })
}

/// Checks a document, and adds to the mapping what it brings along, where that is dynamic.
pub(super) fn take(mapping: &mut Value, id: &str, document: &Map<String, Value>) -> Result<(), Refusal> {
    let dynamic = mapping.get("dynamic").cloned().unwrap_or(Value::Bool(true));
    object(mapping, &dynamic, "_doc", id, document)
}

fn object(
    mapping: &mut Value,
    inherited: &Value,
    within: &str,
    id: &str,
    document: &Map<String, Value>,
) -> Result<(), Refusal> {
    let dynamic = mapping.get("dynamic").unwrap_or(inherited).clone();
    for (name, value) in document {
        if mapping.get("properties").and_then(|fields| fields.get(name)).is_none() {
            match dynamic.as_str().unwrap_or(if dynamic == Value::Bool(false) { "false" } else { "true" }) {
                "strict" => {
                    let reason = format!(
                        "mapping set to strict, dynamic introduction of [{name}] within [{within}] is not allowed"
                    );
                    return Err(("strict_dynamic_mapping_exception", reason));
                }
                "false" => continue,
                _ => match guessed(value) {
                    Some(field) => mapping["properties"][name.as_str()] = field,
                    None => continue,
                },
            }
        }
        field(&mut mapping["properties"][name.as_str()], &dynamic, name, id, value)?;
    }
    Ok(())
}

fn field(mapping: &mut Value, dynamic: &Value, name: &str, id: &str, value: &Value) -> Result<(), Refusal> {
    if let Value::Array(all) = value {
        return all.iter().try_for_each(|one| field(mapping, dynamic, name, id, one));
    }
    let kind = mapping.get("type").and_then(Value::as_str).unwrap_or("object").to_owned();
    // What is only kept is not looked at.
    if mapping.get("enabled") == Some(&Value::Bool(false)) {
        return Ok(());
    }
    if kind == "object" {
        return match value {
            Value::Null => Ok(()),
            Value::Object(inner) => object(mapping, dynamic, name, id, inner),
            _ => {
                let reason = format!(
                    "object mapping for [{name}] tried to parse field [{name}] as object, but found a concrete value"
                );
                Err(("mapper_parsing_exception", reason))
            }
        };
    }
    if fits(&kind, value) {
        return Ok(());
    }
    let preview = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let reason = format!(
        "failed to parse field [{name}] of type [{kind}] in document with id '{id}'. Preview of field's value: '{preview}'"
    );
    Err(("mapper_parsing_exception", reason))
}

fn fits(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Null) | ("boolean", Value::Bool(_)) => true,
        ("keyword" | "text", value) => !value.is_object(),
        ("flat_object", value) => value.is_object(),
        ("boolean", Value::String(text)) => ["true", "false", ""].contains(&text.as_str()),
        ("date", Value::Number(number)) => number.as_i64().is_some(),
        ("date", Value::String(text)) => date_millis(text).is_some(),
        // An empty text is no number, and not an error either.
        (_, Value::String(text)) if text.is_empty() => kind != "date",
        (_, Value::String(text)) => text.parse().is_ok_and(|number| fits_number(kind, number)),
        ("unsigned_long", Value::Number(number)) if number.is_u64() => true,
        ("long", Value::Number(number)) if number.is_u64() => number.is_i64(),
        (_, Value::Number(number)) => number.as_f64().is_some_and(|number| fits_number(kind, number)),
        _ => false,
    }
}

/// Whether a number lies in what a field can hold; decimals of whole numbers are cut off.
fn fits_number(kind: &str, number: f64) -> bool {
    let whole = number.trunc();
    match kind {
        "byte" => (-128.0..=127.0).contains(&whole),
        "short" => (-32_768.0..=32_767.0).contains(&whole),
        "integer" => (-2_147_483_648.0..=2_147_483_647.0).contains(&whole),
        "long" => (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole),
        "unsigned_long" => (0.0..18_446_744_073_709_551_616.0).contains(&whole),
        "float" => number.abs() <= f64::from(f32::MAX),
        "double" | "scaled_float" => number.is_finite(),
        _ => false,
    }
}

/// The milliseconds of a date in the format `strict_date_optional_time||epoch_millis`.
pub(super) fn date_millis(text: &str) -> Option<i64> {
    let whole = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    let local = || {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Some(time.and_utc().timestamp_millis())
    };
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis());
    whole().or_else(local).or_else(day).or_else(|| text.parse().ok())
}

/// The field that a value makes in a dynamic mapping.
fn guessed(value: &Value) -> Option<Value> {
    let kind = match value {
        Value::Null => return None,
        Value::Array(all) => return all.iter().find_map(guessed),
        Value::Object(_) => return Some(json!({ "properties": {} })),
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "long",
        Value::String(text) if text.contains('-') && date_millis(text).is_some() => "date",
        Value::String(_) => {
            let keyword = json!({ "keyword": { "type": "keyword", "ignore_above": 256 } });
            return Some(json!({ "type": "text", "fields": keyword }));
        }
    };
    Some(json!({ "type": kind }))
}
