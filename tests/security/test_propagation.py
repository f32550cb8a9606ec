# SPDX-License-Identifier: Apache-2.0
"""N36: what is mounted for a container, or by it, is never on the host, however often.

A container's mounts are made in a namespace of its own. What holds the rest off: the root is private there, and a
volume is as it was asked for and no more; one that is shared gets the host's mounts in, and lets none out, for it
was made a slave first. The state directory and the mount of ctnfs itself cannot be bound in at all.

The control is such a volume in a namespace that is not cut off."""

import os
import subprocess

import pytest

import rootdirs
from attackers import LONG, arm, enter, rounds
from basics import slurp
from containers import inside
from rootdirs import mount, umount

CYCLES = rounds(8, 1000)
KINDS = "rprivate rslave rshared".split()
pytestmark = pytest.mark.slow_ok(900 if LONG else 90)


def ours(server):
    """The host's mounts at or of anything of this test run's."""
    return [l for l in rootdirs.mountinfo(server) if server.session.base in l]


@pytest.fixture
def volume(tmp_path):
    """A shared mount of the host, as all are under systemd, with a directory to mount on."""
    path = str(tmp_path / "volume")
    os.mkdir(path)
    mount("--bind", path, path)
    mount("--make-shared", path)
    for name in "late", "x":
        os.mkdir(os.path.join(path, name))
    yield path
    umount(path)


@pytest.fixture(params=["default", "privileged"])
def bound(tidy, volume, request):
    """With the volume three times, each with another propagation, and the right to mount."""
    ctn = arm(tidy.make(), request.param).put("caps", "all").put("seccomp", "none")
    for kind in KINDS:
        ctn.put("mounts", "%s /%s none rbind,%s,noidmap 0 0" % (volume, kind, kind), append=True)
    return ctn


MOUNT = "for d in /mnt /rprivate/x /rslave/x /rshared/x; do mount -t tmpfs none $d || exit 1; mkdir $d/y; done; "


def test_what_it_mounts_is_nowhere_else(bound, volume):
    before = ours(bound.server)
    bound.sh(MOUNT + "echo ready; exec sleep 100000").until_log("ready")
    assert ours(bound.server) == before and os.listdir(volume + "/x") == []
    assert slurp("/proc/%d/mountinfo" % bound.pid()).count(" - tmpfs none ") >= 4
    enter(bound, "sh", "-c", "umount -l /mnt && mount -t tmpfs late /mnt", code=0)
    assert ours(bound.server) == before


def test_many_lives(bound, volume):
    """CTNFS_LONG=1: 1,000 of each."""
    before = ours(bound.server)
    bound.put("cmd", "sh -c '%s'" % MOUNT)
    for i in range(CYCLES):
        if i:
            bound.put("ctl", "start")
        assert bound.finish() == 0, bound.read("log")
        assert ours(bound.server) == before
    assert os.listdir(volume + "/x") == []


def test_what_the_host_mounts_later(bound, volume):
    """It is seen where it was asked for; what is unmounted there is still mounted here."""
    bound.sh("echo ready; exec sleep 100000").until_log("ready")
    mount("-t", "tmpfs", "none", volume + "/late")
    try:
        seen = slurp("/proc/%d/mountinfo" % bound.pid())
        assert [" /%s/late " % kind in seen for kind in KINDS] == [False, True, True]
        before = ours(bound.server)
        enter(bound, "umount", "/rslave/late")
        enter(bound, "umount", "/rshared/late")
        assert ours(bound.server) == before
    finally:
        umount(volume + "/late")


@pytest.mark.parametrize("what", ["mnt", "state", "run"])
@pytest.mark.parametrize("options", ["bind", "rbind,rslave", "rbind,ro,rshared"])
def test_our_own_directories_are_not_bound(ctn, what, options):
    path = getattr(ctn.server, what)
    ctn.put("mounts", "%s /x none %s 0 0" % (path, options))
    before = ours(ctn.server)
    ctn.refused("cmd", "true", (2, 16, 22, 40), "/")
    assert ours(ctn.server) == before


def test_control(bound, volume):
    """nsenter(1) joins nothing but what it is told to: a namespace that is a copy of the host's, shared as that is."""
    bound.sh("echo ready; exec sleep 100000").until_log("ready")
    before = ours(bound.server)
    subprocess.run(["unshare", "-m", "--propagation", "unchanged", "mount", "-t", "tmpfs", "none", volume + "/x"], check=True)
    try:
        assert ours(bound.server) != before
    finally:
        umount(volume + "/x")
    assert inside(bound, "true").returncode == 0


# setns(2) puts whoever calls it at whatever is on top of the namespace's root, be it its own.
AGAIN = "nsenter --mount=/proc/self/ns/mnt stat -c %d:%i / /etc"


@pytest.mark.parametrize("kind", ["default", "privileged"])
def test_the_namespace_has_no_other_root(tidy, kind):
    """What pivot_root(2) has left of the host's mounts is unmounted, also what is below the root's own mount."""
    ctn = arm(tidy.make(), kind).put("caps", "all").put("seccomp", "none").sh("exec sleep 100000")
    root = "/proc/%d/root" % ctn.pid()
    want = "".join("%d:%d\n" % (st.st_dev, st.st_ino) for st in (os.stat(root), os.stat(root + "/etc")))
    assert enter(ctn, "stat", "-c", "%d:%i", "/", "/etc", code=0).stdout == want
    assert enter(ctn, "sh", "-c", AGAIN, code=0).stdout == want
    host = ["nsenter", "--mount=/proc/%d/ns/mnt" % ctn.pid(), "stat", "-c", "%d:%i", "/", "/etc"]
    assert subprocess.run(host, capture_output=True, text=True, check=True).stdout == want
    roots = [l.split()[4] for l in slurp("/proc/%d/mountinfo" % ctn.pid()).splitlines()]
    assert roots.count("/") == 1
