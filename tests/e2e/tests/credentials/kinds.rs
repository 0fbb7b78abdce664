// SPDX-License-Identifier: Apache-2.0
//! Every kind of profile that the AWS CLI writes works, or says what to do instead.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use kit::{Ended, Fleet, HOME_REGION, finish};
use local_aws::Trust;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::support::{
    PROFILE, PROFILE_KEY, ROLE, account_file, assert_is_of, collect, error_of, four_accounts, inhabited,
    profile, shared_file,
};

const LOGIN: &str = "arn:aws:sts::444444444444:assumed-role/admin/me";

const CONFIG: &str = "
[profile process]
credential_process = /bin/cat PROCESS

[profile chained]
role_arn = arn:aws:iam::111111111111:role/reader
source_profile = legacy

[profile environment]
role_arn = arn:aws:iam::111111111111:role/reader
credential_source = Environment

[profile console]
login_session = arn:aws:sts::444444444444:assumed-role/admin/me

[profile console-old]
login_session = arn:aws:sts::444444444444:assumed-role/admin/before

[profile sso1]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = reader

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://example.awsapps.com/start

[profile sso-old]
sso_region = eu-west-1
sso_start_url = https://example.awsapps.com/start
sso_account_id = 111111111111
sso_role_name = reader

[profile over-sso]
role_arn = arn:aws:iam::111111111111:role/reader
source_profile = sso1

[profile web]
role_arn = arn:aws:iam::111111111111:role/reader
web_identity_token_file = /nowhere/token

[profile code]
role_arn = arn:aws:iam::111111111111:role/strict
source_profile = legacy
mfa_serial = arn:aws:iam::333333333333:mfa/me

[profile orphan]
role_arn = arn:aws:iam::111111111111:role/reader
source_profile = gone

[profile circle]
role_arn = arn:aws:iam::111111111111:role/reader
source_profile = circle2

[profile circle2]
role_arn = arn:aws:iam::111111111111:role/reader
source_profile = circle

[profile empty]
region = eu-west-1
";

/// A home folder with a profile of every kind.
async fn every_kind() -> Result<Fleet> {
    let fleet = four_accounts().await?;
    fleet.aws.account(ROLE).role("strict", Trust::external_id("of the code"));
    let answer = format!(r#"{{"Version":1,"AccessKeyId":"{PROFILE_KEY}","SecretAccessKey":"secret"}}"#);
    let answer = fleet.file("answer.json", &answer)?;
    shared_file(&fleet, "config", &CONFIG.replace("PROCESS", &answer))?;

    inhabited(&fleet.aws, "444444444444", HOME_REGION).add_access_key("ASIALOGIN", Some("login token"));
    let expires = (Utc::now() + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ");
    let login = format!(
        r#"{{"accessToken":{{"accessKeyId":"ASIALOGIN","secretAccessKey":"secret","sessionToken":"login token",
        "accountId":"444444444444","expiresAt":"{expires}"}},"tokenType":"aws_sigv4","refreshToken":"r",
        "clientId":"arn:aws:signin:::devtools/same-device","dpopKey":"none"}}"#
    );
    std::fs::create_dir_all(fleet.folder.path().join(".aws/login/cache"))?;
    let name = Sha256::digest(LOGIN).iter().fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
    fleet.file(&format!(".aws/login/cache/{name}.json"), &login)?;
    Ok(fleet)
}

#[tokio::test]
async fn every_kind_of_profile_works() -> Result<()> {
    for (name, id) in [
        ("legacy", PROFILE),
        ("process", PROFILE),
        ("chained", ROLE),
        ("environment", ROLE),
        ("console", "444444444444"),
    ] {
        let mut fleet = every_kind().await?;
        account_file(&mut fleet, &format!("profile = '{name}'"))?;
        assert_is_of(&collect(&fleet, "data").await?, id);
    }
    Ok(())
}

/// What is said of each kind that does not.
const REPORTED: [(&str, &str); 10] = [
    ("sso1", "the login of profile sso1 has expired, or there was none; run `aws sso login --profile sso1`"),
    (
        "sso-old",
        "the login of profile sso-old has expired, or there was none; run `aws sso login --profile sso-old`",
    ),
    (
        "over-sso",
        "the login of profile sso1 has expired, or there was none; run `aws sso login --profile sso1`",
    ),
    ("console-old", "run `aws login --profile console-old`"),
    ("web", "profile web: web_identity_token_file names /nowhere/token, which can't be read: No such file"),
    (
        "code",
        "profile code has an mfa_serial, whose code only a person can type; use a profile made by `aws login`",
    ),
    (
        "orphan",
        "profile gone, which profile orphan names, does not exist in ~/.aws/config and ~/.aws/credentials",
    ),
    (
        "circle",
        "profile circle: its source_profile leads in a circle (circle, circle2, circle); name one that has",
    ),
    ("empty", "profile empty has no credentials in ~/.aws/config and ~/.aws/credentials"),
    ("nope", "profile nope does not exist in ~/.aws/config and ~/.aws/credentials"),
];

