# SPDX-License-Identifier: Apache-2.0
"""execs/: programs started in a running container, as directories."""

import errno
import os
import re
import stat
import subprocess
import threading

import pytest

from basics import build_path, err_name, have, limit, slurp, until
from sessions import existing, host_pids, names, session, wait_code


def session_files():
    """What `ctnfs --tree` says a session has."""
    out = subprocess.run([build_path("ctnfs"), "--tree"], capture_output=True, text=True).stdout
    words = re.search(r"^<name>/execs/\*/ .* a session: ([\w. ]+),", out, re.M)[1].split()
    assert len(words) > 10
    return words


@pytest.fixture
def s(idle):
    return session(idle, "s")


# --- the job ---

@pytest.mark.skipif(not have("redis-server"), reason="redis-server is not installed")
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_dump_of_redis(tidy, shell):
    db = tidy.make("db").put("cmd", "redis-server --save '' --dir /tmp").until_log("Ready")
    streams = "stdout" if "stdout" in session_files() else "log"
    r = tidy.sh("""set -e
        mkdir db/execs/ping; echo 'redis-cli set key value' > db/execs/ping/cmd
        cat db/execs/ping/wait db/execs/ping/%s; rmdir db/execs/ping
        mkdir db/execs/dump; echo 'redis-cli --rdb /tmp/d.rdb' > db/execs/dump/cmd
        cat db/execs/dump/wait db/execs/dump/%s; rmdir db/execs/dump
        ls db/execs""" % (streams, streams), shell=shell)
    assert re.match(r"0\nOK\n0\n", r.stdout)
    assert re.search(r"^REDIS\d{4}.*key.*value", slurp(db.path("root/tmp/d.rdb")), re.S)
    assert db.state() == "running"


def test_output_and_exit_code(s):
    s.sh("echo out; echo err >&2; exit 7")
    assert wait_code(s) == 7
    assert s.state() == "exited" and s.get("exit") == "7" and s.get("pid") == ""
    assert sorted(s.lines("log")) == ["err", "out"]
    assert s.server.sh("cat %s/wait %s/exit" % (s.name, s.name)).stdout == "7\n7\n"


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137),
                                          ("kill -TERM $$", 143)])
def test_exit_codes(s, script, code):
    s.sh(script)
    assert wait_code(s) == code and s.get("exit") == str(code)


def test_it_is_in_the_container(idle, s):
    s.sh("echo here > /tmp/s; hostname; id -u; cat /proc/self/status; sleep 1000").until_log("nonvol")
    log = s.read("log")
    assert log.startswith(idle.get("hostname") + "\n0\n")
    for key in ("CapBnd", "CapEff", "Seccomp", "NoNewPrivs", "CapInh"):
        assert re.search(r"^%s:\t%s$" % (key, idle.proc_status(key)), log, re.M), key
    for kind in ("ipc", "mnt", "net", "pid", "user", "uts", "cgroup"):
        assert os.stat("/proc/%d/ns/%s" % (s.pid(), kind)).st_ino == \
            os.stat(idle.path("ns", kind)).st_ino, kind
    assert slurp(idle.path("root/tmp/s")) == "here\n"
    assert s.pid() in host_pids(s) and s.pid() in host_pids(idle)
    assert idle.pid() in host_pids(idle) and idle.pid() not in host_pids(s)
    assert str(s.pid()) in idle.lines("cgroup/procs")
    assert s.proc_status("NSpid").split()[-1] in os.listdir(idle.path("procs"))


def test_limits_are_the_containers(idle, s):
    idle.put("cgroup/pids.max", int(idle.get("cgroup/pids.current")) + 2)
    s.sh("sleep 1000 & sleep 1000 & sleep 1000 & wait; exit 9")
    assert wait_code(s) != 0 or "fork" in s.read("log")
    assert re.search(r"fork|Resource temporarily", s.read("log"))


# --- configuration ---

