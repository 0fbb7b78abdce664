// SPDX-License-Identifier: Apache-2.0
//! The endpoint under test, its clients, and the list of what a foreign endpoint can't do.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use local_aws::{LocalAws, Options, Trust};

/// What ministack 1.5.33 can't do, by case, and why.
pub(crate) const GAPS: &[(&str, &str)] = &[
    (
        "cloudwatch::a_metric_silent_for_two_weeks_is_not_listed_but_still_there",
        "listing and data are forgotten together",
    ),
    (
        "cloudwatch::a_metric_without_dimensions_is_not_the_sum_of_those_with",
        "sums over dimensions where none is asked",
    ),
    ("cloudwatch::metrics_are_listed_500_a_page", "ListMetrics does not page"),
    ("cloudwatch::results_are_paged_by_datapoints_and_none_is_lost", "MaxDatapoints is not looked at"),
    ("cloudwatch::the_newest_come_first_unless_asked_otherwise", "ScanBy is not looked at: always ascending"),
    ("cloudwatch_limits::a_call_asks_at_most_500_queries", "no limit"),
    ("cloudwatch_limits::a_datum_has_values_or_one_statistic_set_within_range", "not checked"),
    ("cloudwatch_limits::a_page_holds_at_most_100800_datapoints", "MaxDatapoints is not looked at"),
    ("cloudwatch_limits::a_put_holds_1000_metrics_of_30_dimensions", "no limits"),
    ("cloudwatch_limits::a_token_that_is_none_is_refused", "NextToken is not looked at"),
    ("cloudwatch_limits::a_window_must_not_end_before_it_begins", "not checked"),
    ("cloudwatch_limits::datapoints_are_at_most_two_weeks_old", "not checked"),
    ("cloudwatch_limits::ids_are_distinct_and_begin_in_lower_case", "not checked"),
    ("cloudwatch_limits::one_metrics_statistics_are_at_most_1440_datapoints", "no limit"),
    ("cloudwatch_limits::the_namespaces_of_aws_are_not_ours_to_write", "not checked"),
    ("s3::an_upload_is_answered_with_its_checksum", "no checksum in the answer"),
    (
        "s3::buckets_are_listed_with_their_region_only_to_a_request_with_a_parameter",
        "the region is always given",
    ),
    ("s3::user_metadata_holds_two_kilobytes", "no limit"),
    ("sqs::a_handle_of_an_earlier_receive_does_not_delete", "answers ReceiptHandleIsInvalid"),
    ("sqs::a_message_that_is_visible_has_no_visibility_to_change", "MessageNotInflight is not returned"),
    ("sqs_limits::a_dead_letter_queue_must_be_there", "not checked"),
    ("sqs_limits::a_message_has_at_most_ten_attributes", "no limit"),
    ("sqs_limits::a_receive_waits_at_most_20_seconds_and_hides_for_12_hours", "not checked"),
    ("sqs_limits::visibility_ends_twelve_hours_after_the_receive", "not checked"),
    ("sts::a_role_asks_for_its_external_id", "trust is not looked at without AUTH=true"),
    ("sts::a_missing_role_is_denied_and_not_reported", "trust is not looked at without AUTH=true"),
    ("sts::a_session_lasts_as_long_as_the_role_lets_it", "the duration is not checked"),
    ("sts::an_unknown_key_is_refused_by_every_service", "an unknown key is account 000000000000"),
    ("sts::arns_follow_the_partition_of_the_region", "ARNs are always of aws"),
    ("sts::temporary_keys_are_none_without_their_token", "session tokens are not looked at"),
];

/// The endpoint, as one case sees it: with an account of its own.
pub(crate) struct Aws {
    endpoint: String,
    account: String,
    local: Option<LocalAws>,
}

