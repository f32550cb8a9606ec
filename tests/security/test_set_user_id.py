# SPDX-License-Identifier: Apache-2.0
"""N27, N29: set-user-ID programs gain nothing inside, and those of a container's making nothing outside.

An image is full of such programs, and a container's root makes what it likes. Inside, no_new_privs makes them
programs as any other; on the host their files are below a directory that is root's alone (CVE-2021-41091: they
were not, and any user of the host executed them as the root that had made them); and the mount itself honours
none. The controls are a container that may gain privileges, and a state directory that others may search."""

import os
import subprocess

import pytest

from attackers import TELL, arm, enter
from basics import limit, until
from harness import mounts_at
from sessions import session, wait_code

WAYS = ("start", "exec", "session")
# The user that it became, and the capabilities that the other one has got.
LOOK = ("sh", "-c", "echo $(/var/id -u) $(/var/cat /proc/self/status | grep CapPrm)")


def make_programs(ctn):
    """Root of the container makes one that sets the user, and one with a capability."""
    out = ctn.put("user", "0").output(
        "cp /usr/bin/id /var/id && chmod 4755 /var/id && cp /bin/cat /var/cat && "
        "/usr/sbin/setcap cap_net_raw+ep /var/cat && /usr/sbin/getcap /var/cat")
    assert "cap_net_raw" in out
    return ctn


def what_became(ctn, way):
    if way == "start":
        before = len(ctn.read("log"))
        ctn.put("user", "1000").start(*LOOK)
        assert ctn.finish() == 0
        return ctn.read("log")[before:].split()
    if ctn.state() != "running":
        ctn.start(TELL, "wait")
    if way == "exec":
        return enter(ctn, "-u", "1000", *LOOK, code=0).stdout.split()
    s = session(ctn, "s").put("user", "1000").start(*LOOK)
    assert wait_code(s) == 0
    return s.read("log").split()


@pytest.mark.parametrize("root", ["new", "host"])
def test_nothing_is_gained(ctn, root):
    make_programs(arm(ctn, ptrace=False).put("ns/user", root))
    for way in WAYS:
        assert what_became(ctn, way) == ["1000", "CapPrm:", "0" * 16], way


@pytest.mark.parametrize("root", ["new", "host"])
def test_control(ctn, root):
    make_programs(arm(ctn, ptrace=False).put("ns/user", root)).put("no_new_privs", "0")
    for way in WAYS:
        assert what_became(ctn, way) == ["0", "CapPrm:", "0000000000002000"], way


# --- outside ---

def as_user(path, *argv, uid=1000):
    """What a user of the host gets, or the error's name."""
    def become():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        r = subprocess.run([path, *argv], preexec_fn=become, cwd="/", capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=limit(20))
    except OSError as e:
        return type(e).__name__
    return r.stdout.strip()


@pytest.fixture
def made(ctn):
    """Root of the host, as privileged containers' is, so that the file is root's out here as well."""
    make_programs(arm(ctn, "privileged")).put("user", "0").start("sleep", "100000")
    return ctn


def places(ctn):
    """Each way to the file: where it is, and through the mount and the process."""
    yield os.path.join(os.readlink(ctn.path("layer")), "var/id")
    yield ctn.path("layer", "var/id")
    yield ctn.path("root", "var/id")
    yield "/proc/%d/root/var/id" % ctn.pid()
    for name in "exec", "attach":
        yield ctn.path(name)


@pytest.mark.parametrize("uid", [1000, 65534])
def test_what_it_makes_is_out_of_reach(made, uid):
    for path in places(made):
        assert os.path.exists(path)
        assert as_user(path, "-u", uid=uid) == "PermissionError", path


def test_nor_by_its_own_users_on_the_host(made):
    """The mapped root of another container, should it ever get out."""
    other = made.server.make()
    base = int(other.status("Uids").split()[0])
    for path in list(places(made)) + [os.path.dirname(os.readlink(made.path("layer")))]:
        assert as_user(path, "-u", uid=base) == "PermissionError", path


def test_the_mount_honours_none(made):
    for line in mounts_at(made.server.mnt):
        assert {"nosuid", "nodev"} <= set(line[5].split(","))


def test_control_of_the_state_directory(made):
    path = next(places(made))
    top, opened = made.server.state, []
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-ID programs have no effect where the tests' directory is")
    at = os.path.dirname(path)
    while len(at) >= len(top):
        mode = os.stat(at).st_mode & 0o7777
        opened.append((at, mode))
        os.chmod(at, mode | 0o711)
        at = os.path.dirname(at)
    try:
        assert until(lambda: as_user(path, "-u"), "it says who it is") == "0"
    finally:
        for at, mode in opened:
            os.chmod(at, mode)
