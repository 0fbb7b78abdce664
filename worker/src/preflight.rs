// SPDX-License-Identifier: Apache-2.0
//! Startup checks: what this worker needs for any account is verified before the first job is taken.
//! Otherwise each job would be collected and billed and then fail, or its account would be blamed.

use chrono::Utc;
use fleet::{
    Account, AwsError, ErrorKind, Job, KeyTemplate, ReportDate, RunId, datasets, from_sdk,
    report_bucket::ReportBucket,
};
use futures::{StreamExt, stream};

use crate::{
    account::authenticate,
    account::session::Session,
    failure::{Failure, Misconfiguration},
    report::Collector,
    usage::Usage,
};

/// An `ETag` that no object has, so that a conditional write with it never takes effect.
const NO_VERSION: &str = "\"00000000000000000000000000000000\"";

/// An account name for a key under which no report is written; a policy may depend on the key.
const NO_ACCOUNT: &str = "startup-check";

/// How many accounts to try before concluding that this worker can't assume any role, and how many
/// concurrently after the first.
const MOST_ASKED: usize = 100;
const ASKED_AT_ONCE: usize = 10;

/// Whether this worker's own role can assume roles in accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleCheck {
    /// It assumed one.
    Passed,
    /// There are fewer than two accounts to try, or their errors mean something else.
    Inconclusive,
}

/// Tries to assume the roles of listed accounts that this worker's own role assumes, until one succeeds.
///
/// # Errors
///
/// If several are denied and none succeeds, since then the accounts are not at fault; or if the worker's
/// own credentials are refused.
pub async fn check_roles(collector: &Collector) -> Result<RoleCheck, Misconfiguration> {
    let mut rest = sample(collector.accounts_by_own_role().into_iter());
    let Some(first) = rest.pop().filter(|_| !rest.is_empty()) else { return Ok(RoleCheck::Inconclusive) };
    let rest = stream::iter(rest).map(|account| enter(collector, account)).buffer_unordered(ASKED_AT_ONCE);
    let mut asked = Box::pin(stream::once(enter(collector, first)).chain(rest));
    let (mut refused, mut last) = (0, None);
    while let Some(entered) = asked.next().await {
        match entered {
            // Success means that a role was assumed, even if it is in another account than expected.
            Ok(()) | Err(Failure::WrongAccount { .. }) => return Ok(RoleCheck::Passed),
            Err(Failure::WorkerMisconfigured(fault)) => return Err(fault),
            Err(Failure::RoleRefused(error)) => {
                refused += 1;
                last = Some(error);
            }
            Err(_) => return Ok(RoleCheck::Inconclusive),
        }
    }
    match last {
        Some(source) if refused > 1 => Err(Misconfiguration::EveryRole { accounts: refused, source }),
        _ => Ok(RoleCheck::Inconclusive),
    }
}

/// A random sample: rollouts proceed alphabetically, so neighbours fail together.
fn sample(accounts: impl Iterator<Item = Account>) -> Vec<Account> {
    fastrand::choose_multiple(accounts, MOST_ASKED)
}

async fn enter(collector: &Collector, account: Account) -> Result<(), Failure> {
    let session = Session::open(account, &collector.base, None, Usage::default()).await?;
    authenticate::identity(&session)
        .await
        .map(drop)
        .map_err(|failure| authenticate::classify(&session, failure))
}

/// Sends S3 a conditional write that can't take effect. Permissions are checked before the condition.
///
/// # Errors
///
/// S3's error, unless it is that the condition does not hold.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub async fn check_writing(bucket: &ReportBucket, template: &KeyTemplate) -> Result<(), AwsError> {
    const OPERATION: &str = "s3:PutObject";
    let put =
        bucket.client.put_object().bucket(&bucket.name).key(key(template)).if_match(NO_VERSION).send().await;
    match put.map_err(|error| from_sdk(OPERATION, error)) {
        Err(error) if error.kind == ErrorKind::PreconditionFailed || error.code == "NoSuchKey" => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(AwsError::new(ErrorKind::Permanent, OPERATION, "ConditionIgnored")
            .message("this S3 ignores If-Match, so reports would overwrite each other")),
    }
}

/// The key of a possible report.
fn key(template: &KeyTemplate) -> String {
    let job = Job {
        account_name: NO_ACCOUNT.parse().expect("cannot fail: it is a name"),
        windows: ReportDate::today(Utc::now()).into(),
        dataset: *datasets::DEFAULT,
        run_id: RunId::manual(NO_ACCOUNT),
        only_incomplete: false,
        settle: None,
        attributes: serde_json::Map::new(),
    };
    let id = "000000000000".parse().expect("cannot fail: it is an account's id");
    template.key(&job, Some(&id)).unwrap_or_else(|_| NO_ACCOUNT.to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{Client, operation::put_object::PutObjectOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use fleet::Accounts;

    use super::*;

    #[test]
    fn the_sample_covers_the_whole_list() {
        let named = |nth: usize| format!("[[account]]\nname = 'account-{nth:04}'\ncredentials = 'default'\n");
        let listed = Accounts::parse(&(0..5000).map(named).collect::<String>()).expect("accounts");
        let mut asked: Vec<_> =
            sample(listed.iter().cloned()).into_iter().map(|account| account.name).collect();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), 100, "each once");
        // By chance once in 2^100 runs.
        assert!(asked[99].as_str() > "account-2500" && asked[0].as_str() < "account-2500", "{asked:?}");
    }

    fn answer(status: u16, code: &str) -> HttpResponse {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
    }

    async fn proven_by(status: u16, code: &'static str) -> Result<(), AwsError> {
        let put = mock!(Client::put_object)
            .match_requests(|request| {
                request.if_match() == Some(NO_VERSION)
                    && request.key().is_some_and(|key| {
                        key.starts_with("s3_daily_storage/report_date=20")
                            && key.contains("account_name=startup-check/")
                    })
            })
            .then_http_response(move || answer(status, code));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
        check_writing(&ReportBucket::new(client, "reports"), &KeyTemplate::default()).await
    }

    #[tokio::test]
    async fn a_failed_precondition_proves_the_permission() {
        assert_eq!(proven_by(404, "NoSuchKey").await, Ok(()));
        assert_eq!(proven_by(412, "PreconditionFailed").await, Ok(()));
    }

    #[tokio::test]
    async fn neither_a_refusal_nor_a_missing_bucket_proves_it() {
        assert_eq!(proven_by(403, "AccessDenied").await.map_err(|error| error.kind), Err(ErrorKind::Denied));
        assert_eq!(
            proven_by(404, "NoSuchBucket").await.map_err(|error| error.kind),
            Err(ErrorKind::NotFound)
        );
    }

    #[tokio::test]
    async fn an_s3_that_ignores_conditions_is_refused() {
        let put = mock!(Client::put_object).then_output(|| PutObjectOutput::builder().build());
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
        let shown = check_writing(&ReportBucket::new(client, "reports"), &KeyTemplate::default()).await;
        assert_eq!(shown.map_err(|error| error.code), Err("ConditionIgnored".into()));
    }
}
