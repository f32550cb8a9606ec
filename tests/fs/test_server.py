# SPDX-License-Identifier: Apache-2.0
"""The server as a program: options, mounting, ending, and who may read."""

import grp
import os
import re
import signal
import stat
import subprocess
import time

import pytest

from basics import build_path, err_name, have, limit, put, slurp, until
from containers import Ctn
from harness import LIVE, mounts_at, server_env


def run(*argv, **kw):
    return subprocess.run([build_path("ctnfs")] + list(argv), capture_output=True, text=True,
                          timeout=limit(20), env=server_env(), stdin=subprocess.DEVNULL, **kw)


def servers_of(s):
    """Processes that bear this server's directories on their command line."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid) as f:
                words = f.read().split("\0")
            if s.mnt in words and "ctnfs" in os.path.basename(words[0]):
                yield int(pid)
        except OSError:
            pass


@pytest.fixture
def daemon(new_server):
    """A place for a server that is started by other means than the harness's."""
    s = new_server(start=False)
    yield s
    if mounts_at(s.mnt):
        for name in s.containers():
            put(Ctn(s, name).path("ctl"), "kill\n")
            os.rmdir(Ctn(s, name).path())
        subprocess.run(["umount", s.mnt], check=True, timeout=limit(20))
    until(lambda: not list(servers_of(s)), "the server ends")


def test_help_and_version():
    r = run("-h")
    assert r.returncode == 0 and r.stderr == ""
    for word in ("MOUNTPOINT", "state=", "run=", "cgroup=", "group=", "subid=", "--tree", "-V"):
        assert word in r.stdout, word
    r = run("-V")
    assert r.returncode == 0 and re.search(r"ctnfs.*\d+\.\d+", r.stdout)


def test_tree():
    r = run("--tree")
    assert r.returncode == 0 and r.stderr == ""
    for word in ("cmd", "ctl", "memory.limit", "rw-------", "r--------", "wait", "README"):
        assert word in r.stdout


@pytest.mark.parametrize("argv", [
    [], ["--nonsense", "/m"], ["-o", "nonsense=1", "/m"], ["-o", "subid=x", "/m"],
    ["-o", "subid=1:", "/m"], ["-o", "subid=0:65536", "/m"], ["-o", "subid=100000:10", "/m"],
    ["-o", "subid=4294967295:65536", "/m"], ["-o", "group=no-such-group", "/m"],
    ["-o", "cgroup=../x", "/m"], ["a", "b", "c"],
], ids=" ".join)
def test_bad_options(session, tmp_path, argv):
    where = str(tmp_path / "m")
    os.mkdir(where)
    argv = [where if a == "/m" else a for a in argv]
    full = argv[:-1] + ["-o", "state=%s/s,run=%s/r" % (tmp_path, tmp_path)] + argv[-1:]
    if any("state=" in a for a in argv) or len(argv) != 3:
        full = argv
    try:
        r = run("-f", *full)
        assert r.returncode != 0 and r.stderr.strip(), full
        assert not mounts_at(where)
    finally:
        subprocess.run(["umount", "-l", where], capture_output=True)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_bad_mount_points(session, tmp_path, kind):
    where = tmp_path / "m"
    if kind == "file":
        where.write_text("x")
    r = run("-f", "-o", "state=%s/s,run=%s/r" % (tmp_path, tmp_path), str(where))
    assert r.returncode != 0 and str(where) in r.stderr


def test_mountinfo(tidy):
    (fields,) = mounts_at(tidy.mnt)
    assert {"rw", "nosuid", "nodev"} <= set(fields[5].split(","))
    assert "noexec" not in fields[5]
    assert fields[fields.index("-") + 1] == "fuse.ctnfs"


def test_without_f_it_returns_when_mounted(daemon):
    r = run("-o", daemon.option_text(), daemon.mnt)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    assert "README" in os.listdir(daemon.mnt)
    daemon.make("a").output("echo works")
    (pid,) = servers_of(daemon)
    assert os.readlink("/proc/%d/cwd" % pid) == "/"
    assert {os.readlink("/proc/%d/fd/%d" % (pid, n)) for n in (0, 1, 2)} == {"/dev/null"}


def test_a_source_word(daemon):
    r = run("anything", daemon.mnt, "-o", daemon.option_text())
    assert r.returncode == 0, r.stderr
    (fields,) = mounts_at(daemon.mnt)
    assert fields[fields.index("-") + 2] in ("anything", "ctnfs")


def test_single_threaded(new_server):
    s = new_server(start=False)
    plain = s.argv
    s.argv = lambda: plain()[:1] + ["-s"] + plain()[1:]
    s.start()
    c = s.make().sh("sleep 1000")
    w = subprocess.Popen(["cat", c.path("wait")], stdout=subprocess.PIPE, text=True)
    c.put("ctl", "kill")
    assert w.communicate(timeout=limit(10))[0] == "137\n"


def test_debug_output(new_server):
    s = new_server(start=False)
    plain = s.argv
    s.argv = lambda: plain()[:1] + ["-d"] + plain()[1:]
    s.expected.append(".")
    s.start()
    s.make().output("true")
    assert "LOOKUP" in s.stderr()


