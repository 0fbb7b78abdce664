// SPDX-License-Identifier: Apache-2.0
//! ECS over awsJson 1.1: a service's desired count, read and set.
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html>

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::gateway::Call;
use crate::identity::partition;
use crate::reply::{Reply, ServiceError, json_1_1, parse_json, unknown_operation};
use crate::world::World;

/// Which service: names are unique in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServiceId {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) cluster: String,
    pub(crate) name: String,
}

impl ServiceId {
    pub(crate) fn arn(&self) -> String {
        let Self { account, region, cluster, name } = self;
        format!("arn:{}:ecs:{region}:{account}:service/{cluster}/{name}", partition(region))
    }

    fn cluster_arn(&self) -> String {
        let Self { account, region, cluster, .. } = self;
        format!("arn:{}:ecs:{region}:{account}:cluster/{cluster}", partition(region))
    }
}

/// Every service of every account, with its desired count.
#[derive(Default)]
pub(crate) struct Services {
    desired: RwLock<HashMap<ServiceId, u32>>,
}

impl Services {
    pub(crate) fn set(&self, id: ServiceId, desired: u32) {
        self.desired.write().unwrap_or_else(PoisonError::into_inner).insert(id, desired);
    }

    pub(crate) fn desired(&self, id: &ServiceId) -> Option<u32> {
        self.desired.read().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn has_cluster(&self, of: &ServiceId) -> bool {
        let all = self.desired.read().unwrap_or_else(PoisonError::into_inner);
        all.keys().any(|id| id.cluster_arn() == of.cluster_arn())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    cluster: Option<String>,
    #[serde(default)]
    services: Vec<String>,
    service: Option<String>,
    desired_count: Option<i64>,
}

impl Input {
    /// The service of a name or an ARN, in the caller's account.
    fn id(&self, call: &Call, service: &str) -> ServiceId {
        let last = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
        ServiceId {
            account: call.account().to_owned(),
            region: call.region.clone(),
            cluster: self.cluster.as_deref().map_or_else(|| "default".to_owned(), last),
            name: last(service),
        }
    }
}

/// The name of the service, for faults, denials and the log.
pub(crate) fn target(call: &Call, body: &Bytes) -> Option<String> {
    let input: Input = serde_json::from_slice(body).ok()?;
    let service = input.service.as_ref().or(input.services.first())?;
    Some(input.id(call, service).name)
}

pub(crate) fn serve(world: &World, call: &Call, body: &Bytes) -> Result<Reply, ServiceError> {
    let input: Input = parse_json(body)?;
    match call.operation.as_str() {
        "DescribeServices" => describe(world, call, &input),
        "UpdateService" => update(world, call, &input),
        other => Err(unknown_operation(other)),
    }
}

fn describe(world: &World, call: &Call, input: &Input) -> Result<Reply, ServiceError> {
    if input.services.is_empty() || input.services.len() > 10 {
        return Err(invalid("services must hold 1 to 10 names."));
    }
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in &input.services {
        let id = input.id(call, name);
        check_cluster(world, &id)?;
        match world.services.desired(&id) {
            Some(desired) => services.push(shown(&id, desired)),
            None => failures.push(json!({ "arn": id.arn(), "reason": "MISSING" })),
        }
    }
    Ok(json_1_1(&json!({ "services": services, "failures": failures })))
}

fn update(world: &World, call: &Call, input: &Input) -> Result<Reply, ServiceError> {
    let id = input.id(call, input.service.as_deref().ok_or_else(|| invalid("service must not be null."))?);
    check_cluster(world, &id)?;
    let before = world
        .services
        .desired(&id)
        .ok_or_else(|| ServiceError::new("ServiceNotFoundException", "Service not found."))?;
    let desired = match input.desired_count {
        None => before,
        Some(count) => u32::try_from(count).map_err(|_| invalid("desiredCount must not be negative."))?,
    };
    world.services.set(id.clone(), desired);
    Ok(json_1_1(&json!({ "service": shown(&id, desired) })))
}

/// Tasks start and stop at once here.
fn shown(id: &ServiceId, desired: u32) -> Value {
    json!({
        "serviceArn": id.arn(),
        "serviceName": id.name,
        "clusterArn": id.cluster_arn(),
        "status": "ACTIVE",
        "desiredCount": desired,
        "runningCount": desired,
        "pendingCount": 0,
    })
}

fn check_cluster(world: &World, id: &ServiceId) -> Result<(), ServiceError> {
    if world.services.has_cluster(id) {
        return Ok(());
    }
    Err(ServiceError::new("ClusterNotFoundException", "Cluster not found."))
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::new("InvalidParameterException", message)
}
