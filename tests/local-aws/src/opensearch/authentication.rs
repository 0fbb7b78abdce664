// SPDX-License-Identifier: Apache-2.0
//! Who may call: everyone, a user with a password, or who signs with Signature Version 4, for a domain or for Serverless.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::State;
use super::reply::{empty, json_reply};
use crate::identity::Signature;
use crate::reply::Reply;
use crate::sts;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    None,
    Basic {
        user: String,
        password: String,
    },
    SigV4 {
        /// `es` for a domain, `aoss` for Serverless.
        service: String,
        region: String,
        /// The secret of every access key that STS did not give out.
        secret: String,
    },
}

/// The answer to a request that is refused.
pub(super) fn refused(state: &State, parts: &Parts, body: &Bytes) -> Option<Reply> {
    match &state.authentication {
        Authentication::None => None,
        Authentication::Basic { user, password } => {
            let expected = base64_simd::STANDARD.encode_to_string(format!("{user}:{password}"));
            let given = header(parts, "authorization").strip_prefix("Basic ");
            (given != Some(expected.as_str())).then(unauthorized)
        }
        Authentication::SigV4 { service, region, secret } => {
            let reason = check(parts, body, service, region, secret).err()?;
            let message = if service == "aoss" {
                // Serverless says no more; the reason explains a failed test.
                json!({ "status": 403, "error": { "reason": "403 Forbidden", "type": "Forbidden" }, "local-aws": reason })
            } else {
                json!({ "message": reason })
            };
            Some(json_reply(403, &message))
        }
    }
}

fn unauthorized() -> Reply {
    let mut reply = empty(StatusCode::UNAUTHORIZED);
    let realm = HeaderValue::from_static("Basic realm=\"OpenSearch Security\"");
    reply.headers_mut().insert("www-authenticate", realm);
    *reply.body_mut() = Bytes::from_static(b"Unauthorized");
    reply
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn check(parts: &Parts, body: &[u8], service: &str, region: &str, secret: &str) -> Result<(), String> {
    let authorization = header(parts, "authorization");
    let signature = Signature::of(&parts.headers)
        .filter(|_| authorization.starts_with("AWS4-HMAC-SHA256 "))
        .ok_or("User: anonymous is not authorized to perform: es:ESHttpPost")?;
    if signature.service != service {
        return Err(format!(
            "Credential should be scoped to correct service: '{service}', not '{}'.",
            signature.service
        ));
    }
    if signature.region != region {
        return Err(format!("Credential should be scoped to a valid region, not '{}'.", signature.region));
    }
    let field = |name: &str| {
        let rest = authorization.split_once(name).map_or("", |(_, rest)| rest);
        rest.split(',').next().unwrap_or("").trim()
    };
    let signed: Vec<&str> = field("SignedHeaders=").split(';').collect();
    let mut demanded = vec!["host", "x-amz-date"];
    demanded.extend(signature.session_token.map(|_| "x-amz-security-token"));
    demanded.extend((service == "aoss").then_some("x-amz-content-sha256"));
    if let Some(missing) =
        demanded.iter().find(|name| !signed.contains(name) || header(parts, name).is_empty())
    {
        return Err(format!("'{missing}' must be a signed header."));
    }
    if service == "aoss" && header(parts, "transfer-encoding").contains("chunked") {
        return Err("Transfer-Encoding: chunked can't be used with signed requests.".to_owned());
    }
    let hash = hex(&Sha256::digest(body));
    let said = header(parts, "x-amz-content-sha256");
    if !said.is_empty() && said != hash {
        return Err("The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned());
    }
    let secret = signature.session_token.and_then(sts::secret).unwrap_or_else(|| secret.to_owned());
    if field("Signature=") != signed_as(parts, &signed, &hash, field("Credential="), &secret) {
        return Err(
            "The request signature we calculated does not match the signature you provided. Check your AWS \
             Secret Access Key and signing method."
                .to_owned(),
        );
    }
    Ok(())
}

/// The signature that a request must have; `credential` is `KEY/DATE/REGION/SERVICE/aws4_request`.
fn signed_as(parts: &Parts, signed: &[&str], hash: &str, credential: &str, secret: &str) -> String {
    let mut canonical =
        format!("{}\n{}\n{}\n", parts.method, encoded(parts.uri.path(), true), canonical_query(parts));
    for name in signed {
        let value = header(parts, name).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{}\n{hash}", signed.join(";"));
    let scope = credential.split_once('/').map_or("", |(_, scope)| scope);
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        header(parts, "x-amz-date"),
        hex(&Sha256::digest(&canonical))
    );
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

fn canonical_query(parts: &Parts) -> String {
    let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes());
    let mut pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", encoded(&name, false), encoded(&value, false))).collect();
    pairs.sort();
    pairs.join("&")
}

/// Percent-encoded, but for what a URI need not encode.
fn encoded(text: &str, with_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (with_slashes && byte == b'/');
        if plain {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("cannot fail: a key of any length is taken");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    /// The example of <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>, `GET` with a query,
    /// from AWS's test suite for signers ("get-vanilla-query-order-key-case").
    #[test]
    fn the_signature_is_that_of_awss_own_example() {
        let request = Request::get("/?Param2=value2&Param1=value1")
            .header("host", "example.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .body(())
            .expect("a request");
        let (parts, ()) = request.into_parts();
        let signature = signed_as(
            &parts,
            &["host", "x-amz-date"],
            &hex(&Sha256::digest(b"")),
            "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        );
        assert_eq!(signature, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    }
}
