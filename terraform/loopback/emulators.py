"""AWS on 127.0.0.1: ministack with IAM enforced and, for what it lacks, moto; with the part of ECS and of EventBridge
Scheduler that gives a service's credentials to a role.

    emulators.py FOLDER

FOLDER holds the server's certificate (server.pem, server.key). Once all listen, endpoints.json is there as well, and
calls.jsonl gets a line for each decision of IAM: who, what, on what, and whether it was allowed.

TLS is real, so `aws:SecureTransport` is what it says. Where the emulators and AWS differ, the difference is bridged
here and nowhere else; each bridge says why.
"""

import contextvars
import datetime
import http.server
import json
import os
import pathlib
import secrets
import socket
import sys
import threading
import time
import urllib.parse

FOLDER = pathlib.Path(sys.argv[1])
FLEET = "999999999999"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


PORTS = {name: free_port() for name in ("ministack", "moto", "agent")}

# Both read their settings when they are imported.
os.environ.update(
    AUTH="true",
    AWS_ACCESS_KEY_ID=FLEET,
    BIND_HOST="127.0.0.1",
    GATEWAY_PORT=str(PORTS["ministack"]),
    IOT_MTLS_ENABLED="0",  # it would listen on all addresses
    MINISTACK_HOST="127.0.0.1",
    MINISTACK_SSL_CERT=str(FOLDER / "server.pem"),
    MINISTACK_SSL_KEY=str(FOLDER / "server.key"),
    MOTO_ACCOUNT_ID=FLEET,
    USE_SSL="1",
)

import boto3  # noqa: E402
import ministack.app  # noqa: E402
from ministack.core import iam_actions, iam_evaluator  # noqa: E402
from ministack.services import cloudwatch, ec2, ecs, iam, sts  # noqa: E402
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend  # noqa: E402
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

# --- what Terraform reads back ------------------------------------------------------------------------------

_sanitize = ecs._sanitize


def sanitize(value, *args, **kwargs):
    """ECS tells a service's rebalancing; ministack leaves it out."""
    if isinstance(value, dict) and "serviceArn" in value and "serviceName" in value:
        value = {"availabilityZoneRebalancing": "DISABLED", **value}
    return _sanitize(value, *args, **kwargs)


ecs._sanitize = sanitize

_rules_match = ec2._rules_match


def rules_match(one, other):
    """EC2 looks at no ports where all protocols are meant; ministack finds no such rule when they are named."""
    ports = ("FromPort", "ToPort")
    if one.get("IpProtocol") == other.get("IpProtocol") == "-1":
        one, other = ({key: rule[key] for key in rule if key not in ports} for rule in (one, other))
    return _rules_match(one, other)


ec2._rules_match = rules_match

_tags = {}
_register = ApplicationAutoScalingResponse.register_scalable_target


def register_scalable_target(self):
    """moto forgets a target's tags, and fails where they are asked for."""
    answer = _register(self)
    _tags.setdefault(json.loads(answer)["ScalableTargetARN"], {}).update(self._get_param("Tags") or {})
    return answer


def tag_resource(self):
    _tags.setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags") or {})
    return "{}"


def untag_resource(self):
    for key in self._get_param("TagKeys") or []:
        _tags.get(self._get_param("ResourceARN"), {}).pop(key, None)
    return "{}"


def list_tags_for_resource(self):
    return json.dumps({"Tags": _tags.get(self._get_param("ResourceARN"), {})})


for operation in (register_scalable_target, tag_resource, untag_resource, list_tags_for_resource):
    setattr(ApplicationAutoScalingResponse, operation.__name__, operation)
# moto looks for the service in its own ECS.
ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda self, resource: True

# CloudWatch keeps daily metrics for 455 days; ministack forgets them after two weeks.
cloudwatch.TWO_WEEKS_SECONDS = 456 * 86400

# ministack takes port 443 as well where it can.
ministack.app._port_is_bindable = lambda *_: False

# --- what IAM is asked --------------------------------------------------------------------------------------

