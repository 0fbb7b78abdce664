#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the contract suite, or the command given, against ministack instead of local-aws, so that local-aws is not marked
# by its own author alone:
#
#     tests/local-aws/second-opinion.sh
#     tests/local-aws/second-opinion.sh cargo test --workspace --test ministack
#
# The command finds the endpoint in LOCAL_AWS_CONTRACT_ENDPOINT. ministack goes into a virtual environment of its own
# (MINISTACK_VENV, by default target/ministack-venv), since it pins botocore. It listens on 127.0.0.1 alone and is
# stopped when the command ends.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=${MINISTACK_VENV:-target/ministack-venv}
python=$venv/bin/python
if [[ ! -x $python ]]; then
    python3 -m venv "$venv"
fi
# Without cbor2 it answers CloudWatch's CBOR with 200 and JSON, and a put looks stored when nothing was.
"$python" -m pip install --quiet --disable-pip-version-check ministack==1.5.33 cbor2==6.2.1

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
log=$(mktemp)
# It forgets metrics after 14 days; CloudWatch keeps daily ones for 455. Its accounts have enabled all regions, and it takes
# minutes to list the metrics of each; here they have two.
BIND_HOST=127.0.0.1 GATEWAY_PORT=$port "$python" -c '
import ministack.app
import ministack.services.account
import ministack.services.cloudwatch

ministack.services.account._REGIONS_LIST[:] = ["eu-west-1", "us-east-1"]
ministack.services.cloudwatch.TWO_WEEKS_SECONDS = 456 * 86400
ministack.app.main()
' >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -f "$log"' EXIT

ready=
for _ in $(seq 120); do
    if ! kill -0 "$server" 2>/dev/null; then
        break
    fi
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        ready=yes
        break
    fi
    sleep 0.5
done
if [[ -z $ready ]]; then
    echo "ministack did not start within a minute:" >&2
    cat "$log" >&2
    exit 1
fi

export LOCAL_AWS_CONTRACT_ENDPOINT=http://127.0.0.1:$port
if [[ $# -eq 0 ]]; then
    # --show-output names the gaps, and how each case fails there. With -p, the AWS crates would be built anew.
    set -- cargo test --locked --workspace --test contract -- --show-output
fi
"$@"
