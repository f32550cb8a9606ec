#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# one-shot.sh [MOUNT]: jobs that run to their end, alone and side by side. Without MOUNT, on a fresh
# one that is removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/one-shot.sh"
cd "$1"

# One job: make it, start it, wait for its exit code, read what it printed, remove it.
mkdir job
echo "sh -c 'echo working as \$(id -un) on \$(hostname); exit 3'" > job/cmd
read -r code < job/wait
cat job/log
rmdir job
echo "exit code $code"

# Eight jobs, four at a time. Each has a directory, so nothing is shared between them.
seq 8 | xargs -P 4 -I '{}' sh -c '
	set -e
	mkdir "square-$1"
	echo "expr $1 \* $1" > "square-$1/cmd"
	read -r code < "square-$1/wait"
	echo "$1 squared is $(cat "square-$1/log"), exit code $code"
	rmdir "square-$1"
' sh '{}'
