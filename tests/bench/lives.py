# SPDX-License-Identifier: Apache-2.0
"""A container's life: of the floor, of ctnfs, of the others.

A turn is a life to warm up, then back to back a life of `true` and one of a program that says when it
began; then the same two, each after 20 ms of quiet. CPU time of a life is that of all who served it."""

import os
import subprocess
import time

import contestants
import figures
import peers

NAME = "lives"
MUST_RUN = ("floor", "ctnfs", "ctnfs from sh")
IDLE = 0.02
COLUMNS = (("life", "true"), ("from idle", "true_idle"), ("1st instr.", "first"),
           ("from idle", "first_idle"), ("CPU", "cpu"))
STEPS = ("mkdir", "cmd", "wait", "rmdir")
BUDGET = (
    ("life, back to back", "true", "floor", 1.5),
    ("life, from idle", "true_idle", "floor", 1.5),
    ("life, back to back", "true", "crun", 1 / 6),
    ("life, back to back", "true", "runc", 1 / 10),
    ("life, from idle", "true_idle", "runc", 1 / 10),
    ("CPU of a life", "cpu", "floor", 1.5),
    ("CPU of a life", "cpu", "runc", 1 / 10),
)


class Part:
    def __init__(self, bench):
        self.bench = bench
        self.all = []
        self.samples = {}

    def enter(self):
        self.enter_ours()
        self.enter_peers()

    def admit(self, make, name):
        """One contestant, if it leads a life."""
        contestant = None
        try:
            contestant = make()
            contestant.life("true")
            contestant.life("first")
        except (contestants.Failed, OSError, subprocess.SubprocessError) as e:
            self.bench.absent[name] = str(e).replace("\n", " ")
            if contestant:
                contestant.close()
            return
        self.all.append(contestant)
        self.samples[name] = {}

    def enter_ours(self):
        b = self.bench
        floor_dir = os.path.join(b.base, "floor")
        self.admit(lambda: contestants.Floor(b.program("floor"), floor_dir, b.first), "floor")
        if not b.server:
            b.absent["ctnfs"] = b.absent["ctnfs from sh"] = "there is no server"
            return
        mount = b.server.mount
        self.admit(lambda: contestants.Client(b.program("life"), mount, b.first, b.server), "ctnfs")
        self.admit(lambda: contestants.Shell(mount, b.server), "ctnfs from sh")

    def enter_peers(self):
        b = self.bench
        for tool, seccomp in (("runc", True), ("runc", False), ("crun", True)):
            name = tool if seccomp else tool + ", no seccomp"
            self.admit(lambda t=tool, s=seccomp: contestants.runtime(t, b.base, b.root, s), name)
        for name, make in peers.COMMANDS.items():
            self.admit(lambda n=name, m=make: contestants.Command(n, *m(b.base, b.root, b.first)), name)

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
        for step in STEPS:
            if step in life:
                self.note(contestant, "%s_%s" % (key, step), life[step])

    def lives(self, contestant):
        contestant.life("true")
        for word in ("true", "first"):
            self.measure(contestant, word, word)
        for word in ("true", "first"):
            time.sleep(IDLE)
            self.measure(contestant, word, word + "_idle")

    def turn(self, number):
        shift = number % len(self.all) if self.all else 0
        for contestant in self.all[shift:] + self.all[:shift]:
            if number % contestant.every:
                continue
            try:
                self.lives(contestant)
            except (contestants.Failed, OSError) as e:
                self.bench.absent[contestant.name] = "in round %d: %s" % (number + 1, e)
                self.all.remove(contestant)
                contestant.close()

    def results(self):
        return figures.results(self.samples, self.bench.absent)

    def close(self):
        for contestant in self.all:
            contestant.close()


# --- what came out ---


def report(found):
    print("Milliseconds: median (10 %–90 %); CPU: mean. × floor: life, from idle, 1st instruction, CPU.\n")
    rows = []
    for name, kinds in found.items():
        ratios = (figures.number(figures.ratio(found, name, key, "floor"))
                  for key in ("true", "true_idle", "first", "cpu"))
        rows.append([name] + [figures.cell(kinds, key) for _, key in COLUMNS] + ["  ".join(ratios)])
    figures.print_rows([""] + [title for title, _ in COLUMNS] + ["× floor"], rows)
    print()
    for key, title in (("true", "back to back"), ("true_idle", "from idle")):
        steps = ((s, figures.value(found, "ctnfs", "%s_%s" % (key, s))) for s in STEPS)
        print("ctnfs, %s: " % title + ", ".join("%s %.2f" % (s, v / 1e3) for s, v in steps if v))


def budget(found):
    return list(figures.judge(found, "ctnfs", BUDGET))


MAKES = {  # what each makes of a container by default; in this order
    "floor": "what ctnfs makes, by one C program that is there already",
    "ctnfs": "all that \"Security\" lists, from a C program",
    "ctnfs from sh": "the same from a shell, its own start included",
    "unshare": "namespaces",
    "bwrap": "namespaces, a view of the host's files; no cgroup, no filter",
    "lxc-start": "namespaces, cgroups; no filter",
    "systemd-nspawn": "namespaces, its own filter; no cgroup",
    "crun": "docker's filter; no user namespace",
    "runc": "docker's filter; no user namespace",
    "runc, no seccomp": "",
    "podman + runc": "what podman makes of it",
    "exec alone": "a process, and nothing else",
}


def readme(found):
    rows = [[name] + [figures.ms(figures.value(found, name, key)) for _, key in COLUMNS if key != "first_idle"] +
            [makes] for name, makes in MAKES.items() if name in found]
    return (["How long `true` takes in a container, from nothing to nothing: `mkdir`, start, wait, `rmdir`; the second of",
             "two in a row, and one after 20 ms of quiet. In a longer row ctnfs has to prepare the next one meanwhile: the rates",
             "further down are of such.", ""] +
            figures.markdown(["", "life", "from idle", "first instruction", "processor time", "it makes"], rows))
