// SPDX-License-Identifier: Apache-2.0
//! STS over the query protocol: `AssumeRole` with trust by external id and account, and `GetCallerIdentity`.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::{SecondsFormat, TimeDelta};
use hyper::StatusCode;

use crate::gateway::Call;
use crate::identity::{Principal, partition};
use crate::reply::{Reply, ServiceError, escape, xml};
use crate::world::World;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Role chaining is limited to one hour:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const MAX_CHAINED_SECONDS: i64 = 3600;

/// Who may assume a role, and for how long.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The external id that must be given; absent: none is asked for.
    pub external_id: Option<String>,
    /// The accounts whose identities may assume the role; absent: any.
    pub accounts: Option<Vec<String>>,
    /// The longest session that may be asked for. AWS's default is an hour, and at most twelve.
    pub max_session: Duration,
    /// Makes the keys expire this long after they are given, whatever was asked and answered: for tests of expiry.
    pub expires_after: Option<Duration>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { external_id: None, accounts: None, max_session: Duration::from_hours(1), expires_after: None }
    }
}

impl Trust {
    pub fn external_id(id: &str) -> Self {
        Self { external_id: Some(id.to_owned()), ..Self::default() }
    }

    fn allows(&self, account: &str, external_id: Option<&str>) -> bool {
        self.external_id.as_deref().is_none_or(|wanted| external_id == Some(wanted))
            && self.accounts.as_ref().is_none_or(|accounts| accounts.iter().any(|trusted| trusted == account))
    }
}

/// The declared roles, by account and name.
#[derive(Default)]
pub(crate) struct Roles {
    roles: RwLock<HashMap<(String, String), Trust>>,
}

impl Roles {
    pub(crate) fn declare(&self, account: &str, name: &str, trust: Trust) {
        let key = (account.to_owned(), name.to_owned());
        self.roles.write().unwrap_or_else(PoisonError::into_inner).insert(key, trust);
    }

