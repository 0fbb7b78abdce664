// SPDX-License-Identifier: Apache-2.0
//! Regions: their names, their partitions, and a check that the configured ones exist.

use std::{collections::BTreeMap, time::Duration};

use anyhow::anyhow;
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use futures::future::join_all;

use super::{
    config::{has_endpoint, region},
    connection::{ConnectionFailure, Fault},
    http::Http,
};

/// The timeout for reaching a host. A host that takes longer is not refused.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(5);

/// The maximum number of regions listed in an error.
const MAX_LISTED: usize = 20;

/// A configured region, with the host that will be called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredRegion {
    /// Where it is configured, for messages: `FLEET_REGIONS`, `account data`.
    pub place: String,
    pub region: String,
    /// The URL of the service that will be called there.
    pub url: String,
}

/// The partition of a region, as in ARNs.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[must_use]
pub fn partition(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 6] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    PARTITIONS
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or(if region.starts_with("eusc-") { "aws-eusc" } else { "aws" }, |(_, partition)| partition)
}

/// The suffix of the host names of a region's services.
///
/// Source: <https://docs.aws.amazon.com/general/latest/gr/rande.html>, and the SDK's partitions
#[must_use]
pub fn dns_suffix(region: &str) -> &'static str {
    match partition(region) {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-iso-e" => "cloud.adc-e.uk",
        "aws-iso-f" => "csp.hci.ic.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// Whether a text has the form of a region's name.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [words @ .., number] = &parts[..] else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 2 && words.iter().all(is_word) && !number.starts_with('+') && number.parse::<u8>().is_ok()
}

/// The process's own region, in which S3 is called first; `None` if an endpoint replaces it.
pub async fn own(config: &SdkConfig) -> Option<ConfiguredRegion> {
    use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    if has_endpoint(config, "S3") {
        return None;
    }
    let region = region(config);
    let params = Params::builder()
        .region(region)
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default());
    let endpoint = DefaultResolver::new().resolve_endpoint(&params.build().ok()?).await.ok()?;
    let set = |name: &&str| std::env::var(name).is_ok_and(|value| value == region);
    let place = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find(set);
    let place = place.unwrap_or("the AWS configuration").to_owned();
    Some(ConfiguredRegion { place, region: region.to_owned(), url: endpoint.url().to_owned() })
}

/// The home region of an account, in which STS is called; `None` if an endpoint replaces it.
pub async fn home(config: &SdkConfig, place: String, region: &str) -> Option<ConfiguredRegion> {
    use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    if has_endpoint(config, "STS") {
        return None;
    }
    let params = Params::builder()
        .region(region)
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default());
    let endpoint = DefaultResolver::new().resolve_endpoint(&params.build().ok()?).await.ok()?;
    Some(ConfiguredRegion { place, region: region.to_owned(), url: endpoint.url().to_owned() })
}

/// Tries to reach a host in each configured region, by the same route as later requests: behind a proxy,
/// through the proxy. A host that does not respond is logged, not refused.
///
/// # Errors
///
/// All regions whose host does not exist, with where each is configured.
pub async fn check(configured: Vec<ConfiguredRegion>) -> anyhow::Result<()> {
    let http = Http::for_process()?;
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(ANSWER).build();
    let connector = http.passing_connector(&settings);
    let mut by_url: BTreeMap<String, Vec<ConfiguredRegion>> = BTreeMap::new();
    for region in configured {
        by_url.entry(region.url.clone()).or_default().push(region);
    }
    let asked =
        join_all(by_url.into_iter().map(async |(url, regions)| (ask(&connector, &url).await, regions)));
    let mut missing = missing(asked.await);
    if missing.is_empty() {
        return Ok(());
    }
    let more = missing.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        missing.truncate(MAX_LISTED);
        missing.push(format!("and {more} more"));
    }
    Err(anyhow!("these configured regions do not exist or can't be reached:\n  {}", missing.join("\n  ")))
}

/// The failure to reach a host; `None` if the host exists. An unusable proxy is reported by its
/// variable.
async fn ask(connector: &SharedHttpConnector, url: &str) -> Option<ConnectionFailure> {
    let request = HttpRequest::get(url).ok()?;
    let error = connector.call(request).await.err().map(ConnectorError::into_source)?;
    let is_lines = |failure: &&ConnectionFailure| failure.shows_host() || failure.way.uses_socks();
    error.downcast_ref::<ConnectionFailure>().filter(|failure| !is_lines(failure)).cloned()
}

