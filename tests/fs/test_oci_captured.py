# SPDX-License-Identifier: Apache-2.0
"""What docker 20.10, podman 4.3 and containerd 1.6 of Debian 12 gave their runtime starts here, with all
that they say: only paths of their machine and hooks are others, and limits that root may not raise."""

import json
import os
import resource

import pytest

from basics import put
from containers import Ctn
from harness import cgroup_version
from ocidocs import load
from rootdirs import make_root

FACTS = "exec cat /proc/self/status /proc/self/mountinfo"


def here(doc, tmp_path, root):
    doc["root"]["path"] = root
    doc.pop("hooks", None)
    doc.setdefault("annotations", {})["org.ctnfs.name"] = "captured"
    for m in doc["mounts"]:
        if "bind" in m.get("options", []) + [m["type"]] or "rbind" in m.get("options", []):
            m["source"] = str(tmp_path) + m["source"]
            if m["destination"] == "/dev/shm":
                os.makedirs(m["source"], exist_ok=True)
                continue
            os.makedirs(os.path.dirname(m["source"]), exist_ok=True)
            open(m["source"], "w").close()
    for l in doc["process"].get("rlimits") or []:
        hard = resource.getrlimit(getattr(resource, l["type"]))[1]
        if hard != resource.RLIM_INFINITY:
            l["hard"], l["soft"] = min(l["hard"], hard), min(l["soft"], hard)
    doc["process"]["args"] = ["/bin/sh", "-c", FACTS]
    return doc


@pytest.mark.parametrize("name", ["docker-20.10", "podman-4.3", "containerd-1.6"])
def test_it_starts(tidy, tmp_path, name):
    doc = here(load(name), tmp_path, make_root(str(tmp_path / "root")))
    assert put(tidy.path("new"), json.dumps(doc)) == 0, tidy.last_error()
    c = Ctn(tidy, "captured")
    assert c.finish() == 0, c.read("log")
    log = c.read("log")
    caps = set(doc["process"]["capabilities"]["bounding"])
    assert {"CAP_" + l.strip()[4:].upper() for l in c.lines("caps")} == caps
    assert ("Seccomp:\t%d" % (2 if doc["linux"].get("seccomp") else 0)) in log
    assert "NoNewPrivs:\t%d" % doc["process"].get("noNewPrivileges", False) in log
    for m in doc["mounts"]:
        assert " %s " % m["destination"] in log, m
    raw = os.readlink(c.path("cgroup/raw/memory" if cgroup_version(tidy) == 1 else "cgroup/raw/cpu"))
    assert os.path.basename(raw) == doc["linux"]["cgroupsPath"].strip("/").replace("/", "-")
    c.remove()
