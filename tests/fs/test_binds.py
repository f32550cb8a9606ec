# SPDX-License-Identifier: Apache-2.0
"""Binds of the host's files and directories, named in `mounts`."""

import errno
import os
import subprocess
import time

import pytest

from basics import limit, slurp
from rootdirs import kernel, look, make_root, mount, mountinfo, umount

PID = "/proc/%d/"


@pytest.fixture
def src(tmp_path):
    """A directory of root's on the host."""
    d = tmp_path / "src"
    d.mkdir(mode=0o755)
    os.chmod(d, 0o755)
    (d / "file").write_text("hello\n")
    os.chmod(d / "file", 0o644)
    return str(d)


@pytest.fixture
def root(tmp_path):
    return make_root(str(tmp_path / "root"))


def options(ctn, target):
    """What the kernel says inside of the topmost mount at a path: mount options, then optional fields."""
    text = ctn.output("cat /proc/self/mountinfo")
    found = [l.split() for l in text.splitlines() if l.split()[4] == target]
    assert found, "nothing at %s in\n%s" % (target, text)
    return found[-1][5].split(","), found[-1][6:found[-1].index("-")]


def bind(ctn, source, target, opts="bind", append=True):
    return ctn.put("mounts", "%s %s none %s 0 0" % (source, target, opts), append=append)


def test_the_issues_line(ctn, src):
    bind(ctn, src, "/data", "bind,rw")
    assert ctn.output("cat /data/file; stat -c %u:%g /data /data/file; echo new > /data/new; mkdir /data/d; "
                      "chown 7:8 /data/d; stat -c %u:%g /data/d") == "hello\n0:0\n0:0\n7:8\n"
    st = os.stat(src + "/new")
    assert (st.st_uid, st.st_gid, slurp(src + "/new")) == (0, 0, "new\n")
    assert (os.stat(src + "/d").st_uid, os.stat(src + "/d").st_gid) == (7, 8)


def test_another_user_inside(ctn, src):
    os.chown(src, 4321, 4321)
    bind(ctn, src, "/data").put("user", "4321:4321")
    assert ctn.output("stat -c %u:%g /data; touch /data/mine") == "4321:4321\n"
    assert os.stat(src + "/mine").st_uid == 4321


def test_a_file(ctn, src):
    bind(ctn, src + "/file", "/etc/deep/er/file")
    bind(ctn, src + "/file", "/etc/passwd", "bind,ro")
    assert ctn.output("cat /etc/deep/er/file /etc/passwd; echo x > /etc/deep/er/file; "
                      "{ echo y > /etc/passwd; } 2>&1 | grep -c Read-only; stat -c %a /etc/deep") == \
        "hello\nhello\n1\n755\n"
    assert slurp(src + "/file") == "x\n"
    layer = ctn.path("layer")
    assert os.stat(layer + "/etc/deep/er/file").st_size == 0  # what was made to mount on


def test_options(ctn, src):
    before = set(options(bind(ctn, src, "/data"), "/data")[0])
    assert "ro" not in before
    for opts, there in (("ro", "ro"), ("nosuid", "nosuid"), ("nodev", "nodev"), ("noexec", "noexec"),
                        ("noatime", "noatime"), ("nodiratime", "nodiratime"),
                        ("nosymfollow", "nosymfollow")):
        bind(ctn, src, "/data", "bind," + opts)
        got = options(ctn, "/data")[0]
        assert there in got, (opts, got)
    bind(ctn, src, "/data", "bind,ro,nosuid,rw,suid")
    got = options(ctn, "/data")[0]
    assert "rw" in got and "nosuid" not in got


def test_options_of_the_hosts_mount_can_be_taken_back(ctn, src):
    mount("--bind", src, src)
    mount("-o", "remount,bind,ro,noexec", src)
    try:
        got = options(bind(ctn, src, "/data"), "/data")[0]
        assert "ro" in got and "noexec" in got
        got = options(bind(ctn, src, "/data", "bind,rw,exec"), "/data")[0]
        assert "rw" in got and "noexec" not in got
        assert ctn.output("echo x > /data/new; cat /data/new") == "x\n"
    finally:
        umount(src)


def test_noidmap(ctn, src):
    bind(ctn, src, "/data", "bind,noidmap")
    assert ctn.output("stat -c %u /data; { echo x > /data/new; } 2>&1; cat /data/file").endswith("hello\n")
    assert ctn.output("stat -c %u /data") == "65534\n"
    assert not os.path.exists(src + "/new")
    ctn.put("ns/user", "host")
    assert ctn.output("stat -c %u /data") == "0\n"


