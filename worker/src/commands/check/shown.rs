// SPDX-License-Identifier: Apache-2.0
//! Formats the results of a check, for people and as JSON. Pure functions.

use cli::{output, terminal};
use fleet::{
    Dataset, ErrorKind,
    datasets::{
        GET_METRIC_DATA, GET_RESOURCES, LIST_DIRECTORY_BUCKETS, LIST_FUNCTIONS, LIST_METRICS, LIST_REGIONS,
    },
};
use serde_json::{Value, json};

use super::checked::{Answer, Checked, CheckedSink};

/// The maximum number of advice sentences shown to people.
const MAX_SHOWN: usize = 20;

/// The maximum width of an identity in the table: with usual names and results, a row has 80 columns.
const WIDEST: usize = 32;

/// The whole text: a table, followed by advice.
pub(super) fn text(
    dataset: &Dataset,
    checked: &[Checked],
    sinks: &[CheckedSink],
    failed_only: bool,
) -> String {
    let shown: Vec<&Checked> = shown(checked, failed_only).collect();
    let advice: Vec<String> = shown
        .iter()
        .flat_map(|account| {
            advice(account).into_iter().map(|message| format!("{}: {message}", account.account_name))
        })
        .collect();
    let mut parts = Vec::new();
    if !shown.is_empty() {
        parts.push(table(dataset, &shown));
    }
    if !advice.is_empty() {
        let more = advice.len().saturating_sub(MAX_SHOWN);
        let mut lines: Vec<String> = advice.into_iter().take(MAX_SHOWN).collect();
        if more > 0 {
            lines.push(format!("and {more} more; worker check --failed-only --format json has all"));
        }
        parts.push(lines.join("\n"));
    }
    if let Some(lacking) = lacking(checked, |account| account.lacks_directory_buckets) {
        parts.push(format!(
            "directory buckets (S3 Express One Zone) can't be listed in {lacking}; to have them in reports, allow \
             {LIST_DIRECTORY_BUCKETS} on *"
        ));
    }
    if let Some(lacking) = lacking(checked, |account| account.lacks_regions) {
        parts.push(format!(
            "the enabled regions can't be listed in {lacking}: only the configured ones are asked; to have all in \
             reports, allow {LIST_REGIONS} on *"
        ));
    }
    if let Some(lacking) = lacking(checked, |account| account.lacks_tags) {
        parts.push(format!(
            "tags can't be read in {lacking}: their columns stay empty; to have them in reports, allow \
             {GET_RESOURCES} on *"
        ));
    }
    if let Some(lacking) = lacking(checked, |account| account.lacks_facts) {
        parts.push(format!(
            "functions can't be listed in {lacking}: what is known of them stays empty, and idle ones have no row; to \
             have both in reports, allow {LIST_FUNCTIONS} on *"
        ));
    }
    let lines = sinks.iter().filter_map(|CheckedSink { name, fault }| match fault {
        Some(fault) => Some(format!("the sink {name} can't take reports: {fault}")),
        None => (!failed_only).then(|| format!("the sink {name} can take reports")),
    });
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        parts.push(lines.join("\n"));
    }
    if parts.is_empty() {
        parts.push(format!("nothing is wrong with {}", output::count(checked.len(), "account")));
    }
    parts.join("\n\n")
}

/// The accounts that lack something: the first, and how many more.
fn lacking(checked: &[Checked], lacks: impl Fn(&Checked) -> bool) -> Option<String> {
    let mut lacking = checked.iter().filter(|account| lacks(account));
    let first = lacking.next()?.account_name.as_str();
    Some(match lacking.count() {
        0 => first.to_owned(),
        more => format!("{first} and {more} more"),
    })
}

/// The same as one JSON object.
pub(super) fn json(checked: &[Checked], sinks: &[CheckedSink], failed_only: bool) -> Value {
    let accounts = shown(checked, failed_only).map(|account| {
        let (identity, failure) = (account.identity.as_ref().ok(), account.identity.as_ref().err());
        let permissions = account
            .permissions
            .iter()
            .map(|(action, answer)| json!({ "action": action, "answer": word(answer) }));
        json!({
            "account_name": account.account_name,
            "account_id": identity.map(|identity| &identity.account_id),
            "arn": identity.map(|identity| &identity.arn),
            "reason": failure.map(|failure| failure.reason().code()),
            "permissions": permissions.collect::<Vec<_>>(),
            "lists_directory_buckets": identity.map(|_| !account.lacks_directory_buckets),
            "advice": advice(account),
        })
    });
    json!({
        "checked": checked.len(),
        "failed": checked.iter().filter(|account| account.is_failed()).count(),
        "accounts": accounts.collect::<Vec<_>>(),
        "sinks": sinks.iter().map(|CheckedSink { name, fault }| json!({ "name": name, "fault": fault })).collect::<Vec<_>>(),
    })
}

fn shown(checked: &[Checked], failed_only: bool) -> impl Iterator<Item = &Checked> {
    checked.iter().filter(move |account| !failed_only || account.is_failed())
}

