# SPDX-License-Identifier: Apache-2.0
"""The server as a service: what it tells the service manager, its unit, and its control group."""

import json
import os
import re
import socket
import subprocess
import time

import pytest

from basics import TREE, build_path, have, limit, until
from harness import cgroup_version, mounts_at, server_env
from test_server import servers_of

BUILT = os.environ.get("CTNFS_BUILD") or os.path.join(TREE, "build")  # basics.BUILD becomes a copy of the programs
UNIT = os.path.join(BUILT, "data", "ctnfs.service")


class Manager:
    """Listens as the service manager does."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name[0] == "@" else name)

    def told(self, seconds=20):
        self.socket.settimeout(limit(seconds))
        return self.socket.recv(4096).decode().splitlines()

    def close(self):
        self.socket.close()
        if self.name[0] == "/":
            os.unlink(self.name)


def served(s, name):
    """The server's command line with that NOTIFY_SOCKET."""
    plain = s.argv
    s.argv = lambda: ["env", "NOTIFY_SOCKET=" + name] + plain()
    return s


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else "@ctnfs-test-%d" % os.getpid()
    m = Manager(name)
    yield m
    m.close()


def test_it_tells_when_it_is_ready(new_server, manager):
    s = served(new_server(start=False), manager.name)
    p = subprocess.Popen(s.argv(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=server_env(), cwd=s.dir)
    try:
        told = manager.told()
        assert "README" in os.listdir(s.mnt)  # there is no waiting for it
        assert "READY=1" in told and "MAINPID=%d" % p.pid in told
        assert [l for l in told if re.match(r"STATUS=.*: 0$", l)], told
    finally:
        p.terminate()
        assert p.communicate(timeout=limit(20))[1] == b""
    assert "STOPPING=1" in manager.told()
    assert p.returncode == 0 and not mounts_at(s.mnt)


def test_what_is_not_told_on(new_server, manager):
    s = served(new_server(start=False), manager.name)
    s.start()
    assert "READY=1" in manager.told()
    c = s.make()
    assert "NOTIFY" not in c.output("env; cat /proc/1/environ")
    c.put("restart", "always").sh("sleep 1000")
    s.kill9()
    s.start()
    assert "STATUS=Serving, containers at the start: 1" in manager.told()
    c.put("ctl", "kill")


def test_in_the_background(new_server, tmp_path):
    manager = Manager(str(tmp_path / "notify"))
    s = new_server(start=False)
    env = dict(server_env(), NOTIFY_SOCKET=manager.name)
    subprocess.run([build_path("ctnfs"), "-o", s.option_text(), s.mnt], env=env, check=True, timeout=limit(20))
    told = manager.told()
    (pid,) = servers_of(s)
    assert "MAINPID=%d" % pid in told
    subprocess.run(["umount", s.mnt], check=True, timeout=limit(20))
    assert "STOPPING=1" in manager.told()
    until(lambda: not list(servers_of(s)), "the server ends")
    manager.close()


@pytest.mark.parametrize("name", ["/nonexistent/notify", "vsock:1:2"])
def test_nobody_listens(new_server, name):
    s = served(new_server(start=False), name)
    s.expected.append("NOTIFY_SOCKET")
    s.start()
    s.make().output("true")
    assert s.stderr().count("NOTIFY_SOCKET") == 1


# --- the unit ---

@pytest.fixture
def unit():
    if not os.path.exists(UNIT):
        pytest.skip("%s is not there: only the programs of the build are" % UNIT)
    with open(UNIT) as f:
        return f.read()


def test_what_the_unit_says(unit):
    lines = unit.splitlines()
    for line in ("Type=notify", "Delegate=yes", "KillMode=process", "Restart=on-failure",
                 "WantedBy=multi-user.target"):
        assert line in lines, line
    assert re.search(r"^ExecStart=/\S*/ctnfs -f ", unit, re.M)
    assert not re.search("^(Private|Protect|RuntimeDirectory)", unit, re.M)


@pytest.mark.skipif(not have("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(unit, session, tmp_path):
    path = tmp_path / "ctnfs.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=" + build_path("ctnfs"), unit, flags=re.M))
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], text=True, capture_output=True,
                       timeout=limit(30))
    said = [l for l in (r.stdout + r.stderr).splitlines() if "ctnfs" in l]
    assert r.returncode == 0 and not said, said


@pytest.mark.skipif(not have("meson"), reason="meson is not installed")
def test_where_the_unit_goes(unit):
    r = subprocess.run(["meson", "introspect", "--installed", BUILT], text=True, capture_output=True,
                       timeout=limit(60))
    goes = json.loads(r.stdout)[UNIT] if r.returncode == 0 else None
    assert goes and goes.endswith("/systemd/system/ctnfs.service"), r


# --- its control group ---

@pytest.fixture
def group(session):
    """A control group as systemd makes one for a service."""
    top = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "/sys/fs/cgroup/memory"
    path = os.path.join(top, "ctnfs-unit-%d.service" % os.getpid())
    os.mkdir(path)
    yield path
    end = time.monotonic() + limit(10)
    while True:
        try:
            os.rmdir(path)
            break
        except OSError:
            assert time.monotonic() < end, "%s is still in use" % path
            time.sleep(0.05)


def test_it_starts_again_in_its_group(group, new_server):
    """With the unit's options: systemd puts the next server into the same group, while containers and
    monitors of the last one live; on cgroup v2 that must not have groups below it."""
    place = "/ctnfs-unit-place-%d" % os.getpid()
    s = new_server("cgroup=" + place, start=False)
    plain = s.argv
    s.argv = lambda: ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', group] + plain()
    s.start()
    c = s.make("a").put("memory.limit", "64M").put("restart", "always").sh("sleep 1000")
    for _ in range(2):
        with open(group + "/cgroup.procs") as f:
            assert str(s.proc.pid) in f.read().split()
        assert [e for e in os.listdir(group) if os.path.isdir(os.path.join(group, e))] == []
        assert os.readlink(c.path("cgroup/raw/memory")).count(place + "/")
        s.kill9()
        s.start()
        assert c.state() == "running" and c.get("memory.limit") == "67108864"
    assert cgroup_version(s) in (1, 2)
    c.put("ctl", "kill")
