"""Terraform, against the AWS on 127.0.0.1 and with nothing of it in the stack."""

import functools
import json
import os
import shutil
import subprocess

from aws import CERTIFICATE, REGION, endpoints
from steps import REPOSITORY, WORK, Failed, expect, last_lines

STACK = WORK / "terraform"
# What is applied: it has the provider, and calls the stack.
APPLIED = STACK / "examples" / "complete"


class Missing(Failed):
    """What the test needs is not on this machine."""


def copy_of_the_stack():
    """Copies what git has or would take. What is laid over the provider: buckets go into the path, since 127.0.0.1 has
    no host name for each. All else that leads to the emulators is in the environment."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard", "terraform"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    for file in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / file).is_file():
            (WORK / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / file, WORK / file)
    provider = 'provider "aws" {\n  s3_use_path_style = true\n  max_retries       = 4\n}\n'
    (APPLIED / "loopback_override.tf").write_text(provider, encoding="utf-8")


@functools.cache
def cli_configuration():
    """The file that tells Terraform where the AWS provider is: yours where there is one, else one that names a mirror
    on this machine where there is one. Without either, the registry is asked."""
    own = os.environ.get("TF_CLI_CONFIG_FILE")
    if own and os.path.exists(own):
        return own
    layout = "*/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws*"
    found = subprocess.run(
        ["find", "/", "(", "-path", "/proc", "-o", "-path", "/sys", ")", "-prune", "-o", "-path", layout]
        + ["-print", "-quit"],
        check=False,  # it also fails at folders that it may not read
        capture_output=True,
        text=True,
    )
    lines = ["disable_checkpoint = true"]
    if found.stdout:
        mirror = json.dumps(found.stdout.split("/registry.terraform.io/")[0])
        lines += [
            "provider_installation {",
            "  filesystem_mirror {",
            f"    path    = {mirror}",
            '    include = ["registry.terraform.io/hashicorp/*"]',
            "  }",
            "}",
        ]
    else:
        # Else each run would fetch its 150 MB again.
        cache = REPOSITORY / "target" / "terraform-plugins"
        cache.mkdir(parents=True, exist_ok=True)
        lines.append(f"plugin_cache_dir = {json.dumps(str(cache))}")
    file = WORK / "terraformrc"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


class Terraform:
    """A folder, applied to an account. The state of each has a name, so that one folder can be applied to several."""

    def __init__(self, folder, account, name, variables):
        self.folder, self.state, self.log = folder, WORK / f"{name}.tfstate", WORK / f"{name}.log"
        self.variables = variables
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(WORK),
            "TF_CLI_CONFIG_FILE": cli_configuration(),
            "TF_INPUT": "0",
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "-",
            "AWS_REGION": REGION,
            "AWS_CA_BUNDLE": str(CERTIFICATE),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoints["aws"],
            # What ministack lacks, or does not give back as it was written.
            "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": endpoints["moto"],
            "AWS_ENDPOINT_URL_CLOUDWATCH": endpoints["moto"],
        }

    def init(self):
        if self.run("init") != 0:
            said = last_lines(self.log)
            if "Failed to query available provider packages" in said or "Failed to install provider" in said:
                said = said[said.index("Error: ") :]
                raise Missing(f"the AWS provider is neither on this machine nor to be had from the registry\n{said}")
            raise Failed(f"terraform init ended:\n{said}")

    def apply(self, **changed):
        self.variables |= changed
        self.of_state("apply", "-auto-approve")

    def plan_is_empty(self):
        self.of_state("plan", "-detailed-exitcode")

    def destroy(self):
        self.of_state("destroy", "-auto-approve")
        left = json.loads(self.state.read_text(encoding="utf-8"))["resources"]
        expect(not left, f"the state of {self.state.name} still has {left}")

    def of_state(self, command, *arguments):
        variables = []
        for name, value in self.variables.items():
            variables += ["-var", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        # Most of the time it waits for SQS's attributes to settle, of all queues at once if it may.
        status = self.run(command, *arguments, "-parallelism=30", f"-state={self.state}", *variables)
        expect(status == 0, f"terraform {command} of {self.state.stem} ended with {status}:\n{last_lines(self.log)}")

    def run(self, command, *arguments):
        with open(self.log, "a", encoding="utf-8") as log:
            words = ["terraform", f"-chdir={self.folder}", command, "-no-color", *arguments]
            return subprocess.run(words, check=False, env=self.environment, stdout=log, stderr=log).returncode

    @property
    def outputs(self):
        outputs = json.loads(self.state.read_text(encoding="utf-8"))["outputs"]
        return {name: output["value"] for name, output in outputs.items()}
