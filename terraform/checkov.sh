#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks for unsafe settings with checkov: the stack as a whole, each module by itself with the defaults of its
# variables, CloudFormation templates, and the Dockerfile. Any finding is a failure. One that is meant is skipped where
# it stands, with its reason:
#
#     # checkov:skip=CKV_AWS_18:why
#
# checkov goes into a virtual environment of its own (CHECKOV_VENV, by default target/checkov-venv), which needs PyPI
# once. It looks at another tree where it is given one, such as a copy with a planted fault.
set -euo pipefail
cd "$(dirname "$0")/.."

version=3.3.30
venv=${CHECKOV_VENV:-target/checkov-venv}
if [[ $("$venv/bin/checkov" --version 2>/dev/null) != "$version" ]]; then
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "checkov==$version"
fi

# One folder at a time: of several in one call it tells each finding once for every folder that is still to come.
failed=()
scan() {
    local said status=0
    printf '== %s\n' "$2"
    said=$("$venv/bin/checkov" "$@" --skip-download --download-external-modules false --quiet --compact) || status=$?
    printf '%s\n' "$said"
    # Of a file that it can't parse it sees nothing, and calls that a success.
    if ((status)) || grep -q 'Parsing errors: [1-9]' <<<"$said"; then failed+=("$2"); fi
}
terraform=(--framework terraform cloudformation --external-checks-dir terraform/checkov)

tree=${1:-terraform}
scan --directory "$tree" "${terraform[@]}"
# Called from the root, a module has the root's values, and its own defaults are not looked at.
for module in "$tree"/modules/*/; do
    scan --directory "${module%/}" "${terraform[@]}"
done
scan --file Dockerfile --framework dockerfile

if ((${#failed[@]})); then
    echo "checkov has findings in ${failed[*]}" >&2
    exit 1
fi
