# SPDX-License-Identifier: Apache-2.0
"""Root file systems that are directories of the user's."""

import contextlib
import ctypes
import errno
import json
import os
import subprocess
import threading

import pytest

from basics import have, slurp
from rootdirs import kernel, look, make_root, mount, mountinfo, umount


@pytest.fixture
def root(tmp_path):
    return make_root(str(tmp_path / "root"))


@pytest.fixture
def on_tmpfs(tmp_path):
    """A directory on a tmpfs."""
    at = str(tmp_path / "tmpfs")
    os.mkdir(at, 0o755)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", at)
    yield at
    umount(at)


def test_overlay(ctn, root):
    before = look(root)
    ctn.put("rootfs", root)
    assert ctn.get("rootfs") == root + " overlay"
    out = ctn.output("cat /etc/passwd; ls /; echo new > /etc/new; rm /etc/group; mkdir /srv/d; "
                     "stat -c '%u:%g' / /etc /etc/new /srv/d")
    assert "redis:x:77" in out and "usr" not in out.split()
    assert out.split()[-4:] == ["0:0"] * 4
    assert look(root) == before
    layer = ctn.path("layer")
    assert slurp(layer + "/etc/new") == "new\n"
    assert ctn.server.session.owns_uid(os.stat(layer + "/etc/new").st_uid)
    assert ctn.output("cat /etc/new; test -e /etc/group || echo gone") == "new\ngone\n"
    assert ctn.output("cat /etc/hostname") == ctn.name + "\n"
    assert look(root) == before


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_hostname_of_the_directory(ctn, root, kind):
    """Its file is covered; what is no file is left alone, and what it leads to."""
    path = root + "/etc/hostname"
    if kind == "file":
        with open(path, "w") as f:
            f.write("of the image\n")
    elif kind == "link":
        os.symlink("/srv/name", path)
        with open(root + "/srv/name", "w") as f:
            f.write("decoy\n")
    else:
        os.mkdir(path)
    before = look(root)
    ctn.put("rootfs", root)
    text = ctn.output("cat /etc/hostname 2> /dev/null; hostname")
    assert text == {"file": ctn.name + "\n", "link": "decoy\n", "directory": ""}[kind] + ctn.name + "\n"
    assert look(root) == before and os.listdir(ctn.path("layer") + "/") == []


def test_modes_of_what_is_made_in_it(ctn, root, tmp_path):
    """The host name's file and mount points can be read by all users, whatever anybody's umask."""
    (tmp_path / "file").write_text("")
    assert ctn.write("spec", json.dumps({
        "rootfs": root, "oci": {"process": {"user": {"umask": 0o77}}},
        "mounts": ["%s /made/dir none bind 0 0" % tmp_path, "%s/file /made/file none bind 0 0" % tmp_path],
        "cmd": ["sh", "-c", "umask; stat -c %a /etc/hostname /made"]})) == 0, ctn.last_error()
    ctn.put("ctl", "start")
    assert ctn.finish() == 0 and ctn.read("log").split() == ["0077", "644", "755"]
    layer = ctn.path("layer")
    for name, mode in (("etc/hostname", 0o644), ("made", 0o755), ("made/dir", 0o755), ("made/file", 0o644)):
        assert os.stat("%s/%s" % (layer, name)).st_mode & 0o7777 == mode, name


def test_rw(ctn, root):
    before = look(root + "/etc")
    ctn.put("rootfs", root + " rw")
    assert ctn.output("stat -c %u:%g /etc/passwd; echo x > /srv/new; mkdir /srv/d; stat -c %u /srv/new; "
                      "test -e /etc/hostname || echo none; hostname") == "0:0\n0\nnone\n%s\n" % ctn.name
    assert slurp(root + "/srv/new") == "x\n"
    for name in ("srv/new", "srv/d"):
        assert os.stat(os.path.join(root, name)).st_uid == 0
    assert os.stat(root + "/srv/d").st_mode & 0o7777 == 0o755
    assert look(root + "/etc") == before  # nothing of ours is put into the user's directory
    assert os.listdir(ctn.path("layer") + "/") == []


