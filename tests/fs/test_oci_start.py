# SPDX-License-Identifier: Apache-2.0
"""Documents of other tools start as they are, but for the paths of the machine that they were made on."""

import errno
import json
import os
import resource
import subprocess

import pytest

from basics import have, put, slurp
from containers import Ctn
from harness import cgroup_version
from ocidocs import (REPORT, capabilities, create, facts, limit_of, load, mask, moby_profile, mount_at,
                     program, status)
from rootdirs import kernel, make_root


@pytest.fixture
def root(tmp_path):
    return make_root(str(tmp_path / "root"))


def adjust(doc, root, tmp_path):
    """Their paths are another machine's: the root's, the binds' and the named namespaces'. The lists
    of calls in our copies are cut short, too short for any program."""
    doc["root"]["path"] = root
    doc.pop("hooks", None)
    if doc["linux"].get("seccomp"):
        doc["linux"]["seccomp"] = moby_profile(doc["process"]["capabilities"]["bounding"])
    for m in doc["mounts"]:
        if m["type"] == "bind":
            source = str(tmp_path) + m["source"]
            if source.endswith((".conf", "hosts", "hostname", ".containerenv")):
                os.makedirs(os.path.dirname(source), exist_ok=True)
                with open(source, "w") as f:
                    f.write("of %s\n" % m["destination"])
                program(root, m["destination"], "")
            else:
                os.makedirs(source, exist_ok=True)
                os.makedirs(root + m["destination"], exist_ok=True)
            m["source"] = source
    return doc


