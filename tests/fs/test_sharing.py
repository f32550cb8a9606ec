# SPDX-License-Identifier: Apache-2.0
"""Namespaces of another container."""

import errno
import itertools
import os

import pytest

from basics import until
from containers import inside
from sharing import KINDS, db, idle, own, same, settings, web  # noqa: F401 (db and web are fixtures)


# --- settings ---

def test_each_kind(db, web):
    for kind in KINDS:
        web.put("ns/" + kind, "container:db")
        assert web.get("ns/" + kind) == "container:db"
        assert web.get("ns/user") == "container:db"
        idle(web)
        assert same(kind, web, db) and same("user", web, db)
        for other in set(KINDS) - {kind, "time"}:
            assert not same(other, web, db), (kind, other)
        assert not same("mnt", web, db)
        assert web.status("NsForeign") == ""
        web.put("ctl", "kill").put("ns/" + kind, "host" if kind == "time" else "new")
        assert web.get("ns/user") == "new"


def test_all_at_once(db, web):
    web.put("ns.list", "\n".join(k + " container:db" for k in KINDS))
    idle(web)
    for kind in KINDS + ["user"]:
        assert same(kind, web, db), kind
    assert web.status("NsForeign") == ""
    for line in web.lines("ns.list"):
        kind, setting, inode, *sharers = line.split()
        if kind == "mnt":
            assert setting == "new" and sharers == []
        else:
            assert setting == "container:db" and "db" in sharers, line
    assert "web" in [l for l in db.lines("ns.list") if l.startswith("net ")][0].split()[3:]


@pytest.mark.parametrize("kinds", [c for n in (2, 3) for c in
                                   itertools.combinations(["cgroup", "ipc", "net", "pid", "uts"], n)],
                         ids=lambda c: "+".join(c))
def test_combinations(db, web, kinds):
    web.put("ns.list", "\n".join(k + " container:db" for k in kinds))
    out = web.output("cat /proc/self/comm; ls /sys/class/net; id -u; readlink /proc/self")
    assert out.splitlines()[:2] == ["cat", "lo"] and "\n0\n" in out
    assert db.state() == "running"


def test_a_user_namespace_alone(db, web):
    idle(web.put("ns/user", "container:db"))
    assert same("user", web, db) and not same("net", web, db)
    assert web.proc_status("Uid") == db.proc_status("Uid")


def test_it_can_be_written_back(db, web):
    web.put("ns.list", "net container:db\npid container:db")
    before = web.read("ns.list")
    assert web.write("ns.list", before) == 0
    assert web.read("ns.list") == before and settings(web)["user"] == "container:db"
    idle(web)
    assert same("net", web, db)


@pytest.mark.parametrize("text,code,says", [
    ("container:nobody", errno.ENOENT, "no container called nobody"),
    ("container:web", errno.EINVAL, "itself"),
    ("container:", errno.EINVAL, "1 to 64"),
    ("container:a/b", errno.EINVAL, "a/b"),
    ("db", errno.EINVAL, "neither new nor host nor container:NAME nor an absolute path"),
    ("../../db/ns/net", errno.EINVAL, "absolute path"),
    ("/etc/passwd", errno.EINVAL, "not a namespace"),
    ("/dev/null", errno.EINVAL, "not a namespace"),
    ("/no/such", errno.ENOENT, "/no/such"),
    ("/proc/self/ns/net", errno.EINVAL, "this server"),
    ("/proc/%d/ns/uts" % os.getpid(), errno.EINVAL, "uts namespace, not a net namespace"),
])
def test_refused(web, text, code, says):
    web.refused("ns/net", text, code, says)
    web.refused("ns.list", "net " + text, code, says)
    assert web.get("ns/net") == "new"


def test_the_mount_namespace_is_its_own(web):
    web.refused("ns/mnt", "container:db", errno.EOPNOTSUPP, "mounts")
    web.refused("ns/mnt", "/proc/1/ns/mnt", errno.EOPNOTSUPP, "mounts")


def test_two_owners(tidy, db, web):
    idle(tidy.make("other"))
    web.put("ns/net", "container:db").put("ns/ipc", "container:other")
    web.refused("cmd", "true", errno.EINVAL, "ns/ipc is container:other and ns/net is container:db")
    web.put("ns/ipc", "container:db").put("ns/user", "container:other")
    web.refused("cmd", "true", errno.EINVAL, "one owner")
    web.put("ns/user", "host")
    web.refused("cmd", "true", errno.EINVAL, "ns/user is host")
    web.put("ns/user", "container:db")
    assert web.output("echo fine") == "fine\n"


