# SPDX-License-Identifier: Apache-2.0
"""Namespaces by a path, files of a layer whose ids change, and what must not be reached."""

import errno
import os
import subprocess

import pytest

from basics import limit, until
from sharing import KINDS, db, idle, own, same, web  # noqa: F401 (db and web are fixtures)


# --- the layer ---

def owners(path):
    return {os.path.relpath(os.path.join(d, n), path): os.lstat(os.path.join(d, n)).st_uid
            for d, dirs, files in os.walk(path) for n in dirs + files}


def test_the_layer_follows_the_ids(db, web):
    script = ("mkdir -p /srv/a/b; echo 1 > /srv/a/b/f; ln -s /etc/passwd /srv/a/l; chown 33:33 /srv/a/b/f;"
              "ln /srv/a/b/f /srv/a/twin; chmod 4755 /srv/a/b/f")
    web.output(script)
    base, theirs = int(web.status("Uids")), int(db.status("Uids"))
    layer = os.readlink(web.path("layer"))
    before = os.stat("/etc/passwd")

    def check(first):
        got = owners(layer)
        assert got["srv/a/b/f"] == got["srv/a/twin"] == first + 33 and got["srv/a"] == first
        assert got["srv/a/l"] == first and os.stat(layer).st_uid == first

    check(base)
    web.put("ns/net", "container:db")
    assert web.output("stat -c %u:%g:%a /srv/a /srv/a/b/f; echo 2 > /srv/a/b/g") == "0:0:755\n33:33:755\n"
    check(theirs)
    web.put("ns/net", "new")
    assert web.output("stat -c %u /srv/a /srv/a/b/f /srv/a/b/g") == "0\n33\n0\n"
    check(base)
    web.put("ns/user", "host")
    assert web.output("stat -c %u /srv/a /srv/a/b/f") == "0\n33\n"
    check(0)
    web.put("ns/user", "new")
    assert web.output("stat -c %u /srv/a /srv/a/b/f") == "0\n33\n"
    check(base)
    after = os.stat("/etc/passwd")
    assert (before.st_uid, before.st_ctime_ns) == (after.st_uid, after.st_ctime_ns)


# --- paths ---

