# SPDX-License-Identifier: Apache-2.0
"""What users of the mount can make the server keep is bounded: opened files and what was read from them,
reads that wait, incomplete writes, scratch files, sentences."""

import errno
import os
import pwd
import resource
import subprocess
import sys
import threading

import pytest

from basics import SANITIZERS, err_name, limit, put, slurp, until

MIB = 1 << 20
NOBODY = pwd.getpwnam("nobody")
GROUP = "nogroup"


def rss(server):
    for line in slurp("/proc/%d/status" % server.proc.pid).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.fixture
def files():
    """May open as many as a test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Grown:
    """As a context: the server grows by no more than @most, where no sanitizer keeps what is freed."""

    def __init__(self, server, most):
        self.server, self.most = server, most

    def __enter__(self):
        self.before = rss(self.server)

    def __exit__(self, kind, *_):
        if kind is None and not SANITIZERS:
            assert rss(self.server) - self.before < self.most


AS_OTHER = """
import errno, os, sys
path, read, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
n, why = [], 0
try:
    while len(n) < most:
        n.append(os.open(path, os.O_RDONLY))
        if read:
            os.read(n[-1], 1)
except OSError as e:
    why = e.errno
print(len(n), why, flush=True)
sys.stdin.read()
"""


def as_other(path, read, most):
    """Another user of the group opens that file until it is refused; it holds them until its input ends."""
    return subprocess.Popen([sys.executable, "-c", AS_OTHER, path, str(read), str(most)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, user=NOBODY.pw_uid, group=NOBODY.pw_gid,
                            extra_groups=[])


def test_others_have_a_quota_of_open_files(new_server, files):
    server = new_server("group=" + GROUP)
    with Grown(server, 8 * MIB), as_other(server.path("status"), 0, 5000) as other:
        assert other.stdout.readline().split() == ["1024", str(errno.EMFILE)]
        assert "user %d has 1024 files open here" % NOBODY.pw_uid in server.read("error")
        assert server.read("status") and server.make("c").output("echo well") == "well\n"
        other.stdin.close()
    with as_other(server.path("status"), 1, 10) as other:  # closed, they are given back
        assert other.stdout.readline().split() == ["10", "0"]
        other.stdin.close()


def test_others_have_a_quota_of_what_they_have_read(new_server, files):
    server = new_server("group=" + GROUP)
    for i in range(15):
        server.make()
    size = len(server.read("metrics"))
    assert size * 1000 > 16 * MIB
    with Grown(server, 40 * MIB), as_other(server.path("metrics"), 1, 1000) as other:
        n, why = map(int, other.stdout.readline().split())
        assert why == errno.EMFILE and n <= 16 * MIB // size + 2
        assert server.read("metrics")
        other.stdin.close()


def test_lists_that_are_written_without_end(server, files):
    c, held, code = server.make(), [], 0
    line = b"# " + b"x" * 120000 + b"\n"
    with Grown(server, 160 * MIB):
        try:
            while not code and len(held) < 200:
                held.append(os.open(c.path("env"), os.O_WRONLY | os.O_APPEND))
                try:
                    for _ in range(8):
                        os.write(held[-1], line)
                except OSError as e:
                    code = e.errno
        finally:
            for fd in held:
                os.close(fd)
    assert code == errno.ENOSPC and 60 < len(held) < 90, (err_name(code), len(held))
    assert "close some" in server.read("error")
    assert put(c.path("env"), "A=1\n") == 0 and c.read("env").endswith("\nA=1\n")


def test_documents_that_never_end(server, files):
    held, code = [], 0
    part = b'{"name": "' + b"x" * 500000
    with Grown(server, 80 * MIB):
        try:
            while not code and len(held) < 200:
                held.append(os.open(server.path("new"), os.O_WRONLY))
                try:
                    os.write(held[-1], part[:120000])
                    os.write(held[-1], part[:120000].replace(b"{", b" "))
                    os.write(held[-1], b"x" * 120000)
                except OSError as e:
                    code = e.errno
        finally:
            for fd in held:
                try:
                    os.close(fd)
                except OSError:
                    pass
    assert code == errno.ENOSPC, (err_name(code), len(held))
    assert server.make().output("echo well") == "well\n"


def test_scratch_files_without_end(server, files):
    with Grown(server, 100 * MIB):
        code = 0
        for i in range(8):
            c = server.make()
            for k in range(16):
                code = code or put(c.path(".%d.tmp" % k), b"x" * (MIB - 1))
    assert code == errno.ENOSPC
    server.clear()
    assert rss(server) > 0 and put(server.make().path(".x.tmp"), "y") == 0


def test_sentences_without_end(server):
    c = server.make()
    for _ in range(200):
        put(c.path("ctl"), b"x" * 4000 + b"\n")
    with Grown(server, 4 * MIB):
        for _ in range(2000):
            assert put(c.path("ctl"), b"x" * 4000 + b"\n") == errno.EINVAL
    assert len(c.read("error")) < MIB and len(server.read("error")) < MIB


def test_reads_that_wait(server, files):
    """Root may have many; each is small, and `status` answers all the while."""
    c = server.make()
    c.sh("exec sleep 1000")
    fds = [os.open(c.path("wait"), os.O_RDONLY) for _ in range(300)]
    threads = [threading.Thread(target=os.read, args=(fd, 10), daemon=True) for fd in fds]
    with Grown(server, 8 * MIB):
        for t in threads:
            t.start()
        assert "running" in server.read("stats")
    c.put("ctl", "kill")
    for t in threads:
        t.join(limit(20))
        assert not t.is_alive()
    for fd in fds:
        os.close(fd)
