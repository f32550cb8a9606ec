# SPDX-License-Identifier: Apache-2.0
"""Whom a program runs as: users by name and number, from files that the container can make anything."""

import errno
import os
import re
import stat
import time

import pytest

from basics import slurp

PASSWD = """root:x:0:0:root:/root:/bin/sh
redis:x:77:78::/srv:/bin/sh
4294967296:x:0:0::/:/bin/sh
00:x:0:0::/:/bin/sh
big:x:70000:70000::/:/bin/sh
huge:x:4294967296:0::/:/bin/sh
minus:x:-1:0::/:/bin/sh
empty:x::0::/:/bin/sh
nohome:x:79:79:::/bin/sh
"""
GROUP = """root:x:0:
redis:x:78:
cache:x:80:redis
logs:x:81:nobody,redis
far:x:70000:big
odd:x:0x10:
"""


@pytest.fixture
def own(ctn):
    """A container with users of its own, whose files we can replace."""
    ctn.output("true")  # its layer has an etc after that
    etc = os.path.join(os.path.realpath(ctn.path("layer")), "etc")
    os.makedirs(etc, exist_ok=True)
    ctn.etc = etc
    replace(ctn, "passwd", PASSWD)
    replace(ctn, "group", GROUP)
    return ctn


def replace(c, name, text):
    path = os.path.join(c.etc, name)
    if os.path.lexists(path):
        os.unlink(path)
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
    return path


def ids(c):
    """Real, effective, saved and file system ids of the program, and its groups."""
    found = c.output("cat /proc/self/status")
    uid, gid = (re.search(r"^%s:\t(\d+)\t(\d+)\t(\d+)\t(\d+)$" % k, found, re.M).groups() for k in ("Uid", "Gid"))
    assert len(set(uid)) == len(set(gid)) == 1
    return int(uid[0]), int(gid[0]), re.search(r"^Groups:\t(.*)$", found, re.M)[1].split()


@pytest.mark.parametrize("user, want", [
    ("root", (0, 0, [])), ("0", (0, 0, [])), ("redis", (77, 78, ["80", "81"])),
    ("77", (77, 78, ["80", "81"])), ("redis:root", (77, 0, [])), ("redis:80", (77, 80, [])),
    ("1", (1, 0, [])), ("1000:1000", (1000, 1000, [])), ("65535:65535", (65535, 65535, [])),
    ("1:cache", (1, 80, [])), ("nohome", (79, 79, [])),
])
def test_users_of_the_container(own, user, want):
    own.put("user", user)
    assert ids(own) == want


def test_home_is_the_users(own):
    own.put("user", "redis")
    assert own.output("echo $HOME").strip() == "/srv"
    own.put("user", "nohome")
    assert own.output("echo $HOME").strip() == "/"
    own.put("user", "1234")
    assert own.output("echo $HOME").strip() == "/"


@pytest.mark.parametrize("user", [
    "00", "+1", "-1", "01", "4294967295", "4294967296", "4611686018427387904", "0x0", "0x10", "1:", "1:+1",
    "1:4294967295", "1:4294967296", "1:-1", "1:00", "1e3", "1.0", "1:1:1", "::", ":", ":0", "1 1", "\u0663", "root:", "a b", "-",
    "root\x7f", "r\tt", "ro/ot", "..", "99999999999999999999999",
])
def test_what_is_no_user(own, user):
    """SECURITY N12: never 0, even where passwd has a line of that very name."""
    own.refused("user", user, errno.EINVAL)


@pytest.mark.parametrize("user, code", [
    ("stranger", errno.ENOENT), ("root:strangers", errno.ENOENT), ("1:x", errno.ENOENT),
    ("huge", errno.EINVAL), ("minus", errno.EINVAL), ("empty", errno.EINVAL), ("0:odd", errno.EINVAL),
    ("big", errno.EINVAL), ("70000", errno.EINVAL), ("4294967294", errno.EINVAL), ("0:65536", errno.EINVAL),
    ("0:far", errno.EINVAL),
])
def test_users_that_cannot_be(own, user, code):
    own.put("user", user)
    own.refused("cmd", "id -u", code)
    assert own.get("log").strip() in ("", "0") or "uid" not in own.get("log")


