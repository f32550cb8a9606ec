# SPDX-License-Identifier: Apache-2.0
"""The nodes in /dev and what its control group lets a container do with devices."""

import errno
import os

import pytest

import basics
from harness import cgroup_version

DEFAULT = ("c 1:3 rw /dev/null", "c 1:5 rw /dev/zero", "c 1:7 rw /dev/full", "c 1:8 rw /dev/random",
           "c 1:9 rw /dev/urandom", "c 5:0 rw /dev/tty", "c 5:1 rw", "c 5:2 rw", "c 136:* rw")


def put(ctn, *lines):
    assert ctn.write("devices", "".join(l + "\n" for l in lines) or "\n") == 0, ctn.last_error()


def controlled(ctn):
    """Whether this host holds anybody to a list: v2 always does."""
    return cgroup_version(ctn.server) == 2 or os.path.isdir(ctn.path("cgroup/raw/devices/"))


@pytest.fixture
def held(ctn):
    if not controlled(ctn):
        pytest.skip("no devices controller here")
    return ctn


def listing(ctn):
    """What the kernel holds it to, where it tells."""
    if cgroup_version(ctn.server) == 2:
        return None
    with open(ctn.path("cgroup/raw/devices/devices.list")) as f:
        return f.read().splitlines()


def test_the_default_nodes(ctn):
    out = ctn.output("cd /dev; stat -c '%n %F %a %u:%g %t:%T' null zero full random urandom tty")
    assert out.splitlines() == [
        "%s character special file 666 0:0 %s" % n for n in (
            ("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"),
            ("tty", "5:0"))]


def test_nodes_of_the_users(ctn):
    put(ctn, *DEFAULT, "c 10:200 rw /dev/net/tun", "c 1:5 rw /dev/zero2 0640 7:9", "b 7:0 rw /dev/a/b/c 0600")
    out = ctn.output("cd /dev; stat -c '%F %a %u:%g %t:%T' net net/tun zero2 a/b a/b/c; head -c 1 zero2 | wc -c")
    assert out.splitlines() == [
        "directory 755 0:0 0:0", "character special file 666 0:0 a:c8",
        "character special file 640 7:9 1:5", "directory 755 0:0 0:0",
        "block special file 600 0:0 7:0", "1"]


def test_only_the_nodes_that_are_listed(ctn):
    put(ctn, "c 1:3 rw /dev/null", "c 136:* rw")
    assert ctn.output("find /dev -type c -o -type b").split() == ["/dev/null", "/dev/pts/ptmx"]
    put(ctn)
    assert ctn.output("find /dev -type c -o -type b").split() == ["/dev/pts/ptmx"]


def test_a_node_in_place_of_a_link(ctn):
    put(ctn, *DEFAULT, "c 5:2 rw /dev/ptmx", "c 1:3 rw /dev/stdin")
    assert ctn.output("stat -c '%F %t:%T' /dev/ptmx /dev/stdin; python3 -c 'import os; os.openpty()'") == \
        "character special file 5:2\ncharacter special file 1:3\n"


REFUSED = [
    ("c 1:3 rw /dev/x 0600 70000:0", errno.EINVAL, "/dev/x.*uid 70000.*id map"),
    ("c 1:3 rw /dev/x 0600 0:65536", errno.EINVAL, "/dev/x.*gid 65536.*id map"),
    ("c 1:3 rw /dev/shm/x", errno.EINVAL, "/dev/shm/x.*file system"),
    ("c 1:3 rw /dev/pts", errno.EINVAL, "/dev/pts.*file system"),
    ("c 1:3 rw /dev/null/x", errno.ENOTDIR, "/dev/null/x"),
]


@pytest.mark.parametrize("line,code,sentence", REFUSED)
def test_nodes_that_cannot_be_made(ctn, line, code, sentence):
    put(ctn, *DEFAULT, line)
    ctn.refused("cmd", '["true"]', code, sentence)
    put(ctn, *DEFAULT)
    assert ctn.output("echo fine") == "fine\n"


# --- what may be done with them ---

TRY = ("t() { sh -c \"$2\" 2>/dev/null && echo $1; }; t read 'head -c 1 /dev/null'; "
       "t write 'echo x > /dev/null'; t zero 'head -c 1 /dev/zero > /tmp/x'; true")


def test_reading_without_writing(held):
    put(held, "c 1:3 r /dev/null", "c 1:5 w /dev/zero", "c 1:7 rw /dev/full")
    assert held.output(TRY.replace("2>/dev/null", "2>/dev/full")).split() == ["read"]
    assert "not permitted" in held.output("echo x 2>&1 > /dev/null; true")


