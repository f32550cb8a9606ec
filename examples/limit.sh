#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# limit.sh [MOUNT]: limits on memory, processes and processor time, and how to see that they were
# met. Without MOUNT, on a fresh one that is removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/limit.sh"
cd "$1"

# Limits can be set before the start. This program takes memory until it is killed.
mkdir hog
echo 32M > hog/memory.limit
echo "memory limit: $(cat hog/memory.limit) bytes"
echo 'tail /dev/zero' > hog/cmd
echo "exit code $(cat hog/wait)"
grep OomKilled hog/status
grep oom_kill hog/cgroup/events
rmdir hog

# One that starts process after process comes to the end of its number.
mkdir many
echo 5 > many/cgroup/pids.max
echo "sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait'" > many/cmd
cat many/wait > /dev/null
echo "times that pids.max refused: $(sed -n 's/^pids.max //p' many/cgroup/events)"
rmdir many

# A busy loop gets a fifth of one processor: 20 of every 100 milliseconds. The limit is lifted
# while it runs.
mkdir busy
echo '20000 100000' > busy/cgroup/cpu.max
echo "sh -c 'while :; do :; done'" > busy/cmd
until grep -q '^nr_throttled [1-9]' busy/cgroup/cpu.stat; do sleep 0.1; done
grep -E '^(usage_usec|nr_throttled) ' busy/cgroup/cpu.stat
echo max > busy/cgroup/cpu.max
cat busy/cgroup/cpu.max
echo kill > busy/ctl
echo "exit code $(cat busy/exit)"
rmdir busy
