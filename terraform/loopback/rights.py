"""What the stack lets whom do: what is refused, and what is allowed and never needed."""

import fnmatch
import urllib.error

from accounts import ACCOUNTS, MONTH, STRANGER, report_key
from aws import (
    ECS_TASKS,
    FLEET,
    NAME,
    REGION,
    SCHEDULER,
    caller,
    calls,
    client,
    role_of_service,
    root,
    schedule_group,
    user,
)
from botocore.exceptions import ClientError
from steps import Failed, expect

WORKER, PRODUCER, STATUS, OPERATOR = f"{NAME}-worker", f"{NAME}-producer", f"{NAME}-status", "operator"


# --- all that was asked for is allowed, and no more ---------------------------------------------------------

JOBS = ("GetQueueAttributes", "ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage", "SendMessage")
WAKE = ("DescribeServices", "UpdateService")
LOOK = ("GetQueueAttributes", "ReceiveMessage", "ChangeMessageVisibility")

# Allowed, and not done here.
RESERVE = {
    # Who wrote a manifest reads it when it can't know whether it did, and no answer is lost here.
    (PRODUCER, "s3:GetObject", "/runs/*"),
    # No table here is large enough to be uploaded in parts, and no job is cut off.
    (WORKER, "s3:AbortMultipartUpload", "/*.csv"),
    (WORKER, "s3:GetObject", "/tries/*"),
    (WORKER, "s3:PutObject", "/tries/*"),
    (WORKER, "s3:DeleteObject", "/tries/*"),
    (WORKER, "s3:AbortMultipartUpload", "/tries/*"),
    # No report here has a sink, and no job has a copy.
    (WORKER, "s3:GetObject", "/delivered/*"),
    (WORKER, "s3:PutObject", "/delivered/*"),
    (WORKER, "s3:PutObject", "/rejects/*"),
    (WORKER, "s3:GetObject", "/claims/*"),
    (WORKER, "s3:PutObject", "/claims/*"),
    (WORKER, "s3:DeleteObject", "/claims/*"),
    # What a request of a schedule becomes: no worker here gets one.
    (WORKER, "sqs:SendMessage", f":{NAME}-jobs"),
    # What the second queue and its fleet need is what the first do.
    *((WORKER, f"sqs:{action}", f":{NAME}-ticks") for action in JOBS),
    *((WORKER, f"sqs:{action}", f":{NAME}-ticks-dead") for action in ("GetQueueAttributes", "SendMessage")),
    *((PRODUCER, f"sqs:{action}", f":{NAME}-ticks") for action in ("GetQueueAttributes", "SendMessage")),
    (STATUS, "sqs:GetQueueAttributes", f":{NAME}-ticks"),
    *((who, f"sqs:{action}", f":{NAME}-ticks-dead") for who in (STATUS, OPERATOR) for action in LOOK),
    (OPERATOR, "sqs:DeleteMessage", f":{NAME}-ticks-dead"),
    *((OPERATOR, f"sqs:{action}", f":{NAME}-ticks") for action in ("GetQueueAttributes", "SendMessage")),
    *((who, f"ecs:{action}", f"/{NAME}-fresh") for who in (PRODUCER, OPERATOR) for action in WAKE),
    (WORKER, "s3:GetObject", "/runs/*"),
    (WORKER, "s3:PutObject", "/runs/*"),
    # What is sent again is done by the worker that is started next, and `replay` wakes none here.
    (OPERATOR, "ecs:DescribeServices", f"/{NAME}-worker"),
    (OPERATOR, "ecs:UpdateService", f"/{NAME}-worker"),
    # A job protects its task once it is a minute old, and none is here.
    (WORKER, "ecs:UpdateTaskProtection", "/*"),
    # No account has a directory bucket's region.
    ("cloudwatch-fleet-reader", "s3express:ListAllMyDirectoryBuckets", "*"),
    # Only datasets that CloudWatch alone lists ask for it, and none is collected here.
    ("cloudwatch-fleet-reader", "account:ListRegions", "*"),
    # Nor is one of functions.
    ("cloudwatch-fleet-reader", "lambda:ListFunctions", "*"),
}


def nothing_was_refused():
    own = (WORKER, PRODUCER, STATUS, OPERATOR, f"{NAME}-scheduler", f"{NAME}-execution")
    found = {
        f"{caller(call)} {call['action']} on {call['resource']}"
        for call in calls()
        if caller(call) in own and not call["allowed"]
    }
    expect(not found, f"was refused: {', '.join(sorted(found))}")


