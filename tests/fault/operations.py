# SPDX-License-Identifier: Apache-2.0
"""What is done while something dies or fails: a row each. `prepare` gives a container, `act` does it
and returns 0 or the errno, `agree` is true of what a death may leave, `refused` of what a refusal must
leave, and `again` does what is left to do; it must succeed."""

import json
import os
import subprocess

from basics import err_name, limit, put
from containers import Ctn
from truth import sessions, started

IDLE = ("sh", "-c", "trap 'exit 7' TERM; sleep 100000 & echo ready; while :; do wait; done")
CMD = "sleep 100000"


def errno_of(call, *args):
    try:
        call(*args)
    except OSError as e:
        return e.errno
    return 0


def exists(c):
    return c.name in c.server.containers()


def fresh(server):
    """Not made yet."""
    return Ctn(server, "x")


def created(server):
    return server.make("x").put("env", "OLD=1")


def running(server):
    c = server.make("x").start(*IDLE).until_log("ready")
    c.was = started(c.pid())
    return c


def paused(server):
    return running(server).put("ctl", "pause")


def exited(server):
    c = server.make("x").sh("echo hello; mkdir -p /root/a/b; echo kept > /root/a/b/c")
    assert c.finish() == 0
    return c


def same_process(c):
    assert started(c.pid()) == c.was, "it was to be left alone"


class Operation:
    def __init__(self, name, prepare, act, again, agree=lambda c: None, refused=None):
        self.name, self.prepare, self.act, self.again, self.agree = name, prepare, act, again, agree
        self.refused = refused or agree

    def __repr__(self):
        return self.name


def verb(text):
    return lambda c: c.write("ctl", text + "\n")


def must(r, c):
    assert r == 0, "%s; %s" % (err_name(r), c.server.read("error")[-300:])


# --- making ---


def again_mkdir(c):
    if not exists(c):
        os.mkdir(c.path())
    assert c.state() == "created"


def act_new(c):
    document = {"name": "x", "cmd": CMD.split(), "cgroup": {"memory.limit": "64M"}}
    return put(c.server.path("new"), json.dumps(document) + "\n")


def not_made(c):
    assert not exists(c), "it was refused and is there"


def again_new(c):
    if not exists(c):
        must(act_new(c), c)
    elif c.state() != "running":
        c.put("ctl", "start")
    assert c.state() == "running" and c.get("memory.limit") == str(64 << 20) and c.get("cmd") == CMD


# --- running ---


def again_start(c):
    """It may still be about to run: a start waits for that, another command is refused."""
    if c.state() != "running" and c.write("cmd", CMD + "\n"):
        c.put("ctl", "start")
    assert c.state() == "running" and c.get("cmd") == CMD


def agree_start(c):
    if c.state() == "running":
        assert c.get("cmd") == CMD and c.get("pending") == "", "it runs, and its command is not kept"


def not_started(c):
    assert c.state() == "created" and c.get("cmd") == "", "the start was refused; %s" % c.state()


def act_session(c):
    r = errno_of(os.mkdir, c.path("execs/s"))
    return r or put(c.path("execs/s/cmd"), CMD + "\n")


def again_session(c):
    s = Ctn(c.server, "x/execs/s")
    if not os.path.isdir(s.path()):
        os.mkdir(s.path())
    again_start(s)
    assert len(sessions(c)) == 1


def act_exec(c):
    try:
        r = subprocess.run([c.path("exec"), "true"], capture_output=True, text=True, timeout=limit(20))
    except OSError as e:
        return e.errno
    return r.returncode


def again_exec(c):
    r = subprocess.run([c.path("exec"), "sh", "-c", "echo in; exit 3"], capture_output=True, text=True,
                       timeout=limit(20))
    assert (r.returncode, r.stdout) == (3, "in\n"), r


def again_pause(c):
    c.put("ctl", "pause").put("ctl", "resume")
    assert c.state() == "running"


def again_stop(c):
    c.put("ctl", "stop 5")
    assert c.state() == "exited" and c.get("exit") in ("7", "137", "143", "255")  # 255: without a monitor


