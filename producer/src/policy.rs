// SPDX-License-Identifier: Apache-2.0
//! The role that the workers assume in an account: whom it trusts, and what it allows. Plain functions over values.

use std::collections::BTreeSet;

use fleet::{AccountId, Dataset};
use serde_json::{Value, json};

/// What the role is described as, where IAM shows it.
const DESCRIPTION: &str = "Assumed by cloudwatch-fleet to read CloudWatch metrics and to list what they are about; it reads no data.";

/// The name of its policy.
const POLICY: &str = "read-metrics";

/// Who may assume the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The workers' role, by its ARN.
    Role(String),
    /// Every identity of the fleet's account that is allowed to assume roles.
    Account(AccountId),
}

/// A role for the workers.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) principal: Principal,
    pub(crate) external_id: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) datasets: Vec<&'static Dataset>,
}

impl Role {
    /// Who may assume it.
    fn trust(&self) -> Value {
        let principal = match &self.principal {
            Principal::Role(arn) => arn.clone(),
            Principal::Account(id) => format!("arn:aws:iam::{id}:root"),
        };
        let mut conditions = serde_json::Map::new();
        for (key, value) in
            [("sts:ExternalId", &self.external_id), ("aws:PrincipalOrgID", &self.organization)]
        {
            conditions.extend(value.iter().map(|value| (key.to_owned(), json!(value))));
        }
        let mut statement = json!({
            "Sid": "AssumedByTheWorker",
            "Effect": "Allow",
            "Principal": { "AWS": principal },
            "Action": "sts:AssumeRole",
        });
        if let (false, Some(statement)) = (conditions.is_empty(), statement.as_object_mut()) {
            statement.insert("Condition".into(), json!({ "StringEquals": conditions }));
        }
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    }

    /// What it allows: the actions of its datasets, on `*`, since none of them has a narrower resource.
    fn permissions(&self) -> Value {
        let of_each = self.datasets.iter();
        let actions: BTreeSet<&str> =
            of_each.flat_map(|dataset| dataset.permissions().chain(dataset.optional_permissions())).collect();
        json!({
            "Version": "2012-10-17",
            "Statement": [{ "Sid": "ReadMetrics", "Effect": "Allow", "Action": actions, "Resource": "*" }],
        })
    }

    /// Both policies, as the AWS CLI takes them.
    pub(crate) fn json(&self) -> String {
        let both = json!({
            "role_name": self.name,
            "trust_policy": self.trust(),
            "permissions_policy": self.permissions(),
        });
        format!("{both:#}\n")
    }

    /// The role for Terraform.
    pub(crate) fn terraform(&self) -> String {
        let [trust, permissions] = [self.trust(), self.permissions()].map(|policy| indented(&policy, "  "));
        format!(
            "\
resource \"aws_iam_role\" \"cloudwatch_fleet_reader\" {{
  name                 = \"{}\"
  description          = \"{DESCRIPTION}\"
  max_session_duration = 3600

  assume_role_policy = jsonencode({trust})
}}

resource \"aws_iam_role_policy\" \"cloudwatch_fleet_reader\" {{
  name = \"{POLICY}\"
  role = aws_iam_role.cloudwatch_fleet_reader.name

  policy = jsonencode({permissions})
}}
",
            self.name
        )
    }

    /// The role for CloudFormation: YAML, in which JSON is valid too.
    pub(crate) fn cloudformation(&self) -> String {
        let trust = indented(&self.trust(), "        ");
        let permissions = indented(&self.permissions(), "            ");
        format!(
            "\
AWSTemplateFormatVersion: '2010-09-09'
Description: The role that cloudwatch-fleet assumes in this account.
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: {}
      Description: {DESCRIPTION}
      MaxSessionDuration: 3600
      AssumeRolePolicyDocument:
        {trust}
      Policies:
        - PolicyName: {POLICY}
          PolicyDocument:
            {permissions}
Outputs:
  RoleArn:
    Value:
      Fn::GetAtt: [Role, Arn]
",
            self.name
        )
    }
}

/// A policy as JSON over several lines, of which all but the first begin with `margin`.
fn indented(policy: &Value, margin: &str) -> String {
    format!("{policy:#}").replace('\n', &format!("\n{margin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(datasets: &[&str]) -> Role {
        Role {
            name: "cloudwatch-fleet-reader".into(),
            principal: Principal::Role("arn:aws:iam::999999999999:role/fleet-worker".into()),
            external_id: Some("fleet-7".into()),
            organization: Some("o-exampleorgid".into()),
            datasets: datasets.iter().flat_map(|name| Dataset::named(name)).collect(),
        }
    }

    #[test]
    fn it_allows_what_its_datasets_need_and_nothing_else() {
        let actions = |datasets: &[&str]| role(datasets).permissions()["Statement"][0]["Action"].clone();
        assert_eq!(
            actions(&["s3_daily_storage"]),
            json!([
                "cloudwatch:GetMetricData",
                "cloudwatch:ListMetrics",
                "s3:ListAllMyBuckets",
                "s3express:ListAllMyDirectoryBuckets"
            ])
        );
        let of_group = json!(["account:ListRegions", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics"]);
        assert_eq!(actions(&["elb"]), of_group);
    }

    #[test]
    fn it_trusts_whom_it_says_under_all_conditions() {
        let statement = |role: &Role| role.trust()["Statement"][0].clone();
        let whole = statement(&role(&["sqs"]));
        assert_eq!(whole["Principal"]["AWS"], "arn:aws:iam::999999999999:role/fleet-worker");
        let conditions = json!({"sts:ExternalId": "fleet-7", "aws:PrincipalOrgID": "o-exampleorgid"});
        assert_eq!(whole["Condition"]["StringEquals"], conditions);
        let account = Principal::Account("999999999999".parse().expect("an id"));
        let bare = Role { principal: account, external_id: None, organization: None, ..role(&["sqs"]) };
        let bare = statement(&bare);
        assert_eq!(bare["Principal"]["AWS"], "arn:aws:iam::999999999999:root");
        assert!(bare.get("Condition").is_none());
    }

    #[test]
    fn each_format_has_both_policies() {
        let role = role(&["sqs"]);
        let json: Value = serde_json::from_str(&role.json()).expect("JSON");
        assert_eq!(
            (&json["trust_policy"], &json["permissions_policy"]),
            (&role.trust(), &role.permissions())
        );
        for text in [role.terraform(), role.cloudformation()] {
            for policy in [role.trust(), role.permissions()] {
                let found: String = text.split_whitespace().collect();
                let policy: String = policy.to_string().split_whitespace().collect();
                assert!(found.contains(&policy), "{text}");
            }
        }
    }
}
