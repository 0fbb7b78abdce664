#!/usr/bin/env python3
"""Polls each period as Metricbeat does: every time, the namespace is listed anew and each metric is asked for its newest
datapoint, 500 queries a call on a thread pool, every region.
Usage: polling.py ACCOUNT NAMESPACE METRICS REGIONS START PERIOD POLLS OUTPUT, with the account's keys in the environment.
METRICS is NAME=STATISTIC+STATISTIC,... and START the beginning of the first period, in seconds. It does not wait between
two polls."""

import csv
import os
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import boto3
from botocore.config import Config

QUERIES_A_CALL = 500
THREADS = int(os.environ.get("THREADS", "16"))
CONFIG = Config(max_pool_connections=THREADS, retries={"mode": "adaptive", "max_attempts": 8})


def session_of(account):
    name = account.replace("-", "_")
    return boto3.Session(
        aws_access_key_id=os.environ[name + "_account_access_key"],
        aws_secret_access_key=os.environ[name + "_secret_access_key"],
    )


def fetch(cloudwatch, batch, start, period):
    """The values of a batch of (metric, statistic, dimensions), each with its place in the batch."""
    queries = []
    for number, (metric, statistic) in enumerate(batch):
        stat = {"Metric": metric, "Period": period, "Stat": statistic}
        queries.append({"Id": f"q{number}", "MetricStat": stat, "ReturnData": True})
    times = {"StartTime": at(start), "EndTime": at(start + period)}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **times)
    for page in pages:
        for result in page["MetricDataResults"]:
            if result["Values"]:
                yield batch[int(result["Id"][1:])], result["Values"][0]


def at(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc)


def poll(pool, clients, namespace, metrics, start, period):
    """The values of every resource in a period, by region, dimensions, metric and statistic."""

    def listed(region):
        pages = clients[region].get_paginator("list_metrics").paginate(Namespace=namespace)
        return [metric for page in pages for metric in page["Metrics"] if metric["MetricName"] in metrics]

    def batches(region):
        wanted = [(metric, statistic) for metric in listed(region) for statistic in metrics[metric["MetricName"]]]
        return [wanted[first : first + QUERIES_A_CALL] for first in range(0, len(wanted), QUERIES_A_CALL)]

    def ask(region, batch):
        return region, list(fetch(clients[region], batch, start, period))

    of_regions = dict(zip(clients, pool.map(batches, clients)))
    asked = [pool.submit(ask, region, batch) for region, all_of in of_regions.items() for batch in all_of]
    values = defaultdict(dict)
    for answer in asked:
        region, found = answer.result()
        for (metric, statistic), value in found:
            resource = tuple(dimension["Value"] for dimension in metric["Dimensions"])
            values[region, resource][metric["MetricName"], statistic] = value
    return values


def main(account, namespace, metrics, regions, start, period, polls, output):
    metrics = {name: kinds.split("+") for name, kinds in (metric.split("=") for metric in metrics.split(","))}
    session, start, period = session_of(account), int(start), int(period)
    client = lambda region: session.client("cloudwatch", region_name=region, config=CONFIG)
    clients = {region: client(region) for region in regions.split(",")}
    columns = [(name, statistic) for name, kinds in metrics.items() for statistic in kinds]
    with ThreadPoolExecutor(THREADS) as pool, open(output, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["region", "resource", "period_start"] + [f"{name} {kind}" for name, kind in columns])
        for nth in range(int(polls)):
            begins = start + nth * period
            for (region, resource), known in poll(pool, clients, namespace, metrics, begins, period).items():
                row = [region, "/".join(resource), at(begins).strftime("%Y-%m-%dT%H:%M:%SZ")]
                table.writerow(row + [known.get(column, "") for column in columns])


if __name__ == "__main__":
    main(*sys.argv[1:9])
