# SPDX-License-Identifier: Apache-2.0
"""redis-benchmark in a container with its redis-server, and the same outside of any."""

import csv
import os
import socket
import subprocess
import time

import contestants
import figures

NAME = "redis"
MUST_RUN = ()
TURNS = 3  # of the rounds
TESTS = ("ping_mbulk", "set", "get")
SERVER = ["redis-server", "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Inside:
    def __init__(self, server):
        self.path = os.path.join(server.mount, "bench-redis")
        os.mkdir(self.path)
        contestants.write(self.path, "cmd", " ".join(a or "''" for a in SERVER))
        self.command = [os.path.join(self.path, "exec")]

    def close(self):
        contestants.write(self.path, "ctl", "kill")
        os.rmdir(self.path)


class Outside:
    def __init__(self):
        port = free_port()
        self.proc = subprocess.Popen(SERVER + ["--port", str(port), "--bind", "127.0.0.1"], cwd="/",
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.command = ["env"]
        self.port = ["-p", str(port)]

    def close(self):
        self.proc.terminate()
        self.proc.wait()


def benchmark(who, count):
    """What redis-benchmark says, as CSV."""
    r = subprocess.run(who.command + ["redis-benchmark"] + getattr(who, "port", []) +
                       ["-n", str(count), "-t", ",".join(TESTS), "--csv"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    if r.returncode:
        raise contestants.Failed((r.stderr or r.stdout or "it says nothing").strip())
    return r.stdout


def rates(who, count):
    """{test: requests a second}."""
    text = benchmark(who, count)
    found = {row[0]: float(row[1]) for row in csv.reader(text.splitlines())
             if len(row) > 1 and row[1].replace(".", "").isdigit()}
    if len(found) != len(TESTS):
        raise contestants.Failed("no rate for each of %s: %s" % (", ".join(TESTS), text.strip()))
    return found


def warm_up(who):
    """Once it answers; a redis-benchmark that comes too early turns round for ever."""
    ping = who.command + ["redis-cli"] + getattr(who, "port", []) + ["ping"]
    end = time.monotonic() + 30
    while True:
        r = subprocess.run(ping, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, check=False, timeout=30)
        if r.stdout == "PONG\n":
            break
        if time.monotonic() > end:
            raise contestants.Failed((r.stderr or r.stdout or "it does not answer").strip())
        time.sleep(0.1)
    benchmark(who, 100)  # so short that it may call a rate "inf"


class Part:
    def __init__(self, bench):
        self.bench = bench
        self.count = 2000 if bench.args.short else 50000
        self.turns = min(TURNS, bench.args.rounds)
        self.all = {}
        self.samples = {}

    def enter(self):
        for name, make in (("outside", Outside), ("inside", lambda: Inside(self.bench.server))):
            try:
                if name == "inside" and not self.bench.server:
                    raise contestants.Failed("there is no server")
                self.all[name] = make()
                warm_up(self.all[name])
            except (contestants.Failed, OSError, subprocess.SubprocessError) as e:
                self.bench.absent["redis " + name] = str(e).replace("\n", " ")
                if name in self.all:
                    self.all.pop(name).close()

    def turn(self, number):
        if number >= self.turns or len(self.all) < 2:
            return
        for name, who in self.all.items():
            try:
                for test, rate in rates(who, self.count).items():
                    self.samples.setdefault(name, {}).setdefault(test, []).append(rate)
            except (contestants.Failed, subprocess.SubprocessError) as e:
                self.bench.absent["redis " + name] = str(e)

    def results(self):
        return figures.results(self.samples, {})

    def close(self):
        for who in self.all.values():
            who.close()


def report(found):
    if len(found) < 2:
        return
    tests = list(found["outside"])
    print("redis-benchmark, requests a second; the ratio is inside to outside.\n")
    figures.print_rows([""] + tests, [[who] + ["%.0f" % kinds[t]["value"] for t in tests]
                                      for who, kinds in found.items()] +
                       [["ratio"] + [figures.number(figures.ratio(found, "inside", t, "outside")) for t in tests]])


def budget(found):
    del found
    return []


def readme(found):
    if len(found) < 2:
        return []
    return ["redis-benchmark inside makes " + ", ".join(
        "%.2f" % figures.ratio(found, "inside", t, "outside") + " times the requests of " + t
        for t in found["outside"]) + " that it makes outside."]
