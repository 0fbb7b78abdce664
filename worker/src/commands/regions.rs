// SPDX-License-Identifier: Apache-2.0
//! Checks that the configured regions exist, before a job is billed.

use aws_config::SdkConfig;
use fleet::{
    Account,
    aws::{
        self,
        regions::{self, ConfiguredRegion},
    },
};

/// Refuses regions that do not exist: the process's own, those for every account, and those of these
/// accounts.
///
/// # Errors
///
/// All regions that do not exist, with where each is configured.
pub(super) async fn check(
    base: &SdkConfig,
    of_all: &[String],
    accounts: impl IntoIterator<Item = &Account>,
) -> anyhow::Result<()> {
    let mut configured = Vec::new();
    configured.extend(regions::own(base).await);
    for region in of_all {
        configured.extend(monitoring(base, "FLEET_REGIONS".to_owned(), region).await);
    }
    // An account with its own endpoint does not call a host of its region.
    for account in accounts.into_iter().filter(|account| account.endpoint.is_none()) {
        let place = || format!("account {}", account.name);
        if let Some(region) = &account.region {
            configured.extend(regions::home(base, place(), region).await);
        }
        for region in &account.regions {
            configured.extend(monitoring(base, place(), region).await);
        }
    }
    regions::check(configured).await
}

/// A region in which CloudWatch is called; `None` if an endpoint replaces it.
async fn monitoring(config: &SdkConfig, place: String, region: &str) -> Option<ConfiguredRegion> {
    use aws_sdk_cloudwatch::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    if aws::has_endpoint(config, "CloudWatch") {
        return None;
    }
    let params = Params::builder()
        .region(region)
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default());
    let endpoint = DefaultResolver::new().resolve_endpoint(&params.build().ok()?).await.ok()?;
    Some(ConfiguredRegion { place, region: region.to_owned(), url: endpoint.url().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cloudwatch_is_called_in_a_configured_region_unless_an_endpoint_replaces_it() {
        let config = SdkConfig::builder().build();
        let asked = monitoring(&config, "FLEET_REGIONS".into(), "cn-north-1").await;
        assert_eq!(
            asked.map(|asked| asked.url).as_deref(),
            Some("https://monitoring.cn-north-1.amazonaws.com.cn")
        );
        let emulator = aws::with_endpoint(&config, "http://127.0.0.1:9");
        assert_eq!(monitoring(&emulator, "FLEET_REGIONS".into(), "cn-north-1").await, None);
    }
}
