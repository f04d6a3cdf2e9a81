#!/bin/sh
# Makes sure that the commands named are there: installs them where it may (as
# root, from Debian's packages), else names what is missing, once.
# NO_INSTALL=1 only names. `compose` is docker's plugin or docker-compose.
set -eu

package_of() {
	case $1 in
	cc) echo "gcc libc6-dev" ;;
	compose) echo docker-compose ;;
	docker) echo docker.io ;;
	ip) echo iproute2 ;;
	node) echo nodejs ;;
	promtool) echo prometheus ;;
	tsc) echo node-typescript ;;
	*) echo "$1" ;;
	esac
}

is_there() {
	case $1 in
	compose) docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing=""
for command in "$@"; do
	is_there "$command" || missing="$missing $command"
done
[ -n "$missing" ] || exit 0

packages=""
for command in $missing; do
	packages="$packages $(package_of "$command")"
done

if [ "${NO_INSTALL:-}" != 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing$packages, for$missing; services that they bring are not started"
	policy=/usr/sbin/policy-rc.d # who starts services asks it
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages >/dev/null
	exit 0
fi

echo "missing:$missing" >&2
echo "install them (Debian:$packages), or run the rest with: make test-unit" >&2
exit 1
