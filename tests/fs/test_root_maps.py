# SPDX-License-Identifier: Apache-2.0
"""A root file system's owners, where the container's id map is the user's choice."""

import errno
import json
import os

import pytest

from basics import RANGE, put
from containers import Ctn
from rootdirs import look, make_root

MODES = ["overlay", "ro", "rw"]


@pytest.fixture
def root(tmp_path):
    return make_root(str(tmp_path / "root"))


@pytest.fixture
def first(session):
    """The first of some host ids that no other container has."""
    return session.id_base + session.id_width - RANGE


def give(top, uid):
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            os.lchown(os.path.join(at, name), uid, uid)
    os.lchown(top, uid, uid)


def make(server, root, mode, maps):
    extents = [dict(zip(("containerID", "hostID", "size"), m)) for m in maps]
    spec = {"name": "c", "rootfs": "%s %s" % (root, mode)}
    if maps:
        spec["oci"] = {"linux": {"uidMappings": extents, "gidMappings": extents}}
    assert put(server.path("new"), json.dumps(spec)) == 0, server.last_error()
    return Ctn(server, "c")


@pytest.mark.parametrize("mode", MODES)
def test_made_for_the_map(tidy, root, first, mode):
    """As podman without root and docker with userns-remap leave it: whose ids those are already."""
    give(root, first)
    os.chown(root + "/etc/passwd", first + 77, first + 77)
    before = look(root)
    c = make(tidy, root, mode, [(0, first, 1), (1, first + 1, 999)])
    assert c.output("stat -c %u:%g / /bin /etc/passwd") == "0:0\n0:0\n77:77\n"
    assert look(root) == before
    if mode != "ro":
        assert c.output("echo > /etc/new; stat -c %u /etc/new") == "0\n"
        where = root if mode == "rw" else c.path("layer")
        assert os.stat(where + "/etc/new").st_uid == first


@pytest.mark.parametrize("mode", MODES)
def test_made_for_the_second_extent(tidy, root, first, mode):
    give(root, first + 500)
    c = make(tidy, root, mode, [(0, first, 1), (1, first + 500, 10)])
    assert c.output("stat -c %u:%g /bin /etc/passwd") == "1:1\n1:1\n"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("owner", [0, "below", "behind"])
def test_made_for_another(tidy, root, first, mode, owner):
    """Of an id that the map does not have: then it is mapped as any directory is."""
    uid = {"below": first - 1, "behind": first + 1000}.get(owner, owner)
    os.chown(root, uid, uid)
    c = make(tidy, root, mode, [(0, first, 1000)])
    assert c.output("stat -c %u:%g /bin") == "0:0\n"
    if mode == "rw":
        assert c.output("echo > /srv/new; stat -c %u /srv/new") == "0\n"
        assert os.stat(root + "/srv/new").st_uid == 0


def test_without_a_map_of_its_own(tidy, root, first):
    """The container's own range is nobody's choice: a directory is mapped, whoever owns it."""
    c = make(tidy, root, "ro", [])
    give(root, int(c.status("Uids")))
    assert c.output("stat -c %u:%g /bin") == "65534:65534\n"
