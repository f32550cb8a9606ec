# SPDX-License-Identifier: Apache-2.0
"""Scratch files: what editors, sed -i and mv put beside a file, and over it."""

import errno
import fcntl
import os
import re
import stat
import subprocess
import tempfile
import threading

import pytest

from basics import err_name, have, limit, put, slurp, until
from containers import Ctn

MIB = 1 << 20


def extra(c, sub=""):
    """Names that are no rows."""
    return sorted(set(os.listdir(c.path(sub))) - ROWS[sub])


ROWS = {}


@pytest.fixture
def box(ctn):
    for sub in ("", "cgroup", "ns"):
        ROWS[sub] = set(os.listdir(ctn.path(sub)))
    ctn.put("env", "A=1\nB=2")
    return ctn


def own_env(c):
    return [l for l in c.lines("env") if l.split("=")[0] not in ("PATH", "HOME", "HOSTNAME", "TERM")]


def create(path, flags=os.O_EXCL, mode=0o600):
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, mode)


def run(c, *argv, code=0, **kw):
    r = subprocess.run(argv, cwd=c.path(), capture_output=True, text=True, timeout=limit(20), **kw)
    assert r.returncode == code, "%s: %d\n%s%s; %s" % (argv, r.returncode, r.stdout, r.stderr, c.last_error())
    return r


# --- the programs of the field ---

def vim(c, *settings, file="env", program="vim"):
    argv = [program, "-es"] + (["-u", "NONE"] if program == "vim" else [])
    for each in settings:
        argv += ["-c", "set " + each]
    run(c, *argv, "-c", "%s/A=1/A=7/", "-c", "wq", file)


EDITS = {
    "sed": lambda c: run(c, "sed", "-i", "s/A=1/A=7/", "env"),
    "sed by path": lambda c: run(c, "sed", "-i", "s/A=1/A=7/", c.path("env")),
    "busybox sed": lambda c: run(c, "busybox", "sed", "-i", "s/A=1/A=7/", "env"),
    "perl": lambda c: run(c, "perl", "-i", "-pe", "s/A=1/A=7/", "env"),
    "vim": lambda c: vim(c),
    "vi": lambda c: vim(c, program="vi"),
    "vim backup": lambda c: vim(c, "backup", "backupdir=.", "backupskip="),
    "vim swap": lambda c: vim(c, "swapfile", "directory=."),
    "vim copies": lambda c: vim(c, "backupcopy=yes"),
    "vim renames": lambda c: vim(c, "backupcopy=no"),
    "ed": lambda c: run(c, "ed", "-s", "env", input=",s/A=1/A=7/\nw\nq\n"),
    "tee": lambda c: run(c, "tee", "env", input="A=7\nB=2\n"),
    "mv": lambda c: run(c, "sh", "-c", "sed s/A=1/A=7/ env > env.tmp && mv env.tmp env"),
    "cp": lambda c: run(c, "sh", "-c", "sed s/A=1/A=7/ env > .new && cp .new env && rm .new"),
    "python": lambda c: replace(c, "env", "A=7\nB=2\n"),
}


def replace(c, name, text):
    with tempfile.NamedTemporaryFile("w", dir=c.path(os.path.dirname(name)), delete=False) as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    try:
        os.replace(f.name, c.path(name))
    except OSError:
        os.unlink(f.name)
        raise


@pytest.mark.parametrize("how", EDITS)
def test_editors(box, how):
    for program in ("busybox", "perl", "vim", "vi", "ed"):
        if how.split()[0] == program and not have(program):
            pytest.skip("%s is not installed" % program)
    EDITS[how](box)
    assert own_env(box) == ["A=7", "B=2"]
    left = ["env~"] if how == "vim backup" else []
    assert extra(box) == (["env~"] if how == "vim backup" else [])
    assert how.startswith("vim") or box.read("error") == ""


@pytest.mark.parametrize("bad", ["sed -i s/A=1/BAD/ env", "sed -i 's/A=1/=/' env",
                                 "printf 'C=1\\nBAD\\n' > .x && mv .x env"])
def test_a_bad_edit_changes_nothing(box, bad):
    before = box.read("env")
    r = box.server.sh("cd %s && %s" % (box.name, bad), check=False)
    assert r.returncode  # mv takes EINVAL for "a subdirectory of itself"
    assert box.read("env") == before and "KEY=value" in box.last_error().text
    assert extra(box) in ([], [".x"])  # what mv could not move is still there


