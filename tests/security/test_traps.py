# SPDX-License-Identifier: Apache-2.0
"""N16: nothing that a container brings along is executed but what the user names.

CVE-2022-1227 (podman top), CVE-2019-14271 (docker cp): tools that look into a container by running
something there (nsenter, ps, tar, a library for user names) run whatever the container has put in that place, with
more rights than it has.

Here every common name is a trap that leaves a mark on the host. All files of the tree are read and
written, containers are started and entered by absolute paths.

The control is of the trap: what podman did, and a name that is looked up inside, spring it."""

import json
import os
import shutil
import stat

import pytest

from attackers import BUILT, TELL, enter, tools
from basics import put, slurp
from containers import inside
from sessions import session, wait_code

TRAPPED = ("sh bash dash ls cat id ps getent env true sleep tar gzip nsenter unshare mount umount ip nft "
           "iptables find login su sudo passwd useradd newuidmap newgidmap getpcaps ldd ldconfig busybox "
           "crun runc kill stat hostname redis-cli init systemd").split()
PLACES = "bin sbin usr/bin usr/sbin usr/local/bin usr/local/sbin".split()


@pytest.fixture
def trapped(ctn, tmp_path):
    """A container of traps; ctn.caught() is what was executed there."""
    root, caught = str(tmp_path / "root"), str(tmp_path / "caught")
    for path in PLACES + ["etc", "proc", "sys", "dev", "tmp", "run", "root", "attack", "caught"]:
        os.makedirs(os.path.join(root, path), 0o755, exist_ok=True)
    trap = os.path.join(root, "trap")
    shutil.copy2(os.path.join(BUILT, "attack-trap"), trap)
    os.chmod(trap, 0o755)
    for path in [os.path.join(p, n) for p in PLACES for n in TRAPPED]:
        os.link(trap, os.path.join(root, path))
    with open(os.path.join(root, "etc/passwd"), "w") as f:
        f.write("root:x:0:0::/root:/bin/sh\nredis:x:77:78::/srv:/bin/sh\n")
    with open(os.path.join(root, "etc/group"), "w") as f:
        f.write("root:x:0:\nredis:x:78:\ncache:x:79:redis\n")
    os.mkdir(caught)
    os.chmod(caught, 0o777)
    ctn.put("rootfs", root)
    ctn.put("mounts", "%s /attack none bind,ro,noidmap 0 0\n%s /caught none bind,rw,noidmap 0 0" % (
        tools(ctn.server.session), caught))
    ctn.caught = lambda: sorted(name.split(".")[0] for name in os.listdir(caught))
    return ctn


def read_and_write_all(ctn):
    """Each file of the container is read, and gets its own text again."""
    count = 0
    for at, _, names in os.walk(ctn.path()):
        for name in names:
            path = os.path.join(at, name)
            st = os.lstat(path)
            if not stat.S_ISREG(st.st_mode):
                continue
            try:
                text = slurp(path, os.O_RDONLY | os.O_NONBLOCK) if st.st_mode & 0o400 else ""
            except OSError:
                text = ""  # what this machine has not
            count += 1
            if st.st_mode & 0o200 and name not in ("cmd", "ctl", "stdin"):
                put(path, text)  # some are refused while it runs
    return count


def use_the_tree(ctn):
    assert read_and_write_all(ctn) > 50
    for name in ("stats", "metrics", "status", "error", "events", "new", "README"):
        path = ctn.server.path(name)
        if os.path.exists(path):
            slurp(path, os.O_RDONLY | os.O_NONBLOCK)
    ctn.put("hostname", "other").put("oom_score_adj", "500").put("cgroup/pids.max", "100")
    for word in ("pause", "resume", "kill WINCH", "kill CONT"):
        ctn.put("ctl", word)
    os.rename(ctn.path(), ctn.server.path("renamed"))
    ctn.name = "renamed"
    for link in ("proc/status", "root/etc/passwd", "ns/net", "layer"):
        os.stat(ctn.path(link))


@pytest.mark.parametrize("settings", [
    {}, {"init": "1"}, {"tty": "1"}, {"user": "redis"}, {"user": "redis:cache"}, {"ns/user": "host"}],
    ids=lambda s: "+".join(s) or "default")
def test_nothing_else_is_executed(trapped, settings):
    for name, value in settings.items():
        trapped.put(name, value)
    assert read_and_write_all(trapped) > 50
    trapped.put("cmd", json.dumps(["/attack/sampler", "look", TELL])).until_log("READY")
    use_the_tree(trapped)
    for words in ([], ["-u", "redis"], ["-u", "77:cache"], ["-w", "/etc"], ["-e", "PATH=/bin", "-e", "LD_PRELOAD=/trap"]):
        enter(trapped, *words, TELL, "exit", "7", code=7)
    s = session(trapped, "s").put("user", "redis").start(TELL, "exit", "7")
    assert wait_code(s) == 7
    assert read_and_write_all(s) > 10
    s.remove()
    trapped.put("ctl", "restart 2").put("ctl", "stop 2")
    assert read_and_write_all(trapped) > 50
    assert trapped.caught() == []


def test_a_program_that_is_not_there(trapped):
    """No shell is asked for it, neither at a start nor at entering."""
    trapped.refused("cmd", "/attack/missing", 2)
    trapped.start(TELL, "wait")
    enter(trapped, "/attack/missing", code=127)
    enter(trapped, "missing; sh", code=127)
    assert trapped.caught() == []


# --- controls ---

def test_control_of_a_name_inside(trapped):
    trapped.start(TELL, "wait")
    enter(trapped, "ls", "-l", code=99)
    assert trapped.caught() == ["ls"]


def test_control_of_looking_by_running(trapped):
    """As podman did."""
    trapped.start(TELL, "wait")
    inside(trapped, "ps", "-e", check=False)
    assert trapped.caught() == ["ps"]
