# SPDX-License-Identifier: Apache-2.0
"""open, read and close of files: through the mount, where the kernel itself has them, and of a FUSE
server that does nothing (null_fuse.c). With the server on the reader's processor ("same"), and with
both where they like ("free"). Then 8 readers at the same time, and whole `cat` processes."""

import os
import signal
import stat
import subprocess
import time

import contestants
import figures

NAME = "reads"
MUST_RUN = ("reads",)
TURNS = 8  # of the rounds
READERS = 8
# Ours, its kind, what the kernel has: a control group's file (controller, names on v1 and v2), or one
# of /proc/PID.
FILES = (
    ("state", "field", None),
    ("pid", "field", None),
    ("cgroup/memory.limit", "cgroup", ("memory", "memory.limit_in_bytes", "memory.max")),
    ("cgroup/memory.usage", "cgroup", ("memory", "memory.usage_in_bytes", "memory.current")),
    ("cgroup/pids.current", "cgroup", ("pids", "pids.current", "pids.current")),
    ("cgroup/procs", "cgroup, a list", ("pids", "cgroup.procs", "cgroup.procs")),
    ("cgroup/memory.stat", "cgroup, many lines", ("memory", "memory.stat", "memory.stat")),
    ("caps.sets", "procfs", "status"),
    ("ps", "procfs, many files", None),
    ("log", "log", None),
    ("env", "field", None),
)
JUDGED = (("cgroup/memory.limit", 1.3), ("cgroup/memory.usage", 1.3), ("cgroup/pids.current", 1.3), ("caps.sets", 1.6))
CROWDED = ("state", "cgroup/memory.usage")
CATS = ("cgroup/memory.usage", "caps.sets")


