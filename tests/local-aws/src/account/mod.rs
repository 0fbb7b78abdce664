// SPDX-License-Identifier: Apache-2.0
//! Building a world by plain calls, and reading back what became of it.

mod queues;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

use crate::cloudwatch::{DAY, MetricRef, S3_NAMESPACE, Statistic, Statistics};
use crate::ecs::ServiceId;
use crate::identity::partition;
use crate::lambda::Function;
use crate::permissions::Denial;
use crate::s3::{NewBucket, Object};
use crate::sts::Trust;
use crate::synthetic::{ALL_STORAGE_TYPES, BUCKET_SIZE_BYTES, NUMBER_OF_OBJECTS, long_ago, midnight};
use crate::world::World;

pub use queues::QueueOptions;

/// An account: a handle that is cheap to clone.
#[derive(Clone)]
pub struct Account {
    world: Arc<World>,
    id: String,
}

impl Account {
    pub(crate) fn new(world: Arc<World>, id: &str) -> Self {
        Self { world, id: id.to_owned() }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    // Who may call.

    /// Makes an access key of this account known. With a session token, every request must carry that token.
    pub fn add_access_key(&self, access_key: &str, session_token: Option<&str>) {
        self.world.identities.add_user_key(&self.id, access_key, session_token);
    }

    /// Forgets an access key: requests that it signs are refused from now on.
    pub fn remove_access_key(&self, access_key: &str) {
        self.world.identities.remove(access_key);
    }

    /// Declares a role that `AssumeRole` may be asked for, and gives its ARN (of the `aws` partition).
    pub fn role(&self, name: &str, trust: Trust) -> String {
        self.world.roles.declare(&self.id, name, trust);
        format!("arn:aws:iam::{}:role/{name}", self.id)
    }

    /// The ARN of a role of this account in the partition of a region.
    pub fn role_arn(&self, name: &str, region: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", partition(region), self.id)
    }

    /// Makes all keys that `AssumeRole` gave out for this account expire now.
    pub fn expire_sessions(&self) {
        self.world.identities.expire_sessions(&self.id, self.world.now());
    }

    /// The regions that the account says it has enabled; without this, it is `us-east-1`. Others answer all the same.
    pub fn enable_regions(&self, regions: &[&str]) {
        self.world.enabled_regions.set(&self.id, regions);
    }

    /// Sets all tags of a resource in a region. With none, it is one that had tags once.
    pub fn tag(&self, region: &str, arn: &str, tags: &[(&str, &str)]) {
        self.world.tagged_resources.set(&self.id, region, arn, tags);
    }

    /// Creates a function, or changes it.
    pub fn create_function(&self, region: &str, function: Function) {
        self.world.functions.set(&self.id, region, function);
    }

    /// Deletes a function. What it published stays.
    pub fn delete_function(&self, region: &str, name: &str) {
        self.world.functions.delete(&self.id, region, name);
    }

    /// Denies an IAM action, such as `s3:ListAllMyBuckets`, to the account's identities everywhere.
    pub fn deny(&self, action: &str) {
        self.add_denial(action, None, None);
    }

    /// Denies an IAM action in one region.
    pub fn deny_in(&self, action: &str, region: &str) {
        self.add_denial(action, Some(region), None);
    }

    /// Denies an IAM action on one bucket, queue, secret or service.
    pub fn deny_on(&self, action: &str, resource: &str) {
        self.add_denial(action, None, Some(resource));
    }

    fn add_denial(&self, action: &str, region: Option<&str>, resource: Option<&str>) {
        self.world.permissions.deny(Denial {
            account: self.id.clone(),
            action: action.to_owned(),
            region: region.map(str::to_owned),
            resource: resource.map(str::to_owned),
        });
    }

    pub fn allow(&self, action: &str) {
        self.world.permissions.allow(&self.id, action);
    }

    /// Makes a region one that the account has not opted in to: its keys are unknown there, and STS of that region gives
    /// no session of its roles (`RegionDisabledException`), whoever asks.
    pub fn disable_region(&self, region: &str) {
        self.world.permissions.disable_region(&self.id, region);
    }

    // Secrets and services.

    /// Sets a secret's text and gives its ARN. Done again, the secret has another version.
    pub fn secret(&self, name: &str, region: &str, text: &str) -> String {
        self.world.secrets.set(&self.id, region, name, text, self.world.now())
    }

    pub fn delete_secret(&self, name: &str, region: &str) {
        self.world.secrets.delete(&self.id, region, name);
    }

    /// Makes an ECS service of so many tasks, with its cluster, and gives its ARN.
    pub fn ecs_service(&self, cluster: &str, name: &str, region: &str, desired: u32) -> String {
        let id = self.service_id(cluster, name, region);
        self.world.services.set(id.clone(), desired);
        id.arn()
    }

    /// How many tasks an ECS service is to have.
    pub fn desired_count(&self, cluster: &str, name: &str, region: &str) -> Option<u32> {
        self.world.services.desired(&self.service_id(cluster, name, region))
    }

    fn service_id(&self, cluster: &str, name: &str, region: &str) -> ServiceId {
        ServiceId {
            account: self.id.clone(),
            region: region.to_owned(),
            cluster: cluster.to_owned(),
            name: name.to_owned(),
        }
    }

    // Buckets and objects.

    /// Creates a bucket, or returns the existing one of that name with its objects.
    pub fn bucket(&self, name: &str, region: &str) -> Bucket {
        self.new_bucket(name, region, false)
    }

    /// Makes a directory bucket, which `ListDirectoryBuckets` names in its region and `ListBuckets` does not. Its sizes
    /// are those of `ExpressOneZoneStorage` or, in a Local Zone, of `OneZoneIAStorage`.
    ///
    /// With an endpoint of its own, the SDK for Rust sends `ListDirectoryBuckets` only if the client has
    /// `disable_s3_express_session_auth(true)`.
    pub fn directory_bucket(&self, name: &str, region: &str) -> Bucket {
        self.new_bucket(name, region, true)
    }

    fn new_bucket(&self, name: &str, region: &str, is_directory: bool) -> Bucket {
        let new = NewBucket { account: &self.id, name, region, created: long_ago(), is_directory };
        self.world.buckets.insert(&new);
        self.unlisted_bucket(name, region)
    }

    /// A bucket that no listing of S3 names but whose metrics there are: a deleted one.
    pub fn unlisted_bucket(&self, name: &str, region: &str) -> Bucket {
        Bucket { account: self.clone(), name: name.to_owned(), region: region.to_owned() }
    }

    pub fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        self.world.buckets.object(bucket, key).map(|object| object.as_ref().clone())
    }

