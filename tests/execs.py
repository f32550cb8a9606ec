# SPDX-License-Identifier: Apache-2.0
"""Calls of a container's exec."""

import os
import subprocess

from basics import limit, slurp, until


def run(c, *argv, check=None, **kw):
    """Call the container's exec; both streams as text."""
    kw.setdefault("stdin", subprocess.DEVNULL)
    r = subprocess.run([c.path("exec"), *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=limit(30), **kw)
    if check is not None:
        assert r.returncode == check, r
    return r


def out(c, *argv, **kw):
    return run(c, *argv, check=0, **kw).stdout


def begin(c, *argv, **kw):
    """Start it in the background; its first line has been read."""
    p = subprocess.Popen([c.path("exec"), *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, **kw)
    assert p.stdout.readline() == "ready\n", p.communicate()
    return p


def end(p, code):
    """Wait for what begin() started; what it still says."""
    text, errors = p.communicate(timeout=limit(20))
    assert p.returncode == code, (p.returncode, text, errors)
    return text + errors


WAITER = ("sh", "-c", "trap 'echo TERM; exit 3' TERM; trap 'echo USR1' USR1; trap 'echo HUP; exit 4' HUP;"
                      "echo ready; while :; do sleep 0.05; done")


def processes(c):
    return [l for l in c.lines("ps")[1:]]


def program(c, words):
    """Host pid of the program inside whose command line has these words."""
    def find():
        found = [l for l in processes(c) if words in l and "ctnfs-exec" not in l]
        return found and int(found[0].split()[0])
    return until(find, "%r in ps" % words)


def status_of(pid):
    text = slurp("/proc/%d/status" % pid)
    return dict(l.split(":\t", 1) for l in text.splitlines())


def same_rights(c, *options):
    """What enters has what the first program has, and nothing more."""
    p = begin(c, *options, "sh", "-c", "echo ready; read x")
    host = program(c, "echo ready; read x")
    mine, first = status_of(host), status_of(c.pid())
    keys = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
            "Uid", "Gid", "Groups", "Umask")
    assert [(k, mine.get(k)) for k in keys] == [(k, first.get(k)) for k in keys]
    for kind in os.listdir("/proc/%d/ns" % c.pid()):
        assert os.readlink("/proc/%d/ns/%s" % (host, kind)) == os.readlink("/proc/%d/ns/%s" % (c.pid(), kind))
    for name in ("cgroup", "limits", "oom_score_adj"):
        assert slurp("/proc/%d/%s" % (host, name)) == slurp("/proc/%d/%s" % (c.pid(), name))
    p.stdin.close()
    p.stdin = None
    end(p, 1)
