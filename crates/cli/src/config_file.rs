// SPDX-License-Identifier: Apache-2.0
//! The flag that names the configuration file, for commands that need its datasets alone.

use aws_config::SdkConfig;
use clap::{Args, builder::NonEmptyStringValueParser};
use fleet::{aws, configuration::Configuration, settings::Value};

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
        self.take(faults, |_| Some(())).await;
    }

    /// The same, and takes something of its list of sinks; `None` if no file is named, or with a fault.
    pub async fn take<T: 'static>(
        &self,
        faults: &mut Faults,
        sinks: impl Fn(Option<&Value<'_>>) -> Option<T> + Send + Sync + 'static,
    ) -> Option<T> {
        let location = self.config.as_ref()?;
        let read = async {
            // A file on disk needs nothing of AWS.
            let base =
                if location.starts_with("s3://") { aws::base().await? } else { SdkConfig::builder().build() };
            Configuration::find(location, &base, Box::new(sinks)).await?.read().await
        };
        faults.at_start(read.await).flatten()
    }
}
