# Both programs in one image:
#     docker run IMAGE worker run
#     docker run IMAGE producer run
# Built for ARM64 (`--platform linux/arm64`) or AMD64, on a machine of either kind, with no emulation.

# The build runs on the machine's own CPU, and cross-compiles where the image is for the other one.
# Its Debian is the final image's, so that both have the same glibc.
FROM --platform=$BUILDPLATFORM rust:1.95.0-slim-trixie AS build
# RUSTUP_TOOLCHAIN: what this image has. By rust-toolchain.toml alone, rustup would fetch clippy and rustfmt too.
# CC_… is for aws-lc-sys. A machine's own compiler goes by the same name as the cross-compiler of the other.
ENV RUSTUP_TOOLCHAIN=$RUST_VERSION \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
ARG TARGETARCH
# Debian's packages have no version here: it keeps only the newest of each, so that a pinned one soon can't be had.
# hadolint ignore=DL3008,SC2086
RUN case "$TARGETARCH" in \
        arm64) target=aarch64-unknown-linux-gnu packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
        amd64) target=x86_64-unknown-linux-gnu packages="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
        *) echo "the image is for arm64 and amd64, not for '$TARGETARCH'" >&2; exit 1 ;; \
    esac && \
    if [ "$TARGETARCH" != "$(dpkg --print-architecture)" ]; then \
        apt-get update && \
        apt-get install -y --no-install-recommends $packages && \
        rm -rf /var/lib/apt/lists/*; \
    fi && \
    rustup target add "$target" && \
    echo "$target" > /rust-target

# The commit that --version names: --build-arg BUILD_COMMIT="$(git log -1 --format='%h %cs')". The context has no .git.
ARG BUILD_COMMIT=
WORKDIR /src
COPY . .
# The dependencies are kept in cache mounts. That is simpler than cargo-chef, which is a tool more to trust and two
# stages more, and does more: where Cargo.lock changes, only what changed in it is built. But a builder that is
# thrown away after each build keeps no cache mounts, and builds everything each time.
# - sharing=locked: cargo's own lock on the registry lies outside of it, where a build beside this one has another.
# - cargo clean: cargo goes by file times, which say nothing between two checkouts. Without it, the image of an
#   older checkout got the programs of a newer one. It needs --target: CARGO_BUILD_TARGET is lost on it.
RUN --mount=type=cache,id=cloudwatch-fleet-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=cloudwatch-fleet-target,target=/src/target,sharing=locked \
    if ! grep -qF "\"$RUST_VERSION\"" rust-toolchain.toml; then \
        echo "rust-toolchain.toml names another version than the first FROM here" >&2; exit 1; \
    fi && \
    target=$(cat /rust-target) && \
    cargo clean --locked --release --target "$target" --workspace && \
    cargo build --locked --release --target "$target" -p producer -p worker && \
    install -D -t /out "target/$target/release/producer" "target/$target/release/worker"

# glibc, libgcc and the CA certificates, which is all that the programs need. No shell, no package manager.
FROM gcr.io/distroless/cc-debian13:nonroot
LABEL org.opencontainers.image.title="cloudwatch-fleet" \
      org.opencontainers.image.description="Collects the CloudWatch storage metrics of every S3 bucket in every account" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /usr/local/bin/
# Workers keep the rows of long reports in temporary files. Declared as a volume, /tmp keeps its mode where ECS mounts one.
VOLUME ["/tmp"]
# As a number: Kubernetes' runAsNonRoot can't tell whether a name is root's.
USER 65532:65532
# checkov:skip=CKV_DOCKER_2:A worker has no port to ask. One that is at fault exits and is started anew by ECS or Kubernetes, neither of which reads HEALTHCHECK.
# No ENTRYPOINT, so that the command names the program.
CMD ["worker", "--help"]
