// SPDX-License-Identifier: Apache-2.0
//! What a sink is made of.

use aws_config::SdkConfig;
use fleet::{Dataset, settings::Table};

/// The settings of one sink.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// Empty if it is wrong.
    pub(crate) name: &'a str,
    /// The datasets whose reports it takes.
    pub(crate) datasets: &'a [&'static Dataset],
    pub(crate) table: &'a Table<'a>,
    /// The process's own configuration.
    pub(crate) aws: &'a SdkConfig,
}
