//! How the worker becomes an account: each kind of credentials is shown by an account that only it
//! leads to, and by who signed which call.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use e2e::{Ended, Fleet, HOME, HOME_REGION, days_ago, expected::cells, finish};
use local_aws::{Account, Fault, LocalAws, Options, Service, Trust};
use tokio::process::Command;

/// The account that a role is in.
const ROLE: &str = "111111111111";
/// The account of the access keys in variables.
const KEYS: &str = "222222222222";
/// The account of the profile.
const PROFILE: &str = "333333333333";

/// The access key in variables, and the one of the profile.
const VARIABLES_KEY: &str = "AKIAVARIABLES";
const PROFILE_KEY: &str = "AKIAPROFILE";

fn day() -> String {
    days_ago(4).to_string()
}

/// An account with one bucket that no other account has.
fn inhabited(aws: &LocalAws, id: &str, region: &str) -> Account {
    let account = aws.account(id);
    account.bucket(&format!("bucket-of-{id}"), region).size("StandardStorage", days_ago(4), 7.0);
    account
}

/// A fleet whose role, access keys, profile and own chain each lead to an account of its own.
async fn four_accounts() -> Result<Fleet> {
    let fleet = Fleet::start().await?;
    inhabited(&fleet.aws, ROLE, HOME_REGION).role("reader", Trust::default());
    inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key(VARIABLES_KEY, None);
    inhabited(&fleet.aws, PROFILE, HOME_REGION).add_access_key(PROFILE_KEY, None);
    inhabited(&fleet.aws, HOME, HOME_REGION);
    shared_file(&fleet, "credentials", &profile("legacy", PROFILE_KEY, "secret"))?;
    Ok(fleet)
}

/// Gives the processes access keys in variables that begin so.
fn keys(fleet: &mut Fleet, stem: &str, id: &str, secret: &str) {
    fleet.variable(&format!("{stem}_account_access_key"), id);
    fleet.variable(&format!("{stem}_secret_access_key"), secret);
}

/// Gives the processes an accounts file of one account, `data`, and whatever else is said of it.
fn account_file(fleet: &mut Fleet, lines: &str) -> Result<()> {
    accounts_file(fleet, &format!("[[account]]\nname = 'data'\n{lines}\n"))
}

fn accounts_file(fleet: &mut Fleet, text: &str) -> Result<()> {
    let path = fleet.file("accounts.toml", text)?;
    fleet.variable("FLEET_ACCOUNTS", &path);
    Ok(())
}

/// A file in `~/.aws`.
fn shared_file(fleet: &Fleet, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(fleet.folder.path().join(".aws"))?;
    fleet.file(&format!(".aws/{name}"), text)?;
    Ok(())
}

fn profile(name: &str, key: &str, secret: &str) -> String {
    format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
}

fn collecting(fleet: &Fleet, account: &str) -> Command {
    fleet.worker(&["collect", "--account-name", account, "--date", &day()])
}

async fn collect(fleet: &Fleet, account: &str) -> Result<Ended> {
    finish(collecting(fleet, account)).await
}

/// The one bucket of the account of that id, and nothing else.
fn assert_is_of(ended: &Ended, id: &str) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = cells(&ended.stdout);
    let told: Vec<_> = rows
        .iter()
        .map(|row| [&*row["bucket_name"], &*row["account_id"], &*row["size_total"], &*row["status"]])
        .collect();
    assert_eq!(told, [[&*format!("bucket-of-{id}"), id, "7", "ok"]], "{}", ended.stderr);
}

/// Each operation that an access key signed, whatever came of it.
fn signed_by(aws: &LocalAws, access_key: &str) -> BTreeSet<String> {
    let calls = aws.calls().records().into_iter();
    calls.filter(|call| call.access_key == access_key).map(|call| call.operation).collect()
}

/// Who signed a call of that operation, in which region.
fn signers(aws: &LocalAws, operation: &str) -> BTreeSet<(String, String)> {
    let calls = aws.calls().operation(operation).records().into_iter();
    calls.map(|call| (call.access_key, call.region)).collect()
}

/// The account was not even looked at: neither its buckets nor anything that is paid for.
fn assert_nothing_collected(aws: &LocalAws) {
    assert_eq!(aws.calls().service(Service::CloudWatch).count(), 0);
    assert_eq!(aws.calls().operation("ListBuckets").ok().count(), 0);
}

/// All that a report of one bucket takes, by whoever is in the account.
fn report_calls() -> BTreeSet<String> {
    ["GetCallerIdentity", "ListBuckets", "ListMetrics", "GetMetricData"].map(str::to_owned).into()
}

fn set<const N: usize>(operations: [&str; N]) -> BTreeSet<String> {
    operations.map(str::to_owned).into()
}

// Access keys.

