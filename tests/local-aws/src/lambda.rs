// SPDX-License-Identifier: Apache-2.0
//! Lambda over restJson1: the functions of an account, page by page, each with its environment in clear text.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use hyper::Uri;
use serde_json::{Value, json};

use crate::gateway::Call;
use crate::reply::{Reply, ServiceError, json_1_1, unknown_operation};
use crate::world::World;

/// The most functions of a page, however many are asked for.
const MOST_A_PAGE: usize = 50;

/// What each function has in its environment, and no one else may see.
pub const FUNCTION_SECRET: &str = "s3cr3t-0f-a-functi0n";

/// A function, as far as `ListFunctions` tells of it.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    /// An image has none.
    pub runtime: Option<String>,
    pub architecture: String,
    pub memory_mb: u32,
    pub timeout_seconds: u32,
    /// As Lambda writes it: `2026-11-03T10:00:00.000+0000`.
    pub last_modified: String,
    /// Whether it runs on Managed Instances.
    pub is_on_instances: bool,
}

impl Function {
    /// A small one of Python on x86.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            runtime: Some("python3.13".to_owned()),
            architecture: "x86_64".to_owned(),
            memory_mb: 128,
            timeout_seconds: 3,
            last_modified: "2026-01-02T03:04:05.678+0000".to_owned(),
            is_on_instances: false,
        }
    }

    /// One of a crowd: most of them are alike, and some are on arm64, an image, or of a runtime that is no longer supported.
    pub(crate) fn synthetic(name: &str, number: usize) -> Self {
        let runtime = match number % 8 {
            3 => None,
            5 => Some("nodejs16.x".to_owned()),
            _ => Some("python3.13".to_owned()),
        };
        let architecture = if number % 4 == 1 { "arm64" } else { "x86_64" };
        let memory_mb = 128 << (number % 5);
        Self {
            runtime,
            architecture: architecture.to_owned(),
            memory_mb,
            timeout_seconds: 60,
            ..Self::new(name)
        }
    }

    fn described(&self, account: &str, region: &str) -> Value {
        let mut described = json!({
            "FunctionName": self.name,
            "FunctionArn": format!("arn:aws:lambda:{region}:{account}:function:{}", self.name),
            "Role": format!("arn:aws:iam::{account}:role/{}", self.name),
            "CodeSize": 1234,
            "Description": "",
            "Timeout": self.timeout_seconds,
            "MemorySize": self.memory_mb,
            "LastModified": self.last_modified,
            "Version": "$LATEST",
            "Environment": { "Variables": { "DB_PASSWORD": FUNCTION_SECRET, "STAGE": "live" } },
            "TracingConfig": { "Mode": "PassThrough" },
            "PackageType": if self.runtime.is_some() { "Zip" } else { "Image" },
            "Architectures": [self.architecture],
            "EphemeralStorage": { "Size": 512 },
        });
        if let Some(fields) = described.as_object_mut() {
            if let Some(runtime) = &self.runtime {
                fields.insert("Runtime".to_owned(), runtime.as_str().into());
                fields.insert("Handler".to_owned(), "index.handler".into());
            }
            if self.is_on_instances {
                let provider = format!("arn:aws:lambda:{region}:{account}:capacity-provider:large");
                let provider = json!({
                    "LambdaManagedInstancesCapacityProviderConfig": { "CapacityProviderArn": provider },
                });
                fields.insert("CapacityProviderConfig".to_owned(), provider);
            }
        }
        described
    }
}

/// The functions of every account and region, by name.
#[derive(Default)]
pub(crate) struct Functions {
    of: RwLock<HashMap<(String, String), BTreeMap<String, Function>>>,
}

impl Functions {
    pub(crate) fn set(&self, account: &str, region: &str, function: Function) {
        let mut of = self.of.write().unwrap_or_else(PoisonError::into_inner);
        let functions = of.entry((account.to_owned(), region.to_owned())).or_default();
        functions.insert(function.name.clone(), function);
    }

    pub(crate) fn delete(&self, account: &str, region: &str, name: &str) {
        let mut of = self.of.write().unwrap_or_else(PoisonError::into_inner);
        of.entry((account.to_owned(), region.to_owned())).or_default().remove(name);
    }

    fn of(&self, account: &str, region: &str) -> BTreeMap<String, Function> {
        let of = self.of.read().unwrap_or_else(PoisonError::into_inner);
        of.get(&(account.to_owned(), region.to_owned())).cloned().unwrap_or_default()
    }
}

/// The operation of a request, by its path.
pub(crate) fn operation(uri: &Uri) -> &'static str {
    if uri.path().trim_end_matches('/') == "/2015-03-31/functions" { "ListFunctions" } else { "" }
}

pub(crate) fn serve(world: &World, call: &mut Call, uri: &Uri) -> Result<Reply, ServiceError> {
    if call.operation != "ListFunctions" {
        return Err(unknown_operation(&call.operation));
    }
    let query: HashMap<_, _> =
        uri.query().unwrap_or_default().split('&').filter_map(|part| part.split_once('=')).collect();
    let most = match query.get("MaxItems") {
        None => MOST_A_PAGE,
        Some(most) => match most.parse() {
            Ok(most @ 1..=10_000_usize) => most.min(MOST_A_PAGE),
            _ => return Err(invalid("MaxItems must be between 1 and 10000.")),
        },
    };
    // The marker is where the next page begins.
    let from = match query.get("Marker") {
        None => 0,
        Some(marker) => marker.parse().map_err(|_| invalid("The Marker is not valid."))?,
    };
    let functions = world.functions.of(call.account(), &call.region);
    let page = functions.values().skip(from).take(most);
    let page: Vec<_> = page.map(|function| function.described(call.account(), &call.region)).collect();
    call.items = page.len();
    let next = from + page.len();
    let next = (next < functions.len()).then(|| next.to_string());
    Ok(json_1_1(&json!({ "Functions": page, "NextMarker": next })))
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::new("InvalidParameterValueException", message)
}
