// SPDX-License-Identifier: Apache-2.0
//! What is known of a function, and what follows from it. Pure functions.

use aws_sdk_lambda::types::{Architecture, FunctionConfiguration, PackageType};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use fleet::datasets::Fact;

use super::{prices, runtimes};

/// The longest timeout that a function can have.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const LONGEST_TIMEOUT: TimeDelta = TimeDelta::minutes(15);

/// How long after the end of an invocation its datapoint is there.
const DELAY: TimeDelta = TimeDelta::minutes(5);

/// What is known of a function, as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    runtime: Option<Box<str>>,
    architecture: Option<Architecture>,
    memory_mb: Option<u32>,
    timeout_seconds: Option<u32>,
    package_type: Option<PackageType>,
    last_modified: Option<DateTime<Utc>>,
    /// Whether it runs on Managed Instances, whose hours are paid and not its duration.
    is_on_instances: bool,
}

impl From<FunctionConfiguration> for Facts {
    /// Takes the fields that are named here, and no others.
    fn from(function: FunctionConfiguration) -> Self {
        let modified = |text: String| {
            // Without a colon in the offset: 2026-11-03T10:00:00.000+0000.
            DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f%z").ok().map(|at| at.to_utc())
        };
        Self {
            runtime: function.runtime.map(|runtime| runtime.as_str().into()),
            architecture: function.architectures.and_then(|all| all.into_iter().next()),
            memory_mb: function.memory_size.and_then(|size| size.try_into().ok()),
            timeout_seconds: function.timeout.and_then(|timeout| timeout.try_into().ok()),
            package_type: function.package_type,
            last_modified: function.last_modified.and_then(modified),
            is_on_instances: function.capacity_provider_config.is_some(),
        }
    }
}

impl Facts {
    /// The cell of a fact; empty if it is not known.
    #[must_use]
    pub fn cell(&self, fact: Fact) -> String {
        let shown = match fact {
            Fact::Runtime => self.runtime.as_deref().map(str::to_owned),
            Fact::RuntimeDeprecatedOn => {
                self.runtime.as_deref().and_then(runtimes::deprecated_on).map(str::to_owned)
            }
            Fact::Architecture => self.architecture.as_ref().map(|it| it.as_str().to_owned()),
            Fact::MemoryMb => self.memory_mb.map(|memory| memory.to_string()),
            Fact::TimeoutSeconds => self.timeout_seconds.map(|timeout| timeout.to_string()),
            Fact::PackageType => self.package_type.as_ref().map(|it| it.as_str().to_owned()),
            Fact::LastModified => self.last_modified.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        };
        shown.unwrap_or_default()
    }

    /// How much of its timeout so many milliseconds are; NaN if it is not known.
    #[must_use]
    pub fn of_timeout(&self, milliseconds: f64) -> f64 {
        self.timeout_seconds.map_or(f64::NAN, |timeout| milliseconds / (f64::from(timeout) * 1000.0))
    }

    /// The list price of so many invocations that took so many milliseconds in all, in US dollars; NaN if it is not known.
    #[must_use]
    pub fn cost(&self, region: &str, invocations: f64, milliseconds: f64) -> f64 {
        let price = || {
            let [request, gb_second] =
                [prices::of_request(region)?, prices::of_gb_second(region, self.architecture.as_ref()?)?];
            Some(invocations * request + self.gb_seconds(milliseconds)? * gb_second)
        };
        price().unwrap_or(f64::NAN)
    }

    /// What so many milliseconds on x86 would cost less on arm64, in US dollars; NaN if they are not on x86, or it is not
    /// known.
    #[must_use]
    pub fn arm64_saving(&self, region: &str, milliseconds: f64) -> f64 {
        let saving = || {
            (self.architecture == Some(Architecture::X8664)).then_some(())?;
            let [x86, arm64] =
                [Architecture::X8664, Architecture::Arm64].map(|it| prices::of_gb_second(region, &it));
            Some(self.gb_seconds(milliseconds)? * (x86? - arm64?))
        };
        saving().unwrap_or(f64::NAN)
    }

    /// What is billed of so many milliseconds; `None` if they are not billed, or it is not known.
    fn gb_seconds(&self, milliseconds: f64) -> Option<f64> {
        let memory = self.memory_mb.filter(|_| !self.is_on_instances)?;
        Some(milliseconds / 1000.0 * f64::from(memory) / 1024.0)
    }
}