def test_what_it_starts_with(tidy):
    c = tidy.make().put("env", "LEVEL=high", append=True).put("cwd", "/usr").put("user", "daemon")
    c.start("sleep", "1000")
    s = session(c, "s")
    assert "LEVEL=high" in s.lines("env")
    assert (s.get("cwd"), s.get("user"), s.get("cmd")) == ("/usr", c.get("user"), "")
    s.sh("echo $LEVEL; pwd; id -un").finish()
    assert s.lines("log") == ["high", "/usr", "daemon"]


def test_env_cwd_and_user_of_its_own(idle, s):
    s.put("env", "A=1", append=True).put("cwd", "/var").put("user", "bin")
    s.sh("echo $A; pwd; id -un; id -u")
    assert wait_code(s) == 0
    assert s.lines("log")[:3] == ["1", "/var", "bin"]
    assert "A=1" not in idle.lines("env")
    assert (idle.get("cwd"), idle.get("user")) == ("/", "root")
    assert s.read("cmd").startswith("sh -c ")


def test_status_and_pending(idle, s):
    assert s.read("pending") == ""
    s.start("sleep", "1000")
    assert s.read("pending") == ""
    s.put("env", "A=1", append=True).put("cwd", "/tmp")
    assert s.get("cwd") == "/" and "A=1" not in s.lines("env")
    assert s.lines("pending") == ["env A=1", "cwd /tmp"]
    idle.put("cwd", "/usr")
    told = s.status()
    assert (told["Name"], told["Id"], told["Pid"]) == ("s", s.get("id"), s.get("pid"))
    assert (told["State"], told["Pending"], told["OomKilled"]) == ("running", "2", "")
    assert (told["Uids"], told["Cmd"]) == (idle.status("Uids"), "sleep 1000")
    s.put("ctl", "restart 0")
    assert s.get("cwd") == "/tmp" and s.read("pending") == ""


def test_editors_work(idle, s):
    s.put("env", "A=1", append=True)
    idle.server.sh("sed -i s/A=1/A=2/ %s/env" % s.name)
    assert "A=2" in s.lines("env")


def test_its_scratch_files_go_with_it(tidy):
    """There is room for 64 MiB of them in all containers."""
    for i in range(6):
        c = tidy.make()
        s = session(c, "s")
        for k in range(16):
            with open(s.path("%d.tmp" % k), "wb") as f:
                f.write(bytes(1 << 20))
        if i % 2:
            s.remove()
        c.remove()


def test_again_with_another_command(s):
    for word in ("one", "two", "three"):
        s.start("echo", word)
        assert wait_code(s) == 0
    assert s.lines("log") == ["one", "two", "three"]
    s.put("ctl", "start")
    assert wait_code(s) == 0
    assert s.lines("log")[3:] == ["three"]


def test_it_takes_no_other_command_while_it_runs(s):
    s.start("sleep", "1000")
    s.refused("cmd", "echo x", errno.EBUSY, "stop")


# --- refusals ---

def test_missing_programs_and_such(idle, s):
    s.refused("cmd", "nonesuch --option", errno.ENOENT, "nonesuch")
    s.refused("cmd", "/etc/passwd", errno.EACCES, "passwd")
    s.refused("cmd", "echo a | cat", errno.EINVAL, "no shell")
    s.put("user", "nobody-knows").refused("cmd", "true", errno.ENOENT, "nobody-knows")
    s.put("user", "root")
    assert s.state() == "created"
    with pytest.raises(OSError) as e:
        s.read("wait")
    assert e.value.errno == errno.ESRCH
    told = idle.server.last_error()
    assert told.where == s.name and told.code == "ESRCH", told
    assert idle.read("error") == ""
    s.start("echo", "works")
    assert wait_code(s) == 0


def test_a_container_that_does_not_run(ctn):
    s = session(ctn, "s")
    s.refused("cmd", "echo x", errno.ESRCH, "does not run.*start it")
    ctn.sh("exit 0").finish()
    s.refused("cmd", "echo x", errno.ESRCH, "does not run.*start it")
    s.refused("ctl", "start", (errno.ESRCH, errno.EINVAL))
    ctn.start("sleep", "1000")
    s.start("echo", "x")
    assert wait_code(s) == 0


