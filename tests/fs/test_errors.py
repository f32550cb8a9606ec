# SPDX-License-Identifier: Apache-2.0
"""Refusals: an errno for programs, a sentence for people, and nothing destroyed."""

import errno
import os
import re
import subprocess
import time

import pytest

from basics import err_name, put


@pytest.mark.parametrize("typed,meant", [("memory.limt", "memory.limit"), ("comand", "cmd"), ("envv", "env"),
                                         ("cgroup/pids.mx", "pids.max"), ("hostnam", "hostname"),
                                         ("ns/nett", "net"), ("sate", "state")])
def test_misspelt_names(ctn, typed, meant):
    before = os.listdir(ctn.path())
    r = ctn.write(typed, "1\n")
    assert r == errno.ENOENT, err_name(r)
    if typed != "comand":
        assert re.search("did you mean .*" + re.escape(meant), ctn.last_error().text)
    assert os.listdir(ctn.path()) == before


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_misspelt_name_in_a_shell(ctn, shell):
    r = ctn.server.sh("echo 1 > %s/memory.limt" % ctn.name, shell=shell, check=False)
    assert r.returncode != 0 and re.search("No such file|nonexistent", r.stderr)


@pytest.mark.parametrize("bad", ["-x", ".x", "a b", "x" * 65, "a\nb", "ü", "a:b", "a,b", "_x", "~x", "a\\b"])
def test_bad_container_names(tidy, bad):
    with pytest.raises(OSError) as e:
        os.mkdir(tidy.path(bad))
    assert e.value.errno in (errno.EINVAL, errno.ENAMETOOLONG)
    assert tidy.containers() == []
    assert tidy.last_error().code == err_name(e.value.errno)


@pytest.mark.parametrize("name", ["README", "error", "status"])
def test_names_of_root_files(tidy, name):
    with pytest.raises(FileExistsError):
        os.mkdir(tidy.path(name))


@pytest.mark.parametrize("name", ["new", "events", "stats", "metrics", "images", "networks"])
def test_reserved_names(tidy, name):
    with pytest.raises(OSError) as e:
        os.mkdir(tidy.path(name))
    assert e.value.errno in (errno.EINVAL, errno.EEXIST)


@pytest.mark.parametrize("name", ["a", "9", "A-b_c.d", "x" * 64, "0.0"])
def test_good_names(tidy, name):
    assert tidy.make(name).state() == "created"


def test_a_name_that_exists(tidy):
    tidy.make("a")
    with pytest.raises(FileExistsError):
        os.mkdir(tidy.path("a"))


def test_unlink_is_refused(idle):
    for name in ("env", "cmd", "log", "memory.limit", "proc", "cgroup/pids.max", "ns/net", "procs/1"):
        with pytest.raises(PermissionError):
            os.unlink(idle.path(name))
    for name in ("cgroup", "ns", "procs", "cgroup/raw"):
        with pytest.raises(OSError) as e:
            os.rmdir(idle.path(name))
        assert e.value.errno in (errno.EPERM, errno.EBUSY)
    for name in ("README", "status"):
        with pytest.raises(PermissionError):
            os.unlink(idle.server.path(name))


def test_rm_r_destroys_nothing(idle):
    env = idle.read("env")
    r = subprocess.run(["rm", "-rf", idle.path()], capture_output=True, text=True)
    assert r.returncode != 0
    assert idle.state() == "running" and idle.read("env") == env
    r = subprocess.run("rm -rf %s/*" % idle.server.mnt, shell=True, capture_output=True)
    assert r.returncode != 0 and idle.state() == "running"


def test_rm_r_of_a_stopped_container(ctn):
    ctn.output("echo x > /root/kept")
    r = subprocess.run(["rm", "-r", ctn.path()], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert r.returncode != 0 and os.path.exists(ctn.path("layer/root/kept"))


def test_rmdir_of_what_is_not_there(tidy):
    with pytest.raises(FileNotFoundError):
        os.rmdir(tidy.path("nothing"))
    with pytest.raises(NotADirectoryError):
        os.rmdir(tidy.path("README"))


def test_rmdir_busy_names_the_way_out(idle):
    r = subprocess.run(["rmdir", idle.path()], capture_output=True, text=True)
    assert r.returncode != 0 and "busy" in r.stderr.lower()
    assert "stop" in idle.server.last_error().text
    assert idle.server.last_error().where == idle.name


def test_the_form_of_errors(ctn):
    began = int(time.time())
    for i in range(3):
        ctn.write("hostname", "bad name %d\n" % i)
    lines = ctn.get("error").splitlines()
    assert len(lines) == 3
    assert all(re.match(r"\S+ EINVAL hostname: .*bad name %d" % i, l) for i, l in enumerate(lines)), lines
    m = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", lines[0])
    assert m or int(lines[0].split(".")[0].split()[0]) >= began - 1
    root = ctn.server.read("error")
    assert "EINVAL %s" % ctn.name in root and "bad name 2" in root


def test_only_the_last_errors_are_kept(ctn):
    for i in range(300):
        ctn.write("hostname", "bad name %d\n" % i)
    text = ctn.read("error")
    assert "bad name 299" in text and "bad name 1\n" not in text and len(text) < 65536


def test_reading_never_makes_an_error(idle):
    for name in os.listdir(idle.path()):
        if os.path.isfile(idle.path(name)):
            idle.read(name)
    for name in ("nonesuch", "procs/999"):
        assert not os.path.exists(idle.path(name))
    assert idle.get("error") == ""


def test_directories_are_not_files(ctn):
    with pytest.raises(IsADirectoryError):
        open(ctn.path("cgroup"), "w").close()
    assert put(ctn.path(), "x") == errno.EISDIR
    with pytest.raises(NotADirectoryError):
        os.listdir(ctn.path("env"))
    with pytest.raises(NotADirectoryError):
        os.stat(ctn.path("env/x"))


def test_a_command_that_is_only_blank(ctn):
    for text in ("", "   ", "# comment"):
        ctn.write("cmd", text + "\n")
        assert ctn.state() == "created" and ctn.get("pid") == ""


def test_root_readme_and_status(tidy):
    readme = tidy.read("README")
    for word in ("mkdir", "cmd", "ctl", "memory.limit", "rmdir"):
        assert word in readme
    c = tidy.make()
    status = tidy.read("status")
    assert re.search(r"cgroup", status, re.I) and tidy.state in status and tidy.run in status
    assert all(re.match(r"[A-Za-z][\w-]*:\t", l) for l in status.splitlines()), status
    c.remove()
    assert tidy.read("error") == tidy.read("error")
