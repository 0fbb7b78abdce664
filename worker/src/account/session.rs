// SPDX-License-Identifier: Apache-2.0
//! A session in an account: its credentials, its clients, and its identity according to STS.

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatch::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use cli::telemetry::STEP;
use fleet::{
    Account, AccountId, AwsError, ErrorKind, RunId, aws,
    credentials::{self, BaseSource, CredentialSource, NoCredentials, secret::GET_SECRET_VALUE},
    environment, from_sdk,
    identity::Identity,
    json_service::JsonOperation,
};
use serde_json::Value;

use crate::usage::Usage;

mod renewable;

pub(crate) use renewable::Renewable;

/// The retry tokens that a job may spend at once for a service in a region, in the SDK's units: a
/// throttled call costs five, another error ten. It is enough for all retries of concurrent calls.
const RETRY_CAPACITY: usize = 1000;

/// The tokens added per second: two retries of throttled calls.
const RETRY_REFILL: f32 = 10.0;

/// The maximum attempts of a CloudWatch call. If others use up the account's quota, the fleet's own rate
/// takes some seconds to fall; the pauses between these attempts add up to a quarter of a minute, and at
/// most twice that.
const CLOUDWATCH_ATTEMPTS: u32 = 7;

/// The IAM action that assumes a role.
pub(crate) const ASSUME_ROLE: &str = "sts:AssumeRole";

/// The IAM action that yields the process's own credentials if it has a web identity token.
pub(crate) const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

/// Whether an error means that the account's credentials are no longer valid, so that no further call
/// can succeed.
pub(crate) fn ends_session(error: &AwsError) -> bool {
    matches!(error.kind, ErrorKind::Expired | ErrorKind::NoCredentials)
        || [ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_SECRET_VALUE].contains(&error.operation)
}

#[derive(Debug, Clone)]
pub struct Session {
    account: Account,
    config: SdkConfig,
    credentials: Renewable,
    usage: Usage,
}

/// Whether the process's own credentials assume a role in the account.
pub(crate) fn is_by_own_role(source: &CredentialSource) -> bool {
    matches!(source, CredentialSource::Role { base: BaseSource::Default, .. })
}

impl Session {
    /// Opens a session, for a run if there is one. Makes no AWS call yet; `usage` counts later ones.
    ///
    /// # Errors
    ///
    /// If no credentials are configured.
    pub async fn open(
        account: Account,
        base: &SdkConfig,
        run: Option<&RunId>,
        usage: Usage,
    ) -> Result<Self, NoCredentials> {
        let partition = aws::partition(aws::region(base));
        let source = CredentialSource::choose(&account, partition, environment::variable)?;
        tracing::info!(target: STEP, account_name = %account.name, credentials = %source, "accessing the account");
        let mut config = base.clone();
        if let Some(region) = &account.region {
            config = aws::with_region(&config, region);
        }
        if let Some(endpoint) = &account.endpoint {
            config = aws::with_endpoint(&config, endpoint);
        }
        let credentials =
            Renewable::new(source, base.clone(), config.clone(), credentials::session_name(run)).await;
        let config = aws::for_account(&config, SharedCredentialsProvider::new(credentials.clone()));
        Ok(Self { account, config, credentials, usage })
    }

    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The calls made so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The region in which STS and `ListBuckets` are called.
    #[must_use]
    pub fn home_region(&self) -> &str {
        aws::region(&self.config)
    }

