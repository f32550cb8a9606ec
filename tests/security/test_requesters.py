# SPDX-License-Identifier: Apache-2.0
"""N33, N34: who asks decides what is given.

lxcfs (CVE-2015-1342, CVE-2015-1344) moved any process into any control group for whoever had the file open, for
it did so as itself. Here the kernel asks for the rights of the requester before the server hears of it, by the
modes of the files; with -o group=NAME that group may read some, and nobody but root may write any. And what a
container, a session or a helper gets to see of others' environments is nothing (CVE-2020-14370).

The controls are root, for whom the same succeeds, and the server's own environment, which has what is looked for."""

import grp
import os
import stat

import pytest

from attackers import TELL, arm, enter
from basics import RANGE, slurp
from sessions import session, wait_code

SECRET = "CTNFS_TEST_SECRET"  # in the environment of each server of the tests


class As:
    """The file system's view of another user, for this thread (as a FUSE request has it)."""

    def __init__(self, uid, groups=()):
        self.uid, self.groups = uid, list(groups)

    def __enter__(self):
        self.before = os.getgroups()
        os.setgroups(self.groups)
        os.setegid(self.uid)
        os.seteuid(self.uid)

    def __exit__(self, *_):
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(self.before)


def attempt(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return type(e).__name__


def open_and_close(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK))
    return "ok"


def tree(server, ctn):
    """Each file that is listed, and those that are not."""
    for at, dirs, files in os.walk(server.mnt):
        for name in dirs + files:
            path = os.path.join(at, name)
            if not os.path.islink(path):
                yield path
    yield ctn.path("wait")


@pytest.fixture
def grouped(new_server):
    name = next(g.gr_name for g in grp.getgrall() if g.gr_name in ("users", "games", "nogroup"))
    server = new_server("group=" + name)
    ctn = arm(server.make()).start(TELL, "wait")
    session(ctn, "s").start(TELL, "wait")
    return server, ctn, grp.getgrnam(name).gr_gid


def changes(server, ctn):
    """What there is to change but for files' contents."""
    yield os.mkdir, server.path("new-one")
    yield os.rmdir, ctn.path()
    yield os.rename, ctn.path(), server.path("renamed")
    yield os.mkdir, ctn.path("execs", "t")
    yield os.rmdir, ctn.path("execs", "s")
    yield os.chmod, ctn.path("env"), 0o666
    yield os.chown, ctn.path("env"), 1000, 1000
    yield os.truncate, ctn.path("log"), 0
    yield os.symlink, "../../x/ns/net", ctn.path("ns", ".t")
    yield os.unlink, ctn.path("env")
    yield os.setxattr, ctn.path("env"), "user.x", b"1"


def test_of_a_group_that_may_look(grouped):
    server, ctn, gid = grouped
    paths = [(p, stat.S_IMODE(os.stat(p).st_mode), os.path.isdir(p)) for p in tree(server, ctn)]
    assert len(paths) > 80
    for uid, groups in (1000, [gid]), (1000, [5]), (ctn.server.id_base, []):
        with As(uid, groups):
            for path, mode, is_dir in paths:
                may = gid in groups and mode & 0o040
                assert attempt(open_and_close, path, os.O_RDONLY) == ("ok" if may else "PermissionError"), (uid, path)
                if not is_dir:
                    assert attempt(open_and_close, path, os.O_WRONLY) == "PermissionError", (uid, path)
                    assert attempt(open_and_close, path, os.O_RDWR | os.O_APPEND) == "PermissionError", (uid, path)
            for f, *args in changes(server, ctn):
                assert attempt(f, *args) == "PermissionError", (uid, f, args)
    assert ctn.state() == "running" and server.containers() == [ctn.name]
    assert not any(mode & 0o027 for _, mode, _ in paths if mode & 0o777 != 0o777)


