// SPDX-License-Identifier: Apache-2.0
use fleet::job::Envelope;
use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-21T10:00:00Z";

fn day(text: &str) -> WhenFlags {
    WhenFlags { date: Some(text.into()), ..WhenFlags::default() }
}

fn source(text: &str) -> Source {
    Source { name: "request.json".into(), text: Ok(text.into()) }
}

fn read_at(now: &str, text: &str, flags: &Flags, accounts: &Accounts) -> Result<Request, String> {
    let around = Surroundings {
        now: now.parse().expect("a moment"),
        accounts: Some(accounts),
        default_accounts: &["data".to_owned(), "opra-dev".to_owned()],
    };
    Request::read(Some(&source(text)), flags, around).map_err(|error| error.to_string())
}

fn read(text: &str) -> Result<Request, String> {
    read_at(NOW, text, &Flags::default(), &Accounts::default())
}

fn read_with(text: &str, flags: &Flags) -> Result<Request, String> {
    read_at(NOW, text, flags, &Accounts::default())
}

fn names(request: &Request) -> Vec<&str> {
    request.accounts.iter().map(AccountName::as_str).collect()
}

#[test]
fn an_empty_request_means_the_default_accounts_on_the_first_of_the_month() {
    let request = read("{}").expect("valid");
    assert_eq!(names(&request), ["data", "opra-dev"]);
    assert_eq!(request.date().to_string(), "2026-11-01");
    assert_eq!(request.datasets, [*datasets::DEFAULT]);
    assert!(request.attributes.is_empty());
}

