# SPDX-License-Identifier: Apache-2.0
"""A ctnfs server on directories of its own."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from basics import RANGE, build_path, err_name, limit, put, settle, slurp, until
from containers import Ctn, parse_error

IDS_EACH = 64 * RANGE  # host ids of one server
SERVERS_AT_ONCE = 4
SPARES = os.environ.get("CTNFS_SPARES", "0")  # what is kept ready would look like a leak: no test of that then
ID_RE = re.compile(r"^[0-9a-f]{64}$")

LIVE = set()  # servers whose process may run; the watchdog kills them


def mounts_at(path):
    """Fields of /proc/self/mountinfo for each mount at a path."""
    with open("/proc/self/mountinfo") as f:
        return [l.split() for l in f if l.split()[4] == path]


class Session:
    """What all servers of this test run share: a directory and a range of host ids."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="ct-", dir=os.environ.get("CTNFS_TEST_DIR", "/tmp"))
        os.chmod(self.base, 0o711)
        self.id_width = SERVERS_AT_ONCE * IDS_EACH
        first = 1 << 30
        slots = ((1 << 32) - RANGE - first) // self.id_width
        busy = busy_uids()
        for i in range(slots):
            low = first + (os.getpid() + i) % slots * self.id_width
            if not any(low <= u < low + self.id_width for u in busy):
                break
        self.id_base = low
        self.count = itertools.count()
        self.ids = set()  # every container id seen

    def owns_uid(self, uid):
        return self.id_base <= uid < self.id_base + self.id_width

    def close(self):
        with open("/proc/self/mountinfo") as f:
            left = [l for l in f if self.base in l]
        if left:  # never remove through a mount
            sys.stderr.write("still mounted:\n" + "".join(left))
            return
        shutil.rmtree(self.base)


def busy_uids():
    seen = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            seen.add(os.stat("/proc/" + pid).st_uid)
        except OSError:
            pass
    return seen


def server_env():
    env = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8",
           "CTNFS_TEST_SECRET": "server-environment"}
    env["ASAN_OPTIONS"] = "detect_leaks=1:detect_stack_use_after_return=1:handle_abort=1"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=0"
    env["TSAN_OPTIONS"] = "second_deadlock_stack=1:halt_on_error=0"
    for key in list(env):
        if key.endswith("SAN_OPTIONS") and os.environ.get(key):
            env[key] += ":" + os.environ[key]
    return env


def is_nursery(pid):
    """Whether it is what monitors come from, which is there as long as the server."""
    try:
        return slurp("/proc/%s/comm" % pid) == "ctnfs-nursery\n"
    except OSError:
        return False


