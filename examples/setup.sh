#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian 12 to a redis-server that answers from inside its container: installs what is
# missing, builds in build/, shows a container on a fresh mount, and removes that mount again.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

# To build.
packages="gcc libc6-dev meson ninja-build pkg-config
	libfuse3-dev libseccomp-dev libcap-dev libjson-c-dev musl-tools"
# mount -t fuse.ctnfs, and what the examples use.
packages="$packages fuse3 libcap2-bin util-linux procps iproute2 jq redis-server redis-tools gnuplot-nox"
# The tests use these as well.
packages="$packages python3 python3-pytest clang-format mandoc strace rsync
	runc umoci busybox-static"
# They run in a virtual machine, too.
packages="$packages qemu-system-x86 mmdebstrap e2fsprogs zstd"

die() {
	echo "setup.sh: $*" >&2
	exit 1
}

missing() {
	for p in $packages; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) || status=
		[ "$status" = installed ] || echo "$p"
	done
}

# The redis package would start a redis of its own on this host: nobody wants that one here. 101 is
# "forbidden by policy" to invoke-rc.d(8). A policy that is there already is left alone.
policy=/usr/sbin/policy-rc.d
policy_is_ours=

remove_policy() {
	[ -z "$policy_is_ours" ] || rm -f "$policy"
	policy_is_ours=
}

install_packages() {
	if [ ! -e "$policy" ]; then
		policy_is_ours=yes
		printf '#!/bin/sh\nexit 101\n' > "$policy"
		chmod 755 "$policy"
	fi
	apt-get -q update
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $1
	remove_policy
}

# A test has it read the file metrics as Prometheus would. Alone: the package has a server as well,
# which would begin with the machine.
get_promtool() {
	work=$(mktemp -d)
	chmod 755 "$work" # for apt's own user
	apt-get -q update
	(cd "$work" && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb .)
	mkdir -p build/tools
	mv "$work/usr/bin/promtool" build/tools/
	rm -rf "$work"
}

[ "$(id -u)" = 0 ] || die "only root can make containers: sudo $0"
command -v apt-get >/dev/null || die "this script knows Debian only; README.md lists what it needs"
trap remove_policy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# meson wants a UTF-8 locale, and the words below are compared by tests.
export LC_ALL=C.UTF-8

needed=$(missing)
[ -z "$needed" ] || install_packages "$needed"
[ -c /dev/fuse ] || modprobe fuse 2>/dev/null || :
[ -c /dev/fuse ] || die "no /dev/fuse: this kernel, or the container around us, does not offer FUSE"

cd "$here/.."
[ -e build/build.ninja ] || meson setup build
meson compile -C build
[ -x build/tools/promtool ] || command -v promtool >/dev/null || get_promtool
unset CTNFS_BUILD # what was just built is what is shown
exec "$here/with-mount" "$here/hello.sh"