def agree_stop(c):
    if c.state() == "running":
        same_process(c)


def again_kill(c):
    c.put("ctl", "kill")
    assert c.state() == "exited" and c.get("exit") in ("137", "7", "255")


def again_restart(c):
    c.put("ctl", "restart 5")
    assert c.state() == "running" and started(c.pid()) != c.was


# --- changing ---


def agree_limit(c):
    same_process(c)
    assert c.get("memory.limit") in ("max", str(64 << 20)), c.get("memory.limit")


def again_limit(c):
    c.put("memory.limit", "64M")
    assert c.get("memory.limit") == str(64 << 20)


def same_limit(c):
    same_process(c)
    with open(c.path("cgroup/raw/memory/memory.max" if c.server.version == 2
                     else "cgroup/raw/memory/memory.limit_in_bytes")) as f:
        kernel = f.read().strip()
    assert c.get("memory.limit") == "max" and kernel != str(64 << 20), "refused, and the limit is " + kernel


def act_rename(c):
    return errno_of(os.rename, c.path(), c.server.path("y"))


def agree_rename(c):
    found = [n for n in c.server.containers() if n in ("x", "y")]
    assert len(found) == 1, found
    c.name = found[0]


def same_name(c):
    assert exists(c) and "y" not in c.server.containers()


def again_rename(c):
    if c.name == "x":
        must(act_rename(c), c)
        c.name = "y"
    assert c.server.containers().count("y") == 1
    c.put("env", "AFTER=1", append=True)


def again_rmdir(c):
    if exists(c):
        os.rmdir(c.path())
    assert not exists(c)


def agree_rmdir(c):
    if exists(c):
        assert c.state() == "exited" and c.get("log") == "hello"


def still_there(c):
    assert exists(c) and c.state() == "exited" and c.get("log") == "hello" and c.get("exit") == "0"


def env_of(c):
    return [l for l in c.lines("env") if l.startswith(("OLD", "NEW"))]


def agree_env(c):
    assert env_of(c) in (["OLD=1"], ["OLD=1", "NEW=2"]), c.read("env")


def same_env(c):
    assert env_of(c) == ["OLD=1"]


def act_env(c):
    return c.write("env", "NEW=2\n", append=True)


def again_env(c):
    must(act_env(c), c)
    assert env_of(c) == ["OLD=1", "NEW=2"]


def agree_log(c):
    assert c.read("log") in ("", "hello\n")


def same_log(c):
    assert c.read("log") == "hello\n"


def again_log(c):
    must(c.write("log", ""), c)
    assert c.read("log") == ""


GROUPS = {
    "making": (
        Operation("mkdir", fresh, lambda c: errno_of(os.mkdir, c.path()), again_mkdir, refused=not_made),
        Operation("new", fresh, act_new, again_new, refused=not_made),
        Operation("rename", created, act_rename, again_rename, agree_rename, same_name),
        Operation("rmdir", exited, lambda c: errno_of(os.rmdir, c.path()), again_rmdir, agree_rmdir, still_there),
    ),
    "starting": (
        Operation("start", created, lambda c: c.write("cmd", CMD + "\n"), again_start, agree_start, not_started),
        Operation("session", running, act_session, again_session, same_process),
        Operation("exec", running, act_exec, again_exec, same_process),
        Operation("restart", running, verb("restart 5"), again_restart),
    ),
    "ending": (
        Operation("stop", running, verb("stop 5"), again_stop, agree_stop),
        Operation("kill", running, verb("kill"), again_kill, agree_stop),
        Operation("pause", running, verb("pause"), again_pause, same_process),
        Operation("resume", paused, verb("resume"), again_pause, same_process),
    ),
    "changing": (
        Operation("limit", running, lambda c: c.write("memory.limit", "64M\n"), again_limit, agree_limit, same_limit),
        Operation("env", created, act_env, again_env, agree_env, same_env),
        Operation("log", exited, lambda c: c.write("log", ""), again_log, agree_log, same_log),
    ),
}