    /// The keys that begin so, sorted.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let state = self.world.buckets.read();
        let objects = state.buckets.get(bucket).map(|bucket| &bucket.objects);
        objects
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Stores an object, whatever was there.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>, metadata: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let metadata: BTreeMap<String, String> = metadata.iter().map(owned).collect();
        let _ = self.world.buckets.put(
            bucket,
            key,
            Object::new(body.into(), metadata, None, self.world.now()),
            None,
        );
    }

    pub fn delete_object(&self, bucket: &str, key: &str) {
        self.world.buckets.delete(bucket, key);
    }

    // Metrics.

    /// Sets a datapoint of S3's daily storage metrics: `BucketSizeBytes`, or `NumberOfObjects` where the storage type
    /// is `AllStorageTypes`.
    pub fn datapoint(&self, region: &str, bucket: &str, storage_type: &str, day: NaiveDate, value: f64) {
        let counts = storage_type == ALL_STORAGE_TYPES;
        let (name, unit) = if counts { (NUMBER_OF_OBJECTS, "Count") } else { (BUCKET_SIZE_BYTES, "Bytes") };
        let dimensions = s3_dimensions(bucket, storage_type);
        let metric = MetricRef { namespace: S3_NAMESPACE, name, dimensions: &dimensions };
        let metrics = self.world.cloudwatch.region(&self.id, region);
        metrics.write().unwrap_or_else(PoisonError::into_inner).set(
            &metric,
            Some(unit),
            midnight(day),
            value,
        );
    }

    /// Sets a datapoint of any metric.
    pub fn metric(
        &self,
        region: &str,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        at: DateTime<Utc>,
        value: f64,
    ) {
        self.samples(region, namespace, name, dimensions, at, &[value]);
    }

    /// Sets a datapoint of any metric that is of several values, so that its statistics differ; of none, there is none.
    pub fn samples(
        &self,
        region: &str,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        at: DateTime<Utc>,
        values: &[f64],
    ) {
        let Some((first, more)) = values.split_first() else { return };
        let mut set = Statistics::of(*first);
        for value in more {
            set.merge(&Statistics::of(*value));
        }
        let dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect();
        let metric = MetricRef { namespace, name, dimensions: &dimensions };
        let metrics = self.world.cloudwatch.region(&self.id, region);
        metrics.write().unwrap_or_else(PoisonError::into_inner).set_all(&metric, None, at.timestamp(), &set);
    }

    /// A statistic of any metric over a period, without asking `CloudWatch` for it: built or synthetic, retained or not.
    /// `None` if there is no datapoint, or the statistic is not known.
    pub fn statistic(
        &self,
        region: &str,
        (namespace, name, statistic): (&str, &str, &str),
        dimensions: &[(&str, &str)],
        from: DateTime<Utc>,
        seconds: u32,
    ) -> Option<f64> {
        let dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect();
        let metric = MetricRef { namespace, name, dimensions: &dimensions };
        let metrics = self.world.cloudwatch.region(&self.id, region);
        let metrics = metrics.read().unwrap_or_else(PoisonError::into_inner);
        let range = from.timestamp()..from.timestamp() + i64::from(seconds);
        let (points, _) = metrics.points(&metric, None, range, &mut String::new());
        let (first, more) = points.split_first()?;
        let mut set = first.1;
        for (_, other) in more {
            set.merge(other);
        }
        let statistic = Statistic::parse_any(statistic)?;
        set.has(statistic).then(|| set.get(statistic))
    }

    /// What `CloudWatch` holds for a bucket and a day, without asking it: built or synthetic, retained or not.
    pub fn truth(
        &self,
        region: &str,
        bucket: &str,
        metric: &str,
        storage_type: &str,
        day: NaiveDate,
    ) -> Option<f64> {
        let dimensions = s3_dimensions(bucket, storage_type);
        let metric = MetricRef { namespace: S3_NAMESPACE, name: metric, dimensions: &dimensions };
        let metrics = self.world.cloudwatch.region(&self.id, region);
        let metrics = metrics.read().unwrap_or_else(PoisonError::into_inner);
        let at = midnight(day);
        let (points, _) = metrics.points(&metric, None, at..at + DAY, &mut String::new());
        points.first().map(|(_, set)| set.get(Statistic::Average))
    }
}

