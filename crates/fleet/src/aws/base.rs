// SPDX-License-Identifier: Apache-2.0
//! The process's own configuration, from AWS's usual environment variables and files.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, identity::IdentityCache, retry::RetryConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::{
    identity::SharedIdentityCache, stalled_stream_protection::StalledStreamProtectionConfig,
};

use super::{
    config::{DEFAULT_REGION, with_region},
    http::Http,
    regions,
    timeouts::timeouts,
};
use crate::{credentials::Explained, kept_credentials::KeptCredentials, profiles};

/// The process's own configuration, from AWS's usual environment variables and files, with timeouts on
/// everything. By itself the SDK limits only the connect.
///
/// # Errors
///
/// If the environment or the process's own profile has a value that no request can be made with.
pub async fn base() -> anyhow::Result<SdkConfig> {
    let http = Http::for_process()?;
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(5)
                .with_initial_backoff(Duration::from_millis(500))
                .with_max_backoff(Duration::from_secs(20)),
        )
        .timeout_config(timeouts(Duration::from_secs(15)))
        .identity_cache(identity_cache())
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled().grace_period(Duration::from_secs(10)).build(),
        )
        .load()
        .await;
    profiles::check_own(&config).await?;
    let config = match config.credentials_provider() {
        Some(chain) => {
            let own = SharedCredentialsProvider::new(Explained::process(chain));
            let own = SharedCredentialsProvider::new(KeptCredentials::new(own));
            config.into_builder().credentials_provider(own).build()
        }
        None => config,
    };
    Ok(if config.region().is_some() { config } else { with_region(&config, DEFAULT_REGION) })
}

/// Like [`base`], once it is confirmed that the process's own region exists.
///
/// # Errors
///
/// If the region does not exist, and as [`base`].
pub async fn at_start() -> anyhow::Result<SdkConfig> {
    let config = base().await?;
    regions::check(regions::own(&config).await.into_iter().collect()).await?;
    Ok(config)
}

fn identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().buffer_time(Duration::from_mins(5)).load_timeout(Duration::from_secs(20)).build()
}
