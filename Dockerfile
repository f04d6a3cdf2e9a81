# The sidecar, in an image that holds nothing else. It is configured by OUTRIDER_*
# variables, or by a folder mounted on /etc/outrider; nothing in it has to be
# written to, so it runs with --read-only, and as any user.
#
#   docker build -t outrider .
#   docker run --rm -it -p 6188:6188 outrider demo
#
# The steps run programs, no shell: the base of the build needs to hold no more than
# Go and certificates.
ARG GO_IMAGE=golang:1.26.8-alpine

FROM ${GO_IMAGE} AS build
LABEL outrider.stage=build
WORKDIR /out/folder
WORKDIR /src
COPY go.mod go.sum ./
RUN ["go", "mod", "download"]
ARG VERSION=
ARG CGO_ENABLED=0
ARG GOFLAGS="-trimpath -buildvcs=false '-ldflags=-s -w -buildid= -X main.release=${VERSION}'"
COPY . .
RUN ["go", "build", "-o", "/out/outrider", "./sidecar"]

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# For the configuration, and for a volume: a new one gets this owner.
COPY --from=build --chown=65532:65532 /out/folder /etc/outrider
COPY --from=build --chown=65532:65532 /out/folder /var/lib/outrider
# It can be written to in every container: the admin token of a sidecar that was
# given none goes there.
ENV TMPDIR=/dev/shm
USER 65532:65532
WORKDIR /etc/outrider
EXPOSE 6188 6190 6191 6191/udp
HEALTHCHECK --interval=2s --timeout=3s --start-period=10s --retries=3 CMD ["/outrider", "healthcheck"]
ENTRYPOINT ["/outrider"]
CMD ["run"]
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="Outrider" \
      org.opencontainers.image.description="A sidecar proxy that asks your JavaScript where each request goes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/outrider /outrider
