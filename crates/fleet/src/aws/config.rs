// SPDX-License-Identifier: Apache-2.0
//! Derives the configuration for an account, for another region or for another endpoint, and reads
//! values from one.

use aws_config::{SdkConfig, identity::IdentityCache};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::{origin::Origin, region::Region, service_config::ServiceConfigKey};

/// The region if none is configured.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// The configuration of one account. `provider` caches its credentials itself, since the SDK's cache
/// can't be invalidated.
#[must_use]
pub fn for_account(config: &SdkConfig, provider: SharedCredentialsProvider) -> SdkConfig {
    config.to_builder().credentials_provider(provider).identity_cache(IdentityCache::no_cache()).build()
}

/// The same configuration in another region.
#[must_use]
pub fn with_region(config: &SdkConfig, region: &str) -> SdkConfig {
    config.to_builder().region(Region::new(region.to_owned())).build()
}

/// The same configuration with another endpoint, whatever the environment sets: without its origin, the
/// SDK would take the endpoint for one of the environment's, which `AWS_ENDPOINT_URL` overrides.
#[must_use]
pub fn with_endpoint(config: &SdkConfig, endpoint: &str) -> SdkConfig {
    let mut builder = config.to_builder().endpoint_url(endpoint);
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.build()
}

/// The region of a configuration made by [`base`](super::base()).
#[must_use]
pub fn region(config: &SdkConfig) -> &str {
    config.region().map_or(DEFAULT_REGION, Region::as_ref)
}

/// The endpoint set for a service, by its ID, or for all services: in the environment, in the profile or
/// for the account.
pub(crate) fn endpoint_of(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let of_service = config.service_config().and_then(|all| all.load_config(key.build().ok()?));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Whether an endpoint is set.
#[must_use]
pub fn has_endpoint(config: &SdkConfig, service: &str) -> bool {
    endpoint_of(config, service).is_some()
}