def test_on_tmpfs(ctn, tmp_path):
    at = str(tmp_path / "tmpfs")
    os.mkdir(at)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", at)
    try:
        bind(ctn, at, "/data")
        if kernel() < (6, 3):
            ctn.refused("cmd", "true", errno.EOPNOTSUPP, "mounts.*/data.*noidmap")
        else:
            assert ctn.output("echo x > /data/f; stat -c %u /data/f") == "0\n"
            assert os.stat(at + "/f").st_uid == 0
    finally:
        umount(at)


def test_a_file_system_that_cannot_map_ids(ctn, tmp_path):
    at = str(tmp_path / "ramfs")
    os.mkdir(at)
    mount("-t", "ramfs", "-o", "mode=755", "ramfs", at)
    try:
        bind(ctn, at, "/data").refused("cmd", "true", errno.EOPNOTSUPP, "mounts.*/data.*noidmap")
        bind(ctn, at, "/data", "bind,noidmap")
        assert ctn.output("stat -c %u /data") == "65534\n"
    finally:
        umount(at)


def test_below(ctn, src):
    """bind, rbind; rro and ridmap reach what is mounted below."""
    os.mkdir(src + "/sub")
    other = src + "-other"
    os.mkdir(other)
    with open(other + "/o", "w") as f:
        f.write("other\n")
    mount("--bind", other, src + "/sub")
    try:
        bind(ctn, src, "/data")
        assert ctn.output("ls /data/sub") == ""
        bind(ctn, src, "/data", "rbind,ro")
        assert ctn.output("cat /data/sub/o; stat -c %u /data/sub/o") == "other\n65534\n"
        assert "ro" in options(ctn, "/data")[0] and "rw" in options(ctn, "/data/sub")[0]
        bind(ctn, src, "/data", "rbind,rro,ridmap")
        assert ctn.output("stat -c %u /data/sub/o; touch /data/sub/x 2>&1 | grep -c Read-only") == "0\n1\n"
    finally:
        umount(src + "/sub")


def test_in_order_and_over_each_other(ctn, src, root):
    ctn.put("rootfs", root)
    os.makedirs(src + "/a/b")
    one, two = src + "-1", src + "-2"
    for d, name in ((one, "one"), (two, "two")):
        os.mkdir(d)
        open(os.path.join(d, name), "w").close()
    bind(ctn, src, "/data")
    bind(ctn, one, "/data/a/b")
    bind(ctn, two, "/srv")
    assert ctn.output("ls /data/a/b /srv; touch /data/a/b/x") == "/data/a/b:\none\n\n/srv:\ntwo\n"
    assert os.path.exists(one + "/x") and not os.listdir(src + "/a/b")


def test_many(ctn, src, root):
    """More than one message can carry."""
    ctn.put("rootfs", root)
    lines = "".join("%s /srv/%d none bind,ro 0 0\n" % (src, i) for i in range(512))
    assert ctn.write("mounts", lines) == 0, ctn.last_error()
    began = time.monotonic()
    assert ctn.output("cat /srv/0/file /srv/31/file /srv/511/file; ls /srv | wc -l; "
                      "grep -c /srv/ /proc/self/mountinfo") == "hello\n" * 3 + "512\n512\n"
    assert time.monotonic() - began < limit(10)


def test_the_host_sees_nothing(ctn, src):
    before = mountinfo(ctn.server)
    bind(ctn, src, "/data", "bind,shared").sh("sleep 1000")
    assert mountinfo(ctn.server) == before
    r = subprocess.run(["cat", ctn.path("root/data/file")], capture_output=True, text=True)
    assert r.stdout == "hello\n"
    ctn.put("ctl", "kill")
    assert mountinfo(ctn.server) == before


# --- refusals ---

def test_missing_source(ctn, src):
    bind(ctn, src + "/missing", "/data").refused("cmd", "true", errno.ENOENT, "mounts.*missing")
    bind(ctn, src + "/file/x", "/data").refused("cmd", "true", errno.ENOTDIR, "mounts.*file/x")
    assert "data" not in os.listdir(ctn.path("layer") + "/")


