// SPDX-License-Identifier: Apache-2.0
//! The flag that names the configuration file, for commands that need its datasets alone.

use aws_config::SdkConfig;
use clap::{Args, builder::NonEmptyStringValueParser};
use fleet::{aws, configuration::Configuration};

use crate::faults::Faults;

/// The configuration file.
#[derive(Debug, Default, Args)]
pub struct ConfigFile {
    /// The configuration file, whose datasets and selections are known then: a path, or an s3:// URL.
    #[arg(long, env = "FLEET_CONFIG", value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    config: Option<String>,
}

impl ConfigFile {
    /// Makes its datasets known.
    pub async fn read(&self, faults: &mut Faults) {
        let Some(location) = &self.config else { return };
        let read = async {
            // A file on disk needs nothing of AWS.
            let base =
                if location.starts_with("s3://") { aws::base().await? } else { SdkConfig::builder().build() };
            Configuration::find(location, &base, Box::new(|_| Some(()))).await?.read().await
        };
        faults.at_start(read.await);
    }
}