#[test]
fn reads_every_key() {
    let text = r#"{"ticket":"OPS-7","account_names":["b","a"],"date":"2026-10-31","dataset":["s3_daily_storage"],"n":1.50}"#;
    let request = read(text).expect("valid");
    assert_eq!(names(&request), ["b", "a"]);
    assert_eq!(request.date().to_string(), "2026-10-31");
    assert_eq!(
        Value::from(request.to_json()).to_string(),
        r#"{"account_name":["b","a"],"date":"2026-10-31","dataset":["s3_daily_storage"],"ticket":"OPS-7","n":1.5}"#
    );
    assert_eq!(names(&read(r#"{"account_name":"x"}"#).expect("valid")), ["x"]);
    assert_eq!(names(&read("\u{feff}{\"account_name\":\"x\"}").expect("valid")), ["x"], "a byte order mark");
}

#[test]
fn keys_say_what_flags_say_of_completeness_and_cost() {
    let request =
        read(r#"{"account_name":"data","only_incomplete":true,"max_usd":2.5,"n":1}"#).expect("valid");
    assert!(request.only_incomplete && request.jobs(&RunId::generate()).all(|job| job.only_incomplete));
    assert_eq!(request.max_usd, Some(2.5));
    let text = Value::from(request.to_json()).to_string();
    assert!(text.contains(r#""only_incomplete":true,"max_usd":2.5,"n":1"#), "{text}");
    assert_eq!(read(&text).expect("its own text").max_usd, Some(2.5));
    assert_eq!(Value::from(attributes_from_json(&request.to_json())), json!({"n": 1}));
    assert!(!read(r#"{"account_name":"data","only_incomplete":false}"#).expect("valid").only_incomplete);
    let flags = Flags { max_usd: Some(1.0), ..Flags::default() };
    assert_eq!(read_with(r#"{"max_usd":2.5}"#, &flags).expect("valid").max_usd, Some(1.0));
}

#[test]
fn flags_override() {
    let flags = Flags {
        only_incomplete: true,
        max_usd: Some(0.5),
        account_names: vec!["x".into()],
        when: day("2026-11-02"),
        datasets: vec!["s3_daily_storage".into()],
        attributes: vec!["ticket=OPS-8".into(), "data:=1".into()],
    };
    let text =
        r#"{"account_name":["a","b"],"date":"2026-10-31","dataset":"other","ticket":"OPS-7","data":1}"#;
    let request = read_with(text, &flags).expect("valid");
    assert_eq!(names(&request), ["x"]);
    assert_eq!(request.date().to_string(), "2026-11-02");
    assert!(request.jobs(&RunId::generate()).all(|job| job.only_incomplete), "as the flag says");
    assert_eq!(Value::from(request.attributes).to_string(), r#"{"ticket":"OPS-8","data":1}"#);
}

#[test]
fn every_fault_is_reported_at_once() {
    let flags = Flags { attributes: vec!["oops".into()], ..Flags::default() };
    let text = r#"{"account_name":["a/b","data","data",7],"date":"2026-02-30","dataset":["s4"],"run_id":"r","acount_name":"x"}"#;
    let said =
        read_with(text, &flags).expect_err("invalid").replace(&datasets::names(), "[those that there are]");
    insta::assert_snapshot!(said, @r#"
    the request is not valid:
      account_name has a number in its list, not a string
      account name "a/b" is not well-formed; it takes 1 to 63 letters, digits, '_' and '-', and begins with a letter or digit
      account data: is listed twice; leave one out
      date "2026-02-30" is not a calendar day; write it as YYYY-MM-DD, such as 2026-11-01
      dataset "s4" is unknown; this version has [those that there are]
      --attribute "oops" has no '='; write KEY=VALUE for a string, or KEY:=JSON for any JSON
      "run_id" is not an attribute: leave it out, since the producer names the run
      attribute "acount_name" looks like account_name; correct it, or if you mean it, pass --attribute 'acount_name=x'
    "#);
}

#[test]
fn each_invalid_request_says_what_is_wrong_and_what_to_do() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let brackets = "[".repeat(10_000);
    let large = json!({"account_name": "data", "remark": "x".repeat(MAX_BYTES)}).to_string();
    let cases = [
        ("", "request.json is not JSON: EOF while parsing a value at line 1 column 0"),
        ("{\n\"date\": }", "request.json is not JSON: expected value at line 2 column 9"),
        ("[]", "request.json is a list, not a JSON object such as"),
        ("null", "request.json is null, not a JSON object"),
        (&deep, "request.json is nested more than 127 levels deep, at line 1 column"),
        (&large, "account data: its job has 65668 bytes, and the maximum is 65536"),
        (
            r#"{"account_name":"a","date":"2026-11-02","account_name":"b"}"#,
            "request.json has the key \"account_name\" twice, at line 1 column 54; leave one out",
        ),
        (r#"{"owner":{"team":"a","team":"a"}}"#, "request.json has the key \"team\" twice"),
        (r#"{"date":"2026-11-31"}"#, "date \"2026-11-31\" is not a calendar day; write it as YYYY-MM-DD"),
        (r#"{"date":"2027-01-01"}"#, "date 2027-01-01 is not over yet in UTC"),
        (r#"{"date":"2026-11-21"}"#, "ask for 2026-11-20 or an earlier day"),
        (r#"{"date":"2025-08-23"}"#, "the oldest available day is 2025-08-24"),
        (r#"{"max_usd":0}"#, "max_usd 0 is not more than 0; write dollars such as 2.5"),
        (r#"{"max_usd":"1"}"#, "max_usd is a string, not a number of dollars such as 2.5"),
        (r#"{"only_incomplete":"yes"}"#, "only_incomplete is a string, not true or false"),
        (r#"{"request":{}}"#, "\"request\" is not an attribute: it is a key of a message"),
        (r#"{"every":"5m"}"#, "--every N, with --dry-run, prices a month of one; if you mean an attribute"),
        (r#"{"date":20261101}"#, "date is a number, not a string such as"),
        (r#"{"dataset":"s4"}"#, "dataset \"s4\" is unknown; this version has "),
        (r#"{"dataset":[]}"#, "dataset is an empty list; name at least one"),
        (
            r#"{"dataset":["s3_daily_storage","s3_daily_storage"]}"#,
            "dataset \"s3_daily_storage\" is listed twice",
        ),
        (r#"{"account_name":"a b"}"#, "account name \"a b\" is not well-formed"),
        (r#"{"account_name":"../x"}"#, "account name \"../x\" is not well-formed"),
        (r#"{"account_name":"data\n"}"#, r#"account name "data\n" is not well-formed"#),
        (
            r#"{"account_name":"${AWS_SECRET_ACCESS_KEY}"}"#,
            "account name \"${AWS_SECRET_ACCESS_KEY}\" is not",
        ),
        (&brackets, "request.json is nested more than 127 levels deep"),
        (r#"{"account_name":["a","b","a"]}"#, "account a: is listed twice; leave one out"),
        (r#"{"account_name":[]}"#, "account_name is an empty list; name at least one"),
        (r#"{"account_name":null}"#, "account_name is null, not a string or a list of strings"),
        (r#"{"account_name":"a","account_names":["b"]}"#, "account_name and account_names are both given"),
        (
            r#"{"account_name":["a-b","a_b"]}"#,
            "accounts a-b and a_b: both have their access keys in a_b_account_access_key",
        ),
        (r#"{"run_id":"r"}"#, "\"run_id\" is not an attribute"),
        (r#"{"acount_name":"data"}"#, "attribute \"acount_name\" looks like account_name"),
    ];
    for (text, expected) in cases {
        let error = read(text).expect_err(text);
        assert!(error.contains(expected), "{error}\nshould say {expected}");
    }
}

#[test]
fn a_typo_does_not_run_the_default_accounts() {
    for text in [
        r#"{"accounts":["data"],"date":"2026-11-20"}"#,
        r#"{"account":"data"}"#,
        r#"{"account_id":"111111111111"}"#,
        r#"{"accountIds":["111111111111"]}"#,
        r#"{"account_name":"data","start":"2026-11-01","end":"2026-11-20"}"#,
        r#"{"account_name":"data","From":"2026-11-01"}"#,
        r#"{"account_name":"data","name":"x"}"#,
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains("is not an attribute: "), "{error}");
        assert!(
            error.lines().skip(1).all(|line| line.contains("write ")),
            "{error}\nshould say what to write"
        );
    }
}

#[test]
fn describes_the_accounts_and_the_attributes() {
    let describe = |text: &str| read(text).expect("valid").describe();
    let defaults = "accounts: the request names none, so 2 default accounts by FLEET_DEFAULT_ACCOUNTS";
    assert_eq!(describe("{}"), defaults);
    let long =
        json!({"account_name": "x", "ticket": "OPS\n7", "n": [1], "remark": "é".repeat(90)}).to_string();
    assert_eq!(
        describe(&long),
        format!(
            "accounts: the one that the request names\nattributes: ticket=OPS 7, n:=[1], remark={}…",
            "é".repeat(80 - "remark=".len())
        )
    );
    assert_eq!(describe(r#"{"account_name":["a","b"]}"#), "accounts: the 2 that the request names");
}

#[test]
fn no_account_at_all_is_refused() {
    let around = Surroundings {
        now: NOW.parse().expect("a moment"),
        accounts: Some(&Accounts::default()),
        default_accounts: &[],
    };
    let error = Request::read(None, &Flags::default(), around).expect_err("no account");
    assert!(error.to_string().contains("no account at all: name one with"), "{error}");
    // What two commas in a row give.
    let around = Surroundings { default_accounts: &["a".to_owned(), String::new()], ..around };
    let error = Request::read(None, &Flags::default(), around).expect_err("no name");
    let expected =
        "the default accounts (FLEET_DEFAULT_ACCOUNTS, --default-accounts): account name \"\" is not";
    assert!(error.to_string().contains(expected), "{error}");
    // An unset shell variable must not mean every account.
    let flags = Flags { account_names: vec![String::new()], ..Flags::default() };
    let error = read_with("{}", &flags).expect_err("a name");
    assert!(error.contains("account name \"\" is not well-formed"), "{error}");
}

#[test]
fn a_digest_distinguishes_requests() {
    let flags = Flags { account_names: vec!["a".into()], ..Flags::default() };
    let others = [
        Flags::default(),
        Flags { account_names: vec!["b".into()], ..Flags::default() },
        Flags { only_incomplete: true, ..flags.clone() },
        Flags { max_usd: Some(1.0), ..flags.clone() },
        Flags { when: day("2026-11-01"), ..flags.clone() },
        Flags { attributes: vec!["x=1".into()], ..flags.clone() },
    ];
    let digest = Request::digest(None, &flags);
    assert_eq!(digest, Request::digest(None, &flags.clone()));
    for other in &others {
        assert_ne!(digest, Request::digest(None, other), "{other:?}");
    }
    assert_ne!(digest, Request::digest(Some(&source("{}")), &flags));
}

#[test]
fn unreadable_input_hides_no_other_fault_and_adds_none() {
    let flags = Flags { when: day("2026-02-30"), ..Flags::default() };
    let around = Surroundings {
        now: "2026-11-01T12:00:00Z".parse().expect("a moment"),
        accounts: None,
        default_accounts: &[],
    };
    let unread = Source { name: "request.json".into(), text: Err("could not read the request".into()) };
    for source in [unread, source("{")] {
        let InvalidRequest(faults) = Request::read(Some(&source), &flags, around).expect_err("unreadable");
        assert_eq!(faults.len(), 2, "whether account and date are missing is unknown: {faults:?}");
        assert!(faults[1].contains("2026-02-30"), "{faults:?}");
        let InvalidRequest(faults) =
            Request::read(Some(&source), &Flags::default(), around).expect_err("unreadable");
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
    // Without the accounts file it is unknown which accounts exist.
    let flags = Flags { account_names: vec!["data".into()], when: day("2026-10-01"), ..Flags::default() };
    assert!(Request::read(None, &flags, around).is_ok());
}

#[test]
fn the_first_of_a_month_is_not_over_on_the_first() {
    let error = read_at("2026-11-01T12:00:00Z", "{}", &Flags::default(), &Accounts::default());
    assert!(
        error
            .expect_err("too early")
            .contains("the first of this month is not over; pass --date or run tomorrow")
    );
}

#[test]
fn an_accounts_file_defines_the_known_and_the_default_accounts() {
    let file = "[[account]]\nname='data'\n[[account]]\nname='rare'\ndefault=false\n";
    let accounts = Accounts::parse(file).expect("valid");
    let mut around = Surroundings {
        now: NOW.parse().expect("a moment"),
        accounts: Some(&accounts),
        default_accounts: &[],
    };
    let request = Request::read(None, &Flags::default(), around).expect("valid");
    assert_eq!(names(&request), ["data"]);
    assert_eq!(
        request.describe(),
        "accounts: the request names none, so 1 default account of the accounts file"
    );
    let rare = ["rare".to_owned()];
    around.default_accounts = &rare;
    let request = Request::read(None, &Flags::default(), around).expect("valid");
    assert_eq!(names(&request), ["rare"], "the variable beats the file");
    let error = read_at(NOW, r#"{"account_name":"dat"}"#, &Flags::default(), &accounts);
    assert!(
        error.expect_err("unknown").contains("account dat: is not in the accounts file; correct the name")
    );
}

#[test]
fn oversized_jobs_are_reported_once() {
    let text = json!({"account_name": ["a", "b", "c"], "remark": "x".repeat(MAX_BYTES)}).to_string();
    let error = read(&text).expect_err("too large");
    assert!(error.contains("account a: its job has"), "{error}");
    assert!(error.contains("make the attributes smaller (and 2 more jobs)"), "{error}");
}

/// A key, an invalid value for it, and the expected fault. Those of `account_name` go into one list.
const FAULTS: [(&str, &str, &str); 8] = [
    ("account_name", r#""../x""#, "account name \"../x\" is not well-formed"),
    ("account_name", r#""${HOME}""#, "account name \"${HOME}\" is not well-formed"),
    ("account_name", r#""data""#, "account data: is listed twice"),
    ("account_name", "7", "account_name has a number in its list"),
    ("date", r#""2026-02-30""#, "is not a calendar day"),
    ("dataset", r#""s4""#, "dataset \"s4\" is unknown"),
    ("run_id", r#""r""#, "\"run_id\" is not an attribute"),
    ("acount_name", r#""x""#, "attribute \"acount_name\" looks like account_name"),
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15..1e15).prop_map(|number: f64| Value::from(number)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_request_or_a_message(text in "(?s:.*)|[{}\\[\\]\":,0-9a-z\\\\]*") {
        if let Err(message) = read(&text) {
            prop_assert!(message.starts_with("the request is not valid:\n  "), "{}", message);
        }
    }

    #[test]
    fn any_object_is_jobs_that_a_worker_reads_or_a_message(
        object in prop::collection::btree_map("account_names?|date|dataset|run_id|[a-z_]{0,12}", any_json(), 0..6)
    ) {
        match read(&json!(object).to_string()) {
            Ok(request) => {
                prop_assert!(!object.contains_key("run_id"));
                prop_assert!(!request.accounts.is_empty() && !request.datasets.is_empty());
                for job in request.jobs(&RunId::generate()) {
                    let body = job.body();
                    prop_assert!(body.len() <= MAX_BYTES);
                    let envelope = Envelope { message_id: "0a1b2c3d", sent_at: None, date: None, run_id: None };
                    prop_assert_eq!(Job::parse(&body, envelope).expect("a job"), job);
                }
                let again = read(&Value::from(request.to_json()).to_string()).expect("its own text");
                // The day of a default is written down.
                let when = again.when.clone();
                prop_assert_eq!(again, Request { accounts_from: AccountsFrom::Request, when, ..request });
            }
            Err(message) => prop_assert!(message.starts_with("the request is not valid:\n  "), "{}", message),
        }
    }

    /// Each fault is reported, whatever the others are, and nothing else is.
    #[test]
    fn every_fault_is_reported_and_no_other(present in prop::collection::vec(any::<bool>(), FAULTS.len())) {
        let chosen = || FAULTS.iter().zip(&present);
        let mut object = json!({"account_name": ["data"], "ticket": "OPS-7"});
        let mut names = vec![json!("data")];
        for ((key, value, _), _) in chosen().filter(|(_, present)| **present) {
            let value: Value = serde_json::from_str(value).expect("JSON");
            if *key == "account_name" { names.push(value) } else { object[*key] = value }
        }
        object["account_name"] = names.into();
        let message = read(&object.to_string()).err().unwrap_or_default();
        for ((_, _, fault), present) in chosen() {
            prop_assert_eq!(message.contains(fault), *present, "{}\nand {}", message, fault);
        }
        let lines = message.lines().skip(1).count();
        prop_assert_eq!(lines, present.iter().filter(|present| **present).count());
    }

    #[test]
    fn attributes_reach_every_job_unchanged(
        attributes in prop::collection::hash_map("[a-z]{9,12}_x", any_json(), 0..5)
    ) {
        // A hash map makes the order arbitrary; it must be kept.
        let attributes: Map<String, Value> = attributes.into_iter().collect();
        let request = read(&Value::from(attributes.clone()).to_string()).expect("valid");
        for job in request.jobs(&RunId::generate()) {
            let body: Value = serde_json::from_str(&job.body()).expect("JSON");
            let carried: Vec<_> = body.as_object().expect("an object").iter().skip(4).collect();
            prop_assert_eq!(carried, attributes.iter().collect::<Vec<_>>());
        }
    }
}
