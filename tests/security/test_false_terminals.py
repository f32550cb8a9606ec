# SPDX-License-Identifier: Apache-2.0
"""N08: a terminal is had from the kernel, not by a name that is inside.

CVE-2025-52565 (runc): who mounts /dev/pts/N on /dev/console, opens it, or gives it to the user, is led to
another file by a link of that name. Here a volume is at /dev/pts, full of links to a file of the host's, and
its ptmx makes real terminals elsewhere; another container exchanges these names.

What holds it off: /dev/pts must be a devpts, ptmx in it the device 5:2, and the other end comes from the
terminal itself.

The control is a monitor that goes by the names."""

import errno
import os
import time

import pytest

from attackers import LONG, arm, begin, end, rounds, tools, weak_server
from basics import limit
from canaries import bait, canary  # noqa: F401

TRIES = rounds(30, 1 << 30)
KINDS = ("default", "privileged")


def planted(ctn, tmp_path, decoy):
    """A terminal is asked for by user 1000 where /dev/pts is not what it seems to be."""
    os.chmod(str(tmp_path), 0o755)
    pts = tmp_path / "pts"
    pts.mkdir()
    os.chmod(str(pts), 0o777)
    for i in range(64):
        os.symlink("/srv/canary", str(pts / str(i)))
    os.symlink("/srv/dev/ptmx", str(pts / "ptmx"))
    os.symlink("/srv/canary", str(pts / "console"))
    ctn.put("user", "1000:1000").put("tty", "1")
    for line in ("/dev /srv/dev none rbind,rw,noidmap", "%s /dev/pts none bind,rw,noidmap" % pts,
                 "%s/canary /srv/canary none bind,rw,noidmap" % decoy):
        ctn.put("mounts", line + " 0 0", append=True)
    return str(pts)


@pytest.mark.slow_ok(400 if LONG else 120)
@pytest.mark.parametrize("kind", KINDS)
def test_a_false_devpts(tidy, canary, tmp_path, kind):  # noqa: F811
    victim = arm(tidy.make(), kind)
    pts = planted(victim, tmp_path, canary.path)
    a = tidy.make()
    a.put("mounts", "%s /attack none bind,ro,noidmap 0 0\n%s /pts none bind,rw 0 0" % (tools(tidy.session), pts))
    begin(a.put("cwd", "/pts"), "/attack/swap", "ptmx", "0", "1", "2", "console")
    tries, deadline = 0, time.monotonic() + limit(60 if LONG else 20)
    while tries < TRIES and time.monotonic() < deadline:
        victim.refused("cmd", '["true"]', (errno.ENOTTY, errno.ELOOP, errno.ENOENT), "tty: ")
        assert canary.touched() == []
        tries += 1
    got = end(a)
    print("N08 %s: %d terminals, %d exchanges" % (kind, tries, got.count["swaps"]))
    assert tries > 5 and got.count["swaps"] > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_are_terminals(tidy, canary, kind):  # noqa: F811
    """What stands beside: links in the layer, where /dev is ours, change nothing."""
    ctn = arm(tidy.make(), kind, "1000:1000").put("tty", "1")
    out = ctn.output("stat -c '%t %u' $(tty) && stat -c %t /dev/console")
    assert out.split() == ["88", "1000", "88"], out


def test_control_of_names(session, no_leaks, bait, tmp_path):  # noqa: F811
    """The host's file belongs to the user inside."""
    with weak_server(session, "tty") as server:
        decoy = bait(server)
        ctn = arm(server.make(), "privileged")
        planted(ctn, tmp_path, decoy.path)
        ctn.write("cmd", '["true"]\n')
        st = os.stat(os.path.join(decoy.path, "canary"))
        assert st.st_uid == 1000, ctn.last_error()
