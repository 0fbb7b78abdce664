// SPDX-License-Identifier: Apache-2.0
//! S3: the protocol is `s3s`'s, the store and the rules are ours.
//!
//! A request comes here with its caller known. `upload` takes off the framing and checks what is sent, `operations` are
//! the operations as `s3s` asks them, `directory` is the one of S3 Express, `store` holds buckets and objects.

mod directory;
mod operations;
mod store;
mod upload;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, Uri};
use s3s::service::S3ServiceBuilder;

use crate::calls::Service;
use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::world::World;

pub use store::Object;
pub(crate) use store::{Buckets, NewBucket};

/// The operation that method, path and query mean, for faults, denials and the log.
pub(crate) fn operation(method: &Method, uri: &Uri, signed_for: &str) -> &'static str {
    let (bucket, key) = target(uri.path());
    // In AWS the host tells them apart, which is one here.
    if signed_for == "s3express" && *method == Method::GET && bucket.is_none() {
        return directory::LIST;
    }
    let asks = |name: &str| {
        let query = uri.query().unwrap_or("");
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    };
    match (method.as_str(), bucket.is_some(), key.is_some()) {
        ("GET", false, _) => "ListBuckets",
        ("PUT", true, false) => "CreateBucket",
        ("HEAD", true, false) => "HeadBucket",
        ("DELETE", true, false) => "DeleteBucket",
        ("GET", true, false) if asks("list-type") => "ListObjectsV2",
        ("GET", true, false) if asks("location") => "GetBucketLocation",
        ("GET", true, false) => "ListObjects",
        ("PUT", true, true) => "PutObject",
        ("GET", true, true) => "GetObject",
        ("HEAD", true, true) => "HeadObject",
        ("DELETE", true, true) => "DeleteObject",
        _ => "Unknown",
    }
}

/// Bucket and key of a path-style path.
pub(crate) fn target(path: &str) -> (Option<String>, Option<String>) {
    let (bucket, key) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let decoded = |text: &str| {
        // A plus sign stands for itself in a path, unlike in a form.
        let form = format!("_={}", text.replace('+', "%2B").replace('&', "%26"));
        form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let given = |text: &str| (!text.is_empty()).then(|| decoded(text)).flatten();
    (given(bucket), given(key))
}

/// Tells the bucket's region in an error, as S3 does in redirects and in refusals.
pub(crate) fn with_bucket_region(world: &World, call: &Call, error: ServiceError) -> ServiceError {
    if call.service != Service::S3 {
        return error;
    }
    match call.resource.as_deref().and_then(|bucket| world.buckets.region(bucket)) {
        Some(region) => error.header("x-amz-bucket-region", &region),
        None => error,
    }
}

/// `ok`, or the code of the error that the reply carries.
pub(crate) fn outcome(service: Service, reply: &Reply) -> Cow<'static, str> {
    let answers_errors = matches!(service, Service::S3 | Service::OpenSearch);
    if !answers_errors || reply.status().is_success() {
        return Cow::Borrowed("ok");
    }
    let body = String::from_utf8_lossy(reply.body());
    let code =
        body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    code.map_or_else(|| Cow::Owned(reply.status().as_u16().to_string()), |code| Cow::Owned(code.to_owned()))
}

pub(crate) async fn serve(
    world: &Arc<World>,
    call: &Call,
    parts: &Parts,
    body: Bytes,
) -> Result<Reply, ServiceError> {
    if call.operation == directory::LIST {
        return directory::list(world, call, parts.uri.query().unwrap_or(""));
    }
    if let Some(bucket) = call.resource.as_deref().filter(|_| call.operation != "CreateBucket") {
        check_place(world, call, bucket, parts.headers.get(EXPECTED_OWNER))?;
    }
    let mut headers = parts.headers.clone();
    let body = upload::unframe(&mut headers, body)?;
    if call.operation == "PutObject" {
        upload::check_sums(&headers, &body)?;
        upload::check_metadata(&headers)?;
    }
    let mut request = Request::new(s3s::Body::from(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = headers;
    let service = S3ServiceBuilder::new(operations::Operations::new(world.clone(), call)).build();
    let broken = |_| ServiceError::new("InternalError", "the request cannot be answered");
    let (parts, body) = service.call(request).await.map_err(broken)?.into_parts();
    let body =
        body.collect().await.map_err(|_| ServiceError::new("InternalError", "the answer cannot be read"))?;
    Ok(Reply::from_parts(parts, body.to_bytes()))
}

/// Whose a request says that the bucket must be.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";

/// The bucket must be there, be the caller's and of the account that is expected, and lie in the region that the
/// request was signed for.
fn check_place(
    world: &World,
    call: &Call,
    name: &str,
    expected_owner: Option<&HeaderValue>,
) -> Result<(), ServiceError> {
    let place =
        world.buckets.read().buckets.get(name).map(|bucket| (bucket.account.clone(), bucket.region.clone()));
    let Some((account, region)) = place else {
        return Err(ServiceError::new("NoSuchBucket", "The specified bucket does not exist")
            .status(hyper::StatusCode::NOT_FOUND));
    };
    // us-east-1 answers for all regions:
    // <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>
    let anywhere = call.operation == "GetBucketLocation" && call.region == "us-east-1";
    if region != call.region && !anywhere {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
        return Err(ServiceError::new("PermanentRedirect", message)
            .status(hyper::StatusCode::MOVED_PERMANENTLY)
            .header("x-amz-bucket-region", &region));
    }
    if account != call.account() || expected_owner.is_some_and(|owner| owner.as_bytes() != account.as_bytes())
    {
        return Err(ServiceError::new("AccessDenied", "Access Denied")
            .status(hyper::StatusCode::FORBIDDEN)
            .header("x-amz-bucket-region", &region));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_and_decoded() {
        let target = |path: &str| target(path);
        assert_eq!(target("/"), (None, None));
        assert_eq!(target("/bucket"), (Some("bucket".to_owned()), None));
        assert_eq!(target("/bucket/"), (Some("bucket".to_owned()), None));
        let (bucket, key) = target("/bucket/a%3Db/c+d%20e");
        assert_eq!((bucket.as_deref(), key.as_deref()), (Some("bucket"), Some("a=b/c+d e")));
    }

    #[test]
    fn operations_follow_method_path_and_query() {
        let operation = |method: Method, uri: &'static str| operation(&method, &Uri::from_static(uri), "s3");
        assert_eq!(operation(Method::GET, "/?x-id=ListBuckets"), "ListBuckets");
        assert_eq!(operation(Method::GET, "/b?list-type=2&prefix=a"), "ListObjectsV2");
        assert_eq!(operation(Method::HEAD, "/b"), "HeadBucket");
        assert_eq!(operation(Method::HEAD, "/b/k"), "HeadObject");
        assert_eq!(operation(Method::PUT, "/b/k/l?x-id=PutObject"), "PutObject");
    }
}
