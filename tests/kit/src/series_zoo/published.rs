// SPDX-License-Identifier: Apache-2.0
//! The dimensions under which AWS publishes the metrics of each dataset of series, as its documentation has them.

/// Where a dataset's series are, and what lies beside them.
#[derive(Debug)]
pub struct Published {
    pub dataset: &'static str,
    pub namespace: &'static str,
    /// The dimensions that tell its resources apart, in the order of the report.
    pub resource: &'static [&'static str],
    /// Other dimensions that the same metrics are published with: the same values again, added up or split up.
    pub others: &'static [&'static [&'static str]],
}

const fn published(
    dataset: &'static str,
    namespace: &'static str,
    resource: &'static [&'static str],
    others: &'static [&'static [&'static str]],
) -> Published {
    Published { dataset, namespace, resource, others }
}

const CURRENCY: &str = "Currency";
const LINKED: &str = "LinkedAccount";
const SERVICE: &str = "ServiceName";
const TABLE: &str = "TableName";
const INDEX: &str = "GlobalSecondaryIndexName";
const OPERATION: &str = "Operation";
const CLUSTER: &str = "ClusterName";
const FAMILY: &str = "TaskDefinitionFamily";
const ZONE: &str = "AvailabilityZone";
const BALANCER: &str = "LoadBalancer";
const GROUP: &str = "TargetGroup";
const FUNCTION: &str = "FunctionName";
const GATEWAY: &str = "TransitGateway";
const ATTACHMENT: &str = "TransitGatewayAttachment";
const DB_CLUSTER: &str = "DBClusterIdentifier";