def test_a_file_that_was_opened_by_root(grouped):
    """What is written counts by who has opened, as with any file; another process cannot open it again."""
    server, ctn, gid = grouped
    fd = os.open(ctn.path("env"), os.O_WRONLY | os.O_APPEND)
    with As(1000, [gid]):
        assert attempt(open_and_close, "/proc/self/fd/%d" % fd, os.O_WRONLY) == "PermissionError"
        assert attempt(open_and_close, ctn.path("cgroup/procs"), os.O_WRONLY) == "PermissionError"
    os.close(fd)


def test_control_as_root(grouped):
    server, ctn, gid = grouped
    for name in "env", "log", "cmd", "caps.sets", "seccomp.denied", "execs/s/env", "spec", "error", "config.json":
        assert attempt(open_and_close, ctn.path(name), os.O_RDONLY) == "ok", name
    for name in "env", "cgroup/procs", "ctl", "memory.limit":
        assert attempt(open_and_close, ctn.path(name), os.O_WRONLY) == "ok"
    with As(1000, []):
        assert attempt(open_and_close, "/proc/self/status", os.O_RDONLY) == "ok"


def test_a_container_sees_nothing_of_another(tidy):
    """Neither through the mount, which cannot be bound in, nor where its files are kept."""
    a, b = tidy.make(), arm(tidy.make(), "privileged").put("caps", "default").put("seccomp", "default")
    a.start("sleep", "100000")
    for source in (tidy.mnt, a.path(), tidy.state, tidy.run, os.readlink(a.path("layer"))):
        b.put("mounts", "%s /x none rbind 0 0" % source)
        assert b.write("cmd", "true\n") != 0, source
        assert b.last_error().text
        b.write("mounts", "\n")
    out = b.output("ls %s %s %s 2>&1; true" % (tidy.mnt, tidy.state, tidy.run))
    assert a.get("id") not in out and a.name + "\n" not in out.splitlines(), out


# --- environments ---

def environ(pid):
    return sorted(slurp("/proc/%d/environ" % pid).rstrip("\0").split("\0"))


def parent(pid):
    return int(slurp("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[1])


def test_environments_are_exact(tidy):
    """Of several containers at once, of what enters them, of sessions, and of all that watches over them."""
    made = []
    for i in range(3):
        ctn = arm(tidy.make()).put("env", "MINE=%d" % i, append=True)
        made.append(ctn.start(TELL, "wait"))
    script = "cat /proc/self/environ | tr '\\0' '\\n'"
    for i, ctn in enumerate(made):
        want = sorted(ctn.lines("env"))
        assert environ(ctn.pid()) == want and "MINE=%d" % i in want
        assert environ(parent(ctn.pid())) == [""], "the monitor's"
        got = enter(ctn, "sh", "-c", script, code=0, env={"PATH": "/bin", SECRET: "caller"}).stdout
        assert set(got.splitlines()) - {"PWD=/"} == set(want)
        s = session(ctn, "s").put("env", "OWN=1", append=True).start("sh", "-c", script)
        assert wait_code(s) == 0
        assert set(s.read("log").splitlines()) - {"PWD=/"} == set(want) | {"OWN=1"}
        s.remove()


def test_nobodys_memory_has_the_servers_environment(tidy):
    """Not even where no environment is: the stack that a monitor began on."""
    ctn = arm(tidy.make()).start(TELL, "wait")
    s = session(ctn, "s").start(TELL, "wait")
    for pid in ctn.pid(), parent(ctn.pid()), int(s.get("pid")), parent(int(s.get("pid"))):
        assert SECRET.encode() not in stack_of(pid)
    assert SECRET.encode() in stack_of(tidy.proc.pid)  # or the test could not tell


def stack_of(pid):
    line = next(l for l in slurp("/proc/%d/maps" % pid).splitlines() if l.endswith("[stack]"))
    low, high = (int(n, 16) for n in line.split()[0].split("-"))
    with open("/proc/%d/mem" % pid, "rb") as f:
        f.seek(low)
        return f.read(high - low)