def test_sed_in_the_cgroup_directory(box):
    box.put("cgroup/pids.max", 100)
    run(box, "sed", "-i", "s/100/200/", "cgroup/pids.max")
    assert box.get("cgroup/pids.max") == "200" and extra(box, "cgroup") == []
    run(box, "sed", "-i", "s/200/many/", "cgroup/pids.max", code=4)
    assert box.get("cgroup/pids.max") == "200" and "pids.max" in box.last_error().text


# --- what a rename over a file does ---

def test_a_list_is_replaced(box):
    replace(box, "env", "# a comment\nC=3\n\nD=4")
    assert own_env(box) == ["C=3", "D=4"]
    replace(box, "env", "")
    assert own_env(box) == []


def test_a_single_value_is_the_last_line(box):
    replace(box, "hostname", "# which\none\n\ntwo\n\n")
    assert box.get("hostname") == "two"
    replace(box, "hostname", "\n# nothing\n")
    assert box.get("hostname") == "two"


def test_cmd_starts(box):
    replace(box, "cmd", "sleep 1000\n")
    assert box.state() == "running"
    with pytest.raises(OSError) as e:
        replace(box, "cmd", "true")
    assert e.value.errno == errno.EBUSY and box.get("cmd") == "sleep 1000"


def test_cmd_that_cannot_start(box):
    with pytest.raises(OSError) as e:
        replace(box, "cmd", "/nonesuch\n")
    assert e.value.errno == errno.ENOENT and "nonesuch" in box.last_error().text
    assert box.state() == "created" and box.get("cmd") == ""
    assert extra(box) == []


def test_stopped_files_of_a_running_container(idle):
    with pytest.raises(OSError) as e:
        replace(idle, "spec", '{"cmd": ["true"]}')
    assert e.value.errno == errno.EBUSY and "stop" in idle.last_error().text


@pytest.mark.parametrize("name,code", [("ctl", errno.EPERM), ("log", errno.EPERM), ("state", errno.EPERM),
                                       ("cgroup/procs", errno.EPERM), ("README", errno.ENOENT),
                                       ("memory.limt", errno.ENOENT), ("memory.max", errno.ENOENT),
                                       ("proc", errno.ENOENT), ("ns", errno.EISDIR)])
def test_not_over_these(box, name, code):
    os.close(create(box.path(".x")))
    with pytest.raises(OSError) as e:
        os.rename(box.path(".x"), box.path(name))
    assert e.value.errno == code, e.value
    assert extra(box) == [".x"]
    os.unlink(box.path(".x"))


def test_did_you_mean(box):
    os.close(create(box.path(".x")))
    with pytest.raises(OSError):
        os.rename(box.path(".x"), box.path("memory.limt"))
    assert "did you mean memory.limit" in box.last_error().text
    with pytest.raises(OSError) as e:
        os.open(box.path("memory.limt"), os.O_WRONLY | os.O_CREAT)
    assert e.value.errno == errno.ENOENT


def test_io_max_keeps_what_it_had(box):
    device = os.stat("/").st_dev
    line = "%d:%d rbps=1048576" % (os.major(device), os.minor(device))
    if box.write("cgroup/io.max", line + "\n"):
        pytest.skip("no such limit on the root file system's device")
    before = box.read("cgroup/io.max")
    with pytest.raises(OSError):
        replace(box, "cgroup/io.max", line.replace("1048576", "2097152") + "\nnonsense\n")
    assert box.read("cgroup/io.max") == before
    replace(box, "cgroup/io.max", line.replace("1048576", "2097152") + "\n")
    assert "rbps=2097152" in box.read("cgroup/io.max")


def test_real_files_stay(box):
    for name in ("env", "state", "cgroup/pids.max"):
        for to in (".x", "env~", "other"):
            with pytest.raises(OSError) as e:
                os.rename(box.path(name), box.path(to))
            assert e.value.errno == errno.EPERM
        with pytest.raises(OSError) as e:
            os.unlink(box.path(name))
        assert e.value.errno == errno.EPERM
    with pytest.raises(OSError) as e:
        os.rename(box.path("env"), box.path("hostname"))
    assert e.value.errno == errno.EPERM and extra(box) == []


