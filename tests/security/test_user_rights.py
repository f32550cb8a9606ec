# SPDX-License-Identifier: Apache-2.0
"""N10, N11: a program has the capabilities and the groups that it was given, and can get no others.

CVE-2022-29162, CVE-2022-27650, CVE-2022-27649, CVE-2022-24769: with an inheritable set that is not empty, who
may execute a file with inheritable capabilities has them. CVE-2016-8867: an ambient set. CVE-2018-10856: a user
that is not root keeps root's. CVE-2022-2989, CVE-2022-36109, CVE-2023-25173: the groups of who starts it stay,
and open files to it, or close those that say "everyone but this group".

The controls are monitors that leave the inheritable set, and the server's groups, as they are."""

import contextlib
import errno
import os
import re

import pytest

from attackers import arm, enter, weak_server
from basics import slurp
from canaries import canary  # noqa: F401
from sessions import session as session_of, wait_code

DEFAULT = 0xa80425fb
SYS_PTRACE, NET_RAW = 1 << 19, 1 << 13
GROUP = 42420
NOTHING = "0" * 16


def sets(text):
    return dict(re.findall(r"^(Cap\w+|Uid|Groups|NoNewPrivs):\t(.*?)\s*$", text, re.M))


def bounding_of_host():
    return int(sets(slurp("/proc/self/status"))["CapBnd"], 16)


def three(ctn):
    """What a container's own program, one by `exec`, and a session say of themselves."""
    show = ("cat", "/proc/self/status")
    yield ctn.output(" ".join(show))
    ctn.sh("echo ready; sleep 100000")
    ctn.until_log("ready")
    yield enter(ctn, *show, code=0).stdout
    s = session_of(ctn, "s").start(*show)
    assert wait_code(s) == 0
    yield s.read("log")
    s.remove()


@pytest.mark.parametrize("kind, user, caps, want", [
    ("default", "0", None, DEFAULT | SYS_PTRACE), ("default", "1000", None, DEFAULT | SYS_PTRACE),
    ("privileged", "0", None, -1), ("privileged", "1000", None, -1),
    ("default", "1000", "cap_net_raw cap_chown", NET_RAW | 1), ("privileged", "0", "0x2000", NET_RAW)])
def test_the_sets(ctn, canary, kind, user, caps, want):  # noqa: F811
    arm(ctn, kind, user)
    if caps:
        ctn.put("caps", caps)
    want = bounding_of_host() if want < 0 else want & bounding_of_host()
    for text in three(ctn):
        got = sets(text)
        assert got["CapInh"] == got["CapAmb"] == NOTHING, got
        assert int(got["CapBnd"], 16) == want, got
        assert got["CapPrm"] == got["CapEff"] == ("%016x" % want if user == "0" else NOTHING), got


@pytest.mark.parametrize("text", ["cap_nonsense", "+cap_nonsense", "cap_", "0x1ffffffffffffffff", "-1", "cap_chown,cap_x", "64"])
def test_what_is_no_capability(ctn, text):
    ctn.refused("caps", text, errno.EINVAL)


def with_file(ctn, kind):
    """A program with an inheritable capability, which user 1000 runs; nothing but the empty set is in its way."""
    arm(ctn, kind).put("no_new_privs", "0")
    ctn.output("mkdir -p /srv && cp /bin/cat /srv/cat && setcap cap_net_raw+i /srv/cat && getcap /srv/cat")
    return sets(ctn.put("user", "1000").output("/srv/cat /proc/self/status"))


@pytest.mark.parametrize("kind", ["default", "privileged"])
def test_a_file_with_inheritable_capabilities(ctn, canary, kind):  # noqa: F811
    got = with_file(ctn, kind)
    assert got["CapPrm"] == got["CapEff"] == got["CapInh"] == NOTHING and got["NoNewPrivs"] == "0", got


def test_control_of_the_inheritable_set(session, no_leaks):
    with weak_server(session, "inheritable") as server:
        for kind in ("default", "privileged"):
            got = with_file(server.make(), kind)
            assert int(got["CapPrm"], 16) == NET_RAW, got


# --- groups ---

@contextlib.contextmanager
def in_group():
    """Whoever is started meanwhile is in a group that has the key to a file."""
    before = os.getgroups()
    os.setgroups([0, GROUP])
    try:
        yield
    finally:
        os.setgroups(before)


def closed(ctn, tmp_path, kind):
    """Files that only that group, and only others, may read; what user 1000 gets of them."""
    os.chmod(str(tmp_path), 0o755)
    for name, mode in (("theirs", 0o640), ("not-theirs", 0o604)):
        path = str(tmp_path / name)
        with open(path, "w") as f:
            f.write(name + "\n")
        os.chown(path, 0, GROUP)
        os.chmod(path, mode)
    arm(ctn, kind, "1000:1000").put("mounts", "%s /files none bind,ro,noidmap 0 0" % tmp_path, append=True)
    return ctn


@pytest.mark.parametrize("kind", ["default", "privileged"])
def test_groups_of_the_server(new_server, tmp_path, kind):
    with in_group():
        server = new_server()
        ctn = closed(server.make(), tmp_path, kind)
        assert ctn.output("id -G; cat /files/theirs /files/not-theirs 2>&1; true").splitlines()[::2] == ["1000", "not-theirs"]
        ctn.put("user", "0")
        for text in three(ctn):
            assert sets(text)["Groups"] in ("", "0"), text


def test_control_of_groups(session, no_leaks, tmp_path):
    """Privileged: where ids are mapped they are taken away once more."""
    with in_group(), weak_server(session, "groups") as server:
        ctn = closed(server.make(), tmp_path, "privileged")
        out = ctn.output("cat /files/theirs /files/not-theirs 2>&1; true").splitlines()
        assert out[0] == "theirs" and "denied" in out[1], out
