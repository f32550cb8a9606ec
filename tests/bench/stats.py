#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `cat stats` and `cat metrics` cost with more and more containers that run, next to `cat` of a file
of the same size and text. In each round every one has its turn. Prints medians, with the range of the
middle half, and ratios; writes all of it as JSON.

The exit status is 1 where `cat stats` takes longer than its bar, but with --short."""

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

COUNTS, SHORT_COUNTS = (1, 50, 200), (1, 5)
ROUNDS, SHORT_ROUNDS = 50, 3
BAR = 20.0  # ms of `cat stats`, with as many containers as the last of COUNTS


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("CTNFS_BUILD", "build"))
    parser.add_argument("--dir", default="/var/tmp", help="where state and layers are kept")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--short", action="store_true", help="only look whether it runs")
    parser.add_argument("--json", help="where to write the numbers")
    args = parser.parse_args()
    if args.short:
        args.rounds = SHORT_ROUNDS
    return args


def cat(path):
    """Milliseconds of a whole cat process."""
    begin = time.perf_counter()
    subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begin) * 1000


def grow(mount, count):
    """As many containers that run and do nothing."""
    for i in range(len(running(mount)), count):
        d = os.path.join(mount, "bench-s%d" % i)
        os.mkdir(d)
        contestants.write(d, "cmd", "sleep infinity")


def running(mount):
    return [e.path for e in os.scandir(mount) if e.is_dir()]


def measure(mount, rounds):
    """{file: [ms]}, and the same of plain files of such a text."""
    took = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as plain:
        for name in ("stats", "metrics"):
            shutil.copyfile(os.path.join(mount, name), os.path.join(plain, name))
        for i in range(rounds + 1):
            for top, what in ((mount, "%s"), (plain, "%s, plain")):
                for name in ("stats", "metrics"):
                    ms = cat(os.path.join(top, name))
                    if i > 0:  # the first is to warm up
                        took.setdefault(what % name, []).append(ms)
    return took


def show(count, took):
    medians = {what: statistics.median(ms) for what, ms in took.items()}
    for name in ("stats", "metrics"):
        low, _, high = statistics.quantiles(took[name], n=4)
        print("%10d  cat %-8s %7.2f ms  (%.2f to %.2f)  %5.1f times a plain file's %.2f ms" % (
            count, name, medians[name], low, high, medians[name] / medians[name + ", plain"],
            medians[name + ", plain"]))
    return medians["stats"]


def main():
    args = arguments()
    base = tempfile.mkdtemp(prefix="ctnfs-bench-", dir=args.dir)
    os.chmod(base, 0o711)
    server, numbers, last = contestants.Server(args.build, base), {}, 0.0
    try:
        print("containers")
        for count in SHORT_COUNTS if args.short else COUNTS:
            grow(server.mount, count)
            numbers[count] = measure(server.mount, args.rounds)
            last = show(count, numbers[count])
        for d in running(server.mount):
            contestants.write(d, "ctl", "kill")
            os.rmdir(d)
    finally:
        said = server.said()
        server.close()
        shutil.rmtree(base, ignore_errors=True)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(numbers, f)
    if said:
        print("the server said: " + said)
    if args.short:
        return 1 if said else 0
    print("bar: %.2f ms, at most %g: %s" % (last, BAR, "met" if last <= BAR else "missed"))
    return 0 if last <= BAR and not said else 1


if __name__ == "__main__":
    sys.exit(main())
