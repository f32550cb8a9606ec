# SPDX-License-Identifier: Apache-2.0
"""N26: a container opens the devices that it was given and no others, at any moment.

A root with CAP_MKNOD makes a node for any device, a disk of the host's as well; what is left is the list of its
control group. Docker has changed such lists by taking them away for a moment. What holds it off: whoever is in
the container was put into the control group before it ran, and no limit that is changed, no server that starts
again touches the list of one that runs.

The control is a container with a list of all devices."""

import os
import re

import pytest

from attackers import LONG, arm, begin, end, enter, rounds
from harness import cgroup_version

UPDATES = rounds(150, 1000)
# A disk, the kernel's memory, its messages, fuse and a tun, the first of which needs no driver to be asked for.
WANTED = ("b:254:0", "c:1:1", "c:1:11", "c:10:229", "c:10:200", "b:7:0")
GIVEN = "+c:1:3"
DEFAULT = "c 1:3 rwm /dev/null\nc 1:5 rw /dev/zero\nc 5:2 rw\nc 136:* rw"
slow = pytest.mark.slow_ok(900 if LONG else 90)


@pytest.fixture
def maker(ctn):
    """Root of the host, with all capabilities and no filter: it may make any node, as far as the list goes."""
    if cgroup_version(ctn.server) == 1 and not os.path.isdir(ctn.path("cgroup/raw/devices/")):
        pytest.skip("no devices controller here")
    arm(ctn, "privileged").put("mounts", "-/dev/shm", append=True)
    return ctn.put("devices", DEFAULT + "\na *:* m")


def answers(report):
    return set(re.findall(r"^SAID (\S+ \w+)$", report if isinstance(report, str) else report.text, re.M))


def expected():
    return {"%s EPERM" % d for d in WANTED} | {GIVEN + " ok"}


def update(ctn, i):
    """One of the limits, to another value than before."""
    knobs = (("pids.max", 100 + i), ("memory.limit", (100 + i) << 20), ("cpu.shares", 100 + i), ("cpu.max", "%d 100000" % (50000 + i)))
    name, value = knobs[i % len(knobs)]
    ctn.put("cgroup/" + name, value)
    if i % 25 == 0:
        ctn.put("devices", DEFAULT + "\na *:* rwm").put("devices", DEFAULT + "\na *:* m")
        other = ctn.server.make().start("true")
        assert other.finish() == 0
        other.remove()


def entered(ctn):
    return answers(enter(ctn, "/attack/opener", "once", *WANTED, GIVEN, code=0).stdout)


@slow
def test_while_limits_change(maker):
    begin(maker, "/attack/opener", *WANTED, GIVEN)
    for i in range(UPDATES):
        update(maker, i)
        if i % 50 == 0:
            assert entered(maker) == expected()
    got = end(maker)
    assert answers(got) == expected()
    assert got.count["opened"] == got.count["lost"] == 0 and got.count["tries"] > UPDATES / 2, got.text


@slow
def test_while_servers_come_and_go(new_server):
    server = new_server()
    ctn = server.make()
    if cgroup_version(server) == 1 and not os.path.isdir(ctn.path("cgroup/raw/devices/")):
        pytest.skip("no devices controller here")
    arm(ctn, "privileged").put("devices", DEFAULT + "\na *:* m")
    begin(ctn, "/attack/opener", *WANTED, GIVEN)
    for i in range(rounds(4, 50)):
        ctn.put("devices", DEFAULT + "\na *:* rwm").put("devices", DEFAULT + "\na *:* m")
        server.kill9()
        server.start()
        update(ctn, 1 + i % 20)
        assert entered(ctn) == expected()
    got = end(ctn)
    assert answers(got) == expected() and got.count["opened"] == got.count["lost"] == 0, got.text


def test_nodes_cannot_even_be_made(ctn):
    """By default the list has no right to make one; and in a user namespace nobody has."""
    for kind in "default", "privileged":
        arm(ctn, kind).put("devices", DEFAULT.replace("rwm", "rw"))
        ctn.start("/attack/opener", "once", *WANTED)
        assert ctn.finish() == 0
        assert "mknod EPERM" in answers(ctn.read("log")), ctn.read("log")
        ctn.put("ns/user", "new").put("caps", "default").put("seccomp", "default").write("log", "")


def test_control(maker):
    maker.put("devices", "c 1:3 rwm /dev/null\na *:* rwm")
    begin(maker, "/attack/opener", *WANTED, GIVEN)
    got = end(maker)
    refused = {a for a in answers(got) if a.endswith(" EPERM")}  # the disk by its driver, on some machines
    assert refused <= {"b:254:0 EPERM"} and got.count["opened"] > 0, got.text
