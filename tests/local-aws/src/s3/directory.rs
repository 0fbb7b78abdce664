// SPDX-License-Identifier: Apache-2.0
//! Directory buckets, those of S3 Express One Zone: they are listed region by region, and `ListBuckets` does not name them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html>

use std::fmt::Write as _;

use chrono::SecondsFormat;

use crate::gateway::Call;
use crate::identity::partition;
use crate::reply::{Reply, ServiceError, escape, xml};
use crate::world::World;

pub(crate) const LIST: &str = "ListDirectoryBuckets";
const MAX_BUCKETS: usize = 1000;

/// A page of the caller's directory buckets in the region that the request was signed for.
pub(crate) fn list(world: &World, call: &Call, query: &str) -> Result<Reply, ServiceError> {
    let (mut limit, mut after) = (MAX_BUCKETS, String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "max-directory-buckets" => {
                let given = value.parse().ok().filter(|limit| *limit <= MAX_BUCKETS);
                limit = given.ok_or_else(|| {
                    let message = "Argument max-directory-buckets must be an integer between 0 and 1000";
                    ServiceError::new("InvalidArgument", message)
                })?;
            }
            "continuation-token" => after = value.into_owned(),
            _ => {}
        }
    }
    let state = world.buckets.read();
    if state.without_directories.contains(&call.region) {
        // What an endpoint of S3 alone says to a request signed for S3 Express.
        let message = "The authorization header is malformed; incorrect service \"s3express\". \
                       This endpoint belongs to \"s3\".";
        return Err(ServiceError::new("AuthorizationHeaderMalformed", message));
    }
    let mut found = state
        .of(call.account(), &after)
        .filter(|(_, bucket)| bucket.is_directory && bucket.region == call.region);
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let mut body = "<ListAllMyDirectoryBucketsResult><Buckets>".to_owned();
    for (name, bucket) in &page {
        // No BucketRegion: the API reference says that this answer has none.
        let _ = write!(
            body,
            "<Bucket><BucketArn>arn:{}:s3express:{}:{}:bucket/{name}</BucketArn>\
             <CreationDate>{}</CreationDate><Name>{name}</Name></Bucket>",
            partition(&call.region),
            call.region,
            call.account(),
            bucket.created.to_rfc3339_opts(SecondsFormat::Millis, true),
            name = escape(name),
        );
    }
    body.push_str("</Buckets>");
    if let Some((last, _)) = page.last().filter(|_| found.next().is_some()) {
        let _ = write!(body, "<ContinuationToken>{}</ContinuationToken>", escape(last));
    }
    body.push_str("</ListAllMyDirectoryBucketsResult>");
    Ok(xml(body))
}