def test_ro(ctn, root):
    before = look(root)
    ctn.put("rootfs", root + " ro")
    out = ctn.output("stat -c %u:%g /etc/passwd; touch /x 2>&1; rm /etc/passwd 2>&1; echo > /tmp/t && "
                     "echo > /run/r && echo > /dev/shm/s && echo writable; grep -c ' / ro,' /proc/self/mountinfo")
    assert out.startswith("0:0\n") and out.count("Read-only file system") == 2
    assert out.endswith("writable\n1\n")
    assert look(root) == before


def test_ro_cannot_be_made_writable_by_default(ctn, root):
    ctn.put("rootfs", root + " ro")
    assert "code 0" not in ctn.output("mount -o remount,rw / 2>&1; echo code $?")


@pytest.mark.parametrize("mode", ["overlay", "ro", "rw"])
def test_two_containers_share_a_root(tidy, root, mode):
    a, b = tidy.make(), tidy.make()
    for c in (a, b):
        c.put("rootfs", "%s %s" % (root, mode))
        c.sh("while :; do sleep 1; done")
    assert a.proc_status("Uid") != b.proc_status("Uid")
    for c in (a, b):
        st = os.stat("/proc/%d/root/etc/passwd" % c.pid())
        assert st.st_uid == int(c.proc_status("Uid").split()[0])


def test_users_are_the_roots_own(ctn, root):
    ctn.put("rootfs", root + " ro").put("user", "redis")
    assert ctn.output("id; echo $HOME") == \
        "uid=77(redis) gid=78(redis) groups=79(cache)\n/srv\n"
    ctn.put("user", "redis:cache")
    assert ctn.output("id -g") == "79\n"
    ctn.put("user", "daemon").refused("cmd", "true", errno.ENOENT, "daemon")
    with open(root + "/etc/passwd", "a") as f:
        f.write("daemon:x:5:5::/:/bin/sh\n")
    assert ctn.output("id -u") == "5\n"


def test_the_layers_passwd_counts_first(ctn, root):
    ctn.put("rootfs", root)
    ctn.output("echo svc:x:4321:4321::/srv:/bin/sh >> /etc/passwd")
    ctn.put("user", "svc")
    assert ctn.output("id -u") == "4321\n"
    ctn.put("rootfs", root + " ro").refused("cmd", "true", errno.ENOENT, "svc")


def test_refused_before_anything_happens(ctn, root):
    layer = os.stat(ctn.path("layer") + "/")
    ctn.put("rootfs", root + "/missing").refused("cmd", "true", errno.ENOENT, "rootfs.*missing")
    ctn.put("rootfs", root + "/etc/passwd rw").refused("cmd", "true", errno.ENOTDIR, "rootfs.*passwd")
    ctn.put("rootfs", ctn.path("root")).refused("cmd", "true", errno.EINVAL, "rootfs.*ctnfs itself")
    ctn.put("rootfs", ctn.server.mnt).refused("cmd", "true", errno.EINVAL, "rootfs.*ctnfs itself")
    assert ctn.state() == "created"
    assert os.stat(ctn.path("layer") + "/").st_ctime_ns == layer.st_ctime_ns
    ctn.put("rootfs", root + " ro")
    assert ctn.output("echo works") == "works\n"


@pytest.mark.parametrize("mode", ["rw", "overlay"])
def test_own_state_is_not_given_away(ctn, mode):
    """TestMountDaemonRoot: who can write there can do anything on the host."""
    own = [ctn.server.state, ctn.server.run]
    for path in [ctn.server.dir, os.path.dirname(ctn.server.dir), os.readlink(ctn.path("layer"))] + own:
        ctn.put("rootfs", "%s %s" % (path, mode)).refused("cmd", "true", errno.EINVAL, "own state")