def test_nul(box):
    before = box.read("env")
    with pytest.raises(OSError) as e:
        replace(box, "env", "A=1\0")
    assert e.value.errno == errno.EINVAL and box.read("env") == before


# --- the files themselves ---

@pytest.mark.parametrize("name", [".x", "x~", "x.tmp", "x.swp", "x.swo", ".x.swp"])
def test_names_of_editors(box, name):
    assert put(box.path(name), "text") == 0
    assert slurp(box.path(name)) == "text" and extra(box) == [name]
    os.unlink(box.path(name))
    assert extra(box) == []


@pytest.mark.parametrize("name", ["x", "x.txt", "wait", "stats", "4913"])
def test_other_names(box, name):
    assert put(box.path(name), "text") not in (0, errno.ENOSYS)
    assert extra(box) == []


@pytest.mark.parametrize("name,code", [("env", errno.EEXIST), ("wait", errno.EEXIST), ("pid", errno.EEXIST),
                                       ("proc", errno.ENOENT), ("root", errno.ENOENT), ("4913", errno.EPERM)])
def test_not_by_o_excl(box, name, code):
    with pytest.raises(OSError) as e:
        create(box.path(name))
    assert e.value.errno == code, e.value


def test_where(box):
    for sub in ("", "cgroup", "ns"):
        fd = create(box.path(sub, "one"))
        os.close(fd)
        assert extra(box, sub) == ["one"]
        os.unlink(box.path(sub, "one"))
    for sub in ("procs", "cgroup/raw"):
        with pytest.raises(OSError) as e:
            create(box.path(sub, ".x"))
        assert e.value.errno == errno.ENOENT
    with pytest.raises(OSError) as e:
        create(box.server.path(".x"))
    assert e.value.errno == errno.ENOENT


def test_reads_and_writes(box):
    fd = create(box.path(".x"))
    assert os.write(fd, b"hello") == 5 and os.pwrite(fd, b"J", 0) == 1
    assert os.pread(fd, 100, 0) == b"Jello" and os.pread(fd, 2, 3) == b"lo" and os.pread(fd, 5, 9) == b""
    assert os.pwrite(fd, b"!", 7) == 1
    assert os.pread(fd, 100, 0) == b"Jello\0\0!"
    os.ftruncate(fd, 4)
    assert os.fstat(fd).st_size == 4 and slurp(box.path(".x")) == "Jell"
    os.truncate(box.path(".x"), 6)
    assert slurp(box.path(".x")) == "Jell\0\0"
    os.close(fd)
    assert put(box.path(".x"), "new") == 0 and slurp(box.path(".x")) == "new"
    assert put(box.path(".x"), "er", append=True) == 0 and slurp(box.path(".x")) == "newer"
    os.unlink(box.path(".x"))


def test_attributes(box):
    fd = create(box.path(".x"), mode=0o644)
    st = os.fstat(fd)
    assert stat.S_ISREG(st.st_mode) and st.st_mode & 0o7777 == 0o600 and st.st_nlink == 1
    os.fchmod(fd, 0o640)
    os.fchown(fd, 0, 0)
    os.utime(fd, (1, 2))
    os.fsync(fd)
    st = os.stat(box.path(".x"))
    assert st.st_mode & 0o7777 == 0o640 and st.st_mtime == 2 and st.st_ino == os.fstat(fd).st_ino
    os.write(fd, b"x" * 1000)
    st = os.stat(box.path(".x"))
    assert st.st_size == 1000 and st.st_mtime > 1e9
    with pytest.raises(OSError) as e:
        os.fchown(fd, 1, 1)
    assert e.value.errno == errno.EPERM
    with pytest.raises(OSError) as e:
        os.setxattr(box.path(".x"), "user.x", b"1")
    assert e.value.errno == errno.ENOTSUP
    os.close(fd)
    os.unlink(box.path(".x"))


def test_numbers_are_distinct(box):
    seen = set()
    for i in range(40):
        fd = create(box.path("f.tmp"))
        seen.add(os.fstat(fd).st_ino)
        os.close(fd)
        os.unlink(box.path("f.tmp"))
    assert len(seen) == 40