#[tokio::test]
async fn access_keys_are_those_of_the_accounts_own_variables() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    for (name, stem, id, key) in [
        ("data", "data", "111111111111", "AKIADATA"),
        ("opra-dev", "opra_dev", "222222222222", "AKIADASH"),
        ("opra_live", "opra_live", "333333333333", "AKIAUNDERSCORE"),
    ] {
        inhabited(&fleet.aws, id, HOME_REGION).add_access_key(key, None);
        keys(&mut fleet, stem, key, "secret");
        assert_is_of(&collect(&fleet, name).await?, id);
        assert_eq!(signed_by(&fleet.aws, key), report_calls(), "{name}");
    }
    assert_eq!(signed_by(&fleet.aws, HOME), set([]));
    Ok(())
}

#[tokio::test]
async fn a_session_token_goes_with_its_access_keys() -> Result<()> {
    for (name, stem) in [("data", "data"), ("opra-dev", "opra_dev")] {
        let mut fleet = Fleet::start().await?;
        inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key("ASIATEMPORARY", Some("the token"));
        keys(&mut fleet, stem, "ASIATEMPORARY", "secret");

        let without = collect(&fleet, name).await?.status(1);
        assert!(without.stderr.contains("could not be collected"), "{}", without.stderr);
        assert!(without.stderr.contains(name), "{}", without.stderr);
        assert!(
            without.stderr.contains("InvalidClientTokenId") || without.stderr.contains("InvalidToken"),
            "{}",
            without.stderr
        );
        assert!(without.stdout.is_empty(), "{}", without.stdout);
        assert!(fleet.aws.calls().failed().count() > 0);
        assert_nothing_collected(&fleet.aws);

        fleet.variable(&format!("{stem}_session_token"), "another token");
        let _ = collect(&fleet, name).await?.status(1);
        fleet.variable(&format!("{stem}_session_token"), "the token");
        assert_is_of(&collect(&fleet, name).await?, KEYS);
        assert_eq!(signed_by(&fleet.aws, HOME), set([]));
    }
    Ok(())
}

#[tokio::test]
async fn half_a_pair_of_access_keys_is_told_by_the_variable_that_is_missing() -> Result<()> {
    let names = ["data_account_access_key", "data_secret_access_key"];
    for (given, missing) in [(names[0], names[1]), (names[1], names[0])] {
        // Whatever else could have served: half a pair is a mistake, not a choice.
        for also in ["", "profile = 'legacy'", "role_arn = 'arn:aws:iam::111111111111:role/reader'"] {
            let mut fleet = four_accounts().await?;
            fleet.variable(given, KEYS);
            // An empty variable is one that is not set.
            fleet.variable(missing, "");
            account_file(&mut fleet, also)?;
            let ended = collect(&fleet, "data").await?.status(2);
            assert!(ended.stderr.contains(&format!("{missing} is not set")), "{}", ended.stderr);
            assert_eq!(fleet.aws.calls().count(), 0);
        }
    }
    Ok(())
}

// Which of several.

