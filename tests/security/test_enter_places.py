# SPDX-License-Identifier: Apache-2.0
"""N03: no descriptor of the host's leads a program of a container out of it.

CVE-2024-21626 (runc): with a directory of the host still open in the process that becomes the program,
a working directory of /proc/self/fd/N, or a link to that in the image, is on the host; and a program at
/proc/self/fd/N/bin/sh is the host's.

What holds it off: all descriptors but the standard ones are closed, for good, before anything of the
container's is looked up; and a directory to which the kernel knows no way from the container's root is
refused.

Each control is a monitor that leaves out one of these, or both where one makes up for the other."""

import errno
import os
import subprocess

import pytest

from attackers import TELL, arm, command, rounds, tools, weak_server
from basics import limit
from rootdirs import make_root
from sessions import session, wait_code

HELD = list(range(3, 21))
NUMBERS = list(range(64))


def enter_holding(ctn, *args, directory="/etc"):
    """As enter(), by a caller that has that directory as standard input and as descriptors 3 to 20."""
    tell = os.path.join(tools(ctn.server.session), "tell")
    argv = [tell, "hold", directory] + command(ctn, *args)
    return subprocess.run(argv, capture_output=True, text=True, timeout=limit(20), stdin=subprocess.DEVNULL)


def told(text):
    """Where the program is, and which descriptors it has."""
    lines = text.splitlines()
    assert lines[0].startswith("cwd "), text
    return lines[0][4:], [int(l.split()[1]) for l in lines[1:]]


def refused(r):
    assert r.returncode in (125, 126, 127) and r.stdout == "" and len(r.stderr.split()) > 3, r


def is_inside(r):
    """Refused with a sentence, or in a directory of the container's."""
    if r.returncode:
        refused(r)
    else:
        assert told(r.stdout)[0].startswith("/"), r.stdout


@pytest.fixture(params=["default", "privileged"])
def waiting(ctn, request):
    """A container that does nothing, with links to descriptors as working directories."""
    arm(ctn, request.param).put("cwd", "/tmp")
    ctn.sh("for n in $(seq 0 63); do ln -s /proc/self/fd/$n /w$n; done; echo ready; exec /attack/tell wait")
    return ctn.until_log("ready")


def test_only_the_standard_streams_go_along(waiting):
    r = enter_holding(waiting, TELL)
    assert r.returncode == 0 and told(r.stdout) == ("/tmp", [0, 1, 2])


def test_what_is_asked_for_goes_along(waiting):
    r = enter_holding(waiting, "-f", "7", "-f", "20", TELL)
    assert r.returncode == 0 and told(r.stdout)[1] == [0, 1, 2, 7, 20]


def test_only_descriptors_of_the_caller_can_be_asked_for(waiting):
    """The launcher's own, its way to the monitor, is none of them."""
    for n in NUMBERS[3:]:
        r = subprocess.run(command(waiting, "-f", str(n), TELL), capture_output=True, text=True,
                           timeout=limit(20), stdin=subprocess.DEVNULL)
        assert r.returncode == 125 and "open descriptor" in r.stderr, (n, r)


def test_a_descriptor_is_no_working_directory(waiting):
    for n in NUMBERS:
        refused(enter_holding(waiting, "-w", "/proc/self/fd/%d" % n, TELL))
        refused(enter_holding(waiting, "-w", "/w%d" % n, TELL))


@pytest.mark.parametrize("path", ["/proc/self/cwd", "/proc/self/root", "/proc/self/root/..", "/proc/1/cwd/../..",
                                  "/proc/thread-self/cwd", "/proc/self/task/../fd/0", "/dev/fd/5", "/dev/fd/0"])
def test_other_ways_to_a_working_directory(waiting, path):
    is_inside(enter_holding(waiting, "-w", path, TELL))


def test_a_descriptor_leads_to_no_program(waiting):
    """tell is in the directory that the caller holds, so a wrong number is the only reason to fail."""
    directory = tools(waiting.server.session)
    for n in NUMBERS[3:]:
        r = enter_holding(waiting, "/proc/self/fd/%d/tell" % n, directory=directory)
        refused(r)


