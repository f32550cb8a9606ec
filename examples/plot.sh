#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plot.sh [MOUNT [PICTURE]]: a container's memory over time, as text and as a PNG. Without MOUNT, on a fresh
# one that is removed afterwards. Needs gnuplot (the package gnuplot-nox), jq and
# python3.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || exec "$here/with-mount" "$here/plot.sh"
cd "$1"

dir=$(mktemp -d "${TMPDIR:-/tmp}/ctnfs-plot-XXXXXX")
trap 'rm -r --one-file-system "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
picture=${2:-$dir/memory.png}

# A program that takes 4 MiB more ten times, and gives it all back.
mkdir eater
cat > "$dir/eater.py" << 'END'
import time
taken = []
for i in range(20):
    if i < 10:
        taken.append(b"x" * (4 << 20))
    else:
        taken.clear()
    time.sleep(0.1)
END
jq -cn --rawfile program "$dir/eater.py" '["python3", "-c", $program]' > eater/cmd

# Seconds since the start, and bytes, until it ends.
begin=$(date +%s.%N)
while [ "$(cat eater/state)" = running ]; do
	echo "$(date +%s.%N) $(cat eater/cgroup/memory.usage)"
	sleep 0.05
done | awk -v begin="$begin" '{ print $1 - begin, $2 / 1048576 }' > "$dir/memory"
rmdir eater

axes="set xlabel 'seconds'; set ylabel 'MiB'; set yrange [0:]; unset key"
plot="plot '$dir/memory' using 1:2 with lines"
gnuplot -e "set terminal dumb 76 20; $axes; $plot"
gnuplot -e "set terminal png size 640,400; set output '$picture'; $axes; $plot"
echo "most: $(cut -d ' ' -f 2 "$dir/memory" | sort -n | tail -n 1 | cut -d . -f 1) MiB"
echo "the picture has $(wc -c < "$picture") bytes"
