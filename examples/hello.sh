#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hello.sh [MOUNT]: a redis-server in a container of its own answers PONG. Without MOUNT, on a fresh
# one that is removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/hello.sh"
cd "$1"

show() {
	echo "\$ $1"
	eval "$1"
}

show 'mkdir db'
show 'echo redis-server > db/cmd'
# It runs when the write returns; it needs a moment more until it listens.
timeout 30 sh -c 'until grep -q "Ready to accept" db/log; do sleep 0.05; done'
show 'nsenter --net=db/ns/net redis-cli ping'
show 'cat db/status'
show 'echo stop > db/ctl'
show 'cat db/exit'
show 'rmdir db'
