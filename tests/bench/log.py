#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast a container's output goes to its log, next to `program > file` and `program | cat > file` in the
same directory's file system.

Interleaved: in each round each program runs once each way, in an order that moves on. The log keeps its 16 MiB;
the file keeps all of it and is removed outside of the time. Prints medians and the median of the rounds' ratios.

The exit status tells only whether it ran."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import contestants  # noqa: E402

BAR = 0.5  # of what `program > file` reaches
LINE = "a line of some forty characters or so."
PROGRAMS = (  # a name; the shell command for so many bytes
    ("lines", "yes '%s' | head -c {0}" % LINE),
    ("numbers", "seq 1000000000 | head -c {0}"),
    ("zeros, 8 KiB", "head -c {0} /dev/zero"),
    ("zeros, 64 KiB", "head -c {0} /dev/zero | dd bs=64k iflag=fullblock status=none"),
)
WAYS = ("log", "file", "pipe")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("CTNFS_BUILD", "build"))
    parser.add_argument("--dir", default="/var/tmp", help="where state and files are kept")
    parser.add_argument("--size", type=int, default=256, help="MiB of each run")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--short", action="store_true", help="only look whether everything runs")
    parser.add_argument("--json", help="where to write the numbers")
    args = parser.parse_args()
    if args.short:
        args.size, args.rounds = 8, 2
    return args


class Log:
    def __init__(self, args, base):
        self.size = args.size << 20
        self.file = os.path.join(base, "file")
        self.server = contestants.Server(args.build, base)
        self.path = os.path.join(self.server.mount, "bench-l")
        os.mkdir(self.path)
        self.samples = {name: {way: [] for way in WAYS} for name, _ in PROGRAMS}

    def log(self, command):
        """From the first byte to the last one in the log: what a start costs is measured elsewhere."""
        contestants.write(self.path, "cmd", json.dumps(["sh", "-c", "read go; " + command]))
        begin = time.monotonic_ns()
        contestants.write(self.path, "stdin", "go\n")
        code = contestants.read(self.path, "wait")
        took = time.monotonic_ns() - begin
        if code.strip() != "0":
            raise contestants.Failed("exit code %s" % code)
        return took

    def shell(self, command):
        begin = time.monotonic_ns()
        subprocess.run(["sh", "-c", command], check=True, stdin=subprocess.DEVNULL)
        took = time.monotonic_ns() - begin
        os.unlink(self.file)
        return took

    def turn(self, number):
        for name, text in PROGRAMS:
            command = text.format(self.size)
            ways = {"log": lambda c=command: self.log(c),
                    "file": lambda c=command: self.shell("{ %s; } > %s" % (c, self.file)),
                    "pipe": lambda c=command: self.shell("{ %s; } | cat > %s" % (c, self.file))}
            shift = number % len(WAYS)
            for way in WAYS[shift:] + WAYS[:shift]:
                self.samples[name][way].append(ways[way]())

    def close(self):
        try:
            os.rmdir(self.path)
        finally:
            self.server.close()


def results(samples, size):
    for name, ways in samples.items():
        speed = {way: size / statistics.median(values) * 1e3 for way, values in ways.items()}  # MB/s
        ratios = [f / l for f, l in zip(ways["file"], ways["log"])]
        yield name, {"speed": speed, "ratio": statistics.median(ratios),
                     "worst": min(ratios), "pipe": statistics.median(p / l for p, l in zip(ways["pipe"], ways["log"]))}


def report(found):
    print("%-16s%10s%10s%10s   %s" % ("MB/s", "log", "> file", "| cat >", "log / file (worst)   log / cat"))
    for name, r in found.items():
        print("%-16s%10.0f%10.0f%10.0f   %.2f (%.2f)%20.2f" % (
            (name,) + tuple(r["speed"][way] for way in WAYS) + (r["ratio"], r["worst"], r["pipe"])))
    least = min(r["ratio"] for r in found.values())
    print("\n%s  log: %.2f × `program > file` at least; to be at least %g ×" % (
        "holds " if least >= BAR else "FAILS ", least, BAR))


def main():
    args = arguments()
    base = tempfile.mkdtemp(prefix="ctnfs-log-", dir=args.dir)
    os.chmod(base, 0o711)
    try:
        log = Log(args, base)
    except (contestants.Failed, OSError) as e:
        print("ctnfs does not run: %s" % e, file=sys.stderr)
        return 1
    try:
        for number in range(args.rounds):
            log.turn(number)
    finally:
        log.close()
        shutil.rmtree(base)
    found = dict(results(log.samples, log.size))
    print("%d rounds of %d MiB, load %.1f\n" % (args.rounds, args.size, os.getloadavg()[0]))
    report(found)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"size": log.size, "rounds": args.rounds, "found": found}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
