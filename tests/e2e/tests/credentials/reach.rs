// SPDX-License-Identifier: Apache-2.0
//! Where an account is asked, and what the accounts file says of several.

use anyhow::Result;
use kit::{Fleet, HOME_REGION, finish};
use local_aws::{LocalAws, Options, Trust};

use super::support::{
    KEYS, PROFILE_KEY, ROLE, VARIABLES_KEY, account_file, accounts_file, assert_is_of, collect, day,
    four_accounts, inhabited, keys, set, signed_by,
};

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
    assert_eq!(
        signed_by(&there, KEYS),
        set(["ListBuckets", "ListDirectoryBuckets", "ListMetrics", "GetMetricData"])
    );
    Ok(())
}

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
        for reported in ["opra-dev", "opra_dev", "opra_dev_account_access_key", "rename one"] {
            assert!(ended.stderr.contains(reported), "{reported}: {}", ended.stderr);
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
            ended.stderr.contains(&format!("accounts old and new have the same id, {KEYS}")),
            "{}",
            ended.stderr
        );
    }
    accounts_file(&mut fleet, &account("old"))?;
    assert!(!collect(&fleet, "old").await?.stderr.contains("have the same id"));
    Ok(())
}
