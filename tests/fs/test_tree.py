# SPDX-License-Identifier: Apache-2.0
"""Names, kinds, modes, sizes and times: what lookup, readdir and getattr say."""

import errno
import os
import re
import stat
import subprocess
import time

import pytest

from basics import build_path, put, slurp, until

ROOT = {"README": 0o400, "error": 0o400, "status": 0o400, "stats": 0o400, "metrics": 0o400}
READ_ONLY = ["state", "status", "pending", "pid", "id", "exit", "error", "caps.sets", "seccomp.denied", "ps",
             "cgroup/memory.usage", "cgroup/memory.peak", "cgroup/memory.stat", "cgroup/cpu.stat",
             "cgroup/pids.current", "cgroup/events"]
READ_WRITE = ["cmd", "start", "env", "cwd", "user", "hostname", "caps", "seccomp", "seccomp.notify", "no_new_privs",
              "init", "log", "log.max", "ns.list", "cgroup/memory.limit", "cgroup/cpu.max",
              "cgroup/cpu.weight", "cgroup/cpu.shares", "cgroup/pids.max", "cgroup/freeze",
              "cgroup/procs"]
DIRECTORIES = ["cgroup", "cgroup/raw", "ns", "procs"]
NS = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]


def names_below(path):
    for top, dirs, files in os.walk(path):
        for name in dirs + files:
            yield os.path.relpath(os.path.join(top, name), path)


def test_root_lists_its_files(tidy):
    assert set(os.listdir(tidy.mnt)) >= set(ROOT)
    for name, mode in ROOT.items():
        st = os.stat(tidy.path(name))
        assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) & 0o7777 in (mode, 0o444), name
    st = os.stat(tidy.mnt)
    assert stat.S_ISDIR(st.st_mode) and st.st_uid == 0 and not st.st_mode & 0o027


@pytest.mark.parametrize("name", READ_ONLY)
def test_read_only_files(ctn, name):
    st = os.lstat(ctn.path(name))
    assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o400
    ctn.read(name)
    # root passes permission bits, so the refusal is the file's own
    assert ctn.write(name, "1\n") in (errno.EPERM, errno.EACCES, errno.EBADF, errno.EINVAL)


@pytest.mark.parametrize("name", READ_WRITE)
def test_writable_files(ctn, name):
    st = os.lstat(ctn.path(name))
    assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) in (0o600, 0o640)
    ctn.read(name)


def test_ctl(ctn):
    st = os.lstat(ctn.path("ctl"))
    assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) & 0o200
    if st.st_mode & 0o400:
        ctn.read("ctl")


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directories(ctn, name):
    st = os.lstat(ctn.path(name))
    assert stat.S_ISDIR(st.st_mode) and stat.S_IMODE(st.st_mode) & 0o700 == 0o700 or name == "procs"
    assert name.split("/")[-1] in os.listdir(os.path.dirname(ctn.path(name)))


def test_links(ctn):
    assert os.readlink(ctn.path("memory.limit")) == "cgroup/memory.limit"
    layer = os.readlink(ctn.path("layer"))
    assert layer.startswith(ctn.server.state) and ctn.get("id") in layer and os.path.isdir(layer)


def test_links_of_a_running_container(idle):
    pid = idle.get("pid")
    assert os.readlink(idle.path("proc")) == "/proc/" + pid
    assert os.readlink(idle.path("root")) == "/proc/" + pid + "/root"
    assert os.readlink(idle.path("procs/1")) == "/proc/" + pid
    for kind in NS:
        assert os.readlink(idle.path("ns", kind)) == "/proc/%s/ns/%s" % (pid, kind)
    for name in os.listdir(idle.path("cgroup/raw")):
        target = os.readlink(idle.path("cgroup/raw", name))
        assert os.path.isdir(target) and idle.get("id") in target
        assert idle.get("pid") in slurp(target + "/cgroup.procs").split()


def test_links_of_a_stopped_container_lead_nowhere_else(ctn):
    for name in ("proc", "root"):
        with pytest.raises(OSError):
            os.stat(ctn.path(name))
    assert os.listdir(ctn.path("procs")) == []
    for kind in NS:
        assert stat.S_ISREG(os.lstat(ctn.path("ns", kind)).st_mode)