def test_a_session_has_only_its_streams(waiting):
    s = session(waiting, "s").start(TELL)
    wait_code(s)
    assert told(s.read("log")) == ("/tmp", [0, 1, 2])


def test_a_descriptor_is_no_working_directory_of_a_session(waiting):
    """Below the monitor, which has more open than any caller of `exec`."""
    codes = errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EACCES
    for n in NUMBERS[::rounds(3, 1)]:
        for path in ("/proc/self/fd/%d" % n, "/w%d" % n):
            s = session(waiting, "s").put("cwd", path)
            s.refused("cmd", TELL, codes, "cwd")
            s.remove()
    session(waiting, "s").refused("cmd", "/proc/self/fd/5/tell", errno.ENOENT)


def test_a_directory_of_the_host_that_is_inside_as_well(tidy, tmp_path):
    """The root file system is a directory of the host: what is below it has a name inside, but a
    descriptor of it is on the host's mount, and its .. leads out."""
    top = make_root(str(tmp_path / "root"))
    os.mkdir(top + "/attack")
    ctn = arm(tidy.make(), "privileged").put("rootfs", top + " rw")
    ctn.start(TELL, "wait")
    r = enter_holding(ctn, "-w", "/proc/self/fd/0", TELL, directory=top + "/srv")
    refused(r)


def test_a_containers_own_working_directory(ctn):
    """At its start the monitor has the run directory, the state directory and the host's mount
    namespace open."""
    arm(ctn, "privileged").put("caps", "default")
    for n in NUMBERS[::rounds(3, 1)]:
        ctn.put("cwd", "/proc/self/fd/%d" % n)
        codes = errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EACCES
        ctn.refused("cmd", TELL, codes, "cwd")
    ctn.put("cwd", "/")
    ctn.refused("cmd", "/proc/self/fd/5/tell", errno.ENOENT)


# --- controls ---

def test_control_of_descriptors(session, no_leaks):
    """What the caller holds goes along, and leads to a program of the host's."""
    with weak_server(session, "descriptors") as server:
        ctn = arm(server.make(), "privileged").start(TELL, "wait")
        r = enter_holding(ctn, TELL)
        assert set(HELD) <= set(told(r.stdout)[1])
        r = enter_holding(ctn, "/proc/self/fd/9/tell", directory=tools(session))
        assert r.returncode == 0 and told(r.stdout)[0] == "/", r


def test_control_of_the_working_directory(session, no_leaks):
    """Standard input is left, which leads out."""
    with weak_server(session, "cwd") as server:
        ctn = arm(server.make()).start(TELL, "wait")
        r = enter_holding(ctn, "-w", "/proc/self/fd/0", TELL)
        assert r.returncode == 0 and told(r.stdout)[0] == "(unreachable)/etc", r
        r = enter_holding(ctn, "-w", "/proc/self/fd/9", TELL)  # the other protection is there
        refused(r)


def test_control_of_both(session, no_leaks):
    """As runc was: with either protection alone it is refused, at a start and at entering."""
    with weak_server(session, "descriptors-cwd") as server:
        ctn = arm(server.make()).start(TELL, "wait")
        r = enter_holding(ctn, "-w", "/proc/self/fd/9", TELL)
        assert r.returncode == 0 and told(r.stdout)[0] == "(unreachable)/etc", r
        ctn = arm(server.make(), "privileged").start(TELL, "wait")  # in a user namespace it may not
        sessions = went(session_of(ctn, n) for n in NUMBERS[3:30])
        assert any(where.startswith("(unreachable)/") for where in sessions), sessions
        starts = went(arm(server.make(), "privileged") for n in NUMBERS[3:30])
        assert any(where.startswith("(unreachable)/") for where in starts), starts


def session_of(ctn, n):
    return session(ctn, "s%d" % n)


def went(programs):
    """Where each of them is, which is to be in /proc/self/fd/3 and so on, or why it is not."""
    found = []
    for n, c in enumerate(programs, 3):
        c.put("cwd", "/proc/self/fd/%d" % n)
        if c.write("cmd", TELL + "\n") == 0:
            wait_code(c)
            found.append(told(c.read("log"))[0])
        else:
            found.append(c.last_error().text)
        c.remove()
    return found