#[tokio::test]
async fn of_several_kinds_the_role_comes_first_then_the_keys_then_the_profile() -> Result<()> {
    let role = "role_arn = 'arn:aws:iam::111111111111:role/reader'\n";
    let legacy = "profile = 'legacy'\n";
    for (file, with_keys, id, told) in [
        (format!("{role}{legacy}"), true, ROLE, "role arn:aws:iam::111111111111:role/reader by access keys"),
        (
            format!("{role}{legacy}"),
            false,
            ROLE,
            "role arn:aws:iam::111111111111:role/reader by profile legacy",
        ),
        (legacy.to_owned(), true, KEYS, "access keys"),
        (legacy.to_owned(), false, PROFILE, "profile legacy"),
    ] {
        let mut fleet = four_accounts().await?;
        account_file(&mut fleet, &file)?;
        if with_keys {
            keys(&mut fleet, "data", VARIABLES_KEY, "secret");
        }
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, id);
        assert!(ended.stderr.contains(&format!(r#""credentials":"{told}""#)), "{}", ended.stderr);
        assert_eq!(signed_by(&fleet.aws, HOME), set([]), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn the_accounts_file_chooses_where_several_kinds_could_be_meant() -> Result<()> {
    for (kind, id) in [("role", ROLE), ("keys", KEYS), ("profile", PROFILE), ("default", HOME)] {
        let mut fleet = four_accounts().await?;
        keys(&mut fleet, "data", VARIABLES_KEY, "secret");
        let all = "role_arn = 'arn:aws:iam::111111111111:role/reader'\nprofile = 'legacy'";
        account_file(&mut fleet, &format!("{all}\ncredentials = '{kind}'"))?;
        let ended = collect(&fleet, "data").await?;
        if kind == "default" {
            // The fleet's own account has its report bucket, too.
            let rows = cells(&ended.status(0).stdout);
            assert!(rows.iter().any(|row| row["bucket_name"] == format!("bucket-of-{HOME}")));
            assert!(rows.iter().all(|row| row["account_id"] == HOME));
            assert_eq!(signed_by(&fleet.aws, HOME), report_calls());
        } else {
            assert_is_of(&ended, id);
            assert_eq!(signed_by(&fleet.aws, HOME), set([]), "{kind}");
        }
        let others = [(VARIABLES_KEY, "keys"), (PROFILE_KEY, "profile")];
        for (key, _) in others.iter().filter(|(_, of)| *of != kind) {
            let assumes = kind == "role" && *key == VARIABLES_KEY;
            let expected = if assumes { set(["AssumeRole"]) } else { set([]) };
            assert_eq!(signed_by(&fleet.aws, key), expected, "{kind}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_kind_that_is_chosen_and_not_there_is_not_replaced_by_another() -> Result<()> {
    let mut fleet = four_accounts().await?;
    account_file(&mut fleet, "credentials = 'keys'\nprofile = 'legacy'")?;
    let ended = collect(&fleet, "data").await?.status(2);
    assert!(ended.stderr.contains("account data has no credentials"), "{}", ended.stderr);
    assert!(ended.stderr.contains("data_account_access_key"), "{}", ended.stderr);
    assert_eq!(fleet.aws.calls().count(), 0);
    for (kind, told) in [
        ("role", r#"credentials = "role" needs role_arn, or id with role_name"#),
        ("profile", r#"credentials = "profile" needs profile"#),
    ] {
        account_file(&mut fleet, &format!("credentials = '{kind}'"))?;
        let ended = collect(&fleet, "data").await?.status(2);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}

// Roles.

/// The lines of a role in account 111111111111, and who assumes it: the access key and the account.
fn bases() -> [(&'static str, &'static str, &'static str); 3] {
    [("keys", VARIABLES_KEY, KEYS), ("profile", PROFILE_KEY, PROFILE), ("default chain", HOME, HOME)]
}

/// A fleet with a role that trusts one account alone, given an external id, and the account's base
/// credentials; the file says nothing of the external id yet.
async fn with_role(base: &str, trusted: &str) -> Result<(Fleet, String)> {
    let mut fleet = four_accounts().await?;
    let trust = Trust { accounts: Some(vec![trusted.to_owned()]), ..Trust::external_id("e-4711") };
    let arn = fleet.aws.account(ROLE).role("reader", trust);
    let mut lines = format!("role_arn = '{arn}'");
    match base {
        "keys" => keys(&mut fleet, "data", VARIABLES_KEY, "secret"),
        "profile" => lines.push_str("\nprofile = 'legacy'"),
        _ => {}
    }
    Ok((fleet, lines))
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id_by_keys_a_profile_or_the_default_chain() -> Result<()> {
    for (base, access_key, trusted) in bases() {
        let (mut fleet, lines) = with_role(base, trusted).await?;
        account_file(&mut fleet, &format!("{lines}\nexternal_id = 'e-4711'"))?;
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, ROLE);
        let arn = "arn:aws:sts::111111111111:assumed-role/reader/cloudwatch-fleet";
        assert!(ended.stderr.contains(arn), "{}", ended.stderr);

        let assumed = (access_key.to_owned(), HOME_REGION.to_owned());
        assert_eq!(signers(&fleet.aws, "AssumeRole"), [assumed].into(), "{base}");
        assert_eq!(signed_by(&fleet.aws, access_key), set(["AssumeRole"]), "{base}");
        // All the rest is the session's, and the session is one for the whole report.
        let session = fleet.aws.calls().account(ROLE).records();
        assert!(session.iter().all(|call| call.access_key.starts_with("ASIA")), "{session:?}");
        assert_eq!(fleet.aws.calls().operation("AssumeRole").count(), 1, "{base}");
    }
    Ok(())
}

#[tokio::test]
async fn a_role_is_not_assumed_with_a_wrong_external_id_or_none() -> Result<()> {
    for (base, access_key, trusted) in bases() {
        for external_id in ["", "external_id = 'e-4712'"] {
            let (mut fleet, lines) = with_role(base, trusted).await?;
            account_file(&mut fleet, &format!("{lines}\n{external_id}"))?;
            let ended = collect(&fleet, "data").await?.status(1);
            for told in ["sts:AssumeRole", "AccessDenied", "arn:aws:iam::111111111111:role/reader"] {
                assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
            }
            assert!(ended.stdout.is_empty(), "{}", ended.stdout);
            assert!(fleet.aws.calls().operation("AssumeRole").outcome("AccessDenied").count() > 0);
            assert_eq!(signed_by(&fleet.aws, access_key), set(["AssumeRole"]), "{base}");
            assert_nothing_collected(&fleet.aws);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_role_of_the_defaults_is_that_of_each_accounts_id() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let trust = Trust::external_id("e-of-all");
    fleet.aws.account(ROLE).role("cloudwatch-fleet-reader", trust.clone());
    fleet.aws.account(KEYS).role("cloudwatch-fleet-reader", trust);
    fleet.aws.account(PROFILE).role("another", Trust::external_id("e-of-one"));
    accounts_file(
        &mut fleet,
        "[defaults]
        role_name = 'cloudwatch-fleet-reader'
        external_id = 'e-of-all'
        [[account]]
        name = 'one'
        id = '111111111111'
        [[account]]
        name = 'two'
        id = '222222222222'
        [[account]]
        name = 'three'
        id = '333333333333'
        role_name = 'another'
        external_id = 'e-of-one'",
    )?;
    for (name, id) in [("one", ROLE), ("two", KEYS), ("three", PROFILE)] {
        assert_is_of(&collect(&fleet, name).await?, id);
    }
    assert_eq!(signed_by(&fleet.aws, HOME), set(["AssumeRole"]));
    Ok(())
}

#[tokio::test]
async fn a_role_is_assumed_for_as_long_as_the_accounts_file_says() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let trust = |max_session| Trust { max_session, ..Trust::default() };
    // An hour is asked where nothing is said.
    for (longest, said, code) in [
        (900, "", 1),
        (900, "duration_seconds = 900", 0),
        (3600, "", 0),
        (3600, "duration_seconds = 7200", 1),
        (7200, "duration_seconds = 7200", 0),
    ] {
        let arn = fleet.aws.account(ROLE).role("reader", trust(Duration::from_secs(longest)));
        account_file(&mut fleet, &format!("role_arn = '{arn}'\n{said}"))?;
        let ended = collect(&fleet, "data").await?.status(code);
        if code == 1 {
            assert!(ended.stderr.contains("sts:AssumeRole"), "{}", ended.stderr);
            assert!(ended.stderr.contains("MaxSessionDuration"), "{}", ended.stderr);
        }
    }
    Ok(())
}

// Regions and partitions.

#[tokio::test]
async fn an_account_is_asked_in_its_own_region() -> Result<()> {
    for base in ["keys", "default chain"] {
        let mut fleet = Fleet::start().await?;
        // A bucket elsewhere: that its own metrics are asked there is no matter of the account's region.
        let account = inhabited(&fleet.aws, ROLE, "us-west-2");
        let lines = if base == "keys" {
            account.add_access_key(VARIABLES_KEY, None);
            keys(&mut fleet, "data", VARIABLES_KEY, "secret");
            String::new()
        } else {
            format!("role_arn = '{}'", account.role("reader", Trust::default()))
        };
        account_file(&mut fleet, &format!("region = 'eu-central-1'\n{lines}"))?;
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, ROLE);
        assert_eq!(cells(&ended.stdout)[0]["region"], "us-west-2");
        for operation in ["GetCallerIdentity", "ListBuckets", "AssumeRole"] {
            let calls = fleet.aws.calls().operation(operation);
            let expected = u64::from(base != "keys" || operation != "AssumeRole");
            assert_eq!(calls.count(), expected, "{operation} by {base}");
            assert_eq!(calls.region("eu-central-1").count(), expected, "{operation} by {base}");
        }
        assert_eq!(fleet.aws.calls().region(HOME_REGION).count(), 0);
        let metrics = fleet.aws.calls().service(Service::CloudWatch);
        assert!(metrics.count() > 0);
        assert_eq!(metrics.clone().region("us-west-2").count(), metrics.count());
    }
    Ok(())
}

#[tokio::test]
async fn an_account_of_another_partition_is_asked_in_that_partition() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let china = inhabited(&fleet.aws, ROLE, "cn-northwest-1");
    china.role("reader", Trust::external_id("e-cn"));
    let arn = china.role_arn("reader", "cn-north-1");
    assert_eq!(arn, "arn:aws-cn:iam::111111111111:role/reader");
    account_file(&mut fleet, &format!("region = 'cn-north-1'\nrole_arn = '{arn}'\nexternal_id = 'e-cn'"))?;
    let ended = collect(&fleet, "data").await?;
    assert_is_of(&ended, ROLE);
    assert_eq!(cells(&ended.stdout)[0]["region"], "cn-northwest-1");
    let assumed = "arn:aws-cn:sts::111111111111:assumed-role/reader/cloudwatch-fleet";
    assert!(ended.stderr.contains(assumed), "{}", ended.stderr);
    let regions: BTreeSet<_> = fleet.aws.calls().records().into_iter().map(|call| call.region).collect();
    assert_eq!(regions, set(["cn-north-1", "cn-northwest-1"]));
    Ok(())
}

#[tokio::test]
async fn a_role_by_its_name_is_of_the_workers_own_partition() -> Result<()> {
    for (region, arn) in [
        ("us-gov-west-1", "arn:aws-us-gov:sts::111111111111:assumed-role/reader/cloudwatch-fleet"),
        ("cn-north-1", "arn:aws-cn:sts::111111111111:assumed-role/reader/cloudwatch-fleet"),
        ("eu-west-1", "arn:aws:sts::111111111111:assumed-role/reader/cloudwatch-fleet"),
    ] {
        let mut fleet = Fleet::start().await?;
        inhabited(&fleet.aws, ROLE, region).role("reader", Trust::default());
        account_file(&mut fleet, "id = '111111111111'\nrole_name = 'reader'")?;
        fleet.variable("AWS_REGION", region);
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, ROLE);
        assert!(ended.stderr.contains(arn), "{}", ended.stderr);
        // The AWS on loopback takes a role's ARN only in a region of its partition.
        assert_eq!(signers(&fleet.aws, "AssumeRole"), [(HOME.to_owned(), region.to_owned())].into());
    }
    Ok(())
}

// Profiles.

#[tokio::test]
async fn a_profile_is_read_from_the_file_that_is_given_and_no_other() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let other = inhabited(&fleet.aws, "444444444444", HOME_REGION);
    other.add_access_key("AKIAOTHERFILE", None);
    account_file(&mut fleet, "credentials = 'profile'\nprofile = 'legacy'")?;
    assert_is_of(&collect(&fleet, "data").await?, PROFILE);

    // The same name, in a file of its own.
    let path = fleet.file("other-credentials", &profile("legacy", "AKIAOTHERFILE", "secret"))?;
    account_file(&mut fleet, &format!("profile = 'legacy'\nshared_credentials_file = '{path}'"))?;
    fleet.aws.reset_calls();
    assert_is_of(&collect(&fleet, "data").await?, "444444444444");
    assert_eq!(signed_by(&fleet.aws, "AKIAOTHERFILE"), report_calls());
    assert_eq!(signed_by(&fleet.aws, PROFILE_KEY), set([]));

    // A profile that only ~/.aws/credentials has is not in that file.
    let path = fleet.file("third-credentials", &profile("somebody", "AKIAOTHERFILE", "secret"))?;
    account_file(&mut fleet, &format!("profile = 'legacy'\nshared_credentials_file = '{path}'"))?;
    let ended = collect(&fleet, "data").await?.status(1);
    assert!(ended.stderr.contains("profile `legacy`"), "{}", ended.stderr);
    assert_eq!(signed_by(&fleet.aws, PROFILE_KEY), set([]));
    assert_eq!(signed_by(&fleet.aws, HOME), set([]));
    Ok(())
}

#[tokio::test]
async fn a_profile_may_have_a_session_token_or_a_role_of_its_own() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let temporary = inhabited(&fleet.aws, "444444444444", HOME_REGION);
    temporary.add_access_key("ASIATEMPORARY", Some("profile token"));
    let text = format!(
        "{}{}aws_session_token = profile token\n",
        profile("legacy", PROFILE_KEY, "secret"),
        profile("temporary", "ASIATEMPORARY", "secret")
    );
    shared_file(&fleet, "credentials", &text)?;
    account_file(&mut fleet, "profile = 'temporary'")?;
    assert_is_of(&collect(&fleet, "data").await?, "444444444444");

    let trust = Trust { accounts: Some(vec![PROFILE.to_owned()]), ..Trust::external_id("e-1") };
    let arn = fleet.aws.account(ROLE).role("of-the-profile", trust);
    let config = format!("[profile chained]\nrole_arn = {arn}\nsource_profile = legacy\nexternal_id = e-1\n");
    shared_file(&fleet, "config", &config)?;
    account_file(&mut fleet, "profile = 'chained'\nregion = 'eu-central-1'")?;
    fleet.aws.reset_calls();
    assert_is_of(&collect(&fleet, "data").await?, ROLE);
    let assumed = (PROFILE_KEY.to_owned(), "eu-central-1".to_owned());
    assert_eq!(signers(&fleet.aws, "AssumeRole"), [assumed].into());
    assert_eq!(signed_by(&fleet.aws, HOME), set([]));
    Ok(())
}

#[tokio::test]
async fn a_profile_or_its_file_that_is_not_there_is_named() -> Result<()> {
    for (lines, told) in [
        ("profile = 'lagacy'".to_owned(), "lagacy"),
        ("profile = 'empty'".to_owned(), "empty"),
        (
            "profile = 'legacy'\nshared_credentials_file = '/nowhere/credentials'".to_owned(),
            "/nowhere/credentials",
        ),
    ] {
        // Alone, and as who assumes a role.
        for role in ["", "role_arn = 'arn:aws:iam::111111111111:role/reader'"] {
            let mut fleet = four_accounts().await?;
            shared_file(&fleet, "config", "[profile empty]\nregion = eu-west-1\n")?;
            account_file(&mut fleet, &format!("{lines}\n{role}"))?;
            let ended = collect(&fleet, "data").await?.status(1);
            let error = error_of(&ended);
            assert!(error.contains("account data could not be collected"), "{error}");
            assert!(error.contains(told), "{error}");
            assert_eq!(fleet.aws.calls().count(), 0, "nobody else is asked instead");
        }
    }
    Ok(())
}

/// The line that tells why the command failed.
fn error_of(ended: &Ended) -> &str {
    // A failure is a log line; what is wrong with the configuration is told plainly.
    let is_error = |line: &&str| line.contains(r#""level":"ERROR""#) || line.starts_with("error: ");
    ended.stderr.lines().rfind(is_error).unwrap_or_default()
}

// Endpoints.

#[tokio::test]
async fn an_account_with_an_endpoint_is_asked_there_and_nowhere_else() -> Result<()> {
    for base in ["keys", "profile", "role"] {
        // The processes' own AWS knows the account just as well.
        let mut fleet = four_accounts().await?;
        let there = LocalAws::start(Options::default()).await?;
        inhabited(&there, ROLE, HOME_REGION).role("reader", Trust::default());
        let account = inhabited(&there, "555555555555", HOME_REGION);
        account.add_access_key(VARIABLES_KEY, None);
        account.add_access_key(PROFILE_KEY, None);
        let (lines, id) = match base {
            "keys" => {
                keys(&mut fleet, "data", VARIABLES_KEY, "secret");
                (String::new(), "555555555555")
            }
            "profile" => ("profile = 'legacy'".to_owned(), "555555555555"),
            _ => ("role_arn = 'arn:aws:iam::111111111111:role/reader'".to_owned(), ROLE),
        };
        account_file(&mut fleet, &format!("endpoint = '{}'\n{lines}", there.endpoint()))?;
        // An account's own endpoint beats AWS's variables, those of one service too.
        for own in ["", "_S3", "_STS", "_CLOUDWATCH"] {
            let here = fleet.aws.endpoint();
            fleet.variable(&format!("AWS_ENDPOINT_URL{own}"), &here);
            assert_is_of(&collect(&fleet, "data").await?, id);
        }
        assert_eq!(fleet.aws.calls().count(), 0, "{base}");
        assert_eq!(there.calls().operation("GetMetricData").account(id).count(), 4, "{base}");
    }
    Ok(())
}

#[tokio::test]
async fn aws_own_variable_for_one_service_works_as_everywhere() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let there = LocalAws::start(Options::default()).await?;
    inhabited(&there, KEYS, HOME_REGION);
    keys(&mut fleet, "data", KEYS, "secret");
    for service in ["S3", "CLOUDWATCH"] {
        fleet.variable(&format!("AWS_ENDPOINT_URL_{service}"), &there.endpoint());
    }
    assert_is_of(&collect(&fleet, "data").await?, KEYS);
    assert_eq!(signed_by(&fleet.aws, KEYS), set(["GetCallerIdentity"]));
    assert_eq!(signed_by(&there, KEYS), set(["ListBuckets", "ListMetrics", "GetMetricData"]));
    Ok(())
}

// The wrong account, and none.

#[tokio::test]
async fn credentials_of_another_account_than_the_one_meant_are_refused() -> Result<()> {
    for (lines, with_keys) in [("", true), ("profile = 'legacy'", false), ("credentials = 'default'", false)]
    {
        let mut fleet = four_accounts().await?;
        if with_keys {
            keys(&mut fleet, "data", VARIABLES_KEY, "secret");
        }
        let is = if with_keys {
            KEYS
        } else if lines.contains("profile") {
            PROFILE
        } else {
            HOME
        };
        account_file(&mut fleet, &format!("id = '123412341234'\n{lines}"))?;
        let ended = collect(&fleet, "data").await?.status(1);
        let error = error_of(&ended);
        assert!(error.contains(&format!("are of account {is}")), "{error}");
        assert!(error.contains("account 123412341234 is meant"), "{error}");
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
        assert_eq!(fleet.aws.calls().operation("GetCallerIdentity").ok().count(), 1);
        assert_eq!(fleet.aws.calls().service(Service::CloudWatch).count(), 0);

        account_file(&mut fleet, &format!("id = '{is}'\n{lines}"))?;
        let _ = collect(&fleet, "data").await?.status(0);
    }
    Ok(())
}

#[tokio::test]
async fn an_account_without_credentials_is_never_the_workers_own() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let told = |ended: &Ended, stem: &str| {
        let error = error_of(ended);
        assert!(error.contains("has no credentials"), "{error}");
        assert!(error.contains(&format!("{stem}_account_access_key")), "{error}");
        assert!(error.contains(&format!("{stem}_secret_access_key")), "{error}");
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    };
    // Without an accounts file, with one that knows nothing more, and with one that knows the id alone;
    // somebody else's variables, and a default profile, are no help either.
    keys(&mut fleet, "other", VARIABLES_KEY, "secret");
    keys(&mut fleet, "opra-dev", VARIABLES_KEY, "secret");
    shared_file(&fleet, "credentials", &profile("default", PROFILE_KEY, "secret"))?;
    told(&collect(&fleet, "data").await?.status(2), "data");
    told(&collect(&fleet, "opra-dev").await?.status(2), "opra_dev");
    account_file(&mut fleet, "")?;
    told(&collect(&fleet, "data").await?.status(2), "data");
    account_file(&mut fleet, "id = '999999999999'")?;
    told(&collect(&fleet, "data").await?.status(2), "data");
    assert_eq!(fleet.aws.calls().count(), 0);
    // The same chain serves where it is said in so many words.
    account_file(&mut fleet, "credentials = 'default'\nid = '999999999999'")?;
    let _ = collect(&fleet, "data").await?.status(0);
    assert_eq!(signed_by(&fleet.aws, HOME), report_calls());
    Ok(())
}

#[tokio::test]
async fn a_default_chain_that_gives_nothing_is_told() -> Result<()> {
    for lines in ["credentials = 'default'", "role_arn = 'arn:aws:iam::111111111111:role/reader'"] {
        let mut fleet = four_accounts().await?;
        account_file(&mut fleet, lines)?;
        let mut worker = collecting(&fleet, "data");
        worker.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let ended = finish(worker).await?.status(1);
        let error = error_of(&ended);
        assert!(error.contains("NoCredentials"), "{error}");
        assert_eq!(fleet.aws.calls().count(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn an_access_key_that_aws_does_not_know_is_told() -> Result<()> {
    for lines in ["", "profile = 'legacy'", "role_arn = 'arn:aws:iam::111111111111:role/reader'"] {
        let mut fleet = Fleet::start().await?;
        shared_file(&fleet, "credentials", &profile("legacy", "AKIANOBODY", "secret"))?;
        if !lines.contains("profile") {
            keys(&mut fleet, "data", "AKIANOBODY", "secret");
        }
        account_file(&mut fleet, lines)?;
        let ended = collect(&fleet, "data").await?.status(1);
        let error = error_of(&ended);
        assert!(error.contains("account data could not be collected"), "{error}");
        assert!(error.contains("InvalidClientTokenId") || error.contains("InvalidAccessKeyId"), "{error}");
        assert!(fleet.aws.calls().failed().count() > 0);
        assert_nothing_collected(&fleet.aws);
        assert_eq!(signed_by(&fleet.aws, HOME), set([]));
    }
    Ok(())
}

#[tokio::test]
async fn a_session_token_past_its_time_is_told() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key("ASIATEMPORARY", Some("the token"));
    keys(&mut fleet, "data", "ASIATEMPORARY", "secret");
    fleet.variable("data_session_token", "the token");
    let fault = fleet.aws.fault(Fault::expired_token().access_key("ASIATEMPORARY"));
    let ended = collect(&fleet, "data").await?.status(1);
    let error = error_of(&ended);
    assert!(error.contains("ExpiredToken"), "{error}");
    assert!(error.contains("expired"), "{error}");
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    assert!(fault.fired() > 0);
    assert_nothing_collected(&fleet.aws);
    Ok(())
}

// The accounts file.

#[tokio::test]
async fn names_that_collide_in_their_variables_are_refused_at_start() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    inhabited(&fleet.aws, KEYS, HOME_REGION);
    keys(&mut fleet, "opra_dev", KEYS, "secret");
    accounts_file(&mut fleet, "[[account]]\nname = 'opra-dev'\n[[account]]\nname = 'opra_dev'\n")?;
    for arguments in [
        &["collect", "--account-name", "opra-dev", "--date", &day()][..],
        &["check"],
        &["run", "--exit-when-empty"],
    ] {
        let ended = finish(fleet.worker(arguments)).await?.status(2);
        for told in ["opra-dev", "opra_dev", "opra_dev_account_access_key", "rename one"] {
            assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
        }
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}

#[tokio::test]
async fn two_names_with_one_id_are_warned_of_and_collected() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    inhabited(&fleet.aws, KEYS, HOME_REGION);
    keys(&mut fleet, "old", KEYS, "secret");
    keys(&mut fleet, "new", KEYS, "secret");
    let account = |name| format!("[[account]]\nname = '{name}'\nid = '{KEYS}'\n");
    accounts_file(&mut fleet, &format!("{}{}", account("old"), account("new")))?;
    for name in ["old", "new"] {
        let ended = collect(&fleet, name).await?;
        assert_is_of(&ended, KEYS);
        assert!(
            ended.stderr.contains(&format!("accounts old and new have one id, {KEYS}")),
            "{}",
            ended.stderr
        );
    }
    accounts_file(&mut fleet, &account("old"))?;
    assert!(!collect(&fleet, "old").await?.stderr.contains("have one id"));
    Ok(())
}

// Secrets.

/// A fleet whose every secret is a canary, and those canaries.
async fn canaries(lines: &str) -> Result<(Fleet, [&'static str; 7])> {
    let mut fleet = Fleet::start().await?;
    let aws = &fleet.aws;
    inhabited(aws, ROLE, HOME_REGION).role("reader", Trust::default());
    inhabited(aws, KEYS, HOME_REGION).add_access_key("ASIAVARIABLES", Some("canary-variables-token"));
    inhabited(aws, PROFILE, HOME_REGION).add_access_key("ASIAPROFILE", Some("canary-profile-token"));
    inhabited(aws, HOME, HOME_REGION).add_access_key("ASIAOWN", Some("canary-own-token"));
    let legacy = profile("legacy", "ASIAPROFILE", "canary-profile-secret");
    shared_file(&fleet, "credentials", &format!("{legacy}aws_session_token = canary-profile-token\n"))?;
    let arn = "arn:aws:iam::111111111111:role/reader";
    shared_file(
        &fleet,
        "config",
        &format!("[profile chained]\nrole_arn = {arn}\nsource_profile = legacy\n"),
    )?;
    if lines.contains("keys") {
        keys(&mut fleet, "data", "ASIAVARIABLES", "canary-variables-secret");
        fleet.variable("data_session_token", "canary-variables-token");
    }
    fleet.variable("AWS_ACCESS_KEY_ID", "ASIAOWN");
    fleet.variable("AWS_SECRET_ACCESS_KEY", "canary-own-secret");
    fleet.variable("AWS_SESSION_TOKEN", "canary-own-token");
    fleet.variable("RUST_LOG", "trace");
    account_file(&mut fleet, lines)?;
    let canaries = [
        "canary-variables-secret",
        "canary-variables-token",
        "canary-profile-secret",
        "canary-profile-token",
        "canary-own-secret",
        "canary-own-token",
        // What AssumeRole gives begins so.
        "IQoJb3JpZ2luX2Vj",
    ];
    Ok((fleet, canaries))
}

fn assert_silent(ended: &Ended, canaries: &[&str]) {
    // There is a log, or its silence would say nothing.
    assert!(ended.stderr.contains("becoming the account"), "{}", ended.stderr);
    // The SDK of today blacks out what it prints of a request; one of tomorrow may not.
    let request = ended.stderr.lines().find(|line| line.contains("x-amz-security-token"));
    assert_eq!(request, None, "a request is printed");
    for canary in canaries {
        let said = ended.stdout.lines().chain(ended.stderr.lines()).find(|line| line.contains(canary));
        assert_eq!(said, None, "{canary}");
    }
}

#[tokio::test]
async fn no_secret_is_printed_however_much_is_logged() -> Result<()> {
    let role = "role_arn = 'arn:aws:iam::111111111111:role/reader'";
    for lines in [
        "credentials = 'keys'".to_owned(),
        "credentials = 'profile'\nprofile = 'legacy'".to_owned(),
        "credentials = 'profile'\nprofile = 'chained'".to_owned(),
        "credentials = 'default'".to_owned(),
        role.to_owned(),
        format!("{role} # by keys"),
        format!("{role}\nprofile = 'legacy'"),
    ] {
        let (fleet, canaries) = canaries(&lines).await?;
        let ended = collect(&fleet, "data").await?.status(0);
        assert_silent(&ended, &canaries);
        // Refused, with all that the SDK has to say of it.
        let refusal = fleet.aws.fault(Fault::error("ValidationError", 400).service(Service::Sts));
        for ended in
            [collect(&fleet, "data").await?.status(1), finish(fleet.worker(&["check"])).await?.status(1)]
        {
            assert_silent(&ended, &canaries);
        }
        assert!(refusal.fired() > 1);
    }
    Ok(())
}

/// What is told of a broken answer may hold a part of it, and this one holds credentials.
#[tokio::test]
async fn no_secret_of_a_broken_answer_is_printed() -> Result<()> {
    let (fleet, canaries) = canaries("role_arn = 'arn:aws:iam::111111111111:role/reader'").await?;
    let fault = fleet.aws.fault(Fault::truncated().on("AssumeRole"));
    let ended = collect(&fleet, "data").await?.status(1);
    assert!(fault.fired() > 0);
    assert!(error_of(&ended).contains("sts:AssumeRole"), "{}", error_of(&ended));
    assert_silent(&ended, &canaries);
    Ok(())
}
