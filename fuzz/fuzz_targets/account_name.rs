// SPDX-License-Identifier: Apache-2.0
//! An account's name on its way to a variable and to a key. Twins: `crates/fleet/src/account.rs` and
//! `crates/fleet/src/report_key.rs`.
//!
//! An input is four texts between record separators: a name, another, a run id and a key template.

#![no_main]

use fleet::{
    AccountName, Accounts, Job, KeyTemplate, ReportDate, RunId, accounts::colliding_variables, datasets,
};
use libfuzzer_sys::fuzz_target;

fn name(text: &str) -> Option<AccountName> {
    let well_formed = (1..=63).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match text.parse::<AccountName>() {
        Ok(name) => {
            assert!(well_formed, "{text:?} was taken");
            assert_eq!(name.as_str(), text);
            let stem = name.variable_stem();
            assert!(
                !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
                "{stem}"
            );
            Some(name)
        }
        Err(error) => {
            assert!(!well_formed, "{text:?} was refused");
            let reported = error.to_string();
            assert!(reported.len() < 1500 && !reported.contains(char::is_control), "{reported:?}");
            None
        }
    }
}

fn job(account_name: &AccountName, date: &str, run_id: &RunId) -> Job {
    Job {
        account_name: account_name.clone(),
        windows: date.parse::<ReportDate>().expect("a date").into(),
        dataset: *datasets::DEFAULT,
        run_id: run_id.clone(),
        only_incomplete: false,
        settle: None,
        attributes: serde_json::Map::new(),
    }
}

fn assert_usable(key: &str) {
    assert!(key.len() <= 1024, "{} bytes", key.len());
    assert!(key.split('/').all(|part| !["", ".", ".."].contains(&part)), "{key:?}");
    assert!(key.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{key:?}");
    assert!(!key.starts_with("runs/"), "{key:?}");
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut texts = text.split('\u{1e}');
    let mut next = || texts.next().unwrap_or_default();
    let (first, second) = (name(next()), name(next()));
    let run_id = next().parse::<RunId>().unwrap_or_else(|_| RunId::manual("0a1b2c3d"));
    let template = next().parse::<KeyTemplate>();
    let Some(first) = first else { return };

    let default = KeyTemplate::default();
    let of_first = default.key(&job(&first, "2026-11-01", &run_id), None).expect("a key");
    assert_usable(&of_first);
    assert_ne!(default.key(&job(&first, "2026-11-02", &run_id), None).expect("a key"), of_first);
    let own = template.ok().filter(|own| own.check(&Accounts::default(), &[*datasets::DEFAULT]).is_ok());
    let own_key = |name: &AccountName| own.as_ref()?.key(&job(name, "2026-11-01", &run_id), None).ok();
    let own_of_first = own_key(&first).inspect(|key| assert_usable(key));

    let Some(second) = second.filter(|second| *second != first) else { return };
    assert_ne!(default.key(&job(&second, "2026-11-01", &run_id), None).expect("a key"), of_first);
    assert!(
        own_of_first.is_none() || own_key(&second) != own_of_first,
        "{own_of_first:?} is of two accounts"
    );
    let same_variables = first.variable_stem() == second.variable_stem();
    assert_eq!(colliding_variables([&first, &second]).is_some(), same_variables);
});
