// SPDX-License-Identifier: Apache-2.0
//! The flags that start workers once jobs are sent.

use aws_config::SdkConfig;
use clap::{Args, builder::BoolishValueParser};
use cli::{faults::Faults, telemetry::NOTICE};

use crate::wake::{Service, Woken, wake};

/// Whether and how to start workers.
#[derive(Debug, Args)]
pub(crate) struct WakeArgs {
    /// Once jobs are sent, give the workers' ECS service a task if it has none, minutes before its alarm
    /// does; needs ecs:DescribeServices and ecs:UpdateService.
    #[arg(long, env = "FLEET_WAKE", value_parser = BoolishValueParser::new())]
    wake: bool,

    /// The ECS service whose tasks are the workers, for --wake: CLUSTER/SERVICE, or its ARN.
    #[arg(long, env = "FLEET_SERVICE", value_name = "CLUSTER/SERVICE|ARN", help_heading = "Deployment")]
    service: Option<Service>,
}

impl WakeArgs {
    /// Refuses `--wake` if no service is named.
    pub(crate) fn check(&self, faults: &mut Faults) {
        if self.wake && self.service.is_none() && !faults.left_out("service") {
            faults.usage("--wake needs the workers' ECS service; set FLEET_SERVICE or pass --service");
        }
    }

    /// Starts a worker if `--wake` is set and at least one job was sent.
    pub(crate) async fn wake(&self, config: &SdkConfig, sent: usize) -> anyhow::Result<()> {
        let Some(service) = self.service.as_ref().filter(|_| self.wake && sent > 0) else { return Ok(()) };
        match wake(config, service).await {
            Ok(Woken::Now) => {
                tracing::info!(target: NOTICE, "service {service} starts a worker, which takes a minute or two");
            }
            Ok(Woken::Already(desired)) => {
                tracing::debug!(desired, "service {service} already has workers");
            }
            Err(error) => {
                return Err(error.context(
                    "the jobs are sent; the alarm starts workers for them within a quarter of an hour",
                ));
            }
        }
        Ok(())
    }
}
