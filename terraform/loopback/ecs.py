"""ECS and EventBridge Scheduler: they start the fleet's programs as the stack says."""

import datetime
import json
import os
import pathlib
import shlex
import subprocess
import urllib.parse

from aws import (
    CERTIFICATE,
    ECS_TASKS,
    FLEET,
    NAME,
    SCHEDULER,
    client,
    credentials_address,
    endpoints,
    role_of_service,
    root,
    schedule_group,
)
from steps import REPOSITORY, WORK, Failed, expect, last_lines

PROGRAMS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "debug"


def fired(name):
    """The task that Scheduler starts when a schedule's time has come, by the schedule's role."""
    target = client("scheduler", root(FLEET)).get_schedule(Name=name, GroupName=NAME)["Target"]
    parameters = target["EcsParameters"]
    network = parameters["NetworkConfiguration"]["awsvpcConfiguration"]
    started = client("ecs", role_of_service(SCHEDULER, target["RoleArn"], schedule_group())).run_task(
        cluster=target["Arn"],
        taskDefinition=parameters["TaskDefinitionArn"],
        launchType=parameters["LaunchType"],
        networkConfiguration={"awsvpcConfiguration": {key[0].lower() + key[1:]: network[key] for key in network}},
        tags=[{key.lower(): tag[key] for key in tag} for tag in parameters["Tags"]],
        overrides=json.loads(target["Input"].replace("<aws.scheduler.scheduled-time>", now())),
    )
    return started["tasks"][0]


def messaged(name):
    """The message that Scheduler sends when a schedule's time has come, by the schedule's role, as it lies on the queue."""
    target = client("scheduler", root(FLEET)).get_schedule(Name=name, GroupName=NAME)["Target"]
    url = client("sqs", root(FLEET)).get_queue_url(QueueName=target["Arn"].rsplit(":", 1)[1])["QueueUrl"]
    body = target["Input"].replace("<aws.scheduler.scheduled-time>", now())
    scheduler = role_of_service(SCHEDULER, target["RoleArn"], schedule_group())
    client("sqs", scheduler).send_message(QueueUrl=url, MessageBody=body)
    sqs = client("sqs", root(FLEET))
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


def now():
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unstarted(name):
    """What Scheduler does with a start that it could not make: it keeps it on the schedule's dead-letter queue."""
    target = client("scheduler", root(FLEET)).get_schedule(Name=name, GroupName=NAME)["Target"]
    queue = target["DeadLetterConfig"]["Arn"].rsplit(":", 1)[1]
    url = client("sqs", root(FLEET)).get_queue_url(QueueName=queue)["QueueUrl"]
    scheduler = role_of_service(SCHEDULER, target["RoleArn"], schedule_group())
    client("sqs", scheduler).send_message(QueueUrl=url, MessageBody="{}")


def scaled(fleet, tasks):
    """The service's tasks, once the scaling has set how many there are."""
    ecs, cluster, service = client("ecs", root(FLEET)), fleet["cluster"], fleet["service"]
    ecs.update_service(cluster=cluster, service=service, desiredCount=tasks)
    arns = ecs.list_tasks(cluster=cluster, serviceName=service, desiredStatus="RUNNING")["taskArns"]
    expect(len(arns) == tasks, f"{len(arns)} tasks of {service} run, and not {tasks}")
    return ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []


def by_hand(command, *arguments, day=None):
    """The task that a command of the AWS CLI's starts, which need not be installed. `day` is put where it says."""
    words = shlex.split(command)
    expect(words[:3] == ["aws", "ecs", "run-task"], f"not to be understood: {command}")
    words.remove("--enable-ecs-managed-tags")  # the only flag without a value
    flags = dict(zip(words[3::2], words[4::2], strict=True))
    overrides = json.loads(flags["--overrides"].replace("YYYY-MM-DD", str(day)))
    overrides["containerOverrides"][0]["command"] += arguments
    started = client("ecs", root(FLEET), flags["--region"]).run_task(
        cluster=flags["--cluster"],
        taskDefinition=flags["--task-definition"],
        launchType=flags["--launch-type"],
        tags=json.loads(flags["--tags"]),
        overrides=overrides,
    )
    return started["tasks"][0]


def run(task, status=0, **more):
    """Runs a task's program to its end: with its command, its variables and its role."""
    definition = client("ecs", root(FLEET)).describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    definition = definition["taskDefinition"]
    [container] = definition["containerDefinitions"]
    command = container["command"]
    for override in task["overrides"].get("containerOverrides", []):
        expect(override["name"] == container["name"], f"no container is named {override['name']}")
        command = override.get("command", command)
    variables = {variable["name"]: variable["value"] for variable in container["environment"]}
    variables |= {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials_address(
            ECS_TASKS, definition["taskRoleArn"], task["taskArn"]
        ),
        "ECS_AGENT_URI": f"{endpoints['agent']}/{urllib.parse.quote(task['taskArn'], safe='')}",
    }
    return program(command, variables | more, status)


def program(command, variables, status=0):
    """Runs one of the fleet's programs to its end, and gives what it printed."""
    to_the_emulators = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoints["aws"],
        "HOME": str(WORK),
        "SSL_CERT_FILE": str(CERTIFICATE),
    }
    log = WORK / "programs.log"
    with open(log, "a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        try:
            done = subprocess.run(
                [PROGRAMS / command[0], *command[1:]],
                check=False,
                env=variables | to_the_emulators,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                timeout=120,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{shlex.join(command)} did not end within two minutes:\n{last_lines(log)}") from None
        file.write(done.stdout)
    expect(
        done.returncode == status,
        f"{shlex.join(command)} ended with {done.returncode} and not {status}:\n{last_lines(log)}",
    )
    return done.stdout