def test_a_paused_container(idle, s):
    idle.put("ctl", "pause")
    s.refused("cmd", "echo x", errno.EBUSY, "paused|resume")
    idle.put("ctl", "resume")
    s.start("echo", "x")
    assert wait_code(s) == 0


def refusal(idle, call, *args):
    with pytest.raises(OSError) as e:
        call(*args)
    return e.value.errno, idle.last_error()


@pytest.mark.parametrize("name", [".x", "a b", "x" * 65, "-x", "ä", "*", "a:b", "new"])
def test_bad_names(idle, name):
    code, told = refusal(idle, os.mkdir, idle.path("execs", name))
    assert (code, told.code) == (errno.EINVAL, "EINVAL")
    assert told.where.startswith("execs/") and len(told.text) > 20
    assert names(idle) == []


@pytest.mark.parametrize("name", ["a", "x" * 64, "0", "A.b_c-d", "tasks", "cgroup.procs", "s"])
def test_good_names(idle, name):
    s = session(idle, name)
    s.start("true")
    assert wait_code(s) == 0 and names(idle) == [name]
    with pytest.raises(FileExistsError):
        os.mkdir(s.path())
    s.remove()
    assert names(idle) == []


def test_nothing_else_is_made_there(idle, s):
    there = idle.path("execs/thing")
    for make in (lambda: open(there, "x"), lambda: os.mkfifo(there), lambda: os.symlink("x", there),
                 lambda: open(idle.path("execs/.thing"), "w"), lambda: os.mkdir(s.path("d")),
                 lambda: os.link(s.path("env"), there)):
        code, _ = refusal(idle, make)
        assert code == errno.EPERM
    assert names(idle) == ["s"]


def test_it_keeps_its_name(idle, s):
    other = idle.server.make()
    for to in (idle.path("execs/t"), idle.path("t"), idle.server.path("t"), other.path("execs/s")):
        code, told = refusal(idle, os.rename, s.path(), to)
        assert code == errno.EPERM
        assert told.code == "EPERM" and "session" in told.text
    code, _ = refusal(idle, os.rename, other.path(), idle.path("execs/t"))
    assert code == errno.EPERM
    code, _ = refusal(idle, os.rmdir, idle.path("execs"))
    assert code == errno.EPERM
    assert names(idle) == ["s"]


def test_what_it_has_not(idle, s):
    for name in ("hostname", "spec", "caps", "cgroup", "ns", "execs", "memory.limit", "proc"):
        with pytest.raises(FileNotFoundError):
            os.lstat(s.path(name))
    code = s.write("hostname", "x\n")
    assert code == errno.ENOENT
    assert "../../hostname" in s.last_error().text
    assert s.write("cmdd", "x\n") == errno.ENOENT
    assert "cmd?" in s.last_error().text
    with pytest.raises(FileNotFoundError):
        os.rmdir(idle.path("execs/nonesuch"))


# --- as a directory ---

def test_listing(idle, s):
    words = session_files()
    assert set(os.listdir(s.path())) == set(words) - {"wait"}
    for name in words:
        st = os.lstat(s.path(name))
        assert stat.S_IMODE(st.st_mode) in (0o200, 0o400, 0o600, 0o700), name
        assert st.st_ino != os.lstat(idle.path(name)).st_ino, name
        if not stat.S_ISDIR(st.st_mode) and name != "wait":
            s.read(name)
    assert stat.S_IMODE(os.stat(s.path()).st_mode) == 0o700
    for top in (idle.path(), idle.path("execs"), s.path()):
        dirs = [e for e in os.scandir(top) if e.is_dir(follow_symlinks=False)]
        assert os.stat(top).st_nlink == 2 + len(dirs), top
    for entry in list(os.scandir(s.path())) + list(os.scandir(idle.path("execs"))):
        assert entry.inode() == os.lstat(entry.path).st_ino
    assert idle.server.containers().count(idle.name) == 1 and "s" not in idle.server.containers()


