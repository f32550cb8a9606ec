# SPDX-License-Identifier: Apache-2.0
"""ln -sf ../../db/ns/net web/ns/net: what a symbolic link says of a namespace."""

import errno
import os
import stat

import pytest

from sharing import db, idle, same, settings, web  # noqa: F401 (db and web are fixtures)


def ln(server, target, name, code=0):
    r = server.sh("ln -sf %s %s" % (target, name), check=False)
    assert (r.returncode != 0) == (code != 0), r.stderr
    if code:
        assert os.strerror(code) in r.stderr and getattr(errno, server.last_error().code) == code
        assert not [n for n in os.listdir(os.path.dirname(server.path(name))) if n.startswith("Cu")]


@pytest.mark.parametrize("target", ["../../db/ns/net", "$M/db/ns/net", "../../web/../db/ns/./net",
                                    "$M/../$(basename $M)/db//ns/net"])
def test_of_a_container(db, web, target):
    ln(web.server, target, "web/ns/net")
    path = web.path("ns/net")
    assert stat.S_ISREG(os.lstat(path).st_mode) and web.get("ns/net") == "container:db"
    assert os.stat(path).st_nlink == 1 and settings(web)["user"] == "container:db"
    assert "*" not in os.listdir(web.path("ns")) and len(os.listdir(web.path("ns"))) == 8
    idle(web)
    assert same("net", web, db)


def test_standing_inside(db, web):
    web.server.sh("cd web/ns && ln -sf ../../db/ns/pid pid && cat pid", cwd=web.server.mnt)
    assert web.get("ns/pid") == "container:db"


def test_through_another_name_of_the_mount(db, web, tmp_path):
    os.symlink(web.server.mnt, str(tmp_path / "mnt"))
    ln(web.server, "%s/mnt/db/ns/net" % tmp_path, "web/ns/net")
    assert web.get("ns/net") == "container:db"
    web.put("ns/net", "new").put("ns/net", "%s/mnt/db/ns/net" % tmp_path)
    assert web.get("ns/net") == "container:db"


def test_of_a_path(db, web):
    ln(web.server, "/proc/%d/ns/net" % os.getpid(), "web/ns/net")
    assert web.get("ns/net") == "/proc/%d/ns/net" % os.getpid()
    ln(web.server, "../../../../../../../../../../proc/%d/ns/uts" % os.getpid(), "web/ns/uts")
    assert web.get("ns/uts") == "/proc/%d/ns/uts" % os.getpid()


@pytest.mark.parametrize("target,kind,code", [
    ("../../db/ns/pid", "net", errno.EINVAL),  # of another kind
    ("../../web/ns/net", "net", errno.EINVAL),  # itself
    ("net", "net", errno.EINVAL),
    ("../../nobody/ns/net", "net", errno.ENOENT),
    ("../../db/status", "net", errno.EINVAL),
    ("../../db", "net", errno.EINVAL),
    ("../../db/ns/net/x", "net", errno.EINVAL),
    ("/etc/passwd", "net", errno.EINVAL),
    ("/no/such/file", "net", errno.ENOENT),
    ("'../../d b/ns/net'", "net", errno.EINVAL),
    ("../../db/ns/mnt", "mnt", errno.EOPNOTSUPP),
])
def test_refused(db, web, target, kind, code):
    ln(web.server, target, "web/ns/" + kind, code)
    assert web.get("ns/" + kind) == "new" and len(os.listdir(web.path("ns"))) == 8


def test_while_it_runs(db, web):
    idle(web)
    ln(web.server, "../../db/ns/net", "web/ns/net", errno.EBUSY)
    assert stat.S_ISLNK(os.lstat(web.path("ns/net")).st_mode) and not same("net", web, db)
    web.put("ctl", "kill")
    assert web.get("ns/net") == "new"


def test_plain_ln(db, web):
    r = web.server.sh("ln -s ../../db/ns/net web/ns/net", check=False)
    assert r.returncode and os.strerror(errno.EEXIST) in r.stderr and web.get("ns/net") == "new"


def test_by_hand(db, web):
    """What languages' libraries do: a link of any name, then rename(2)."""
    tmp = web.path("ns/.tmp")
    os.symlink("../../db/ns/ipc", tmp)
    assert os.readlink(tmp) == "../../db/ns/ipc" and stat.S_ISLNK(os.lstat(tmp).st_mode)
    assert ".tmp" in os.listdir(web.path("ns")) and ".tmp" not in os.listdir(db.path("ns"))
    with pytest.raises(FileExistsError):
        os.symlink("x", tmp)
    os.replace(tmp, web.path("ns/ipc"))
    assert web.get("ns/ipc") == "container:db" and not os.path.lexists(tmp)
    os.symlink("../../db/ns/net", tmp)
    for to, code in ((web.path("ns/other"), errno.EPERM), (web.path("ns.list"), errno.EXDEV),
                     (db.path("ns/net"), errno.EXDEV)):
        with pytest.raises(OSError) as e:
            os.rename(tmp, to)
        assert e.value.errno == code, to
    os.unlink(tmp)
    assert not os.path.lexists(tmp)


def test_only_there_and_only_a_few(web):
    for name in ("x", "procs/x", "cgroup/x"):
        with pytest.raises(PermissionError):
            os.symlink("y", web.path(name))
    for i in range(16):
        os.symlink("x" * (i + 1), web.path("ns/l%d" % i))
    with pytest.raises(OSError) as e:
        os.symlink("y", web.path("ns/last"))
    assert e.value.errno == errno.ENOSPC
    assert os.readlink(web.path("ns/l9")) == "x" * 10
    web.remove()
    again = web.server.make("web")
    assert len(os.listdir(again.path("ns"))) == 8


def test_the_session(tidy, db):
    """As the issue has it."""
    tidy.make("web")
    tidy.sh("ln -sf ../../db/ns/net web/ns/net; cat web/ns/net; echo container:db > web/ns/pid;"
            "echo host > web/ns/net; cat web/ns/net; echo 'net container:db' > web/ns.list;"
            "[ $(cat web/ns/net) = container:db ]; echo sleep 1000 > web/cmd;"
            "[ web/ns/net -ef db/ns/net ] && [ web/ns/pid -ef db/ns/pid ] && [ web/ns/user -ef db/ns/user ]")
