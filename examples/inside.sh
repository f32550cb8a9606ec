#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# inside.sh [MOUNT]: programs in a running container, by hand, in a pipe, in the background. Without
# MOUNT, on a fresh one that is removed afterwards. Needs redis-server.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/inside.sh"
cd "$1"

mkdir db
echo redis-server > db/cmd
timeout 30 sh -c 'until db/exec redis-cli ping; do sleep 0.1; done' 2> /dev/null

# By hand: my streams, its namespaces. The words go to the program as they are.
db/exec redis-cli set greeting 'hello, world' > /dev/null
db/exec redis-cli --raw get greeting
db/exec -u redis -w /tmp -e COLOUR=blue sh -c 'echo "$(id -un) in $(pwd), $COLOUR"'

# In a pipe, between programs of the host.
seq 5 | sed 's/.*/incrby total &/' | db/exec redis-cli | tail -n 1

# Its exit status is the program's.
db/exec sh -c 'exit 7' || echo "status $?"

# In the background: a session, with the files of a container. stdin, stdout and the exit code stay
# until it is removed, whoever made it is long gone, and the server was started anew.
mkdir db/execs/count
echo 'wc -l' > db/execs/count/cmd
seq 1000 > db/execs/count/stdin
read -r code < db/execs/count/wait
echo "counted $(cat db/execs/count/stdout), exit code $code"
rmdir db/execs/count

# Whatever it has started ends with it.
mkdir db/execs/busy
echo "sh -c 'sleep 1000 & sleep 1000 & wait'" > db/execs/busy/cmd
until [ "$(grep -c 'sleep 1000$' db/execs/busy/ps)" = 2 ]; do sleep 0.05; done
echo "$(grep -c 'sleep 1000$' db/ps) sleepers"
rmdir db/execs/busy
echo "$(grep -c 'sleep 1000$' db/ps || :) sleepers"

# The last lines of the log, with time and stream; the time is cut off here.
tail -n 1 db/log.times | cut -d ' ' -f 2- | cut -c 1-6

echo stop > db/ctl
rmdir db
