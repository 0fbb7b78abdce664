"""The AWS on 127.0.0.1 as its clients see it: where it is, who they are, and what IAM was asked."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from steps import WORK, expect

NAME = "loopback"
REGION = "eu-west-1"
FLEET = "999999999999"

ECS_TASKS = "ecs-tasks.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"

CERTIFICATE = WORK / "server.pem"
endpoints = {}


@contextlib.contextmanager
def emulators():
    """Starts emulators.py, and ends it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
        # rustls takes no CA's certificate for a server's.
        + ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", WORK / "server.key", "-out", CERTIFICATE],
        check=True,
        capture_output=True,
    )
    program = pathlib.Path(__file__).with_name("emulators.py")
    with open(WORK / "emulators.log", "wb") as log:
        server = subprocess.Popen([sys.executable, program, WORK], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not endpoints or not listens(endpoints["aws"]):
            expect(server.poll() is None and time.monotonic() < until, "the emulators do not start")
            time.sleep(0.1)
            with contextlib.suppress(OSError, ValueError):
                endpoints.update(json.loads((WORK / "endpoints.json").read_text(encoding="utf-8")))
        yield
    finally:
        server.terminate()
        server.wait()


def listens(endpoint):
    address = urllib.parse.urlsplit(endpoint)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port)):
        return True
    return False


def client(service, who, region=REGION):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoints["aws"],
        verify=str(CERTIFICATE),
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        **who,
    )


# --- who a client is ----------------------------------------------------------------------------------------


def root(account):
    """The account's root: the emulators take an account's number for its access key, and ask IAM nothing."""
    return {"aws_access_key_id": account, "aws_secret_access_key": "-"}


def user(account, name, policy_arn=None, actions=()):
    """A new user of an account, with a policy or with actions on everything."""
    iam = client("iam", root(account))
    iam.create_user(UserName=name)
    if policy_arn:
        iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)
    else:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def role_of_service(service, role, source):
    """A role as an AWS service has it that acts for `source`, if the role's trust policy lets it."""
    with urllib.request.urlopen(credentials_address(service, role, source)) as answer:
        given = json.load(answer)
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["Token"],
    }


def credentials_address(service, role, source):
    query = {"service": service, "role": role, "source": source}
    return f"{endpoints['agent']}/credentials?{urllib.parse.urlencode(query)}"


def schedule_group(name=NAME, account=FLEET):
    """What EventBridge Scheduler acts for."""
    return f"arn:aws:scheduler:{REGION}:{account}:schedule-group/{name}"


# --- what IAM was asked -------------------------------------------------------------------------------------


def calls():
    """All that IAM was asked up to now: `principal`, `action`, `resource` and whether it was `allowed`."""
    with open(WORK / "calls.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def caller(call):
    """Who made a call: the name of a role or a user, or `root`."""
    # arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION, arn:aws:iam::ACCOUNT:user/NAME, arn:aws:iam::ACCOUNT:root
    return [*(call["principal"] or "nobody").split(":")[-1].split("/"), ""][1] or "root"
