# SPDX-License-Identifier: Apache-2.0
"""N02: what a container can reach of the programs that enter it, it cannot change.

CVE-2019-5736 (runc): a container whose program is a script with the interpreter /proc/self/exe makes
whoever enters execute its own executable, and holds on to that until it can be opened for writing. On
the host's next use of it, the container's code runs there as root.

What holds it off: the monitor, and what `exec` becomes, are executed from one sealed memfd. Its only
owner is root of the host, so a container with a user namespace cannot even execute it. A privileged one
can, and is what is tested most here: it gets hold of it, and can write nothing.

The control is a monitor that gives `exec` a file on disk instead: it is overwritten."""

import errno
import os
import re
import shutil

import pytest

import basics
from attackers import BUILT, LONG, TELL, arm, begin, digest, end, enter, rounds, until_met, weak_server

ENTRIES = rounds(30, 200)
WAYS = (["/attack/self"], ["/attack/self", "1", "2", "3"], ["/proc/self/exe"], ["-u", "1000", "/attack/self"])
HARMLESS = {"ETXTBSY", "EPERM", "EACCES", "EROFS"}
slow = pytest.mark.slow_ok(900 if LONG else 90)


def programs(ctn):
    """The sha256 of each program of ctnfs, on disk and as it runs."""
    found = {name: digest(basics.build_path(name)) for name in basics.PROGRAMS}
    with open("/proc/%d/status" % ctn.pid()) as f:
        monitor = re.search(r"^PPid:\t(\d+)$", f.read(), re.M)[1]
    assert os.readlink("/proc/%s/exe" % monitor) == "/memfd:ctnfs-monitor (deleted)"
    found["running"] = digest("/proc/%s/exe" % monitor)
    return found


def attack(ctn):
    begin(ctn, "/attack/overwrite", TELL, "/attack/overwrite")


@slow
@pytest.mark.parametrize("kind", ["default", "privileged"])
def test_who_enters_cannot_be_overwritten(ctn, kind):
    attack(arm(ctn, kind))
    before = programs(ctn)

    for i in until_met(ctn, "HOLDS" if kind == "privileged" else "", ENTRIES, 20 * ENTRIES):
        enter(ctn, *WAYS[i % len(WAYS)])
        enter(ctn, TELL, "exit", "7", code=7)
    assert programs(ctn) == before
    got = end(ctn)
    assert got.got == []
    assert set(re.findall(r"^REFUSED (\w+)", got.text, re.M)) <= HARMLESS, got.text
    assert set(re.findall(r"^HOLDS (.*)$", got.text, re.M)) <= {"/memfd:ctnfs-monitor (deleted)"}
    if kind == "privileged":
        assert got.count["held"] > 0 and "REFUSED" in got.text, "it never got hold: " + got.text
    else:
        assert got.count["held"] == 0, got.text


@pytest.mark.parametrize("argv", [["/attack/self"], ["/proc/self/exe"]])
def test_in_a_user_namespace_it_cannot_even_be_executed(ctn, argv):
    arm(ctn).start(TELL, "wait")
    assert "may not be executed" in enter(ctn, *argv, code=126).stderr
    ctn.put("ctl", "kill")
    ctn.refused("cmd", argv[0], errno.EACCES, "may not be executed|interpreter")


@slow
def test_who_starts_a_container_cannot_be_overwritten(tidy):
    """The script is a container's own program, in the pid namespace of the attacker."""
    a = arm(tidy.make(), "privileged")
    attack(a)
    b = arm(tidy.make(), "privileged").put("ns/pid", "container:" + a.name)
    before = programs(a)

    for _ in until_met(a, "HOLDS", rounds(10, 100), 20 * rounds(10, 100)):
        b.start("/attack/self")
        b.finish()
    assert programs(a) == before
    got = end(a)
    assert got.got == []
    assert got.count["held"] > 0, "it never got hold: " + got.text
    assert set(re.findall(r"^REFUSED (\w+)", got.text, re.M)) <= HARMLESS, got.text


def test_control_of_the_sealed_memory(session, no_leaks):
    """A file in the place of the sealed memory. A monitor's own file would show less: the monitor is
    there as long as the container, and Linux writes to no file that is executed."""
    with weak_server(session, "program") as server:
        ctn = arm(server.make(), "privileged")
        attack(ctn)
        file = os.path.join(server.run, ctn.get("id"), "program")
        shutil.copy2(os.path.join(BUILT, "ctnfs-monitor-weak-program"), file)
        before = digest(file)
        for _ in range(10 * ENTRIES):
            enter(ctn, "/attack/self")
            if "GOT written" in ctn.read("log"):
                break
        got = end(ctn)
        assert set(got.got) == {"written"}
        assert digest(file) != before
        os.unlink(file)
