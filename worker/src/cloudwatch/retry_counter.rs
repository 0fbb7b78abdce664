// SPDX-License-Identifier: Apache-2.0
//! Counts the retries of the SDK, so that the rate limiter of the operation takes them into account.

use std::sync::Arc;

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_sdk_cloudwatch::operation::{get_metric_data::GetMetricDataError, list_metrics::ListMetricsError};
use aws_sdk_lambda::operation::list_functions::ListFunctionsError;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextRef, Error, FinalizerInterceptorContextRef},
            dyn_dispatch_hint,
        },
        retries::RequestAttempts,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::ConfigBag,
    error::metadata::{ErrorMetadata, ProvideErrorMetadata},
};

use super::rate_limiter::RateLimiter;

/// Reports the attempts of a call to the rate limiter: each retry, since only the first attempt waits, and each attempt
/// that was throttled.
#[derive(Debug)]
pub(crate) struct RetryCounter {
    pub(crate) limiter: Arc<RateLimiter>,
    /// How many calls each attempt counts as.
    pub(crate) cost: f64,
}

#[dyn_dispatch_hint]
impl Intercept for RetryCounter {
    fn name(&self) -> &'static str {
        "RetryCounter"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1) {
            self.limiter.count_retry(self.cost);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let error =
            context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        if error.and_then(code).is_some_and(|code| THROTTLING_ERRORS.contains(&code)) {
            self.limiter.throttled();
        }
        Ok(())
    }
}

fn code(error: &Error) -> Option<&str> {
    let asked = error.downcast_ref::<GetMetricDataError>().and_then(ProvideErrorMetadata::code);
    let listed = || error.downcast_ref::<ListMetricsError>().and_then(ProvideErrorMetadata::code);
    let functions = || error.downcast_ref::<ListFunctionsError>().and_then(ProvideErrorMetadata::code);
    asked.or_else(listed).or_else(functions).or_else(|| error.downcast_ref::<ErrorMetadata>()?.code())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::{Client, config::retry::RetryConfig, primitives::DateTime};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use tokio::time::Instant;

    use super::*;

    /// A response with an error of this code, in CBOR: a map of one text to another.
    fn refusal(code: &str) -> HttpResponse {
        let length = u8::try_from(code.len()).expect("short");
        let body = [b"\xa1\x66__type\x78", &[length][..], code.as_bytes()].concat();
        HttpResponse::new(StatusCode::try_from(400).expect("a status"), SdkBody::from(body))
    }

    /// The slowdown after a call that fails.
    async fn slowdown_after(call: impl AsyncFn(&Client, RetryCounter) -> bool, rule: Rule) -> f64 {
        let limiter = Arc::new(RateLimiter::new(10.0));
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule], |config| {
            config.retry_config(RetryConfig::disabled())
        });
        assert!(!call(&client, RetryCounter { limiter: limiter.clone(), cost: 1.0 }).await, "it is refused");
        // The burst, and then one.
        limiter.wait(4.0).await;
        limiter.wait(4.0).await;
        let begun = Instant::now();
        limiter.wait(1.0).await;
        begun.elapsed().as_secs_f64() * 10.0
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_attempt_of_either_operation_slows_it_down_and_no_other_error_does() {
        for (code, expected) in [("Throttling", 2.0), ("AccessDenied", 1.0), ("ExpiredToken", 1.0)] {
            let list = mock!(Client::list_metrics).then_http_response(move || refusal(code));
            let listed = async |client: &Client, counter: RetryCounter| {
                client.list_metrics().customize().interceptor(counter).send().await.is_ok()
            };
            let get = mock!(Client::get_metric_data).then_http_response(move || refusal(code));
            let got = async |client: &Client, counter: RetryCounter| {
                let [start, end] = [0, 1].map(DateTime::from_secs);
                let call = client.get_metric_data().start_time(start).end_time(end).customize();
                call.interceptor(counter).send().await.is_ok()
            };
            for slowdown in [slowdown_after(listed, list).await, slowdown_after(got, get).await] {
                assert!((slowdown - expected).abs() < 0.2, "{code}: {slowdown}");
            }
        }
    }
}
