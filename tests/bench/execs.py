# SPDX-License-Identifier: Apache-2.0
"""What `true` costs in a container that runs: by its file exec, by nsenter into the same one, by the
runtimes' exec in containers of their own, and outside of any.

In each round each has its turn: some runs to warm up, some one after the other, one after 20 ms of
quiet, and many at a time. CPU time is of the many: that of the commands, and of those who serve them."""

import os
import shutil
import subprocess
import time

import contestants
import figures
import peers

NAME = "exec"
IDLE = 0.02
SERIES = 3
MANY, AT_ONCE = 24, 8
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as inside
OURS, FLOOR = "exec", "true alone"
MUST_RUN = (OURS, FLOOR)
BUDGET = (
    ("exec, back to back", "true", "nsenter", 1.5),
    ("exec, from idle", "true_idle", "nsenter", 1.5),
    ("exec, back to back", "true", "runc exec", 1 / 5),
    ("exec, from idle", "true_idle", "runc exec", 1 / 5),
)
COLUMNS = (("one", "true"), ("from idle", "true_idle"), ("%d at a time" % AT_ONCE, "many"),
           ("CPU", "cpu"))


class Spawner(contestants.Program):
    """@serve: pids of those whose CPU time it is, too."""

    def __init__(self, name, program, argv, serve=(), cleanup=None):
        super().__init__(name, [program] + argv, env=dict(os.environ, PATH=PATH))
        self.serve = serve
        self.cleanup = cleanup

    def run(self, count, at_once):
        """Microseconds each, of time and of CPU."""
        before = sum(map(contestants.tree_cpu, self.serve))
        took = self.life("%d %d" % (count, at_once))
        cpu = took["cpu"] + sum(map(contestants.tree_cpu, self.serve)) - before
        return took["total"] / count, cpu / count

    def turn(self):
        """(key, value) of each sample."""
        self.run(1, 1)
        for _ in range(SERIES):
            yield "true", self.run(1, 1)[0]
        time.sleep(IDLE)
        yield "true_idle", self.run(1, 1)[0]
        many, cpu = self.run(MANY, AT_ONCE)
        yield "many", many
        yield "cpu", cpu

    def close(self):
        super().close()
        if self.cleanup:
            self.cleanup()


class Container:
    """One of ours, with a program that sleeps."""

    def __init__(self, server):
        self.path = os.path.join(server.mount, "bench-e")
        os.mkdir(self.path)
        contestants.write(self.path, "cmd", "sleep infinity")
        self.pid = int(contestants.read(self.path, "pid"))
        self.monitor = contestants.parent_of(self.pid)

    def close(self):
        contestants.write(self.path, "ctl", "kill")
        os.rmdir(self.path)


class RuntimeContainer:
    """One of an OCI runtime's, with docker's filter and capabilities."""

    def __init__(self, tool, base, root):
        self.ident = "bench-exec-%d-%s" % (os.getpid(), tool)
        self.states = contestants.run_dir()
        self.command = [tool, "--root", self.states]
        bundle = os.path.join(base, self.ident)
        try:
            peers.bundle_make(bundle, root, ["/usr/bin/sleep", "infinity"], True)
            with open(os.path.join(base, self.ident + ".log"), "w+") as log:
                r = subprocess.run(self.command + ["run", "--detach", "--bundle", bundle, self.ident],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
                log.seek(0)
                if r.returncode:
                    raise contestants.Failed(log.read().strip())
        except (contestants.Failed, OSError, subprocess.SubprocessError):
            self.close()
            raise

    def close(self):
        subprocess.run(self.command + ["delete", "--force", self.ident],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.states, ignore_errors=True)


class Part:
    def __init__(self, bench):
        self.program = bench.program("spawn")
        self.base, self.root, self.server = bench.base, bench.root, bench.server
        self.all = []
        self.absent = bench.absent
        self.samples = {}
        self.container = None

    def admit(self, name, make):
        """One contestant, if its command succeeds."""
        contestant = None
        try:
            contestant = make()
            contestant.run(1, 1)
        except (contestants.Failed, OSError, subprocess.SubprocessError) as e:
            self.absent[name] = str(e).replace("\n", " ")
            if contestant:
                contestant.close()
            return
        self.all.append(contestant)
        self.samples[name] = {}

    def enter(self):
        if not self.server:
            self.absent[OURS] = self.absent[FLOOR] = "there is no server"
            return
        self.admit(FLOOR, lambda: Spawner(FLOOR, self.program, ["true"]))
        try:
            self.container = Container(self.server)
        except OSError as e:
            self.absent[OURS] = str(e)
            return
        serve = (self.server.pid, self.container.monitor)
        file = os.path.join(self.container.path, "exec")
        self.admit(OURS, lambda: Spawner(OURS, self.program, [file, "true"], serve))
        nsenter = ["nsenter", "--all", "-t", str(self.container.pid), "true"]
        self.admit("nsenter", lambda: Spawner("nsenter", self.program, nsenter))
        for tool in ("runc", "crun"):
            self.admit(tool + " exec", lambda t=tool: self.runtime(t))

    def runtime(self, tool):
        c = RuntimeContainer(tool, self.base, self.root)
        return Spawner(tool + " exec", self.program, c.command + ["exec", c.ident, "true"],
                       cleanup=c.close)

    def turn(self, number):
        shift = number % len(self.all) if self.all else 0
        for contestant in self.all[shift:] + self.all[:shift]:
            try:
                for key, value in contestant.turn():
                    self.samples[contestant.name].setdefault(key, []).append(value)
            except (contestants.Failed, OSError) as e:
                self.absent[contestant.name] = "in round %d: %s" % (number + 1, e)
                self.all.remove(contestant)
                contestant.close()

    def results(self):
        return figures.results(self.samples, self.absent)

    def close(self):
        for contestant in self.all:
            contestant.close()
        if self.container:
            self.container.close()


def report(found):
    print("`true` in a container that runs. CPU: mean. × nsenter: one, from idle, many, CPU.\n")
    rows = [[name] + [figures.cell(kinds, key) for _, key in COLUMNS] +
            ["  ".join(figures.number(figures.ratio(found, name, key, "nsenter")) for _, key in COLUMNS)]
            for name, kinds in found.items()]
    figures.print_rows([""] + [title for title, _ in COLUMNS] + ["× nsenter"], rows)


def budget(found):
    return list(figures.judge(found, OURS, BUDGET))


COMMANDS = {"exec": "`db/exec true`", "nsenter": "`nsenter --all true`"}


def readme(found):
    rows = [[COMMANDS.get(name, "`%s`" % name)] + [figures.ms(figures.value(found, name, key)) for _, key in COLUMNS]
            for name in found if name != FLOOR]
    return (["`true` in a container that runs already. nsenter joins no control group and takes no rights away:", ""] +
            figures.markdown(["", "one after the other", "from idle", "%d at a time" % AT_ONCE, "processor time"], rows))
