# SPDX-License-Identifier: Apache-2.0
"""N13, N15: what is read of a container for the host, or copied within it, is nothing of the host's.

CVE-2018-15664, CVE-2019-14271, CVE-2019-10152 (copying in and out), CVE-2024-9676 and the like (an
/etc/passwd that is a link, a device, a pipe): files are looked at by name, become links to the host, and are
read, or written, with the host's rights.

What ctnfs reads there is /etc/passwd and /etc/group, at a start and at `exec -u`; what it copies is the
beginning of a tmpfs with tmpcopyup. It copies nothing in or out. What holds it off: one look-up that does not
leave the root, regular files only, and names in a directory's descriptor that are never followed.

The controls are a monitor that reads users from whatever a link leads to, and one that copies it."""

import os
import re
import time

import pytest

from attackers import LONG, TELL, arm, begin, end, enter, rounds, tools, weak_server
from basics import SANITIZERS, limit, slurp
from canaries import SECRET, bait, canary  # noqa: F401
from rootdirs import make_root

TRIES = rounds(60, 1 << 30)
SECONDS = 60 if LONG else 20
KINDS = ("default", "privileged")
slow = pytest.mark.slow_ok(400 if LONG else 120)
EVIL = "evil:x:0:0::/:/bin/sh\n"


def memory(server):
    return int(re.search(r"VmRSS:\s+(\d+)", slurp("/proc/%d/status" % server.proc.pid))[1])


def attacker(server, top, where, *names):
    """Somebody who exchanges names in a directory below that root file system, which is his, too."""
    ctn = server.make()
    ctn.put("rootfs", top + " rw").put("mounts", "%s /attack none bind,ro,noidmap 0 0" % tools(server.session))
    return begin(ctn.put("cwd", where), "/attack/swap", *names)


@pytest.fixture
def top(tmp_path):
    os.chmod(str(tmp_path), 0o755)
    root = make_root(str(tmp_path / "root"))
    os.mkdir(os.path.join(root, "attack"))
    os.chmod(os.path.join(root, "etc"), 0o755)
    return root


# --- N13: users ---

def evil_passwd(top, secret):
    """One that is as it should be, beside links to the host's, a pipe and a large file."""
    etc = os.path.join(top, "etc")
    with open(secret, "w") as f:
        f.write(EVIL + SECRET + "\n")
    os.chmod(secret, 0o600)
    os.symlink(secret, etc + "/abs")
    os.symlink("../" * 20 + secret, etc + "/up")
    os.symlink("/proc/self/root" + secret, etc + "/magic")
    os.mkfifo(etc + "/fifo")
    with open(etc + "/huge", "w") as f:
        f.truncate(10 << 30)


@slow
@pytest.mark.parametrize("kind", KINDS)
def test_users_while_passwd_is_exchanged(tidy, canary, top, tmp_path, kind):  # noqa: F811
    evil_passwd(top, str(tmp_path / "secret"))
    victim = arm(tidy.make(), kind).put("rootfs", top).put("user", "evil")
    entered = arm(tidy.make(), kind).put("rootfs", top).start(TELL, "wait")
    before, longest, tries = memory(tidy), 0, 0
    a = attacker(tidy, top, "/etc", "passwd", "abs", "up", "magic", "fifo", "huge")
    deadline = time.monotonic() + limit(SECONDS)
    while tries < TRIES and time.monotonic() < deadline:
        began = time.monotonic()
        assert victim.write("cmd", '["/bin/id"]\n') != 0, "it knew the host's user"
        longest = max(longest, time.monotonic() - began)
        assert SECRET not in victim.read("error")
        if tries % 4 == 0:
            r = enter(entered, "-u", "evil", "/bin/id")
            assert r.returncode == 125 and SECRET not in r.stderr and r.stdout == "", r
        tries += 1
    got = end(a)
    print("N13 %s: %d tries, the longest took %.3f s; %d exchanges" % (kind, tries, longest, got.count["swaps"]))
    assert tries > 10 and got.count["swaps"] > 1000
    assert longest < limit(3)
    assert SANITIZERS or memory(tidy) - before < 16 << 10  # they keep what was freed


