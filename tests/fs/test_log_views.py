# SPDX-License-Identifier: Apache-2.0
"""stdout, stderr and log.times: the log by stream and with times, by the log's own laws."""

import datetime
import errno
import os
import random
import re
import signal
import subprocess

import pytest

from basics import limit, slurp, until
from logviews import VIEWS, WRITER, Follower, Model, let_go, raw, read, write_pieces
from sessions import session



def both(first, end):
    """A program that writes numbered lines, the even ones to standard output."""
    return "for i in range(%d, %d): put(1 + i %% 2, b'line %%06d\\n' %% i)\n" % (first, end)


def lines(numbers):
    return b"".join(b"line %06d\n" % i for i in numbers)


def index_of(c):
    return os.path.join(c.server.state, c.get("id"), "log.index")


def random_pieces(seed, count):
    rng = random.Random(seed)
    words = [b"a", b"word", b"line\n", b"\n", b"\n\n", b"two\nlines\n", b"\xff\x00\r", b"end\nhalf", b"x" * 500]
    return [(rng.choice((1, 1, 2)), rng.choice(words)) for _ in range(count)]


# --- what they show ---

@pytest.mark.parametrize("seed", [1, 2])
def test_interleaved(ctn, seed):
    pieces = random_pieces(seed, 400)
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(milliseconds=2)
    ctn.py(write_pieces(pieces))
    assert ctn.finish() == 0
    stamps = Model(pieces).check(ctn)
    after = datetime.datetime.now(datetime.timezone.utc)
    assert stamps == sorted(stamps)
    for stamp in (stamps[0], stamps[-1]):
        when = datetime.datetime.fromisoformat(stamp[:26].decode() + "+00:00")
        assert before <= when <= after


def test_a_line_of_many_pieces(ctn):
    pieces = [(1, b"be"), (1, b"gin"), (2, b"error"), (2, b" more\n"), (1, b"go on\n"), (2, b"x"), (1, b"y")]
    ctn.py(write_pieces(pieces))
    assert ctn.finish() == 0
    Model(pieces).check(ctn)
    assert re.sub(rb"^\S+Z ", b"", read(ctn, "log.times"), flags=re.M) == \
        b"stdout begin\nstderr error more\nstdout go on\nstderr x\nstdout y"


def test_before_the_first_start(ctn):
    for name in VIEWS:
        assert read(ctn, name) == b"" and os.stat(ctn.path(name)).st_size == 0
        assert os.stat(ctn.path(name)).st_mode & 0o777 == 0o400
        assert os.stat(ctn.path(name)).st_mtime == os.stat(ctn.path("log")).st_mtime


def test_they_are_not_written(ctn):
    ctn.output("echo one")
    for name in VIEWS:
        assert ctn.write(name, "mine\n") == errno.EACCES
        with pytest.raises(PermissionError):
            os.truncate(ctn.path(name), 0)
    assert ctn.read("stdout") == "one\n"


def test_positions_are_those_of_the_file(ctn):
    pieces = random_pieces(5, 200)
    ctn.py(write_pieces(pieces))
    assert ctn.finish() == 0
    rng = random.Random(1)
    for name in VIEWS:
        whole = read(ctn, name)
        assert os.stat(ctn.path(name)).st_size == len(whole) > 1000
        fd = os.open(ctn.path(name), os.O_RDONLY)
        try:
            for _ in range(60):
                at, size = rng.randrange(len(whole)), rng.choice((1, 7, 100, 5000, 100000))
                assert os.pread(fd, size, at) == whole[at:at + size]
            assert os.pread(fd, 10, len(whole)) == b""
        finally:
            os.close(fd)


