# SPDX-License-Identifier: Apache-2.0
"""seccomp.denied: at what pace calls are denied; and what is left of it when the monitor, the server or the switch is
not there."""

import os
import signal
import time

import pytest

from basics import SLOW, until
from denied import BURST, CALL, KEPT, RATE, counts, denied, hammer, monitor_of
from execs import run


# --- the pace ---

@pytest.mark.parametrize("threads", [1, 100])
def test_a_hammer_is_slowed_down(ctn, threads):
    """It waits for its answers. What that costs others is for tests/bench/denied.py."""
    hammer(ctn, threads)
    until(lambda: sum(counts(ctn).values()) > BURST, "the burst is used up")
    start, before = time.monotonic(), sum(counts(ctn).values())
    time.sleep(1.5)
    elapsed = time.monotonic() - start
    got = sum(counts(ctn).values()) - before
    ctn.put("ctl", "kill")
    assert 0 < got <= RATE * (elapsed + 1) + 2 * threads
    assert len(denied(ctn)) <= KEPT and {d.call for d in denied(ctn)} == {"unshare"}


def test_the_host_goes_on(ctn):
    """Others' calls, and what they read, take their time only."""
    other = ctn.server.make()
    hammer(ctn, 50)
    for _ in range(20):
        assert ctn.state() == "running" and ctn.read("ps") and ctn.read("seccomp.denied")
    other.py(CALL + "print(call(KEYCTL))")
    assert other.finish() == 0 and [d.call for d in denied(other)] == ["keyctl"]
    assert run(ctn, "true", check=0)
    ctn.put("ctl", "kill")


def test_a_call_that_waits_is_not_interrupted(ctn):
    """Once it was received: with a timer that goes off all the time, the answers are the same. Before, it can be, which
    takes longer on a slow machine; after the burst each waits for longer than that."""
    ctn.py(CALL + """
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, *[0.003 * %g] * 2)
seen = [call(UNSHARE, 1 << 28) for _ in range(%d)]
signal.setitimer(signal.ITIMER_REAL, 0)
print(seen[-150:].count("EPERM"), set(seen) <= {"EPERM", "EINTR"})
""" % (SLOW, BURST + 150))
    assert ctn.finish() == 0
    answered, other = ctn.read("log").split()
    assert int(answered) > 75 and other == "True"


@pytest.mark.parametrize("verb", ["kill", "stop 1", "restart 1"])
def test_its_end(ctn, verb):
    hammer(ctn, 100)
    until(lambda: sum(counts(ctn).values()) > BURST, "calls wait")
    ctn.put("ctl", verb)
    if verb.startswith("restart"):
        ctn.until_state("running")
        ctn.put("ctl", "kill")
    assert ctn.get("exit") == "137"


def test_pause(ctn):
    hammer(ctn, 100)
    until(lambda: sum(counts(ctn).values()) > BURST, "calls wait")
    ctn.put("ctl", "pause")
    assert ctn.state() == "paused"
    before = denied(ctn)[-1].when
    assert denied(ctn)[-1].when == before
    ctn.put("ctl", "resume")
    until(lambda: denied(ctn)[-1].when != before, "it goes on")
    ctn.put("ctl", "pause").put("ctl", "kill")
    assert ctn.get("exit") == "137"


# --- who is not there ---

@pytest.mark.parametrize("init", ["0", "1"])
def test_the_monitor_is_killed(server, init):
    """What it has not answered is refused by the kernel, and so is all that comes after it."""
    c = hammer(server.make().put("init", init), 20)
    until(lambda: sum(counts(c).values()) > BURST, "calls wait")
    os.kill(monitor_of(c), signal.SIGKILL)
    until(lambda: counts(c).get("ENOSYS", 0) > 20, "the kernel refuses")
    assert set(counts(c)) == {"EPERM", "ENOSYS"} and c.state() == "running"
    # its new monitor answers for those who enter from now on
    until(lambda: c.status("Monitor") == "1", "there is another monitor")
    before = len([d for d in denied(c) if d.call == "keyctl"])
    r = until(lambda: (lambda r: r.returncode == 0 and r)(run(c, "python3", "-c", CALL + "print(call(KEYCTL, 5))")),
              "exec works")
    assert r.stdout == "EPERM\n" and before == 0
    assert [d.call for d in denied(c)][-1] == "keyctl"
    c.put("ctl", "kill")


