#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sharing.sh [MOUNT]: containers that share namespaces, as with docker run --net=container:db. Without
# MOUNT, on a fresh one that is removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/sharing.sh"
cd "$1"

show() {
	echo "\$ $1"
	eval "$1"
}

show 'mkdir db web'
show 'echo redis-server > db/cmd'
timeout 30 sh -c 'until grep -q "Ready to accept" db/log; do sleep 0.05; done'

# The link that db has while it runs, made in web. echo container:db > web/ns/net says the same.
show 'ln -sf ../../db/ns/net web/ns/net'
show 'cat web/ns/net web/ns/user' # rights over a network are its owner's, so the users come along

# On the loopback interface that they share, redis answers.
show "echo 'redis-cli ping' > web/cmd"
show 'cat web/wait web/log'

# Processes as well, in one line of ns.list.
show "echo 'pid container:db' > web/ns.list"
show "echo \"sh -c 'ps -e -o comm; exec sleep 1000'\" > web/cmd"
timeout 30 sh -c 'until grep -q "^ps" web/log; do sleep 0.05; done'
show 'cat web/log'
show '[ db/ns/net -ef web/ns/net ] && echo the same network'
show "grep -E '^(net|pid|user|ipc) ' web/ns.list"

# It is known by its id, not by its name.
show 'mv db store'
show "grep -E '^net ' web/ns.list"
show 'echo stop 0 > web/ctl'
show 'echo stop > store/ctl'
show 'rmdir web store'
