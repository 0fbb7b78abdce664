#!/usr/bin/env python3
"""What one would write in an afternoon: GetMetricData, 500 metrics a call, on a thread pool, in every region.
Usage: batched.py ACCOUNT DATE OUTPUT, with the account's keys in the environment and THREADS, where 16 are not enough."""

import csv
import os
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config

COLUMNS = [
    ("total_objects", "NumberOfObjects", "AllStorageTypes"),
    ("size_standard", "BucketSizeBytes", "StandardStorage"),
    ("size_standard_ia", "BucketSizeBytes", "StandardIAStorage"),
    ("size_one_zone_ia", "BucketSizeBytes", "OneZoneIAStorage"),
    ("size_glacier_instant", "BucketSizeBytes", "GlacierInstantRetrievalStorage"),
    ("size_glacier", "BucketSizeBytes", "GlacierStorage"),
    ("size_deep_archive", "BucketSizeBytes", "DeepArchiveStorage"),
]
QUERIES_A_CALL = 500
THREADS = int(os.environ.get("THREADS", "16"))
CONFIG = Config(max_pool_connections=THREADS, retries={"mode": "adaptive", "max_attempts": 8})


def session_of(account):
    name = account.replace("-", "_")
    return boto3.Session(
        aws_access_key_id=os.environ[name + "_account_access_key"],
        aws_secret_access_key=os.environ[name + "_secret_access_key"],
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
    )


def query(number, bucket, metric, storage_type):
    dimensions = [{"Name": "BucketName", "Value": bucket}, {"Name": "StorageType", "Value": storage_type}]
    named = {"Namespace": "AWS/S3", "MetricName": metric, "Dimensions": dimensions}
    stat = {"Metric": named, "Period": 86400, "Stat": "Average"}
    return {"Id": f"q{number}", "MetricStat": stat, "ReturnData": True}


def fetch(cloudwatch, batch, midnight):
    """The values of a batch of (bucket, column, metric, storage type), by bucket and column."""
    queries = [query(number, bucket, metric, kind) for number, (bucket, _, metric, kind) in enumerate(batch)]
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=midnight, EndTime=midnight + timedelta(days=1)
    )
    found = {}
    for page in pages:
        for result in page["MetricDataResults"]:
            if result["Values"]:
                bucket, column, _, _ = batch[int(result["Id"][1:])]
                found[bucket, column] = int(result["Values"][0])
    return found


def main(account, date, output):
    session = session_of(account)
    midnight = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    pages = session.client("s3", config=CONFIG).get_paginator("list_buckets")
    buckets = [bucket for page in pages.paginate(PaginationConfig={"PageSize": 1000}) for bucket in page["Buckets"]]
    series = defaultdict(list)
    for bucket in buckets:
        region = bucket.get("BucketRegion") or "us-east-1"
        series[region] += [(bucket["Name"], *column) for column in COLUMNS]

    values = {}
    with ThreadPoolExecutor(THREADS) as pool:
        asked = []
        for region, wanted in series.items():
            cloudwatch = session.client("cloudwatch", region_name=region, config=CONFIG)
            for first in range(0, len(wanted), QUERIES_A_CALL):
                asked.append(pool.submit(fetch, cloudwatch, wanted[first : first + QUERIES_A_CALL], midnight))
        for answer in asked:
            values.update(answer.result())

    with open(output, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["bucket_name", "account_name", "creation_date"] + [column for column, *_ in COLUMNS])
        for bucket in buckets:
            name = bucket["Name"]
            known = [values.get((name, column), "") for column, *_ in COLUMNS]
            table.writerow([name, account, bucket["CreationDate"].date()] + known)


if __name__ == "__main__":
    main(*sys.argv[1:4])