_extract_action = iam_actions.extract_iam_action
_extract_resource = iam_actions.extract_resource_arn
_enforce = iam_evaluator.enforce
_run_task = contextvars.ContextVar("run_task")
_calls = open(FOLDER / "calls.jsonl", "a", buffering=1, encoding="utf-8")


def extract_iam_action(service, method, path, headers, body, query_params):
    """CloudWatch's CBOR names its operation in the path, where ministack does not look, and lets it pass. And for a
    batch SQS asks for the right to do the thing once; ministack asks for one that IAM does not have.
    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """
    if service == "monitoring" and "/operation/" in path:
        return "cloudwatch:" + path.rsplit("/operation/", 1)[1]
    action = _extract_action(service, method, path, headers, body, query_params)
    return action.removesuffix("Batch") if service == "sqs" and action else action


def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    """RunTask is asked of the task definition, a task's protection of the task, and what a service is and how many tasks it
    wants of the service; ministack asks of the cluster.
    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
    """
    if service == "monitoring" and "/operation/" in path:
        return "*"  # the metrics have no resource, and ministack fails at reading CBOR as JSON
    operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1] if service == "ecs" else ""
    if operation == "RunTask":
        request = json.loads(body)
        definition = ecs._task_defs[ecs._resolve_td_key(request["taskDefinition"])]
        cluster = ecs._clusters[ecs._resolve_cluster_name(request["cluster"])]["clusterArn"]
        roles = [definition[role] for role in ("taskRoleArn", "executionRoleArn")]
        _run_task.set((cluster, roles, bool(request.get("tags"))))
        return definition["taskDefinitionArn"]
    if operation == "UpdateTaskProtection":
        return json.loads(body)["tasks"][0]
    if operation in ("DescribeServices", "UpdateService"):
        request = json.loads(body)
        cluster = ecs._clusters.get(ecs._resolve_cluster_name(request.get("cluster", "default")))
        if cluster:
            name = (request.get("services") or [request["service"]])[0].rsplit("/", 1)[-1]
            return f"{cluster['clusterArn'].replace(':cluster/', ':service/')}/{name}"
    return _extract_resource(service, method, path, headers, body, query_params, region, account_id)


def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    """Who starts a task also passes its roles to ECS, and tags it if the call has tags, which ministack does not ask for.
    Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
    """
    asked = [(iam_action, service, resource_arn, service_context)]
    if iam_action == "ecs:RunTask":
        cluster, roles, tagged = _run_task.get()
        asked = [(iam_action, service, resource_arn, {**(service_context or {}), "ecs:cluster": cluster})]
        passed = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        asked += [("iam:PassRole", "iam", role, passed) for role in roles]
        if tagged:
            task = cluster.replace(":cluster/", ":task/") + "/new"
            asked.append(("ecs:TagResource", service, task, {"ecs:CreateAction": "RunTask"}))
    principal = iam_evaluator.resolve_principal(access_key_id or "", ministack.core.responses.get_account_id())
    for action, of, resource, context in asked:
        refused = _enforce(access_key_id, action, of, region, resource_arn=resource, service_context=context)
        call = {
            "principal": getattr(principal, "arn", None),
            "action": action,
            "resource": resource,
            "allowed": refused is None,
        }
        _calls.write(json.dumps(call) + "\n")
        if refused:
            return refused
    return None


iam_actions.extract_iam_action = extract_iam_action
iam_actions.extract_resource_arn = extract_resource_arn
iam_evaluator.enforce = enforce


_resolve_condition_key = iam_evaluator._resolve_condition_key


def resolve_condition_key(key, context):
    """IAM says of each call whether an AWS service makes it, which ministack does not know, and of a session its role.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    if key.lower() == "aws:principalarn" and ":assumed-role/" in context.principal_arn:
        _, partition, _, _, account, session = context.principal_arn.split(":")
        return f"arn:{partition}:iam::{account}:role/{session.split('/')[1]}"
    if key.lower() == "aws:principalisawsservice":
        return str(context.principal_type == "Service").lower()
    return _resolve_condition_key(key, context)


iam_evaluator._resolve_condition_key = resolve_condition_key


# --- how a service gets into a role -------------------------------------------------------------------------


class Refused(Exception):
    """A role's trust policy does not let a service in."""