def test_container_lists_exactly_the_table(ctn):
    """`ctnfs --tree`, lookup and readdir all come from one table."""
    table = subprocess.run([build_path("ctnfs"), "--tree"], capture_output=True, text=True, check=True)
    assert table.stderr == ""
    listed = {n for n in names_below(ctn.path()) if not n.startswith(("cgroup/raw/", "procs/"))}
    words = set(re.findall(r"[A-Za-z0-9_.<>/]+", table.stdout))
    for name in listed | set(ROOT):
        last = name.split("/")[-1]
        assert words & {name, last, "<name>/" + name} or \
            words & {name + "/", last + "/", "<name>/" + name + "/"}, "%s is not in --tree" % name
    expected = set(READ_ONLY + READ_WRITE + DIRECTORIES + ["ctl", "memory.limit", "layer"])
    expected |= {"ns/" + k for k in NS}
    assert expected <= listed, expected - listed
    for name in listed:
        os.lstat(ctn.path(name))


def test_readdir_types_are_true(idle):
    for top in ("", "cgroup", "cgroup/raw", "ns", "procs"):
        for entry in os.scandir(idle.path(top)):
            st = os.lstat(entry.path)
            assert entry.is_symlink() == stat.S_ISLNK(st.st_mode), entry.path
            assert entry.is_dir(follow_symlinks=False) == stat.S_ISDIR(st.st_mode), entry.path
            assert entry.inode() == st.st_ino, entry.path


def test_link_counts_of_directories(ctn):
    """find(1) relies on them where they are above 1."""
    for top in (ctn.server.mnt, ctn.path(), ctn.path("cgroup")):
        dirs = [e for e in os.scandir(top) if e.is_dir(follow_symlinks=False)]
        assert os.stat(top).st_nlink in (1, 2 + len(dirs)), top


def test_wait_is_found_but_not_listed(ctn):
    assert "wait" not in os.listdir(ctn.path())
    assert stat.S_IMODE(os.stat(ctn.path("wait")).st_mode) == 0o400


def test_v2_names_are_unlisted_aliases(ctn):
    ctn.put("cgroup/memory.max", "64M")
    assert ctn.get("cgroup/memory.limit") == ctn.get("cgroup/memory.max") == "67108864"
    assert ctn.get("cgroup/memory.current") == ctn.get("cgroup/memory.usage") == "0"
    assert "memory.max" not in os.listdir(ctn.path("cgroup"))


def test_a_write_only_file_reads_as_empty(ctn):
    if os.stat(ctn.path("ctl")).st_mode & 0o400:
        assert ctn.read("ctl").strip() == "" or "start" in ctn.read("ctl")
    else:
        assert ctn.read("ctl") == ""


def test_values_end_with_a_newline(idle):
    for name in READ_ONLY + READ_WRITE:
        if name in ("log", "error", "pending", "seccomp.denied", "cgroup/procs"):
            continue
        assert idle.read(name).endswith("\n"), name


def test_an_empty_value_is_one_newline(ctn):
    for name in ("pid", "exit", "cmd"):
        assert ctn.read(name) == "\n", name
        ctn.server.sh("set -e; read x < %s/%s" % (ctn.name, name))


def test_sizes_are_true(idle):
    idle.put("env", "LONG=" + "x" * 3000)
    for name in READ_ONLY + READ_WRITE:
        for _ in range(20):  # of a running thing the figures move
            size = os.stat(idle.path(name)).st_size
            if size == len(os.fsencode(idle.read(name))):
                break
        else:
            pytest.fail("%s: size %d, content %d" % (name, size, len(idle.read(name))))


def test_block_size_is_large(ctn):
    for name in ("cmd", "env", "log"):
        assert os.stat(ctn.path(name)).st_blksize == 131072


def test_times_mean_something(ctn):
    now = time.time()
    for name in ("cmd", "env", "state", "log"):
        assert now - 120 < os.stat(ctn.path(name)).st_mtime < now + 120, name
    before = os.stat(ctn.path("env")).st_mtime_ns
    time.sleep(0.02)
    ctn.put("env", "A=1", append=True)
    changed = os.stat(ctn.path("env")).st_mtime_ns
    assert changed > before
    before = os.stat(ctn.path("state")).st_mtime_ns
    ctn.sh("exit 0")
    ctn.finish()
    assert os.stat(ctn.path("state")).st_mtime_ns > before


