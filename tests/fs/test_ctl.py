# SPDX-License-Identifier: Apache-2.0
"""Verbs beside each other: nobody waits for somebody else's verb."""

import signal
import subprocess
import time

import pytest

from basics import limit, until

STUBBORN = ("import os, signal, time; signal.signal(15, lambda *a: os.write(1, b'term\\n')); "
            "print('ready', flush=True)\nwhile True: time.sleep(100)")


@pytest.fixture
def stubborn(ctn):
    return ctn.py(STUBBORN).until_log("ready")


def verb(c, text):
    return subprocess.Popen(["sh", "-c", "echo '%s' > ctl" % text], cwd=c.path(),
                            stderr=subprocess.PIPE, text=True)


def test_kill_beside_a_long_stop(stubborn):
    stop = verb(stubborn, "stop 60")
    stubborn.until_log("term")
    before = time.monotonic()
    assert verb(stubborn, "kill").wait(limit(5)) == 0
    assert stop.wait(limit(5)) == 0
    assert time.monotonic() - before < limit(10)
    assert stubborn.get("exit") == "137"


def test_everything_answers_during_a_long_stop(stubborn):
    stop = verb(stubborn, "stop 60")
    stubborn.until_state("stopping")
    for name in ("state", "status", "ps", "log", "cgroup/memory.usage", "env", "error"):
        stubborn.read(name)
    stubborn.put("env", "A=1", append=True)
    stubborn.put("memory.limit", "256M")
    stubborn.put("ctl", "kill")
    assert stop.wait(limit(5)) == 0


def test_a_signal_ends_the_waiting_not_the_verb(stubborn):
    stop = verb(stubborn, "stop 2")
    stubborn.until_log("term")
    before = time.monotonic()
    stop.send_signal(signal.SIGINT)
    assert stop.wait(limit(1.5)) != 0
    assert time.monotonic() - before < limit(1.5)
    stubborn.until_state("exited")
    assert stubborn.get("exit") == "137"


def test_a_killed_writer_goes_at_once(stubborn):
    stop = verb(stubborn, "stop 60")
    stubborn.until_log("term")
    stop.kill()
    assert stop.wait(limit(1)) == -signal.SIGKILL
    assert stubborn.state() == "stopping"
    stubborn.put("ctl", "kill")


def test_a_shorter_stop_wins(stubborn):
    first = verb(stubborn, "stop 60")
    stubborn.until_log("term")
    assert verb(stubborn, "stop 0").wait(limit(10)) == 0
    assert first.wait(limit(5)) == 0
    assert stubborn.state() == "exited"


def test_many_kills_at_once(stubborn):
    procs = [verb(stubborn, "kill") for _ in range(10)]
    assert [p.wait(limit(10)) for p in procs] == [0] * 10


def test_starts_and_kills_in_a_crowd(ctn):
    """Whatever the order, the end is a container that does as it is told."""
    ctn.put("start", "0").put("cmd", "sleep 1000")
    script = "for i in 1 2 3 4 5 6; do echo $0 > ctl; done 2>/dev/null; true"
    procs = [subprocess.Popen(["sh", "-c", script, v], cwd=ctn.path())
             for v in ("start", "kill", "start", "stop 0", "restart 0", "pause", "resume")]
    assert [p.wait(limit(30)) for p in procs] == [0] * len(procs)
    ctn.put("ctl", "kill")
    assert ctn.state() in ("exited", "created") and ctn.get("cgroup/procs") == ""
    ctn.put("ctl", "start")
    assert ctn.state() == "running"


def test_two_writers_of_cmd(tidy):
    """One of them starts it; the other is told that it runs."""
    for _ in range(5):
        c = tidy.make()
        procs = [subprocess.Popen(["sh", "-c", "echo sleep 1000 > cmd"], cwd=c.path(),
                                  stderr=subprocess.DEVNULL) for _ in range(4)]
        codes = sorted(p.wait(limit(10)) for p in procs)
        assert codes[0] == 0 and all(codes[1:]), codes
        assert len(c.get("cgroup/procs").split()) == 1
        c.put("ctl", "kill")


def test_rmdir_during_stop(stubborn):
    stop = verb(stubborn, "stop 60")
    stubborn.until_state("stopping")
    with pytest.raises(OSError):
        stubborn.remove()
    stubborn.put("ctl", "kill")
    assert stop.wait(limit(5)) == 0
    stubborn.remove()
    until(lambda: stubborn.name not in stubborn.server.containers(), "it is gone")


def test_stop_while_paused_does_not_hang(stubborn):
    stubborn.put("ctl", "pause")
    assert verb(stubborn, "stop 1").wait(limit(10)) == 0
    assert stubborn.state() == "exited"
