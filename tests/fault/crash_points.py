# SPDX-License-Identifier: Apache-2.0
"""The named crash points (C01 to C36, and P01 to P12 of what is prepared ahead): a row each.

A point is a system call by its name and a part of the path that it is about, so that it stays where it
is when code moves. What does not exist here:

C25  the server mounts no root file system: a container's is in its own mount namespace, and goes with it
C28  is C24: that the state directory gets the trash's name is the intent
C34  C35  there are no images"""

import json
import os

from basics import put, settle, slurp, until
from containers import Ctn
from operations import CMD, GROUPS, Operation, created, errno_of, exists, fresh
from nth import MONITOR, SERVER, STAGE
from test_kills_inside import LIVES

OPERATIONS = {op.name: op for group in GROUPS.values() for op in group}
OPERATIONS.update(LIVES)

# --- what only these are about ---

FLOOD = "sh -c 'head -c 700000 /dev/zero | tr \"\\\\0\" x; echo; echo end'\n"
ONCE = "test -e /root/once && exec sleep 100000; touch /root/once; exit 1"
ONCE_CMD = json.dumps(["sh", "-c", ONCE]) + "\n"
STUBBORN = ("sh", "-c", "trap : TERM; echo ready; while :; do sleep 100; done")
LIMITS = {"memory.limit": str(64 << 20), "pids.max": "77", "cpu.weight": "50"}


def act_flood(c):
    return c.write("cmd", FLOOD) or errno_of(slurp, c.path("wait"))


def agree_flood(c):
    until(lambda: c.state() != "running", "it ends", 30)


def again_flood(c):
    """The bound holds, and the end of it is there."""
    assert c.write("cmd", FLOOD) == 0 and c.finish() == 0
    log = c.read("log")
    assert log.endswith("x\nend\n") and len(log) <= 65536, len(log)


def flooded(server):
    return created(server).put("log.max", "65536")


def stubborn(server):
    c = server.make("x").start(*STUBBORN).until_log("ready")
    return c


def again_stubborn(c):
    c.put("ctl", "stop 0")
    assert c.state() == "exited" and c.get("exit") in ("137", "255")


def policed(server):
    return created(server).put("restart", "always")


def act_policy(c):
    """Until it has been started again by itself."""
    r = c.write("cmd", ONCE_CMD)
    if r == 0:
        until(lambda: not c.server.running() or errno_of(restarted, c) or restarted(c), "it is started again", 20)
    return r


def restarted(c):
    return c.state() == "running" and c.status("Restarts") != "0"


def again_policy(c):
    if c.get("cmd") == "":  # it may have run, all the same
        assert c.write("cmd", ONCE_CMD) == 0
    until(lambda: c.state() == "running" and "sleep" in c.read("ps"), "its policy is obeyed", 20)


def act_limits(c):
    return put(c.path("spec"), json.dumps({"cgroup": LIMITS, "env": ["OLD=1"]}) + "\n")


def limits_of(c):
    return {k: c.get(k if k == "memory.limit" else "cgroup/" + k) for k in LIMITS}


def agree_limits(c):
    """All or none of them, and the kernel says the same."""
    got = limits_of(c)
    assert got == LIMITS or not any(got[k] == v for k, v in LIMITS.items()), got


def again_limits(c):
    assert act_limits(c) == 0, c.read("error")
    assert limits_of(c) == LIMITS


LONG_ENV = "LONG=" + 70000 * "x"


def act_long_env(c):
    return c.write("env", LONG_ENV + "\n", append=True)


def agree_long_env(c):
    assert c.get("env").splitlines()[-1] in ("OLD=1", LONG_ENV)


def again_long_env(c):
    assert act_long_env(c) == 0, c.read("error")
    assert c.get("env").splitlines()[-1] == LONG_ENV


def act_rmdir(c):
    """With what is removed behind it."""
    ident = c.get("id")
    r = errno_of(os.rmdir, c.path())
    until(lambda: not c.server.running() or not os.path.exists(os.path.join(c.server.state, "trash-" + ident)),
          "the trash is gone")
    return r


def spares_of(server):
    return [n for n in os.listdir(server.state) if n.startswith("new-")]


