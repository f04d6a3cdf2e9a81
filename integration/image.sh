#!/bin/sh
# Makes an image that the Dockerfiles' builds can start from instead of the
# official Go image, for machines that reach no image registry: this machine's own
# Go, the modules of this program, and certificates. Prints its name; one that is
# there already is used again.
#
#   docker build --build-arg GO_IMAGE="$(integration/image.sh)" -t outrider .
#
# CERTIFICATES names another file of certificates.
set -eu
cd "$(dirname "$0")/.."

certificates=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
[ -r "$certificates" ] || {
	echo "$certificates cannot be read: install ca-certificates, or set CERTIFICATES" >&2
	exit 1
}
[ "$(go env GOHOSTOS)" = linux ] || {
	echo "this machine's Go is not for Linux, where containers run: use an official Go image" >&2
	exit 1
}

version=$({ go version; cat go.mod go.sum "$certificates" integration/image.sh; } | sha256sum | cut -c1-12)
image=outrider-go:$version
if docker image inspect "$image" >/dev/null 2>&1; then
	echo "$image"
	exit 0
fi

root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$root/usr/local" "$root/go/pkg/mod/cache" "$root/etc/ssl/certs" "$root/tmp" "$root/modules" "$root/cache"
chmod 1777 "$root/tmp"
cp "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"

# Only what a build needs: no tests, no sources of the tools.
tar -C "$(go env GOROOT)/.." -c --exclude=testdata --exclude='*_test.go' --exclude=go/src/cmd \
	--transform "s,^$(basename "$(go env GOROOT)"),go," \
	"$(basename "$(go env GOROOT)")/bin" "$(basename "$(go env GOROOT)")/src" \
	"$(basename "$(go env GOROOT)")/pkg" "$(basename "$(go env GOROOT)")/VERSION" \
	"$(basename "$(go env GOROOT)")/go.env" |
	tar -C "$root/usr/local" -x

# The modules that this machine has are not fetched again.
GOMODCACHE="$root/modules" GOFLAGS=-modcacherw \
	GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" GONOSUMDB='*' go mod download

# Compiled once here, and not in every build.
go list -deps -f '{{if not .Module}}{{.ImportPath}}{{else if not .Module.Main}}{{.ImportPath}}{{end}}' ./sidecar |
	GOCACHE="$root/cache" CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' xargs go build

mv "$root/modules/cache/download" "$root/go/pkg/mod/cache/download"
rm -rf "$root/modules"

# Those of other versions that nobody has made today go, and what was built from them.
docker image prune --all --force --filter label=outrider.go --filter until=24h >/dev/null
tar -C "$root" --owner=0 --group=0 -c . | docker import \
	--change "LABEL outrider.go=$version" \
	--change 'ENV PATH=/usr/local/go/bin GOPATH=/go GOPROXY=off GOTOOLCHAIN=local GOCACHE=/cache' \
	- "$image" >/dev/null
echo "$image"
