#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server under mixed load for as long as one likes: lives of all kinds, containers that stay and are
read, changed and entered, refused writes, readers that wait. Every period the load stands still, and
what is there is compared with the beginning; the server is killed and started again in some of these
pauses. Prints a line a period. The exit status is 0 when nothing was wrong.

    tests/stress/soak.py --build build --soak HOURS"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.dirname(HERE)]

RESIDENT, WORKERS, READERS = 16, 8, 4
SPARE_DESCRIPTORS = 64  # of worker threads, followers, what is being made
LISTED = 3  # of each that a list has shown
BYTES_OF_NOISE = 1 << 20


def arguments():
    p = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    p.add_argument("--build", default=os.path.join(os.path.dirname(os.path.dirname(HERE)), "build"))
    p.add_argument("--soak", type=float, default=1, metavar="HOURS", help="how long; default 1")
    p.add_argument("--period", type=float, default=60, metavar="SECONDS", help="between two looks; default 60")
    p.add_argument("--spares", type=int, default=2, help="as the server's option; default 2")
    p.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    return p.parse_args()


class Load:
    """What the threads do until they are stopped, and how often they have."""

    def __init__(self, server, names, seed):
        import load
        self.server, self.names, self.load = server, names, load
        self.serial = itertools.count()
        self.randoms = [random.Random(seed * 100 + n) for n in range(WORKERS)]
        self.owned = [names[n::WORKERS] for n in range(WORKERS)]  # whoever changes limits reads its own back
        self.counts = dict.fromkeys(("lives", "uses", "renames", "pauses", "lists"), 0)
        self.lock = threading.Lock()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def live(self, number):
        kind = self.randoms[number].choice(self.load.ODD_KINDS)
        self.server.session.ids.add(self.load.lead(self.server, "s%d" % next(self.serial), kind))
        self.count("lives")

    def use(self, number):
        r = self.randoms[number]
        self.load.use(self.load.Ctn(self.server, r.choice(self.owned[number])), r)
        self.count("uses")

    def rename(self, number):
        path = self.server.path(self.randoms[number].choice(self.owned[number]))
        os.rename(path, path + "-r")
        os.rename(path + "-r", path)
        self.count("renames")

    def pause(self, number):
        c = self.load.Ctn(self.server, self.randoms[number].choice(self.owned[number]))
        for verb, state in (("pause", "paused"), ("resume", "running")):
            self.load.write(c, "ctl", verb)
            self.load.expect("state of " + c.name, c.get("state"), state)
        self.count("pauses")

    def lists(self, number):
        for name in ("stats", "metrics", "status", "events"):
            if not self.server.read(name):
                raise self.load.Wrong("%s is empty" % name)
        os.listdir(self.server.mnt)
        self.count("lists")

    def work(self, number):
        self.randoms[number].choice((self.live, self.live, self.use, self.use, self.rename, self.pause,
                                     self.lists))(number)
        return True


class Waiting:
    """Programs that read what does not end."""

    def __init__(self, server, names):
        argv = [["cat", server.path(n, "wait")] for n in names[:READERS]]
        argv += [["tail", "-n+1", "-f", server.path(n, "log")] for n in names[:READERS]]
        argv += [["tail", "-n+1", "-f", server.path("events")]]
        self.all = [subprocess.Popen(a, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for a in argv]

    def end(self):
        for p in self.all:
            p.kill()
            p.wait(30)


def period(server, names, seed, seconds, counts):
    load = Load(server, names, seed)
    waiting = Waiting(server, names)
    crowd = load.load.Crowd(load.work, WORKERS).start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not crowd.wrong:
            time.sleep(min(0.2, max(0.0, end - time.monotonic())))
    finally:
        crowd.stop.set()
        try:
            crowd.join()
        finally:
            waiting.end()
    for what, n in load.counts.items():
        counts[what] = counts.get(what, 0) + n


def check(server, names, pids):
    """What has to be so while nothing is under way."""
    import load
    wrong = server.complaints()
    if not server.running():
        return wrong + ["the server has ended"]
    if sorted(server.containers()) != sorted(names):
        wrong.append("containers: %s" % sorted(set(server.containers()) ^ set(names)))
    for name in names:
        c = load.Ctn(server, name)
        if (c.get("state"), c.get("pid")) != ("running", pids[name]):
            wrong.append("%s is %s with pid %s, was %s" % (name, c.get("state"), c.get("pid"), pids[name]))
    more = load.descriptors(server) - len(server.baseline["fds"]) - (load.DESCRIPTORS_EACH + LISTED) * len(names)
    if more > SPARE_DESCRIPTORS:
        wrong.append("the server has %d descriptors more than it needs" % more)
    return wrong


def soak(args, session):
    """Return: what went wrong."""
    import harness
    import load
    server = harness.Server(session, ["spares=%d" % args.spares])
    rng, counts, samples, wrong = random.Random(args.seed), {}, [], []
    end = time.monotonic() + args.soak * 3600
    names, kills = ["r%d" % n for n in range(RESIDENT)], 0
    try:
        load.make_all(server, names)
        pids = {n: load.Ctn(server, n).get("pid") for n in names}
        for number in itertools.count(1):
            period(server, names, args.seed + number, min(args.period, max(1.0, end - time.monotonic())), counts)
            wrong = check(server, names, pids)
            samples.append((counts["lives"], load.resident(server)))
            print("%d: %s; %d KiB, %d descriptors, %d threads%s" % (
                number, ", ".join("%d %s" % (n, what) for what, n in counts.items()), samples[-1][1] >> 10,
                load.descriptors(server), len(os.listdir("/proc/%d/task" % server.proc.pid)),
                "".join("\n  " + w for w in wrong)), flush=True)
            if wrong or time.monotonic() >= end:
                break
            if rng.random() < 0.2:
                kills += 1
                samples.clear()
                server.kill9()
                server.start()
        half = samples[len(samples) // 2:]
        slope = load.growth(half)
        print("%.2f hours: %s, %d kills of the server; %.1f bytes a life in the second half since the last" % (
            args.soak, ", ".join("%d %s" % (n, what) for what, n in counts.items()), kills, slope))
        grown = half[-1][1] - half[0][1]
        if grown > BYTES_OF_NOISE + load.BYTES_A_LIFE * (half[-1][0] - half[0][0]):
            wrong.append("the server has grown by %d KiB" % (grown >> 10))
        load.remove_all(server, names)
        load.settle(server)
    except (AssertionError, OSError) as e:
        wrong.append("%s: %s" % (type(e).__name__, e))
    return wrong + server.finish()


def main():
    args = arguments()
    os.environ["CTNFS_BUILD"] = os.path.abspath(args.build)
    import basics
    import harness
    import leaks
    print("seed %d" % args.seed, flush=True)
    session = harness.Session()
    before = leaks.snapshot(session)
    try:
        wrong = soak(args, session)
        wrong += basics.settle(lambda: leaks.difference(session, before))
    finally:
        session.close()
    for line in wrong:
        print("wrong: " + line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
