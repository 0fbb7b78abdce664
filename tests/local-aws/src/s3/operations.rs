// SPDX-License-Identifier: Apache-2.0
//! S3's operations, as the `s3s` crate asks for them. The bucket's existence, owner and region are checked before.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::store::{Condition, NewBucket, NotWritten, Object};
use super::upload;
use crate::faults::Effect;
use crate::gateway::Call;
use crate::world::World;

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
const MAX_BUCKETS: usize = 10_000;
const MAX_KEYS: usize = 1000;

pub(crate) struct Operations {
    world: Arc<World>,
    account: String,
    region: String,
    may_list: bool,
    drop_token: bool,
}

impl Operations {
    pub(crate) fn new(world: Arc<World>, call: &Call) -> Self {
        let bucket = call.resource.as_deref();
        let may_list = !world.permissions.is_denied(call.account(), "s3:ListBucket", &call.region, bucket);
        let drop_token = world
            .faults
            .content(&call.target())
            .iter()
            .any(|fault| matches!(fault.effect(), Effect::DropNextToken) && fault.strikes());
        Self { world, account: call.account().to_owned(), region: call.region.clone(), may_list, drop_token }
    }

    /// An object, or the refusal that hides whether the key exists from those who may not list.
    fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        self.world.buckets.object(bucket, key).ok_or_else(|| {
            if self.may_list {
                s3_error!(NoSuchKey, "The specified key does not exist.")
            } else {
                s3_error!(AccessDenied, "Access Denied")
            }
        })
    }

    fn token(&self, token: Option<String>) -> Option<String> {
        token.filter(|_| !self.drop_token)
    }
}