/// The table, with a column for each permission that the dataset needs.
fn table(dataset: &Dataset, checked: &[&Checked]) -> String {
    let permissions: Vec<String> = dataset.permissions().map(|action| heading(dataset, action)).collect();
    let header: Vec<&str> =
        ["ACCOUNT", "ID", "IDENTITY"].into_iter().chain(permissions.iter().map(String::as_str)).collect();
    let rows = checked.iter().map(|account| {
        let (id, identity) = match &account.identity {
            Ok(identity) => (identity.account_id.to_string(), short(&identity.arn)),
            Err(failure) => ("-".to_owned(), failure.reason().to_string()),
        };
        let mut row = vec![account.account_name.to_string(), id, identity];
        row.extend(account.permissions.iter().map(|(_, answer)| word(answer).to_owned()));
        row.resize(header.len(), "-".to_owned());
        row
    });
    let style =
        |word: &str| if ["ok", "nothing to ask"].contains(&word) { terminal::GOOD } else { terminal::BAD };
    let table = output::table(&header, &[], rows);
    permissions.iter().rev().fold(table, |table, column| output::paint(&table, column, style))
}

/// The heading of a permission's column.
fn heading(dataset: &Dataset, action: &str) -> String {
    match action {
        LIST_METRICS => "METRICS".to_owned(),
        GET_METRIC_DATA => "DATA".to_owned(),
        GET_RESOURCES => "TAGS".to_owned(),
        _ => dataset.discovery.noun().to_uppercase(),
    }
}

/// The text in a permission's column.
fn word(answer: &Answer) -> &str {
    match answer {
        Answer::Allowed => "ok",
        Answer::NothingToAsk => "nothing to ask",
        Answer::Failed(error) if error.kind == ErrorKind::Denied => "denied",
        Answer::Failed(error) => &error.code,
    }
}

/// The distinguishing part of an ARN within its account: a role without its session, or a user.
fn short(arn: &str) -> String {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let name = match resource.strip_prefix("assumed-role/").and_then(|role| role.rsplit_once('/')) {
        Some((role, _session)) => format!("role/{role}"),
        None => resource.to_owned(),
    };
    match name.char_indices().nth(WIDEST) {
        Some(_) => name.chars().take(WIDEST - 1).chain(['…']).collect(),
        None => name,
    }
}

