// SPDX-License-Identifier: Apache-2.0
//! `producer policy`: the role that an account's owner creates for the workers.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use cli::{
    config_file::ConfigFile,
    destination::Destination,
    exit::{CommandError, Outcome},
    faults::Faults,
    telemetry::NOTICE,
};
use fleet::{AccountId, Dataset, accounts::role_account, aws, datasets, json_service::JsonOperation};
use serde_json::{Value, json};

use crate::policy::{Principal, Role};

/// Source: <https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeOrganization.html>
const DESCRIBE_ORGANIZATION: JsonOperation = JsonOperation {
    service: "organizations",
    id: "Organizations",
    target: "AWSOrganizationsV20161128.DescribeOrganization",
    action: "organizations:DescribeOrganization",
};

/// Where AWS has the service for its commercial regions.
const ORGANIZATIONS_REGION: &str = "us-east-1";

/// The word that has the organization looked up.
const OWN: &str = "own";

/// Writes the role that the workers assume in an account: whom it trusts, and what it allows.
///
/// It allows what the chosen datasets need and nothing else; `worker check` shows afterwards whether it works. Asks AWS
/// nothing, unless the organization is to be looked up.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
#[expect(clippy::doc_markdown, reason = "these comments are the help that people read in a terminal")]
pub(crate) struct PolicyArgs {
    /// The role that the workers run as, which alone may assume this one. It must exist first: IAM
    /// refuses to trust a role that does not.
    #[arg(
        long,
        env = "FLEET_WORKER_ROLE",
        value_name = "ARN",
        value_parser = worker_role,
        conflicts_with = "account_id"
    )]
    worker_role: Option<String>,

    /// The fleet's account, in which any role that is allowed sts:AssumeRole may assume this one: wider
    /// than --worker-role, for roles that are created before the workers' is.
    #[arg(long, env = "FLEET_ACCOUNT_ID", value_name = "ID")]
    account_id: Option<AccountId>,

    /// What the role is for; may be repeated [default: s3_daily_storage].
    #[arg(long, env = "FLEET_DATASET", value_name = "NAME", value_delimiter = ',')]
    dataset: Vec<String>,

    /// The external id that the workers send: external_id of the accounts file.
    #[arg(long, env = "FLEET_EXTERNAL_ID", value_name = "ID", value_parser = external_id)]
    external_id: Option<String>,

    /// The organization that the workers' account must be in: its id, or `own`, which looks up that of
    /// this shell's account.
    #[arg(long, env = "FLEET_ORGANIZATION", value_name = "o-ID|own", value_parser = organization)]
    organization: Option<String>,

    /// The role's name, the same in every account: role_name of the accounts file.
    #[arg(long, env = "FLEET_ROLE_NAME", value_name = "NAME", default_value = "cloudwatch-fleet-reader", value_parser = role_name)]
    role_name: String,

    /// How it is written.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "json")]
    format: PolicyFormat,

    /// The file to write; - is standard output.
    #[arg(long, env = "FLEET_OUTPUT", value_name = "FILE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyFormat {
    /// Both policies as JSON, for the AWS CLI.
    Json,
    Terraform,
    Cloudformation,
}

const AFTER_HELP: &str = "\
Examples:
  producer policy --worker-role arn:aws:iam::999999999999:role/fleet-worker --external-id fleet-7
  producer policy --worker-role arn:aws:iam::999999999999:role/fleet-worker --dataset ecs,elb \\
      --organization own --format terraform --output reader.tf
  producer policy --account-id 999999999999 --format cloudformation --output reader.yaml

Who may enter which account, and how that is seen: docs/security.md.";

impl PolicyArgs {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        self.config.read(&mut faults).await;
        let mut named: Vec<&'static Dataset> = Vec::new();
        for name in &self.dataset {
            match &Dataset::named(name)[..] {
                [] => faults.usage(datasets::unknown(name)),
                found => named.extend(found),
            }
        }
        if self.dataset.is_empty() {
            named.push(*datasets::DEFAULT);
        }
        let principal = self.worker_role.map(Principal::Role).or(self.account_id.map(Principal::Account));
        if principal.is_none() && !faults.left_out("worker_role") && !faults.left_out("account_id") {
            faults.usage("name the workers' role with --worker-role or, if it does not exist yet, the fleet's account with --account-id");
        }
        let destination = faults.take(Destination::open(&self.output).map_err(CommandError::Usage));
        let (destination, principal) = faults.end(destination.zip(principal))?;
        let organization = match self.organization.as_deref() {
            Some(OWN) => Some(own_organization().await?),
            other => other.map(str::to_owned),
        };
        let role = Role {
            name: self.role_name,
            principal,
            external_id: self.external_id,
            organization,
            datasets: named,
        };
        let text = match self.format {
            PolicyFormat::Json => role.json(),
            PolicyFormat::Terraform => role.terraform(),
            PolicyFormat::Cloudformation => role.cloudformation(),
        };
        destination.write(text.as_bytes())?;
        let file = self.output.display();
        let next = match self.format {
            PolicyFormat::Json => "create a role of this name with both policies in each account: `aws iam create-role`, `aws iam put-role-policy`".to_owned(),
            PolicyFormat::Terraform => "apply it in each account".to_owned(),
            PolicyFormat::Cloudformation => format!(
                "in each account: `aws cloudformation deploy --stack-name {} --capabilities CAPABILITY_NAMED_IAM --template-file {file}`",
                role.name
            ),
        };
        tracing::info!(target: NOTICE, "{next}; then `worker check --account-name NAME` shows whether it works");
        if role.external_id.is_none() && role.organization.is_none() {
            tracing::warn!(
                "neither --external-id nor --organization bounds who may assume the role besides its principal"
            );
        }
        Ok(Outcome::Done)
    }
}

/// The organization of the account whose credentials this shell has.
async fn own_organization() -> Result<String, CommandError> {
    let base = aws::with_region(&aws::base().await?, ORGANIZATIONS_REGION);
    let found = DESCRIBE_ORGANIZATION.call(&base, json!({})).await;
    let found = found.map_err(|error| {
        CommandError::Failed(anyhow!(error).context(
            "the organization can't be looked up; pass its id, which `aws organizations describe-organization` shows to who may see it",
        ))
    })?;
    let id = found.pointer("/Organization/Id").and_then(Value::as_str);
    let id = id.context("organizations:DescribeOrganization answered without an id")?;
    Ok(organization(id)?)
}

fn worker_role(text: &str) -> anyhow::Result<String> {
    let is_role = role_account(text).is_some();
    if is_role {
        Ok(text.to_owned())
    } else {
        Err(anyhow!("is not a role's ARN, such as arn:aws:iam::999999999999:role/fleet-worker"))
    }
}

/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn external_id(text: &str) -> anyhow::Result<String> {
    let is_valid = (2..=1224).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte));
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(anyhow!("an external id is of 2 to 1224 letters, digits and _+=,.@:/-"))
    }
}

fn organization(text: &str) -> anyhow::Result<String> {
    let is_id = text.strip_prefix("o-").is_some_and(|id| {
        (10..=32).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    if is_id || text == OWN {
        Ok(text.to_owned())
    } else {
        Err(anyhow!("is not an organization's id, such as o-exampleorgid, nor {OWN}"))
    }
}

/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
fn role_name(text: &str) -> anyhow::Result<String> {
    let is_valid = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(anyhow!("a role's name is of 1 to 64 letters, digits and _+=,.@-"))
    }
}
