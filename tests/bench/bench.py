#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What containers cost, next to what they must cost and to what others charge.

The floor (floor.c) is one process that does what a default container needs and no more; peers.py has
the others. One run, interleaved: each round has a share of every part (parts.py), and in it every
contestant its turn, in an order that moves on; what fills the machine comes after the rounds. Prints
medians, their spread, ratios and each line of the budget with what came out; writes all of it as JSON,
and a chart of that. README.md's figures are made from such a file by readme.py.

The exit status tells only whether it ran: 0, or 1 when the floor or ctnfs did not."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import contestants  # noqa: E402
import figures  # noqa: E402
import parts  # noqa: E402
import peers  # noqa: E402

SHORT_ROUNDS, ROUNDS = 2, 20
HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("CTNFS_BUILD", "build"))
    parser.add_argument("--programs", help="where floor, life, first and others are (BUILD/tests)")
    parser.add_argument("--dir", default="/var/tmp", help="where state and layers are kept")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", action="append", default=[], metavar="PART",
                        help="one of %s; may be given again" % ", ".join(p.NAME for p in parts.ALL))
    parser.add_argument("--crowd", type=int, default=0, metavar="N",
                        help="also that many that run at the same time: 5000")
    parser.add_argument("--short", action="store_true", help="only look whether everything runs")
    parser.add_argument("--json", help="where to write the numbers")
    parser.add_argument("--chart", help="where to draw them: a name that ends with .svg or .png")
    args = parser.parse_args()
    args.rounds = min(args.rounds, SHORT_ROUNDS) if args.short else args.rounds
    args.programs = args.programs or os.path.join(args.build, "tests")
    args.modules = parts.chosen(args.only)
    return args


class Bench:
    """What the parts share. @absent: who does not take part, or fell out, and why."""

    def __init__(self, args):
        self.args = args
        self.base = tempfile.mkdtemp(prefix="ctnfs-bench-", dir=args.dir)
        os.chmod(self.base, 0o711)
        self.first = self.program("first")
        self.root = os.path.join(self.base, "root")
        self.absent = {}
        self.parts = []
        self.server = None
        self.begin = time.monotonic()

    def program(self, name):
        return os.path.abspath(os.path.join(self.args.programs, name))

    def run(self):
        peers.root_make(self.root, self.first)
        try:
            self.server = contestants.Server(self.args.build, self.base)
        except contestants.Failed as e:
            self.absent["ctnfs"] = str(e)
        for module in self.args.modules:
            self.parts.append(module.Part(self))
            self.parts[-1].enter()
        late = [getattr(module, "LATE", False) for module in self.args.modules]
        for number in range(self.args.rounds):
            for part, is_late in zip(self.parts, late):
                if not is_late:
                    part.turn(number)
        for part, is_late in zip(self.parts, late):
            if is_late:
                part.turn(0)

    def results(self):
        return {module.NAME: part.results() for module, part in zip(self.args.modules, self.parts)}

    def close(self):
        for part in self.parts:
            part.close()
        if self.server:
            self.server.close()
        with open("/proc/self/mountinfo") as f:
            if self.base in f.read():
                print("something is still mounted below %s; left as it is" % self.base, file=sys.stderr)
                return
        shutil.rmtree(self.base)


# --- what came out ---


def version(command):
    try:
        r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    except OSError:
        return None
    return r.stdout.strip().splitlines()[0] if r.returncode == 0 and r.stdout.strip() else None


def packages():
    """Debian's versions of those that take part."""
    names = ("runc", "crun", "bubblewrap", "util-linux", "podman", "systemd-container", "lxc", "redis-server")
    found = {n: version(["dpkg-query", "-W", "-f", "${Version}\n", n]) for n in names}
    return {n: v for n, v in found.items() if v}


def machine(args):
    with open("/proc/cpuinfo") as f:
        model = [l.partition(":")[2].strip() for l in f if l.startswith("model name")]
    with open("/proc/filesystems") as f:
        v1 = os.path.isdir("/sys/fs/cgroup/pids") and "\tcgroup\n" in f.read()
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1])
    hierarchies = sum(1 for name in os.listdir("/sys/fs/cgroup")
                      if name != "systemd" and os.path.exists(os.path.join("/sys/fs/cgroup", name, "tasks")))
    return {"cpus": os.cpu_count(), "model": model[0] if model else platform.machine(),
            "kernel": platform.release(), "cgroup": "v1" if v1 else "v2", "hierarchies": hierarchies or 1,
            "memory_kib": memory, "filesystem": version(["stat", "-f", "-c", "%T", args.dir]),
            "load_before": list(args.load), "commit": version(["git", "-C", HERE, "describe", "--always", "--dirty"]),
            "time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), "packages": packages()}


def budget(found, modules):
    return [line for module in modules if found[module.NAME] for line in module.budget(found[module.NAME])]


def report(run, modules):
    print("%(cpus)d CPUs (%(model)s), Linux %(kernel)s, cgroup %(cgroup)s, load before %(load_before)s"
          % run["machine"])
    for module in modules:
        print("\n=== %s ===\n" % module.NAME)
        module.report(run["parts"][module.NAME])
    print("\n=== who does not take part ===\n" if run["absent"] else "")
    for name, why in run["absent"].items():
        print("%s does not run here: %s" % (name, why))
    print("\n=== the budget ===\n")
    for line in run["budget"]:
        print("%s  %s" % ("met    " if line["met"] else "NOT met", figures.bar_text(line)))


def write(run, args):
    if not args.json:
        return
    os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
    with open(args.json, "w") as f:
        json.dump(run, f, indent=1, sort_keys=False, ensure_ascii=False)
        f.write("\n")


def draw(run, args):
    if args.chart:
        import chart
        chart.draw(run, args.chart)


def main():
    args = arguments()
    if os.geteuid() != 0:
        print("it needs root")
        return 77
    args.load = os.getloadavg()
    bench = Bench(args)
    try:
        bench.run()
        found = bench.results()
    finally:
        bench.close()
    run = {"machine": machine(args), "rounds": args.rounds, "seconds": round(time.monotonic() - bench.begin),
           "parts": found, "budget": budget(found, args.modules), "absent": bench.absent}
    report(run, args.modules)
    write(run, args)
    draw(run, args)
    must = [name for module in args.modules for name in module.MUST_RUN]
    return 1 if "ctnfs" in bench.absent or any(name in bench.absent for name in must) else 0


if __name__ == "__main__":
    sys.exit(main())