/// Whether all invocations that began before `end` have had their datapoints by `now`.
#[must_use]
pub fn is_settled(facts: Option<&Facts>, end: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let timeout = facts.and_then(|facts| facts.timeout_seconds);
    let timeout = timeout.map_or(LONGEST_TIMEOUT, |timeout| TimeDelta::seconds(timeout.into()));
    now.signed_duration_since(end) >= timeout + DELAY
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::types::{
        CapacityProviderConfig, EnvironmentResponse, LambdaManagedInstancesCapacityProviderConfig, Runtime,
    };

    use super::*;

    fn facts() -> Facts {
        let function = FunctionConfiguration::builder()
            .runtime(Runtime::from("nodejs20.x"))
            .architectures(Architecture::X8664)
            .memory_size(1536)
            .timeout(30)
            .package_type(PackageType::Zip)
            .last_modified("2026-11-03T10:00:00.123+0000")
            .environment(EnvironmentResponse::builder().variables("KEY", "the secret").build());
        function.build().into()
    }

    #[test]
    fn facts_are_named_fields_and_no_environment() {
        let all = [
            (Fact::Runtime, "nodejs20.x"),
            (Fact::RuntimeDeprecatedOn, "2026-04-30"),
            (Fact::Architecture, "x86_64"),
            (Fact::MemoryMb, "1536"),
            (Fact::TimeoutSeconds, "30"),
            (Fact::PackageType, "Zip"),
            (Fact::LastModified, "2026-11-03T10:00:00Z"),
        ];
        for (fact, expected) in all {
            assert_eq!(
                (facts().cell(fact), Facts::default().cell(fact)),
                (expected.to_owned(), String::new())
            );
        }
        assert!(!format!("{:?}", facts()).contains("secret"));
        let later = Facts { runtime: Some("nodejs99.x".into()), ..facts() };
        assert_eq!(later.cell(Fact::RuntimeDeprecatedOn), "");
        let odd = FunctionConfiguration::builder().last_modified("yesterday").memory_size(-1).build();
        assert_eq!(Facts::from(odd), Facts::default());
    }

    #[test]
    fn the_cost_is_of_requests_and_gb_seconds_and_unknown_is_nothing() {
        // 2 million requests of 100 ms with 1.5 GB.
        let cost = |facts: &Facts, region: &str| facts.cost(region, 2e6, 2e8);
        let is = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}");
        is(cost(&facts(), "us-east-1"), 0.40 + 300_000.0 * 0.000_016_666_7);
        is(cost(&facts(), "af-south-1"), 0.54 + 300_000.0 * 0.000_022_1);
        is(facts().arm64_saving("us-east-1", 2e8), 300_000.0 * 0.000_003_333_3);
        let arm64 = Facts { architecture: Some(Architecture::Arm64), ..facts() };
        is(cost(&arm64, "us-east-1"), 0.40 + 300_000.0 * 0.000_013_333_4);
        let instances = CapacityProviderConfig::builder()
            .lambda_managed_instances_capacity_provider_config(
                LambdaManagedInstancesCapacityProviderConfig::builder()
                    .capacity_provider_arn("arn")
                    .build()
                    .expect("it has an ARN"),
            )
            .build();
        let managed: Facts = FunctionConfiguration::builder()
            .architectures(Architecture::X8664)
            .memory_size(1536)
            .capacity_provider_config(instances)
            .build()
            .into();
        for (unknown, region) in [
            (Facts { memory_mb: None, ..facts() }, "us-east-1"),
            (Facts { architecture: None, ..facts() }, "us-east-1"),
            (Facts { architecture: Some(Architecture::from("riscv")), ..facts() }, "us-east-1"),
            (managed, "us-east-1"),
            (facts(), "il-central-1"),
        ] {
            assert!(cost(&unknown, region).is_nan(), "{unknown:?}");
            assert!(unknown.arm64_saving(region, 1.0).is_nan(), "{unknown:?}");
        }
        assert!(arm64.arm64_saving("us-east-1", 1.0).is_nan(), "it is there already");
        assert!(facts().cost("us-east-1", 1.0, f64::NAN).is_nan(), "no duration");
    }

    #[test]
    fn a_row_settles_by_the_timeout_of_its_function() {
        let end = DateTime::UNIX_EPOCH;
        for (facts, seconds) in [(Some(&facts()), 330), (Some(&Facts::default()), 1200), (None, 1200)] {
            let settled = |after: i64| is_settled(facts, end, end + TimeDelta::seconds(after));
            assert_eq!([seconds - 1, seconds].map(settled), [false, true]);
        }
        assert!(!is_settled(None, DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC), "without an overflow");
    }

    #[test]
    fn a_part_of_a_timeout_is_1_if_it_timed_out() {
        assert!((facts().of_timeout(30_000.0) - 1.0).abs() < 1e-9);
        assert!(Facts::default().of_timeout(1.0).is_nan() && facts().of_timeout(f64::NAN).is_nan());
    }
}
