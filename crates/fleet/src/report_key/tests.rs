// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::{ReportDate, RunId, datasets};

fn job(account: &str) -> Job {
    Job {
        account_name: account.parse().expect("a name"),
        windows: "2026-11-01".parse::<ReportDate>().expect("a date").into(),
        dataset: *datasets::DEFAULT,
        run_id: "r1".parse::<RunId>().expect("a run id"),
        only_incomplete: false,
        settle: None,
        attributes: serde_json::Map::new(),
    }
}

fn accounts(text: &str) -> Accounts {
    Accounts::parse(text).expect("an accounts file")
}

#[test]
fn the_default_is_hive_style() {
    let key = KeyTemplate::default().key(&job("data"), None).expect("a key");
    assert_eq!(key, "s3_daily_storage/report_date=2026-11-01/account_name=data/report.csv");
}

#[test]
fn no_report_is_stored_among_the_manifests() {
    let template: KeyTemplate = "{account}/{run_id}.json".parse().expect("valid");
    assert!(template.key(&job("data"), None).is_ok());
    let error = template.key(&job("runs"), None).expect_err("its own manifest");
    assert!(error.to_string().contains("manifests"), "{error}");
}

#[test]
fn no_run_id_leads_out_of_a_folder() {
    let template: KeyTemplate = "x/{run_id}/{account}.csv".parse().expect("valid");
    for run_id in [".", ".."] {
        let job = Job { run_id: run_id.parse().expect("a run id"), ..job("data") };
        let error = template.key(&job, None).expect_err(run_id);
        assert!(error.to_string().contains("'..' between its slashes"), "{error}");
    }
    let job = Job { run_id: "...".parse().expect("a run id"), ..job("data") };
    assert_eq!(template.key(&job, None).expect("a key"), "x/.../data.csv");
}

#[test]
fn a_key_is_not_longer_than_s3_allows() {
    let fits = "x".repeat(MAX_KEY_BYTES - 64);
    let template: KeyTemplate = format!("{fits}/{{account}}").parse().expect("valid");
    assert_eq!(template.key(&job(&"a".repeat(63)), None).expect("a key").len(), MAX_KEY_BYTES);
    let template: KeyTemplate = format!("{fits}x/{{account}}").parse().expect("valid");
    let error = template.key(&job(&"a".repeat(63)), None).expect_err("a byte too long");
    assert!(error.to_string().contains("960 bytes"), "{error}");
}

/// Templates of literals and placeholders, most of them valid in S3.
fn any_template() -> impl Strategy<Value = String> {
    let part = "[a-z/.-]{0,3}|\\{(account|date|run_id|dataset|year|account_id)\\}|\\PC";
    prop::collection::vec(part, 0..6).prop_map(|parts| format!("{}{{account}}", parts.concat()))
}

proptest! {
    #[test]
    fn a_key_is_well_formed_and_of_one_job(
        (name, other) in ("[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"),
        run_id in "[A-Za-z0-9._-]{1,64}|\\.{1,3}",
        own in any_template(),
    ) {
        let of = |account: &str, date: &str| Job {
            windows: date.parse::<ReportDate>().expect("a date").into(),
            run_id: run_id.parse().expect("a run id"),
            ..job(account)
        };
        let default = KeyTemplate::default();
        let key = default.key(&of(&name, "2026-11-01"), None).expect("a key");
        prop_assert_ne!(&key, &default.key(&of(&name, "2026-11-02"), None).expect("a key"));
        let template = own.parse::<KeyTemplate>();
        let own = |name| template.as_ref().ok()?.key(&of(name, "2026-11-01"), None).ok();
        if name != other {
            prop_assert_ne!(&key, &default.key(&of(&other, "2026-11-01"), None).expect("a key"));
            prop_assert!(own(&name).is_none() || own(&name) != own(&other));
        }
        for key in [Some(key), own(&name)].into_iter().flatten() {
            prop_assert!(key.len() <= 1024 && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(key.split('/').all(|part| !["", ".", ".."].contains(&part)), "{}", key);
            prop_assert!(reserved(&key).is_none(), "{}", key);
        }
    }
}

#[test]
fn the_layout_of_the_lambdas_it_replaces() {
    let template: KeyTemplate = "{year}/{year}-{month}/{year}-{month}-{account}.csv".parse().expect("valid");
    assert_eq!(template.key(&job("data"), None).expect("a key"), "2026/2026-11/2026-11-data.csv");
    assert_eq!(template.check(&Accounts::default(), &[*datasets::DEFAULT]), Ok(()));
}

#[test]
fn refuses_invalid_templates() {
    for (text, expected) in [
        ("", "empty"),
        ("/x/{account}", "begins with '/'"),
        ("runs/{account}", "manifests"),
        ("tries/{account}", "unfinished reports"),
        ("delivered/{account}", "what sinks have"),
        ("{acount}.csv", "{acount} is not known"),
        ("{account", "counterpart"),
        ("account}", "counterpart"),
        ("é/{account}", "ASCII"),
        ("a\n/{account}", "ASCII"),
        ("../{account}", "'..' between its slashes"),
        ("a/./{account}", "'..' between its slashes"),
        ("a//{account}", "an empty part"),
        ("{account}/", "an empty part"),
    ] {
        let error = text.parse::<KeyTemplate>().expect_err(text).to_string();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
}

#[test]
fn refuses_a_template_with_which_two_jobs_share_a_key() {
    let check = |template: &str, accounts: &Accounts, datasets: &[&Dataset]| {
        let checked = template.parse::<KeyTemplate>().expect("valid").check(accounts, datasets);
        checked.map_err(|error| error.to_string())
    };
    let none = Accounts::default();
    let one = [*datasets::DEFAULT];
    let error = check("{date}.csv", &none, &one).expect_err("no account");
    assert!(error.ends_with("add {account}"), "{error}");
    let other: &'static Dataset =
        Box::leak(Box::new(Dataset { name: "other", ..(*datasets::DEFAULT).clone() }));
    let error = check("{date}/{account}.csv", &none, &[*datasets::DEFAULT, other]).expect_err("two");
    assert_eq!(
        error,
        "key template \"{date}/{account}.csv\": without {dataset} it is for s3_daily_storage alone, and not for dataset \
         other; add {dataset}"
    );
    assert_eq!(check("{dataset}/{account}.csv", &none, &[*datasets::DEFAULT, other]), Ok(()));
    let template: KeyTemplate = "{date}/{account}.csv".parse().expect("valid");
    let of_other = template.key(&Job { dataset: other, ..job("data") }, None).expect_err("a job of it");
    assert_eq!(of_other.to_string(), error);
    assert!(
        check("{account_id}.csv", &none, &one).expect_err("no file").contains("there is no accounts file")
    );

    let partly = accounts("[[account]]\nname='a'\nid='111111111111'\n[[account]]\nname='b'\n");
    assert!(check("{account_id}.csv", &partly, &one).expect_err("no id").contains("account b has none"));
    assert!(check("{account_id}-{account}.csv", &partly, &one).is_err());
    let twice =
        accounts("[[account]]\nname='a'\nid='111111111111'\n[[account]]\nname='b'\nid='111111111111'\n");
    assert!(
        check("{account_id}.csv", &twice, &one).expect_err("one id").contains("a and b have the same id")
    );
    assert_eq!(check("{account_id}-{account}.csv", &twice, &one), Ok(()));
}