def fstab_line(s, what, kind, where):
    (where / "fstab").write_text("%s %s %s noauto,%s 0 0\n" % (what, s.mnt, kind, s.option_text()))
    return ["mount", "-T", str(where / "fstab"), s.mnt]


@pytest.mark.skipif(not have("mount.fuse3") and not have("mount.fuse"), reason="fuse3 is not installed")
@pytest.mark.parametrize("form", ["mount", "fstab", "mount by path", "fstab by path"])
def test_mount_program(daemon, form, tmp_path):
    """mount(8) finds ctnfs on a path of its own, so by name only an installed one."""
    what, kind = "ctnfs", "fuse.ctnfs"
    if form.endswith("path"):
        what, kind = build_path("ctnfs") + "#ctnfs", "fuse"
    elif not have("ctnfs"):
        pytest.skip("ctnfs is not installed where mount(8) looks")
    argv = ["mount", "-t", kind, what, daemon.mnt, "-o", daemon.option_text()]
    if form.startswith("fstab"):
        argv = fstab_line(daemon, what, kind, tmp_path)
    r = subprocess.run(argv, env=server_env(), capture_output=True, text=True, timeout=limit(20))
    assert r.returncode == 0, r.stderr
    until(lambda: mounts_at(daemon.mnt), "it is mounted")
    assert daemon.make("a").output("echo works") == "works\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_signals_end_it(new_server, name):
    s = new_server()
    s.proc.send_signal(getattr(signal, "SIG" + name))
    assert s.proc.wait(limit(10)) == 0
    assert not mounts_at(s.mnt)


def test_umount_ends_it(new_server):
    s = new_server()
    subprocess.run(["umount", s.mnt], check=True)
    assert s.proc.wait(limit(10)) == 0


def test_a_lazy_umount_ends_it(new_server):
    s = new_server()
    subprocess.run(["umount", "-l", s.mnt], check=True)
    assert s.proc.wait(limit(10)) == 0