def test_inode_numbers_are_identities(tidy):
    a, b = tidy.make(), tidy.make()
    inodes = {}
    for c in (a, b):
        for name in names_below(c.path()):
            if name.startswith("cgroup/raw/"):
                continue
            ino = os.lstat(c.path(name)).st_ino
            assert ino not in inodes, (c.name, name, inodes[ino])
            inodes[ino] = c.name + "/" + name
    old = os.stat(a.path("state")).st_ino
    a.remove()
    a = tidy.make(a.name)
    assert os.stat(a.path("state")).st_ino != old


def test_a_handle_outlives_its_container(tidy):
    """It never shows another one's data."""
    a = tidy.make("same")
    a.put("env", "SECRET=1", append=True)
    fd = os.open(a.path("env"), os.O_RDONLY)
    where = os.open(a.path(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        a.remove()
        b = tidy.make("same")
        b.put("env", "OTHER=1", append=True)
        try:
            assert b"OTHER" not in os.pread(fd, 4096, 0)
        except OSError as e:
            assert e.errno in (errno.ESTALE, errno.ENOENT, errno.ENODEV)
        with pytest.raises(OSError) as e:
            os.stat("env", dir_fd=where)
        assert e.value.errno in (errno.ESTALE, errno.ENOENT)
    finally:
        os.close(fd)
        os.close(where)


def test_readdir_goes_on_while_names_change(tidy):
    kept = [tidy.make("kept%02d" % i) for i in range(20)]
    with os.scandir(tidy.mnt) as it:
        seen = [next(it).name]
        tidy.make("later")
        os.rmdir(kept[0].path())
        seen += [e.name for e in it]
    assert len(seen) == len(set(seen))
    assert {c.name for c in kept[1:]} <= set(seen)


def test_own_pids_are_looked_up(tidy):
    c = tidy.make().sh("sleep 1000 & sleep 1000 & wait")
    until(lambda: len(os.listdir(c.path("procs"))) == 3, "three processes")
    for own in os.listdir(c.path("procs")):
        with open(c.path("procs", own, "status")) as f:
            assert re.search(r"NSpid:.*\s%s$" % own, f.read(), re.M)
    for bad in ("0", "99999", "01", "-1", "x", "4294967297", "18446744073709551617"):
        with pytest.raises(FileNotFoundError):
            os.readlink(c.path("procs", bad))


def test_seeking_and_short_reads(ctn):
    whole = ctn.read("env")
    fd = os.open(ctn.path("env"), os.O_RDONLY)
    try:
        assert b"".join(iter(lambda: os.read(fd, 7), b"")).decode() == whole
        assert os.pread(fd, 10, 5).decode() == whole[5:15]
        assert os.pread(fd, 10, 1 << 40) == b""
    finally:
        os.close(fd)


def test_what_root_may(idle):
    """access(2), as on any file system: all but to execute what is no program."""
    for name in ("state", "env", "stdin", "cgroup/memory.usage", "wait"):
        assert os.access(idle.path(name), os.R_OK | os.W_OK) and not os.access(idle.path(name), os.X_OK), name
    for name in ("exec", "", "cgroup", "ns"):
        assert os.access(idle.path(name), os.R_OK | os.X_OK), name
    assert not os.access(idle.path("nothing"), os.F_OK)
    with pytest.raises(PermissionError):
        subprocess.run([idle.path("state")])
    assert subprocess.run(["sh", "-c", "cd $1/cgroup && pwd", "sh", idle.path()]).returncode == 0


def test_extended_attributes_locks_and_statfs(ctn):
    with pytest.raises(OSError):
        os.setxattr(ctn.path("env"), "user.x", b"1")
    os.statvfs(ctn.path())
    r = subprocess.run(["df", ctn.server.mnt], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == ""


def test_creating_other_things_is_refused(ctn):
    for make in (lambda p: os.mkfifo(p), lambda p: os.symlink("x", p), lambda p: os.mkdir(p),
                 lambda p: os.link(ctn.path("env"), p)):
        with pytest.raises(OSError) as e:
            make(ctn.path("thing"))
        assert e.value.errno in (errno.EPERM, errno.ENOENT, errno.EXDEV), e.value
    assert put(ctn.server.path("thing"), "x") in (errno.EPERM, errno.ENOENT, errno.EACCES)
