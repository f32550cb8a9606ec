#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A chart of a run's JSON, drawn by gnuplot (package gnuplot-nox): lives, lives a second, growth.

    chart.py FILE.json CHART.svg|CHART.png"""

import json
import subprocess
import sys

sys.dont_write_bytecode = True

import crowds  # noqa: E402
import figures  # noqa: E402
import lives  # noqa: E402

TERMINALS = {"svg": "svg size 900,760 font 'sans-serif,12' background '#ffffff'", "png": "png size 900,760"}
OURS = "#2a6f97"


def block(name, rows):
    return ["$%s << END" % name] + rows + ["END"]


def life_rows(run):
    """The quickest first, since gnuplot begins below; ours in another colour."""
    found = run["parts"].get("lives", {})
    names = [n for n in lives.MAKES if figures.value(found, n, "true")]
    names.sort(key=lambda n: -figures.value(found, n, "true"))
    return ['"%s" %f %d' % (n, figures.value(found, n, "true") / 1e3, n.startswith("ctnfs")) for n in names]


def draw_lives(run):
    rows = life_rows(run)
    if not rows:
        return []
    slowest = max(float(row.rpartition('"')[2].split()[0]) for row in rows)
    return block("lives", rows) + [
        "set title 'a life of true, ms (logarithmic)' noenhanced", "set logscale x", "set xrange [0.3:%f]" % (2 * slowest),
        "set yrange [-0.6:%f]" % (len(rows) - 0.4), "set grid x", "set style fill solid 0.85", "unset key",
        "set size 1,0.52", "set origin 0,0.48",
        "plot $lives using (0.3):0:(0.3):2:($0-0.35):($0+0.35):($3==1?%d:%d):ytic(1) with boxxyerrorbars "
        "linecolor rgb variable, $lives using 2:0:(sprintf(' %%.1f',$2)) with labels left" % (
            int(OURS[1:], 16), int("a9b4bc", 16)),
        "unset logscale", "unset yrange", "unset xrange", "unset grid", "set ytics auto"]


def lines_of(name, found, keys, value):
    """A data block, whose first column is a key, with a column for each of @found."""
    return block(name, [" ".join([k] + ["%f" % value(kinds, k) for kinds in found.values()]) for k in keys])


def draw_throughput(run):
    found = run["parts"].get("throughput", {})
    if not found:
        return []
    keys = [str(n) for n in crowds.LAUNCHERS]
    plots = ["$many using 1:%d with linespoints linewidth 2 title '%s'" % (i + 2, name.partition(",")[0])
             for i, name in enumerate(found)]
    return lines_of("many", found, keys, lambda kinds, k: kinds[k]["value"]) + [
        "set title 'lives a second, by launchers'", "set key outside right top", "set logscale x 2",
        "set xtics (1,2,4,8)", "set xrange [0.9:9]", "set yrange [0:*]", "set grid", "set size 0.5,0.48", "set origin 0,0",
        "plot " + ", ".join(plots), "unset logscale", "set xtics auto", "set xrange [*:*]"]


def draw_growth(run):
    levels = run["parts"].get("many", {}).get("levels", {})
    if not levels:
        return []
    what = {"start": ("mkdir", "cmd"), "removal": ("rmdir",), "read": ("state",)}
    total = lambda n, keys: sum(figures.value(levels, n, k) for k in keys)  # noqa: E731
    rows = [" ".join([n] + ["%f" % (total(n, keys) / total("1", keys)) for keys in what.values()]) for n in levels]
    plots = ["$growth using 1:%d with linespoints linewidth 2 title '%s'" % (i + 2, name)
             for i, name in enumerate(what)]
    return block("growth", rows) + [
        "set title 'with so many that run, times that with one'", "set key inside left bottom Left reverse",
        "set logscale x 10", "set yrange [0:2]", "set grid", "set size 0.5,0.48", "set origin 0.5,0",
        "plot " + ", ".join(plots)]


def draw(run, path):
    kind = path.rpartition(".")[2]
    if kind not in TERMINALS:
        raise SystemExit("%s: a chart is .svg or .png" % path)
    script = ["set terminal " + TERMINALS[kind], "set output '%s'" % path, "set multiplot"]
    script += draw_lives(run) + draw_throughput(run) + draw_growth(run) + ["unset multiplot", ""]
    try:
        subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)
    except FileNotFoundError:
        print("there is no chart: gnuplot is not installed (package gnuplot-nox)", file=sys.stderr)


def main():
    with open(sys.argv[1]) as f:
        draw(json.load(f), sys.argv[2])


if __name__ == "__main__":
    main()