    /// Calls STS for the identity, whether or not it is the expected one.
    pub(crate) async fn identity(&self) -> Result<Identity, AwsError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let client = aws_sdk_sts::Client::from_conf(
            aws_sdk_sts::config::Builder::from(&self.config)
                .retry_partition(self.retry_partition("sts", self.home_region()))
                .interceptor(self.usage.call_counter())
                .build(),
        );
        let client = &client;
        let request = || async move {
            let answer = client.get_caller_identity().send().await;
            answer.map_err(|error| from_sdk(OPERATION, error).in_region(self.home_region()))
        };
        let answer = self.credentials.call(request).await?;
        let account_id = answer.account().and_then(|id| id.parse::<AccountId>().ok()).ok_or_else(|| {
            AwsError::new(ErrorKind::Permanent, OPERATION, "NoAccount")
                .message("the response has no account id")
        })?;
        Ok(Identity { account_id, arn: answer.arn().unwrap_or_default().to_owned() })
    }

    /// Calls an operation for which there is no client, in a region, seen by an interceptor if there is one.
    pub(crate) async fn call(
        &self,
        operation: &JsonOperation,
        region: &str,
        input: Value,
        interceptor: Option<SharedInterceptor>,
    ) -> Result<Value, AwsError> {
        let config = &aws::with_region(&self.config, region);
        let (input, interceptor) = (&input, &interceptor);
        let ask = || async move {
            let counter = SharedInterceptor::new(self.usage.call_counter());
            let answer = operation
                .call_with(config, input.clone(), [counter].into_iter().chain(interceptor.clone()))
                .await;
            answer.map_err(|error| error.in_region(region))
        };
        self.credentials.call(ask).await
    }

    #[must_use]
    pub(crate) fn credentials(&self) -> &Renewable {
        &self.credentials
    }

    /// An S3 client for a region.
    #[must_use]
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        // `aws::s3` handles endpoints; the rest is added to its client.
        let config = aws::s3(&aws::with_region(&self.config, region))
            .config()
            .to_builder()
            // For objects of directory buckets, which are never read; without session authentication,
            // listing the buckets also works with a custom endpoint.
            .disable_s3_express_session_auth(true)
            .retry_partition(self.retry_partition("s3", region))
            .interceptor(self.usage.call_counter());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// A CloudWatch client for a region.
    #[must_use]
    pub fn cloudwatch(&self, region: &str) -> aws_sdk_cloudwatch::Client {
        let retries = self.config.retry_config().cloned().expect("cannot fail: the base sets it");
        let config = aws_sdk_cloudwatch::config::Builder::from(&aws::with_region(&self.config, region))
            .retry_config(retries.with_max_attempts(CLOUDWATCH_ATTEMPTS))
            .retry_partition(self.retry_partition("cloudwatch", region))
            .interceptor(self.usage.call_counter());
        aws_sdk_cloudwatch::Client::from_conf(config.build())
    }

    /// A Lambda client for a region.
    #[must_use]
    pub(crate) fn lambda(&self, region: &str) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&aws::with_region(&self.config, region))
            .retry_partition(self.retry_partition("lambda", region))
            .interceptor(self.usage.call_counter());
        aws_sdk_lambda::Client::from_conf(config.build())
    }

    /// Retries are limited by session, service and region. By default the SDK limits them for the whole
    /// process by service and region, so one throttled account would use up the retries of others.
    fn retry_partition(&self, service: &str, region: &str) -> RetryPartition {
        RetryPartition::custom(format!("{service}-{}-{region}", self.account.name))
            .token_bucket(TokenBucket::builder().capacity(RETRY_CAPACITY).refill_rate(RETRY_REFILL).build())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use fleet::Accounts;

    use super::*;

    /// The retry partitions of an account's clients, of S3, of CloudWatch in two regions, and of Lambda.
    async fn retry_partitions(account: &str) -> Vec<Option<RetryPartition>> {
        let text = format!("[[account]]\nname = '{account}'\ncredentials = 'default'");
        let accounts = Accounts::parse(&text).expect("accounts");
        let account = accounts.iter().next().expect("one").clone();
        let base = aws::base().await.expect("a configuration");
        let session = Session::open(account, &base, None, Usage::default()).await.expect("a session");
        vec![
            session.s3("eu-west-1").config().retry_partition().cloned(),
            session.cloudwatch("eu-west-1").config().retry_partition().cloned(),
            session.cloudwatch("us-east-1").config().retry_partition().cloned(),
            session.lambda("us-east-1").config().retry_partition().cloned(),
        ]
    }

    #[tokio::test]
    async fn each_account_service_and_region_has_its_own_retry_partition() {
        let mut names = std::collections::HashSet::new();
        for account in ["stormy", "calm"] {
            for partition in retry_partitions(account).await {
                let partition = partition.expect("one is set");
                let name = format!("{partition:?}");
                assert!(name.contains(account), "{name} is shared by all accounts");
                assert!(names.insert(name), "{partition:?} is shared");
            }
        }
    }
}
