"""Applies the whole stack to an AWS on 127.0.0.1, lets it do a month's work, and destroys it.

The producer and the workers are the real ones. They run as ECS would run them: what the stack's schedules and service
start, by the stack's task definitions, with the credentials of the stack's roles, which IAM is asked for at each call.
run.sh starts this in an environment that has the emulators.
"""

import concurrent.futures
import json
import re
import shutil
import signal
import sys

from accounts import ACCOUNTS, MONTH, RECENT, STRANGER, TODAY, fill, reports_are_right
from aws import ECS_TASKS, FLEET, NAME, REGION, client, emulators, role_of_service, root, user
from ecs import by_hand, fired, messaged, program, run, scaled, unstarted
from rights import (
    OPERATOR,
    PRODUCER,
    STATUS,
    WORKER,
    each_is_refused_what_is_not_its_own,
    everything_allowed_is_needed,
    nobody_else_gets_into_the_roles,
    nothing_was_refused,
    the_member_role_sees_no_object,
)
from steps import WORK, Failed, expect, seconds, step
from terraform import APPLIED, STACK, Missing, Terraform, copy_of_the_stack


# A queue and a fleet besides the first, and a schedule whose request goes there.
OF_MINUTES = {
    "schedules": {
        "ecs": {
            "expression": "rate(5 minutes)",
            "via": "queue",
            "queue": "ticks",
            "stale_after_minutes": 90,
            "request": {"dataset": "ecs_service", "last": "6h", "only_incomplete": True},
        }
    },
    "queues": {"ticks": {"retention_hours": 1}},
    "fleets": {"fresh": {"queue": "ticks", "max": 3}},
}


def main():
    copy_of_the_stack()
    variables = {"name": NAME, "region": REGION, "accounts": accounts()}
    stack = Terraform(APPLIED, FLEET, "stack", variables)
    with step("terraform init"):
        stack.init()
    with step("terraform apply"):
        stack.apply()
    with step("terraform plan, which must be empty"):
        stack.plan_is_empty()
    outputs = stack.outputs
    bucket, roles = outputs["reports"]["bucket"], outputs["roles"]

    with step("the member roles; buckets and metrics"):
        owners = member_roles(outputs["member_role"])

    operator = user(FLEET, OPERATOR, policy_arn=roles["operator_policy_arn"])
    as_operator = exported(outputs["environment"]) | {
        "AWS_ACCESS_KEY_ID": operator["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": operator["aws_secret_access_key"],
    }

    with step("the month: a schedule sends the jobs, a worker does them"):
        sent = fired(f"{NAME}-run")
        run(sent)
        worked = work(outputs["fleet"])
        reports_are_right(bucket, MONTH, {"data", "opra-dev", "legacy"})
        looked = fired(f"{NAME}-status")
        states_are(run(looked, status=3), failed={"wrong-id", "other-org"})
        dead_letters_are(as_operator, {"wrong-id": "access_denied", "other-org": "access_denied"})

    with step("one is fixed: replay, backfill, completion"):
        owners["wrong-id"].apply(external_id=outputs["member_role"]["external_id"])
        program(["producer", "replay", "--account-name", "wrong-id"], as_operator)
        run(fired(f"{NAME}-complete"))
        run(by_hand(outputs["backfill_command"], "--account-name", "data,legacy", day=RECENT))
        work(outputs["fleet"])
        reports_are_right(bucket, MONTH, {"data", "opra-dev", "legacy", "wrong-id"})
        reports_are_right(bucket, RECENT, {"data", "legacy"})
        # The backfill is the latest run, and it is the month that is looked at.
        states_are(run(fired(f"{NAME}-status"), status=3), failed={"other-org"})
        month = program(["producer", "status", "--this-month"], as_operator, status=3)
        states_are(month, failed={"other-org"}, complete={"data", "opra-dev", "legacy", "wrong-id"})
        dead_letters_are(as_operator, {"other-org": "access_denied"})
        checked = run(by_hand(outputs["check_command"]), status=1)
        expect(re.search(r"^data +111111111111 .* ok +ok +ok", checked, re.MULTILINE), checked)

    with step("a schedule of one's own, with a queue and a fleet, sends its request"):
        stack.apply(**OF_MINUTES)
        stack.plan_is_empty()
        asked = messaged(f"{NAME}-ecs")
        at = asked.pop("at")
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at), f"the message is of no time: {at}")
        wanted = {"kind": "request", "request": {"dataset": "ecs_service", "last": "6h", "only_incomplete": True}}
        expect(asked == wanted, f"the message is {asked}, and must be {wanted}")

    with step("what was asked for is allowed, and no more"):
        unstarted(f"{NAME}-run")
        nothing_was_refused()
        everything_allowed_is_needed(roles["operator_policy_arn"], outputs["member_role"]["name"])

    with step("what is refused"):
        tasks = {WORKER: (roles["worker_arn"], worked), PRODUCER: (roles["producer_arn"], sent)}
        tasks[STATUS] = (roles["status_arn"], looked)
        who = {name: role_of_service(ECS_TASKS, role, task["taskArn"]) for name, (role, task) in tasks.items()}
        who |= {OPERATOR: operator, "stranger": user(STRANGER, "stranger", actions="*")}
        each_is_refused_what_is_not_its_own(who, outputs)
        nobody_else_gets_into_the_roles(roles["worker_arn"], worked["taskArn"])
        the_member_role_sees_no_object(who[WORKER], outputs)

    with step("terraform destroy"):
        client("iam", root(FLEET)).detach_user_policy(UserName=OPERATOR, PolicyArn=roles["operator_policy_arn"])
        # Else it stops at the bucket, which has reports in it.
        stack.apply(force_destroy=True)
        stack.destroy()
        for owner in owners.values():
            owner.destroy()
        client("cloudformation", root(ACCOUNTS["opra-dev"])).delete_stack(StackName="reader")
        nothing_is_left()


