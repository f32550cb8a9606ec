# SPDX-License-Identifier: Apache-2.0
"""The power is cut at the calls that change the state directory (F18): what is on the disk is the old
or the new, never a part; and what was damaged all the same is told and takes nothing else along (F19).

FS_IOC_SHUTDOWN lets a file system forget what it had not been made to write, as a power cut does; all
processes are killed, and what is kept in memory is removed, as a boot does."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading

import pytest

from basics import have, limit, until
from containers import Ctn
from nth import LONG, SERVER, Nth, points, told
from operations import CMD, GROUPS, exists
from truth import check_true

FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = b"\2\0\0\0"
SHORT = 3
PASSES = int(os.environ.get("CTNFS_ROUNDS") or (8 if LONG else 1))
OPERATIONS = {op.name: op for group in GROUPS.values() for op in group}
NAMES = ("mkdir", "new", "rename", "rmdir", "start", "limit", "env", "log")


class Disk:
    """An ext4 of its own under a server's state directory."""

    def __init__(self, server):
        self.server, self.image = server, os.path.join(server.dir, "disk")
        with open(self.image, "wb") as f:
            f.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", self.image], check=True)
        # Shared: mount namespaces that others make meanwhile do not keep what is unmounted here.
        subprocess.run(["mount", "--bind", server.dir, server.dir], check=True)
        subprocess.run(["mount", "--make-shared", server.dir], check=True)
        os.mkdir(server.state, 0o700)
        self.mounted = False
        self.cgroups = set()  # where its containers have theirs
        self.mount()
        os.rmdir(os.path.join(server.state, "lost+found"))
        os.chmod(server.state, 0o700)

    def mount(self):
        r = subprocess.run(["mount", "-o", "loop", self.image, self.server.state], capture_output=True, text=True)
        if r.returncode:
            pytest.skip("no loop mount of an ext4 here: " + r.stderr.strip())
        self.mounted = True

    def unmount(self):
        """The last process that uses it may be on its way out."""
        def done():
            return subprocess.run(["umount", self.server.state], capture_output=True).returncode == 0
        def released():
            return not subprocess.run(["losetup", "-j", self.image], capture_output=True).stdout
        until(done, "the disk can be unmounted", 20)
        until(released, "nobody has the disk any more", 20)  # a mount namespace that goes may keep it a moment
        self.mounted = False

    def know(self, c):
        self.cgroups = {os.path.dirname(os.readlink(e.path)) for e in os.scandir(c.path("cgroup/raw"))}
        return c

    def cut(self):
        fd = os.open(self.server.state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def reboot(self):
        """All that a boot takes away."""
        server = self.server
        server.kill9()
        subprocess.run(["umount", "-l", server.mnt], check=True)
        self.kill_all()
        shutil.rmtree(server.run)
        for path in (os.path.join(d, i) for d in self.cgroups for i in server.session.ids):
            if os.path.isdir(path):
                os.rmdir(path)
        self.unmount()
        self.mount()
        server.start()

    def kill_all(self):
        def left():
            found = list(self.server.leftovers())
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            return found
        until(lambda: not left(), "all processes are gone")


@pytest.fixture
def disk(new_server):
    if not have("mkfs.ext4"):
        pytest.skip("mkfs.ext4 (package e2fsprogs) is not installed")
    server = new_server(start=False)
    d = Disk(server)
    server.start()
    yield d
    wrong = server.finish() if server.running() else []
    d.kill_all()
    if d.mounted:
        d.unmount()
    subprocess.run(["umount", "-l", server.dir], check=True)
    server.proc = None
    assert not wrong, "\n".join(wrong)


def cut_at(disk, op, number):
    """The operation once, with the power cut at that call. Return: its container and the call."""
    server = disk.server
    c = op.prepare(server)
    subprocess.run(["sync", "-f", server.state], check=True)  # what was before is on the disk
    worker = threading.Thread(target=op.act, args=(c,), daemon=True)
    with Nth(server.proc.pid, SERVER, "hold", number) as nth:
        worker.start()
        nth.until_held(worker)
        server.session.ids.update(n.split("-")[-1] for n in os.listdir(server.state))
        disk.cut()
        server.kill9()
    worker.join(limit(20))
    disk.reboot()
    return c, nth


def check_kept(server):
    kept = Ctn(server, "kept")
    assert kept.get("cwd") == "/tmp" and kept.status("Id") and kept.get("exit") == "0"
    assert kept.output("test -s /etc/passwd && cat /root/kept") == "kept\n"


def agree(op, c):
    """What was under way: old or new."""
    if not exists(c) and op.name != "rename":
        assert op.name in ("mkdir", "new", "rmdir")
        return
    if op.name == "rename":
        op.agree(c)
    check_true(c)
    if op.name == "env":
        op.agree(c)
    if op.name in ("start", "new"):
        assert c.get("cmd") in ("", CMD)
    if op.name == "limit":
        assert c.get("memory.limit") in ("max", str(64 << 20))
    if op.name == "rmdir":
        assert c.state() == "exited" and c.get("exit") in ("0", "255")


@pytest.mark.slow_ok(900 * PASSES)
def test_power_cuts(disk):
    """CTNFS_LONG=1: more than a thousand."""
    server = disk.server
    kept = disk.know(server.make("kept")).put("cwd", "/tmp").sh("echo kept > /root/kept; sync /root/kept")
    assert kept.finish() == 0
    cuts = 0
    for name in NAMES * PASSES:
        op = OPERATIONS[name]
        c = op.prepare(server)
        with Nth(server.proc.pid, SERVER, "count") as nth:
            op.act(c)
        remove_all_but(server, "kept")
        total = len(nth.calls)
        for number in points(total, SHORT):
            with told("%s: power cut at call %d of %d" % (op, number, total)):
                c, _ = cut_at(disk, op, number)
                cuts += 1
                assert "kept" in server.containers(), server.read("error")
                agree(op, c)
                check_kept(server)
                remove_all_but(server, "kept")
    print(cuts, "power cuts")


def remove_all_but(server, name):
    for n in server.containers():
        if n != name:
            c = Ctn(server, n).put("ctl", "kill")
            c.remove()


@pytest.mark.slow_ok(300)
@pytest.mark.parametrize("names_are_kept", [False, True])
def test_a_power_cut_while_it_runs(disk, names_are_kept):
    """It is as before its start, or known to have run and to have ended without a witness (F3)."""
    server = disk.server
    subprocess.run(["sync", "-f", server.state], check=True)
    c = disk.know(server.make("x")).sh("while :; do echo tick; done").until_log("tick")
    if names_are_kept:  # but not contents
        fd = os.open(os.path.join(server.state, c.get("id")), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    disk.cut()
    disk.reboot()
    assert c.state() == "exited" and c.get("exit") == "255" or c.state() == "created" and not names_are_kept
    assert set(c.read("log").splitlines()[:-1]) <= {"tick"}
    assert c.output("echo again").endswith("again\n")


@pytest.mark.slow_ok(300)
@pytest.mark.parametrize("names_are_kept", [False, True])
def test_a_power_cut_after_mkdir(disk, names_are_kept):
    """mkdir alone is as lasting as any mkdir(2); the first write makes it last."""
    server = disk.server
    for wrote in (False, True):
        subprocess.run(["sync", "-f", server.state], check=True)
        c = disk.know(server.make("x"))
        before, ident = c.status("Id"), c.get("id")
        if wrote:
            c.put("env", "A=1")
        for path in (os.path.join(server.state, ident), server.state) if names_are_kept else ():
            fd = os.open(path, os.O_RDONLY)  # but not contents
            os.fsync(fd)
            os.close(fd)
        disk.cut()
        disk.reboot()
        assert exists(c) or not wrote
        if exists(c):
            assert c.status("Id") == before and c.state() == "created"
            assert ("A=1" in c.lines("env")) == wrote
            c.remove()
        assert server.read("error") == "", "nothing was lost that anybody had said"
        until(lambda: not any(n.endswith(ident) for n in os.listdir(server.state)), "nothing is left of it")
        server.make("x").remove()


DAMAGES = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:min(len(data) // 2, 40)],
    "zeros": lambda data: bytes(len(data)),
    "garbage": lambda data: b"{ \xff" + data[::-1],
    "newer": lambda data: data.replace(b'"version": 1', b'"version": 999').replace(b'"version":1', b'"version":999'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_records(server, damage):
    """The others load; what can be known of it without the record is; the rest is left as it is, and
    comes back with its record."""
    good = server.make("good").put("env", "A=1")
    for name in ("spec", "exit", "log.start"):
        c = server.make("x")
        assert c.sh("echo one; exit 3").finish() == 3
        c.write("log", "")
        path = os.path.join(server.state, c.get("id"), name)
        server.kill9()
        with open(path, "rb") as f:
            data = f.read()
        with open(path, "wb") as f:
            f.write(DAMAGES[damage](data))
        server.start()
        assert "A=1" in good.lines("env") and good.state() == ("created" if name == "spec" else "exited")
        assert good.output("echo fine").endswith("fine\n")
        if DAMAGES[damage](data) != data and (name, damage) != ("log.start", "cut off"):  # an older one's form
            told_it = server.read("error") + (c.read("error") if exists(c) else "")
            assert name in told_it, "nothing is said about a damaged %s: %s" % (name, told_it)
        if name == "spec":
            assert not exists(c) and os.path.isdir(os.path.dirname(path)), "it is to be left as it is"
            server.kill9()
            with open(path, "wb") as f:
                f.write(data)
            server.start()
        assert c.state() == "exited" and c.get("exit") in (("255", "3") if name == "exit" else ("3",))
        assert c.output("echo again").endswith("again\n")
        c.remove()
