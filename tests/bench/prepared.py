# SPDX-License-Identifier: Apache-2.0
"""From the write to `cmd` of a container that was prepared to its program's first instruction.

The container says itself when it began: `Started`, which its monitor notes when execve has closed a
channel, so a little later than that. Next to it the two things that cannot be left out: one write
through the mount, and a program's start outside of any container. All of them after 20 ms of quiet."""

import datetime
import os
import time

import contestants
import figures
import peers

NAME = "prepared"
MUST_RUN = ("prepared release",)
IDLE = 0.02
OURS, WRITE, EXEC = "prepared release", "a FUSE write", "exec alone, 1st instruction"
EPOCH = datetime.datetime(1970, 1, 1)


def write(directory, name, text):
    """Nanoseconds that the write alone took, and the time of day at which it began."""
    fd = os.open(os.path.join(directory, name), os.O_WRONLY)
    try:
        begin = time.time_ns()
        os.write(fd, text)
        return time.time_ns() - begin, begin
    finally:
        os.close(fd)


def read(directory, name):
    with open(os.path.join(directory, name)) as f:
        return f.read()


def started(directory):
    """Nanoseconds since the epoch."""
    text = next(l for l in read(directory, "status").splitlines() if l.startswith("Started:")).split("\t")[1]
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = datetime.datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S") - EPOCH
    return int(whole.total_seconds()) * 10**9 + int(fraction)


class Part:
    def __init__(self, bench):
        self.bench = bench
        self.bare = contestants.Command(EXEC, *peers.COMMANDS["exec alone"](bench.base, bench.root, bench.first))
        self.samples = {OURS: [], WRITE: [], EXEC: []}

    def enter(self):
        if not self.bench.server:
            self.bench.absent[OURS] = "there is no server"
            return
        self.dir = os.path.join(self.bench.server.mount, "bench-p")
        self.turn(-1)
        self.samples = {name: [] for name in self.samples}

    def turn(self, number):
        if OURS in self.bench.absent:
            return
        try:
            self.life()
        except OSError as e:
            self.bench.absent[OURS] = "in round %d: %s" % (number + 1, e)

    def life(self):
        time.sleep(IDLE)
        self.samples[EXEC].append(self.bare.life("first")["first"])
        os.mkdir(self.dir)
        time.sleep(IDLE)
        self.samples[WRITE].append(write(self.dir, "ctl", b"\n")[0] / 1e3)
        time.sleep(IDLE)
        begin = write(self.dir, "cmd", b"/usr/bin/true\n")[1]
        code = read(self.dir, "wait")
        self.samples[OURS].append((started(self.dir) - begin) / 1e3)
        os.rmdir(self.dir)
        if code != "0\n":
            raise OSError("the program ended with " + code)

    def results(self):
        return {name: {"time": figures.summary(values)} for name, values in self.samples.items() if values}

    def close(self):
        self.bare.close()


def report(found):
    print("Milliseconds, after quiet: median (10 %–90 %).\n")
    figures.print_rows(["", "time"], [[name, figures.cell(kinds, "time")] for name, kinds in found.items()])


def budget(found):
    if OURS not in found:
        return []
    must = found[WRITE]["time"]["value"] + found[EXEC]["time"]["value"]
    return [figures.at_most("release of a prepared container to its 1st instruction",
                            found[OURS]["time"]["value"] / must, 2, "× a FUSE write and an exec")]
