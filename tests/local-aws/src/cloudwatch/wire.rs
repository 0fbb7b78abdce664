// SPDX-License-Identifier: Apache-2.0
//! CloudWatch's two protocols behind one pair of functions: rpc-v2-cbor, as the SDK for Rust speaks it, and awsJson, as
//! boto3 does. The operations see plain structs.

use std::fmt;
use std::io::Read as _;

use bytes::Bytes;
use ciborium::tag::Required;
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cbor;
use crate::reply::{self, Protocol, Reply, ServiceError};

/// The most that a body may hold once it is unpacked.
const MAX_UNPACKED: u64 = 64 * 1024 * 1024;

/// Seconds since the epoch: a number in JSON, a tagged number in CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_i64(self.0);
        }
        // Tag 1 is CBOR's epoch time: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
        Required::<i64, 1>(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimestampVisitor)
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("seconds since the epoch")
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<Timestamp, E> {
        Ok(Timestamp(seconds))
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
        i64::try_from(seconds).map(Timestamp).map_err(E::custom)
    }

    fn visit_f64<E>(self, seconds: f64) -> Result<Timestamp, E> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "metrics are kept by the second; no time is out of range"
        )]
        let seconds = seconds.floor() as i64;
        Ok(Timestamp(seconds))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        chrono::DateTime::parse_from_rfc3339(text).map(|time| Timestamp(time.timestamp())).map_err(E::custom)
    }
}

/// The body as it was before it was packed: SDKs gzip a large `PutMetricData`.
pub(crate) fn unpack(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, ServiceError> {
    if headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(body.clone());
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(body.as_ref())
        .take(MAX_UNPACKED)
        .read_to_end(&mut unpacked)
        .map_err(|error| unreadable(&error))?;
    Ok(unpacked.into())
}

pub(crate) fn decode<'de, T: Deserialize<'de>>(
    protocol: Protocol,
    body: &'de [u8],
) -> Result<T, ServiceError> {
    match protocol {
        Protocol::Cbor => cbor::from_slice(body).map_err(|error| unreadable(&error)),
        _ => serde_json::from_slice(body).map_err(|error| unreadable(&error)),
    }
}

pub(crate) fn encode<T: Serialize>(protocol: Protocol, output: &T) -> Reply {
    match protocol {
        Protocol::Cbor => reply::cbor(output),
        _ => reply::json(output),
    }
}

fn unreadable(error: &dyn std::error::Error) -> ServiceError {
    ServiceError::new("SerializationException", format!("the request cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_tagged_in_cbor_and_plain_in_json() {
        let time = Timestamp(1_767_225_600);
        assert_eq!(serde_json::to_string(&time).expect("JSON"), "1767225600");
        let mut bytes = Vec::new();
        ciborium::into_writer(&time, &mut bytes).expect("CBOR");
        assert_eq!(bytes[0], 0xc1, "tag 1");
        assert_eq!(decode::<Timestamp>(Protocol::Cbor, &bytes).expect("read"), time);
        for json in ["1767225600", "1767225600.25", "\"2026-01-01T00:00:00Z\""] {
            assert_eq!(
                decode::<Timestamp>(Protocol::AwsJson, json.as_bytes()).expect("read"),
                time,
                "{json}"
            );
        }
    }
}
