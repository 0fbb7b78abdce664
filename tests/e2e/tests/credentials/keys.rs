// SPDX-License-Identifier: Apache-2.0
//! Access keys of an account's own variables.

use anyhow::Result;
use kit::{Fleet, HOME, HOME_REGION};

use super::support::{
    KEYS, account_file, assert_is_of, assert_nothing_collected, collect, four_accounts, inhabited, keys,
    report_calls, set, signed_by,
};

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
async fn half_a_pair_of_access_keys_is_reported_with_the_missing_variable() -> Result<()> {
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