def test_it_ends_while_files_are_open(new_server):
    s = new_server()
    c = s.make().sh("sleep 1000")
    w = subprocess.Popen(["cat", c.path("wait")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fd = os.open(c.path("env"), os.O_RDONLY)
    until(lambda: w.poll() is None, "a reader")
    time.sleep(0.1)
    assert s.terminate() == []
    assert w.wait(limit(5)) != 0
    with pytest.raises(OSError):
        os.pread(fd, 10, 0)
    os.close(fd)
    s.start()
    assert c.state() == "running"


def test_a_second_server_on_the_same_state(server, new_server):
    other = new_server(start=False)
    r = run("-f", "-o", "state=%s,run=%s" % (server.state, other.run), other.mnt)
    assert r.returncode != 0 and server.state in r.stderr
    assert re.search("another|already|in use", r.stderr)
    assert not mounts_at(other.mnt)
    server.make().output("echo still works")


def test_two_servers(server, new_server):
    other = new_server()
    a, b = server.make("same").sh("sleep 1000"), other.make("same").sh("sleep 1000")
    assert a.get("id") != b.get("id")
    a.put("ctl", "kill")
    assert b.state() == "running"


def test_a_place_for_its_cgroups(new_server):
    name = "ctnfs-place-%d" % os.getpid()
    s = new_server("cgroup=/" + name)
    c = s.make()
    for link in os.listdir(c.path("cgroup/raw")):
        assert "/%s/" % name in os.readlink(c.path("cgroup/raw", link))
    assert c.output("echo works") == "works\n"


def test_a_place_for_its_cgroups_that_is_another(new_server):
    """Containers stay where they are; what is asked for is not passed over in silence."""
    places = ["/ctnfs-%s-%d" % (n, os.getpid()) for n in "ab"]
    s = new_server("cgroup=" + places[0])
    c = s.make().sh("sleep 1000")
    assert s.terminate() == []
    s.options = ["cgroup=" + places[1]]
    r = subprocess.run(s.argv(), capture_output=True, text=True, timeout=limit(20))
    assert r.returncode != 0 and "control groups in " + places[0] in r.stderr, r.stderr
    for options in ([], ["cgroup=/" + places[0] + "/"]):
        s.options = options
        s.start()
        assert c.state() == "running"
        assert s.terminate() == []
    s.options = []
    s.start()
    c.put("ctl", "kill").remove()
    assert s.terminate() == []
    s.options = ["cgroup=" + places[1]]
    s.start()
    c = s.make()
    assert all(places[1] + "/" in os.readlink(c.path("cgroup/raw", l)) for l in os.listdir(c.path("cgroup/raw")))


def test_ids_run_out(new_server):
    s = new_server(start=False)
    s.option_text = lambda: "state=%s,run=%s,spares=0,subid=%d:%d" % (s.state, s.run, s.id_base, 2 * 65536)
    s.start()
    a, _ = s.make(), s.make()
    with pytest.raises(OSError) as e:
        os.mkdir(s.path("third"))
    assert err_name(e.value.errno) == "ENOSPC" and "subid" in s.last_error().text
    a.remove()
    s.make("third").output("id -u")


def test_ids_that_lie_across_two_ranges(new_server):
    """Made under another subid option: what such a one has left is not free while another has it, too."""
    s = new_server(start=False)
    moved = 0
    s.option_text = lambda: "state=%s,run=%s,spares=0,subid=%d:%d" % (s.state, s.run, s.id_base + moved, 4 * 65536)
    s.start()
    a, b = s.make("a"), s.make("b")
    assert s.terminate() == []
    moved = 32768
    s.start()
    a.remove()
    bases = [int(c.status("Uids")) for c in (b, s.make("c"), s.make("d"))]
    assert bases == [s.id_base + n for n in (65536, moved + 2 * 65536, moved + 3 * 65536)]
    with pytest.raises(OSError):
        os.mkdir(s.path("e"))
    b.remove()
    assert [int(s.make(n).status("Uids")) for n in "ef"] == [s.id_base + moved + n for n in (0, 65536)]


def as_user(uid, groups, script, cwd):
    def become():
        os.setgroups(groups)
        os.setgid(uid)
        os.setuid(uid)
    return subprocess.run(["sh", "-c", script], preexec_fn=become, cwd="/", capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "M": cwd}, timeout=limit(10))


def test_nobody_else_may_look(server):
    server.make("a")
    for command in ("ls $M", "cat $M/README", "cat $M/a/state", "stat $M/a", "mkdir $M/b"):
        r = as_user(1000, [], command, server.mnt)
        assert r.returncode != 0 and "denied" in r.stderr, command


def test_a_group_may_observe(new_server):
    group = next((g for g in ("users", "games", "nogroup") if any(e.gr_name == g for e in grp.getgrall())), None)
    gid = grp.getgrnam(group).gr_gid
    s = new_server("group=" + group)
    c = s.make("a").sh("echo secret; sleep 1000").until_log("secret")
    assert stat.S_IMODE(os.stat(s.mnt).st_mode) == 0o750 and os.stat(s.mnt).st_gid == gid
    for name in ("stats", "metrics", "a/cgroup/events", "a/state", "a/status", "a/pid", "a/exit", "a/ps", "a/cgroup/memory.usage", "a/memory.limit"):
        r = as_user(1000, [gid], "cat $M/" + name, s.mnt)
        assert r.returncode == 0 and r.stdout, (name, r.stderr)
        r = as_user(1000, [], "cat $M/" + name, s.mnt)
        assert r.returncode != 0, name
        r = as_user(1000, [gid], "test -r $M/%s && ! test -w $M/%s && ! test -x $M/%s" % (3 * (name,)), s.mnt)
        assert r.returncode == 0, name
    assert stat.S_IMODE(os.stat(c.path("state")).st_mode) == 0o440
    assert stat.S_IMODE(os.stat(c.path("cgroup")).st_mode) == 0o750
    assert as_user(1000, [gid], "ls -l $M/a $M/a/cgroup", s.mnt).returncode == 0
    for command in ("cat $M/a/env", "cat $M/a/log", "cat $M/a/cmd", "ls $M/a/root/", "ls $M/a/layer/",
                    "cat $M/a/proc/environ", "echo kill > $M/a/ctl", "echo 1M > $M/a/memory.limit",
                    "mkdir $M/b", "rmdir $M/a", "mv $M/a $M/b", "echo A=1 >> $M/a/env", "touch $M/a/.x"):
        r = as_user(1000, [gid], command, s.mnt)
        assert r.returncode != 0 and re.search("denied|not permitted", r.stderr), (command, r.stderr)
    assert c.state() == "running"


def test_the_server_lets_go_of_where_it_was_started(server):
    proc = "/proc/%d" % server.proc.pid
    assert os.readlink(proc + "/cwd") == "/"
    assert server in LIVE
    assert os.readlink(proc + "/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    with open(proc + "/mountinfo") as f:
        assert not any(l.split()[4] == server.mnt for l in f), "it could touch its own mount"


def test_writes_of_a_path_on_its_own_mount_end(ctn):
    """A directory on the mount itself as layer or program is refused, never waited for."""
    r = put(ctn.path("cmd"), ctn.server.mnt + "/README\n")
    assert err_name(r) in ("ENOENT", "EACCES", "EINVAL")


def test_few_descriptors(new_server, tmp_path):
    """A limit lower than the connections that a monitor could have: it sleeps all the same."""
    program = tmp_path / "few"
    program.write_text("#!/bin/sh\nulimit -n 60\nexec %s \"$@\"\n" % build_path("ctnfs"))
    program.chmod(0o755)
    server = new_server(start=False)
    server.program = str(program)
    server.start()
    c = server.make()
    c.sh("echo ready; sleep 1000").until_log("ready")
    monitor = "/proc/%s/" % re.search(r"PPid:\t(\d+)", slurp("/proc/%d/status" % c.pid()))[1]
    until(lambda: slurp(monitor + "stat").split()[2] == "S", "it sleeps")
    before = slurp(monitor + "schedstat").split()[2]  # how often it has run
    c.get("state")
    assert slurp(monitor + "schedstat").split()[2] == before