/// Not all metrics of a dataset have all of its other dimensions in AWS. The account's own metrics have none: theirs are made
/// up, and so are those of S3 requests.
#[rustfmt::skip]
pub const PUBLISHED: [Published; 39] = [
    published("billing_total", "AWS/Billing", &[CURRENCY], &[&[CURRENCY, SERVICE], &[CURRENCY, LINKED], &[CURRENCY, LINKED, SERVICE]]),
    published("billing_service", "AWS/Billing", &[SERVICE, CURRENCY], &[&[CURRENCY], &[CURRENCY, LINKED], &[CURRENCY, LINKED, SERVICE]]),
    published("billing_linked_account", "AWS/Billing", &[LINKED, CURRENCY], &[&[CURRENCY], &[CURRENCY, SERVICE], &[CURRENCY, LINKED, SERVICE]]),
    published("billing_linked_account_service", "AWS/Billing", &[LINKED, SERVICE, CURRENCY], &[&[CURRENCY], &[CURRENCY, SERVICE], &[CURRENCY, LINKED]]),
    published("dynamodb_account", "AWS/DynamoDB", &[], &[&[TABLE]]),
    published("dynamodb_index", "AWS/DynamoDB", &[TABLE, INDEX], &[&[TABLE], &[INDEX, "Source", TABLE], &["Source", TABLE]]),
    published("dynamodb_kinesis", "AWS/DynamoDB", &[TABLE, "DelegatedOperation"], &[&[TABLE]]),
    published("dynamodb_operation", "AWS/DynamoDB", &[TABLE, OPERATION], &[&[OPERATION, "OperationType", TABLE], &[OPERATION, TABLE, "Verb"]]),
    published("dynamodb_replica", "AWS/DynamoDB", &[TABLE, "ReceivingRegion"], &[&[TABLE]]),
    published("dynamodb_table", "AWS/DynamoDB", &[TABLE], &[&[INDEX, TABLE], &["Source", TABLE], &[INDEX, "Source", TABLE], &[OPERATION, TABLE]]),
    published("ebs_attachment", "AWS/EBS", &["VolumeId", "InstanceId"], &[&["VolumeId"]]),
    published("ebs_volume", "AWS/EBS", &["VolumeId"], &[&["InstanceId", "VolumeId"]]),
    published("ec2", "AWS/EC2", &["InstanceId"], &[&["ImageId", "InstanceId", "InstanceType"], &["AutoScalingGroupName"], &["ImageId"], &["InstanceType"], &[]]),
    published("ecs_cluster", "AWS/ECS", &[CLUSTER], &[&[CLUSTER, SERVICE]]),
    published("ecs_service", "AWS/ECS", &[CLUSTER, SERVICE], &[&[CLUSTER]]),
    published("ecs_service_connect", "AWS/ECS", &[CLUSTER, SERVICE, "DiscoveryName"], &[&["DiscoveryName"], &[CLUSTER, SERVICE]]),
    published("ecs_service_connect_target", "AWS/ECS", &[CLUSTER, SERVICE, "TargetDiscoveryName"], &[&["TargetDiscoveryName"], &[CLUSTER, SERVICE]]),
    published("ecs_container_insights_cluster", "ECS/ContainerInsights", &[CLUSTER], &[&[CLUSTER, SERVICE], &[CLUSTER, FAMILY]]),
    published("ecs_container_insights_service", "ECS/ContainerInsights", &[CLUSTER, SERVICE], &[&[CLUSTER], &[CLUSTER, FAMILY]]),
    published("elb_application", "AWS/ApplicationELB", &[BALANCER], &[&[ZONE, BALANCER], &[BALANCER, GROUP], &[ZONE, BALANCER, GROUP], &[GROUP]]),
    published("elb_application_target", "AWS/ApplicationELB", &[BALANCER, GROUP], &[&[BALANCER], &[GROUP], &[ZONE, GROUP], &[ZONE, BALANCER, GROUP]]),
    published("elb_classic", "AWS/ELB", &["LoadBalancerName"], &[&[ZONE, "LoadBalancerName"]]),
    published("elb_network", "AWS/NetworkELB", &[BALANCER], &[&[ZONE, BALANCER], &[BALANCER, GROUP], &[ZONE, BALANCER, GROUP]]),
    published("elb_network_target", "AWS/NetworkELB", &[BALANCER, GROUP], &[&[BALANCER], &[ZONE, BALANCER, GROUP]]),
    published("lambda_account", "AWS/Lambda", &[], &[&[FUNCTION]]),
    published("lambda_function", "AWS/Lambda", &[FUNCTION], &[&[FUNCTION, "Resource"], &["ExecutedVersion", FUNCTION, "Resource"], &[]]),
    published("natgateway", "AWS/NATGateway", &["NatGatewayId"], &[&[ZONE, "NatGatewayId"]]),
    // AWS spells the dimension of a cluster in two ways.
    published("rds_cluster", "AWS/RDS", &[DB_CLUSTER], &[&["DbClusterIdentifier", "EngineName"], &["DbClusterIdentifier"], &[DB_CLUSTER, "Role"]]),
    published("rds_instance", "AWS/RDS", &["DBInstanceIdentifier"], &[&[DB_CLUSTER], &[DB_CLUSTER, "Role"], &["DatabaseClass"], &["EngineName"], &[]]),
    published("s3_request", "AWS/S3", &["BucketName", "FilterId"], &[&["BucketName", "StorageType"]]),
    published("sns_account", "AWS/SNS", &[], &[&["Country", "SMSType"]]),
    published("sns_sms", "AWS/SNS", &["Country", "SMSType"], &[&["PhoneNumber"], &[]]),
    published("sns_topic", "AWS/SNS", &["TopicName"], &[&["Application", "Platform"], &["Application"], &["Platform"], &["PhoneNumber"], &["Country", "SMSType"]]),
    published("sqs", "AWS/SQS", &["QueueName"], &[]),
    published("transitgateway_attachment", "AWS/TransitGateway", &[GATEWAY, ATTACHMENT], &[&[GATEWAY], &[ZONE, GATEWAY, ATTACHMENT], &[ATTACHMENT]]),
    published("transitgateway_gateway", "AWS/TransitGateway", &[GATEWAY], &[&[ZONE, GATEWAY], &[GATEWAY, ATTACHMENT], &[ZONE, GATEWAY, ATTACHMENT]]),
    published("usage", "AWS/Usage", &["Service", "Type", "Resource", "Class"], &[]),
    published("vpn_connection", "AWS/VPN", &["VpnId"], &[&["TunnelIpAddress"], &[]]),
    published("vpn_tunnel", "AWS/VPN", &["TunnelIpAddress"], &[&["VpnId"], &[]]),
];

/// What Lambda Insights has of a function, in a namespace of its own.
const INSIGHTS: [&str; 4] = ["memory_utilization", "used_memory_max", "total_memory", "init_duration"];

impl Published {
    /// The namespace of a metric, and what it calls the dimensions of the resource.
    pub fn place_of(&self, metric: &str) -> (&'static str, &'static [&'static str]) {
        if self.dataset == "lambda_function" && INSIGHTS.contains(&metric) {
            ("LambdaInsights", &["function_name"])
        } else {
            (self.namespace, self.resource)
        }
    }
}

/// What AWS publishes for a dataset.
pub fn of(dataset: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|known| known.dataset == dataset)
}
