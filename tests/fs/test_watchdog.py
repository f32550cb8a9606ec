# SPDX-License-Identifier: Apache-2.0
"""A request that hangs: the watchdog ends the server, and nobody waits for it for ever."""

import errno
import fcntl
import os
import signal
import subprocess
import threading
import time

import pytest

from basics import SLOW, have, limit, put, until
from containers import Ctn
from harness import mounts_at

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
SECONDS = max(2, round(2 * SLOW))
TOLD = r"%s in .* asked for by process \d+, has not come to an end for \d+ s"


class Disk:
    """An ext4 under a server's state directory that can be made to stand still."""

    def __init__(self, server):
        self.server, image = server, os.path.join(server.dir, "disk")
        with open(image, "wb") as f:
            f.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", image], check=True)
        # Shared: mount namespaces that others make meanwhile do not keep what is unmounted here.
        subprocess.run(["mount", "--bind", server.dir, server.dir], check=True)
        subprocess.run(["mount", "--make-shared", server.dir], check=True)
        os.mkdir(server.state, 0o700)
        r = subprocess.run(["mount", "-o", "loop", image, server.state], capture_output=True, text=True)
        self.mounted = r.returncode == 0
        self.why = r.stderr.strip()
        self.fd = -1
        if self.mounted:
            os.rmdir(os.path.join(server.state, "lost+found"))
            os.chmod(server.state, 0o700)
            self.fd = os.open(server.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.frozen = False

    def freeze(self):
        fcntl.ioctl(self.fd, FIFREEZE, 0)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            fcntl.ioctl(self.fd, FITHAW, 0)
        self.frozen = False

    def close(self):
        self.thaw()
        if self.fd >= 0:
            os.close(self.fd)
        if self.mounted:
            until(lambda: subprocess.run(["umount", self.server.state], capture_output=True).returncode == 0,
                  "the disk can be unmounted", 20)
        subprocess.run(["umount", "-l", self.server.dir], check=True)


@pytest.fixture
def disk(new_server, request):
    if not have("mkfs.ext4"):
        pytest.skip("mkfs.ext4 (package e2fsprogs) is not installed")
    server = new_server("watchdog=%d" % SECONDS, start=False)
    d = Disk(server)
    if not d.mounted:
        d.close()
        pytest.skip("no loop mount of an ext4 here: " + d.why)
    server.start()
    yield d
    d.thaw()
    wrong = server.finish()
    d.close()
    server.proc = None
    assert not wrong, "\n".join(wrong)


class Call(threading.Thread):
    """A system call on the mount in a thread: it may hang."""

    def __init__(self, call, *args):
        super().__init__(daemon=True)
        self.call, self.args, self.code = call, args, None
        self.start()

    def run(self):
        try:
            self.call(*self.args)
            self.code = 0
        except OSError as e:
            self.code = e.errno


@pytest.mark.stderr(TOLD % "mkdir")
def test_a_request_that_hangs_ends_the_server(disk):
    server = disk.server
    c = server.make("stays")
    c.sh("echo up; while :; do sleep 1; done")
    c.until_log("up")
    pid = c.get("pid")
    with open(c.path("wait")) as f:  # hangs, too, but nobody is in the middle of it
        waiting = Call(f.read)
        disk.freeze()
        hanging = Call(os.mkdir, server.path("hangs"))
        hanging.join(limit(30))
        assert hanging.code in (errno.ECONNABORTED, errno.ENOTCONN)
        waiting.join(limit(10))
        assert waiting.code in (errno.ECONNABORTED, errno.ENOTCONN)
    with pytest.raises(OSError) as e:
        os.stat(server.path("status"))
    assert e.value.errno == errno.ENOTCONN
    assert mounts_at(server.mnt), "that nobody makes directories below it as if they were containers"
    os.kill(int(pid), 0)
    disk.thaw()
    assert server.proc.wait(limit(20)) == 1
    assert "mkdir in the mount" in server.stderr()
    assert not server.complaints()
    server.start()
    assert c.get("state") == "running" and c.get("pid") == pid
    assert put(c.path("ctl"), "kill\n") == 0
    for name in set(server.containers()) - {"stays"}:
        os.rmdir(Ctn(server, name).path())


def test_time_in_which_the_server_stands_still_is_not_counted(disk):
    server = disk.server
    disk.freeze()
    hanging = Call(os.mkdir, server.path("hangs"))
    time.sleep(0.2)  # it is in the middle of it, or about to be
    os.kill(server.proc.pid, signal.SIGSTOP)
    try:
        time.sleep(SECONDS + 1)
    finally:
        os.kill(server.proc.pid, signal.SIGCONT)
        disk.thaw()
    hanging.join(limit(20))
    assert hanging.code == 0 and server.running()
    assert server.containers() == ["hangs"]


def test_waiting_is_not_hanging(new_server):
    server = new_server("watchdog=1")
    c = server.make()
    c.sh("sleep %g" % (2.5 * max(1, SLOW)))
    assert c.read("wait") == "0\n"
    assert server.running()


def test_the_option(new_server):
    for word in ("watchdog=x", "watchdog=-1", "watchdog=86401"):
        server = new_server(word, start=False)
        r = subprocess.run(server.argv(), capture_output=True, text=True, timeout=limit(20))
        assert r.returncode == 2 and "watchdog" in r.stderr
    server = new_server("watchdog=0")
    names = [open("/proc/%d/task/%s/comm" % (server.proc.pid, t)).read()
             for t in os.listdir("/proc/%d/task" % server.proc.pid)]
    assert "ctnfs-watchdog\n" not in names
