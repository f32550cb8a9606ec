#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# queue.sh [MOUNT]: a job queue: JOBS containers (100), at most AT_ONCE (4) at a time. Without MOUNT, on
# a fresh one that is removed afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/queue.sh"
cd "$1"
jobs=${JOBS:-100}
at_once=${AT_ONCE:-4}

dir=$(mktemp -d "${TMPDIR:-/tmp}/ctnfs-queue-XXXXXX")
trap 'rm -r --one-file-system "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# One job: its exit code is what `wait` reads when it has ended. Every tenth fails.
job() {
	mkdir "job-$1"
	echo "sh -c 'sleep 0.05; echo \$(($1 * $1)); test \$(($1 % 10)) != 0'" > "job-$1/cmd"
	printf '%s\n' job-*/ | wc -l >> "$dir/running"
	read -r code < "job-$1/wait"
	echo "job $1: exit code $code, it said $(cat "job-$1/log")" >> "$dir/results"
	rmdir "job-$1"
}

# A pipe with a line for each job that may run: who begins takes one out, who ends puts one back, and
# where there is none, read waits.
mkfifo "$dir/turns"
exec 3<> "$dir/turns"
seq "$at_once" >&3
for n in $(seq "$jobs"); do
	read -r turn <&3
	{ job "$n"; echo "$turn" >&3; } &
done
wait

sort -n -k 2 "$dir/results" | sed -n '1,3p;10p'
echo "$(wc -l < "$dir/results") jobs have ended, $(grep -c 'code 1,' "$dir/results") of them failed"
echo "at most $(sort -n "$dir/running" | tail -n 1) were there at a time"