def test_missing_directories_are_made(tidy, tmp_path):
    bare = make_root(str(tmp_path / "bare"), without=("proc", "sys", "dev", "tmp", "run"))
    c = tidy.make().put("rootfs", bare)
    assert c.output("ls -d /proc/self /sys/kernel /dev/null /tmp /run | wc -l") == "5\n"
    assert not os.path.exists(bare + "/proc")
    c.put("rootfs", bare + " ro").refused("cmd", "true", errno.EROFS, "read-only.*/proc.*make it there")
    assert not os.path.exists(bare + "/proc")
    c.put("rootfs", bare + " rw")
    assert c.output("ls -d /proc/self /sys/kernel /dev/null /tmp /run | wc -l") == "5\n"
    for name in ("proc", "sys", "dev", "tmp", "run"):
        st = os.stat(os.path.join(bare, name))
        assert (st.st_uid, st.st_mode & 0o777) == (0, 0o755), name


@pytest.mark.parametrize("mode", ["overlay", "ro", "rw"])
def test_on_tmpfs(ctn, on_tmpfs, mode):
    root = make_root(on_tmpfs + "/root")
    ctn.put("rootfs", "%s %s" % (root, mode))
    if kernel() < (6, 3):
        ctn.refused("cmd", "true", errno.EOPNOTSUPP, "rootfs.*cannot map ids.*ns/user host")
        return
    assert ctn.output("stat -c %u:%g /etc/passwd; touch /srv/x 2>/dev/null; true") == "0:0\n"
    assert os.path.exists(root + "/srv/x") == (mode == "rw")


@pytest.mark.parametrize("mode", ["overlay", "ro", "rw"])
def test_a_file_system_that_cannot_map_ids(ctn, tmp_path, mode):
    at = str(tmp_path / "ramfs")
    os.mkdir(at)
    mount("-t", "ramfs", "-o", "mode=755", "ramfs", at)
    try:
        root = make_root(at + "/root")
        before = look(root)
        ctn.put("rootfs", "%s %s" % (root, mode))
        ctn.refused("cmd", "true", errno.EOPNOTSUPP, "rootfs.*cannot map ids.*ns/user host")
        ctn.put("ns/user", "host")
        assert "0:0" in ctn.output("stat -c %u:%g /etc/passwd")
        assert look(root) == before or mode == "rw"
    finally:
        umount(at)


def test_what_is_mounted_below(ctn, root, tmp_path):
    """With it for ro and rw, as other runtimes do; an overlay never sees it."""
    src = tmp_path / "below"
    src.mkdir()
    (src / "file").write_text("below\n")
    mount("--bind", str(src), root + "/srv")
    try:
        for mode, want in (("rw", "below\n"), ("ro", "below\n"), ("overlay", "")):
            ctn.put("rootfs", "%s %s" % (root, mode))
            assert ctn.output("test ! -e /srv/file || cat /srv/file") == want, mode
        ctn.put("rootfs", root + " rw")
        assert ctn.output("stat -c %u /srv/file; echo x > /srv/new") == "0\n"
        assert os.stat(str(src / "new")).st_uid == 0
        ctn.put("rootfs", root + " ro")
        assert "Read-only" in ctn.output("touch /srv/x 2>&1; true")
    finally:
        umount(root + "/srv")


def test_something_below_that_cannot_map_ids(ctn, root):
    mount("-t", "ramfs", "ramfs", root + "/srv")
    try:
        for mode in ("ro", "rw"):
            ctn.put("rootfs", "%s %s" % (root, mode))
            ctn.refused("cmd", "true", errno.EOPNOTSUPP, "mounted below .*noidmap")
        ctn.put("rootfs", root)
        assert ctn.output("echo works") == "works\n"
    finally:
        umount(root + "/srv")


def test_a_read_only_file_system(ctn, root):
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    try:
        ctn.put("rootfs", root + " rw").refused("cmd", "true", errno.EROFS, "rootfs.*say ro")
        ctn.put("rootfs", root + " ro")
        assert ctn.output("echo works") == "works\n"
    finally:
        umount(root)


