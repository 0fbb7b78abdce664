// SPDX-License-Identifier: Apache-2.0
//! Answers in each protocol's shape: awsJson, rpc-v2-cbor, query XML and S3's XML.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::opensearch;

/// What every service returns to the gateway.
pub(crate) type Reply = Response<Bytes>;

/// How a request was spoken, and so how it is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON bodies, `X-Amz-Target` names the operation.
    AwsJson,
    /// The same, by services that never spoke the query protocol.
    AwsJson11,
    /// CBOR bodies, the path names the operation.
    Cbor,
    /// A form in, XML out.
    Query,
    /// S3's REST and XML.
    Rest,
    /// OpenSearch's REST and JSON.
    OpenSearch,
}

/// An error answer, before a protocol gives it its shape.
#[derive(Debug, Clone)]
pub(crate) struct ServiceError {
    /// The code of the query protocol, which SDKs prefer where they get it (`x-amzn-query-error`).
    pub(crate) code: Cow<'static, str>,
    /// The model's name of the error where that is not the code.
    pub(crate) shape: Option<Cow<'static, str>>,
    pub(crate) message: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl ServiceError {
    /// An error with status 400.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            shape: None,
            message: message.into(),
            status: StatusCode::BAD_REQUEST,
            headers: Vec::new(),
        }
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn shape(mut self, shape: impl Into<Cow<'static, str>>) -> Self {
        self.shape = Some(shape.into());
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The error as an answer; `namespace` is the service's, as in `com.amazonaws.sqs`.
    pub(crate) fn render(mut self, protocol: Protocol, namespace: &str) -> Reply {
        let headers = std::mem::take(&mut self.headers);
        let mut reply = match protocol {
            Protocol::AwsJson => self.render_json(namespace),
            Protocol::AwsJson11 => json_1_1(&self.body(namespace)),
            Protocol::Cbor => self.render_cbor(namespace),
            Protocol::Query => self.render_query(),
            Protocol::Rest => self.render_s3(),
            Protocol::OpenSearch => opensearch::error_reply(&self),
        };
        *reply.status_mut() = self.status;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                reply.headers_mut().insert(name, value);
            }
        }
        reply
    }

    fn fault(&self) -> &'static str {
        if self.status.is_server_error() { "Receiver" } else { "Sender" }
    }

    fn body(&self, namespace: &str) -> ErrorBody<'_> {
        let shape = self.shape.as_ref().unwrap_or(&self.code);
        ErrorBody { shape: format!("{namespace}#{shape}"), message: &self.message }
    }

    fn query_error(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("{};{}", self.code, self.fault())).ok()
    }

    fn render_json(&self, namespace: &str) -> Reply {
        let mut reply = json(&self.body(namespace));
        if let Some(value) = self.query_error() {
            reply.headers_mut().insert("x-amzn-query-error", value);
        }
        reply
    }

    fn render_cbor(&self, namespace: &str) -> Reply {
        let mut reply = cbor(&self.body(namespace));
        if let Some(value) = self.query_error() {
            reply.headers_mut().insert("x-amzn-query-error", value);
        }
        reply
    }

    fn render_query(&self) -> Reply {
        xml(format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{}</Type>\
             <Code>{}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            self.fault(),
            escape(&self.code),
            escape(&self.message),
            uuid::Uuid::now_v7(),
        ))
    }

    fn render_s3(&self) -> Reply {
        xml(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
             <RequestId>{}</RequestId></Error>",
            escape(&self.code),
            escape(&self.message),
            uuid::Uuid::now_v7().simple(),
        ))
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    #[serde(rename = "__type")]
    shape: String,
    message: &'a str,
}

/// A 200 with a JSON body.
pub(crate) fn json<T: Serialize>(body: &T) -> Reply {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    with_type(bytes.into(), "application/x-amz-json-1.0")
}

/// A 200 with a JSON body of awsJson 1.1.
pub(crate) fn json_1_1<T: Serialize>(body: &T) -> Reply {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    with_type(bytes.into(), "application/x-amz-json-1.1")
}

/// Reads a JSON body; none is an empty one.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        ServiceError::new("SerializationException", format!("the request cannot be read: {error}"))
    })
}

/// The answer to an operation that a service does not have, or not here.
pub(crate) fn unknown_operation(operation: &str) -> ServiceError {
    ServiceError::new("InvalidAction", format!("The action {operation} is not valid for this endpoint."))
        .shape("UnknownOperationException")
}

/// A 200 with a CBOR body.
pub(crate) fn cbor<T: Serialize>(body: &T) -> Reply {
    let mut bytes = Vec::with_capacity(1024);
    // Writing to a Vec cannot fail, and no type here refuses to be serialized.
    let _ = ciborium::into_writer(body, &mut bytes);
    let mut reply = with_type(bytes.into(), "application/cbor");
    reply.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    reply
}

/// A 200 with an XML body.
pub(crate) fn xml(body: String) -> Reply {
    with_type(body.into(), "text/xml")
}

fn with_type(body: Bytes, content_type: &'static str) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Text escaped for use between XML tags.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_error_names_its_shape_in_the_body_and_its_query_code_in_the_header() {
        let error =
            ServiceError::new("AWS.SimpleQueueService.NonExistentQueue", "none").shape("QueueDoesNotExist");
        let reply = error.render(Protocol::AwsJson, "com.amazonaws.sqs");
        assert_eq!(reply.headers()["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
        let body: serde_json::Value = serde_json::from_slice(reply.body()).expect("JSON");
        assert_eq!(body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    }

    #[test]
    fn xml_errors_escape_what_they_quote() {
        let reply = ServiceError::new("AccessDenied", "<a> & \"b\"").render(Protocol::Rest, "");
        let body = String::from_utf8(reply.into_body().to_vec()).expect("UTF-8");
        assert!(body.contains("&lt;a&gt; &amp; &quot;b&quot;"), "{body}");
    }
}