def test_wildcards(held):
    put(held, "c 1:3 m /dev/null", "c 1:* rw", "c 1:5 m /dev/zero")
    assert held.output(TRY).split() == ["read", "write", "zero"]
    put(held, "c 1:3 m /dev/null", "c *:3 rw", "c 1:5 m /dev/zero")
    assert held.output(TRY).split() == ["read", "write"]
    put(held, "c 1:3 m /dev/null", "b *:* rw", "c 1:5 m /dev/zero", "c 1:7 rw /dev/full")
    assert held.output(TRY.replace("2>/dev/null", "2>/dev/full")).split() == []
    put(held, "c 1:3 m /dev/null", "a *:* rwm", "c 1:5 m /dev/zero")
    assert held.output(TRY).split() == ["read", "write", "zero"]
    put(held, "c 1:3 m /dev/null", "a 1:3 rw", "c 1:5 m /dev/zero")
    assert held.output(TRY).split() == ["read", "write"]


def test_a_node_gives_no_right_by_itself(held):
    """One that comes in by another way: bound from the host."""
    held.put("mounts", "/dev/zero /z none bind,noidmap 0 0")
    assert held.output("head -c 1 /z | wc -c") == "1\n"
    put(held, *(l for l in DEFAULT if "1:5" not in l))
    assert "not permitted" in held.output("cat /z 2>&1; true")


def test_mknod_stays_forbidden_inside(held):
    """A right to mknod is the kernel's to give in the first user namespace only."""
    put(held, *DEFAULT, "a *:* rwm")
    held.put("caps", "all")
    held.put("seccomp", "none")
    assert "not permitted" in held.output("mknod /tmp/n c 1 3 2>&1; mknod /tmp/b b 7 0 2>&1; true")


def test_the_next_start_has_the_list(held):
    default = listing(held)
    put(held, "c 1:3 rw /dev/null")
    assert listing(held) == default
    assert held.output(TRY).split() == ["read", "write"]
    if default is not None:
        assert listing(held) == ["c 1:3 rw"]
    put(held, *DEFAULT)
    assert held.output(TRY).split() == ["read", "write", "zero"]
    assert listing(held) == default


def test_a_running_one_keeps_its_list(held):
    put(held, "c 1:3 rw /dev/null")
    held.sh("echo ready; sleep 100000")
    held.until_log("ready")
    mine = listing(held)
    put(held, *DEFAULT)
    assert listing(held) == mine and "devices" in held.read("pending")
    held.put("ctl", "kill")
    assert held.output("head -c 1 /dev/full | wc -c") == "1\n"


def test_a_server_that_was_killed_does_not_forget(new_server):
    server = new_server()
    c = server.make()
    if not controlled(c):
        pytest.skip("no devices controller here")
    put(c, "c 1:3 rw /dev/null", "c 1:5 m /dev/zero")
    assert c.output(TRY).split() == ["read", "write"]
    server.kill9()
    server.start()
    assert c.output(TRY).split() == ["read", "write"]
    put(c, *DEFAULT)
    server.kill9()
    server.start()
    assert c.output(TRY).split() == ["read", "write", "zero"]


@pytest.fixture
def narrow(session):
    """A control group for the server in which there are no block devices and no /dev/full."""
    own = [l.split(":", 2) for l in open("/proc/self/cgroup").read().splitlines()]
    paths = [p for _, names, p in own if names == "devices"]
    mount = [l.split()[1] for l in open("/proc/mounts")
             if l.split()[2] == "cgroup" and "devices" in l.split()[3].split(",")]
    if not paths or not mount:
        pytest.skip("cgroup v1 only: on v2 the programs of all groups above decide, too")
    home = mount[0] + paths[0]
    path = os.path.join(home, "ctnfs-test-devices-%d" % os.getpid())
    os.mkdir(path)
    for line in ("b *:* rwm", "c 1:7 rw"):
        assert basics.put(path + "/devices.deny", line) == 0
    yield home, path
    basics.until(lambda: rmdir(path), "the control group is empty")


def rmdir(path):
    try:
        os.rmdir(path)
        return True
    except OSError:
        return False


def test_more_than_the_server_may_use(narrow, new_server):
    """What the server's own group was not given cannot be given on, and what every container has
    by default may be missing."""
    home, path = narrow
    server = new_server(start=False)
    assert basics.put(path + "/cgroup.procs", str(os.getpid())) == 0
    try:
        server.start()
    finally:
        assert basics.put(home + "/cgroup.procs", str(os.getpid())) == 0
    c = server.make()
    assert c.output("head -c 1 /dev/zero | wc -c") == "1\n"
    assert "c 1:7 rw" not in listing(c) and "c 1:5 rw" in listing(c)
    for line in ("a *:* rwm", "a 1:7 r", "b 7:0 rw", "b *:0 r", "c 1:* w", "c 1:7 rwm"):
        put(c, *DEFAULT[:2], line)
        c.refused("cmd", '["true"]', errno.EPERM, "devices: .*server's own control group")
    put(c, *DEFAULT, "c 1:9 m")
    assert c.output("head -c 1 /dev/zero | wc -c") == "1\n"