class NullServer:
    def __init__(self, program, directory):
        self.mount = directory
        os.mkdir(directory)
        self.proc = subprocess.Popen([program, directory], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 30
        while not os.path.ismount(directory):
            if self.proc.poll() is not None or time.monotonic() > end:
                self.close()
                raise contestants.Failed(self.proc.stderr.read().strip() or "it does not mount")
            time.sleep(0.02)

    def close(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(20)


class Part:
    def __init__(self, bench):
        self.bench = bench
        self.turns = min(TURNS, bench.args.rounds)
        self.count = 20 if bench.args.short else 200
        self.samples, self.every = {}, {}
        self.null = self.reader = self.container = None

    def enter(self):
        bench = self.bench
        if not bench.server:
            bench.absent["reads"] = "there is no server"
            return
        try:
            self.null = NullServer(bench.program("null_fuse"), os.path.join(bench.base, "null"))
            self.reader = contestants.Program("reads", [bench.program("reads")])
            self.container = os.path.join(bench.server.mount, "bench-r")
            os.mkdir(self.container)
            contestants.write(self.container, "cmd", "sh -c 'echo hello; exec sleep infinity'")
            self.paths = dict(self.find_paths())
        except (contestants.Failed, OSError) as e:
            bench.absent["reads"] = str(e)

    def find_paths(self):
        yield "null", os.path.join(self.null.mount, "null")
        pid = contestants.read(self.container, "pid").strip()
        for name, _, direct in FILES:
            yield name, os.path.join(self.container, name)
            if isinstance(direct, str):
                yield "direct " + name, "/proc/%s/%s" % (pid, direct)
            elif direct:
                raw = os.readlink(os.path.join(self.container, "cgroup/raw", direct[0]))
                yield "direct " + name, next(p for p in (os.path.join(raw, n) for n in direct[1:])
                                             if os.path.exists(p))

    # --- measuring ---

    def place(self, cpus):
        for pid in (self.bench.server.pid, self.null.proc.pid, self.reader.proc.pid):
            contestants.pin(pid, cpus)

    def read(self, path):
        return self.reader.life("%d 1 %s" % (self.count, path))

    def note(self, name, key, value):
        self.samples.setdefault(name, {}).setdefault(key, []).append(value)

    def one_by_one(self):
        for where, cpus in (("same", contestants.ONE_CPU), ("free", contestants.ALL_CPUS)):
            self.place(cpus)
            for name, path in self.paths.items():
                self.note(name, where, self.read(path)["median"])

    def crowd(self):
        for name in ("null",) + CROWDED:
            line = "%d %d %s" % (self.count * 5, READERS, self.paths[name])
            self.note(name, "crowd", self.reader.life(line)["per_second"])

    def cats(self):
        """With the server on cat's processor."""
        self.place(contestants.ONE_CPU)
        for name in ["null"] + [n for c in CATS for n in (c, "direct " + c)]:
            spawner = contestants.Program("cat", [self.bench.program("spawn"), "cat", self.paths[name]])
            contestants.pin(spawner.proc.pid, contestants.ONE_CPU)
            try:
                for _ in range(3):
                    self.note(name, "cat", spawner.life("4 1")["total"] / 4)
            finally:
                spawner.close()
        self.place(contestants.ALL_CPUS)

    def sweep(self):
        """Every file that a container has, once, on the same processor."""
        self.place(contestants.ONE_CPU)
        for top, _, names in os.walk(self.container):
            for name in names:
                path = os.path.join(top, name)
                st = os.lstat(path)
                if stat.S_ISREG(st.st_mode) and st.st_mode & 0o400:
                    self.every[os.path.relpath(path, self.container)] = self.read(path)["median"]
        self.place(contestants.ALL_CPUS)

    def turn(self, number):
        if number >= self.turns or "reads" in self.bench.absent:
            return
        try:
            self.one_by_one()
            self.crowd()
            self.cats()
            if number == self.turns - 1:
                self.sweep()
        except (contestants.Failed, OSError) as e:
            self.bench.absent["reads"] = "in round %d: %s" % (number + 1, e)

    def results(self):
        found = figures.results(self.samples, {})
        return {"files": found, "every": self.every} if found else {}

    def close(self):
        for program in (self.reader, self.null):
            if program:
                program.close()
        if self.container and os.path.isdir(self.container):
            contestants.write(self.container, "ctl", "kill")
            os.rmdir(self.container)


# --- what came out ---


def report(found):
    if not found:
        return
    files = found["files"]
    print("open, read, close: µs with the server on the same processor, free; × the null server's; direct.\n")
    rows = [["(null)", "", figures.number(figures.value(files, "null", "same"), "%.1f"),
             figures.number(figures.value(files, "null", "free"), "%.1f")] + [""] * 4]
    for name, kind, _ in FILES:
        rows.append([name, kind] + [figures.number(x, f) for x, f in (
            (figures.value(files, name, "same"), "%.1f"), (figures.value(files, name, "free"), "%.1f"),
            (figures.ratio(files, name, "same", "null"), "%.2f"),
            (figures.ratio(files, name, "free", "null"), "%.2f"),
            (figures.value(files, "direct " + name, "same"), "%.1f"),
            (figures.value(files, name, "crowd"), "%.0f"))])
    rows[0][-1] = figures.number(figures.value(files, "null", "crowd"), "%.0f")
    figures.print_rows(["file", "", "same", "free", "× null", "free", "direct", "reads/s of %d" % READERS], rows)
    cats = ("null",) + tuple(n for c in CATS for n in (c, "direct " + c))
    print("\na whole cat, on the server's processor, µs: " +
          ", ".join("%s %.0f" % (name, figures.value(files, name, "cat")) for name in cats))
    slow = sorted(found["every"].items(), key=lambda item: -item[1])
    print("\nevery file, µs: " + ", ".join("%s %.0f" % item for item in slow))


def budget(found):
    lines = []
    files = found.get("files", {})
    for name, goal in JUDGED:
        part = figures.ratio(files, name, "same", "null")
        if part:
            lines.append(figures.at_most("read of " + name, part, goal, "× the null server's"))
    for name in CATS:
        part = figures.ratio(files, name, "cat", "direct " + name)
        if part:
            lines.append(figures.at_most("a whole cat of " + name, part, 1.25, "× the direct one"))
    crowd = figures.value(files, CROWDED[0], "crowd")
    if crowd:
        what = "reads a second, clients: %d" % READERS
        lines.append(figures.at_least(what, crowd, 60000, "reads/s"))
        lines.append(figures.at_least(what, figures.ratio(files, CROWDED[0], "crowd", "null"), 0.9,
                                      "× the null server's"))
    return lines


def readme(found):
    files = found["files"]
    us = lambda name, key: figures.number(figures.value(files, name, key), "%.0f µs")  # noqa: E731
    rows = [["a FUSE server that does nothing", us("null", "same"), us("null", "free"), ""]]
    rows += [["`%s`" % name, us(name, "same"), us(name, "free"), us("direct " + name, "same")] for name, _, _ in FILES]
    return (["open, read and close of a file, with the server on the reader's processor, with both where they like, and of",
             "the kernel's own file of the same:", ""] +
            figures.markdown(["", "same processor", "free", "the kernel's own"], rows) +
            ["", "%d readers at the same time make %.0f reads of `%s` a second, and %.0f of the server that does nothing." % (
                READERS, figures.value(files, CROWDED[0], "crowd"), CROWDED[0],
                figures.value(files, "null", "crowd"))])
