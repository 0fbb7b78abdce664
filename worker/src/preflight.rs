//! What this worker must be able to do whatever the account, shown before the first job is taken: else
//! each job would be collected and paid for, and then fail, or be blamed on its account.

use chrono::Utc;
use fleet::{
    Account, AwsError, ErrorKind, Job, KeyTemplate, ReportDate, RunId, datasets, from_sdk,
    report_bucket::ReportBucket,
};
use futures::{StreamExt, stream};

use crate::{
    account::entering,
    account::session::Session,
    failure::{Failure, OwnFault},
    report::Collector,
    usage::Usage,
};

/// A version that no object has, so that a write on condition of it never happens.
const NO_VERSION: &str = "\"00000000000000000000000000000000\"";

/// The account whose report is never written; a policy may look at where reports lie.
const NOBODY: &str = "nobody";

/// How many accounts are asked to let this worker in before it believes that none does, and how many at
/// once after the first.
const MOST_ASKED: usize = 100;
const ASKED_AT_ONCE: usize = 10;

/// Whether this worker's own role is let into accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// One let it in.
    Shown,
    /// There are no two accounts to ask, or what they say is something else.
    Unknown,
}

/// Asks the listed accounts that are entered by this worker's own role, until one lets it in.
///
/// # Errors
/// Where several say no and none says yes: it is then not the accounts that are at fault. Where its
/// own credentials are refused.
pub async fn show_entry(collector: &Collector) -> Result<Entry, OwnFault> {
    let mut rest = sample(collector.accounts_by_own_role().into_iter());
    let Some(first) = rest.pop().filter(|_| !rest.is_empty()) else { return Ok(Entry::Unknown) };
    let rest = stream::iter(rest).map(|account| enter(collector, account)).buffer_unordered(ASKED_AT_ONCE);
    let mut asked = Box::pin(stream::once(enter(collector, first)).chain(rest));
    let (mut refused, mut last) = (0, None);
    while let Some(entered) = asked.next().await {
        match entered {
            // One may let us in and be another than was meant.
            Ok(()) | Err(Failure::WrongAccount { .. }) => return Ok(Entry::Shown),
            Err(Failure::Own(fault)) => return Err(fault),
            Err(Failure::RoleRefused(error)) => {
                refused += 1;
                last = Some(error);
            }
            Err(_) => return Ok(Entry::Unknown),
        }
    }
    match last {
        Some(source) if refused > 1 => Err(OwnFault::EveryRole { accounts: refused, source }),
        _ => Ok(Entry::Unknown),
    }
}

/// The accounts to ask, from all over the list: a role that is rolled out from A to Z is not there yet, or
/// not changed yet, in accounts that stand beside each other.
fn sample(accounts: impl Iterator<Item = Account>) -> Vec<Account> {
    fastrand::choose_multiple(accounts, MOST_ASKED)
}

async fn enter(collector: &Collector, account: Account) -> Result<(), Failure> {
    let session = Session::open(account, &collector.base, None, Usage::default()).await?;
    entering::identity(&session).await.map(drop).map_err(|failure| entering::blame(&session, failure))
}

/// Asks S3 for a write that can't happen. Whoever may not write is told so before the condition is
/// looked at.
///
/// # Errors
/// What S3 said, where it was not that the condition does not hold.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub async fn show_writing(bucket: &ReportBucket, template: &KeyTemplate) -> Result<(), AwsError> {
    const OPERATION: &str = "s3:PutObject";
    let put =
        bucket.client.put_object().bucket(&bucket.name).key(key(template)).if_match(NO_VERSION).send().await;
    match put.map_err(|error| from_sdk(OPERATION, error)) {
        Err(error) if error.kind == ErrorKind::PreconditionFailed || error.code == "NoSuchKey" => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(AwsError::new(ErrorKind::Permanent, OPERATION, "ConditionIgnored")
            .message("this S3 writes objects whatever If-Match says; reports would overwrite each other")),
    }
}

/// Where a report would lie.
fn key(template: &KeyTemplate) -> String {
    let job = Job {
        account_name: NOBODY.parse().expect("cannot fail: it is a name"),
        date: ReportDate::today(Utc::now()),
        dataset: *datasets::DEFAULT,
        run_id: RunId::manual(NOBODY),
        only_incomplete: false,
        attributes: serde_json::Map::new(),
    };
    let id = "000000000000".parse().expect("cannot fail: it is an account's id");
    template.key(&job, Some(&id)).unwrap_or_else(|_| NOBODY.to_owned())
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
    fn the_accounts_that_are_asked_are_from_all_over_the_list() {
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
                            && key.contains("account_name=nobody/")
                    })
            })
            .then_http_response(move || answer(status, code));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
        show_writing(&ReportBucket::new(client, "reports"), &KeyTemplate::default()).await
    }

    #[tokio::test]
    async fn a_condition_that_does_not_hold_is_the_proof() {
        assert_eq!(proven_by(404, "NoSuchKey").await, Ok(()));
        assert_eq!(proven_by(412, "PreconditionFailed").await, Ok(()));
    }

    #[tokio::test]
    async fn a_refusal_is_none_and_neither_is_a_bucket_that_is_gone() {
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
        let shown = show_writing(&ReportBucket::new(client, "reports"), &KeyTemplate::default()).await;
        assert_eq!(shown.map_err(|error| error.code), Err("ConditionIgnored".into()));
    }
}