def assume(service, role_arn, source_arn):
    """Credentials of a role for an AWS service that acts for `source_arn`, if the role's trust policy says so."""
    _, _, _, _, account, resource = role_arn.split(":", 5)
    role = iam._roles.get_scoped(account, None, resource.rsplit("/", 1)[-1])
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=source_arn.split(":")[3],
        service_context={"aws:sourceaccount": source_arn.split(":")[4], "aws:sourcearn": source_arn},
    )
    trust = role and role["AssumeRolePolicyDocument"]
    if not role or iam_evaluator.evaluate_resource_policy(trust, context, service=service).decision != "Allow":
        raise Refused(f"{service} may not assume {role_arn} for {source_arn}")
    session = source_arn.rsplit("/", 1)[-1]
    access_key, expires = "ASIA" + secrets.token_hex(8).upper(), time.time() + 3600
    credentials = {"SecretAccessKey": secrets.token_urlsafe(30), "SessionToken": secrets.token_urlsafe(60)}
    sts.register_session(
        access_key,
        {
            **credentials,
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session}",
            "UserId": f"{role['RoleId']}:{session}",
            "Expiration": expires,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return {
        "RoleArn": role_arn,
        "AccessKeyId": access_key,
        "SecretAccessKey": credentials["SecretAccessKey"],
        "Token": credentials["SessionToken"],
        "Expiration": datetime.datetime.fromtimestamp(expires, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class Agent(http.server.BaseHTTPRequestHandler):
    """What the agent of ECS answers a task, and the credentials with which Scheduler calls its targets.

    GET /credentials?service=…&role=…&source=…     credentials of a role
    PUT /{task ARN, quoted}/task-protection/v1/state   protects a task, by the rights of its own role
    """

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        try:
            self.answer(200, assume(query["service"], query["role"], query["source"]))
        except Refused as refused:
            self.answer(403, {"code": "AccessDenied", "message": str(refused)})

    def do_PUT(self):
        state = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        task_arn = urllib.parse.unquote(self.path.split("/")[1])
        task = ecs._tasks.get_scoped(task_arn.split(":")[4], task_arn.split(":")[3], task_arn)
        definition = ecs._task_defs.get_scoped(
            task_arn.split(":")[4], task_arn.split(":")[3], task["taskDefinitionArn"].rsplit("/", 1)[-1]
        )
        own = assume("ecs-tasks.amazonaws.com", definition["taskRoleArn"], task_arn)
        client = boto3.client(
            "ecs",
            endpoint_url=f"https://127.0.0.1:{PORTS['ministack']}",
            verify=os.environ["MINISTACK_SSL_CERT"],
            region_name=task_arn.split(":")[3],
            aws_access_key_id=own["AccessKeyId"],
            aws_secret_access_key=own["SecretAccessKey"],
            aws_session_token=own["Token"],
        )
        expires = {"expiresInMinutes": state["ExpiresInMinutes"]} if "ExpiresInMinutes" in state else {}
        try:
            answer = client.update_task_protection(
                cluster=task["clusterArn"], tasks=[task_arn], protectionEnabled=state["ProtectionEnabled"], **expires
            )
        except client.exceptions.ClientError as error:
            self.answer(400, {"error": {"Code": error.response["Error"]["Code"], "Message": str(error)}})
        else:
            self.answer(200, {"protection": {"TaskArn": task_arn}, "failures": answer["failures"]})

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


ThreadedMotoServer(ip_address="127.0.0.1", port=PORTS["moto"]).start()
agent = http.server.ThreadingHTTPServer(("127.0.0.1", PORTS["agent"]), Agent)
threading.Thread(target=agent.serve_forever, daemon=True).start()
endpoints = {
    "aws": f"https://127.0.0.1:{PORTS['ministack']}",
    "moto": f"http://127.0.0.1:{PORTS['moto']}",
    "agent": f"http://127.0.0.1:{PORTS['agent']}",
}
(FOLDER / "endpoints.json").write_text(json.dumps(endpoints), encoding="utf-8")
sys.argv = sys.argv[:1]  # they are read again
ministack.app.main()
