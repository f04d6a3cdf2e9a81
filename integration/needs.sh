#!/bin/sh
# Makes sure that the commands named are there: installs them where it may (as
# root, from Debian's packages), else names what is missing, once.
# NO_INSTALL=1 only names.
set -eu

package_of() {
	case $1 in
	cc) echo "gcc libc6-dev" ;;
	docker) echo docker.io ;;
	node) echo nodejs ;;
	tsc) echo node-typescript ;;
	*) echo "$1" ;;
	esac
}

missing=""
for command in "$@"; do
	command -v "$command" >/dev/null 2>&1 || missing="$missing $command"
done
[ -n "$missing" ] || exit 0

packages=""
for command in $missing; do
	packages="$packages $(package_of "$command")"
done

if [ "${NO_INSTALL:-}" != 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing$packages, for$missing"
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages >/dev/null
	exit 0
fi

echo "missing:$missing" >&2
echo "install them (Debian:$packages), or run the rest with: make test-unit" >&2
exit 1
