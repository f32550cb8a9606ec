# SPDX-License-Identifier: Apache-2.0
"""Users, terminals and settings in root file systems that others have made."""

import errno
import os
import re
import stat
import time

import pytest

from basics import slurp
from rootdirs import make_root

SETTING = "net.ipv4.ip_unprivileged_port_start"
PROC_SETTING = "/proc/sys/" + SETTING.replace(".", "/")


@pytest.fixture
def top(tmp_path):
    return make_root(str(tmp_path / "root"))


@pytest.fixture(params=["", " ro", " rw"])
def own(ctn, top, request):
    return ctn.put("rootfs", top + request.param)


def ids(c):
    text = c.output("cat /proc/self/status")
    return [re.search(r"^%s:\t(\S*)" % k, text, re.M)[1] for k in ("Uid", "Gid", "Groups")]


@pytest.mark.parametrize("user, want", [
    ("redis", ["77", "78", "79"]), ("77", ["77", "78", "79"]), ("redis:cache", ["77", "79", ""]),
    ("root", ["0", "0", ""]), ("5", ["5", "0", ""]), ("5:6", ["5", "6", ""]),
])
def test_users_by_name(own, user, want):
    own.put("user", user)
    assert ids(own) == want


def test_the_layer_comes_before_the_directory(ctn, top):
    ctn.put("rootfs", top)
    ctn.output("echo redis:x:99:98::/: > /etc/passwd")
    ctn.put("user", "redis")
    assert ids(ctn) == ["99", "98", "79"]


def test_home_and_strangers(own):
    own.put("user", "redis")
    assert own.output("echo $HOME") == "/srv\n"
    own.put("user", "stranger")
    own.refused("cmd", "id", errno.ENOENT, "stranger")


def hostile(path, kind, secret):
    if kind == "link":
        os.symlink(secret, path)
    elif kind == "relative link":
        os.symlink("../" * 20 + secret, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif kind == "sparse":
        with open(path, "w") as f:
            f.truncate(10 << 30)


@pytest.mark.parametrize("kind", ["link", "relative link", "fifo", "device", "sparse"])
def test_a_passwd_that_is_none(own, top, tmp_path, kind):
    """SECURITY N13."""
    secret = tmp_path / "secret"
    secret.write_text("evil:x:0:0::/:/bin/sh\n")
    os.unlink(top + "/etc/passwd")
    hostile(top + "/etc/passwd", kind, str(secret))
    own.put("user", "evil")
    begin = time.monotonic()
    own.refused("cmd", "id", (errno.EINVAL, errno.ENOENT), "/etc/passwd of the container")
    assert time.monotonic() - begin < 1


def test_an_etc_that_leads_to_the_host(own, top, tmp_path):
    host = tmp_path / "etc"
    host.mkdir()
    (host / "passwd").write_text("evil:x:0:0::/:/bin/sh\n")
    os.rename(top + "/etc", top + "/etc.old")
    os.symlink(str(host), top + "/etc")
    own.put("user", "evil")
    own.refused("cmd", "id", (errno.EINVAL, errno.ENOENT))


# --- terminal ---


def test_a_terminal(own):
    own.put("tty", 1)
    own.sh("test -t 0 && test -t 1 && test -t 2 && echo x > /dev/tty && readlink /proc/self/fd/0")
    assert own.finish() == 0 and own.read("log") == "x\r\n/dev/pts/0\r\n"


def plant(where, sentinel):
    for name in ["ptmx", "console"] + [str(i) for i in range(64)]:
        os.symlink(sentinel, os.path.join(where, name))


def test_devices_that_lead_to_the_host(ctn, top, tmp_path):
    """SECURITY N08: names in the place of a terminal's are never followed."""
    sentinel, pts, dev = tmp_path / "sentinel", tmp_path / "pts", tmp_path / "dev"
    sentinel.write_text("untouched\n")
    for d in (pts, dev, dev / "pts"):
        d.mkdir()
    plant(str(pts), str(sentinel))
    plant(str(dev), str(sentinel))
    before = os.stat(sentinel)
    ctn.put("rootfs", top).put("tty", 1)
    for line in ("%s /dev/pts none bind,rw,noidmap 0 0" % pts, "%s /dev none bind,rw,noidmap 0 0" % dev):
        ctn.put("mounts", line)
        ctn.refused("cmd", "true", (errno.ENOTTY, errno.ELOOP, errno.ENOENT, errno.EACCES), "tty|/dev")
    now = os.stat(sentinel)
    assert sentinel.read_text() == "untouched\n" and now.st_mtime_ns == before.st_mtime_ns
    assert (now.st_uid, now.st_mode) == (before.st_uid, before.st_mode)
    with open("/proc/self/mountinfo") as f:
        assert str(tmp_path) not in f.read()


def test_terminal_names_in_the_root_file_system(ctn, top, tmp_path):
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("untouched\n")
    plant(top + "/dev", str(sentinel))
    ctn.put("rootfs", top).put("tty", 1)
    for _ in range(5):
        ctn.sh("echo hello > /dev/console; stat -c %t /dev/console")
        assert ctn.finish() == 0 and ctn.read("log").endswith("hello\r\n88\r\n")
    assert sentinel.read_text() == "untouched\n"


# --- settings ---


def test_proc_is_what_the_kernel_shows(ctn, top, tmp_path):
    """SECURITY N04: a decoy in the place of /proc gets nothing."""
    decoy = tmp_path / "decoy"
    (decoy / "sys/net/ipv4").mkdir(parents=True)
    (decoy / "sys/net/ipv4/ip_unprivileged_port_start").write_text("decoy\n")
    before = slurp(PROC_SETTING)
    os.rmdir(top + "/proc")
    os.symlink(str(decoy), top + "/proc")
    ctn.put("rootfs", top).put("sysctl", "%s = 77" % SETTING)
    assert ctn.write("cmd", "cat %s\n" % PROC_SETTING) != 0
    assert (decoy / "sys/net/ipv4/ip_unprivileged_port_start").read_text() == "decoy\n"
    os.unlink(top + "/proc")
    os.mkdir(top + "/proc")
    assert ctn.output("cat " + PROC_SETTING) == "77\n"
    assert slurp(PROC_SETTING) == before


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/proc/self", "/proc/sys/net"])
def test_nothing_is_mounted_over_settings(ctn, target):
    for line in ("none %s tmpfs rw 0 0", "/tmp %s none bind,rw 0 0"):
        ctn.refused("mounts", line % target, errno.EINVAL)