def accounts():
    """The variable `accounts`, with a secret for the account that has access keys."""
    reading = ["s3:ListAllMyBuckets", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData"]
    reader = user(ACCOUNTS["legacy"], "reader", actions=reading)
    keys = {"access_key_id": reader["aws_access_key_id"], "secret_access_key": reader["aws_secret_access_key"]}
    secret = client("secretsmanager", root(FLEET)).create_secret(Name="legacy", SecretString=json.dumps(keys))
    entered = {name: {"id": number} for name, number in ACCOUNTS.items()}
    entered["legacy"]["access_keys_secret_arn"] = secret["ARN"]
    return entered


def member_roles(asked):
    """Makes the roles, as the accounts' owners would, and fills the accounts."""
    organization = client("organizations", root(FLEET)).describe_organization()["Organization"]["Id"]
    owners = {
        name: Terraform(STACK / "modules/member-role", ACCOUNTS[name], name, asked | different)
        for name, different in {
            "data": {"organization_id": organization},
            "wrong-id": {"external_id": "another"},
            "other-org": {"organization_id": "o-another0rganization"},
        }.items()
    }
    owners["data"].init()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        started = [threads.submit(owner.apply) for owner in owners.values()]
        started += [threads.submit(by_cloudformation, asked, organization)]
        started += [threads.submit(fill, account) for account in ACCOUNTS]
        for one in started:
            one.result()
    return owners


def by_cloudformation(asked, organization):
    parameters = {
        "RoleName": asked["name"],
        "WorkerRoleArn": asked["worker_role_arn"],
        "ExternalId": asked["external_id"],
        "OrganizationId": organization,
        "Trust": "account",
    }
    cloudformation = client("cloudformation", root(ACCOUNTS["opra-dev"]))
    cloudformation.create_stack(
        StackName="reader",
        TemplateBody=(STACK / "modules/member-role/template.yaml").read_text(encoding="utf-8"),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="reader", WaiterConfig={"Delay": 1})


def exported(shell):
    """The variables that lines of `export NAME=VALUE` set."""
    return dict(line.removeprefix("export ").split("=", 1) for line in shell.strip().splitlines())


def work(fleet):
    """One worker does what is on the queue."""
    [task] = scaled(fleet, tasks=1)
    run(task, FLEET_EXIT_WHEN_EMPTY="true")
    scaled(fleet, tasks=0)
    return task


def states_are(printed, failed, complete=()):
    """What `producer status` printed tells of these accounts, and of no other."""
    found = dict(re.findall(r"^(\S+) +s3_daily_storage +(\w+)", printed, re.MULTILINE))
    expected = dict.fromkeys(failed, "failed") | dict.fromkeys(complete, "complete")
    expect(found == expected, f"the states are {found}, and must be {expected}:\n{printed}")


def dead_letters_are(as_operator, expected):
    letters = json.loads(program(["producer", "failed", "--format", "json"], as_operator))["dead_letters"]
    found = {letter["account_name"]: letter["failure_reason"] for letter in letters}
    expect(found == expected, f"the dead letters are {found}, and must be {expected}")


def nothing_is_left():
    left = {
        "queues": client("sqs", root(FLEET)).list_queues().get("QueueUrls"),
        "buckets": client("s3", root(FLEET)).list_buckets()["Buckets"],
        "clusters": client("ecs", root(FLEET)).list_clusters()["clusterArns"],
        "log groups": client("logs", root(FLEET)).describe_log_groups()["logGroups"],
        "schedules": client("scheduler", root(FLEET)).list_schedules()["Schedules"],
        "topics": client("sns", root(FLEET)).list_topics()["Topics"],
        "policies": client("iam", root(FLEET)).list_policies(Scope="Local")["Policies"],
    }
    for account in (FLEET, *ACCOUNTS.values()):
        left[f"roles of {account}"] = client("iam", root(account)).list_roles()["Roles"]
    left = {what: found for what, found in left.items() if found}
    expect(not left, f"destroyed, and still there: {left}")


if __name__ == "__main__":
    if TODAY.day == 1:
        # As the schedules do, whose first is the second.
        print("left out: the stack on emulators, since the first of the month is not over and can't be asked for")
        sys.exit(0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    try:
        with emulators():
            main()
    except Missing as missing:
        shutil.rmtree(WORK)
        if "--if-present" in sys.argv:
            print(f"\nleft out: the stack on emulators, since {missing}")
            sys.exit(0)
        sys.exit(f"\n{missing}")
    except Failed as failed:
        sys.exit(f"\nFAILED: {failed}\n\nThe logs are in {WORK}.")
    except BaseException:
        print(f"\nThe logs are in {WORK}.", file=sys.stderr)
        raise
    shutil.rmtree(WORK)
    print(f"all as it must be, in {sum(seconds.values()):.0f} s")
