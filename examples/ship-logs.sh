#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ship-logs.sh [MOUNT]: the logs of all containers in one file, each line once, with the container's name;
# also of those that are made later. Without MOUNT, on a fresh one that is removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/ship-logs.sh"
cd "$1"

dir=$(mktemp -d "${TMPDIR:-/tmp}/ctnfs-ship-XXXXXX")
export dir
shipper=
finish() {
	[ -z "$shipper" ] || kill -- "-$shipper"
	rm -r --one-file-system "$dir"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The shipper. The journal tells of each container when it is made, also of those that are there already:
# its first line to its last follow then. tail keeps its place while old output is dropped, and sed writes
# each line as one. setsid makes it a group of processes, which can be ended as one.
setsid sh -c '
	tail -n+1 -f -s 0.1 events | while read -r number time name what rest; do
		[ "$what" = created ] && [ -d "$name" ] || continue
		tail -n+1 -f -s 0.1 "$name/log.times" 2> /dev/null | sed -u "s,^,$name ," >> "$dir/all" &
	done' &
shipper=$!

# Two containers that talk, and later a third one.
talk="sh -c 'for i in 1 2 3 4 5; do echo line \$i; sleep 0.05; done; echo an error >&2'"
mkdir web db
echo "$talk" | tee web/cmd > db/cmd
cat web/wait db/wait > /dev/null
mkdir late
echo "$talk" > late/cmd
cat late/wait > /dev/null

timeout 30 sh -c 'until [ "$(cat "$dir/all" 2> /dev/null | wc -l)" -ge 18 ]; do sleep 0.1; done'
cut -d ' ' -f 1,3- "$dir/all" | sort | uniq -c
for c in web db late; do sed "s,^,$c ," "$c/log.times"; done | sort > "$dir/want"
sort "$dir/all" | cmp - "$dir/want" && echo 'each line once'
rmdir web db late