def test_of_ctnfs_itself(ctn, src):
    """At once, and without the server asking itself; links make no difference."""
    os.symlink(ctn.server.mnt, src + "/link")
    os.symlink("link/" + ctn.name, src + "/second")
    for source in (ctn.server.mnt, ctn.path(), ctn.path("env"), src + "/link", src + "/link/status",
                   src + "/second/env", ctn.server.mnt + "/nothing"):
        began = time.monotonic()
        bind(ctn, source, "/data").refused("cmd", "true", errno.EINVAL, "ctnfs itself")
        assert time.monotonic() - began < limit(1)
    bind(ctn, src, "/data")
    assert ctn.output("cat /data/file") == "hello\n"


def test_of_ctnfs_under_another_name(ctn, tmp_path, new_server):
    """The same mount elsewhere, and the mount of another server."""
    alias = str(tmp_path / "alias")
    os.mkdir(alias)
    mount("--bind", ctn.server.mnt, alias)
    try:
        for source in (alias, alias + "/status", os.path.join(alias, ctn.name, "env"), new_server().path("new")):
            for opts in ("bind", "bind,noidmap,ro"):
                bind(ctn, source, "/data", opts).refused("cmd", "true", errno.EINVAL, "ctnfs itself")
        ctn.put("rootfs", alias + " ro").refused("cmd", "true", errno.EINVAL, "rootfs.*ctnfs itself")
    finally:
        umount(alias)


def test_a_loop_of_links(ctn, src):
    os.symlink("loop", src + "/loop")
    bind(ctn, src + "/loop", "/data").refused("cmd", "true", errno.ELOOP, "mounts.*loop")
    os.symlink("file", src + "/ok")
    bind(ctn, src + "/ok", "/data")
    assert ctn.output("cat /data") == "hello\n"


def test_own_state_is_not_given_away(ctn):
    layer = os.readlink(ctn.path("layer"))
    for source in ("/", ctn.server.dir, ctn.server.state, ctn.server.run, layer):
        bind(ctn, source, "/data").refused("cmd", "true", errno.EINVAL, "own state.*ro")
        bind(ctn, source, "/data", "rbind,ro").refused("cmd", "true", errno.EINVAL, "own state.*rro")
    bind(ctn, ctn.server.dir, "/data", "bind,ro")
    assert ctn.output("ls /data") != ""


def test_own_state_under_another_name(ctn, tmp_path):
    alias = str(tmp_path / "alias")
    os.mkdir(alias)
    mount("--bind", ctn.server.dir, alias)
    try:
        bind(ctn, alias, "/data").refused("cmd", "true", errno.EINVAL, "own state.*ro")
    finally:
        umount(alias)


def test_kinds_must_fit(ctn, src, root):
    ctn.put("rootfs", root + " rw")
    bind(ctn, src, "/etc/passwd").refused("cmd", "true", errno.ENOTDIR, "mounts.*/etc/passwd")
    ctn.put("mounts", "-/etc/passwd", append=True)
    bind(ctn, src + "/file", "/etc").refused("cmd", "true", errno.EISDIR, "mounts.*/etc")
    ctn.put("mounts", "-/etc", append=True)
    bind(ctn, src, "/etc/passwd/below").refused("cmd", "true", errno.ENOTDIR, "mounts.*/etc/passwd")


def test_missing_target_of_a_read_only_root(ctn, src, root):
    before = look(root)
    bind(ctn, src, "/data/x").put("rootfs", root + " ro")
    ctn.refused("cmd", "true", errno.EROFS, "mounts.*'data' of /data/x.*read-only.*make it")
    bind(ctn, src + "/file", "/etc/new").put("mounts", "-/data/x", append=True)
    ctn.refused("cmd", "true", errno.EROFS, "mounts.*'new' of /etc/new.*read-only.*make it")
    assert look(root) == before
    ctn.put("rootfs", root + " rw")
    assert ctn.output("cat /etc/new") == "hello\n"
    assert os.stat(root + "/etc/new").st_uid == 0 and os.stat(root + "/etc/new").st_size == 0


# --- propagation ---

@pytest.fixture
def spread(src):
    """The source is a shared mount of the host, as all are under systemd."""
    mount("--bind", src, src)
    mount("--make-shared", src)
    os.mkdir(src + "/later")
    yield src
    umount(src)


@pytest.mark.parametrize("opts,seen,kinds", [
    ("bind", False, []), ("bind,rprivate", False, []), ("bind,slave", True, ["master"]),
    ("bind,rslave", True, ["master"]), ("bind,shared", True, ["master", "shared"]),
    ("bind,unbindable", False, ["unbindable"])])
