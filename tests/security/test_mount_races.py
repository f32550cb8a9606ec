# SPDX-License-Identifier: Apache-2.0
"""N05, N06: what is exchanged while a container is made leads no mount, and no new name, out of it.

CVE-2021-30465, CVE-2024-45310 (runc): two containers share a directory. One exchanges a name in it for
links without end; the other has that name, or names below it, among its `mounts`. Who looks a path up and
uses it in a second step mounts where the link leads, or makes the missing directories there, on the host.

What holds it off: a place to mount on is looked up below the new root by one call of the kernel's that no
link leaves; what is missing is made name by name through descriptors; the mount goes to that descriptor, and
the path is looked at once more afterwards.

The control is a monitor that looks the path up as any other path of the host's."""

import os
import time

import pytest

from attackers import LONG, arm, begin, end, rounds, tools, weak_server
from basics import err_name, limit, slurp
from canaries import bait, canary  # noqa: F401
from rootdirs import make_root

TARGETS = ("/vol/x", "/vol/x/a", "/vol/x/a/b/c")
HARMLESS = {"ENOENT", "EAGAIN", "EINVAL", "ELOOP", "ENOTDIR", "EBUSY"}
TRIES = rounds(60, 1 << 30)
SECONDS = 150 if LONG else 20  # for each of the four
slow = pytest.mark.slow_ok(400 if LONG else 120)


def plant(vol, decoy):
    """A directory with names that lead everywhere."""
    os.mkdir(vol)
    os.chmod(vol, 0o777)
    for name in ("dir", "x"):
        os.mkdir(os.path.join(vol, name))
    for name, to in (("root", "/"), ("up", "../" * 20 + decoy), ("proc", "/proc/sys"), ("abs", decoy),
                     ("fd", "/proc/self/fd/3")):
        os.symlink(to, os.path.join(vol, name))


class Race:
    """Two containers that share a directory: as a volume, or as their root file system."""

    def __init__(self, server, tmp_path, decoy, room, kind, targets=TARGETS,
                 others=("root", "up", "proc", "abs", "fd", "dir")):
        top = str(tmp_path)
        os.chmod(top, 0o755)
        self.src = os.path.join(top, "src")
        os.mkdir(self.src)
        root = make_root(os.path.join(top, "root"))
        os.mkdir(os.path.join(root, "attack"))
        vol = os.path.join(root if room == "rootfs" else top, "vol")
        plant(vol, decoy)
        shared = "" if room == "rootfs" else "%s /vol none bind,rw 0 0\n" % vol
        self.attacker = server.make()
        self.attacker.put("mounts", shared + "%s /attack none bind,ro,noidmap 0 0" % tools(server.session))
        self.victim = arm(server.make(), kind)
        self.victim.put("mounts", shared + "".join("%s %s none bind 0 0\n" % (self.src, t) for t in targets))
        for ctn in (self.attacker, self.victim) if room == "rootfs" else (self.victim,):
            ctn.put("rootfs", root + (" rw" if room == "rootfs" else ""))
        self.attacker.put("cwd", "/vol")
        begin(self.attacker, "/attack/swap", "x", *others)
        self.started, self.refused = 0, {}

    def once(self):
        """One start of the victim."""
        r = self.victim.write("cmd", '["/bin/cat", "/proc/self/mountinfo"]\n')
        if r:
            name = err_name(r)
            self.refused[name] = self.refused.get(name, 0) + 1
            return []
        self.started += 1
        slurp(self.victim.path("wait"))
        lines = self.victim.read("log").splitlines()
        self.victim.write("log", "")  # it would be long in the end
        return [l.split()[4] for l in lines if l.split()[3].endswith(self.src)]

    def tries(self):
        return self.started + sum(self.refused.values())

    def __str__(self):
        return "%d starts, refused %s" % (self.started, self.refused)


@slow
@pytest.mark.parametrize("room", ["volume", "rootfs"])
@pytest.mark.parametrize("kind", ["default", "privileged"])
def test_nothing_is_mounted_or_made_outside(tidy, canary, tmp_path, kind, room):  # noqa: F811
    race = Race(tidy, tmp_path, canary.path, room, kind)
    deadline = time.monotonic() + limit(SECONDS)
    while race.tries() < TRIES and time.monotonic() < deadline:
        places = race.once()
        # inside, where a link to / leads there: in /a, once an earlier start has made it
        assert all(p.startswith(("/vol/", "/a")) for p in places), places
        assert len(places) in (0, len(TARGETS)), places
        assert canary.touched() == [] and canary.mounts() == []
        if race.refused:
            assert race.victim.last_error().text.startswith(("mounts: ", "root file system")), race.victim.last_error()
    got = end(race.attacker)
    print("N05/N06 %s, %s: %s; %d exchanges" % (room, kind, race, got.count["swaps"]))
    assert set(race.refused) <= HARMLESS, race
    assert got.count["swaps"] > 1000 and race.tries() > 10, (race, got.text)


@slow
@pytest.mark.parametrize("kind", ["default", "privileged"])
def test_control_of_the_race(session, no_leaks, tmp_path, bait, kind):  # noqa: F811
    with weak_server(session, "target") as server:
        decoy = bait(server)
        race = Race(server, tmp_path, decoy.path, "volume", kind, TARGETS[-1:], ("abs", "dir"))  # / would be the real one
        seen = []
        deadline = time.monotonic() + limit(60)
        while not any("/a:" in e for e in seen):
            assert time.monotonic() < deadline, race
            race.once()
            seen += decoy.touched()
        end(race.attacker)
        assert os.path.isdir(os.path.join(decoy.path, "a"))