@pytest.fixture
def named(tmp_path):
    """Makes named network namespaces."""
    made = []

    def make(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()
        subprocess.run(["unshare", "--net=" + path, "true"], check=True)
        made.append(path)

    yield make
    for path in made:
        subprocess.run(["umount", path], check=True)


def join_named(doc, tmp_path, named):
    paths = {}
    for n in doc["linux"]["namespaces"]:
        if "path" in n:
            n["path"] = str(tmp_path) + n["path"]
            named(n["path"])
            paths[n["type"]] = os.stat(n["path"]).st_ino
    return paths


# --- what every one of them says ---

NAMES = {"network": "net", "mount": "mnt"}


def check_process(c, doc, found):
    p = doc["process"]
    user = p["user"]
    assert sorted(found["environ"]) == sorted(l for e in p["env"] for l in e.split("\n"))
    assert found["cwd"] == [p["cwd"]]
    assert status(found, "Uid").split() == [str(user["uid"])] * 4
    assert status(found, "Gid").split() == [str(user["gid"])] * 4
    assert sorted(status(found, "Groups").split(), key=int) == \
        [str(g) for g in sorted(user.get("additionalGids", []))]
    assert status(found, "NoNewPrivs") == str(int(p.get("noNewPrivileges", False)))
    caps, got = p["capabilities"], capabilities(found)
    want = {"CapBnd": caps["bounding"], "CapInh": caps.get("inheritable", [])}
    if user["uid"] == 0:
        want.update(CapPrm=caps["permitted"], CapEff=caps["permitted"])
    else:  # execve(2) takes the others from who is not root
        left = set(caps.get("ambient", [])) & set(caps.get("permitted", [])) & set(caps.get("inheritable", []))
        want.update(CapPrm=left, CapEff=left, CapAmb=left)
    for key, names in want.items():
        assert got[key] == mask(names), key
    assert found["oom_score_adj"] == [str(p.get("oomScoreAdj", int(slurp("/proc/self/oom_score_adj"))))]
    if p.get("consoleSize"):
        assert found["tty"] == ["%d %d" % (p["consoleSize"]["height"], p["consoleSize"]["width"])]
    assert ("not a tty" in found["tty"][0] or "Inappropriate" in found["tty"][0]) == (not p.get("terminal"))
    assert int(found["umask"][0], 8) == user.get("umask", 0o022)


LIMITS = {"RLIMIT_NOFILE": "Max open files", "RLIMIT_NPROC": "Max processes"}


def check_limits(doc, found):
    for l in doc["process"].get("rlimits", []):
        want = tuple("unlimited" if l[k] == 2**64 - 1 else str(l[k]) for k in ("soft", "hard"))
        assert limit_of(found, LIMITS[l["type"]]) == want, l


def check_mounts(doc, found):
    for m in doc["mounts"]:
        at = mount_at(found, m["destination"])
        if m["type"] == "cgroup":
            assert at and at["type"] in ("cgroup2", "tmpfs")
        elif m["type"] not in ("bind", "none"):
            assert at["type"] == m["type"], m
        for option in set(m.get("options", [])) & {"ro", "nosuid", "noexec", "nodev"}:
            assert option in at["options"], (m, at)


def check_paths(doc, found):
    for path in doc["linux"]["maskedPaths"]:
        if os.path.exists(path):
            at = mount_at(found, path)
            assert at and (at["root"].endswith("null") or ("ro" in at["options"] and at["type"] == "tmpfs")), path
    for path in doc["linux"]["readonlyPaths"]:
        if os.path.exists(path):
            assert "ro" in mount_at(found, path)["options"], path


def check_namespaces(doc, found, paths):
    listed = {NAMES.get(n["type"], n["type"]) for n in doc["linux"]["namespaces"]}
    got = dict(l.split() for l in found["ns"])
    for kind, link in got.items():
        own = os.readlink("/proc/self/ns/" + kind)
        assert (link != own) == (kind in listed), kind
    for kind, inode in paths.items():
        assert got[NAMES[kind]].endswith(":[%d]" % inode)


def check(c, doc, paths=()):
    found = facts(c)
    check_process(c, doc, found)
    check_limits(doc, found)
    check_mounts(doc, found)
    check_paths(doc, found)
    check_namespaces(doc, found, dict(paths))
    assert found["hostname"][0] == doc["hostname"]
    want = [l["%sID" % k] for l in doc["linux"].get("uidMappings", []) for k in ("container", "host")]
    if want:
        assert [int(n) for l in found["uid_map"] for n in l.split()[:2]] == want
    assert bool(doc["root"].get("readonly")) == ("ro" in mount_at(found, "/")["options"])
    return found


# --- one by one ---

def privileged(cap):
    """Whether we, and so the server, have that capability: 24 is CAP_SYS_RESOURCE."""
    return bool(int(next(l for l in slurp("/proc/self/status").splitlines()
                         if l.startswith("CapEff"))[7:], 16) >> cap & 1)


@pytest.mark.parametrize("name", ["runc", "runc-rootless"])
def test_runc_spec(tidy, root, tmp_path, name):
    """`runc spec`, and the same with --rootless."""
    program(root, "/bin/sh")
    doc = adjust(load(name), root, tmp_path)
    c = create(tidy, doc, "runc")
    found = check(c, doc)
    assert found["tty"] != [] and c.get("tty") == "1"
    assert [l.split()[1] for l in found["dev"] if l.startswith("/dev/null")] == ["666"]


def test_what_runc_writes_today(tidy, root, tmp_path):
    if not have("runc"):
        pytest.skip("runc is not installed")
    program(root, "/bin/sh")
    for i, options in enumerate(([], ["--rootless"])):
        os.mkdir(tmp_path / str(i))
        subprocess.run(["runc", "spec", "-b", str(tmp_path / str(i))] + options, check=True)
        doc = adjust(json.loads((tmp_path / str(i) / "config.json").read_text()), root, tmp_path)
        c = create(tidy, doc, "runc")
        check(c, doc)
        c.put("ctl", "kill").remove()


def test_docker(tidy, root, tmp_path):
    program(root, "/usr/bin/redis-server")
    os.mkdir(root + "/data")
    doc = adjust(load("docker"), root, tmp_path)
    c = create(tidy, doc, doc["hostname"])
    found = check(c, doc)
    assert found["args"][1:] == ["--port", "6379"]
    assert c.get("cgroup/memory.limit") == "67108864" and c.get("cgroup/pids.max") == "100"
    assert c.get("cgroup/cpu.max") == "50000 100000" and c.get("cgroup/cpuset.cpus") == "0"
    assert slurp("/proc/%d/root/etc/hosts" % c.pid()) == "of /etc/hosts\n"
    assert slurp("/proc/%d/root/etc/hostname" % c.pid()) == "of /etc/hostname\n"
    assert status(found, "Seccomp") == "2"
    assert "4f0c2b7d9e1abeef" in slurp("/proc/%d/cgroup" % c.pid())


def chown_tree(top, uid):
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            os.lchown(os.path.join(at, name), uid, uid)
    os.lchown(top, uid, uid)


def test_podman_rootless(tidy, root, tmp_path, named):
    doc = adjust(load("podman"), root, tmp_path)
    paths = join_named(doc, tmp_path, named)
    program(root, "/bin/sh", REPORT.replace("say cwd", "say root; $b stat -c %u:%g / /bin/sh /work; say cwd"))
    chown_tree(root, 1000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for l in doc["process"]["rlimits"]:
        if l["type"] == "RLIMIT_NPROC":  # a document that has been through jq
            assert l["hard"] > (1 << 63)
            l["hard"] = l["soft"] = resource.getrlimit(resource.RLIMIT_NPROC)[1] % 2**64
        elif hard < l["hard"]:  # who is not allowed to raise it gets what podman gives then
            l["hard"] = l["soft"] = hard
    c = create(tidy, doc, "web")
    found = facts(c)
    assert found["root"] == ["0:0", "0:0", "0:0"]  # as they are: podman has given them to its ids
    assert [l for l in found["dev"] if l.startswith("/dev/fuse ")] == ["/dev/fuse 666 0 0 a e5"]
    check(c, doc, paths)
    assert c.get("cgroup/pids.max") == "2048"
    assert slurp("/proc/%d/root/run/.containerenv" % c.pid()) == "of /run/.containerenv\n"


def test_containerd(tidy, root, tmp_path, named):
    doc = adjust(load("containerd"), root, tmp_path)
    paths = join_named(doc, tmp_path, named)
    program(root, "/pause")
    os.mkdir(root + "/run/secrets")
    if cgroup_version(tidy) == 1:
        assert put(tidy.path("new"), json.dumps(doc)) == errno.EOPNOTSUPP
        assert "memory.high" in tidy.last_error().text and tidy.containers() == []
        del doc["linux"]["resources"]["unified"]
    if not privileged(24):
        assert put(tidy.path("new"), json.dumps(doc)) == errno.EACCES
        assert "CAP_SYS_RESOURCE" in tidy.last_error().text and tidy.containers() == []
        del doc["process"]["oomScoreAdj"]
    c = create(tidy, doc, "pod")
    found = check(c, doc, paths)
    assert status(found, "Seccomp") == "0"
    at = mount_at(found, "/run/secrets")
    assert "size=1024k" in at["super"] and "mode=700" in at["super"]
    if cgroup_version(tidy) == 2:
        assert c.get("cgroup/memory.high") == "1073741824"


# --- umoci ---

def layout(path):
    """An image with one layer, as umoci makes it."""
    def run(*args):
        subprocess.run(["umoci"] + list(args), check=True, stdout=subprocess.DEVNULL)
    image = "%s:small" % path
    run("init", "--layout", path)
    run("new", "--image", image)
    run("config", "--image", image, "--config.cmd", "/report", "--config.env", "A=of the image",
        "--config.workingdir", "/srv", "--config.user", "77:78")
    return image


def test_umoci(tidy, tmp_path):
    if not have("umoci"):
        pytest.skip("umoci is not installed (package umoci)")
    image, bundle = layout(str(tmp_path / "layout")), str(tmp_path / "bundle")
    subprocess.run(["umoci", "unpack", "--image", image, bundle], check=True, stdout=subprocess.DEVNULL)
    os.rmdir(bundle + "/rootfs")
    program(make_root(bundle + "/rootfs"), "/report")
    doc = json.loads(slurp(bundle + "/config.json"))
    assert "A=of the image" in doc["process"]["env"]
    assert put(tidy.path("new"), bundle + "\n") == 0, tidy.last_error()
    check(Ctn(tidy, tidy.containers()[0]), doc)