def unready(server):
    """A server that has nothing ready yet."""
    if spares_of(server):
        server.kill9()
        server.start()
    return fresh(server)


def act_spare(c):
    """One is made, which others are made ready for; one of those is taken and started, one is removed."""
    server = c.server
    r = errno_of(os.mkdir, server.path("first"))
    settle(lambda: server.running() and len(spares_of(server)) != 2, 1)  # after one that failed there is no other
    r = r or errno_of(os.mkdir, c.path()) or put(c.path("cmd"), CMD + "\n")
    r = r or errno_of(os.mkdir, server.path("other")) or errno_of(os.rmdir, server.path("other"))
    return r


def agree_spare(c):
    if exists(c) and c.state() == "running":
        assert c.get("cmd") == CMD


def again_spare(c):
    for name in ("first", "other", "x"):
        if Ctn(c.server, name).name not in c.server.containers():
            os.mkdir(c.server.path(name))
    if c.state() != "running":
        c.put("cmd", CMD)
    assert c.state() == "running" and c.get("cmd") == CMD


for _op in (
    Operation("flood", flooded, act_flood, again_flood, agree_flood),
    Operation("stubborn", stubborn, lambda c: c.write("ctl", "stop 1\n"), again_stubborn),
    Operation("policy", policed, act_policy, again_policy),
    Operation("long env", created, act_long_env, again_long_env, agree_long_env),
    Operation("limits", created, act_limits, again_limits, agree_limits),
    Operation("rmdir", OPERATIONS["rmdir"].prepare, act_rmdir, OPERATIONS["rmdir"].again, OPERATIONS["rmdir"].agree),
    Operation("spare", unready, act_spare, again_spare, agree_spare),
):
    OPERATIONS[_op.name] = _op


# --- the points ---


class Point:
    """@call: NAME:PART; {id} is the container's. @when: "hold", before that call, or "hold-after".
    @number: which of those calls; 0: each in its turn. @victims: who is killed there, one after the
    other."""

    def __init__(self, name, what, op, role, call, when="hold", number=1, victims=("server",), v2=None):
        self.name, self.what, self.op, self.role, self.call = name, what, OPERATIONS[op], role, call
        self.when, self.number, self.victims, self.v2 = when, number, victims, v2

    def __repr__(self):
        return self.name


BOTH = ("server", "monitor", "server monitor")
ALL_THREE = ("server", "monitor", "stage", "server monitor stage")
AFTER = "hold-after"