fn s3_dimensions<'a>(bucket: &'a str, storage_type: &'a str) -> [(Cow<'a, str>, Cow<'a, str>); 2] {
    [("BucketName".into(), bucket.into()), ("StorageType".into(), storage_type.into())]
}

/// A bucket that was just made, to be described further.
#[derive(Clone)]
pub struct Bucket {
    account: Account,
    name: String,
    region: String,
}

impl Bucket {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn created(&self, created: DateTime<Utc>) -> &Self {
        self.account.world.buckets.change(&self.name, |bucket| bucket.created = created);
        self
    }

    /// Makes `ListBuckets` name it without its region.
    pub fn region_unlisted(&self) -> &Self {
        self.account.world.buckets.change(&self.name, |bucket| bucket.region_unlisted = true);
        self
    }

    /// Deletes it; its metrics stay.
    pub fn deleted(&self) -> &Self {
        self.account.world.buckets.remove(&self.name);
        self
    }

    /// Sets its size in a storage type on a day.
    pub fn size(&self, storage_type: &str, day: NaiveDate, bytes: f64) -> &Self {
        self.account.datapoint(&self.region, &self.name, storage_type, day, bytes);
        self
    }

    /// Sets its number of objects on a day.
    pub fn objects(&self, day: NaiveDate, count: f64) -> &Self {
        self.account.datapoint(&self.region, &self.name, ALL_STORAGE_TYPES, day, count);
        self
    }
}
