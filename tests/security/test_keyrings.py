# SPDX-License-Identifier: Apache-2.0
"""N24: keys of the host's are not found inside, and a container's processes take none of its few.

A process has the session keyring of its parent, with keys of whoever logged in or of the service that started
the server. What holds that off is a keyring of its own for whatever comes into a container, filter or not. It is
the host's root's: another user of the host may have 200 keys, and with one of them for each process, the next
one could not enter.

The control is a monitor that makes no such keyring."""

import ctypes
import os
import platform

import pytest

import harness
from attackers import TELL, arm, enter, weak_server
from basics import slurp
from sessions import session as make_session, wait_code

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="system call numbers of x86_64")
LIBC = ctypes.CDLL(None, use_errno=True)
KEYCTL, ADD_KEY, JOIN, UNLINK, MINE = 250, 248, 1, 9, -3
NAME = "ctnfs-canary-%d" % os.getpid()
FIND = ("/attack/calls", "keys", NAME)


@pytest.fixture(scope="module")
def key():
    """In a session keyring, as who logs in and services of systemd have; the tests' process keeps it."""
    if LIBC.syscall(KEYCTL, JOIN, None) < 0:
        pytest.skip("no session keyring here: " + os.strerror(ctypes.get_errno()))
    number = LIBC.syscall(ADD_KEY, b"user", NAME.encode(), b"secret", 6, MINE)
    assert number > 0, os.strerror(ctypes.get_errno())
    yield number
    LIBC.syscall(KEYCTL, UNLINK, number, MINE)


@pytest.fixture(scope="module")
def keyed(key, session):
    """A server that was started from that keyring."""
    server = harness.Server(session)
    yield server
    wrong = server.finish()
    assert not wrong, "\n".join(wrong)
    server.remove()


@pytest.fixture
def ctn(keyed, no_leaks):
    yield keyed.make()
    wrong = keyed.clear()
    assert not wrong, "\n".join(wrong)


def found(ctn, user="0"):
    """What each process has found: the container's own, one that was entered with, a session's."""
    ctn.put("seccomp", "none").put("user", user).start(*FIND)
    assert ctn.finish() == 0
    said = [ctn.read("log").split()]
    ctn.start(TELL, "wait")
    said.append(enter(ctn, *FIND, code=0).stdout.split())
    s = make_session(ctn, "s").start(*FIND)
    assert wait_code(s) == 0
    said.append(s.read("log").split())
    s.remove()
    return said


@pytest.mark.parametrize("kind", ["default", "privileged"])
@pytest.mark.parametrize("user", ["0", "1000"])
def test_a_key_of_the_hosts_is_not_found(ctn, kind, user):
    assert found(arm(ctn, kind), user) == [["search", "ENOKEY", "request", "ENOKEY"]] * 3


def owned(ctn):
    """Keys that count for a user of the container's."""
    base = int(ctn.status("Uids").split()[0])
    lines = (l.split(":") for l in slurp("/proc/key-users").splitlines())
    return [l for l in lines if base <= int(l[0]) < base + 65536]


def test_its_processes_are_not_counted_as_keys(ctn):
    """With as many of them as it may have keys, nobody could have entered any more."""
    arm(ctn, user="1000").start(TELL, "wait")
    s = make_session(ctn, "s").start(TELL, "wait")
    assert owned(ctn) == []
    script = "print(open('/proc/key-users').read())"
    for user in "0", "1000":
        ids = {l.split(":")[0].strip() for l in enter(ctn, "-u", user, "python3", "-c", script, code=0).stdout.splitlines()}
        assert ids.isdisjoint({"0", "1000"}) or user == "0", ids
    s.put("ctl", "kill").remove()


def test_control(key, session, no_leaks):
    with weak_server(session, "keyring") as server:
        for kind in "default", "privileged":
            got = found(arm(server.make(), kind))
            assert got == [["search", "ok", "request", "ok"]] * 3, got
