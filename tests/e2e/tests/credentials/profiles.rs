// SPDX-License-Identifier: Apache-2.0
//! Profiles of the shared files.

use anyhow::Result;
use kit::{HOME, HOME_REGION};
use local_aws::Trust;

use super::support::{
    PROFILE, PROFILE_KEY, ROLE, account_file, assert_is_of, collect, error_of, four_accounts, inhabited,
    profile, report_calls, set, shared_file, signed_by, signers,
};

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
    let reported = format!("profile legacy does not exist in ~/.aws/config and {path}");
    assert!(ended.stderr.contains(&reported), "{}", ended.stderr);
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
    for (lines, reported) in [
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
            assert!(error.contains(reported), "{error}");
            assert_eq!(fleet.aws.calls().count(), 0, "no other source is used instead");
        }
    }
    Ok(())
}