def test_without_a_user_namespace(ctn, root):
    ctn.put("ns/user", "host").put("rootfs", root + " rw")
    assert ctn.output("echo x > /srv/host; stat -c %u /etc/passwd") == "0\n"
    assert os.stat(root + "/srv/host").st_uid == 0
    ctn.put("rootfs", root)
    assert ctn.output("echo x > /srv/layer; cat /srv/host") == "x\n"
    assert not os.path.exists(root + "/srv/layer")


def test_with_a_mount_namespace_that_is_not_its_own(ctn, root):
    ctn.put("rootfs", root).put("ns/mnt", "host")
    ctn.refused("cmd", "true", errno.EINVAL, "rootfs.*ns/mnt")


def test_device_nodes_in_it_do_nothing(ctn, root):
    os.mknod(root + "/null", 0o666 | 0o020000, os.makedev(1, 3))
    os.chmod(root + "/null", 0o666)
    for mode in ("overlay", "ro", "rw"):
        ctn.put("rootfs", "%s %s" % (root, mode))
        assert "ermission denied" in ctn.output("cat /null 2>&1; true")


def test_setuid_in_it_is_the_containers(ctn, root):
    """Owners are shifted, so a setuid program of root is one of the container's root."""
    if not have("cc"):
        pytest.skip("needs a C compiler")
    subprocess.run(["cc", "-static", "-o", root + "/bin/euid", "-x", "c", "-"], check=True, text=True,
                   input="#include <unistd.h>\nint main(void) { return geteuid(); }\n")
    os.chmod(root + "/bin/euid", 0o4755)
    ctn.put("rootfs", root + " ro").put("user", "redis").put("no_new_privs", "0")
    assert ctn.output("euid; echo $?") == "0\n"
    ctn.put("no_new_privs", "1")
    assert ctn.output("euid; echo $?") == "77\n"


def test_the_host_sees_no_mount(ctn, root):
    before = mountinfo(ctn.server)
    for mode in ("overlay", "ro", "rw"):
        ctn.put("rootfs", "%s %s" % (root, mode)).sh("while :; do sleep 1; done")
        assert mountinfo(ctn.server) == before
        ctn.put("ctl", "kill")
    assert mountinfo(ctn.server) == before


def test_root_link(ctn, root):
    ctn.put("rootfs", root + " ro").sh("while :; do sleep 1; done")
    r = subprocess.run(["cat", ctn.path("root/etc/group")], capture_output=True, text=True)
    assert r.stdout == slurp(root + "/etc/group")


# --- hostile root file systems ---

HOSTILE = ["proc", "sys", "dev", "tmp", "run"]


@pytest.mark.parametrize("mode", ["overlay", "ro", "rw"])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_links_where_we_mount(ctn, tmp_path, mode, relative, name):
    """CVE-2019-19921, CVE-2026-41579: the decoy must stay as it is."""
    root = make_root(str(tmp_path / "root"), without=(name,))
    decoy = tmp_path / "decoy"
    decoy.mkdir()
    for sub in ("ptmx", "null", "self", "kernel"):
        (decoy / sub).write_text("decoy")
    to = str(decoy)
    os.symlink("../decoy" if relative else to, os.path.join(root, name))
    os.makedirs(root + to)  # the same inside: where an honest resolution ends
    before, host = look(root), look(str(decoy))
    ctn.put("rootfs", "%s %s" % (root, mode))
    ctn.refused("cmd", "true", errno.ENOTDIR, "/%s .*not a directory" % name)
    assert look(str(decoy)) == host and look(root) == before


def test_other_kinds_where_we_mount(ctn, tmp_path):
    for i, make in enumerate((lambda p: os.mkfifo(p), lambda p: open(p, "w").close(),
                              lambda p: os.symlink("/", p), lambda p: os.symlink("proc", p))):
        root = make_root(str(tmp_path / ("root%d" % i)), without=("proc",))
        make(root + "/proc")
        ctn.put("rootfs", root + " rw").refused("cmd", "true", errno.ENOTDIR, "/proc .*not a directory")