def test_unlinked_while_open(box):
    fd = create(box.path(".x"))
    os.write(fd, b"text")
    os.unlink(box.path(".x"))
    assert not os.path.exists(box.path(".x"))
    assert os.pread(fd, 10, 0) == b"text" and os.fstat(fd).st_size == 4 and os.fstat(fd).st_nlink == 0
    os.close(fd)


def test_renamed_among_themselves(box):
    fd = create(box.path(".x"))
    os.write(fd, b"text")
    os.rename(box.path(".x"), box.path("y~"))
    assert extra(box) == ["y~"] and slurp(box.path("y~")) == "text"
    assert put(box.path("z.tmp"), "other") == 0
    os.rename(box.path("y~"), box.path("z.tmp"))
    assert extra(box) == ["z.tmp"] and slurp(box.path("z.tmp")) == "text"
    os.write(fd, b"!")
    assert slurp(box.path("z.tmp")) == "text!"
    os.close(fd)
    os.unlink(box.path("z.tmp"))


def test_not_into_another_container(box):
    other = box.server.make()
    assert put(box.path(".x"), "A=1\n") == 0
    with pytest.raises(OSError) as e:
        os.rename(box.path(".x"), other.path("env"))
    assert e.value.errno == errno.EXDEV
    os.unlink(box.path(".x"))


def test_bounds(box):
    fd = create(box.path(".x"))
    os.write(fd, b"x" * MIB)
    for call in (lambda: os.write(fd, b"x"), lambda: os.ftruncate(fd, MIB + 1), lambda: os.pwrite(fd, b"x", 1 << 40)):
        with pytest.raises(OSError) as e:
            call()
        assert e.value.errno == errno.EFBIG and str(MIB) in box.last_error().text
    os.close(fd)
    names = [".x"]
    for i in range(15):
        names.append("f%d.tmp" % i)
        assert put(box.path(names[-1]), "") == 0
    assert put(box.path("f16.tmp"), "") == errno.ENOSPC and "16" in box.last_error().text
    assert put(box.path("cgroup/f16.tmp"), "") == errno.ENOSPC
    for name in names:
        os.unlink(box.path(name))
    assert put(box.path("f16.tmp"), "") == 0
    os.unlink(box.path("f16.tmp"))


def test_unlinked_ones_count_while_they_are_open(box):
    fds = []
    for i in range(16):
        fds.append(create(box.path(".x")))
        os.unlink(box.path(".x"))
    with pytest.raises(OSError) as e:
        create(box.path(".x"))
    assert e.value.errno == errno.ENOSPC
    for fd in fds:
        os.close(fd)
    until(lambda: put(box.path(".x"), "") == 0, "there is room again")
    os.unlink(box.path(".x"))


def test_they_go_with_the_container(tidy):
    c = tidy.make("gone")
    fd = create(c.path(".x"))
    os.write(fd, b"text")
    c.remove()
    assert tidy.containers() == []
    c = tidy.make("gone")
    assert not os.path.exists(c.path(".x"))
    os.close(fd)


def test_a_renamed_container_keeps_them(box):
    assert put(box.path(".x"), "text") == 0
    os.rename(box.path(), box.server.path("moved"))
    assert slurp(Ctn(box.server, "moved").path(".x")) == "text"


def test_mknod(box):
    os.mknod(box.path("made"), stat.S_IFREG | 0o600)
    assert extra(box) == ["made"]
    os.unlink(box.path("made"))


def test_o_tmpfile_and_links_are_refused(box):
    assert put(box.path(".x"), "text") == 0
    with pytest.raises(OSError) as e:
        os.link(box.path(".x"), box.path(".y"))
    assert e.value.errno == errno.EPERM
    os.unlink(box.path(".x"))


def test_many_at_once(box):
    """Eight writers replace one file: each is whole."""
    wrong = []

    def work(i):
        for k in range(10):
            try:
                replace(box, "env", "A=%d-%d\nB=%d-%d\n" % (i, k, i, k))
            except OSError as e:
                wrong.append(e)
            got = own_env(box)
            if len(got) != 2 or got[0][2:] != got[1][2:]:
                wrong.append(got)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and extra(box) == []


def test_locks_of_editors(box):
    fd = create(box.path(".x.swp"))
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    os.unlink(box.path(".x.swp"))
