#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# health.sh [MOUNT]: a health check that restarts what does not answer. Without MOUNT, on a fresh one that
# is removed afterwards. Needs redis-server.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/health.sh"
cd "$1"

# Whatever tells that it works, from inside: here, that redis answers within a second or two.
healthy() {
	timeout 2 "$1/exec" redis-cli ping 2> /dev/null | grep -q PONG
}

# Look $2 times, every so often; a container that runs and fails twice in a row is restarted.
look_after() {
	failed=0
	for _ in $(seq "$2"); do
		if healthy "$1"; then
			failed=0
		elif [ "$(cat "$1/state")" = running ]; then
			failed=$((failed + 1))
			echo "$1: no answer ($failed)"
		fi
		if [ "$failed" = 2 ]; then
			echo "restart 1" > "$1/ctl" # TERM, and after a second KILL
			echo "$1: restarted"
			failed=0
			timeout 30 sh -c 'until "$1/exec" redis-cli ping; do sleep 0.1; done' sh "$1" > /dev/null 2>&1
		fi
		sleep 0.1
	done
}

mkdir db
echo 'redis-server --save ""' > db/cmd
timeout 30 sh -c 'until db/exec redis-cli ping; do sleep 0.1; done' > /dev/null 2>&1
first=$(cat db/pid)

echo 'kill STOP' > db/ctl # alive, to all appearance
look_after db 4
healthy db && echo "db answers again"
[ "$(cat db/pid)" != "$first" ] && echo "it is another process"
grep Restarts db/status

echo stop > db/ctl
rmdir db