def test_the_server_is_killed(server):
    c = server.make()
    c.py(CALL + "print(call(KEYCTL, 1), flush=True); input(); print(call(KEYCTL, 2), flush=True); time.sleep(1000)")
    c.until_log("EPERM")
    name = c.get("id")
    server.kill9()
    with open(os.path.join(server.run, name, "in"), "w") as f:
        f.write("\n")
    path = os.path.join(server.state, name, "denied")
    until(lambda: os.stat(path).st_size >= 3 * 104, "the monitor writes it down")
    server.start()
    assert [d.args[0] for d in denied(c)] == [1, 2]
    c.put("ctl", "kill")


def test_rename_and_removal(ctn):
    ctn.py(CALL + "call(KEYCTL, 3)")
    assert ctn.finish() == 0
    os.rename(ctn.path(), ctn.path() + "-new")
    ctn.name += "-new"
    assert [d.call for d in denied(ctn)] == ["keyctl"]


# --- the switch ---

LISTEN = CALL + """
class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]
class Prog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]
allow = (Filter * 1)(Filter(6, 0, 0, 0x7fff0000))
prog = Prog(1, allow)
call(157, 38, 1)
print(call(SECCOMP, 1, 8, ctypes.addressof(prog)), call(KEYCTL, 5))
"""


def test_a_listener_inside(ctn):
    """The kernel has one for each process; who needs it inside does without ours."""
    ctn.py(LISTEN)
    assert ctn.finish() == 0 and ctn.read("log") == "EBUSY EPERM\n"
    assert [d.call for d in denied(ctn)] == ["keyctl"]
    ctn.put("seccomp.notify", "0").py(LISTEN)
    assert ctn.finish() == 0 and ctn.read("log").splitlines()[-1] == "ok EPERM"
    assert len(denied(ctn)) == 1


def test_the_switch_counts_at_the_next_start(idle):
    assert idle.get("seccomp.notify") == "1"
    idle.put("seccomp.notify", "0")
    assert idle.get("pending") == "seccomp.notify 0"
    run(idle, "python3", "-c", CALL + "call(KEYCTL, 1)", check=0)
    idle.put("ctl", "restart")
    assert idle.get("pending") == ""
    run(idle, "python3", "-c", CALL + "call(KEYCTL, 2)", check=0)
    assert [d.args[0] for d in denied(idle)] == [1]


def test_without_a_filter(ctn):
    ctn.put("seccomp", "none").put("caps", "all").py(CALL + "print(call(KEYCTL, -1))")
    assert ctn.finish() == 0 and ctn.read("log") == "ENOTSUP\n" and denied(ctn) == []


def test_the_monitor_holds_nothing_of_those_that_have_ended(idle):
    monitor = monitor_of(idle)
    run(idle, "python3", "-c", CALL + "call(KEYCTL, 1)", check=0)
    def held():
        return sorted(os.readlink(f.path) for f in os.scandir("/proc/%d/fd" % monitor)
                      if "seccomp" in os.readlink(f.path))
    until(lambda: len(held()) == 1, "one listener is left")
    assert held() == ["anon_inode:seccomp notify"]
    fds = len(os.listdir("/proc/%d/fd" % monitor))
    for i in range(5):
        run(idle, "python3", "-c", CALL + "call(KEYCTL, 1)", check=0)
    until(lambda: len(os.listdir("/proc/%d/fd" % monitor)) <= fds, "the others are closed")
    until(lambda: not any("seccomp" in os.readlink(f.path) for f in os.scandir("/proc/%d/fd" % idle.pid())),
          "the program has none")
