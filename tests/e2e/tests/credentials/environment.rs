// SPDX-License-Identifier: Apache-2.0
//! The environment as compose files, CI systems and secrets leave it.

use anyhow::Result;
use kit::{Fleet, HOME_REGION, JOBS, days_ago, finish};

use super::support::{
    KEYS, PROFILE, PROFILE_KEY, VARIABLES_KEY, accounts_file, assert_is_of, collect, day, four_accounts,
    inhabited, keys, profile, shared_file,
};

/// What a compose file makes of `${NAME:-}`.
const EMPTY: [&str; 25] = [
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SDK_UA_APP_ID",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "ECS_AGENT_URI",
    "FLEET_ACCOUNTS",
    "FLEET_CONCURRENCY",
    "FLEET_DATE",
    "FLEET_DRY_RUN",
    "FLEET_METRICS_NAMESPACE",
    "FLEET_REGIONS",
    "FLEET_REQUEST",
    "FLEET_RUN_ID",
    "FLEET_VISIBILITY_TIMEOUT",
    "FLEET_WAIT_TIMEOUT",
    "HTTPS_PROXY",
    "data_session_token",
];

#[tokio::test]
async fn an_empty_variable_is_an_unset_one() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key(VARIABLES_KEY, None);
    keys(&mut fleet, "data", VARIABLES_KEY, "secret");
    // What the variables would say is in the profile.
    let endpoint = fleet.aws.endpoint();
    shared_file(
        &fleet,
        "config",
        &format!("[default]\nregion = {HOME_REGION}\nendpoint_url = {endpoint}\n"),
    )?;
    for name in EMPTY {
        fleet.variable(name, "");
    }
    assert_is_of(&collect(&fleet, "data").await?, KEYS);
    let _ = finish(fleet.worker(&["check", "--account-name", "data"])).await?.status(0);
    let request = ["run", "--account-name", "data", "--date", &day()];
    let _ = finish(fleet.producer(&[&request[..], &["--dry-run"]].concat())).await?.status(0);
    let _ = finish(fleet.producer(&request)).await?.status(0);
    assert_eq!(fleet.home.messages(JOBS).len(), 1);
    let _ = fleet.work(&[]).await?;
    let status = finish(fleet.producer(&["status"])).await?.status(0);
    assert!(status.stdout.contains("1 complete"), "{}", status.stdout);
    Ok(())
}

/// What a `.env` file with CRLF, or a secret made with `echo`, leaves at the end of a value.
const ENDS: [&str; 2] = ["\r", "\n"];