class Server:
    """One server. It can be stopped, killed and started again on the same directories."""

    def __init__(self, session, options=(), start=True):
        self.session = session
        number = next(session.count)
        self.dir = os.path.join(session.base, str(number))
        self.mnt, self.state, self.run = (os.path.join(self.dir, d) for d in ("m", "state", "run"))
        os.mkdir(self.dir, 0o711)
        os.mkdir(self.mnt)
        self.id_base = session.id_base + number % SERVERS_AT_ONCE * IDS_EACH
        self.options = list(options)
        self.expected = []  # regexes of lines on standard error that are no failure
        self.runs = 0
        self.names = itertools.count(1)
        self.proc = None
        self.program = None  # another than the build's
        self.environment = {}  # more than server_env()
        self.baseline = {}
        if start:
            self.start()

    # --- the process ---

    def option_text(self):
        own = ["state=" + self.state, "run=" + self.run, "subid=%d:%d" % (self.id_base, IDS_EACH),
               "spares=" + SPARES, "filter=kill"]  # what the filter forgets is seen
        return ",".join(own + self.options)

    def argv(self):
        return [self.program or build_path("ctnfs"), "-f", "-o", self.option_text(), self.mnt]

    def start(self):
        self.runs += 1
        self.told = 0  # lines of standard error that were looked at
        self.err_path = os.path.join(self.dir, "stderr-%d" % self.runs)
        with open(self.err_path, "wb") as err:
            self.proc = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                         env=dict(server_env(), **self.environment), cwd=self.dir)
        LIVE.add(self)
        until(self.answers, "the server mounts", 20)
        self.dev = os.stat(self.mnt).st_dev
        if not self.baseline:
            self.baseline = self.inner_state()

    def answers(self):
        assert self.proc.poll() is None, "the server ended with %s: %s" % (
            self.proc.returncode, self.stderr())
        found = mounts_at(self.mnt)
        return found and os.path.exists(os.path.join(self.mnt, "status"))

    def stderr(self):
        with open(self.err_path, errors="replace") as f:
            return f.read()

    def complaints(self):
        """Lines on standard error since the last time, but for those that a test expects."""
        lines = self.stderr().splitlines()
        fresh, self.told = lines[self.told:], len(lines)
        return ["on standard error: " + l for l in fresh
                if l.strip() and not any(re.search(r, l) for r in self.expected)][:40]

    def kill9(self):
        """SIGKILL to the server alone; containers go on."""
        self.proc.kill()
        self.proc.wait(limit(20))
        LIVE.discard(self)

    def terminate(self):
        """What `umount` or the end of a session does. Returns a list of what went wrong."""
        wrong = []
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(limit(15))
            if status != 0:
                wrong.append("the server's exit status is %d" % status)
        except subprocess.TimeoutExpired:
            wrong.append("the server did not end on SIGTERM")
            self.proc.kill()
            self.proc.wait()
        LIVE.discard(self)
        if mounts_at(self.mnt):
            wrong.append("the mount is still there after the server's end")
            while mounts_at(self.mnt) and subprocess.run(["umount", "-l", self.mnt]).returncode == 0:
                pass
        wrong += self.complaints()
        return wrong

    def running(self):
        return self.proc is not None and self.proc.poll() is None

    def inner_state(self):
        """What must be the same again once all containers are gone (L1 L3 L4 L6 L8)."""
        proc = "/proc/%d/" % self.proc.pid
        fds = []
        for fd in os.listdir(proc + "fd"):
            try:
                target = os.readlink(proc + "fd/" + fd)
            except OSError:
                continue
            # workers have clones of the channel and are started when needed
            if target != "/dev/fuse":
                fds.append(re.sub(r"\d+", "N", target))
        children = []  # of each thread: a thread is the parent of what it starts
        for thread in os.listdir(proc + "task"):
            try:
                children += slurp(proc + "task/%s/children" % thread).split()
            except OSError:
                continue
        children = [c for c in children if not is_nursery(c)]  # the next server has another
        with open(proc + "mountinfo") as f:
            mounts = sorted(re.sub(r"^\d+ \d+ ", "", l.strip()) for l in f if self.dir + "/" in l)
        return {"fds": sorted(fds), "children": sorted(children), "mounts": mounts,
                "state": sorted(os.listdir(self.state)), "run": sorted(os.listdir(self.run))}

    def inner_leaks(self):
        if SPARES != "0":
            return []
        now = self.inner_state()
        wrong = ["server %s: %s, was %s" % (key, now[key], was)
                 for key, was in self.baseline.items() if now[key] != was]
        threads = len(os.listdir("/proc/%d/task" % self.proc.pid))
        if threads > 40:
            wrong.append("the server has %d threads" % threads)
        return wrong

    def clear(self):
        """Stop and remove every container. Returns what went wrong."""
        wrong = []
        for name in self.containers():
            c = Ctn(self, name)
            try:
                self.session.ids.add(c.get("id"))
                r = put(c.path("ctl"), "kill\n") if c.get("state") not in ("created", "exited") else 0
                if r:
                    wrong.append("kill of %s: %s" % (name, err_name(r)))
                os.rmdir(c.path())
            except OSError as e:
                wrong.append("removing %s: %s; %s" % (name, e, self.read("error")[-300:]))
        return wrong

    def finish(self):
        """All of the end of a test."""
        wrong = []
        if self.proc is not None and not self.running():
            wrong += self.rescue()
        if self.running():
            try:
                wrong += self.clear()
                wrong += settle(self.inner_leaks)
            except OSError as e:
                wrong.append("the end of the test: %s" % e)
        if self.proc is not None:
            wrong += self.terminate()
        for d in (self.state, self.run):
            if os.path.isdir(d):
                wrong += ["left in %s: %s" % (d, n) for n in os.listdir(d) if ID_RE.match(n)]
        return wrong

    def remove(self):
        """Its directory, which nobody uses any more; never through a mount."""
        with open("/proc/self/mountinfo") as f:
            mounted = any(" %s/" % self.dir in l for l in f)
        if not mounted and os.path.isdir(self.dir):
            shutil.rmtree(self.dir)

    def leftovers(self):
        """Processes of ours that go on without a server."""
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                uid = os.stat("/proc/%d" % pid).st_uid
                fds = ["/proc/%d/fd/%s" % (pid, fd) for fd in os.listdir("/proc/%d/fd" % pid)]
                held = any(self.run in os.readlink(fd) for fd in fds)
            except OSError:
                continue
            if held or self.id_base <= uid < self.id_base + IDS_EACH:
                yield pid

    def rescue(self):
        """A server that was killed may have left containers: only a new one can remove them."""
        if not os.path.isdir(self.state) or not any(map(ID_RE.match, os.listdir(self.state))):
            return []
        try:
            self.start()
            return []
        except (AssertionError, OSError) as e:
            for pid in list(self.leftovers()):
                os.kill(pid, signal.SIGKILL)
            return ["starting it again to clean up: %s" % e]

    # --- the mount ---

    def path(self, *parts):
        return os.path.join(self.mnt, *parts)

    def read(self, name):
        return slurp(self.path(name))

    def containers(self):
        return sorted(e.name for e in os.scandir(self.mnt) if e.is_dir(follow_symlinks=False))

    def make(self, name=None):
        c = Ctn(self, name or "c%d" % next(self.names))
        os.mkdir(c.path())
        self.session.ids.add(c.get("id"))
        return c

    def last_error(self):
        return parse_error(self.read("error"))

    def sh(self, script, shell="bash", check=True, timeout=30, cwd=None, **kw):
        """Run a script as a user would, standing in the mount."""
        env = dict(os.environ, LC_ALL="C.UTF-8", M=self.mnt)
        r = subprocess.run([shell, "-c", script], cwd=cwd or self.mnt, env=env, text=True,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=limit(timeout), **kw)
        if check:
            assert r.returncode == 0, "%s -c %r: %d\n%s%s" % (
                shell, script, r.returncode, r.stdout, r.stderr)
        return r


def cgroup_version(server):
    for line in server.read("status").splitlines():
        m = re.match(r"cgroup[^:]*:\s*v?([12])\b", line, re.I)
        if m:
            return int(m[1])
    raise AssertionError("the root status file does not tell the cgroup version")
