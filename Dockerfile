# trueup's image. Build it where the checkout is: docker build -t trueup:0.1.0 .
FROM rust:1-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /trueup
COPY . .
RUN cargo build --release --locked --bin trueup

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /trueup/target/release/trueup /usr/local/bin/trueup
COPY LICENSE /usr/share/doc/trueup/LICENSE
USER 65532:65532
ENTRYPOINT ["trueup"]
