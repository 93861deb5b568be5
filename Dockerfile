# streamgauge in a container: built as the README says, run as an ordinary user on a small Debian.
#
#   docker build -t streamgauge .
#   docker run --rm --network host streamgauge doctor -b 127.0.0.1:9092

FROM rust:1.95-bookworm AS builder
# The image's own toolchain, without the formatter and the linter that rust-toolchain.toml would fetch as well.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
# Packages change less often than sources: their layer comes first and is kept.
COPY scripts/setup scripts/setup
RUN scripts/setup
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
# Not pinned: the newest security updates of the release are what is wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/streamgauge streamgauge
COPY --from=builder /src/target/release/streamgauge /usr/local/bin/streamgauge
USER 10001
# Where relative paths of settings lead: mount a volume here to keep what is written.
WORKDIR /var/lib/streamgauge
ENTRYPOINT ["streamgauge"]
CMD ["--help"]