/// What to do about an account, one sentence per fault.
pub(super) fn advice(account: &Checked) -> Vec<String> {
    let identity = match &account.identity {
        Ok(identity) => identity,
        Err(failure) => {
            let message = failure.to_string();
            // Some failures name the account themselves.
            let message = message
                .trim_end_matches('.')
                .trim_start_matches(&format!("account {}", account.account_name));
            return vec![format!("{}{}", message.trim_start_matches([':', ' ']), failure.hint())];
        }
    };
    let at_home = account.permissions.iter().filter_map(|(action, answer)| match answer {
        Answer::Failed(error) => Some((None, *action, error)),
        Answer::Allowed | Answer::NothingToAsk => None,
    });
    let elsewhere = account.elsewhere.iter().map(|(region, action, error)| (Some(region), *action, error));
    let missing = at_home.chain(elsewhere).map(|(region, action, error)| match error.kind {
        ErrorKind::Denied => {
            let message = if error.message.is_empty() { &error.code } else { &error.message };
            let place = region.map(|region| format!(" in {region}")).unwrap_or_default();
            format!("allow {action} on *{place} to {} ({message})", identity.arn)
        }
        _ => format!("{action} failed: {error}"),
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use fleet::{AwsError, datasets::DEFAULT};

    use super::*;
    use crate::failure::Failure;
    use fleet::identity::Identity;

    const ROLE: &str = "arn:aws:sts::111111111111:assumed-role/cloudwatch-fleet-reader/cloudwatch-fleet";

    fn account(nth: usize, denied: bool) -> Checked {
        let listed = denied.then(|| {
            AwsError::new(ErrorKind::Denied, "cloudwatch:ListMetrics", "AccessDenied").message("no")
        });
        Checked {
            account_name: format!("account-{nth:03}").parse().expect("a name"),
            identity: Ok(Identity { account_id: "111111111111".parse().expect("an id"), arn: ROLE.into() }),
            permissions: vec![
                ("s3:ListAllMyBuckets", Answer::Allowed),
                ("cloudwatch:ListMetrics", listed.into()),
                ("cloudwatch:GetMetricData", Answer::Allowed),
            ],
            elsewhere: Vec::new(),
            lacks_directory_buckets: false,
            lacks_regions: false,
            lacks_tags: false,
            lacks_facts: false,
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_table_of_many_accounts_fits_a_terminal_and_the_advice_a_screen() {
        let checked: Vec<Checked> = (0..300).map(|nth| account(nth, nth % 2 == 0)).collect();
        let shown = plain(&text(*DEFAULT, &checked, &[], false));
        let (table, advice) = shown.split_once("\n\n").expect("both parts");
        assert_eq!(table.lines().count(), 301);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert_eq!(advice.lines().count(), MAX_SHOWN + 1);
        assert!(
            advice.ends_with("and 130 more; worker check --failed-only --format json has all"),
            "{advice}"
        );
        assert!(
            advice.starts_with(&format!("account-000: allow cloudwatch:ListMetrics on * to {ROLE}")),
            "{advice}"
        );
        assert_eq!(
            plain(&text(*DEFAULT, &checked, &[], true)).split_once("\n\n").expect("both").0.lines().count(),
            151
        );
    }

    #[test]
    fn an_empty_table_is_explained() {
        assert_eq!(text(*DEFAULT, &[account(1, false)], &[], true), "nothing is wrong with 1 account");
        assert!(!text(*DEFAULT, &[account(1, false)], &[], false).contains("nothing"));
    }

    #[test]
    fn json_has_the_whole_arn_and_all_advice() {
        let checked = [account(1, false), account(2, true)];
        let all = json(&checked, &[], false);
        assert_eq!((&all["checked"], &all["failed"]), (&json!(2), &json!(1)));
        let failed = &json(&checked, &[], true)["accounts"];
        assert_eq!(failed.as_array().map(Vec::len), Some(1));
        assert_eq!(
            failed[0],
            json!({
                "account_name": "account-002",
                "account_id": "111111111111",
                "arn": ROLE,
                "reason": null,
                "permissions": [
                    { "action": "s3:ListAllMyBuckets", "answer": "ok" },
                    { "action": "cloudwatch:ListMetrics", "answer": "denied" },
                    { "action": "cloudwatch:GetMetricData", "answer": "ok" },
                ],
                "lists_directory_buckets": true,
                "advice": [format!("allow cloudwatch:ListMetrics on * to {ROLE} (no)")],
            })
        );
    }

    #[test]
    fn an_identity_is_shortened_to_its_distinguishing_part() {
        for (arn, shown) in [
            (ROLE, "role/cloudwatch-fleet-reader"),
            ("arn:aws:iam::111111111111:user/team/anna", "user/team/anna"),
            ("arn:aws:iam::111111111111:root", "root"),
            ("arn:aws-cn:sts::111111111111:federated-user/anna", "federated-user/anna"),
            ("odd", "odd"),
        ] {
            assert_eq!(short(arn), shown);
        }
        let long = short(&format!("arn:aws:iam::111111111111:user/{}", "x".repeat(64)));
        assert_eq!((long.chars().count(), long.ends_with("x…")), (WIDEST, true));
    }

    #[test]
    fn advice_has_no_empty_part_and_names_the_region() {
        let denied = |message: &str| {
            AwsError::new(ErrorKind::Denied, "cloudwatch:ListMetrics", "AccessDenied").message(message)
        };
        let mut checked = account(1, false);
        checked.permissions = vec![("cloudwatch:ListMetrics", Answer::Failed(denied("")))];
        checked.elsewhere = vec![("us-east-1".into(), "cloudwatch:ListMetrics", denied("by a policy"))];
        assert_eq!(
            advice(&checked),
            [
                format!("allow cloudwatch:ListMetrics on * to {ROLE} (AccessDenied)"),
                format!("allow cloudwatch:ListMetrics on * in us-east-1 to {ROLE} (by a policy)"),
            ]
        );
    }

    #[test]
    fn nothing_to_query_is_not_a_fault() {
        let mut checked = account(1, false);
        checked.permissions = vec![("cloudwatch:ListMetrics", Answer::NothingToAsk)];
        assert!(!checked.is_failed() && advice(&checked).is_empty());
        assert!(plain(&text(*DEFAULT, &[checked], &[], false)).contains("nothing to ask"));
    }

    #[test]
    fn regions_that_cannot_be_listed_are_mentioned_once_and_are_not_a_fault() {
        let mut checked = [account(1, false), account(2, false), account(3, false)];
        for account in &mut checked[1..] {
            account.lacks_regions = true;
        }
        let shown = text(*DEFAULT, &checked, &[], true);
        assert!(shown.contains(" and 1 more: only the configured ones are asked"), "{shown}");
        assert!(shown.ends_with("allow account:ListRegions on *"), "{shown}");
        assert!(checked.iter().all(|account| !account.is_failed()));
    }

    #[test]
    fn directory_buckets_that_cannot_be_listed_are_mentioned_once_and_are_not_a_fault() {
        let mut checked = [account(1, false), account(2, false), account(3, false)];
        assert!(!text(*DEFAULT, &checked, &[], false).contains("directory buckets"));
        for account in &mut checked[1..] {
            account.lacks_directory_buckets = true;
        }
        let shown = text(*DEFAULT, &checked, &[], false);
        assert!(shown.contains("can't be listed in account-002 and 1 more; to have them"), "{shown}");
        assert!(!checked[1].is_failed());
        assert_eq!(json(&checked, &[], false)["accounts"][1]["lists_directory_buckets"], json!(false));
    }

    #[test]
    fn advice_is_for_the_user_of_the_command() {
        let mut checked = account(1, false);
        let name = checked.account_name.clone();
        checked.identity = Err(Failure::UnknownAccount(name));
        assert_eq!(advice(&checked), ["is not in the accounts file; add it there"]);
    }
}
