#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a container's life costs, next to what it must cost and to what others charge.

One run, interleaved: in each round every contestant has its turn, in an order that moves on. A turn is
a life to warm up, then back to back a life of `true` and one of a program that says when it began; then
the same two, each after 20 ms of quiet. Each round also makes and starts one container in two ways: by
mkdir and writes to its files, and by a full OCI document to `new`. The floor (floor.c) is one process that
does what a default container needs and no more. Then what a program costs in a container that runs
already (execs.py). Prints medians, their spread and ratios; writes all of it as JSON.

The exit status tells only whether it ran: 0, or 1 when the floor or ctnfs did not."""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import contestants  # noqa: E402
import documents  # noqa: E402
import execs  # noqa: E402
import peers  # noqa: E402

IDLE = 0.02
SHORT_ROUNDS, ROUNDS = 3, 30
MONITORS = 10
BARS = (  # what, the other, ours is at most this part of the other's
    ("life, back to back", "true", "floor", 2.0),
    ("life, from idle", "true_idle", "floor", 2.0),
    ("life, back to back", "true", "runc", 1 / 8),
    ("life, from idle", "true_idle", "runc", 1 / 8),
    ("CPU of a life", "cpu", "floor", 1.5),
    ("CPU of a life", "cpu", "runc", 1 / 10),
)
DOCUMENT_BAR = 1.3  # a document's time is at most this many times that of mkdir and cmd
COLUMNS = (("life", "true"), ("from idle", "true_idle"), ("1st instr.", "first"),
           ("from idle", "first_idle"), ("CPU", "cpu"))
MUST_RUN = ("floor", "ctnfs", "ctnfs from sh", "a document") + execs.MUST_RUN


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("CTNFS_BUILD", "build"))
    parser.add_argument("--programs", help="where floor, life, first and spawn are (BUILD/tests)")
    parser.add_argument("--dir", default="/var/tmp", help="where state and layers are kept")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--short", action="store_true", help="only look whether everything runs")
    parser.add_argument("--json", help="where to write the numbers")
    args = parser.parse_args()
    if args.short:
        args.rounds = SHORT_ROUNDS
    args.programs = args.programs or os.path.join(args.build, "tests")
    return args


class Bench:
    def __init__(self, args):
        self.args = args
        self.base = tempfile.mkdtemp(prefix="ctnfs-bench-", dir=args.dir)
        os.chmod(self.base, 0o711)
        self.first = os.path.join(args.programs, "first")
        self.all = []
        self.absent = {}
        self.samples = {}
        self.pss = {}
        self.server = None
        self.documents = None
        self.execs = None

    # --- who takes part ---

    def enter(self, make, name):
        """One contestant, if it leads a life."""
        contestant = None
        try:
            contestant = make()
            contestant.life("true")
            contestant.life("first")
        except (contestants.Failed, OSError, subprocess.SubprocessError) as e:
            self.absent[name] = str(e).replace("\n", " ")
            if contestant:
                contestant.close()
            return
        self.all.append(contestant)
        self.samples[name] = {}

    def enter_ours(self):
        program = lambda name: os.path.join(self.args.programs, name)  # noqa: E731
        floor_dir = os.path.join(self.base, "floor")
        self.enter(lambda: contestants.Floor(program("floor"), floor_dir, self.first), "floor")
        try:
            self.server = contestants.Server(self.args.build, self.base)
        except contestants.Failed as e:
            self.absent["ctnfs"] = str(e)
            return
        mount = self.server.mount
        self.enter(lambda: contestants.Client(program("life"), mount, self.first, self.server), "ctnfs")
        self.enter(lambda: contestants.Shell(mount, self.server), "ctnfs from sh")
        try:
            self.documents = documents.Documents(mount, self.base, self.first)
            self.documents.warm_up()
        except OSError as e:
            self.absent["a document"] = str(e)

    def enter_peers(self, root):
        for tool, seccomp in (("runc", True), ("runc", False), ("crun", True)):
            name = tool if seccomp else tool + ", no seccomp"
            self.enter(lambda t=tool, s=seccomp: contestants.runtime(t, self.base, root, s), name)
        for name, make in (("bwrap", peers.bwrap), ("unshare", peers.unshare)):
            argv = lambda program, m=make: m(program, self.first)  # noqa: E731
            self.enter(lambda n=name, a=argv: contestants.Command(n, a), name)
        bare = lambda program: [self.first if program == "/first" else program]  # noqa: E731
        self.enter(lambda: contestants.Command("exec alone", bare), "exec alone")

    def enter_execs(self, root):
        if not self.server:
            self.absent[execs.OURS] = "there is no server"
            return
        self.execs = execs.Execs(self.args, self.base, root, self.server, self.absent)
        self.execs.enter_all()

    # --- measuring ---

    def note(self, contestant, key, value):
        self.samples[contestant.name].setdefault(key, []).append(value)

    def measure(self, contestant, word, key):
        before = contestant.cpu() if hasattr(contestant, "cpu") else None
        life = contestant.life(word)
        if life is None:
            return
        self.note(contestant, key, life["first" if word == "first" else "total"])
        if word == "first":
            return
        self.note(contestant, "cpu", life["cpu"] if before is None else contestant.cpu() - before)
        for step in ("mkdir", "cmd", "wait", "rmdir"):
            if step in life:
                self.note(contestant, "%s_%s" % (key, step), life[step])

    def turn(self, contestant):
        contestant.life("true")
        for word in ("true", "first"):
            self.measure(contestant, word, word)
        for word in ("true", "first"):
            time.sleep(IDLE)
            self.measure(contestant, word, word + "_idle")

    def run(self):
        root = os.path.join(self.base, "root")
        peers.root_make(root, self.first)
        self.enter_ours()
        self.enter_peers(root)
        self.enter_execs(root)
        for number in range(self.args.rounds):
            shift = number % len(self.all) if self.all else 0
            for contestant in self.all[shift:] + self.all[:shift]:
                try:
                    self.turn(contestant)
                except (contestants.Failed, OSError) as e:
                    self.absent[contestant.name] = "in round %d: %s" % (number + 1, e)
                    self.all.remove(contestant)
                    contestant.close()
            self.document_turn(number)
            if self.execs:
                self.execs.turn(number)
        self.supervisors()

    def document_turn(self, number):
        if "a document" in self.absent or not self.documents:
            return
        try:
            self.documents.turn()
        except OSError as e:
            self.absent["a document"] = "in round %d: %s" % (number + 1, e)

    def supervisors(self):
        if self.server and "ctnfs" not in self.absent:
            self.pss["ctnfs"] = self.server.supervisors(MONITORS)
        if "bwrap" in self.samples:
            self.pss["bwrap"] = contestants.bwrap_supervisor(lambda p: peers.bwrap(p, self.first))

    def close(self):
        for contestant in self.all:
            contestant.close()
        if self.execs:
            self.execs.close()
        if self.server:
            self.server.close()
        with open("/proc/self/mountinfo") as f:
            if self.base in f.read():
                print("something is still mounted below %s; left as it is" % self.base, file=sys.stderr)
                return
        shutil.rmtree(self.base)


# --- what came out ---


def summary(values, key):
    """CPU time comes in ticks for some: its mean. Of everything else the median, and 10 % and 90 %."""
    deciles = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else values * 9
    middle = statistics.fmean(values) if key == "cpu" else statistics.median(values)
    return {"value": middle, "p10": deciles[0], "p90": deciles[-1], "n": len(values)}


def results(samples, absent):
    return {name: {key: summary(values, key) for key, values in kinds.items()}
            for name, kinds in samples.items() if name not in absent}


def machine():
    with open("/proc/cpuinfo") as f:
        model = [l.partition(":")[2].strip() for l in f if l.startswith("model name")]
    with open("/proc/filesystems") as f:
        v1 = os.path.isdir("/sys/fs/cgroup/pids") and "\tcgroup\n" in f.read()
    return {"cpus": os.cpu_count(), "model": model[0] if model else platform.machine(),
            "kernel": platform.release(), "cgroup": "v1" if v1 else "v2", "load": os.getloadavg()}


def judge(found, ours, bars):
    """(sentence, held) for each bar whose two sides ran."""
    for what, key, other, bar in bars:
        if ours not in found or other not in found or key not in found[other]:
            continue
        ratio = found[ours][key]["value"] / found[other][key]["value"]
        if bar < 1:
            yield ("%s: %.1f × less than %s; to be at least %g ×" % (what, 1 / ratio, other, 1 / bar),
                   ratio <= bar)
        else:
            yield "%s: %.2f × %s's; to be at most %g ×" % (what, ratio, other, bar), ratio <= bar


def cell(kinds, key):
    if key not in kinds:
        return "–"
    s = kinds[key]
    if key == "cpu":
        return "%.2f" % (s["value"] / 1e3)
    return "%.2f (%.2f–%.2f)" % tuple(s[k] / 1e3 for k in ("value", "p10", "p90"))


def ratio(found, name, key, base="floor"):
    if base not in found or key not in found[name]:
        return "–"
    return "%.2f" % (found[name][key]["value"] / found[base][key]["value"])


def print_table(found):
    print("Milliseconds: median (10 %–90 %); CPU: mean. × floor: life, from idle, 1st instruction, CPU.\n")
    print("%-18s" % "" + "".join("%-21s" % title for title, _ in COLUMNS[:4]) + "CPU    × floor")
    for name, kinds in found.items():
        ratios = "  ".join(ratio(found, name, key) for key in ("true", "true_idle", "first", "cpu"))
        print("%-18s" % name + "".join("%-21s" % cell(kinds, key) for _, key in COLUMNS[:4]) +
              "%-7s" % cell(kinds, "cpu") + ratios)


def print_steps(found):
    for key, title in (("true", "back to back"), ("true_idle", "from idle")):
        steps = [(s, found["ctnfs"].get("%s_%s" % (key, s))) for s in ("mkdir", "cmd", "wait", "rmdir")]
        print("ctnfs, %s: " % title + ", ".join("%s %.2f" % (s, v["value"] / 1e3) for s, v in steps if v))


def exec_report(bench):
    """Prints what a program in a running container costs; (sentence, held) of each bar."""
    if not bench.execs:
        return []
    found = results(bench.execs.samples, bench.absent)
    print("\n`true` in a container that runs. CPU: mean. × nsenter: one, from idle, many, CPU.\n")
    print("%-18s" % "" + "".join("%-21s" % title for title, _ in execs.COLUMNS[:3]) + "CPU    × nsenter")
    for name, kinds in found.items():
        ratios = "  ".join(ratio(found, name, key, "nsenter") for _, key in execs.COLUMNS)
        print("%-18s" % name + "".join("%-21s" % cell(kinds, key) for _, key in execs.COLUMNS[:3]) +
              "%-7s" % cell(kinds, "cpu") + ratios)
    return list(judge(found, execs.OURS, execs.BARS))


def document_report(bench):
    """Prints both ways; (sentence, held) of their ratio."""
    if "a document" in bench.absent or not bench.documents:
        return []
    found = {way: summary(values, way) for way, values in bench.documents.samples.items()}
    print("made and started: " + ", ".join("%s %s" % (way, cell(found, way)) for way in found))
    part = found[documents.DOCUMENT]["value"] / found[documents.FILES]["value"]
    return [("a full OCI document of %d bytes: %.2f × mkdir and cmd; to be at most %g ×" % (
        len(bench.documents.document), part, DOCUMENT_BAR), part <= DOCUMENT_BAR)]


def report(bench):
    found, facts = results(bench.samples, bench.absent), machine()
    print("%(cpus)d CPUs (%(model)s), Linux %(kernel)s, cgroup %(cgroup)s, load %(load)s" % facts)
    print_table(found)
    print()
    if "ctnfs" in found:
        print_steps(found)
    for name, kib in bench.pss.items():
        print("%s: %.0f KiB Pss of supervisor a container" % (name, kib))
    for name, why in bench.absent.items():
        print("%s does not run here: %s" % (name, why))
    verdicts = list(judge(found, "ctnfs", BARS)) + document_report(bench) + exec_report(bench)
    for sentence, held in verdicts:
        print("%s  %s" % ("held  " if held else "MISSED", sentence))
    if bench.args.json:
        with open(bench.args.json, "w") as f:
            json.dump({"machine": facts, "rounds": bench.args.rounds, "results": found,
                       "supervisor_pss_kib": bench.pss, "absent": bench.absent,
                       "bars": verdicts, "samples": bench.samples,
                       "execs": bench.execs.samples if bench.execs else {},
                       "documents": bench.documents.samples if bench.documents else {}}, f, indent=1)


def main():
    if os.geteuid() != 0:
        print("it needs root")
        return 77
    bench = Bench(arguments())
    try:
        bench.run()
    finally:
        bench.close()
    report(bench)
    return 1 if any(name in bench.absent for name in MUST_RUN) else 0


if __name__ == "__main__":
    sys.exit(main())
