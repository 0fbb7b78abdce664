// SPDX-License-Identifier: Apache-2.0
//! Finds the region and host of a queue from its URL.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, config::Builder};
use aws_types::region::Region;
use engine::{Queue, consumer::LONG_POLL_SECONDS};

use super::{
    config::{DEFAULT_REGION, has_endpoint},
    regions::{dns_suffix, is_region},
    timeouts::timeouts,
};
use crate::from_sdk;

/// The queue at `url`, for the engine.
#[must_use]
pub fn queue(config: &SdkConfig, url: &str) -> Queue {
    Queue { client: sqs(config, url), url: url.to_owned(), classify: from_sdk }
}

/// An SQS client for the queue at `url` and others on the same host: in the region and at the host that
/// the URL names, with timeouts that allow a long poll.
///
/// An endpoint set in the environment, the profile or for the account takes precedence over the URL's
/// host.
#[must_use]
fn sqs(config: &SdkConfig, url: &str) -> Client {
    let patience = Duration::from_secs(LONG_POLL_SECONDS.unsigned_abs().into()) + Duration::from_secs(5);
    let mut builder = Builder::from(config).timeout_config(timeouts(patience));
    if let Some(region) = queue_region(url) {
        builder = builder.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = queue_endpoint(url)
        && !has_endpoint(config, "SQS")
    {
        // The host already implies these choices, and the SDK refuses them together with an endpoint.
        builder = builder.endpoint_url(endpoint).use_fips(false).use_dual_stack(false);
    }
    Client::from_conf(builder.build())
}

/// The scheme and host of a queue's URL, unless it is a plain public host of SQS: then the SDK chooses
/// by `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`.
fn queue_endpoint(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    let is_plain = queue_region(url).is_some_and(|region| {
        let suffix = dns_suffix(region);
        let plain =
            [format!("sqs.{region}.{suffix}"), format!("{region}.queue.{suffix}"), format!("queue.{suffix}")];
        plain.iter().any(|plain| plain == host)
    });
    if is_plain { None } else { url.get(..scheme.len() + "://".len() + host.len()) }
}

/// The region in a queue's URL, in each form that SQS has: `sqs.REGION.amazonaws.com`, the same with
/// `sqs-fips`, in a VPC endpoint's name or with another partition's suffix,
/// `REGION.queue.amazonaws.com`, and `queue.amazonaws.com`, which is the oldest region.
///
/// Source: <https://docs.aws.amazon.com/general/latest/gr/sqs-service.html>
fn queue_region(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split(['/', ':']).next()?;
    if host == "queue.amazonaws.com" {
        return Some(DEFAULT_REGION);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let neighbours = labels.windows(2).find_map(|pair| match pair {
        ["sqs" | "sqs-fips", region] | [region, "queue"] => Some(*region),
        _ => None,
    });
    neighbours.filter(|region| is_region(region))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use aws_smithy_runtime_api::{
        client::{
            http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
            orchestrator::{HttpRequest, HttpResponse},
        },
        http::StatusCode,
    };
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use engine::queue::Redrive;

    /// Each form of a queue's URL, the region in it, and the host to call if nothing else is set.
    const URLS: [(&str, Option<&str>, &str); 11] = [
        (
            "https://sqs.eu-west-1.amazonaws.com/1/jobs",
            Some("eu-west-1"),
            "https://sqs.eu-west-1.amazonaws.com",
        ),
        (
            "https://sqs.cn-north-1.amazonaws.com.cn/1/jobs",
            Some("cn-north-1"),
            "https://sqs.cn-north-1.amazonaws.com.cn",
        ),
        (
            "https://us-west-2.queue.amazonaws.com/1/jobs",
            Some("us-west-2"),
            "https://sqs.us-west-2.amazonaws.com",
        ),
        ("https://queue.amazonaws.com/1/jobs", Some("us-east-1"), "https://sqs.us-east-1.amazonaws.com"),
        (
            "https://sqs-fips.us-gov-west-1.amazonaws.com/1/jobs",
            Some("us-gov-west-1"),
            "https://sqs-fips.us-gov-west-1.amazonaws.com",
        ),
        (
            "https://vpce-0a1-b2.sqs.eu-west-1.vpce.amazonaws.com/1/jobs",
            Some("eu-west-1"),
            "https://vpce-0a1-b2.sqs.eu-west-1.vpce.amazonaws.com",
        ),
        ("https://sqs.eu-west-1.api.aws/1/jobs", Some("eu-west-1"), "https://sqs.eu-west-1.api.aws"),
        (
            "https://sqs.us-iso-east-1.c2s.ic.gov/1/jobs",
            Some("us-iso-east-1"),
            "https://sqs.us-iso-east-1.c2s.ic.gov",
        ),
        ("http://127.0.0.1:4566/1/jobs", None, "http://127.0.0.1:4566"),
        ("http://sqs.localhost:4566/1/jobs", None, "http://sqs.localhost:4566"),
        ("jobs", None, "https://sqs.ap-south-1.amazonaws.com"),
    ];

    /// Responds to everything and records the requests.
    #[derive(Debug, Clone, Default)]
    struct Asked(Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Asked {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            self.0.lock().expect("not poisoned").push(request.uri().to_owned());
            let ok = StatusCode::try_from(200).expect("a status");
            HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, SdkBody::from("{}"))))
        }
    }

    fn config(asked: &Asked) -> aws_types::sdk_config::Builder {
        let connector = SharedHttpConnector::new(asked.clone());
        let keys = Credentials::new("id", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("ap-south-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .http_client(http_client_fn(move |_, _| connector.clone()))
    }

    async fn host_of(config: aws_types::sdk_config::Builder, asked: &Asked, url: &str) -> String {
        let sent = sqs(&config.build(), url).get_queue_attributes().queue_url(url).send().await;
        sent.expect("an answer");
        let uri = asked.0.lock().expect("not poisoned").pop().expect("a request");
        uri.trim_end_matches('/').to_owned()
    }

    #[test]
    fn reads_the_region_from_every_form_of_queue_url() {
        for (url, region, _) in URLS {
            assert_eq!(queue_region(url), region, "{url}");
        }
    }

    #[tokio::test]
    async fn calls_the_host_of_every_form_of_queue_url() {
        for (url, _, host) in URLS {
            let asked = Asked::default();
            assert_eq!(host_of(config(&asked), &asked, url).await, host, "{url}");
        }
    }

    #[tokio::test]
    async fn a_configured_endpoint_takes_precedence_over_the_host_of_the_url() {
        for (url, ..) in URLS {
            let asked = Asked::default();
            let emulator = config(&asked).endpoint_url("http://127.0.0.1:9");
            assert_eq!(host_of(emulator, &asked, url).await, "http://127.0.0.1:9", "{url}");
        }
    }

    #[tokio::test]
    async fn a_public_host_leaves_fips_and_dual_stack_to_the_sdk_and_another_host_has_chosen() {
        let (public, vpc) = (URLS[0].0, URLS[5].0);
        let asked = Asked::default();
        let fips = host_of(config(&asked).use_fips(true), &asked, public).await;
        assert_eq!(fips, "https://sqs-fips.eu-west-1.amazonaws.com");
        let dual = host_of(config(&asked).use_dual_stack(true), &asked, public).await;
        assert_eq!(dual, "https://sqs.eu-west-1.api.aws");
        let chosen = host_of(config(&asked).use_fips(true).use_dual_stack(true), &asked, vpc).await;
        assert_eq!(chosen, URLS[5].2);
    }

    #[tokio::test]
    async fn the_dead_letter_queue_uses_the_host_of_its_queue() {
        let asked = Asked::default();
        let url = URLS[5].0;
        let redrive =
            Redrive { dead_letter_arn: "arn:aws:sqs:eu-west-1:1:dead".into(), max_receive_count: 12 };
        let dead = queue(&config(&asked).build(), url).dead_letters(&redrive).expect("a URL").url;
        assert_eq!(dead, "https://vpce-0a1-b2.sqs.eu-west-1.vpce.amazonaws.com/1/dead");
        assert_eq!(host_of(config(&asked), &asked, &dead).await, URLS[5].2);
    }
}
