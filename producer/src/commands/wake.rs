//! The flags that wake the workers once jobs are sent.

use aws_config::SdkConfig;
use clap::{Args, builder::BoolishValueParser};
use cli::{faults::Faults, telemetry::NOTICE};

use crate::wake::{Service, Woken, wake};

/// Whether, and how, the workers are woken.
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

    /// Wakes the workers if that is wanted and so many jobs, more than none, were sent.
    pub(crate) async fn wake(&self, config: &SdkConfig, sent: usize) -> anyhow::Result<()> {
        let Some(service) = self.service.as_ref().filter(|_| self.wake && sent > 0) else { return Ok(()) };
        match wake(config, service).await {
            Ok(Woken::Now) => {
                tracing::info!(target: NOTICE, "service {service} is given a worker, which starts in a minute or two");
            }
            Ok(Woken::Already(desired)) => {
                tracing::debug!(desired, "service {service} is awake");
            }
            Err(error) => {
                return Err(error.context(
                    "the jobs are sent, and will wait for the alarm that starts workers, for up to a quarter of an hour",
                ));
            }
        }
        Ok(())
    }
}