#[tokio::test]
async fn a_profile_that_does_not_work_says_what_to_do_instead() -> Result<()> {
    for (name, reported) in REPORTED {
        let mut fleet = every_kind().await?;
        account_file(&mut fleet, &format!("profile = '{name}'"))?;
        let ended = collect(&fleet, "data").await?.status(1);
        assert!(error_of(&ended).contains(reported), "{name}: {}", error_of(&ended));
        assert_brief(&ended);
    }
    Ok(())
}

/// Nothing of the SDK's parts, of its build or of usual suspects.
fn assert_brief(ended: &Ended) {
    for part in ["not enabled", "feature", "Provider", "AWS_ACCESS_KEY_ID or the role", "os error 2): "] {
        assert!(!error_of(ended).contains(part), "{part}: {}", error_of(ended));
    }
}

/// The process without keys in its environment.
async fn without_keys(fleet: &Fleet, variables: &[(&str, &str)]) -> Result<Ended> {
    let mut command = fleet.producer(&["status"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.envs(variables.iter().copied()).env("PATH", "/usr/bin:/bin");
    finish(command).await
}

#[tokio::test]
async fn the_process_own_profile_says_the_same() -> Result<()> {
    for (name, reported) in REPORTED {
        let fleet = every_kind().await?;
        // A login that has expired is nothing to correct.
        let status = if reported.contains(" login --profile") { 1 } else { 2 };
        let ended = without_keys(&fleet, &[("AWS_PROFILE", name)]).await?.status(status);
        assert!(error_of(&ended).contains("AWS_PROFILE: "), "{name}: {}", error_of(&ended));
        assert!(error_of(&ended).contains(reported), "{name}: {}", error_of(&ended));
        assert_brief(&ended);
    }
    Ok(())
}

#[tokio::test]
async fn a_process_without_credentials_says_which_are_missing() -> Result<()> {
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/reader");
    for (variables, reported) in [
        (
            &[][..],
            "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile",
        ),
        (
            &[("AWS_ACCESS_KEY_ID", "AKIA")],
            "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not; set both",
        ),
        (
            &[("AWS_SECRET_ACCESS_KEY", "x")],
            "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not; set both",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "no-such-file"), role],
            "AWS_WEB_IDENTITY_TOKEN_FILE names no-such-file, which can't be read: No such file",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/etc/passwd")],
            "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not; set both",
        ),
    ] {
        let fleet = Fleet::start().await?;
        let ended = without_keys(&fleet, variables).await?.status(2);
        assert!(error_of(&ended).contains(reported), "{}", error_of(&ended));
        assert_brief(&ended);
        // What the SDK says of each of its parts is there for those who look for it.
        let debug = [variables, &[("RUST_LOG", "debug")]].concat();
        let ended = without_keys(&fleet, &debug).await?.status(2);
        assert!(ended.stderr.contains("no credentials: "), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_metadata_service_that_refuses_hides_no_missing_credentials() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let place = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    for (variables, reported) in [
        (
            &[][..],
            "no credentials were found, and the instance metadata service gives none (403): set AWS_ACCESS_KEY_ID",
        ),
        (
            &[("AWS_SECRET_ACCESS_KEY", "x")],
            "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not; set both",
        ),
    ] {
        let fleet = Fleet::start().await?;
        let service =
            [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*place)];
        let ended = without_keys(&fleet, &[variables, &service].concat()).await?.status(2);
        assert!(error_of(&ended).contains(reported), "{}", error_of(&ended));
        assert_brief(&ended);
    }
    Ok(())
}

#[tokio::test]
async fn a_credentials_file_may_be_a_folder_and_needs_no_profile() -> Result<()> {
    for (path, lines) in [("", ""), ("/credentials", ""), ("", "\nprofile = 'other'")] {
        let mut fleet = four_accounts().await?;
        let folder = fleet.folder.path().join("keys");
        std::fs::create_dir_all(&folder)?;
        let keys = profile("default", PROFILE_KEY, "secret") + &profile("other", PROFILE_KEY, "secret");
        fleet.file("keys/credentials", &keys)?;
        account_file(&mut fleet, &format!("shared_credentials_file = '{}{path}'{lines}", folder.display()))?;
        assert_is_of(&collect(&fleet, "data").await?, PROFILE);
    }
    Ok(())
}
