// SPDX-License-Identifier: Apache-2.0
//! Which of several kinds is meant.

use anyhow::Result;
use kit::{HOME, expected::cells};

use super::support::{
    KEYS, PROFILE, PROFILE_KEY, ROLE, VARIABLES_KEY, account_file, assert_is_of, collect, four_accounts,
    keys, report_calls, set, signed_by,
};

#[tokio::test]
async fn of_several_kinds_the_role_comes_first_then_the_keys_then_the_profile() -> Result<()> {
    let role = "role_arn = 'arn:aws:iam::111111111111:role/reader'\n";
    let legacy = "profile = 'legacy'\n";
    for (file, with_keys, id, reported) in [
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
        assert!(ended.stderr.contains(&format!("(credentials={reported})")), "{}", ended.stderr);
        assert_eq!(signed_by(&fleet.aws, HOME), set([]), "{reported}");
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
    for (kind, reported) in [
        ("role", r#"credentials = "role" needs role_arn, or id with role_name"#),
        ("profile", r#"credentials = "profile" needs profile"#),
    ] {
        account_file(&mut fleet, &format!("credentials = '{kind}'"))?;
        let ended = collect(&fleet, "data").await?.status(2);
        assert!(ended.stderr.contains(reported), "{}", ended.stderr);
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}
