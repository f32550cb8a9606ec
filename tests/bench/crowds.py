# SPDX-License-Identifier: Apache-2.0
"""Lives of `true` a second, with 1, 2, 4 and 8 that lead them at the same time.

The floor and ctnfs are led by as many processes, each with a batch of lives to lead; the others by one
that keeps as many commands running."""

import os
import shutil
import subprocess
import time

import contestants
import figures
import peers

NAME = "throughput"
MUST_RUN = ()
LAUNCHERS = (1, 2, 4, 8)
TURNS = 3  # of the rounds
OURS = "ctnfs, many"


class Led:
    """@make(i) gives the i-th program."""

    def __init__(self, name, make, lives):
        self.name = name
        self.lives = lives
        self.all = []
        try:
            for i in range(max(LAUNCHERS)):
                self.all.append(make(i))
            for program in self.all:
                program.life("true")
        except (contestants.Failed, OSError):
            self.close()
            raise

    def per_second(self, launchers):
        each = max(1, self.lives // launchers)
        begin = time.monotonic()
        for program in self.all[:launchers]:
            program.begin("\n".join(["true"] * each))
        for program in self.all[:launchers]:
            for _ in range(each):
                program.end()
        return each * launchers / (time.monotonic() - begin)

    def close(self):
        for program in self.all:
            program.close()


class Commands:
    def __init__(self, name, spawn, argv, lives, cleanup=None):
        self.name = name
        self.lives = lives
        self.cleanup = cleanup
        self.spawner = contestants.Program(name, [spawn] + argv)
        try:
            self.spawner.life("1 1")
        except contestants.Failed:
            self.close()
            raise

    def per_second(self, launchers):
        count = max(self.lives, launchers)
        return count * 1e6 / self.spawner.life("%d %d" % (count, launchers))["total"]

    def close(self):
        self.spawner.close()
        if self.cleanup:
            self.cleanup()


def runtime(tool, bench, spawn, lives):
    """Each life has an id of its own."""
    states = contestants.run_dir()
    bundle = os.path.join(bench.base, "crowd-" + tool)
    script = 'exec "$0" --root "$1" run --bundle "$2" bench-crowd-$$'
    peers.bundle_make(bundle, bench.root, [contestants.TRUE], True)
    return Commands(tool + ", many", spawn, ["sh", "-c", script, tool, states, bundle], lives,
                    lambda: shutil.rmtree(states, ignore_errors=True))


class Part:
    def __init__(self, bench):
        self.bench = bench
        self.turns = min(TURNS, bench.args.rounds)
        self.all = []
        self.samples = {}

    def enter(self):
        bench = self.bench
        lives = 16 if bench.args.short else 240
        spawn = bench.program("spawn")

        def floor(i):
            place = os.path.join(bench.base, "crowd-%d" % i)
            return contestants.Floor(bench.program("floor"), place, bench.first)

        self.admit("floor, many", lambda: Led("floor, many", floor, lives))
        if bench.server:
            self.admit(OURS, lambda: Led(OURS, lambda i: contestants.Client(
                bench.program("life"), bench.server.mount, bench.first, bench.server, "crowd-%d" % i), lives))
        bwrap, _, _ = peers.bwrap(bench.base, bench.root, bench.first)
        self.admit("bwrap, many", lambda: Commands("bwrap, many", spawn, bwrap(contestants.TRUE), lives // 2))
        for tool in ("runc", "crun"):
            self.admit(tool + ", many", lambda t=tool: runtime(t, bench, spawn, max(lives // 8, 8)))

    def admit(self, name, make):
        try:
            self.all.append(make())
            self.samples[name] = {}
        except (contestants.Failed, OSError, subprocess.SubprocessError) as e:
            self.bench.absent[name] = str(e).replace("\n", " ")

    def turn(self, number):
        if number >= self.turns:
            return
        for contestant in list(self.all):
            try:
                for n in LAUNCHERS:
                    self.samples[contestant.name].setdefault(str(n), []).append(contestant.per_second(n))
            except (contestants.Failed, OSError) as e:
                self.bench.absent[contestant.name] = "in round %d: %s" % (number + 1, e)
                self.all.remove(contestant)
                contestant.close()

    def results(self):
        return figures.results(self.samples, self.bench.absent)

    def close(self):
        for contestant in self.all:
            contestant.close()


def report(found):
    print("Lives of `true` a second, by so many launchers.\n")
    figures.print_rows([""] + [str(n) for n in LAUNCHERS],
                       [[name] + ["%.0f" % kinds[str(n)]["value"] for n in LAUNCHERS]
                        for name, kinds in found.items()])


def budget(found):
    lines = []
    for n in ("1", "8"):
        ours = figures.ratio(found, OURS, n, "floor, many")
        if ours:
            lines.append(figures.at_least("lives a second, launchers: " + n, ours, 0.7, "× the floor's"))
        ours = figures.ratio(found, OURS, n, "runc, many")
        if ours:
            lines.append(figures.at_least("lives a second, launchers: " + n, ours, 8, "× runc's"))
    return lines


def readme(found):
    return (["Such lives a second, by so many that lead them at the same time:", ""] +
            figures.markdown([""] + [str(n) for n in LAUNCHERS],
                             [[name.partition(",")[0]] + ["%.0f" % kinds[str(n)]["value"] for n in LAUNCHERS]
                              for name, kinds in found.items()]))