/// Runs a case against `local-aws`, or against the endpoint of `LOCAL_AWS_CONTRACT_ENDPOINT`; there a case that is
/// listed in [`GAPS`] must fail.
pub(crate) async fn contract<C, F>(case: C)
where
    C: FnOnce(Arc<Aws>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let name = case_name::<C>();
    let foreign = std::env::var("LOCAL_AWS_CONTRACT_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    let local = match &foreign {
        Some(_) => None,
        None => Some(LocalAws::start(Options::default()).await.expect("local-aws starts")),
    };
    let endpoint = foreign.clone().or_else(|| local.as_ref().map(LocalAws::endpoint)).expect("an endpoint");
    let account = format!("{:012}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000_000);
    let outcome = tokio::spawn(case(Arc::new(Aws { endpoint, account, local }))).await;
    let gap = GAPS.iter().find(|(case, _)| foreign.is_some() && *case == name);
    match (gap, outcome) {
        (None, Ok(())) => {}
        (None, Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
        (Some((_, why)), Err(_)) => report(&format!("GAP  {name}: {why}")),
        (Some(_), Ok(())) => panic!("{name} is listed in GAPS, but it passes: remove it from the list"),
    }
}

#[expect(clippy::print_stderr, reason = "a gap must be seen in the output of the run")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// `sqs::a_case`, from the path of the closure that is its body.
fn case_name<C>() -> &'static str {
    let path = std::any::type_name::<C>();
    let path = path.split("::{{closure}}").next().unwrap_or(path);
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

macro_rules! client {
    ($name:ident, $sdk:ident $(, $more:ident($value:expr))*) => {
        pub(crate) fn $name(&self, region: &'static str, keys: Credentials) -> $sdk::Client {
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .endpoint_url(&self.endpoint)
                .region($sdk::config::Region::new(region))
                .credentials_provider(keys)
                .retry_config(RetryConfig::disabled())
                $(.$more($value))*;
            $sdk::Client::from_conf(config.build())
        }
    };
}

impl Aws {
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn keys(&self) -> Credentials {
        Credentials::new(&self.account, "secret", None, None, "contract")
    }

    /// A name that no other case uses.
    pub(crate) fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}-{}", self.account, &uuid::Uuid::new_v4().simple().to_string()[..6])
    }

    /// Declares a role, where that can be done from outside the protocol.
    pub(crate) fn declare_role(&self, name: &str, trust: Trust) {
        if let Some(local) = &self.local {
            let _ = local.account(&self.account).role(name, trust);
        }
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        self.sqs_with("eu-west-1", self.keys())
    }

    pub(crate) fn s3(&self, region: &'static str) -> aws_sdk_s3::Client {
        self.s3_with(region, self.keys())
    }

    pub(crate) fn cloudwatch(&self, region: &'static str) -> aws_sdk_cloudwatch::Client {
        self.cloudwatch_with(region, self.keys())
    }

    client!(sqs_with, aws_sdk_sqs);
    client!(s3_with, aws_sdk_s3, force_path_style(true));
    client!(cloudwatch_with, aws_sdk_cloudwatch);
    client!(sts_with, aws_sdk_sts);
}

/// The code of the error that a call ended in.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let error = result.expect_err("an error");
    error.code().unwrap_or("no code").to_owned()
}

/// Asks until the answer is there, half a minute long: some of what AWS shows is approximate or late.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "it did not come within half a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A gap that names no case would hide nothing, and would never be found out.
#[test]
fn every_gap_names_a_case() {
    let sources = [
        ("cloudwatch", include_str!("cloudwatch.rs")),
        ("cloudwatch_limits", include_str!("cloudwatch_limits.rs")),
        ("s3", include_str!("s3.rs")),
        ("sqs", include_str!("sqs.rs")),
        ("sqs_limits", include_str!("sqs_limits.rs")),
        ("sts", include_str!("sts.rs")),
    ];
    for (case, _) in GAPS {
        let (module, function) = case.split_once("::").expect("module::function");
        let source = sources.iter().find(|(name, _)| *name == module).expect("a module");
        assert!(source.1.contains(&format!("async fn {function}()")), "{case} is no case");
    }
}
