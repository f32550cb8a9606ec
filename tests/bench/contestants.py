# SPDX-License-Identifier: Apache-2.0
"""Who leads lives, and what each life cost."""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import peers

TRUE = "/usr/bin/true"
TICK = os.sysconf("SC_CLK_TCK")


def run_dir():
    """A directory on a tmpfs where there is one, as /run is on real hosts."""
    return tempfile.mkdtemp(prefix="ctnfs-bench-", dir="/dev/shm" if os.path.ismount("/dev/shm") else "/run")


ALL_CPUS = os.sched_getaffinity(0)
ONE_CPU = {min(ALL_CPUS)}


def pin(pid, cpus):
    """All threads of a process that there are now."""
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            os.sched_setaffinity(int(task), cpus)
        except ProcessLookupError:
            pass  # a worker that has just ended


class Failed(Exception):
    """A contestant does not run, and why."""


def tree_cpu(pid):
    """Microseconds of CPU that a process, its threads and all whom it has waited for have used."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return sum(int(v) for v in fields[11:15]) * 1e6 / TICK


class Program:
    """One of our C programs, which leads a life for each line it reads."""

    every = 1  # it has its turn in each so many rounds

    def __init__(self, name, argv, env=None):
        self.name = name
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, env=env)

    def life(self, word):
        self.begin(word)
        return self.end()

    def begin(self, words):
        """Lines that it works on from now on; end() is what comes out of the next one."""
        try:
            self.proc.stdin.write(words + "\n")
            self.proc.stdin.flush()
        except BrokenPipeError:
            pass  # the end says why

    def end(self):
        line = self.proc.stdout.readline()
        if not line:
            self.proc.wait()
            raise Failed(self.proc.stderr.read().strip() or "it ended with %d" % self.proc.returncode)
        return json.loads(line)

    def close(self):
        self.proc.stdin.close()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc.stdout.close()
        self.proc.stderr.close()


class Floor(Program):
    def __init__(self, binary, directory, first):
        os.makedirs(directory)
        super().__init__("floor", [binary, directory, first, "-"])

    def close(self):
        """After a failure the control groups of its life are still there."""
        super().close()
        for path in glob.glob("/sys/fs/cgroup/**/ctnfs-floor-%d" % self.proc.pid, recursive=True):
            for end in (os.path.join(path, "life"), path):
                if os.path.isdir(end):
                    os.rmdir(end)


class Client(Program):
    """Through the mount, by plain system calls. Its CPU time is the server's, the monitor's and the
    container's, all of which the server has waited for; and the client's own."""

    def __init__(self, binary, mount, first, server, container="bench-c"):
        super().__init__("ctnfs", [binary, mount, container, first])
        self.server = server

    def cpu(self):
        return tree_cpu(self.server.pid) + tree_cpu(self.proc.pid)


class Command:
    """A command a life; @make gives the arguments for a program."""

    def __init__(self, name, make, cleanup=None, every=1):
        self.name = name
        self.make = make
        self.cleanup = cleanup
        self.every = every
        self.lives = 0

    def life(self, word):
        self.lives += 1
        argv = self.make("/first" if word == "first" else TRUE)
        out, inner = os.pipe()
        err = os.memfd_create("stderr")
        begin = time.monotonic_ns()
        try:
            pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[
                (os.POSIX_SPAWN_DUP2, inner, 1), (os.POSIX_SPAWN_DUP2, err, 2)])
            _, status, usage = os.wait4(pid, 0)
            end = time.monotonic_ns()
            os.close(inner)
            inner = -1
            if status:
                os.lseek(err, 0, os.SEEK_SET)
                raise Failed("it exits with %d: %s" % (os.waitstatus_to_exitcode(status),
                                                       os.read(err, 400).decode().strip()))
            text = os.read(out, 64)
        finally:
            for fd in (out, err, inner):
                if fd >= 0:
                    os.close(fd)
        if word == "first" and not text.strip().isdigit():
            raise Failed("its program's output does not arrive: %r" % text)
        return {"total": (end - begin) / 1e3, "cpu": (usage.ru_utime + usage.ru_stime) * 1e6,
                "first": (int(text) - begin) / 1e3 if word == "first" else 0}

    def close(self):
        if self.cleanup:
            self.cleanup()


class Shell(Command):
    """Through the mount, by a shell."""

    SCRIPT = 'set -e; cd "$1"; mkdir bench-s; echo /usr/bin/true >bench-s/cmd; ' \
             'test "$(cat bench-s/wait)" = 0; rmdir bench-s'

    def __init__(self, mount, server):
        super().__init__("ctnfs from sh", lambda program: ["sh", "-c", self.SCRIPT, "sh", mount])
        self.server = server

    def life(self, word):
        if word == "first":
            return None
        before = tree_cpu(self.server.pid)
        life = super().life(word)
        life["cpu"] += tree_cpu(self.server.pid) - before
        return life


def runtime(tool, base, root, seccomp=True):
    """An OCI runtime over bundles of its own."""
    name = tool if seccomp else tool + ", no seccomp"
    place = os.path.join(base, name.replace(", ", "-").replace(" ", "-"))
    for kind, program in (("true", TRUE), ("first", "/first")):
        peers.bundle_make(os.path.join(place, kind), root, [program], seccomp)
    states = run_dir()
    ident = "bench-%d-%s" % (os.getpid(), os.path.basename(place))

    def make(program):
        kind = "first" if program == "/first" else "true"
        return [tool, "--root", states, "run", "--bundle", os.path.join(place, kind), ident]

    def cleanup():
        subprocess.run([tool, "--root", states, "delete", "--force", ident],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(states, ignore_errors=True)

    return Command(name, make, cleanup)


class Server:
    """A mount of its own."""

    def __init__(self, build, base):
        self.mount = os.path.join(base, "mnt")
        os.makedirs(self.mount)
        self.run = run_dir()
        options = "state=%s,run=%s" % (os.path.join(base, "ctn-state"), self.run)
        self.log = open(os.path.join(base, "server.log"), "w+")
        self.proc = subprocess.Popen([os.path.join(build, "ctnfs"), "-f", "-o", options, self.mount],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.proc.pid
        end = time.monotonic() + 30
        while not os.path.ismount(self.mount):
            if self.proc.poll() is not None or time.monotonic() > end:
                self.close()
                raise Failed(self.said() or "the server does not mount")
            time.sleep(0.02)

    def said(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read().strip()

    def close(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.log.close()
        shutil.rmtree(self.run, ignore_errors=True)


def write(directory, name, text):
    with open(os.path.join(directory, name), "w") as f:
        f.write(text + "\n")


def read(directory, name):
    with open(os.path.join(directory, name)) as f:
        return f.read()


def parent_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rpartition(")")[2].split()[1])


def rollup(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