def test_an_id_outside_of_the_map_is_named(own):
    own.put("user", "big")
    own.refused("cmd", "true", errno.EINVAL, r"uid 70000 is not in the container's id map.*65536 ids from 0")
    replace(own, "group", "far:x:70000:redis\n")
    own.put("user", "redis")
    own.refused("cmd", "true", errno.EINVAL, "gid 70000 is not in the container's id map")


def server_memory(c):
    return int(re.search(r"VmRSS:\s+(\d+)", slurp("/proc/%d/status" % c.server.proc.pid))[1])


def hostile(c, name, kind, secret):
    """SECURITY N13: what a container may have put in the place of a file."""
    path = replace(c, name, None)
    if kind == "link to the host":
        os.symlink(secret, path)
    elif kind == "relative link":
        os.symlink("../" * 20 + secret, path)
    elif kind == "link to a descriptor":
        os.symlink("/proc/self/fd/0", path)
    elif kind == "loop":
        os.symlink(name, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif kind == "tty":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(5, 0))
    elif kind == "directory":
        os.mkdir(path)
    elif kind == "sparse":
        with open(path, "w") as f:
            f.truncate(10 << 30)
    return path


KINDS = ("link to the host", "relative link", "link to a descriptor", "loop", "fifo", "device", "tty",
         "directory", "sparse")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_file_that_is_none(own, tmp_path, kind, name):
    secret = str(tmp_path / "secret")
    with open(secret, "w") as f:
        f.write("evil:x:0:0::/:/bin/sh\n")
    atime = os.stat(secret).st_atime_ns
    path = hostile(own, name, kind, secret)
    own.put("user", "evil" if name == "passwd" else "redis:evil")
    memory, begin = server_memory(own), time.monotonic()
    own.refused("cmd", "id", (errno.EINVAL, errno.ENOENT), "/etc/%s of the container" % name)
    assert time.monotonic() - begin < 1 and server_memory(own) - memory < 16 << 10
    assert os.stat(secret).st_atime_ns == atime
    if kind == "directory":
        os.rmdir(path)
    else:
        os.unlink(path)


def test_etc_leads_to_the_host(own, tmp_path):
    host = tmp_path / "etc"
    host.mkdir()
    (host / "passwd").write_text("evil:x:0:0::/:/bin/sh\n")
    os.rename(own.etc, own.etc + ".old")
    os.symlink(str(host), own.etc)
    own.put("user", "evil")
    own.refused("cmd", "id", (errno.EINVAL, errno.ENOENT))


def test_links_inside_are_followed(own):
    os.rename(os.path.join(own.etc, "passwd"), os.path.join(own.etc, "passwd.real"))
    os.symlink("/etc/passwd.real", os.path.join(own.etc, "passwd"))
    own.put("user", "redis")
    assert ids(own)[:2] == (77, 78)


def test_a_file_with_negative_rights_for_a_group(own):
    """SECURITY N11: who is in a group that has no right has it not, and nobody keeps the server's groups."""
    own.output("echo s > /var/f; chown 0:80 /var/f; chmod 604 /var/f")
    own.put("user", "redis")
    assert "denied" in own.output("cat /var/f 2>&1; true")
    own.put("user", "redis:78")  # exactly that group
    assert own.output("cat /var/f") == "s\n"


def test_capabilities_of_a_user(own):
    for user in ("redis", "1000:1000"):
        own.put("user", user)
        found = own.output("grep Cap /proc/self/status").split()
        assert found[1::2] == ["0" * 16, "0" * 16, "0" * 16, "00000000a80425fb", "0" * 16]
