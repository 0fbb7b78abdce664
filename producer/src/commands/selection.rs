// SPDX-License-Identifier: Apache-2.0
//! The flags that select dead letters.

use clap::Args;
use fleet::{AccountName, Reason, RunQuery, account::InvalidAccountName};

use crate::dead_letters::selection::Selection;

/// Which dead letters are meant. What is said by several flags must all apply.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Only those of this account; may be repeated, or be a list with commas.
    #[arg(
        long,
        env = "FLEET_ACCOUNT_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = account_name
    )]
    account_name: Vec<AccountName>,

    /// Only those of this run; an unambiguous beginning of at least eight characters will do.
    #[arg(long, env = "FLEET_RUN_ID", value_name = "ID")]
    run_id: Option<RunQuery>,

    /// Only those with this reason, as `producer failed` names it, such as `access_denied`; may be repeated,
    /// or be a list with commas.
    #[arg(
        long,
        env = "FLEET_REASON",
        value_name = "CODE",
        value_delimiter = ',',
        value_parser = reason
    )]
    reason: Vec<Reason>,
}

impl From<SelectionArgs> for Selection {
    fn from(args: SelectionArgs) -> Self {
        Self { accounts: args.account_name, run: args.run_id, reasons: args.reason }
    }
}

fn account_name(text: &str) -> Result<AccountName, InvalidAccountName> {
    text.trim().parse()
}

fn reason(text: &str) -> Result<Reason, String> {
    let dead = || Reason::ALL.into_iter().filter(|reason| !reason.is_of_the_worker());
    dead().find(|reason| reason.code() == text.trim()).ok_or_else(|| {
        let codes: Vec<&str> = dead().map(Reason::code).collect();
        format!("no dead letter has this reason; there are {}", codes.join(", "))
    })
}
