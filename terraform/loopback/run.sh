#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Applies the whole stack on emulators on 127.0.0.1, runs the real producer and workers as the stack's own roles, with
# IAM enforced, and destroys it all. README.md tells what that shows, and what it can't.
#
#     terraform/loopback/run.sh
#     terraform/loopback/run.sh --if-present    # where Terraform or its AWS provider is missing: says so, and is done
#
# The emulators go into a virtual environment of their own (LOOPBACK_VENV, by default target/loopback-venv).
set -euo pipefail
cd "$(dirname "$0")/../.."

for needed in terraform openssl git cargo python3; do
    if ! command -v "$needed" >/dev/null; then
        if [[ $needed == terraform && ${1:-} == --if-present ]]; then
            echo "left out: the stack on emulators, since terraform is not on the PATH"
            exit 0
        fi
        echo "$needed is not on the PATH; needed are Terraform 1.9 or later, Python 3.11 or later, Rust, openssl and git" >&2
        exit 1
    fi
done

# What `cargo test` has built: with -p, the AWS crates would be built anew, with other features.
cargo test --quiet --locked --workspace --no-run --test cli

venv=${LOOPBACK_VENV:-target/loopback-venv}
if [[ ! -x $venv/bin/python ]]; then
    python3 -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r terraform/loopback/requirements.txt

exec "$venv/bin/python" -B terraform/loopback/run.py "$@"