def everything_allowed_is_needed(operator_policy_arn, member_role_name):
    iam = client("iam", root(FLEET))
    version = iam.get_policy(PolicyArn=operator_policy_arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=operator_policy_arn, VersionId=version)["PolicyVersion"]["Document"]
    found = unused(OPERATOR, FLEET, [policy])
    # Without the execution role: nobody fetches an image here, or writes a log.
    for role in (WORKER, PRODUCER, STATUS, f"{NAME}-scheduler"):
        found |= unused(role, FLEET, policies_of(role, FLEET))
    found |= unused(member_role_name, ACCOUNTS["data"], policies_of(member_role_name, ACCOUNTS["data"]))
    found = {
        (who, action, resource)
        for who, action, resource in found
        if not any((who, action) == reserve[:2] and resource.endswith(reserve[2]) for reserve in RESERVE)
    }
    rights = sorted(f"{who} {action} on {resource}" for who, action, resource in found)
    expect(not rights, f"is allowed, and was never needed: {', '.join(rights)}")


def policies_of(role, account):
    iam = client("iam", root(account))
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    attached = [policy["PolicyName"] for policy in attached]
    own = [f"{NAME}-secrets-0"] if role == WORKER else []
    expect(attached == own, f"{role} has policies besides its own: {attached}")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def unused(who, account, policies):
    """The actions that policies allow, each on each of its resources, and that were never made there."""
    made = {
        (call["action"], call["resource"])
        for call in calls()
        if call["allowed"] and caller(call) == who and f":{account}:" in call["principal"]
    }
    return {
        (who, action, resource)
        for policy in policies
        for statement in policy["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if not any(fnmatch.fnmatchcase(one, action) and fnmatch.fnmatchcase(on, resource) for one, on in made)
    }


def listed(one_or_many):
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


# --- what is refused ----------------------------------------------------------------------------------------


def refused(who, service, operation, may=None, plainly=False, **arguments):
    """A call is refused, and `may` made the same one: so it is the right that is missing and nothing else."""
    connection = client(service, who)
    if plainly:
        connection.meta.events.register("before-send", without_tls)
    asked_before = len(calls())
    try:
        getattr(connection, operation)(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        expect(code in ("AccessDenied", "AccessDeniedException"), f"{operation} {arguments} must be denied: {error}")
    else:
        raise Failed(f"{operation} {arguments} is allowed, and must not be")
    asked = calls()[asked_before]
    expect(
        may is None or any(caller(call) == may and call["allowed"] and of_a_kind(call, asked) for call in calls()),
        f"{may} did no {asked['action']} on {asked['resource']} either",
    )


def without_tls(request, **_):
    """As a proxy tells that it got a request without TLS."""
    request.headers["x-forwarded-proto"] = "http"


def of_a_kind(one, other):
    """Whether two calls are the same; of objects, those that lie in the same folder."""
    resources = [one["resource"], other["resource"]]
    if all(resource.startswith("arn:aws:s3:::") for resource in resources):
        resources = ["/".join(resource.split("/")[:2]) for resource in resources]
    return one["action"] == other["action"] and resources[0] == resources[1]


def each_is_refused_what_is_not_its_own(who, outputs):
    jobs, dead_letters = {"QueueUrl": outputs["queue"]["url"]}, {"QueueUrl": outputs["queue"]["dead_letter_url"]}
    message, handle = {"MessageBody": "{}"}, {"ReceiptHandle": "none"}
    bucket = {"Bucket": outputs["reports"]["bucket"]}
    report, manifest = {**bucket, "Key": report_key("data", MONTH)}, {**bucket, "Key": "runs/another"}
    accounts_file = {**bucket, "Key": "accounts.toml"}
    enter = {"RoleArn": member_role("data", outputs), "RoleSessionName": "test"}
    external_id = {"ExternalId": outputs["member_role"]["external_id"]}
    others = {name: [who[role] for role in who if role != name] for name in who}

    for other in others[WORKER]:
        refused(other, "sqs", "receive_message", **jobs, may=WORKER)
        refused(other, "sqs", "change_message_visibility", **jobs, **handle, VisibilityTimeout=1, may=WORKER)
        refused(other, "sqs", "delete_message", **jobs, **handle, may=WORKER)
        refused(other, "sqs", "send_message", **dead_letters, **message, may=WORKER)
        refused(other, "s3", "put_object", **report, may=WORKER)
        refused(other, "sts", "assume_role", **enter, **external_id, may=WORKER)
    for other in others[PRODUCER]:
        if other is not who[WORKER]:
            refused(other, "s3", "put_object", **manifest, may=PRODUCER)
        if other not in (who[WORKER], who[OPERATOR]):
            refused(other, "sqs", "send_message", **jobs, **message, may=PRODUCER)
    for other in others[OPERATOR]:
        refused(other, "sqs", "delete_message", **dead_letters, **handle, may=OPERATOR)
        if other is not who[STATUS]:
            refused(other, "sqs", "receive_message", **dead_letters, may=OPERATOR)
    for anyone in who.values():
        refused(anyone, "s3", "put_object", **accounts_file, may="root")
        refused(anyone, "s3", "delete_object", **report)
        refused(anyone, "sqs", "purge_queue", **jobs)
        refused(anyone, "sqs", "set_queue_attributes", **jobs, Attributes={"VisibilityTimeout": "1"}, may="root")
    refused(who["stranger"], "s3", "list_objects_v2", **bucket, may=WORKER)
    refused(who["stranger"], "s3", "get_object", **report, may=WORKER)
    refused(who["stranger"], "sqs", "get_queue_attributes", **jobs, may=WORKER)

    # Who has the right has it by TLS alone.
    refused(who[WORKER], "sqs", "receive_message", **jobs, plainly=True, may=WORKER)
    refused(who[OPERATOR], "sqs", "receive_message", **dead_letters, plainly=True, may=OPERATOR)
    refused(who[WORKER], "s3", "get_object", **report, plainly=True, may=WORKER)

    # Not even the worker enters an account without its external id, nor another role than that one.
    refused(who[WORKER], "sts", "assume_role", **enter, may=WORKER)
    refused(who[WORKER], "sts", "assume_role", **enter, ExternalId="another", may=WORKER)
    refused(who[WORKER], "sts", "assume_role", **enter | {"RoleArn": f"{enter['RoleArn']}-not"}, **external_id)


def member_role(account, outputs):
    return f"arn:aws:iam::{ACCOUNTS[account]}:role/{outputs['member_role']['name']}"


def nobody_else_gets_into_the_roles(worker, task):
    scheduler = worker.removesuffix(WORKER) + f"{NAME}-scheduler"
    for service, role, source in (
        ("lambda.amazonaws.com", worker, task),
        (ECS_TASKS, worker, task.replace(FLEET, STRANGER)),
        (ECS_TASKS, worker, task.replace(REGION, "us-east-1")),
        (ECS_TASKS, scheduler, task),
        (SCHEDULER, worker, schedule_group()),
        (SCHEDULER, scheduler, schedule_group("another")),
        (SCHEDULER, scheduler, schedule_group(account=STRANGER)),
    ):
        try:
            role_of_service(service, role, source)
        except urllib.error.HTTPError as error:
            expect(error.code == 403, f"{service} into {role} for {source}: {error}")
        else:
            raise Failed(f"{service} gets into {role} for {source}, and must not")
    admin = user(FLEET, "admin", actions="*")
    for role in (worker, scheduler):
        refused(admin, "sts", "assume_role", RoleArn=role, RoleSessionName="test")


def the_member_role_sees_no_object(worker, outputs):
    external_id = outputs["member_role"]["external_id"]
    entered = client("sts", worker).assume_role(
        RoleArn=member_role("data", outputs), RoleSessionName="test", ExternalId=external_id
    )["Credentials"]
    reader = {
        "aws_access_key_id": entered["AccessKeyId"],
        "aws_secret_access_key": entered["SecretAccessKey"],
        "aws_session_token": entered["SessionToken"],
    }
    bucket = client("s3", reader).list_buckets()["Buckets"][0]["Name"]
    refused(reader, "s3", "list_objects_v2", Bucket=bucket)
    refused(reader, "s3", "get_object", Bucket=bucket, Key="any")
    refused(reader, "s3", "put_object", Bucket=bucket, Key="any")
    refused(reader, "cloudwatch", "put_metric_data", Namespace="any", MetricData=[{"MetricName": "any", "Value": 1}])