@pytest.fixture
def blue(tmp_path):
    """A named network namespace, made after the server: what `ip netns add blue` does."""
    path = tmp_path / "blue"
    path.touch()
    subprocess.run(["unshare", "--net=" + str(path), "ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["nsenter", "--net=" + str(path), "ip", "addr", "add", "10.1.2.3/32", "dev", "lo"],
                   check=True)
    yield str(path)
    subprocess.run(["umount", str(path)], check=True)
    path.unlink()


def test_a_named_network_namespace(tidy, blue):
    web = tidy.make("web").put("ns/net", blue)
    assert web.get("ns/net") == blue and web.get("ns/user") == "new"
    idle(web)
    assert os.stat("/proc/%d/ns/net" % web.pid()).st_ino == os.stat(blue).st_ino
    assert own("user", web.pid()) != own("user")
    assert web.status("NsForeign") == "net"
    web.put("ctl", "kill")
    out = web.output("ls /sys/class/net; cat /proc/net/fib_trie; echo > /sys/class/net/lo/mtu || true")
    assert out.startswith("lo\n") and "10.1.2.3" in out and "Read-only" in out
    web.put("ns.list", "net %s\nuser host" % blue)
    idle(web)
    assert web.status("NsForeign") == ""


def test_a_link_to_a_named_one(tidy, blue, tmp_path):
    link = str(tmp_path / "link")
    os.symlink(blue, link)
    idle(tidy.make("web").put("ns/net", link))


def test_paths_of_processes(tidy, db, web):
    for kind in KINDS:
        setting = "/proc/%d/ns/%s" % (db.pid(), kind)
        web.put("ns.list", "%s %s\nuser /proc/%d/ns/user" % (kind, setting, db.pid()))
        assert web.get("ns/" + kind) == setting
        idle(web)
        assert same(kind, web, db) and same("user", web, db), kind
        assert web.status("NsForeign") == ""
        web.put("ctl", "kill").put("ns.list", "user new\n%s %s" % (
            kind, "host" if kind == "time" else "new"))


def test_a_foreign_pid_namespace(tidy):
    """Its /proc shows that namespace, and no rights over it."""
    p = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sleep", "100000"])
    try:
        pid = until(lambda: open("/proc/%d/task/%d/children" % (p.pid, p.pid)).read().split(), "a child")[0]
        until(lambda: own("pid", pid) != own("pid"), "it is there")
        web = tidy.make("web").put("ns/pid", "/proc/%s/ns/pid" % pid)
        out = web.output("echo $$; cat /proc/1/comm /proc/self/comm; kill 1 || echo no")
        assert out.splitlines()[1:3] == ["sleep", "cat"] and "no" in out, out
        idle(web)
        assert web.status("NsForeign") == "pid"
        web.put("ctl", "kill")
    finally:
        p.kill()
        p.wait(limit(10))
    web.refused("cmd", "true", (errno.ENOENT, errno.ESRCH), "ns/pid")


def test_a_user_namespace_without_a_process(tidy, tmp_path):
    path = tmp_path / "user"
    path.touch()
    with subprocess.Popen(["unshare", "--user", "sleep", "100000"]) as p:
        until(lambda: own("user", p.pid) != own("user"), "it is there")
        subprocess.run(["mount", "--bind", "/proc/%d/ns/user" % p.pid, str(path)], check=True)
        p.kill()
    try:
        web = tidy.make("web").put("ns/user", str(path))
        web.refused("cmd", "true", errno.EOPNOTSUPP, "/proc/PID/ns/user")
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_cgroup_namespace_of_others(tidy):
    p = subprocess.Popen(["unshare", "--cgroup", "sleep", "100000"])
    try:
        until(lambda: own("cgroup", p.pid) != own("cgroup"), "it is there")
        web = tidy.make("web").put("ns/cgroup", "/proc/%d/ns/cgroup" % p.pid)
        web.refused("cmd", "true", errno.EOPNOTSUPP, "ns/cgroup")
        idle(web.put("ns/user", "host"))
        assert own("cgroup", web.pid()) == own("cgroup", p.pid)
    finally:
        p.kill()
        p.wait(limit(10))


def test_a_container_in_the_hosts(tidy):
    """What it shares of the host is the host's for the sharer, too."""
    db = idle(tidy.make("db").put("ns/net", "host"))
    web = idle(tidy.make("web").put("ns/net", "container:db"))
    assert own("net", web.pid()) == own("net") and same("user", web, db)
    assert web.status("NsForeign") == "net"
    assert "host" in [l for l in web.lines("ns.list") if l.startswith("net ")][0].split()
    web.put("ctl", "kill")
    db.put("ctl", "kill").put("ns/user", "host")
    idle(db)
    idle(web)
    assert own("user", web.pid()) == own("user")


# --- nothing can be reached from inside ---

def test_a_watcher_in_a_shared_pid_namespace(db, web):
    """N01: while the sharer is made, a root beside it looks for descriptors of the host."""
    spy = """
import ctypes, os, time
seen, wrong = set(), []
end = time.time() + %f
while time.time() < end:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if pid == str(os.getpid()):
            continue
        for what in ('cwd', 'root', 'exe', 'fd'):
            path = '/proc/%%s/%%s' %% (pid, what)
            try:
                if what == 'fd':
                    got = [os.readlink(path + '/' + n) for n in os.listdir(path) if int(n) > 2]
                    got = [g for g in got if g.startswith('/') and not g.startswith('/dev/')]
                    got = [g for g in got if 'ctnfs' in g or '/ct-' in g or 'ns:[' in g]
                elif what == 'exe':
                    got = [os.readlink(path)]
                    got = [g for g in got if 'ctnfs' in g or 'monitor' in g or 'memfd' in g]
                else:
                    os.close(os.open(path, os.O_PATH))
                    got = []
                wrong += ['%%s: %%s' %% (path, g) for g in got]
            except OSError:
                pass
        seen.add(pid)
print(len(seen) > 3, wrong)
""" % limit(3)
    db.put("ctl", "kill").put("caps", "+sys_ptrace").py(spy)
    web.put("ns/pid", "container:db").put("caps", "all")
    runs = 0
    while db.state() == "running":
        if web.write("cmd", "true\n") == 0:
            runs += 1
            until(lambda: web.state() != "running", "its end")
    assert runs > 5 and db.finish() == 0
    assert db.read("log").splitlines()[-1] == "True []"


# --- the host name of a joined namespace ---

@pytest.fixture
def pod(tmp_path):
    """A named uts namespace whose host name is mypod."""
    path = tmp_path / "uts"
    path.touch()
    subprocess.run(["unshare", "--uts=" + str(path), "hostname", "mypod"], check=True)
    yield str(path)
    subprocess.run(["umount", str(path)], check=True)


def test_the_name_that_it_has_may_be_said(tidy, pod):
    """As podman says it of each container of a pod."""
    own_name = os.uname().nodename
    web = tidy.make("web").put("hostname", "mypod").put("ns/uts", pod)
    assert web.output("hostname; echo $HOSTNAME") == "mypod\nmypod\n"
    web.put("hostname", web.get("hostname"))  # what is read can be written
    web.refused("hostname", "other", errno.EINVAL, "ns/uts is " + pod)
    web.put("ns/uts", "new").put("hostname", "other").put("ns/uts", pod)
    web.refused("cmd", "true", errno.EINVAL, "hostname: ns/uts is %s, whose host name it has, mypod" % pod)
    assert os.uname().nodename == own_name
    web.put("hostname", "web")
    assert web.output("hostname") == "mypod\n"


def test_the_name_of_another_container(tidy, db, web):
    db.put("hostname", "base")
    web.put("hostname", "base").put("ns/uts", "container:db")
    assert web.output("hostname") == "base\n"
    db.put("hostname", "other")
    web.refused("cmd", "true", errno.EINVAL, "hostname: ns/uts is container:db.*, other;")
