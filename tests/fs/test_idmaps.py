# SPDX-License-Identifier: Apache-2.0
"""Id maps of a document's own: no two containers have the same ids of the host."""

import errno
import json
import os
import re

from basics import RANGE, put, until
from containers import Ctn


def maps(*extents):
    return [{"containerID": i, "hostID": h, "size": n} for i, h, n in extents]


def document(name, *extents, gids=None, **keys):
    section = {"uidMappings": maps(*extents), "gidMappings": maps(*(gids or extents))}
    return json.dumps({"name": name, "oci": {"linux": section}, **keys})


def base_of(c):
    """The first host id of a stopped container without maps of its own."""
    m = json.loads(c.read("config.json"))["linux"]["uidMappings"]
    assert len(m) == 1 and m[0]["containerID"] == 0 and m[0]["size"] == RANGE
    return m[0]["hostID"]


def refused(server, text, other, where="new"):
    assert put(server.path(where), text) == errno.EINVAL
    last = server.last_error() if where == "new" else Ctn(server, where.split("/")[0]).last_error()
    assert re.search(r"[ug]idMappings: .*those of %s, " % other, last.text), last


def test_maps_over_the_range_of_another_are_refused(tidy):
    tidy.make("first")
    base = base_of(Ctn(tidy, "first"))
    free = base + 40 * RANGE
    refused(tidy, document("x", (0, base, RANGE)), "first")
    refused(tidy, document("x", (0, base + RANGE - 1, 1)), "first")
    refused(tidy, document("x", (0, free, 1), (1, base - 5, 6)), "first")
    refused(tidy, document("x", (0, free, 9), gids=[(0, base + 1, 9)]), "first")
    assert tidy.containers() == ["first"]
    assert put(tidy.path("new"), document("x", (0, free, RANGE))) == 0, tidy.last_error()
    refused(tidy, document("y", (0, free + 7, 1)), "x")
    os.rmdir(tidy.path("x"))
    assert put(tidy.path("new"), document("y", (0, free + 7, 1))) == 0, tidy.last_error()


def test_a_range_is_never_one_of_such_maps(server):
    server.make("probe")
    base = base_of(Ctn(server, "probe"))
    # The two ranges behind it, one by a uid in its middle, one by a gid.
    assert put(server.path("new"), document("m", (0, base + RANGE + 9, 1), gids=[(0, base + 2 * RANGE, 1)])) == 0
    server.make("a")  # m has a range for itself as well
    taken = {base, base + RANGE, base + 2 * RANGE}
    assert base_of(Ctn(server, "a")) not in taken
    assert server.terminate() == []
    server.start()
    server.make("b")
    assert base_of(Ctn(server, "b")) not in taken
    refused(server, document("x", (0, base + RANGE + 9, 1)), "m")
    os.rmdir(server.path("m"))
    server.make("c")
    assert base_of(Ctn(server, "c")) == base + RANGE


def test_ids_that_are_shared_on_disk_are_said(server):
    server.make("a")
    base = base_of(Ctn(server, "a"))
    assert put(server.path("new"), document("m", (0, base + 40 * RANGE, 7))) == 0, server.last_error()
    path = os.path.join(server.state, Ctn(server, "m").get("id"), "spec")
    assert server.terminate() == []
    with open(path) as f:
        text = f.read()
    assert str(base + 40 * RANGE) in text
    with open(path, "w") as f:
        f.write(text.replace(str(base + 40 * RANGE), str(base + 3)))
    server.start()
    assert server.containers() == ["a", "m"]
    last = Ctn(server, "m").last_error()
    assert "uidMappings: of the host ids from %d to %d some are those of a, " % (base + 3, base + 9) in last.text


def test_written_to_spec(tidy):
    for name in ("a", "b"):
        tidy.make(name)
    a, b = Ctn(tidy, "a"), Ctn(tidy, "b")
    before = b.read("spec")
    refused(tidy, document("b", (0, base_of(a), 10)), "a", "b/spec")
    assert b.read("spec") == before
    free = base_of(a) + 40 * RANGE
    assert b.write("spec", document("b", (0, free, 10))) == 0, b.last_error()
    assert b.write("spec", document("b", (0, free, 20))) == 0, b.last_error()  # over its own
    refused(tidy, document("x", (0, free + 19, 1)), "b")
    assert b.write("spec", "{}") == 0, b.last_error()
    assert put(tidy.path("new"), document("x", (0, free, 10))) == 0, tidy.last_error()


def test_maps_from_the_hosts_root_on_stay(tidy):
    for name in ("a", "b"):
        text = document(name, (0, 0, 1), cmd=["cat", "/proc/self/uid_map"])
        assert put(tidy.path("new"), text) == 0, tidy.last_error()
    for name in ("a", "b"):
        c = Ctn(tidy, name)
        until(lambda: c.state() == "exited", "it has run")
        assert c.read("log").split() == ["0", "0", "1"]


def test_an_exported_document_is_a_clone(tidy):
    text = json.dumps({"name": "a", "cmd": ["sleep", "1000"]})
    assert put(tidy.path("new"), text) == 0, tidy.last_error()
    a, b = Ctn(tidy, "a"), Ctn(tidy, "b")
    doc = json.loads(a.read("config.json"))
    doc["annotations"]["org.ctnfs.name"] = "b"
    doc["hostname"] = "b"
    assert put(tidy.path("new"), json.dumps(doc)) == 0, tidy.last_error()
    assert "Mappings" not in b.read("spec") and "org.ctnfs" not in b.read("spec")
    first, second = (int(c.read("proc/uid_map").split()[1]) for c in (a, b))
    assert abs(first - second) >= RANGE
    # Maps that somebody has changed are maps of the document.
    doc["annotations"]["org.ctnfs.name"] = "c"
    doc["hostname"] = "c"
    doc["linux"]["uidMappings"][0]["size"] -= 1
    refused(tidy, json.dumps(doc), "a")
    for section in ("uidMappings", "gidMappings"):
        doc["linux"][section] = maps((0, first + 40 * RANGE, 100))
    doc["process"]["args"] = ["cat", "/proc/self/gid_map"]
    assert put(tidy.path("new"), json.dumps(doc)) == 0, tidy.last_error()
    c = Ctn(tidy, "c")
    until(lambda: c.state() == "exited", "it has run")
    assert c.read("log").split() == ["0", str(first + 40 * RANGE), "100"]
    doc["annotations"]["org.ctnfs.ids"] = "mine"
    assert put(tidy.path("new"), json.dumps(doc)) == errno.EINVAL
    assert "org.ctnfs.ids" in tidy.last_error().text
