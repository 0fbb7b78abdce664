// SPDX-License-Identifier: Apache-2.0
//! The tags of a dataset's resources: under which ARN each resource has them.

use std::fmt::Write;

/// The permission to read the tags of resources.
pub const GET_RESOURCES: &str = "tag:GetResources";

/// The tags of a dataset's resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// The type of the resources, as `GetResources` takes it: `ecs:service`.
    pub resource_type: String,
    pub arn: ArnPattern,
    /// The keys of which each has a column, in order. The configuration file names them.
    pub keys: Vec<String>,
}

/// What the ARN of a resource has after the account, with the values of dimensions in it:
/// `service/{ClusterName}/{ServiceName}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnPattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of the resource's dimension at this place.
    Value(usize),
}

impl ArnPattern {
    /// Parses a pattern, by the names of a resource's dimensions.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(pattern: &str, resource: &[String]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a { without a }")?;
            let Some(place) = resource.iter().position(|dimension| dimension == name) else {
                return Err(format!("has {{{name}}}, which is no dimension of the resource"));
            };
            pieces.extend([Piece::Text(text.to_owned()), Piece::Value(place)]);
            rest = after;
        }
        if pieces.is_empty() {
            return Err("has no dimension in braces, such as {QueueName}".to_owned());
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }

    /// What the ARN of a resource with these values has after the account; `None` if a value is missing.
    #[must_use]
    pub fn of(&self, values: &[&str]) -> Option<String> {
        self.0.iter().try_fold(String::new(), |mut arn, piece| {
            arn.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Value(place) => values.get(*place)?,
            });
            Some(arn)
        })
    }

    /// The pattern as it is written in a dataset's file.
    #[must_use]
    pub fn shown(&self, resource: &[String]) -> String {
        self.0.iter().fold(String::new(), |mut shown, piece| {
            let _ = match piece {
                Piece::Text(text) => write!(shown, "{text}"),
                Piece::Value(place) => {
                    write!(shown, "{{{}}}", resource.get(*place).map_or("", String::as_str))
                }
            };
            shown
        })
    }
}

/// What an ARN has after the account: `arn:partition:service:region:account:resource`.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[must_use]
pub fn resource_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.splitn(5, ':').nth(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(pattern: &str, resource: &[&str]) -> Result<ArnPattern, String> {
        let resource: Vec<String> = resource.iter().map(|name| (*name).to_owned()).collect();
        ArnPattern::parse(pattern, &resource)
    }

    #[test]
    fn a_pattern_has_values_in_the_places_of_their_dimensions() {
        for (text, resource, values, expected) in [
            (
                "service/{ClusterName}/{ServiceName}",
                &["ClusterName", "ServiceName"][..],
                &["main", "web"][..],
                "service/main/web",
            ),
            ("function:{FunctionName}", &["FunctionName"], &["f"], "function:f"),
            (
                "{TargetGroup}",
                &["LoadBalancer", "TargetGroup"],
                &["app/a/1", "targetgroup/t/2"],
                "targetgroup/t/2",
            ),
            ("table/{TableName}", &["TableName", "Operation"], &["t", "Scan"], "table/t"),
        ] {
            assert_eq!(pattern(text, resource).expect("valid").of(values).as_deref(), Some(expected));
        }
        assert_eq!(pattern("{A}/{B}", &["A", "B"]).expect("valid").of(&["a"]), None);
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_named() {
        for (text, expected) in [
            ("queue", "has no dimension in braces, such as {QueueName}"),
            ("queue/{A", "has a { without a }"),
            ("queue/{B}", "has {B}, which is no dimension of the resource"),
        ] {
            assert_eq!(pattern(text, &["A"]).expect_err("not valid"), expected);
        }
    }

    #[test]
    fn the_resource_of_an_arn_may_have_colons_and_no_account() {
        for (arn, expected) in [
            ("arn:aws:lambda:eu-west-1:111111111111:function:f", Some("function:f")),
            ("arn:aws-cn:s3:::bucket", Some("bucket")),
            ("arn:aws:sqs:eu-west-1:111111111111", None),
            ("function:f", None),
        ] {
            assert_eq!(resource_of(arn), expected, "{arn}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_found_again_under_its_arn(cluster in "[!-~]{1,40}", service in "\\PC{1,40}") {
            let pattern = pattern("service/{Cluster}/{Service}", &["Cluster", "Service"]).expect("valid");
            let arn = format!("arn:aws:ecs:eu-west-1:111111111111:service/{cluster}/{service}");
            let found = pattern.of(&[&cluster, &service]);
            prop_assert_eq!(found.as_deref(), resource_of(&arn));
        }
    }
}
