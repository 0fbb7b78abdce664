// SPDX-License-Identifier: Apache-2.0
//! The flags that say when a request is about.

use clap::{Args, builder::BoolishValueParser};
use requests::when::WhenFlags;

/// When a request is about; of date, month, from and to, and last, one.
#[derive(Debug, Args)]
pub(crate) struct WhenArgs {
    /// The UTC day to report, YYYY-MM-DD [default: the first day of the current month; of a dataset of
    /// series the newest window that is settled].
    #[arg(long, env = "FLEET_DATE", value_name = "DATE")]
    date: Option<String>,

    /// All days of a month, YYYY-MM, that are settled. This and the flags below are for datasets of
    /// series.
    #[arg(long, env = "FLEET_MONTH", value_name = "MONTH")]
    month: Option<String>,

    /// The first moment to report: 2026-11-01T13:00:00Z, or a day. A window must begin there.
    #[arg(long, env = "FLEET_FROM", value_name = "TIME")]
    from: Option<String>,

    /// The moment to report up to, which is not reported itself.
    #[arg(long, env = "FLEET_TO", value_name = "TIME")]
    to: Option<String>,

    /// The windows of so long before now, such as 6h, 30d or 13mo.
    #[arg(long, env = "FLEET_LAST", value_name = "DURATION")]
    last: Option<String>,

    /// How long the window of a report is, from 1m to 1d [default: the dataset's]. Reports of another
    /// length than the dataset's have a folder of their own.
    #[arg(long, env = "FLEET_WINDOW", value_name = "DURATION")]
    window: Option<String>,

    /// Report windows that are over, even if CloudWatch may still publish values of them; else only
    /// settled ones are, but for --date.
    #[arg(long, env = "FLEET_PROVISIONAL", value_parser = BoolishValueParser::new())]
    provisional: bool,

    /// How long after a window its values are taken as final, such as 3m, in place of the dataset's
    /// time. The reports say so.
    #[arg(long, env = "FLEET_SETTLE", value_name = "DURATION")]
    settle: Option<String>,
}

impl WhenArgs {
    pub(crate) fn flags(&self) -> WhenFlags {
        let Self { date, month, from, to, last, window, settle, provisional } = self;
        WhenFlags {
            date: date.clone(),
            month: month.clone(),
            from: from.clone(),
            to: to.clone(),
            last: last.clone(),
            window: window.clone(),
            settle: settle.clone(),
            provisional: *provisional,
        }
    }
}
