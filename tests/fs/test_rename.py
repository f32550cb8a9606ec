# SPDX-License-Identifier: Apache-2.0
"""mv: a new name, and nothing else changes."""

import errno
import os
import subprocess

import pytest

from basics import limit, until
from containers import Ctn


@pytest.fixture(params=["created", "running", "paused", "exited"])
def any_state(request, tidy):
    c = tidy.make("old")
    c.put("env", "A=1", append=True).put("memory.limit", "64M")
    if request.param in ("running", "paused"):
        c.sh("echo here; exec sleep 1000").until_log("here")
    if request.param == "paused":
        c.put("ctl", "pause")
    if request.param == "exited":
        c.output("echo here; exit 4", code=4)
    return c


def test_mv(any_state):
    s = any_state.server
    names = ("id", "state", "pid", "exit", "log", "cmd", "memory.limit", "cgroup/procs")
    before = {n: any_state.read(n) for n in names}
    ino = os.stat(any_state.path("env")).st_ino
    s.sh("mv old renamed")
    c = Ctn(s, "renamed")
    assert s.containers() == ["renamed"]
    assert {n: c.read(n) for n in names} == before
    assert os.stat(c.path("env")).st_ino == ino and "A=1" in c.lines("env")
    assert c.status("Name") == "renamed"
    with pytest.raises(FileNotFoundError):
        any_state.get("state")
    if c.state() in ("running", "paused"):
        c.put("ctl", "resume").put("ctl", "kill")
        assert c.get("exit") == "137"
    c.output("echo again")
    s.sh("mkdir old; rmdir old")


def has_open(pid, path):
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)) == path:
                return True
        except OSError:
            pass
    return False


def test_open_descriptors_go_along(tidy):
    c = tidy.make("old").sh("sleep 1000")
    fd = os.open(c.path("state"), os.O_RDONLY)
    waiter = subprocess.Popen(["cat", c.path("wait")], stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: has_open(waiter.pid, c.path("wait")), "cat has opened it")
        os.rename(c.path(), tidy.path("renamed"))
        assert os.pread(fd, 20, 0) == b"running\n"
        Ctn(tidy, "renamed").put("ctl", "kill")
        assert waiter.communicate(timeout=limit(10))[0] == "137\n"
    finally:
        os.close(fd)
        waiter.kill()
        waiter.wait()


def test_a_name_that_is_taken(tidy):
    a, b = tidy.make("a"), tidy.make("b")
    ids = a.get("id"), b.get("id")
    with pytest.raises(OSError) as e:
        os.rename(a.path(), b.path())
    assert e.value.errno in (errno.EEXIST, errno.ENOTEMPTY)
    assert "b" in tidy.last_error().text
    assert (a.get("id"), b.get("id")) == ids
    with pytest.raises(OSError):
        os.rename(a.path(), tidy.path("README"))
    assert a.state() == "created"


@pytest.mark.parametrize("bad", [".hidden", "-x", "a b", "x" * 65, "images", "networks", "new", "ü", "a:b"])
def test_bad_names(tidy, bad):
    a = tidy.make("a")
    with pytest.raises(OSError) as e:
        os.rename(a.path(), tidy.path(bad))
    # new is a file, and the kernel says so by itself
    assert e.value.errno in (errno.EINVAL, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTDIR), e.value
    assert tidy.containers() == ["a"] and tidy.last_error()


def test_within_itself_and_out(tidy, tmp_path):
    a = tidy.make("a")
    for target in (a.path("x"), a.path("env"), str(tmp_path / "x"), tidy.path("b", "a")):
        with pytest.raises(OSError):
            os.rename(a.path(), target)
    with pytest.raises(OSError):
        os.rename(a.path("env"), tidy.path("env"))
    os.rename(a.path(), a.path())
    assert tidy.containers() == ["a"]


def test_swapping_two_names(tidy):
    a, b = tidy.make("a"), tidy.make("b")
    ids = a.get("id"), b.get("id")
    tidy.sh("mv a tmp && mv b a && mv tmp b")
    assert (a.get("id"), b.get("id")) == ids[::-1]
