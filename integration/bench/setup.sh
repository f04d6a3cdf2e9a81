#!/bin/sh
# Brings what the benchmark needs and this system lacks: nginx and its JavaScript module, HAProxy, Caddy, wrk,
# a C compiler, taskset.
#
# Nothing is started: the packages' services are kept from starting while they are installed, and from
# starting at the next boot. What was installed before is left as it is.
#
#   integration/bench/setup.sh               installs what is missing (Debian or Ubuntu, as root)
#   NO_INSTALL=1 integration/bench/setup.sh  only names what is missing; exit 1 when something is
set -eu

# nginx and haproxy live in sbin, which an ordinary user's PATH may lack.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
guard=/usr/sbin/policy-rc.d

say() { echo "bench setup: $*" >&2; }

missing_packages() {
	command -v nginx >/dev/null || echo nginx
	[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] || echo libnginx-mod-http-js
	command -v haproxy >/dev/null || echo haproxy
	command -v caddy >/dev/null || echo caddy
	command -v wrk >/dev/null || echo wrk
	command -v cc >/dev/null || echo gcc libc6-dev
	command -v taskset >/dev/null || echo util-linux
}

# invoke-rc.d and deb-systemd-invoke ask policy-rc.d before they start a service; 101 forbids it.
# A guard that somebody else put there is used when it forbids starting, and moved aside when not.
forbid_starting() {
	if [ -x "$guard" ]; then
		"$guard" nginx start >/dev/null 2>&1 || [ $? -ne 101 ] || return 0
	fi
	if [ -e "$guard" ]; then
		mv "$guard" "$guard.before-bench"
	fi
	trap allow_starting EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >"$guard"
	chmod 755 "$guard"
}

allow_starting() {
	rm -f "$guard"
	if [ -e "$guard.before-bench" ]; then
		mv "$guard.before-bench" "$guard"
	fi
}

keep_from_boot() {
	command -v update-rc.d >/dev/null || return 0
	for service in "$@"; do
		if [ -e "/etc/init.d/$service" ]; then
			update-rc.d "$service" disable >/dev/null 2>&1 || say "could not disable $service: it may start at the next boot"
		fi
	done
}

packages=$(missing_packages | tr '\n' ' ')
packages=${packages% }
if [ -z "$packages" ]; then
	exit 0
fi
if [ -n "${NO_INSTALL:-}" ]; then
	say "missing: $packages"
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	say "missing: $packages. There is no apt-get here: install them by the means of this system"
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	say "missing: $packages. Run this as root, or: sudo apt-get install $packages"
	exit 1
fi

say "installing $packages with apt-get; no service will be started or enabled"
forbid_starting
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the packages are words
if ! apt-get install -y -q --no-install-recommends $packages >&2; then
	say "trying once more with fresh package lists"
	apt-get update -q >&2
	# shellcheck disable=SC2086
	apt-get install -y -q --no-install-recommends $packages >&2
fi
# shellcheck disable=SC2086
keep_from_boot $packages
say "done: $(nginx -v 2>&1), $(haproxy -v | head -n 1), $(wrk -v 2>&1 | head -n 1)"
