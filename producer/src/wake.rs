// SPDX-License-Identifier: Apache-2.0
//! Starts workers: raises the desired count of their ECS service from 0 to 1, so that jobs need not wait
//! minutes for the alarm that does the same. The alarms start further workers and stop all of them.

use std::{fmt, str::FromStr};

use anyhow::{Context, anyhow, bail};
use aws_config::SdkConfig;
use fleet::{ErrorKind, aws, json_service::JsonOperation};
use serde_json::{Value, json};

/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html>
const DESCRIBE: JsonOperation = JsonOperation {
    service: "ecs",
    id: "ECS",
    target: "AmazonEC2ContainerServiceV20141113.DescribeServices",
    action: "ecs:DescribeServices",
};

/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html>
const UPDATE: JsonOperation = JsonOperation {
    service: "ecs",
    id: "ECS",
    target: "AmazonEC2ContainerServiceV20141113.UpdateService",
    action: "ecs:UpdateService",
};

/// The ECS service whose tasks are the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    cluster: String,
    name: String,
    /// The region, if given by an ARN.
    region: Option<String>,
}

/// The state in which the service was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// It had no worker, and one was started.
    Now,
    /// It has, or is about to have, this many workers.
    Already(u64),
}

impl FromStr for Service {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (region, path) = match text.strip_prefix("arn:") {
            None => (None, text),
            Some(arn) => {
                let parts: Vec<&str> = arn.splitn(5, ':').collect();
                match &parts[..] {
                    [_, "ecs", region, _, resource] if aws::is_region(region) => {
                        (Some((*region).to_owned()), resource.strip_prefix("service/").unwrap_or_default())
                    }
                    _ => bail!("{}", form_error(text)),
                }
            }
        };
        let is_name = |name: &str| {
            (1..=255).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        match path.split_once('/') {
            Some((cluster, name)) if is_name(cluster) && is_name(name) => {
                Ok(Self { cluster: cluster.into(), name: name.into(), region })
            }
            _ => bail!("{}", form_error(text)),
        }
    }
}

fn form_error(text: &str) -> String {
    format!(
        "{text:?} is not an ECS service; write CLUSTER/SERVICE, or its ARN with the cluster in it, such as \
         arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker"
    )
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
    }
}

/// Starts a worker if the service has none. ECS has no conditional update: if an alarm raises the count
/// at the same time, its next run, a minute later, raises it again.
pub(crate) async fn wake(config: &SdkConfig, service: &Service) -> anyhow::Result<Woken> {
    let elsewhere = service.region.as_ref().map(|region| aws::with_region(config, region));
    let config = elsewhere.as_ref().unwrap_or(config);
    let call = async |operation: JsonOperation, input: Value| {
        operation.call(config, input).await.map_err(|error| {
            let advice = match error.kind {
                ErrorKind::Denied => format!("; allow {} on this service", operation.action),
                ErrorKind::NotFound => "; correct FLEET_SERVICE".to_owned(),
                _ => String::new(),
            };
            anyhow!(error).context(format!("could not wake service {service}{advice}"))
        })
    };
    let found = call(DESCRIBE, json!({"cluster": service.cluster, "services": [service.name]})).await?;
    let desired = found.pointer("/services/0/desiredCount").and_then(Value::as_u64);
    let desired = desired.with_context(|| {
        let why = found.pointer("/failures/0/reason").and_then(Value::as_str);
        let why = why.unwrap_or("ECS returned no description");
        format!("could not wake service {service}: {why}; correct FLEET_SERVICE")
    })?;
    if desired > 0 {
        return Ok(Woken::Already(desired));
    }
    call(UPDATE, json!({"cluster": service.cluster, "service": service.name, "desiredCount": 1})).await?;
    Ok(Woken::Now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_by_its_cluster_or_its_arn() {
        let service = |region: Option<&str>| Service {
            cluster: "fleet".into(),
            name: "fleet-worker".into(),
            region: region.map(str::to_owned),
        };
        for (text, expected) in [
            ("fleet/fleet-worker", service(None)),
            ("arn:aws:ecs:eu-west-1:999999999999:service/fleet/fleet-worker", service(Some("eu-west-1"))),
            (
                "arn:aws-cn:ecs:cn-north-1:999999999999:service/fleet/fleet-worker",
                service(Some("cn-north-1")),
            ),
        ] {
            assert_eq!(text.parse::<Service>().expect(text), expected);
        }
        for text in [
            "",
            "fleet-worker",
            "a/b/c",
            "fleet/",
            "arn:aws:ecs:eu-west-1:999999999999:service/fleet-worker",
            "arn:aws:sqs:eu-west-1:999999999999:service/fleet/fleet-worker",
            "arn:aws:ecs:nowhere:999999999999:service/fleet/fleet-worker",
        ] {
            let error = text.parse::<Service>().expect_err(text).to_string();
            assert!(error.contains("write CLUSTER/SERVICE"), "{error}");
        }
    }
}
