#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# supervise.sh [MOUNT]: a supervisor in ten lines of sh, for one who wants a policy of his own. (`echo
# on-failure:5 > restart` has the usual ones, and needs no script.) Without MOUNT, on a fresh one that is
# removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/supervise.sh"
cd "$1"

# Start $1 again whenever it fails, each time after a longer pause, until it ends well or has failed $2
# times. `wait` reads when it has ended.
supervise() {
	left=$2 pause=1
	while read -r code < "$1/wait"; do
		echo "$1 has ended with exit code $code"
		[ "$code" != 0 ] && [ "$left" -gt 0 ] || return "$code"
		sleep "0.$pause"
		left=$((left - 1)) pause=$((pause * 2))
		echo start > "$1/ctl"
	done
}

# A program that succeeds when it is started for the third time: what it writes is kept over its runs.
mkdir shy bad
echo "sh -c 'echo run >> /root/runs; test \$(grep -c run /root/runs) -ge 3'" > shy/cmd
supervise shy 5 && echo "it needed $(grep -c run shy/layer/root/runs) runs"

# One that always fails.
echo "sh -c 'exit 7'" > bad/cmd
supervise bad 1 || echo "given up: $?"
rmdir shy bad
