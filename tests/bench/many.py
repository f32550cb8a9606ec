# SPDX-License-Identifier: Apache-2.0
"""The same operations with 1, 10, 100, 1,000 (with --crowd: 5,000) containers that run: what a start, a
read and a removal cost; what memory each takes; and what it takes to look at all of them.

The level of one is measured before and after the others, so that a machine that changes meanwhile is
not taken for growth."""

import os
import time

import contestants
import figures
import listing

NAME = "many"
MUST_RUN = ("many",)
LATE = True  # once, after the rounds
LEVELS, SHORT_LEVELS = (1, 10, 100, 1000), (1, 10)
MAKERS = 8
PSS_OF = 32  # monitors that are looked at
LOOKED_AT = 1000  # the level at which all are listed; in short the last
STEPS = ("mkdir", "cmd", "rmdir")
READ = ("state", "cgroup/memory.usage")
MEMINFO = ("Slab", "KernelStack", "PageTables", "Percpu")


def kernel_kib():
    with open("/proc/meminfo") as f:
        return sum(int(line.split()[1]) for line in f if line.partition(":")[0] in MEMINFO)


def proc_kib(pid, file, key):
    with open("/proc/%d/%s" % (pid, file)) as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


class Crowd:
    """Containers that sleep, made by MAKERS clients at a time."""

    def __init__(self, bench):
        self.mount = bench.server.mount
        self.made = [0] * MAKERS
        self.all = [contestants.Client(bench.program("life"), self.mount, bench.first, bench.server,
                                       "many-%d" % i) for i in range(MAKERS)]

    def __len__(self):
        return sum(self.made)

    def all_do(self, lines):
        begin = time.monotonic()
        for client, line in zip(self.all, lines):
            client.begin(line)
        for client in self.all:
            client.end()
        return time.monotonic() - begin

    def grow(self, level):
        """Seconds for those that are new."""
        target = [level // MAKERS + (i < level % MAKERS) for i in range(MAKERS)]
        lines = ["keep %d %d" % (a, b) for a, b in zip(self.made, target)]
        self.made = [max(a, b) for a, b in zip(self.made, target)]
        return self.all_do(lines)

    def shrink(self, to):
        lines = ["drop %d %d" % (min(to, m), m) if i == 0 else "drop 0 %d" % m
                 for i, m in enumerate(self.made)]
        self.made = [min(to, self.made[0])] + [0] * (MAKERS - 1)
        return self.all_do(lines)

    def path(self, n):
        return os.path.join(self.mount, "many-%d-%d" % (n % MAKERS, n // MAKERS))

    def monitors(self):
        """Pids of some."""
        step = max(1, len(self) // PSS_OF)
        pids = (int(contestants.read(self.path(n), "pid")) for n in range(0, len(self), step)[:PSS_OF])
        return [contestants.parent_of(pid) for pid in pids]

    def close(self):
        for client in self.all:
            client.close()


class Part:
    def __init__(self, bench):
        self.bench = bench
        self.levels = SHORT_LEVELS if bench.args.short else LEVELS
        if bench.args.crowd > LEVELS[-1]:
            self.levels += (bench.args.crowd,)
        self.lives = 3 if bench.args.short else 40
        self.at, self.looks = {}, {}
        self.crowd = self.client = self.reader = None

    def enter(self):
        if not self.bench.server:
            self.bench.absent["many"] = "there is no server"

    def note(self, level, key, values):
        self.at.setdefault(str(level), {}).setdefault(key, []).extend(values)

    def probe(self, level):
        for _ in range(self.lives):
            life = self.client.life("true")
            for step in STEPS:
                self.note(level, step, [life[step]])
        self.place(contestants.ONE_CPU)
        for name in READ:
            line = "%d 1 %s" % (self.lives * 10, os.path.join(self.crowd.path(0), name))
            self.note(level, name, [self.reader.life(line)["median"] for _ in range(3)])
        self.place(contestants.ALL_CPUS)

    def place(self, cpus):
        for pid in (self.bench.server.pid, self.reader.proc.pid):
            contestants.pin(pid, cpus)

    def weigh(self, level, before):
        pss = [proc_kib(pid, "smaps_rollup", "Pss") for pid in self.crowd.monitors()]
        self.note(level, "monitor_pss_kib", pss)
        self.note(level, "kernel_kib", [(kernel_kib() - before) / level])
        self.note(level, "server_rss_kib", [proc_kib(self.bench.server.pid, "status", "VmRSS")])

    def climb(self):
        before = kernel_kib()
        seconds = 0
        for level in self.levels:
            seconds += self.crowd.grow(level)
            self.note(level, "up_seconds", [seconds])
            self.weigh(level, before)
            self.probe(level)
            if level == LOOKED_AT or level == self.levels[-1] and self.bench.args.short:
                self.looks = listing.measure(self.bench.program("spawn"), self.bench.server.mount,
                                             self.bench.args.short)
        top = self.levels[-1]
        self.note(top, "down_seconds", [self.crowd.shrink(1)])
        self.probe(1)
        self.crowd.shrink(0)

    def turn(self, number):
        if "many" in self.bench.absent:
            return
        del number
        b = self.bench
        try:
            self.crowd = Crowd(b)
            self.client = contestants.Client(b.program("life"), b.server.mount, b.first, b.server, "many-c")
            self.reader = contestants.Program("reads", [b.program("reads")])
            self.climb()
        except (contestants.Failed, OSError) as e:
            b.absent["many"] = str(e)

    def results(self):
        if not self.at:
            return {}
        return {"levels": figures.results(self.at, {}), "looks": figures.results({"": self.looks}, {})[""]}

    def close(self):
        for program in (self.client, self.reader):
            if program:
                program.close()
        if self.crowd and len(self.crowd):
            try:
                self.crowd.shrink(0)
            except (contestants.Failed, OSError):
                pass  # it is said why it failed
        if self.crowd:
            self.crowd.close()


# --- what came out ---

COLUMNS = (("mkdir", "mkdir", 1e3), ("start", "cmd", 1e3), ("rmdir", "rmdir", 1e3),
           ("state", "state", 1), ("memory.usage", "cgroup/memory.usage", 1),
           ("all up, s", "up_seconds", 1), ("monitor, KiB Pss", "monitor_pss_kib", 1),
           ("kernel, KiB", "kernel_kib", 1), ("server, KiB", "server_rss_kib", 1))


def report(found):
    if not found:
        return
    print("With so many that run. mkdir, start, rmdir in ms; reads in µs, with the server on the reader's processor; memory for each "
          "container.\n")
    levels = found["levels"]
    figures.print_rows(["containers"] + [title for title, _, _ in COLUMNS],
                       [[n] + [figures.DASH if key not in kinds else "%.4g" % (kinds[key]["value"] / scale)
                               for _, key, scale in COLUMNS] for n, kinds in levels.items()])
    top = list(levels)[-1]
    if "down_seconds" in levels[top]:
        print("\nkilled and removed: %s in %.2f s" % (top, levels[top]["down_seconds"]["value"]))
    print("all of them, ms: " + ", ".join("%s %.1f" % (name, s["value"] / 1e3)
                                          for name, s in found["looks"].items()))


def growth(levels):
    last = "1000"
    for what, keys in (("start", ("mkdir", "cmd")), ("removal", ("rmdir",)),
                       ("read of state", ("state",)), ("read of a counter", ("cgroup/memory.usage",))):
        one, many = (sum(figures.value(levels, n, k) for k in keys) for n in ("1", last))
        yield figures.at_most("%s with %s that run" % (what, last), many / one, 1.3, "× with one")


def budget(found):
    levels = found.get("levels", {})
    lines = []
    if "1000" in levels:
        lines += growth(levels)
        lines.append(figures.at_most("1000 containers up", figures.value(levels, "1000", "up_seconds"), 3, "s"))
        lines.append(figures.at_most("kernel memory of each of 1000",
                                     figures.value(levels, "1000", "kernel_kib"), 600, "KiB"))
        looks = {"": found["looks"]}
        lines.append(figures.at_most("ls -l of 1000 containers", figures.value(looks, "", "ls -l") /
                                     figures.value(looks, "", "ls -l, tmpfs"), 1.2, "× on tmpfs"))
    for n in ("100", "10"):
        if n in levels:
            lines.append(figures.at_most("supervisor of each of " + n,
                                         figures.value(levels, n, "monitor_pss_kib"), 64, "KiB Pss"))
            break
    if "5000" in levels:
        lines.append(figures.at_least("containers that hold", 5000, 5000, ""))
    return lines


def readme(found):
    levels = found["levels"]
    rows = []
    for n, kinds in levels.items():
        start = figures.value(levels, n, "mkdir") + figures.value(levels, n, "cmd")
        rows.append(["{:,}".format(int(n)), figures.ms(start), figures.ms(figures.value(levels, n, "rmdir")),
                     "%.0f µs" % kinds["state"]["value"], "%.0f µs" % kinds["cgroup/memory.usage"]["value"],
                     "%.1f s" % kinds["up_seconds"]["value"], "%.0f KiB" % kinds["monitor_pss_kib"]["value"],
                     "%.0f KiB" % kinds["kernel_kib"]["value"]])
    looks = ", ".join("`%s` %s" % (name, figures.ms(s["value"])) for name, s in found["looks"].items() if "," not in name)
    return (["With so many containers that run: what one more costs, and what each of them keeps. The monitor's memory is",
             "its share (Pss):", ""] +
            figures.markdown(["running", "`mkdir` and `cmd`", "`rmdir`", "a read of `state`", "of `memory.usage`",
                              "all up after", "monitor", "kernel"], rows) +
            ["", "Of all of them: " + looks + "."])