def test_control_of_users(session, no_leaks, top, tmp_path):
    with weak_server(session, "users") as server:
        evil_passwd(top, str(tmp_path / "secret"))
        ctn = arm(server.make()).put("rootfs", top).start(TELL, "wait")
        os.rename(top + "/etc/abs", top + "/etc/passwd")
        assert enter(ctn, "-u", "evil", "/bin/id", "-u", code=0).stdout == "0\n"


# --- N15: tmpcopyup ---


def copied(top, secret):
    data = os.path.join(top, "data")
    os.makedirs(data + "/dir")
    with open(secret, "w") as f:
        f.write(SECRET + "\n")
    for name in ("x", "other", "dir/file"):
        with open(os.path.join(data, name), "w") as f:
            f.write("harmless\n")
    os.symlink(secret, data + "/abs")
    os.symlink(os.path.dirname(secret), data + "/hostdir")
    os.symlink("/proc/self/root" + secret, data + "/magic")


def copy_race(server, top, kind, enough):
    """Starts while a file is exchanged for links. What is seen inside in the end: links lead nowhere there.
    An overlay would remember what it has seen."""
    victim = arm(server.make(), kind).put("rootfs", top + " rw")
    victim.put("mounts", "x /data tmpfs tmpcopyup 0 0", append=True)
    a = attacker(server, top, "/data", "x", "abs", "magic", "dir", "hostdir", "other")
    done, refused, seen = 0, set(), ""
    while not enough(done, seen):
        r = victim.write("cmd", '["sh", "-c", "cat /data/* /data/*/* 2>&1"]\n')
        if r:
            refused.add(victim.last_error().text)
        else:
            slurp(victim.path("wait"))
            seen = victim.read("log")
            victim.write("log", "")
        done += 1
    return done, refused, seen, end(a)


@slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_while_it_is_exchanged(tidy, canary, top, kind):  # noqa: F811
    copied(top, os.path.join(canary.path, "canary"))
    canary.touched()
    canary.before = canary.now()
    deadline = time.monotonic() + limit(SECONDS)

    def enough(done, seen):
        assert SECRET not in seen
        return done >= TRIES or time.monotonic() > deadline

    done, refused, _, got = copy_race(tidy, top, kind, enough)
    print("N15 %s: %d copies; %d exchanges" % (kind, done, got.count["swaps"]))
    assert done > 10 and got.count["swaps"] > 1000
    assert all(t.startswith("mounts: ") for t in refused), refused


@slow
def test_control_of_a_copy(session, no_leaks, bait, top):  # noqa: F811
    with weak_server(session, "copyup") as server:
        decoy = bait(server)
        copied(top, os.path.join(decoy.path, "canary"))
        os.unlink(top + "/data/hostdir")
        os.unlink(top + "/data/magic")
        deadline = time.monotonic() + limit(60)

        def enough(done, seen):
            assert time.monotonic() < deadline, "not in %d copies" % done
            return SECRET in seen

        copy_race(server, top, "privileged", enough)


# --- what the tree's own links lead to ---

def test_the_kernels_links_are_the_kernels(tidy, canary, top):  # noqa: F811
    """root/ and layer/ are links of the kernel's and the host's: what a program of the host's does through them
    is its own affair, and SECURITY.md says so. `exec` does it inside, where such a link leads nowhere."""
    secret = os.path.join(canary.path, "canary")
    os.symlink(secret, top + "/srv/link")
    ctn = arm(tidy.make()).put("rootfs", top).start(TELL, "wait")
    assert slurp(ctn.path("root/srv/link")) == SECRET + "\n"
    r = enter(ctn, "/bin/cat", "/srv/link")
    assert r.returncode == 1 and "No such file" in r.stderr and r.stdout == ""
