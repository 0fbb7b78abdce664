"""The accounts that are collected: how each is entered, what is in it, and what its report must be."""

import csv
import datetime
import io

from aws import FLEET, client, root
from botocore.exceptions import ClientError
from steps import WORK, expect

ACCOUNTS = {
    "data": "111111111111",  # its role is made by Terraform
    "opra-dev": "222222222222",  # its role is made by CloudFormation
    "legacy": "333333333333",  # has no role, but a user with access keys
    "wrong-id": "444444444444",  # its role wants another external id at first
    "other-org": "555555555555",  # its role wants the fleet to belong to another organization
}
STRANGER = "666666666666"
REGIONS = ["eu-west-1", "us-east-1"]

TODAY = datetime.datetime.now(datetime.UTC).date()
MONTH = TODAY.replace(day=1)  # what the schedules ask for
# Another day, of which ListMetrics still knows.
RECENT = TODAY - datetime.timedelta(days=3 if TODAY.day != 4 else 2)


def rows(account, day):
    """What the account's report of a day must say."""
    found = []
    for region in REGIONS:
        for number, kind in enumerate(("empty", "logs", "photos")):
            size = number * (1000 * day.day + len(account) + REGIONS.index(region))
            found.append(
                {
                    "bucket_name": f"{account}-{kind}-{region}",
                    "account_name": account,
                    "account_id": ACCOUNTS[account],
                    "region": region,
                    "report_date": str(day),
                    "datapoint_date": str(day) if size else "",
                    "status": "ok" if size else "no_data",
                    "total_objects": str(number) if size else "",
                    "size_standard": str(size) if size else "",
                    "size_glacier": str(7 * size) if size else "",
                    "size_total": str(8 * size) if size else "",
                }
            )
    return sorted(found, key=lambda row: row["bucket_name"])


def fill(account):
    """Makes an account's buckets, and gives CloudWatch what it has of them."""
    for row in rows(account, MONTH):
        place = {} if row["region"] == "us-east-1" else {"LocationConstraint": row["region"]}
        configuration = {"CreateBucketConfiguration": place} if place else {}
        s3 = client("s3", root(ACCOUNTS[account]), row["region"])
        s3.create_bucket(Bucket=row["bucket_name"], **configuration)
    for day in (MONTH, RECENT):
        for row in rows(account, day):
            if row["status"] == "ok":
                cloudwatch = client("cloudwatch", root(ACCOUNTS[account]), row["region"])
                cloudwatch.put_metric_data(Namespace="AWS/S3", MetricData=list(metrics(row, day)))


def metrics(row, day):
    for metric, storage, column in (
        ("NumberOfObjects", "AllStorageTypes", "total_objects"),
        ("BucketSizeBytes", "StandardStorage", "size_standard"),
        ("BucketSizeBytes", "GlacierStorage", "size_glacier"),
    ):
        yield {
            "MetricName": metric,
            "Timestamp": datetime.datetime.combine(day, datetime.time(), datetime.UTC),
            "Value": float(row[column]),
            "Dimensions": [
                {"Name": "BucketName", "Value": row["bucket_name"]},
                {"Name": "StorageType", "Value": storage},
            ],
        }


def reports_are_right(bucket, day, accounts):
    """These accounts have a report of the day, each with every value right, and the others have none."""
    for account in ACCOUNTS:
        found = report(bucket, account, day)
        if account not in accounts:
            expect(found is None, f"{account} has a report of {day}, and must not")
            continue
        expect(found is not None, f"{account} has no report of {day}")
        wrong = [row for row in found if row not in rows(account, day)]
        missing = [row for row in rows(account, day) if row not in found]
        expect(not wrong and not missing, f"the report of {account} on {day} has {wrong} where {missing} must be")
        expect(found == rows(account, day), f"the report of {account} on {day} is in another order")


def report_key(account, day):
    return f"s3_daily_storage/report_date={day}/account_name={account}/report.csv"


def report(bucket, account, day):
    key = report_key(account, day)
    try:
        body = client("s3", root(FLEET)).get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except ClientError as error:
        expect(error.response["Error"]["Code"] == "NoSuchKey", f"{key}: {error}")
        return None
    (WORK / f"{account}-{day}.csv").write_text(body, encoding="utf-8")
    columns = rows(account, day)[0].keys()
    found = list(csv.DictReader(io.StringIO(body)))
    for row in found:
        unknown = {column: row[column] for column in row if column.startswith("size_") and column not in columns}
        expect(not any(unknown.values()), f"{key} has sizes that nobody gave it: {unknown}")
    return [{column: row[column] for column in columns} for row in found]
