# SPDX-License-Identifier: Apache-2.0
"""Containers that attack whoever enters them, and servers without one of their protections.

The programs that attack are built beside the others (tests/security/attack/). A weakened monitor is
the monitor less one protection (core/weaken.h): a test that passes with it as well shows
nothing, so each has a control that must see the attack succeed there."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess

import basics
import harness
from basics import SLOW, limit, until

BUILT = os.path.join(basics.BUILD, "tests")  # before the session puts its copies in BUILD's place
LONG = os.environ.get("CTNFS_LONG") == "1"
NAMES = ("calls", "opener", "overwrite", "sampler", "swap", "tell")
TELL = "/attack/tell"


def rounds(short, long):
    """How often; less in emulation, where a program takes as long to start as a hundred elsewhere."""
    return long if LONG else max(short // 3, 3) if SLOW >= 4 else short


def tools(session):
    """The directory with the programs, to be bound in; anyone may read it."""
    path = os.path.join(session.base, "attack")
    if not os.path.isdir(path):
        os.mkdir(path)
        for name in NAMES:
            shutil.copy2(os.path.join(BUILT, "attack-" + name), os.path.join(path, name))
            os.chmod(os.path.join(path, name), 0o755)
        with open(os.path.join(path, "self"), "w") as f:
            f.write("#!/proc/self/exe\n")
        os.chmod(os.path.join(path, "self"), 0o755)
    os.chmod(path, 0o755)
    return path


def arm(ctn, kind="default", user="0", ptrace=True):
    """A container whose root has what the attacks need. Privileged: root of the host, all
    capabilities, no filter, as `docker run --privileged --pid=private`."""
    ctn.put("mounts", "%s /attack none bind,ro,noidmap 0 0" % tools(ctn.server.session))
    if kind == "privileged":
        ctn.put("ns/user", "host").put("caps", "all").put("seccomp", "none")
    ctn.put("caps", ("+" if ptrace else "-") + "cap_sys_ptrace")
    return ctn.put("user", user)


@contextlib.contextmanager
def weak_server(session, name, server=False):
    """A server whose monitors, or that itself, lack that protection."""
    programs = os.path.join(session.base, "weak-" + name)
    if not os.path.isdir(programs):
        os.mkdir(programs)
        for program in basics.PROGRAMS:
            shutil.copy2(basics.build_path(program), programs)
        program = "ctnfs" if server else "ctnfs-monitor"
        shutil.copy2(os.path.join(BUILT, program + "-weak-" + name), os.path.join(programs, program))
    server = harness.Server(session, start=False)
    server.program = os.path.join(programs, "ctnfs")
    try:
        server.start()
        yield server
    finally:
        wrong = server.finish()
    assert not wrong, "\n".join(wrong)
    server.remove()


def command(ctn, *args):
    script = ctn.path("exec")
    if os.path.exists(script):
        return [script] + list(args)
    run = os.path.join(ctn.server.run, ctn.get("id"))
    return [basics.build_path("ctnfs-exec"), run, script] + list(args)


def enter(ctn, *args, code=None, timeout=20, **kw):
    """`exec` with these words; standard input is empty unless given."""
    if "input" not in kw:
        kw.setdefault("stdin", subprocess.DEVNULL)
    r = subprocess.run(command(ctn, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=limit(timeout), **kw)
    if code is not None:
        assert r.returncode == code, "%s: %d instead of %d: %s%s" % (
            args, r.returncode, code, r.stdout, r.stderr)
    return r


class Report:
    """What an attacker has said: how often it looked, and what it got."""

    def __init__(self, text):
        self.text = text
        end = re.search(r"^END (.*)$", text, re.M)
        assert end, "the attacker did not come to its end: " + text[-2000:]
        self.count = {k: int(v) for k, v in (w.split("=") for w in end[1].split())}
        self.got = re.findall(r"^GOT (.*)$", text, re.M)

    def kinds(self):
        return {line.split()[0] for line in self.got}


def begin(ctn, *argv):
    """Start the attacker, and wait until it is at work."""
    ctn.start(*argv)
    return ctn.until_log("READY")


def until_met(ctn, sign, least, most):
    """Numbers of attempts: at least so many, and more until the attacker, whose being quick enough is a matter of
    luck, has said @sign."""
    for i in range(most):
        if i >= least and sign in ctn.read("log"):
            return
        yield i


def end(ctn):
    """End the attacker; what it has got."""
    ctn.put("ctl", "stop")
    return Report(ctn.read("log"))


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def processes(ctn):
    """Host pids in its pid namespace, but for the first one."""
    first = ctn.pid()
    space = os.readlink("/proc/%d/ns/pid" % first)
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if pid != first and os.readlink("/proc/%d/ns/pid" % pid) == space:
                yield pid
        except OSError:
            continue


def stopped(ctn):
    """Those of them that stand still."""
    for pid in processes(ctn):
        try:
            with open("/proc/%d/stat" % pid) as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state == "T":
            yield pid


def end_process(process):
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(limit(10))


def until_stopped(ctn, process):
    """A process that stands still, or None when the command has ended."""
    return until(lambda: next(stopped(ctn), None) or process.poll() is not None and -1,
                 "a process stands still, or has ended")
