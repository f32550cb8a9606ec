# SPDX-License-Identifier: Apache-2.0
"""The leak check itself: it must see what is left behind, or it proves nothing."""

import os
import socket
import subprocess

import pytest

import leaks
from basics import until


def seen(session, before, word):
    return any(word in line for line in leaks.difference(session, before))


@pytest.fixture
def before(session, server):
    return leaks.snapshot(session)


def test_it_sees_a_process(session, before):
    p = subprocess.Popen(["sleep", "1000"], user=session.id_base + 7, cwd="/")
    try:
        until(lambda: seen(session, before, "process of a container: %d" % p.pid), "the process is seen")
    finally:
        p.kill()
        p.wait()
    assert not seen(session, before, "process")


def test_it_sees_a_mount(session, before):
    where = os.path.join(session.base, "leak")
    os.mkdir(where)
    subprocess.run(["mount", "-t", "tmpfs", "leak", where], check=True)
    try:
        assert seen(session, before, "mount: ")
    finally:
        subprocess.run(["umount", where], check=True)
        os.rmdir(where)
    assert not seen(session, before, "mount: ")


def test_it_sees_a_cgroup(session, server, before):
    c = server.make()
    assert seen(session, before, "cgroup: ")
    c.remove()
    assert not seen(session, before, "cgroup: ")


def test_it_sees_shared_memory(session, before):
    path = "/dev/shm/leak-%d" % os.getpid()
    with open(path, "w"):
        os.chown(path, session.id_base + 1, -1)
    try:
        assert seen(session, before, "shared memory")
    finally:
        os.unlink(path)


def test_it_sees_a_socket(session, before):
    path = os.path.join(session.base, "leak")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        assert seen(session, before, "socket")
        os.unlink(path)


def test_it_sees_what_a_server_keeps(server):
    assert server.inner_leaks() == []
    c = server.make().sh("sleep 1000")
    keys = " ".join(server.inner_leaks())
    for word in ("fds", "children", "state", "run"):
        assert "server %s:" % word in keys, word
    c.put("ctl", "kill")
    c.remove()
    until(lambda: server.inner_leaks() == [], "nothing is kept")


def test_it_sees_a_line_on_standard_error(server):
    with open(server.err_path, "a") as f:
        f.write("==1==ERROR: AddressSanitizer: made up\n")
    assert any("made up" in l for l in server.complaints())
    assert server.complaints() == []


def test_it_sees_a_changed_canary(session, before):
    names = set(before)
    names.discard(next(l for l in before if l.startswith("names in /etc")))
    assert any("names in /etc" in l for l in leaks.difference(session, names))
