// SPDX-License-Identifier: Apache-2.0
//! A server's clock, shared by all processes of a fleet: times of different machines are compared only
//! if both come from it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use chrono::{DateTime, TimeDelta, Utc};

/// A smaller difference is not followed: a `Date` header has whole seconds, and a response takes a
/// moment. So the IDs made by one process keep their order.
const TOLERANCE_MS: i64 = 2_000;

/// The clock of the server that responded last, as an offset to the local clock; the local clock until
/// the first response. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.0.load(Ordering::Relaxed))
    }

    /// Records that the server's clock showed `theirs` when the local one showed `ours`.
    fn adjust(&self, theirs: DateTime<Utc>, ours: DateTime<Utc>) {
        let difference = (theirs - ours).num_milliseconds();
        if (difference - self.0.load(Ordering::Relaxed)).abs() > TOLERANCE_MS {
            self.0.store(difference, Ordering::Relaxed);
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(theirs) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.adjust(theirs.to_utc(), Utc::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// What the clock shows, in seconds ahead of the local one, after a response with this `Date`.
    async fn ahead_after(date: Option<String>) -> i64 {
        let answer = mock!(aws_sdk_s3::Client::head_bucket).then_http_response(move || {
            let mut answer =
                HttpResponse::new(StatusCode::try_from(200).expect("a status"), SdkBody::empty());
            if let Some(date) = &date {
                answer.headers_mut().insert("date", date.clone());
            }
            answer
        });
        let clock = Clock::default();
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&answer], |config| config
            .interceptor(clock.clone()));
        client.head_bucket().bucket("b").send().await.expect("an answer");
        (clock.now() - Utc::now()).num_milliseconds().div_euclid(1000) + 1
    }

    #[tokio::test]
    async fn follows_a_server_whose_clock_differs() {
        let date = |ahead: i64| (Utc::now() + TimeDelta::seconds(ahead)).to_rfc2822();
        for ahead in [3600, -3600, 86_400] {
            let shown = ahead_after(Some(date(ahead))).await;
            assert!((shown - ahead).abs() <= 1, "{shown} for {ahead}");
        }
    }

    #[tokio::test]
    async fn stays_with_the_local_clock_if_the_server_agrees_or_names_no_time() {
        let now = Utc::now().to_rfc2822();
        for date in [Some(now), None, Some("yesterday".to_owned())] {
            assert!(ahead_after(date.clone()).await.abs() <= 1, "{date:?}");
        }
    }

    #[test]
    fn a_difference_within_the_headers_resolution_is_not_followed() {
        let clock = Clock::default();
        let ours = Utc::now();
        clock.adjust(ours - TimeDelta::milliseconds(1_900), ours);
        assert_eq!(clock.0.load(Ordering::Relaxed), 0);
        clock.adjust(ours - TimeDelta::seconds(60), ours);
        clock.adjust(ours - TimeDelta::milliseconds(58_500), ours);
        assert_eq!(clock.0.load(Ordering::Relaxed), -60_000, "the first of two that agree");
    }
}
