//! The tries of a call that the SDK makes by itself, told to the operation's turns.

use std::sync::Arc;

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

/// What CloudWatch answers where there was too much. Source:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html>
const THROTTLES: [&str; 4] =
    ["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"];

/// Tells an operation's turns of each try that did not wait for its own, and of each that was throttled.
#[derive(Debug)]
pub(super) struct Tries(pub(super) Arc<Turns>);

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
            self.0.repeated();
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
        if error.and_then(code).is_some_and(|code| THROTTLES.contains(&code)) {
            self.0.throttled();
        }
        Ok(())
    }
}

fn code(error: &Error) -> Option<&str> {
    let asked = error.downcast_ref::<GetMetricDataError>().and_then(ProvideErrorMetadata::code);
    asked.or_else(|| error.downcast_ref::<ListMetricsError>().and_then(ProvideErrorMetadata::code))
}
