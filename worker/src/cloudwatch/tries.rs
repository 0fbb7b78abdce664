// SPDX-License-Identifier: Apache-2.0
//! The tries of a call that the SDK makes by itself, told to the operation's turns.

use std::sync::Arc;

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_sdk_cloudwatch::operation::{get_metric_data::GetMetricDataError, list_metrics::ListMetricsError};
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
use aws_smithy_types::{config_bag::ConfigBag, error::metadata::ProvideErrorMetadata};

use super::turns::Turns;

/// Tells an operation's turns of each try but a call's first, which alone waits for one, and of each that was
/// throttled.
#[derive(Debug)]
pub(super) struct Tries {
    pub(super) turns: Arc<Turns>,
    /// What each try costs, in turns.
    pub(super) cost: f64,
}

#[dyn_dispatch_hint]
impl Intercept for Tries {
    fn name(&self) -> &'static str {
        "Tries"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1) {
            self.turns.repeated(self.cost);
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
            self.turns.throttled();
        }
        Ok(())
    }
}

fn code(error: &Error) -> Option<&str> {
    let asked = error.downcast_ref::<GetMetricDataError>().and_then(ProvideErrorMetadata::code);
    asked.or_else(|| error.downcast_ref::<ListMetricsError>().and_then(ProvideErrorMetadata::code))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::{Client, config::retry::RetryConfig, primitives::DateTime};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use tokio::time::Instant;

    use super::*;

    /// An answer with an error of this code, in CBOR: a map of one text to another.
    fn refusal(code: &str) -> HttpResponse {
        let length = u8::try_from(code.len()).expect("short");
        let body = [b"\xa1\x66__type\x78", &[length][..], code.as_bytes()].concat();
        HttpResponse::new(StatusCode::try_from(400).expect("a status"), SdkBody::from(body))
    }

    /// How many times longer a turn is after a call that is refused.
    async fn slowness_after(call: impl AsyncFn(&Client, Tries) -> bool, rule: Rule) -> f64 {
        let turns = Arc::new(Turns::new(10.0));
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, [&rule], |config| {
            config.retry_config(RetryConfig::disabled())
        });
        assert!(!call(&client, Tries { turns: turns.clone(), cost: 1.0 }).await, "it is refused");
        // What is let through at once, and then one.
        turns.wait(4.0).await;
        turns.wait(4.0).await;
        let begun = Instant::now();
        turns.wait(1.0).await;
        begun.elapsed().as_secs_f64() * 10.0
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_try_of_either_operation_slows_it_and_no_other_refusal_does() {
        for (code, expected) in [("Throttling", 2.0), ("AccessDenied", 1.0), ("ExpiredToken", 1.0)] {
            let list = mock!(Client::list_metrics).then_http_response(move || refusal(code));
            let listed = async |client: &Client, tries: Tries| {
                client.list_metrics().customize().interceptor(tries).send().await.is_ok()
            };
            let get = mock!(Client::get_metric_data).then_http_response(move || refusal(code));
            let got = async |client: &Client, tries: Tries| {
                let [start, end] = [0, 1].map(DateTime::from_secs);
                let call = client.get_metric_data().start_time(start).end_time(end).customize();
                call.interceptor(tries).send().await.is_ok()
            };
            for slowness in [slowness_after(listed, list).await, slowness_after(got, get).await] {
                assert!((slowness - expected).abs() < 0.2, "{code}: {slowness}");
            }
        }
    }
}