fn timestamp(time: DateTime<Utc>) -> dto::Timestamp {
    std::time::SystemTime::from(time).into()
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
fn with_checksum<T>(
    mut answer: S3Response<T>,
    checksum: Option<&(HeaderName, HeaderValue)>,
) -> S3Response<T> {
    if let Some((name, value)) = checksum {
        answer.headers.insert(name.clone(), value.clone());
        answer.headers.insert("x-amz-checksum-type", HeaderValue::from_static("FULL_OBJECT"));
    }
    answer
}

fn asks_for_checksum(headers: &HeaderMap) -> bool {
    headers.get("x-amz-checksum-mode").is_some_and(|mode| mode == "ENABLED")
}

fn etag(object: &Object) -> dto::ETag {
    dto::ETag::Strong(object.etag.clone())
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn list_buckets(
        &self,
        request: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        let input = request.input;
        // BucketRegion is given only to a request with at least one parameter.
        let with_region = input.max_buckets.is_some()
            || input.prefix.is_some()
            || input.continuation_token.is_some()
            || input.bucket_region.is_some();
        let limit = match input.max_buckets {
            None => MAX_BUCKETS,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=MAX_BUCKETS).contains(limit))
                .ok_or_else(|| s3_error!(InvalidArgument, "max-buckets must be between 1 and 10000"))?,
        };
        let state = self.world.buckets.read();
        if !with_region && state.count(&self.account) > MAX_BUCKETS {
            return Err(s3_error!(
                InvalidRequest,
                "Unpaginated ListBuckets is not supported above 10,000 buckets."
            ));
        }
        let prefix = input.prefix.as_deref().unwrap_or("");
        let after = input.continuation_token.as_deref().unwrap_or("");
        let mut found = state.of(&self.account, after).filter(|(name, bucket)| {
            !bucket.is_directory
                && name.starts_with(prefix)
                && input.bucket_region.as_deref().is_none_or(|region| region == bucket.region)
        });
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let last = page.last().filter(|_| found.next().is_some()).map(|(name, _)| (*name).clone());
        let buckets = page
            .into_iter()
            .map(|(name, bucket)| dto::Bucket {
                name: Some(name.clone()),
                creation_date: Some(timestamp(bucket.created)),
                bucket_region: (with_region && !bucket.region_unlisted).then(|| bucket.region.clone()),
            })
            .collect();
        Ok(S3Response::new(dto::ListBucketsOutput {
            buckets: Some(buckets),
            continuation_token: self.token(last),
            owner: Some(dto::Owner { id: Some(self.account.clone()), ..dto::Owner::default() }),
            prefix: input.prefix,
        }))
    }

    async fn create_bucket(
        &self,
        request: S3Request<dto::CreateBucketInput>,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
        let input = request.input;
        let constraint = input
            .create_bucket_configuration
            .and_then(|configuration| configuration.location_constraint)
            .map(|constraint| constraint.as_str().to_owned());
        // us-east-1 is the one region that must not be named.
        let region = constraint.unwrap_or_else(|| "us-east-1".to_owned());
        if region != self.region {
            let code = S3ErrorCode::Custom("IllegalLocationConstraintException".into());
            let mut error = S3Error::with_message(
                code,
                format!(
                    "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
                ),
            );
            error.set_status_code(hyper::StatusCode::BAD_REQUEST);
            return Err(error);
        }
        let owner = self.world.buckets.read().buckets.get(&input.bucket).map(|bucket| bucket.account.clone());
        match owner {
            Some(owner) if owner != self.account => {
                return Err(s3_error!(BucketAlreadyExists, "The requested bucket name is not available."));
            }
            // Only us-east-1 answers 200 to the owner who creates a bucket again.
            Some(_) if region != "us-east-1" => {
                return Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded and you already own it."
                ));
            }
            Some(_) => {}
            None => self.world.buckets.insert(&NewBucket {
                account: &self.account,
                name: &input.bucket,
                region: &region,
                created: self.world.now(),
                is_directory: false,
            }),
        }
        let location = Some(format!("/{}", input.bucket));
        Ok(S3Response::new(dto::CreateBucketOutput { location }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        let bucket_region = self.world.buckets.region(&request.input.bucket);
        Ok(S3Response::new(dto::HeadBucketOutput { bucket_region, ..dto::HeadBucketOutput::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        // us-east-1 is the one region that is not named.
        let region = self.world.buckets.region(&request.input.bucket).filter(|region| region != "us-east-1");
        let location_constraint = region.map(dto::BucketLocationConstraint::from);
        Ok(S3Response::new(dto::GetBucketLocationOutput { location_constraint }))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<dto::DeleteBucketInput>,
    ) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
        let name = &request.input.bucket;
        let full =
            self.world.buckets.read().buckets.get(name).is_some_and(|bucket| !bucket.objects.is_empty());
        if full {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        self.world.buckets.remove(name);
        Ok(S3Response::new(dto::DeleteBucketOutput::default()))
    }

    async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let input = request.input;
        let condition = match (&input.if_none_match, &input.if_match) {
            (None, None) => None,
            (Some(dto::ETagCondition::Any), None) => Some(Condition::Absent),
            (None, Some(dto::ETagCondition::ETag(etag))) => Some(Condition::Match(etag.value().to_owned())),
            _ => {
                return Err(s3_error!(
                    NotImplemented,
                    "A header you provided implies functionality that is not implemented"
                ));
            }
        };
        let body = match input.body {
            Some(body) => whole(body).await?,
            None => Bytes::new(),
        };
        let metadata = input.metadata.unwrap_or_default().into_iter().collect();
        let checksum = upload::checksum(&request.headers, &body);
        let mut object = Object::new(body, metadata, input.content_type, self.world.now());
        object.checksum.clone_from(&checksum);
        let e_tag = Some(etag(&object));
        self.world.buckets.put(&input.bucket, &input.key, object, condition.as_ref()).map_err(|refusal| {
            match refusal {
                NotWritten::NoSuchBucket => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
                NotWritten::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
                NotWritten::PreconditionFailed => {
                    s3_error!(
                        PreconditionFailed,
                        "At least one of the pre-conditions you specified did not hold"
                    )
                }
            }
        })?;
        let answer = S3Response::new(dto::PutObjectOutput { e_tag, ..dto::PutObjectOutput::default() });
        Ok(with_checksum(answer, checksum.as_ref()))
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let object = self.object(&request.input.bucket, &request.input.key)?;
        if request.input.range.is_some() {
            return Err(s3_error!(NotImplemented, "ranges are left out"));
        }
        let answer = S3Response::new(dto::GetObjectOutput {
            body: Some(s3s::Body::from(object.body.clone()).into()),
            content_length: Some(i64::try_from(object.body.len()).unwrap_or(i64::MAX)),
            content_type: object.content_type.clone(),
            e_tag: Some(etag(&object)),
            last_modified: Some(timestamp(object.modified)),
            metadata: Some(object.metadata.clone().into_iter().collect()),
            ..dto::GetObjectOutput::default()
        });
        Ok(with_checksum(answer, object.checksum.as_ref().filter(|_| asks_for_checksum(&request.headers))))
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let object = self.object(&request.input.bucket, &request.input.key)?;
        let answer = S3Response::new(dto::HeadObjectOutput {
            content_length: Some(i64::try_from(object.body.len()).unwrap_or(i64::MAX)),
            content_type: object.content_type.clone(),
            e_tag: Some(etag(&object)),
            last_modified: Some(timestamp(object.modified)),
            metadata: Some(object.metadata.clone().into_iter().collect()),
            ..dto::HeadObjectOutput::default()
        });
        Ok(with_checksum(answer, object.checksum.as_ref().filter(|_| asks_for_checksum(&request.headers))))
    }

    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        self.world.buckets.delete(&request.input.bucket, &request.input.key);
        Ok(S3Response::new(dto::DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let input = request.input;
        let state = self.world.buckets.read();
        let bucket = state
            .buckets
            .get(&input.bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let prefix = input.prefix.as_deref().unwrap_or("");
        let after = input.continuation_token.as_deref().or(input.start_after.as_deref()).unwrap_or("");
        let limit =
            input.max_keys.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_KEYS).min(MAX_KEYS);
        let mut page = Page { limit, delimiter: input.delimiter.as_deref(), prefix, ..Page::default() };
        let from = after.max(prefix).to_owned();
        for (key, object) in bucket.objects.range(from..) {
            if !key.starts_with(prefix) || !page.add(key, object, after) {
                break;
            }
        }
        let next = page.next.take();
        Ok(S3Response::new(dto::ListObjectsV2Output {
            key_count: i32::try_from(page.contents.len() + page.groups.len()).ok(),
            contents: Some(page.contents),
            common_prefixes: (!page.groups.is_empty()).then(|| {
                page.groups.into_iter().map(|group| dto::CommonPrefix { prefix: Some(group) }).collect()
            }),
            is_truncated: Some(next.is_some()),
            next_continuation_token: self.token(next),
            max_keys: i32::try_from(limit).ok(),
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            ..dto::ListObjectsV2Output::default()
        }))
    }
}

/// A page of a listing in the making: keys, and the prefixes that a delimiter folds keys into.
#[derive(Default)]
struct Page<'a> {
    limit: usize,
    delimiter: Option<&'a str>,
    prefix: &'a str,
    contents: Vec<dto::Object>,
    groups: BTreeSet<String>,
    last: Option<String>,
    next: Option<String>,
}

impl Page<'_> {
    /// Adds a key that comes after `after`; false where the page was full before it.
    fn add(&mut self, key: &str, object: &Object, after: &str) -> bool {
        if key <= after && !after.is_empty() {
            return true;
        }
        let group = self.delimiter.filter(|delimiter| !delimiter.is_empty()).and_then(|delimiter| {
            let end = key[self.prefix.len()..].find(delimiter)?;
            Some(key[..self.prefix.len() + end + delimiter.len()].to_owned())
        });
        if group
            .as_ref()
            .is_some_and(|group| self.groups.contains(group) || after.starts_with(group.as_str()))
        {
            self.last = Some(key.to_owned());
            return true;
        }
        if self.contents.len() + self.groups.len() >= self.limit {
            self.next = self.last.take();
            return false;
        }
        match group {
            Some(group) => {
                self.groups.insert(group);
            }
            None => self.contents.push(dto::Object {
                key: Some(key.to_owned()),
                size: Some(i64::try_from(object.body.len()).unwrap_or(i64::MAX)),
                e_tag: Some(etag(object)),
                last_modified: Some(timestamp(object.modified)),
                ..dto::Object::default()
            }),
        }
        self.last = Some(key.to_owned());
        true
    }
}

async fn whole(mut body: dto::StreamingBlob) -> S3Result<Bytes> {
    let mut bytes = bytes::BytesMut::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| s3_error!(IncompleteBody))?);
    }
    Ok(bytes.freeze())
}
