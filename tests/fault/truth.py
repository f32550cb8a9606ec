# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever has died: a container is there and its state is what is, or it is not there
and nothing of it is; those that ran before were not touched."""

import os
import re

from basics import slurp, until
from containers import Ctn

# Says so if it is sent any signal that can be caught.
WATCHFUL = ("for s in 1 2 3 10 12 13 14 15 18; do trap \"echo got $s\" $s; done; "
            "sleep 100000 & echo ready; while :; do wait; done")
AT_REST = ("created", "running", "paused", "exited")


def started(pid):
    """When a process began: with its pid it is known for the same. None: it has ended."""
    try:
        words = slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else (pid, words[19])


class Witness:
    """A container that runs and is no part of what is done."""

    def __init__(self, server, name="witness"):
        self.c = server.make(name).sh(WATCHFUL).until_log("ready")
        self.was = started(self.c.pid())
        self.cgroups = {os.path.dirname(os.readlink(e.path))
                        for e in os.scandir(self.c.path("cgroup/raw"))}

    def check(self):
        assert self.c.state() == "running"
        assert started(self.c.pid()) == self.was, "another process than before"
        assert self.c.get("log") == "ready", "a container that nobody touched was sent a signal"


def ids_on_disk(server):
    """Also of what is half made or half removed."""
    names = os.listdir(server.state) + os.listdir(server.run)
    return {n.split("-")[-1] for n in names if len(n.split("-")[-1]) == 64}


def check_no_residue(server, witness, ids):
    """Of @ids, those that no container and no session has. What a server keeps ready has others."""
    spare = any(re.match("spares=[1-9]", o) for o in server.options)
    there = {Ctn(server, n).get("id") for n in server.containers()}
    for n in server.containers():
        for s in sessions(Ctn(server, n)):
            there.add(s.get("id"))
    gone = ids - there

    def left():
        found = [os.path.join(d, n) for d in (server.state, server.run) for n in os.listdir(d)
                 if n.split("-")[-1] in gone or (not spare and n.startswith(("new-", "trash-")))]
        return found + [os.path.join(d, i) for d in witness.cgroups for i in gone
                        if os.path.isdir(os.path.join(d, i))]
    try:
        until(lambda: not left(), "nothing is left")
    except AssertionError as e:
        raise AssertionError("%s: %s" % (e, left()[:8])) from e


def sessions(c):
    where = c.path("execs")
    return [Ctn(c.server, os.path.join(c.name, "execs", n)) for n in os.listdir(where)
            if os.path.isdir(os.path.join(where, n))]


def lies(c):
    """What its files say that is not so; "" when all is."""
    state, pid = c.state(), c.get("pid")
    if state not in AT_REST:
        return "it is still " + state
    if state in ("created", "exited"):
        if pid or (c.get("exit") != "") != (state == "exited"):
            return "it is %s, its pid '%s', its exit '%s'" % (state, pid, c.get("exit"))
        return procs_of(c) and "it is %s and has processes: %s" % (state, procs_of(c))
    if not pid or not started(int(pid)):
        return "it is %s and its pid '%s' is gone" % (state, pid)
    if "/" not in c.name and (pid not in procs_of(c) or c.get("cgroup/freeze") != str(int(state == "paused"))):
        return "it is %s; freeze %s, processes %s" % (state, c.get("cgroup/freeze"), procs_of(c))
    return c.status("State") != state and "it is %s, and %s in status" % (state, c.status("State"))


def check_true(c):
    """Its state is what is. It may change while one looks, but not be wrong for long."""
    last = []

    def is_true():
        last[:] = [lies(c)]
        return not last[0]
    try:
        until(is_true, "its state is true", 20)
    except AssertionError as e:
        raise AssertionError("%s: %s" % (c.name, last[0])) from e


def procs_of(c):
    """Of a session: what is in its container is not its own."""
    return [] if "/" in c.name else c.lines("cgroup/procs")


def check_all(server, witness):
    """Of each container and its sessions."""
    witness.check()
    for name in server.containers():
        c = Ctn(server, name)
        check_true(c)
        for s in sessions(c):
            check_true(s)


def clear(server):
    """All but witnesses."""
    for name in server.containers():
        c = Ctn(server, name)
        if name.startswith("witness"):
            continue
        c.put("ctl", "kill")  # it may be about to run
        c.remove()


def recover(server):
    """After a round that failed, for the next one."""
    if server.running():
        server.kill9()
    server.start()
    clear(server)