def test_it_must_run(tidy, web):
    tidy.make("asleep")
    web.put("ns/net", "container:asleep")
    web.refused("cmd", "true", errno.ESRCH, "start asleep first")


def test_one_that_is_gone(db, web):
    web.put("ns/net", "container:db")
    ident = db.get("id")
    db.put("ctl", "kill")
    db.remove()
    assert web.get("ns/net") == "container:" + ident
    assert web.write("ns/net", web.read("ns/net")) == 0
    web.refused("cmd", "true", errno.ENOENT, "is gone")
    assert web.put("ns/net", "new").output("echo fine") == "fine\n"


# --- what it is for ---

def test_net(db, web):
    """The sharer's root has its rights there: low ports, raw sockets, settings."""
    idle(web.put("ns/net", "container:db").put("caps", "+net_admin"))
    inside(web, "python3", "-c", "import socket as s; s.socket().bind(('127.0.0.1', 80));"
           "s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_ICMP)")
    inside(db, "ip", "link", "add", "dummy7", "type", "dummy") if os.path.exists(
        "/sys/module/dummy") else inside(db, "ip", "addr", "add", "10.9.8.7/32", "dev", "lo")
    assert "10.9.8.7" in inside(web, "ip", "addr").stdout or "dummy7" in inside(
        web, "ls", "/sys/class/net").stdout
    serve = ("import socket; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', 8080));"
             "s.listen(); print('ready', flush=True); s.accept()[0].send(b'hello')")
    web.put("ctl", "kill").py(serve)
    web.until_log("ready\n")
    until(lambda: b":1F90 " in open("/proc/%d/net/tcp" % db.pid(), "rb").read(), "it listens")
    assert inside(db, "python3", "-c", "import socket;"
                  "print(socket.create_connection(('127.0.0.1', 8080)).recv(9))").stdout == "b'hello'\n"


def test_port_80_and_raw_sockets_as_a_program(db, web):
    web.put("ns/net", "container:db")
    web.py("import socket as s; s.socket().bind(('0.0.0.0', 80));"
           "s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_ICMP); print(open('/sys/class/net/lo/mtu').read())")
    assert web.finish() == 0 and web.read("log").strip() == "65536"


def test_pid(db, web):
    idle(web.put("ns/pid", "container:db"))
    assert db.read("procs/1/comm") == "sh\n" if os.path.isdir(db.path("procs/1")) else True
    seen = inside(web, "ls", "/proc").stdout.split()
    mine = [l.split()[1] for l in web.lines("ps")[1:]]
    theirs = [l.split()[1] for l in db.lines("ps")[1:]]
    assert "1" in theirs and "1" not in mine and not set(mine) & set(theirs)
    assert set(mine) | set(theirs) <= set(seen)
    assert set(os.listdir(web.path("procs"))) == set(mine)
    assert {l.split()[2] for l in web.lines("ps")[1:]} == {"0"}, "its root, as it sees itself"


def test_ending_the_sharer_leaves_the_shared(db, web):
    idle(web.put("ns/pid", "container:db"))
    web.put("ctl", "stop 5")
    assert web.get("exit") == "0" and web.get("cgroup/procs") == "" and db.state() == "running"
    web.sh("sleep 1000 & exec sleep 1001")
    web.put("ctl", "kill")
    assert web.get("exit") == "137" and web.get("cgroup/procs") == "" and db.state() == "running"


def test_the_owner_of_a_pid_namespace_takes_the_sharers_along(db, web):
    idle(web.put("ns/pid", "container:db"))
    db.put("ctl", "stop 5")
    assert db.get("exit") == "0"
    assert web.finish() == 137 and web.get("cgroup/procs") == ""


def test_ipc(db, web):
    web.put("ns/ipc", "container:db")
    made = "import ctypes; print(ctypes.CDLL(None).shmget(77, 4096, 0o1600))"
    inside(db, "python3", "-c", made)
    assert " 77 " in " %s " % web.output("awk '$1 == 77' /proc/sysvipc/shm")
    web.put("ns/ipc", "new")
    assert web.output("awk '$1 == 77' /proc/sysvipc/shm") == ""