POINTS = (
    Point("C01", "the state directory made", "mkdir", SERVER, "mkdirat:/state/new-", AFTER),
    Point("C02a", "a record of the spec behind the one before", "env", SERVER, "pwrite64:/spec", AFTER),
    Point("C02b", "before it is flushed", "env", SERVER, "fsync:/spec"),
    Point("C02c", "behind that", "env", SERVER, "fsync:/spec", AFTER),
    Point("C03a", "a long one, in a file with its first name", "long env", SERVER, "write:/.spec.tmp", AFTER),
    Point("C03b", "before that is renamed", "long env", SERVER, "renameat:/.spec.tmp"),
    Point("C03c", "behind that", "long env", SERVER, "renameat:/.spec.tmp", AFTER),
    Point("C04", "a control group of n made", "mkdir", SERVER, "mkdirat:/ctnfs/", AFTER, 0),
    Point("C05", "limits written", "new", SERVER, "write:/ctnfs/", AFTER, 0),
    Point("C06", "processes moved", "start", STAGE, "write:/tasks", AFTER, 0, ALL_THREE, v2=(MONITOR, "clone3:", AFTER)),
    Point("C07a", "the layer made", "mkdir", SERVER, "mkdirat:/layer", AFTER),
    Point("C07b", "its work directory made", "mkdir", SERVER, "mkdirat:/work", AFTER),
    Point("C08", "the overlay mounted", "start", MONITOR, "fsmount:", AFTER, 1, BOTH),
    Point("C09", "bind n of N", "start", STAGE, "move_mount:", AFTER, 0, ALL_THREE),
    Point("C10", "the monitor forked", "start", MONITOR, "recvmsg:", "hold", 1, BOTH),
    Point("C11", "the monitor up, no first process", "start", MONITOR, "clone3:", "hold", 1, BOTH),
    Point("C12", "a first process, not in its control group", "start", STAGE, "write:/tasks", "hold", 1, ALL_THREE,
          v2=(STAGE, "unshare:", "hold")),
    Point("C13", "attached, its ids not mapped", "start", MONITOR, "write:/uid_map", "hold", 1, BOTH),
    Point("C14", "behind pivot_root", "start", STAGE, "pivot_root:", AFTER, 1, ALL_THREE),
    Point("C15", "before the barrier to execve", "start", STAGE, "write:pipe:", "hold", 1, ALL_THREE),
    Point("C16", "it is the program, its state is not running", "start", MONITOR, "write:/.status.tmp", "hold", 2, BOTH),
    Point("C17a", "running is recorded", "start", MONITOR, "renameat:/status", AFTER, 2, BOTH),
    Point("C17b", "and the server knows", "start", SERVER, "pwrite64:/exit", AFTER, 1, BOTH),
    Point("C18", "SIGTERM sent", "stubborn", SERVER, "pidfd_send_signal:15", AFTER, 1, BOTH),
    Point("C19", "SIGKILL sent", "stubborn", SERVER, "pidfd_send_signal:9", AFTER),
    Point("C20", "the monitor has the exit status", "life", MONITOR, "waitid:", AFTER, 1, BOTH),
    Point("C21", "it is written", "life", MONITOR, "write:/.status.tmp", AFTER, 3, BOTH),
    Point("C22", "and has its name", "life", MONITOR, "renameat:/status", AFTER, 3, BOTH),
    Point("C23", "the server has read it", "life", SERVER, "pwrite64:/exit", "hold", 2),
    Point("C24", "removal: the intent, and C28", "rmdir", SERVER, "renameat:/trash-", AFTER),
    Point("C26", "control group k of n removed", "rmdir", SERVER, "unlinkat:/ctnfs/", AFTER, 0),
    Point("C27", "the layer removed in part", "rmdir", SERVER, "unlinkat:/trash-{id}/", AFTER, 0),
    Point("C29", "before the last of the trash", "rmdir", SERVER, "unlinkat:/trash-{id}$"),
    Point("C30a", "the log's beginning dropped, its index not", "flood", MONITOR, "fallocate:/log", AFTER, 1, BOTH),
    Point("C30b", "the log cleared by hand", "log", SERVER, "renameat:/log.start"),
    Point("C31", "in a container: the helper forked", "session", STAGE, "setns:", "hold", 1, ALL_THREE),
    Point("C32", "in its namespaces", "session", STAGE, "setns:", AFTER, 1, ALL_THREE),
    Point("C33", "limit k of n changed", "limits", SERVER, "write:/ctnfs/", AFTER, 0),
    Point("C36", "the timer of a restart set", "policy", SERVER, "timerfd_settime:", AFTER),
    Point("P01", "ahead: its directories made", "spare", SERVER, "mkdirat:/state/new-", AFTER, 0),
    Point("P02", "the run directory made", "spare", SERVER, "mkdirat:/run/", AFTER, 0),
    Point("P03", "control groups made", "spare", SERVER, "mkdirat:/ctnfs/", AFTER, 0),
    Point("P04", "the monitor forked", "spare", MONITOR, "recvmsg:", "hold", 1, BOTH),
    Point("P05", "the stage waits", "spare", STAGE, "sendmsg:", AFTER, 1, ALL_THREE),
    Point("P06", "the monitor waits", "spare", MONITOR, "sendmsg:", AFTER, 2, BOTH),
    Point("P07", "taken: its spec written", "spare", SERVER, "write:/spec", AFTER, 2),
    Point("P08", "it has its name", "spare", SERVER, "renameat:/state/new-", AFTER, 2),
    Point("P09", "about to be released", "spare", SERVER, "pwrite64:/spec", AFTER, 1),
    Point("P10", "released by the server and by the monitor", "spare", MONITOR, "renameat:/status", "hold", 1, BOTH),
    Point("P11", "it is the program", "spare", MONITOR, "renameat:/status", AFTER, 2, BOTH),
    Point("P12", "removed while it waits", "spare", SERVER, "renameat:/trash-", AFTER),
)
