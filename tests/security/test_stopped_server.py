# SPDX-License-Identifier: Apache-2.0
"""N39: a file system whose server stands still holds up nobody who has nothing to do with it.

The kernel waits for a FUSE server in more places than its own files: in sync(2) of the whole machine where pages of
its files are written back (CVE-2026-23109), and it keeps directories in memory (CVE-2026-31694). What holds it off: no
page of its files is written back, no directory is kept. Who has a file open and is killed: tests/fault/test_matrix.py.

The control is a file that only the server can give, which does wait."""

import contextlib
import errno
import os
import signal
import subprocess

import pytest

from attackers import arm, end_process
from basics import limit, put, until

SYNC = ("import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY)\nprint('open', flush=True)\nsys.stdin.readline()\n"
        "import ctypes; print(ctypes.CDLL(None).syncfs(fd)); os.sync(); print('synced', flush=True)")


@contextlib.contextmanager
def standing_still(server):
    server.proc.send_signal(signal.SIGSTOP)
    try:
        until(lambda: " T " in open("/proc/%d/stat" % server.proc.pid).read(), "the server stands still")
        yield
    finally:
        server.proc.send_signal(signal.SIGCONT)


def holder(*argv, **kw):
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **kw)


def test_sync_ends(server):
    """Also after writes to the mount, which leave nothing to be written back."""
    ctn = arm(server.make()).put("env", "A=1")
    for _ in range(20):
        ctn.put("env", "B=%s" % ("x" * 3000), append=True)
    process = holder("/usr/bin/python3", "-c", SYNC, server.mnt)
    try:
        assert process.stdout.readline() == "open\n"
        with standing_still(server):
            out, _ = process.communicate("\n", timeout=limit(30))
            assert out == "0\nsynced\n"
    finally:
        end_process(process)
    assert len(ctn.lines("env")) > 1


def test_a_directory_is_read_anew(server):
    """The kernel was not told of what changed behind its back, so it must not answer by itself."""
    fd = os.open(server.mnt, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for i in range(5):
            assert "c-%d" % i not in os.listdir(fd)
            assert put(server.path("new"), '{"name": "c-%d"}' % i) == 0
            assert "c-%d" % i in os.listdir(fd) and "c-%d" % i in os.listdir(server.mnt)
            assert "env" in os.listdir(server.path("c-%d" % i))
        os.rmdir(server.path("c-0"))
        assert "c-0" not in os.listdir(fd)
    finally:
        os.close(fd)


def test_names_are_bounded(server):
    """The kernel passes on more than the 255 bytes that names of other file systems have."""
    ways = os.mkdir, os.stat, lambda p: os.close(os.open(p, os.O_CREAT | os.O_WRONLY)), lambda p: os.symlink("x", p)
    for length in 65, 255, 256, 4000:
        for way in ways:
            with pytest.raises(OSError) as e:
                way(server.path("x" * length))
            assert e.value.errno in (errno.ENOENT, errno.EINVAL, errno.EPERM, errno.ENAMETOOLONG), (length, e.value)
    assert server.containers() == []


def test_control(server):
    ctn = server.make()
    with standing_still(server):
        process = holder("/bin/cat", ctn.path("status"))
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)
        finally:
            server.proc.send_signal(signal.SIGCONT)
            assert "State" in process.communicate(timeout=limit(20))[0]
