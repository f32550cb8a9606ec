#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What denied calls cost: the allowed ones, in a container with and without seccomp.notify; and the host, while a
program makes denied ones without end.

    tests/bench/denied.py --build build [--rounds N] [--short]
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ALLOWED, SECONDS = 1000000, 3
PATIENCE = 120


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", required=True)
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--short", action="store_true", help="to see that it runs")
    a = p.parse_args()
    if a.short:
        a.rounds = 1
    return a


class Mount:
    """A server of our own."""

    def __init__(self, build):
        self.dir = tempfile.mkdtemp(prefix="ctnfs-denied-")
        self.mnt = os.path.join(self.dir, "m")
        os.mkdir(self.mnt)
        self.bin = os.path.join(self.dir, "bin")
        os.mkdir(self.bin)
        os.chmod(self.dir, 0o755)
        shutil.copy2(os.path.join(build, "tests", "calls"), self.bin)
        subprocess.run([os.path.join(build, "ctnfs"), "-o", "state=%s/state,run=%s/run" % (self.dir, self.dir),
                        self.mnt], check=True)

    def make(self, name, notify, threads, calls, call):
        os.mkdir(os.path.join(self.mnt, name))
        self.put(name, "seccomp.notify", notify)
        self.put(name, "mounts", "%s /bench none bind,ro 0 0" % self.bin)
        self.put(name, "cmd", "/bench/calls %d %d %s" % (threads, calls, call))

    def path(self, *parts):
        return os.path.join(self.mnt, *parts)

    def put(self, name, file, text):
        with open(self.path(name, file), "w") as f:
            f.write("%s\n" % text)

    def get(self, name, file):
        with open(self.path(name, file)) as f:
            return f.read().rstrip("\n")

    def remove(self, name):
        self.put(name, "ctl", "kill")
        os.rmdir(self.path(name))

    def close(self):
        subprocess.run(["umount", self.mnt], check=True)
        deadline = time.monotonic() + PATIENCE
        while os.path.exists(os.path.join(self.dir, "run")) and time.monotonic() < deadline:
            try:
                shutil.rmtree(self.dir)
            except OSError:
                time.sleep(0.1)


def nanoseconds(mount, notify, short):
    """Of one allowed call."""
    mount.make("a", notify, 1, ALLOWED // (100 if short else 1), "getppid")
    assert mount.get("a", "wait") == "0", mount.get("a", "log")
    got = float(mount.get("a", "log"))
    mount.remove("a")
    return got


def ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def parent(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(l.split()[1]) for l in f if l.startswith("PPid:"))


def hammer(mount, threads, seconds):
    """Denied calls a second, and the share of one processor that answering them takes."""
    mount.make("h", 1, threads, -1, "unshare")
    monitor = parent(int(mount.get("h", "pid")))
    time.sleep(1)
    before, start = ticks(monitor), time.monotonic()
    time.sleep(seconds)
    share = (ticks(monitor) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start)
    lines = len(mount.get("h", "seccomp.denied").splitlines())
    mount.remove("h")
    return share, lines


def main():
    args = arguments()
    mount = Mount(args.build)
    cost = {0: [], 1: []}
    try:
        for _ in range(args.rounds):
            for notify in cost:
                cost[notify].append(nanoseconds(mount, notify, args.short))
        off, on = (statistics.median(cost[n]) for n in cost)
        print("an allowed call: %.1f ns without, %.1f ns with seccomp.notify: %.3f times" % (off, on, on / off))
        for threads in (1, 100):
            share, lines = hammer(mount, threads, 0.2 if args.short else SECONDS)
            print("%d threads that make denied calls: the monitor takes %.1f %% of a processor (%d lines kept)" % (
                threads, 100 * share, lines))
    finally:
        mount.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
