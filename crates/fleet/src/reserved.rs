// SPDX-License-Identifier: Apache-2.0
//! Words that can't name an attribute of a request: keys of requests, jobs and messages, and common
//! mistakes for them. If such a word were taken for an attribute, a request would run every default
//! account, or another day, instead of the intended one.

/// A word that a request refuses, with what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedWord {
    /// In lower case.
    pub word: &'static str,
    /// What to write or do instead.
    pub instead: &'static str,
    /// Whether an attribute may have this name if a flag confirms it. Keys of jobs and messages, and
    /// those of later versions, never can: a worker would read the attribute as its own key.
    pub can_be_meant: bool,
}

const NAME_ACCOUNTS: &str = "write account_name (--account-name), a name or a list of names";
const NAME_BY_NAME: &str =
    "write account_name (--account-name): an account's id belongs in the accounts file";
const SPAN: &str = "write from and to (--from, --to), of which to is exclusive, or date (--date) for one day";
const REGIONS: &str =
    "every region of an account is reported; set regions in the accounts file for further ones";
const BUCKETS: &str = "every bucket of an account is reported; leave it out";
const MONTH: &str = "write month (--month) as 2026-10, or date (--date) for one day";
const MESSAGE: &str =
    "it is a key of a message, {\"kind\":\"request\",\"request\":{…}}; a request itself has neither";
const LATER: &str = "it is reserved for later versions; give the attribute another name";

/// All reserved words. Of the keys of a request itself, `account_name`, `date` and `dataset` are not among them.
pub const RESERVED_WORDS: [ReservedWord; 29] = [
    mistaken("account", NAME_ACCOUNTS),
    mistaken("accounts", NAME_ACCOUNTS),
    mistaken("account_id", NAME_BY_NAME),
    mistaken("account_ids", NAME_BY_NAME),
    mistaken("name", NAME_ACCOUNTS),
    mistaken("start", SPAN),
    mistaken("end", SPAN),
    mistaken("day", "write date (--date)"),
    mistaken("months", MONTH),
    mistaken("region", REGIONS),
    mistaken("regions", REGIONS),
    mistaken("bucket", BUCKETS),
    mistaken("buckets", BUCKETS),
    key("from", SPAN),
    key("to", SPAN),
    key("last", "write last (--last) as 6h, 30d or 13mo"),
    key("month", MONTH),
    key("window", "write window (--window), the length of a report, as 1h"),
    key("provisional", "write provisional (--provisional), true or false"),
    key("settle", "write settle (--settle) as 3m"),
    key("period", LATER),
    key("kind", MESSAGE),
    key("at", "pass --at (FLEET_AT), or write it beside the request, in a message of kind request"),
    key("request", MESSAGE),
    key("only_incomplete", "write only_incomplete (--only-incomplete), true or false"),
    key("max_usd", "write max_usd (--max-usd), a number of dollars"),
    mistaken("every", "a schedule has its own times; --every N, with --dry-run, prices a month of one"),
    key("run_id", "leave it out, since the producer names the run"),
    key("datasets", "write dataset (--dataset), a name or a list of names"),
];

const fn mistaken(word: &'static str, instead: &'static str) -> ReservedWord {
    ReservedWord { word, instead, can_be_meant: true }
}

const fn key(word: &'static str, instead: &'static str) -> ReservedWord {
    ReservedWord { word, instead, can_be_meant: false }
}

/// The reserved word that a name matches, in any case, and with or without `_` and `-`: `accountId` and
/// `account_ids` are as much a mistake as `account_id`.
#[must_use]
pub fn reserved_word(name: &str) -> Option<&'static ReservedWord> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let name = plain(name);
    RESERVED_WORDS.iter().find(|reserved| {
        let word = plain(reserved.word);
        // A plural of a key of jobs and messages is not such a key, so it may be used if confirmed.
        word == name || (reserved.can_be_meant && name.strip_suffix('s') == Some(word.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job;

    #[test]
    fn a_word_is_recognised_however_it_is_spelt() {
        for name in ["account_id", "accountId", "ACCOUNT-ID", "accountid"] {
            assert_eq!(reserved_word(name).map(|reserved| reserved.word), Some("account_id"), "{name}");
        }
        for (name, word) in [("names", "name"), ("Days", "day"), ("starts", "start"), ("months", "months")] {
            assert_eq!(reserved_word(name).map(|reserved| reserved.word), Some(word), "{name}");
        }
        for name in ["", "s", "ticket", "windows", "account_name", "date", "dataset", "account_owner"] {
            assert_eq!(reserved_word(name), None, "{name}");
        }
    }

    #[test]
    fn no_attribute_can_have_the_name_of_a_job_s_key() {
        for key in job::RESERVED_KEYS {
            let is_of_a_request = ["account_name", "date", "dataset"].contains(&key);
            let reserved = reserved_word(key);
            assert_eq!(reserved.is_none(), is_of_a_request, "{key}");
            assert!(reserved.is_none_or(|reserved| !reserved.can_be_meant), "{key}");
        }
    }
}