#[tokio::test]
async fn a_control_character_in_an_accounts_variable_costs_that_account_alone() -> Result<()> {
    for end in ENDS {
        for name in ["data_account_access_key", "data_secret_access_key", "data_session_token"] {
            let mut fleet = Fleet::start().await?;
            inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key(VARIABLES_KEY, None);
            keys(&mut fleet, "good", VARIABLES_KEY, "secret");
            keys(&mut fleet, "data", "AKIADATA", "secret");
            fleet.variable(name, &format!("canary{end}"));
            let reported =
                format!("data: {name} contains a control character, such as a line break; correct it");
            let check = finish(fleet.worker(&["check", "--account-name", "data,good"])).await?.status(1);
            assert!(check.stdout.contains(&reported), "{}", check.stdout);
            assert!(check.stdout.contains(KEYS), "the other one is there: {}", check.stdout);
            let collect = collect(&fleet, "data").await?.status(2);
            assert!(collect.stderr.contains(&reported), "{}", collect.stderr);
            let request = ["run", "--account-name", "data,good", "--date", &day()];
            let _ = finish(fleet.producer(&request)).await?.status(0);
            let worker = fleet.work(&[]).await?;
            let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter: {}", worker.stderr) };
            let letter = format!("{letter:?}");
            assert!(letter.contains("no_credentials") && letter.contains(&reported), "{letter}");
            assert!(fleet.table("good", days_ago(4)).is_ok());
            let said = [check.stdout, check.stderr, collect.stderr, worker.stderr, letter].concat();
            assert!(!said.contains("canary"), "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_control_character_in_a_variable_of_the_process_is_refused_before_any_request() -> Result<()> {
    let names =
        ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3", "FLEET_QUEUE_URL"];
    for (name, end) in names.into_iter().flat_map(|name| ENDS.map(|end| (name, end))) {
        let mut fleet = Fleet::start().await?;
        keys(&mut fleet, "data", VARIABLES_KEY, "secret");
        fleet.variable(name, &format!("http://canary/1/x{end}"));
        let day = day();
        for command in [
            fleet.worker(&["check", "--account-name", "data"]),
            fleet.worker(&["collect", "--account-name", "data", "--date", &day]),
            fleet.worker(&["run", "--exit-when-empty"]),
            fleet.producer(&["status"]),
            fleet.producer(&["run", "--account-name", "data", "--dry-run"]),
        ] {
            let ended = finish(command).await?.status(2);
            // The queue's URL is a flag of some commands, whose values clap shows.
            let is_shown = name == "FLEET_QUEUE_URL" && ended.stderr.contains("--queue-url");
            assert!(
                is_shown || ended.stderr.contains(&format!("{name} contains a control character")),
                "{}",
                ended.stderr
            );
            assert!(is_shown || !ended.stderr.contains("canary"), "{}", ended.stderr);
        }
        assert_eq!(fleet.aws.calls().count(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn what_no_request_can_be_made_of_is_refused_in_a_profile_too() -> Result<()> {
    for (line, reported) in [
        ("region = eu west 1", "profile default: region is not a region"),
        ("region = eu-west-1\u{1}", "profile default: region contains a control character"),
        ("endpoint_url = 127.0.0.1:1", "profile default: endpoint_url of "),
        (
            "services = here\n[services here]\nsts =\n  endpoint_url = localhost",
            "endpoint_url of STS is not a URL",
        ),
        (
            "aws_session_token = canary\u{7f}",
            "profile default: aws_session_token contains a control character",
        ),
        (
            "aws_secret_access_key = canary\u{e9}",
            "profile default: aws_secret_access_key contains a character",
        ),
    ] {
        let fleet = Fleet::start().await?;
        shared_file(&fleet, "config", &format!("[default]\n{line}\n"))?;
        for mut command in [fleet.worker(&["check", "--account-name", "data"]), fleet.producer(&["status"])] {
            for name in ["AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                command.env_remove(name);
            }
            let ended = finish(command).await?.status(2);
            assert!(ended.stderr.contains(reported), "{line}: {}", ended.stderr);
            assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        }
    }
    // An account's profile costs that account alone.
    let mut fleet = four_accounts().await?;
    let bad = profile("bad", "AKIACANARY\u{1}", "secret") + &profile("legacy", PROFILE_KEY, "secret");
    shared_file(&fleet, "credentials", &bad)?;
    let account =
        |name: &str, profile: &str| format!("[[account]]\nname = '{name}'\nprofile = '{profile}'\n");
    accounts_file(&mut fleet, &(account("data", "bad") + &account("good", "legacy")))?;
    let ended = finish(fleet.worker(&["check"])).await?.status(1);
    for reported in ["profile bad", "the access key id contains a control character", PROFILE] {
        assert!(ended.stdout.contains(reported), "{reported}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("CANARY"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_url_without_a_scheme_is_refused_by_the_variables_name() -> Result<()> {
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        let mut fleet = Fleet::start().await?;
        keys(&mut fleet, "data", VARIABLES_KEY, "secret");
        fleet.variable(name, "127.0.0.1:1");
        for command in [fleet.worker(&["run"]), fleet.producer(&["status"])] {
            let ended = finish(command).await?.status(2);
            let reported = format!("{name} is not a URL; write it as https://host; correct or unset it");
            assert!(ended.stderr.contains(&reported), "{}", ended.stderr);
        }
    }
    Ok(())
}
