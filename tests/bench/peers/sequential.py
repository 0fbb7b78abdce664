#!/usr/bin/env python3
"""The way of the Lambdas that the fleet replaces: one GetMetricStatistics for each metric of each bucket, one after the
other, in one region. Usage: sequential.py ACCOUNT DATE OUTPUT, with the account's keys in the environment."""

import csv
import os
import sys
from datetime import datetime, timedelta, timezone

import boto3

COLUMNS = [
    ("total_objects", "NumberOfObjects", "AllStorageTypes"),
    ("size_standard", "BucketSizeBytes", "StandardStorage"),
    ("size_standard_ia", "BucketSizeBytes", "StandardIAStorage"),
    ("size_one_zone_ia", "BucketSizeBytes", "OneZoneIAStorage"),
    ("size_glacier_instant", "BucketSizeBytes", "GlacierInstantRetrievalStorage"),
    ("size_glacier", "BucketSizeBytes", "GlacierStorage"),
    ("size_deep_archive", "BucketSizeBytes", "DeepArchiveStorage"),
]


def session_of(account):
    name = account.replace("-", "_")
    return boto3.Session(
        aws_access_key_id=os.environ[name + "_account_access_key"],
        aws_secret_access_key=os.environ[name + "_secret_access_key"],
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
    )


def newest(cloudwatch, bucket, metric, storage_type, midnight):
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/S3",
        MetricName=metric,
        Dimensions=[{"Name": "BucketName", "Value": bucket}, {"Name": "StorageType", "Value": storage_type}],
        StartTime=midnight,
        EndTime=midnight + timedelta(hours=5),
        Period=3600,
        Statistics=["Maximum"],
    )
    datapoints = answer["Datapoints"]
    return int(datapoints[0]["Maximum"]) if datapoints else 0


def main(account, date, output):
    session = session_of(account)
    cloudwatch, s3 = session.client("cloudwatch"), session.client("s3")
    midnight = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    with open(output, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["bucket_name", "account_name", "creation_date"] + [column for column, _, _ in COLUMNS])
        for bucket in s3.list_buckets()["Buckets"]:
            values = [newest(cloudwatch, bucket["Name"], metric, kind, midnight) for _, metric, kind in COLUMNS]
            table.writerow([bucket["Name"], account, bucket["CreationDate"].date()] + values)


if __name__ == "__main__":
    main(*sys.argv[1:4])