def test_propagation(ctn, spread, opts, seen, kinds):
    assert sorted(f.split(":")[0] for f in options(bind(ctn, spread, "/data", opts), "/data")[1]) == kinds
    ctn.sh("while :; do sleep 1; done")
    mount("-t", "tmpfs", "tmpfs", spread + "/later")
    try:
        assert (" /data/later " in slurp("/proc/%d/mountinfo" % ctn.pid())) == seen
    finally:
        umount(spread + "/later")


def test_nothing_is_mounted_on_the_host_from_inside(ctn, spread):
    bind(ctn, spread, "/data", "rbind,rshared").sh("while :; do sleep 1; done")
    before = mountinfo(ctn.server)
    subprocess.run(["nsenter", "-t", str(ctn.pid()), "-m", "-U", "mount", "-t", "tmpfs", "x", "/data/later"],
                   check=True)
    assert " /data/later " in slurp("/proc/%d/mountinfo" % ctn.pid())
    assert mountinfo(ctn.server) == before


# --- hostile roots and volumes ---

def test_honest_links_are_followed(ctn, src, root):
    ctn.put("rootfs", root)
    bind(ctn, src, "/var/run/app")  # /var/run -> /run
    assert ctn.output("cat /run/app/file; test -L /var/run && echo link") == "hello\nlink\n"


@pytest.mark.parametrize("mode", ["overlay", "rw"])
@pytest.mark.parametrize("text", ["{decoy}", "../../../../../../../..{decoy}", "{decoy}/sub"])
def test_links_out_of_the_root(ctn, src, root, tmp_path, mode, text):
    """CVE-2021-30465, CVE-2024-45310: where they lead inside, or nowhere; never on the host."""
    decoy = tmp_path / "decoy"
    (decoy / "sub").mkdir(parents=True)
    (decoy / "sub" / "f").write_text("decoy")
    link = root + "/srv/l"
    os.symlink(text.format(decoy=decoy), link)
    host, before = look(str(decoy)), mountinfo(ctn.server)
    ctn.put("rootfs", "%s %s" % (root, mode))
    bind(ctn, src, "/srv/l").refused("cmd", "true", errno.ENOENT, "mounts.*symbolic link.*nowhere")
    bind(ctn, src, "/srv/l/a/b").put("mounts", "-/srv/l", append=True)
    ctn.refused("cmd", "true", errno.ENOENT, "mounts.*symbolic link.*nowhere")
    assert look(str(decoy)) == host and mountinfo(ctn.server) == before
    os.unlink(link)
    os.makedirs(root + "/srv/inner")
    os.symlink("../../../../../../srv/inner", link)
    assert ctn.output("cat /srv/l/a/b/file /srv/inner/a/b/file") == "hello\nhello\n"
    assert look(str(decoy)) == host and mountinfo(ctn.server) == before


@pytest.mark.parametrize("to,sentence", [
    ("/proc/sys", "/proc"), ("/proc/self/attr", "/proc"), ("/proc", "/proc"), ("/sys", "/sys"),
    ("/sys/kernel", "/sys"), ("/", "root"), ("..", "root"), ("/proc/self/root/srv", "symbolic link"),
    ("/proc/1/cwd", "symbolic link"), ("/proc/self/fd/3", "symbolic link"), ("loop", "symbolic link")])
def test_links_to_the_kernels_files(ctn, src, root, to, sentence):
    """CVE-2019-16884: a false /proc would be read and written by the set-up, and by the program."""
    link = root + "/loop"
    os.symlink(to, link)
    ctn.put("rootfs", root)
    bind(ctn, src, "/loop").refused("cmd", "true", (errno.EINVAL, errno.ELOOP), "mounts.*" + sentence)


def test_the_host_name_is_not_written_into_a_bind(ctn, src):
    bind(ctn, src, "/etc")
    bind(ctn, src + "/file", "/srv/hostname")
    assert ctn.output("ls /etc; hostname; cat /srv/hostname") == "file\n%s\nhello\n" % ctn.name
    ctn.put("mounts", "-/etc", append=True)
    bind(ctn, src + "/file", "/etc/hostname")
    assert ctn.output("cat /etc/hostname") == "hello\n"
    assert os.listdir(src) == ["file"] and slurp(src + "/file") == "hello\n"
