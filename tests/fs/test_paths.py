# SPDX-License-Identifier: Apache-2.0
"""Paths that read as empty or cannot be written: lists of the user's, in the usual root file system
and in one that its maker meant ill with."""

import errno
import os
import shutil

import pytest

from harness import mounts_at


def put(ctn, *lines):
    assert ctn.write("paths", "".join(l + "\n" for l in lines) or "\n") == 0, ctn.last_error()


def targets(ctn):
    return [l.split()[4] for l in ctn.output("cat /proc/self/mountinfo").splitlines()]


def test_masked_files_and_directories(ctn):
    put(ctn, "masked /etc/passwd", "masked /etc/alternatives", "masked /proc/cpuinfo", "masked /sys/class",
        "masked /not/there", "masked /etc/passwd/not", "masked /usr/share/doc")
    out = ctn.output("for f in /etc/passwd /proc/cpuinfo; do wc -c < $f; (echo x > $f) 2>&1; done; "
                     "for d in /etc/alternatives /sys/class /usr/share/doc; do ls -A $d | wc -l; touch $d/x 2>&1; done; "
                     "true")
    lines = [l for l in out.splitlines() if l.isdigit()]
    assert lines == ["0"] * 5, out
    assert out.count("Read-only") == 5, out


def test_read_only_files_and_directories(ctn):
    put(ctn, "readonly /etc/passwd", "readonly /tmp", "readonly /proc/sys", "readonly /not/there",
        "readonly /dev/shm")
    out = ctn.output("(echo x >> /etc/passwd) 2>&1; touch /tmp/x /dev/shm/x 2>&1; wc -c < /etc/passwd; "
                     "(echo 1 > /proc/sys/net/ipv4/ip_forward) 2>&1; touch /etc/free && echo free")
    assert out.count("Read-only") == 4 and out.endswith("free\n"), out
    assert "0\n" not in out


def test_as_many_mounts_as_there_are_paths(ctn):
    put(ctn)
    base = targets(ctn)
    listed = ["/etc/passwd", "/etc/alternatives", "/proc/sys", "/proc/bus"]
    put(ctn, "masked /etc/passwd", "masked /etc/alternatives", "masked /none", "readonly /proc/sys",
        "readonly /proc/bus", "readonly /none/either")
    assert sorted(targets(ctn)) == sorted(base + listed)
    put(ctn)
    assert targets(ctn) == base
    assert ctn.output("test -s /proc/timer_list -o ! -r /proc/timer_list; test -e /proc/keys && echo there") == "there\n"


def test_masks_cannot_be_taken_off(ctn):
    for command in ("umount /proc/keys", "mount -o remount,rw /proc/sys", "umount /proc/sys",
                    "mount --bind /proc /mnt"):
        assert "code 0" not in ctn.output("%s 2>&1; echo code $?" % command), command


# --- a root file system of the user's ---

@pytest.fixture
def rootfs(tmp_path):
    """Small, with the host's programs bound in; and a decoy beside it that stands for the host."""
    top = tmp_path / "root"
    for d in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "data", "root"):
        (top / d).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        os.symlink("usr/" + name, top / name)
    (top / "etc/secret").write_text("secret\n")
    (top / "data/file").write_text("data\n")
    decoy = tmp_path / "decoy"
    (decoy / "sub").mkdir(parents=True)
    (decoy / "file").write_text("the host's\n")
    os.chmod(tmp_path, 0o755)
    yield top
    assert (decoy / "file").read_text() == "the host's\n"
    assert sorted(os.listdir(decoy)) == ["file", "sub"] and os.listdir(decoy / "sub") == []
    shutil.rmtree(top)


@pytest.fixture
def own(ctn, rootfs):
    ctn.put("rootfs", str(rootfs))
    ctn.put("mounts", "/usr /usr none rbind,ro,noidmap 0 0")
    return ctn


def test_paths_of_a_root_file_system(own, rootfs):
    put(own, "masked /etc/secret", "readonly /data", "masked /none", "readonly /data/none")
    out = own.output("wc -c < /etc/secret; cat /data/file; touch /data/x 2>&1; true")
    assert out.startswith("0\ndata\n") and "Read-only" in out
    assert (rootfs / "etc/secret").read_text() == "secret\n"


@pytest.mark.parametrize("kind", ("masked", "readonly"))
def test_a_link_in_a_path_is_never_followed(own, rootfs, kind):
    decoy = rootfs.parent / "decoy"
    for name, target in (("absolute", str(decoy)), ("up", "../../../../.." + str(decoy)), ("inner", "data"),
                         ("proc-link", "/proc")):
        os.symlink(target, rootfs / name)
    for path in ("/absolute/file", "/absolute", "/up/file", "/inner/file", "/proc-link/sys"):
        put(own, "%s %s" % (kind, path))
        own.refused("cmd", '["true"]', errno.ELOOP, "paths: %s leads through a symbolic link" % path)
    assert not mounts_at(str(decoy)) and not mounts_at(str(decoy / "file"))
    put(own)
    assert own.output("echo fine") == "fine\n"


def test_masks_are_not_made_of_the_containers_null(own, rootfs):
    """CVE-2025-31133: a /dev whose null is a setting of the kernel's."""
    dev = rootfs.parent / "dev"
    dev.mkdir()
    os.symlink("/proc/sys/kernel/printk_ratelimit", dev / "null")
    own.put("mounts", "/usr /usr none rbind,ro,noidmap 0 0\n%s /dev none bind 0 0" % dev)
    put(own, "masked /proc/keys", "masked /proc/timer_list")
    assert own.output("readlink /dev/null; wc -c < /proc/keys; (echo 7 > /proc/keys) 2>&1; true").split("\n")[:2] == [
        "/proc/sys/kernel/printk_ratelimit", "0"]
    assert "Read-only" in own.read("log")


@pytest.mark.parametrize("name", ("proc", "sys", "dev", "tmp"))
def test_a_link_for_one_of_our_directories(own, rootfs, name):
    """CVE-2026-41579, CVE-2019-19921: nothing is made or mounted where it leads."""
    decoy = rootfs.parent / "decoy"
    (rootfs / name).rmdir()
    for target in (str(decoy), "../../../../.." + str(decoy), "data"):
        os.symlink(target, rootfs / name)
        own.refused("cmd", '["true"]', errno.ENOTDIR, "/%s.*not a directory" % name)
        os.unlink(rootfs / name)
    assert os.listdir(rootfs / "data") == ["file"]


def test_nodes_without_a_dev_of_ours_stay_inside(own, rootfs):
    decoy = rootfs.parent / "decoy"
    (rootfs / "dev").rmdir()
    os.symlink(str(decoy), rootfs / "dev")
    own.put("mounts", "/usr /usr none rbind,ro,noidmap 0 0\n-/dev")
    r = own.write("cmd", '["sh", "-c", "ls /dev/"]\n')  # the link leads nowhere inside
    assert r == errno.ENOENT and "/dev" in own.last_error().text
    os.unlink(rootfs / "dev")
    os.symlink("data", rootfs / "dev")
    assert own.output("stat -c %F /data/null; cat /data/file") == "character special file\ndata\n"
    assert os.listdir(rootfs / "data") == ["file"]  # what was made is in the layer