@pytest.mark.parametrize("where", ["etc", "hostname"])
def test_the_host_name_is_written_nowhere_else(ctn, tmp_path, where):
    """N09: generated files through links."""
    decoy = tmp_path / "decoy"
    decoy.mkdir()
    (decoy / "hostname").write_text("decoy")
    root = make_root(str(tmp_path / "root"))
    os.mkdir(root + "/decoy")
    with open(root + "/decoy/hostname", "w") as f:
        f.write("inner")
    for target in (str(decoy), "../decoy", "/decoy"):
        link = root + "/etc" + ("" if where == "etc" else "/hostname")
        if where == "etc" and not os.path.exists(root + "/etc2"):
            os.rename(root + "/etc", root + "/etc2")
        if os.path.islink(link):
            os.unlink(link)
        os.symlink(target + ("" if where == "etc" else "/hostname"), link)
        before, host = look(root), look(str(decoy))
        ctn.put("rootfs", root)
        assert ctn.output("cat /decoy/hostname") == "inner"
        assert look(str(decoy)) == host and look(root) == before
        layer = os.readlink(ctn.path("layer"))
        assert not [f for _, _, files in os.walk(layer) for f in files if f == "hostname"]


def sparse(path, size):
    with open(path, "w") as f:
        f.truncate(size)


def test_foreign_passwd(ctn, tmp_path):
    """N13: nothing of the host is read, nothing waits."""
    root = make_root(str(tmp_path / "root"))
    ctn.put("rootfs", root + " ro").put("user", "redis")
    at = root + "/etc/passwd"
    secret = tmp_path / "secret"
    secret.write_text("redis:x:0:0::/:/bin/sh\n")
    for make, code in ((lambda: os.symlink(str(secret), at), (errno.EINVAL, errno.ENOENT)),
                       (lambda: os.symlink("../../secret", at), (errno.EINVAL, errno.ENOENT)),
                       (lambda: os.symlink("/proc/self/root/etc/passwd", at), (errno.EINVAL, errno.ENOENT)),
                       (lambda: os.mkfifo(at), errno.EINVAL),
                       (lambda: os.mknod(at, 0o020666, os.makedev(1, 5)), errno.EINVAL),
                       (lambda: sparse(at, 10 << 30), errno.EINVAL)):
        os.unlink(at)
        make()
        ctn.refused("cmd", "true", code, "passwd|redis")


@contextlib.contextmanager
def exchanged(one, two):
    """Somebody who exchanges two names all the time."""
    libc, end = ctypes.CDLL(None, use_errno=True), threading.Event()
    names = [-100, os.fsencode(one), -100, os.fsencode(two), 2]

    def run():
        while not end.is_set():
            libc.renameat2(*names)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@pytest.mark.slow_ok(120)
def test_a_root_that_changes_meanwhile(ctn, root):
    """Whatever is at /proc in the end: what is to be hidden in the kernel's own is hidden."""
    os.mkdir(root + "/proc2")
    for name in ("keys", "kcore", "timer_list", "sys"):
        for top in ("proc", "proc2"):
            os.mkdir(os.path.join(root, top, name))
    ctn.put("rootfs", root + " rw")
    moved = 0
    for _ in range(40):
        with exchanged(root + "/proc", root + "/proc2"):
            if ctn.write("cmd", '["sleep", "1000"]\n'):
                continue
        lines = [l.split() for l in slurp("/proc/%d/mountinfo" % ctn.pid()).splitlines()]
        real = [l[4] for l in lines if l[l.index("-") + 1] == "proc" and l[3] == "/"]
        assert len(real) == 1
        moved += real[0] != "/proc"
        at = {l[4]: l for l in lines}
        for name in ("keys", "timer_list"):
            assert real[0] + "/" + name in at or not os.path.exists("/proc/" + name), real[0]
        assert "ro" in at[real[0] + "/sys"][5].split(","), "%s/sys can be written" % real[0]
        ctn.put("ctl", "kill")
    assert moved
