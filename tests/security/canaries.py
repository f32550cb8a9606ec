# SPDX-License-Identifier: Apache-2.0
"""What must not change on the host while it is attacked: a tree of files, watched as well, so that what
comes and goes is seen; settings of the whole machine; mounts; the top of each control group hierarchy.
Names in / and /etc, programs and what is left behind are compared by tests/leaks.py."""

import ctypes
import os
import struct
import tempfile

import pytest

import leaks
from rootdirs import look, mountinfo

SECRET = "canary-6f1d2b"  # what must not be read
NAMES = ("canary", "ptmx", "null", "console", "self", "hostname", "sub/deep")
SETTINGS = ("kernel/core_pattern", "kernel/printk_ratelimit", "kernel/panic", "kernel/sysrq", "kernel/poweroff_cmd",
            "kernel/hotplug", "vm/panic_on_oom", "fs/pipe-max-size", "kernel/cap_last_cap",
            "net/ipv4/ip_unprivileged_port_start", "net/ipv4/tcp_syncookies", "kernel/shmmni", "kernel/msgmax")
TOP_FILES = ("release_agent", "notify_on_release", "cgroup.subtree_control", "cgroup.max.depth")
IN_CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800  # modify attrib moved create delete (self)
LIBC = ctypes.CDLL(None, use_errno=True)
EVENT = struct.Struct("iIII")


class Watch:
    """inotify(7) on directories and files."""

    def __init__(self, paths):
        self.fd = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.fd >= 0
        self.names = {LIBC.inotify_add_watch(self.fd, os.fsencode(p), IN_CHANGES): p for p in paths}
        assert -1 not in self.names

    def events(self):
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            number, mask, _, room = EVENT.unpack_from(data, at)
            name = data[at + EVENT.size:at + EVENT.size + room].rstrip(b"\0").decode(errors="replace")
            found.append("%s/%s: 0x%x" % (self.names.get(number, "?"), name, mask))
            at += EVENT.size + room
        return found

    def close(self):
        os.close(self.fd)


def settings():
    for name in SETTINGS + leaks.SYSCTLS:
        yield name, leaks.read("/proc/sys/" + name)


def hierarchies():
    for top in leaks.cgroup_mounts():
        yield top, sorted(n for n in os.listdir(top) if "ctnfs" not in n) if leaks.ALONE else None
        for name in TOP_FILES:
            yield os.path.join(top, name), leaks.read(os.path.join(top, name))


class Canary:
    """A directory of the host's that anyone may write to, and all the rest."""

    def __init__(self, server):
        self.server = server
        self.path = tempfile.mkdtemp(prefix="canary-", dir=server.session.base)
        os.mkdir(os.path.join(self.path, "sub"))
        for name in NAMES:
            with open(os.path.join(self.path, name), "w") as f:
                f.write(SECRET + "\n")
            os.chmod(os.path.join(self.path, name), 0o666)
        for d in (self.path, os.path.join(self.path, "sub")):
            os.chmod(d, 0o777)
        self.watch = Watch([self.path, os.path.join(self.path, "sub")])
        self.before = self.now()

    def now(self):
        return {"tree": look(self.path), "settings": dict(settings()), "hierarchies": dict(hierarchies())}

    def touched(self):
        """What has changed in the tree since the last time, as far as it was seen."""
        return self.watch.events()

    def mounts(self):
        """Mounts of the host's that were not there when a container was made."""
        return [l for l in mountinfo(self.server) if self.path in l]

    def wrong(self):
        found = self.touched() + self.mounts()
        now = self.now()
        for what, was in self.before.items():
            for key in sorted(set(was) | set(now[what])):
                if was.get(key) != now[what].get(key):
                    found.append("%s: %s was %s, is %s" % (what, key, was.get(key), now[what].get(key)))
        return found

    def close(self):
        self.watch.close()


@pytest.fixture
def canary(tidy):
    """Looked at when the test has ended."""
    c = Canary(tidy)
    yield c
    wrong = c.wrong()
    c.close()
    assert not wrong, "on the host:\n" + "\n".join(wrong)


@pytest.fixture
def bait(session):
    """The same for controls, where it is to be touched: they get it with bait(server)."""
    made = []

    def make(server):
        made.append(Canary(server))
        return made[-1]

    yield make
    for c in made:
        c.close()