def test_the_way_up(idle, s):
    r = idle.server.sh("cd %s && cd .. && pwd -P && ls && ls -ai . && stat -c %%i ." % s.name)
    assert r.stdout.startswith(idle.path("execs") + "\ns\n")
    up = [l.split() for l in idle.server.sh("ls -ai %s" % s.name).stdout.splitlines()]
    inode = {name: int(number) for number, name in up}
    assert inode[".."] == os.stat(idle.path("execs")).st_ino
    assert inode["."] == os.stat(s.path()).st_ino


def test_times(idle, s):
    def mtime(path):
        return os.stat(path).st_mtime_ns

    before = mtime(idle.path("execs"))
    assert before >= mtime(s.path("id")) - 1
    t = session(idle, "t")
    made = mtime(idle.path("execs"))
    assert made > before
    t.remove()
    assert mtime(idle.path("execs")) > made
    before = mtime(s.path("state"))
    s.start("true")
    wait_code(s)
    assert mtime(s.path("state")) > before


def test_two_containers_and_their_sessions(tidy):
    both = [tidy.make().start("sleep", "1000") for _ in range(2)]
    for c in both:
        session(c, "same").start("sh", "-c", "echo %s; sleep 1000" % c.name)
    for c in both:
        existing(c, "same").until_log(c.name)
    both[0].put("ctl", "kill")
    until(lambda: existing(both[0], "same").state() == "exited", "it ends with its container")
    assert existing(both[1], "same").state() == "running"


TOOLS = ("find . -type f", "grep -r no_such_word .", "ls -lR .", "find . -exec stat {} +", "du -a .",
         "find . -type f -exec cat {} +", "tar -cf $T/t.tar .", "cp -r . $T/copy", "cp -a . $T/copy-a")


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_do_not_hang(idle, tmp_path, tool):
    session(idle, "running").start("sleep", "1000")
    session(idle, "created")
    ended = session(idle, "ended")
    ended.sh("echo over").finish()
    r = subprocess.run(["sh", "-c", tool], cwd=idle.path(), env=dict(os.environ, T=str(tmp_path)),
                       capture_output=True, text=True, timeout=limit(20))
    assert r.returncode in (0, 1), r.stderr
    if tool.startswith("cp -r"):
        assert (tmp_path / "copy/execs/ended/log").read_text() == "over\n"
    assert existing(idle, "running").state() == "running"


def test_a_group_may_look(new_server):
    import grp
    name = grp.getgrgid(65534).gr_name if any(g.gr_gid == 65534 for g in grp.getgrall()) else "daemon"
    server = new_server("group=" + name)
    c = server.make()
    s = session(c, "s")
    gid = grp.getgrnam(name).gr_gid
    for path, mode in ((c.path("execs"), 0o750), (s.path(), 0o750), (s.path("state"), 0o440),
                       (s.path("env"), 0o600), (s.path("log"), 0o600), (s.path("exit"), 0o440)):
        st = os.stat(path)
        assert stat.S_IMODE(st.st_mode) == mode, path
        assert st.st_gid == (gid if mode & 0o40 else 0), path


# --- waiting ---

def test_sixty_four_waiters(s):
    s.start("sleep", "1000")
    results = []
    threads = [threading.Thread(target=lambda: results.append(s.get("wait")), daemon=True)
               for _ in range(64)]
    for t in threads:
        t.start()
    for _ in range(20):
        assert s.server.sh("cat %s/state" % s.name).stdout == "running\n"
    s.put("ctl", "kill")
    for t in threads:
        t.join(limit(10))
    assert results == ["137"] * 64


def test_a_descriptor_outlives_it(idle, s):
    s.put("env", "SECRET=1", append=True)
    fd = os.open(s.path("env"), os.O_RDONLY)
    where = os.open(s.path(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        s.remove()
        session(idle, "s").put("env", "OTHER=1", append=True)
        try:
            assert b"OTHER" not in os.pread(fd, 4096, 0)
        except OSError as e:
            assert e.errno in (errno.ESTALE, errno.ENOENT, errno.ENODEV), err_name(e.errno)
        with pytest.raises(OSError) as e:
            os.stat("env", dir_fd=where)
        assert e.value.errno in (errno.ESTALE, errno.ENOENT)
    finally:
        os.close(fd)
        os.close(where)
