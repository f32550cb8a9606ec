#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# top.sh [MOUNT [TIMES]]: what docker stats shows: each second, how much of a processor each container has
# used since the last time, its memory, and its processes; the busiest first. With neither, on a fresh
# mount that is removed afterwards, with two containers to look at.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/top.sh"
cd "$1"
times=${2:-2}

# Two figures of a counter make a rate. stats begins with its columns' names, so that nobody has to count
# them: what is between two such lines is one moment.
rates() {
	awk '
	$1 == "#NAME" { for (i = 1; i <= NF; i++) column[$i] = i; moments++; next }
	moments > 1 && $1 in before {
		printf "%-12s %-8s %6.1f%% %8.1f MiB %5d\n", $1, $column["STATE"],
			($column["CPU"] - before[$1]) * 100, $column["MEMORY"] / 1048576, $column["PIDS"]
	}
	{ before[$1] = $column["CPU"] }' | sort -k 3nr
}

top() {
	before=$(cat stats)
	for _ in $(seq "$times"); do
		sleep 1
		now=$(cat stats)
		[ ! -t 1 ] || printf '\033[H\033[J' # from the top of a cleared screen
		printf '%s\n%s\n' "$before" "$now" | rates
		echo
		before=$now
	done
}

if [ $# -gt 1 ]; then
	top
	exit
fi

mkdir busy lazy
echo "sh -c 'while :; do :; done'" > busy/cmd
echo 'sleep 1000' > lazy/cmd
echo '30000 100000' > busy/cgroup/cpu.max # three tenths of a processor
top
echo "the most processor time: $(sort -k 4nr stats | head -n 1 | cut -d ' ' -f 1)"
for c in busy lazy; do
	echo kill > $c/ctl
	rmdir $c
done