/// The regions to refuse, one line each.
fn missing(asked: Vec<(Option<ConnectionFailure>, Vec<ConfiguredRegion>)>) -> Vec<String> {
    // A proxy that allows no host at all says nothing about a single one.
    let is_any_there = asked.iter().any(|(failure, _)| failure.is_none());
    let mut missing = Vec::new();
    for (failure, regions) in asked {
        let Some(failure) = failure else { continue };
        let is_missing = match failure.fault {
            Fault::UnknownHost => !failure.at_proxy,
            Fault::ProxyRefused => is_any_there,
            _ => false,
        };
        for ConfiguredRegion { place, region, .. } in regions {
            let line = format!("{place}: {region}: {failure}");
            if is_missing {
                missing.push(line);
            } else {
                tracing::warn!(region, "whether a configured region exists could not be checked: {line}");
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use aws_types::region::Region;

    use super::*;
    use crate::aws::{connection::Way, with_endpoint};

    #[test]
    fn knows_a_region_by_its_form() {
        for region in ["eu-west-1", "us-gov-east-1", "us-isob-east-1", "eusc-de-east-1", "ap-southeast-7"] {
            assert!(is_region(region), "{region}");
        }
        for other in [
            "",
            "eu-west1",
            "EU-west-1",
            "eu-west-",
            "eu--1",
            "1-west-1",
            "global",
            "eu-west-1/",
            "eu-west-x",
            "eu-west-+1",
            "eu-west-1\n",
        ] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn knows_the_partitions() {
        assert_eq!(partition("eu-west-1"), "aws");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("us-isob-east-1"), "aws-iso-b");
        assert_eq!(partition("eusc-de-east-1"), "aws-eusc");
    }

    fn asked(
        region: &str,
        fault: Option<Fault>,
        proxy: Option<&str>,
    ) -> (Option<ConnectionFailure>, Vec<ConfiguredRegion>) {
        let host = format!("monitoring.{region}.amazonaws.com");
        let way = Way { host: host.clone(), proxy: proxy.map(str::to_owned), is_forwarded: false };
        let failure = fault.map(|fault| ConnectionFailure { way, fault, at_proxy: false, is_unsent: true });
        let places = ["FLEET_REGIONS", "account data"].map(|place| ConfiguredRegion {
            place: place.into(),
            region: region.into(),
            url: format!("https://{host}"),
        });
        (failure, places.into())
    }

    #[test]
    fn a_region_without_a_host_is_refused_in_every_place_and_silence_refuses_none() {
        let lines = missing(vec![
            asked("eu-west-1", None, None),
            asked("us-east-3", Some(Fault::UnknownHost), None),
            asked("us-east-1", Some(Fault::Unresolved("try again".into())), None),
            asked("us-east-2", Some(Fault::Silent), None),
        ]);
        let line = |place| {
            format!(
                "{place}: us-east-3: monitoring.us-east-3.amazonaws.com is unknown to DNS; correct the region or the endpoint, or check this machine's DNS"
            )
        };
        assert_eq!(lines, [line("FLEET_REGIONS"), line("account data")]);
    }

    #[test]
    fn a_proxy_is_trusted_about_a_host_if_it_allows_others() {
        let refused = |region| asked(region, Some(Fault::ProxyRefused), Some("http://proxy:3128"));
        let lines = missing(vec![asked("eu-west-1", None, Some("http://proxy:3128")), refused("us-east-3")]);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| {
            line.contains("the proxy http://proxy:3128 does not connect to monitoring.us-east-3")
        }));
        assert!(missing(vec![refused("eu-west-1"), refused("us-east-3")]).is_empty());
    }

    #[tokio::test]
    async fn the_hosts_are_those_of_the_requests() {
        let config = SdkConfig::builder().region(Region::new("eu-west-1")).use_fips(true).build();
        let url = async |config: &SdkConfig| {
            let home = home(config, "account data".into(), "us-east-1").await;
            [own(config).await, home].map(|region| region.map(|region| region.url))
        };
        let expected =
            ["https://s3-fips.eu-west-1.amazonaws.com", "https://sts-fips.us-east-1.amazonaws.com"];
        assert_eq!(url(&config).await, expected.map(|url| Some(url.to_owned())));
        let emulator = with_endpoint(&config, "http://127.0.0.1:9");
        assert_eq!(url(&emulator).await, [None, None], "AWS is not called");
    }
}
