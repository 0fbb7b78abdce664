# The gate and the daily tasks. `just` lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

_default:
    @just --list

# All that must hold before a commit; .ci/run does it too, and more.
check: fmt clippy test fuzz docs deny

# The formatting is rustfmt's.
fmt:
    cargo fmt --all --check

# No warning, in no target.
clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Everything that needs nothing but Rust; and Terraform's checks, where there is Terraform.
test:
    cargo test --workspace --locked

# The fuzz targets build, and each takes its seeds; `fuzz/README.md` says how to let them run.
fuzz:
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    CARGO_TARGET_DIR=target cargo clippy --manifest-path fuzz/Cargo.toml --locked -- -D warnings
    CARGO_TARGET_DIR=target cargo build --manifest-path fuzz/Cargo.toml --locked --bins
    cd fuzz; for target in $(ls corpus); do ../target/debug/$target -runs=0 corpus/$target 2>&1 | tail -n 1; done

# Kills workers at every step, N times, and looks at every report and every job then. `cargo test` has built it; `cargo run`
# would build the AWS crates anew, with other features.
chaos kills="300" seed="1":
    cargo test --quiet --workspace --locked --no-run --test chaos
    target/debug/chaos --kills {{kills}} --seed {{seed}}

# How fast, lean and fair it is, each figure beside its floor; `just bench all --short` takes a minute.
bench *arguments:
    cargo run --release --locked --bin bench -- {{arguments}}

# Measures everything again, in about an hour, and writes tests/bench/FIGURES.md; a missed bar is shown there, and ends with 1.
figures:
    cargo build --release --locked -p worker
    just bench all --worker target/release/worker --format json > target/figures.json || true
    just bench table target/figures.json > target/figures.md # what was cut short is no table, and takes the place of nothing
    mv target/figures.json tests/bench/figures.json
    just bench document

# What a metric costs in the plan, the rows and the table, which are plain functions.
bench-pure *arguments:
    cargo bench --locked -p worker --bench pure -- {{arguments}}

# Writes the datasets of datasets/ into terraform/datasets.json, from which Terraform knows them, docs/datasets.md and the pages of docs/datasets/.
datasets:
    cargo run --quiet --locked --bin producer -- datasets --format json > target/datasets.json
    mv target/datasets.json terraform/datasets.json
    UPDATE_DOCS=1 cargo test --workspace --locked --test e2e catalogue

# Writes the flags of both programs into docs/configuration.md.
configuration:
    UPDATE_DOCS=1 cargo test --workspace --locked --test e2e configuration

# The documentation builds, and its links lead somewhere.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# Licences, sources and banned crates.
deny:
    cargo deny --locked check bans licenses sources

# Known vulnerabilities and unmaintained crates; needs the network.
audit:
    cargo deny --locked check advisories

# The same contract and the same reports on an emulator that others wrote; needs Python and PyPI.
second-opinion:
    tests/local-aws/second-opinion.sh
    tests/local-aws/second-opinion.sh cargo test --locked --workspace --test ministack

# OpenSearch 2.19.6 and 3.9.0 for the tests, into target/opensearch; needs JDKs 17 and 21 or newer, and Maven once.
search-node:
    tests/opensearch/fetch.sh

# Unsafe settings in the Terraform stack, the StackSets template and the Dockerfile; needs Python, and PyPI once.
checkov:
    terraform/checkov.sh

# Applies the whole stack on emulators, runs the real programs as its roles, destroys it; needs Terraform, Python, PyPI.
loopback:
    terraform/loopback/run.sh

# The whole fleet on this machine, with no AWS account.
demo:
    cargo run --bin demo