def test_a_message_queue(db, web):
    web.put("ns/ipc", "container:db")
    inside(db, "sh", "-c", "touch /dev/mqueue/q7")
    assert web.output("ls /dev/mqueue") == "q7\n"


def test_uts(db, web):
    web.put("ns/uts", "container:db")
    assert web.output("hostname") == "db\n"
    web.refused("hostname", "mine", errno.EINVAL, "container:db")
    idle(web)
    db.put("hostname", "renamed")
    assert inside(web, "hostname").stdout == "renamed\n"
    web.put("ctl", "kill").put("ns/uts", "new").put("hostname", "mine").put("ns/uts", "container:db")
    web.refused("cmd", "true", errno.EINVAL, "host name")
    web.put("hostname", "web")  # its name says nothing
    assert web.output("hostname") == "renamed\n"


def test_cgroup(db, web):
    web.put("ns/cgroup", "container:db")
    assert "/../" in web.output("cat /proc/self/cgroup")


# --- life ---

def test_the_sharer_outlives_the_shared(db, web):
    idle(web.put("ns.list", "net container:db\nipc container:db\nuts container:db"))
    net = own("net", web.pid())
    db.put("ctl", "kill")
    db.remove()
    assert web.state() == "running" and own("net", web.pid()) == net
    inside(web, "python3", "-c", "import socket as s; s.socket().bind(('127.0.0.1', 80))")
    web.put("ctl", "pause").put("ctl", "resume").put("ctl", "stop 5")
    assert web.get("exit") == "0"


def test_a_rename_in_between(tidy, db, web):
    web.put("ns/net", "container:db")
    os.rename(db.path(), tidy.path("data"))
    db.name = "data"
    tidy.make("db")  # another one of that name
    assert web.get("ns/net") == "container:data" and settings(web)["user"] == "container:data"
    idle(web)
    assert same("net", web, db)


def test_two_levels(tidy, db, web):
    idle(web.put("ns.list", "net container:db\npid container:db"))
    third = tidy.make("third").put("ns.list", "net container:web\nipc container:web\npid container:db")
    idle(third)
    assert same("net", third, db) and same("pid", third, db) and same("user", third, db)
    assert same("ipc", third, web) and not same("ipc", third, db)
    assert settings(third)["user"] == "container:web"
    web.put("ctl", "kill")
    assert third.state() == db.state() == "running"


def test_pause_of_each(db, web):
    idle(web.put("ns.list", "net container:db\npid container:db"))
    for one, other in ((db, web), (web, db)):
        one.put("ctl", "pause")
        assert other.state() == "running" and other.get("cgroup/freeze") == "0"
        assert inside(other, "true").returncode == 0
        one.put("ctl", "resume")


@pytest.mark.parametrize("verb", ["stop 5", "kill"])
def test_stopping_the_owner_while_the_sharer_is_paused(db, web, verb):
    idle(web.put("ns/pid", "container:db"))
    web.put("ctl", "pause")
    db.put("ctl", verb)
    assert db.state() == "exited"
    assert web.finish() == 137


def test_a_server_in_between(new_server):
    server = new_server()
    db, web = idle(server.make("db")), server.make("web")
    idle(web.put("ns.list", "net container:db\npid container:db"))
    late = server.make("late").put("ns/ipc", "container:db")
    server.kill9()
    server.start()
    assert settings(web)["net"] == "container:db" and web.state() == db.state() == "running"
    assert same("net", web, db) and late.get("ns/user") == "container:db"
    idle(late)
    assert same("ipc", late, db)
    db.put("ctl", "kill")
    assert web.finish() == 137 and late.state() == "running"


def test_restart_of_the_sharer(db, web):
    idle(web.put("ns/net", "container:db")).put("ctl", "restart 0")
    web.until_state("running")
    assert same("net", web, db)
    db.put("ctl", "kill")
    assert web.state() == "running"
    web.put("ctl", "kill")
    web.refused("ctl", "start", errno.ESRCH, "start db first")


def test_init_in_a_shared_pid_namespace(db, web):
    web.put("ns/pid", "container:db").put("init", "1")
    web.sh("(sh -c 'sleep 0.2; exit 3' &) ; sleep 0.5; ps -o stat= -A 2>/dev/null | grep -c Z; true")
    assert web.finish() == 0
