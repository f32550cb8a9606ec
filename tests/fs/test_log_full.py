# SPDX-License-Identifier: Apache-2.0
"""A disk without room: what is put out is dropped and counted, nobody waits, and what there is can be ended
and removed."""

import errno
import os
import re
import signal
import subprocess
import tempfile

import pytest

import leaks
from basics import have, put, until
from logviews import Follower, raw
from rootdirs import kernel
from test_log_flood import LINE, WIDTH, WRITER, check_order, monitor_of, text

MIB = 1 << 20
PART = 2 * MIB // WIDTH  # lines
STEPS = WRITER + "for i in range(100): sys.stdin.readline(); flood(1, %d, i * %d)\n" % (PART, PART)


class Disk:
    """A small file system, which can be filled."""

    def __init__(self, kind, base):
        self.path = tempfile.mkdtemp(dir=base)
        if kind == "tmpfs":
            mount = ["mount", "-t", "tmpfs", "-o", "size=40M", "full", self.path]
        else:
            image = self.path + ".img"
            with open(image, "wb") as f:
                f.truncate(48 * MIB)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "8192", image], check=True)
            mount = ["mount", "-o", "loop", image, self.path]
        subprocess.run(mount, check=True)
        os.chmod(self.path, 0o711)
        self.filler = os.path.join(self.path, "filler")

    def fill(self, left=64 << 10):
        """But for that many bytes."""
        with open(self.filler, "ab", buffering=0) as f:
            for size in (MIB, 64 << 10, 4096, 512):
                try:
                    while True:
                        f.write(b"\xff" * size)
                        os.fsync(f.fileno())
                except OSError as e:
                    assert e.errno == errno.ENOSPC
            f.truncate(max(0, f.seek(0, os.SEEK_END) - left))
            os.fsync(f.fileno())
        return self

    def empty(self):
        os.unlink(self.filler)
        subprocess.run(["sync", "-f", self.path], check=True)

    def close(self):
        subprocess.run(["umount", self.path], check=True)


@pytest.fixture
def disk(session, no_leaks, request):
    if request.param == "tmpfs" and kernel() < (6, 3):
        pytest.skip("this kernel cannot map the ids of a tmpfs")
    if request.param == "ext4" and not have("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    if request.param == "ext4" and not leaks.ALONE:
        pytest.skip("whoever makes a mount namespace meanwhile keeps the loop device; CTNFS_ALONE=1")
    try:
        d = Disk(request.param, session.base)
    except subprocess.CalledProcessError as e:
        pytest.skip("no %s can be mounted here: %s" % (request.param, e))
    yield d
    d.close()


@pytest.fixture
def there(disk, new_server):
    """A server with all that it keeps on that disk."""
    server = new_server(start=False)
    server.state, server.run = (os.path.join(disk.path, n) for n in ("state", "run"))
    server.start()
    return server


both = pytest.mark.parametrize("disk", ["tmpfs", "ext4"], indirect=True)


def step(c, number):
    """The program puts out one part more; it does not wait for the disk."""
    assert c.write("stdin", "\n", append=True) == 0
    until(lambda: total(c) == (number + 1) * PART * WIDTH, "part %d" % number, 30)


def total(c):
    return os.stat(c.path("log")).st_size + int(c.status("LogDropped"))


@pytest.mark.slow_ok(120)
@both
def test_the_program_goes_on(disk, there):
    c = there.make().py(STEPS)
    step(c, 0)
    disk.fill()
    with Follower(c.path("log")) as f:
        for number in (1, 2):
            step(c, number)
        lost = int(c.status("LogDropped"))
        assert 3 * MIB < lost <= 4 * MIB
        assert raw(c.path("log"))[:2 * MIB] == text(0, PART)
        disk.empty()
        step(c, 3)  # there is room again
        assert int(c.status("LogDropped")) == lost
        assert raw(c.path("log")).endswith(text(3 * PART, 4 * PART))
        assert f.step().got == raw(c.path("log"))
        # A part that was cut in the middle of a line is followed by whatever came next.
        check_order(bytes(f.got), 4 * PART - 1)
    stamped = raw(c.path("log.times"))
    assert re.sub(rb"^\S+Z stdout ", b"", stamped, flags=re.M) == raw(c.path("log")) == raw(c.path("stdout"))
    # The next run, and the next monitor, count on; emptying begins anew.
    c.put("ctl", "kill")
    assert int(c.status("LogDropped")) == lost
    c.py(STEPS)
    assert int(c.status("LogDropped")) == lost
    os.kill(monitor_of(c), signal.SIGKILL)
    until(lambda: c.status("Monitor") == "1", "another monitor")
    assert int(c.status("LogDropped")) == lost
    assert c.write("log", "") == 0 and c.status("LogDropped") == "0"
    there.kill9()
    subprocess.run(["umount", there.mnt], check=True)
    there.start()
    assert c.status("LogDropped") == "0"
    c.put("ctl", "kill")


@pytest.mark.slow_ok(120)
@both
def test_the_end_of_what_there_is(disk, there):
    names = ("runs", "ends", "rests", "late")
    runs, ends, rests, late = (there.make(n) for n in names)
    for c in (runs, ends, late):
        c.py("import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
             "for line in sys.stdin: print('x' * 100000, flush=True)\nsys.exit(7)")
    disk.fill()
    for _ in range(8):
        assert runs.write("stdin", "\n", append=True) == 0
    until(lambda: int(runs.status("LogDropped")) > 0, "something is dropped")
    disk.fill(0)
    # What needs room is refused, with a sentence, and leaves nothing behind.
    before = sorted(os.listdir(there.state)), sorted(os.listdir(there.run)), there.containers()
    with pytest.raises(OSError) as refused:
        os.mkdir(there.path("another"))
    assert refused.value.errno == errno.ENOSPC and there.last_error().code == "ENOSPC"
    assert put(there.path("new"), '{"name": "another", "cmd": "true"}') == errno.ENOSPC
    rests.refused("env", "A=b", errno.ENOSPC)
    assert before == settled(there)
    # What ends or goes needs none, also while no server looks.
    assert ends.write("stdin", "") == 0
    assert ends.finish() == 7
    pid = late.pid()
    there.kill9()
    os.kill(pid, signal.SIGTERM)
    subprocess.run(["umount", there.mnt], check=True)
    until(lambda: not os.path.exists("/proc/%d" % pid), "its end")
    there.start()
    assert late.state() == "exited" and late.get("exit") == "9"
    assert runs.state() == "running"
    runs.put("ctl", "kill")
    assert runs.get("exit") == "137"
    for c in (runs, ends, rests, late):
        c.remove()
    assert there.containers() == []
    disk.empty()
    c = there.make("another")
    assert c.output("echo there is room") == "there is room\n"


def settled(server):
    """What there is, once what is swept later has gone."""
    until(lambda: not [n for n in os.listdir(server.state) if "trash" in n and os.listdir(os.path.join(server.state, n))],
          "the sweeper is done")
    return sorted(os.listdir(server.state)), sorted(os.listdir(server.run)), server.containers()