    fn get(&self, account: &str, name: &str) -> Option<Trust> {
        let key = (account.to_owned(), name.to_owned());
        self.roles.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

/// The `Action` of a form.
pub(crate) fn operation(body: &Bytes) -> String {
    form_urlencoded::parse(body)
        .find(|(name, _)| name == "Action")
        .map_or_else(String::new, |(_, action)| action.into_owned())
}

pub(crate) fn serve(world: &World, call: &Call, body: &Bytes) -> Result<Reply, ServiceError> {
    let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    match call.operation.as_str() {
        "GetCallerIdentity" => Ok(get_caller_identity(call)),
        "AssumeRole" => assume_role(world, call, &form),
        other => Err(ServiceError::new(
            "InvalidAction",
            format!("Could not find operation {other} for version 2011-06-15"),
        )),
    }
}

fn get_caller_identity(call: &Call) -> Reply {
    let user_id = match &call.caller.principal {
        Principal::Session { session, .. } => format!("{}:{session}", call.caller.access_key),
        Principal::Root | Principal::User(_) => call.caller.access_key.clone(),
    };
    answer(
        "GetCallerIdentity",
        &format!(
            "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
            escape(&call.arn()),
            escape(&user_id),
            call.account()
        ),
    )
}

/// What session tokens begin with.
const TOKEN: &str = "IQoJb3JpZ2luX2Vj";

/// The secret of the temporary key that a session token belongs to; `None` if it is no token of this STS.
pub(crate) fn secret(token: &str) -> Option<String> {
    token.strip_prefix(TOKEN).map(str::to_ascii_lowercase)
}

fn assume_role(world: &World, call: &Call, form: &HashMap<String, String>) -> Result<Reply, ServiceError> {
    let role_arn = required(form, "RoleArn")?;
    let session = required(form, "RoleSessionName")?;
    if session.len() < 2 || session.len() > 64 || !session.chars().all(is_session_name_character) {
        return Err(validation(format!(
            "Value '{session}' at 'roleSessionName' failed to satisfy constraint"
        )));
    }
    let denied = || {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            call.arn()
        );
        ServiceError::new("AccessDenied", message).status(StatusCode::FORBIDDEN)
    };
    let (account, role) = parse_role_arn(role_arn, &call.region).ok_or_else(denied)?;
    let external_id = form.get("ExternalId").map(String::as_str);
    let trust = world
        .roles
        .get(&account, &role)
        .filter(|trust| trust.allows(call.account(), external_id))
        .ok_or_else(denied)?;
    if world.permissions.is_region_disabled(&account, &call.region) {
        let message = format!(
            "STS is not activated in this region for account:{account}. Your account administrator can activate STS \
             in this region using the IAM Console."
        );
        return Err(ServiceError::new("RegionDisabledException", message).status(StatusCode::FORBIDDEN));
    }
    let seconds = duration(call, form, &trust)?;

    let now = world.now();
    let expires = now + TimeDelta::seconds(seconds);
    let real_expiry =
        trust.expires_after.and_then(|after| TimeDelta::from_std(after).ok()).map_or(expires, |it| now + it);
    let unique = uuid::Uuid::new_v4().simple().to_string().to_ascii_uppercase();
    let access_key = format!("ASIA{}", &unique[..16]);
    let token = format!("{TOKEN}{unique}");
    let principal = Principal::Session { role: role.clone(), session: session.to_owned() };
    world.identities.add_session_key(&access_key, &token, &account, principal, real_expiry);
    let arn = format!("arn:{}:sts::{account}:assumed-role/{role}/{session}", partition(&call.region));
    Ok(answer(
        "AssumeRole",
        &format!(
            "<AssumedRoleUser><AssumedRoleId>AROA{}:{session}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{}</Expiration></Credentials>",
            &unique[16..],
            secret(&token).unwrap_or_default(),
            real_expiry.to_rfc3339_opts(SecondsFormat::Secs, true),
        ),
    ))
}

/// The seconds that a session lasts: 900 to the role's limit, an hour where nothing is asked.
fn duration(call: &Call, form: &HashMap<String, String>, trust: &Trust) -> Result<i64, ServiceError> {
    let limit = i64::try_from(trust.max_session.as_secs()).unwrap_or(i64::MAX);
    let Some(asked) = form.get("DurationSeconds") else {
        return Ok(3600);
    };
    let seconds = asked.parse().ok().filter(|seconds| (900..=43_200).contains(seconds));
    let Some(seconds) = seconds else {
        return Err(validation(format!("Value '{asked}' at 'durationSeconds' failed to satisfy constraint")));
    };
    let chained = matches!(call.caller.principal, Principal::Session { .. });
    if chained && seconds > MAX_CHAINED_SECONDS {
        return Err(validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    if seconds > limit {
        return Err(validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

/// Account and name of `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, which must be of the region's partition.
fn parse_role_arn(arn: &str, region: &str) -> Option<(String, String)> {
    let rest = arn.strip_prefix("arn:")?.strip_prefix(partition(region))?.strip_prefix(":iam::")?;
    let (account, path) = rest.split_once(":role/")?;
    Some((account.to_owned(), path.rsplit('/').next()?.to_owned()))
}

fn is_session_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)
}

fn required<'a>(form: &'a HashMap<String, String>, name: &str) -> Result<&'a str, ServiceError> {
    form.get(name).map(String::as_str).ok_or_else(|| validation(format!("{name} must not be null")))
}

fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationError", message)
}

fn answer(operation: &str, result: &str) -> Reply {
    xml(format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        uuid::Uuid::now_v7()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_must_be_of_the_partition_asked() {
        let parsed = parse_role_arn("arn:aws:iam::111111111111:role/team/reader", "eu-west-1");
        assert_eq!(parsed, Some(("111111111111".to_owned(), "reader".to_owned())));
        assert_eq!(parse_role_arn("arn:aws:iam::111111111111:role/reader", "cn-north-1"), None);
        assert!(parse_role_arn("arn:aws-cn:iam::111111111111:role/reader", "cn-north-1").is_some());
        assert_eq!(parse_role_arn("arn:aws:iam::111111111111:user/reader", "eu-west-1"), None);
    }

    #[test]
    fn trust_asks_for_its_external_id_and_its_accounts() {
        let trust = Trust { accounts: Some(vec!["1".to_owned()]), ..Trust::external_id("x") };
        assert!(trust.allows("1", Some("x")));
        assert!(!trust.allows("1", Some("y")));
        assert!(!trust.allows("1", None));
        assert!(!trust.allows("2", Some("x")));
        assert!(Trust::default().allows("2", None));
    }
}