def test_mtime_is_that_of_the_stream(ctn):
    ctn.output("echo early >&2")
    ctn.output("echo late")
    out, err, times = (os.stat(ctn.path(n)) for n in VIEWS)
    stamps = [line.split()[0] for line in ctn.read("log.times").splitlines()]
    for st, stamp in ((err, stamps[0]), (out, stamps[1])):
        when = datetime.datetime.fromtimestamp(st.st_mtime_ns // 10**9, datetime.timezone.utc)
        assert stamp == when.strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % (st.st_mtime_ns % 10**9)
    assert times.st_mtime_ns == os.stat(ctn.path("log")).st_mtime_ns
    assert err.st_mtime_ns < out.st_mtime_ns


def test_of_a_terminal_all_is_standard_output(ctn):
    ctn.put("tty", 1)
    ctn.output("echo out; echo err >&2")
    assert read(ctn, "stdout") == read(ctn, "log") == b"out\r\nerr\r\n" and read(ctn, "stderr") == b""
    assert re.fullmatch(rb"\S+Z stdout out\r\n\S+Z stdout err\r\n", read(ctn, "log.times"))


def test_of_a_session(idle):
    s = session(idle, "s")
    pieces = [(1, b"one\nha"), (2, b"error\n"), (1, b"lf\n")]
    s.py(write_pieces(pieces))
    assert s.finish() == 0
    Model(pieces).check(s)
    assert read(idle, "stderr") == b"" and read(idle, "stdout") == b"ready\n"


def test_runs_follow_each_other(ctn):
    model = Model()
    for run in range(3):
        pieces = [(1, b"run %d\n" % run), (2, b"no end")]
        ctn.py(write_pieces(pieces))
        assert ctn.finish() == 0
        for piece in pieces:
            model.add(*piece)
        model.check(ctn)


def test_rename(ctn):
    ctn.output("echo one; echo two >&2")
    with Follower(ctn.path("stderr")) as f:
        os.rename(ctn.path(), ctn.path() + "-moved")
        ctn.name += "-moved"
        ctn.output("echo three >&2")
        assert f.step().got == read(ctn, "stderr") == b"two\nthree\n"


# --- followers ---

@pytest.mark.parametrize("name", VIEWS)
def test_tail_f(ctn, name):
    ctn.py(WRITER + "put(1, b'begin\\n'); put(2, b'begin\\n'); go(1)\n"
           "for i in range(500): put(1 + i % 3 % 2, b'part %d' % i + b'\\n' * (i % 2))\n"
           "put(1, b'\\nend\\n'); put(2, b'\\nend\\n'); go(2)\n")
    tail = subprocess.Popen(["tail", "-n+1", "-s0.02", "-f", ctn.path(name)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        got = tail.stdout.readline()
        let_go(ctn, 1)
        ends = 2 if name == "log.times" else 1
        while len(re.findall(rb"(?:^|stdout |stderr )end\n", got, re.M)) < ends:
            line = tail.stdout.readline()
            assert line
            got += line
        assert got == read(ctn, name)
    finally:
        tail.kill()
        assert b"truncated" not in tail.communicate(timeout=limit(5))[1]
    let_go(ctn, 2)
    assert ctn.finish() == 0


@pytest.mark.slow_ok(120)
def test_at_full_speed(ctn):
    """Followed all the while: sizes only grow and nothing is lost, doubled or given to the other stream."""
    ctn.sh("seq 1 700000 & seq 1 700000 >&2; wait")
    followers = [Follower(ctn.path(name)) for name in VIEWS]
    until(lambda: [f.step() for f in followers] and ctn.state() == "exited", "it ends", 60)
    out, err, times = (f.step().got for f in followers)
    for f in followers:
        f.close()
    want = b"".join(b"%d\n" % i for i in range(1, 700001))
    assert out == want and err == want
    for stream in (b"stdout", b"stderr"):
        pattern = rb"^.{31}" + stream + rb" (.*)$"
        parts = re.findall(pattern, times, re.M)
        assert b"".join(parts) == want.replace(b"\n", b"")  # a line may be in two parts
    assert [read(ctn, name) for name in VIEWS] == [out, err, times]
    assert os.stat(ctn.path("log")).st_size == 2 * len(want)


def test_single_bytes_of_both(ctn):
    """The last entry is written again and again under the readers."""
    ctn.py("import os\nfor i in range(20000): os.write(1 + i // 97 % 2, b'%d\\n' % (i % 10))\n")
    followers = [Follower(ctn.path(name)) for name in VIEWS]
    until(lambda: [f.step() for f in followers] and ctn.state() == "exited", "it ends", 30)
    out, err, times = (f.step().got for f in followers)
    for f in followers:
        f.close()
    digits = [(i // 97 % 2, b"%d\n" % (i % 10)) for i in range(20000)]
    assert out == b"".join(d for n, d in digits if n == 0)
    assert err == b"".join(d for n, d in digits if n == 1)
    assert times == read(ctn, "log.times") and len(times) == 20000 * 40
    assert os.stat(index_of(ctn)).st_size < 40000 * 4


# --- the bound ---

@pytest.mark.slow_ok(120)
def test_followed_across_the_bound(ctn):
    ctn.put("log.max", "16K")
    steps, each = 20, 150
    ctn.py(WRITER + "".join("go(%d)\n" % step + both(step * each, step * each + each) for step in range(steps)))
    followers = [Follower(ctn.path(name)) for name in VIEWS]
    for step in range(steps):
        let_go(ctn, step)
        last = step * each + each
        for f, number in zip(followers, (last - 2, last - 1, last - 1)):
            f.until(b"line %06d\n" % number)
    assert ctn.finish() == 0
    out, err, times = (f.got for f in followers)
    assert out == lines(range(0, steps * each, 2)) and err == lines(range(1, steps * each, 2))
    assert re.sub(rb"^\S+Z std(out|err) ", b"", times, flags=re.M) == lines(range(steps * each))
    assert [len(f.got) for f in followers] == [os.fstat(f.fd).st_size for f in followers]
    for f in followers:
        f.close()
    # who opens it now begins at the oldest kept
    kept = read(ctn, "log")
    assert len(kept) <= 16384
    assert len(read(ctn, "stdout")) + len(read(ctn, "stderr")) == len(kept)
    assert out.endswith(read(ctn, "stdout")) and err.endswith(read(ctn, "stderr"))
    rest = read(ctn, "log.times")
    assert times.endswith(rest) and re.match(rb"\S+Z std(out|err) line ", rest)
    assert kept.endswith(re.sub(rb"^\S+Z std(out|err) ", b"", rest, flags=re.M))
    assert len(rest) * 12 // 50 > len(kept) - 100


def test_read_behind_the_bound(ctn):
    ctn.put("log.max", "16K")
    ctn.output("echo begin; echo begin >&2")
    fds = [os.open(ctn.path(name), os.O_RDONLY) for name in VIEWS]
    try:
        ctn.py(WRITER + "def seq(fd, a, b): put(fd, b''.join(b'%d\\n' % i for i in range(a, b + 1)))\n"
               "seq(1, 1, 20000); seq(2, 1, 20000); seq(1, 30000, 30100)")
        assert ctn.finish() == 0
        for fd, name in zip(fds, VIEWS):
            size, first = os.fstat(fd).st_size, os.lseek(fd, 0, os.SEEK_DATA)
            assert size > 100000 and size - 200000 < first < size
            assert os.pread(fd, size, first) == raw(ctn.path(name))  # all descriptors: the same offsets
            assert os.pread(fd, 100, 0) == os.pread(fd, 100, first)  # dropped since: the oldest kept
            assert os.pread(fd, 6, size - 6) == (b"20000\n" if name == "stderr" else b"30100\n")
            assert os.lseek(fd, first, os.SEEK_HOLE) == size
    finally:
        for fd in fds:
            os.close(fd)


def test_a_whole_line_first(ctn):
    """Wherever the bound cuts."""
    ctn.put("log.max", "4096")
    ctn.output("seq 1 3000; head -c 30000 /dev/zero | tr '\\0' x; echo; seq 5000 5100")
    assert re.match(rb"\S+Z stdout 5\d\d\d\n", read(ctn, "log.times"))
    assert read(ctn, "stdout") == read(ctn, "log") and len(read(ctn, "log")) == 4096
    # The end of the line is a piece of its own.
    ctn.output("head -c 30000 /dev/zero | tr '\\0' x; sleep 0.05; echo; sleep 0.05; seq 6000 6100")
    assert re.match(rb"\S+Z stdout 6\d\d\d\n", read(ctn, "log.times"))
    ctn.output("printf %s $(seq 1 3000)")  # one line, longer than all that is kept
    assert len(read(ctn, "log")) == 4096
    assert read(ctn, "log").endswith(read(ctn, "log.times")[-100:])


def test_the_index_is_bounded(ctn):
    """A program of which every byte needs an entry."""
    ctn.put("log.max", "4096")
    ctn.py(WRITER + "for i in range(4000): put(1 + i % 2, b'\\n' if i % 20 > 17 else b'x')\n")
    assert ctn.finish(40) == 0
    st = os.stat(index_of(ctn))
    assert st.st_size == 4000 * 48 and st.st_blocks * 512 <= 100 << 10
    kept = (1024 + 65536) // 48
    assert len(read(ctn, "log")) == kept
    assert abs(len(read(ctn, "stdout")) - kept / 2) <= 1 and abs(len(read(ctn, "stderr")) - kept / 2) <= 1
    assert int(ctn.status("LogDropped")) == 4000 - kept


# --- emptying ---

def test_emptying(ctn):
    ctn.output("echo one; echo one >&2")
    with Follower(ctn.path("log.times")) as f:
        f.step()
        ctn.server.sh(": > %s/log" % ctn.name)
        for name in ("log", "stdout", "stderr"):
            assert read(ctn, name) == b"" and os.stat(ctn.path(name)).st_size == 0
        ctn.output("echo two; sleep 0.01; echo two >&2")
        assert re.fullmatch(rb"\S+Z stdout one\n\S+Z stderr one\n\S+Z stdout two\n\S+Z stderr two\n", f.step().got)
    assert read(ctn, "stdout") == read(ctn, "stderr") == b"two\n"
    assert re.fullmatch(rb"\S+Z stdout two\n\S+Z stderr two\n", read(ctn, "log.times"))


def test_followers_of_an_emptied_log(ctn):
    ctn.py(WRITER + "put(1, b'one\\n'); put(2, b'one\\nhal'); go(1); put(2, b'f\\n'); put(1, b'two\\n'); put(2, b'two\\n'); go(2)")
    followers = [Follower(ctn.path(name)) for name in VIEWS]
    followers[1].until(b"hal")
    [f.step() for f in followers]
    ctn.server.sh(": > %s/log" % ctn.name)
    [f.step() for f in followers]
    let_go(ctn, 1)
    out, err, times = (f.until(b"two\n").got for f in followers)
    times = followers[2].until(b"stderr two\n").got
    assert out == b"one\ntwo\n" and followers[1].got == b"one\nhalf\ntwo\n"
    assert re.sub(rb"^\S+Z ", b"", times, flags=re.M) == \
        b"stdout one\nstderr one\nstderr half\nstdout two\nstderr two\n"
    for f in followers:
        f.close()
    let_go(ctn, 2)
    assert ctn.finish() == 0


# --- the server's and the monitor's end ---

@pytest.mark.parametrize("killed", ["server", "monitor", "both"])
def test_killed(new_server, killed):
    server = new_server()
    c = server.make()
    c.py(WRITER + both(0, 200) + "go(1)\n" + both(200, 400) + "go(2)\n" + both(400, 600))
    c.until_log("line 000199")
    monitor = int(re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1])
    if killed != "monitor":
        server.kill9()
    if killed != "server":
        os.kill(monitor, signal.SIGKILL)
    if killed != "monitor":
        server.start()
    let_go(c, 1)
    c.until_log("line 000399")
    if killed != "server":
        until(lambda: c.status("Monitor") == "1", "another monitor")
    let_go(c, 2)
    c.until_state("exited")
    assert read(c, "stdout") == lines(range(0, 600, 2)) and read(c, "stderr") == lines(range(1, 600, 2))
    got = read(c, "log.times")
    assert re.sub(rb"^\S+Z std(out|err) ", b"", got, flags=re.M) == lines(range(600)) == read(c, "log")
    assert len(got) == 600 * 50


def test_a_tail_without_an_entry(ctn):
    """What a monitor leaves that is killed between the log and the index."""
    ctn.output("printf half >&2")
    with open(index_of(ctn)[:-len(".index")], "ab") as log:
        log.write(b"of it\nand")
    model = Model([(2, b"half"), (1, b"of it\nand")])
    before = read(ctn, "log.times")
    with Follower(ctn.path("log.times")) as f:
        assert model.check(ctn)
        assert f.step().got == before
        ctn.output("echo more >&2")
        model.add(2, b"more\n")
        model.check(ctn)
        assert f.step().got == read(ctn, "log.times") and f.got.startswith(before)


def test_a_container_without_an_index(ctn):
    """One whose monitors were older than the index."""
    ctn.output("seq 1 10000; echo err >&2")
    old = read(ctn, "log")
    os.unlink(index_of(ctn))
    assert read(ctn, "stdout") == read(ctn, "log") == old and read(ctn, "stderr") == b""
    stamp = read(ctn, "log.times")[:38]
    assert read(ctn, "log.times") == b"".join(stamp + line + b"\n" for line in old.splitlines())
    ctn.output("echo new >&2")
    assert read(ctn, "stdout") == old and read(ctn, "stderr") == b"new\n"
    assert read(ctn, "log.times").startswith(stamp + b"1\n" + stamp) and read(ctn, "log.times").endswith(b" stderr new\n")


# --- an index that is none ---

@pytest.mark.parametrize("running", [False, True])
def test_garbage_in_the_index(ctn, running):
    rng = random.Random(running)
    for number in range(6):
        ctn.write("log", "")
        ctn.py(WRITER + both(0, 300) + ("go(%d)" % number if running else ""))
        ctn.until_log("line 000299")
        if not running:
            assert ctn.finish() == 0
        with open(index_of(ctn), "r+b") as f:
            end = f.seek(0, os.SEEK_END)
            if number % 2:
                os.ftruncate(f.fileno(), rng.randrange(end))
            f.seek(rng.randrange(end))
            f.write(rng.randbytes(rng.choice((1, 48, 3000))) if number % 3 else b"")
        log = read(ctn, "log")
        for name in VIEWS:
            assert os.stat(ctn.path(name)).st_size <= 60 * len(log)
            assert len(read(ctn, name)) <= 60 * len(log)
        assert log == lines(range(300))
        if running:
            let_go(ctn, number)
            assert ctn.finish() == 0
    ctn.write("log", "")
    assert ctn.output("echo fine") == "fine\n"


def test_a_bad_entry_makes_all_of_it_standard_output(ctn):
    ctn.py(write_pieces([(1, b"one\n"), (2, b"two\n"), (1, b"three\n")]))
    assert ctn.finish() == 0
    with open(index_of(ctn), "r+b") as f:
        f.seek(48 + 8)
        f.write(b"\xff" * 8)
    assert read(ctn, "stdout") == read(ctn, "log") == b"one\ntwo\nthree\n" and read(ctn, "stderr") == b""
    assert re.fullmatch(rb"(\S+Z stdout \w+\n){3}", read(ctn, "log.times"))
