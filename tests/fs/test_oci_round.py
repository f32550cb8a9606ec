# SPDX-License-Identifier: Apache-2.0
"""Round trips: what a container says of itself makes the same container again, here and under runc."""

import json
import os
import subprocess

import pytest

from basics import have, put
from ocidocs import (PORT, capabilities, create, document, facts, program, sets, spare_ids,
                     with_cgroup)
from rootdirs import make_root


@pytest.fixture
def root(tmp_path):
    top = make_root(str(tmp_path / "root"))
    program(top, "/report")
    return top


@pytest.fixture
def first(tidy):
    return spare_ids(tidy)


def full(root, first):
    """Much of the above at once."""
    doc = with_cgroup(root, memory={"limit": 64 << 20}, pids={"limit": 77}, unified={"cpu.weight": "50"})
    maps = [{"containerID": 0, "hostID": first, "size": 1000}]
    doc["process"].update(
        args=["/report", "a b", ""], env=["A=1", "PATH=/bin"], cwd="/srv", terminal=False,
        user={"uid": 77, "gid": 78, "umask": 0o27, "additionalGids": [79]},
        capabilities=sets(bounding="chown kill", permitted="kill", effective="kill", inheritable="kill",
                          ambient="kill"),
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}], noNewPrivileges=True, oomScoreAdj=500,
        scheduler={"policy": "SCHED_BATCH", "nice": 5}, ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6})
    doc["linux"]["namespaces"].append({"type": "time"})
    doc["linux"].update(
        uidMappings=maps, gidMappings=maps, sysctl={PORT: "99"}, rootfsPropagation="slave",
        maskedPaths=["/etc/group"], readonlyPaths=["/var"], timeOffsets={"boottime": {"secs": 5}},
        devices=[{"path": "/dev/one", "type": "c", "major": 1, "minor": 3, "fileMode": 0o620, "uid": 7, "gid": 8}],
        seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]})
    doc["linux"]["resources"]["devices"] = [{"allow": False, "access": "rwm"}]
    doc["domainname"] = "example.org"
    doc["annotations"] = {"org.ctnfs.name": "named", "org.example.key": "a=b c"}
    return doc


def renamed(text, name):
    doc = json.loads(text)
    if "ociVersion" in doc:
        doc["annotations"]["org.ctnfs.name"] = name
        doc["linux"].pop("cgroupsPath", None)
    else:
        doc["name"] = name
        doc["oci"]["linux"].pop("cgroupsPath", None)
    return doc


def test_annotations(tidy, root, first):
    c = create(tidy, full(root, first), "named")
    for name in ("config.json", "oci"):
        text = c.read("config.json") if name != "oci" else json.dumps(json.loads(c.read("spec"))["oci"])
        assert json.loads(text)["annotations"]["org.example.key"] == "a=b c"


@pytest.mark.parametrize("file", ["spec", "config.json"])
def test_round_trip(tidy, root, first, file):
    """Made anew of what it says, a container says the same and is the same inside."""
    c = create(tidy, full(root, first), "named")
    text, seen = c.read(file), facts(c)
    c.put("ctl", "kill").remove()
    again = create(tidy, json.loads(text), "named")
    assert again.read(file) == text
    new = facts(again)
    for part in ("args", "cwd", "environ", "limits", "uid_map", "oom_score_adj", "hostname", "umask", "dev",
                 "ioprio", "timens_offsets"):
        assert new[part] == seen[part], part
    assert capabilities(new) == capabilities(seen)
    again.put("ctl", "kill").remove()  # no two containers share ids
    other = create(tidy, renamed(text, "other"), "other")
    assert renamed(other.read(file), "") == renamed(text, "")


def test_runc_takes_it_back(tidy, root, first, tmp_path):
    """Our form of such a document is one that runc runs, with the same effects."""
    if not have("runc"):
        pytest.skip("runc is not installed")
    doc = full(root, first)
    doc["process"]["args"] = ["/bin/sh", "-c", "id -u; umask; pwd; grep -E 'Cap|NoNew' /proc/self/status; "
                              "cat /proc/self/uid_map; hostname"]
    # A machine's runc without time namespaces, that may not make nodes, in a control group of its own.
    for key in ("timeOffsets", "resources", "cgroupsPath", "devices"):
        del doc["linux"][key]
    doc["linux"]["namespaces"] = [n for n in doc["linux"]["namespaces"] if n["type"] not in ("time", "cgroup")]
    doc["mounts"] = doc["mounts"][:2]
    for at, dirs, files in os.walk(root):
        for name in dirs + files:
            os.lchown(os.path.join(at, name), first, first)
    os.chown(root, first, first)
    c = create(tidy, doc, "named")
    assert c.finish() == 0
    for at in (root, os.path.dirname(root)):  # runc mounts it as the mapped root
        os.chmod(at, 0o755)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(c.read("config.json"))
    r = subprocess.run(["runc", "--root", str(tmp_path / "runc"), "run", "-b", str(bundle),
                        "ctnfs-test-%d" % os.getpid()], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout == c.read("log"), (r.stderr, r.stdout, c.read("log"))


def test_as_it_was_written(tidy, root):
    """What `spec` says of a document is a document, written by `>` too."""
    c = create(tidy, dict(document(root), annotations={"org.ctnfs.name": "box"}), "box")
    facts(c)
    c.put("ctl", "kill")
    text = c.read("spec")
    assert c.write("spec", text) == 0, c.last_error()
    assert c.read("spec") == text
    text = c.read("config.json")
    assert put(c.path("spec"), text) == 0, c.last_error()
    assert c.read("config.json") == text
