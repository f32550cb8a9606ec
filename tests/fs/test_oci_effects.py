# SPDX-License-Identifier: Apache-2.0
"""What each member of a runtime-spec document does, as a program inside sees it."""

import os
import subprocess

import pytest

from basics import slurp
from harness import cgroup_version
from ocidocs import (PORT, capabilities, create, document, facts, limit_of, mask, moby_profile,
                     mount_at, program, sets, spare_ids, status, with_cgroup)
from rootdirs import kernel, make_root


@pytest.fixture
def root(tmp_path):
    top = make_root(str(tmp_path / "root"))
    program(top, "/report")
    return top


def script(server, doc, text):
    """What a script prints as the document's program."""
    doc["process"]["args"] = ["/bin/sh", "-c", text]
    c = create(server, doc)
    assert c.finish() == 0, c.read("log")
    return c.read("log")


# --- process ---

def test_process(tidy, root):
    doc = document(root, "/report", "a b", "", "$HOME", env=["A=1", "B=x=y ", "PATH=/bin"], cwd="/srv",
                   user={"uid": 77, "gid": 78, "umask": 0o63, "additionalGids": [79, 5]},
                   rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                   noNewPrivileges=True, oomScoreAdj=555)
    doc["domainname"] = "example.org"
    found = facts(create(tidy, doc, "box"))
    assert found["args"] == ["/report", "a b", "", "$HOME"]
    assert sorted(found["environ"]) == ["A=1", "B=x=y ", "PATH=/bin"] and found["cwd"] == ["/srv"]
    assert status(found, "Uid").split() == ["77"] * 4 and status(found, "Gid").split() == ["78"] * 4
    assert sorted(status(found, "Groups").split()) == ["5", "79"]
    assert int(found["umask"][0], 8) == 0o63 and status(found, "NoNewPrivs") == "1"
    assert limit_of(found, "Max open files") == ("100", "200")
    assert limit_of(found, "Max core file size") == ("0", "0")
    assert found["oom_score_adj"] == ["555"] and found["hostname"] == ["box", "example.org"]
    assert status(found, "Seccomp") == "0"


def test_scheduling_and_personality(tidy, root):
    doc = document(root, scheduler={"policy": "SCHED_BATCH", "nice": 5},
                   ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6})
    doc["linux"]["personality"] = {"domain": "LINUX32"}
    found = facts(create(tidy, doc))
    fields = found["stat"][0].rsplit(")", 1)[1].split()
    assert (fields[16], fields[38]) == ("5", "3")  # nice, SCHED_BATCH
    assert found["ioprio"] == ["best-effort: prio 6"]
    assert found["personality"] == ["00000008"] and found["machine"] != [os.uname().machine]


@pytest.mark.parametrize("terminal", [True, False])
def test_terminal(tidy, root, terminal):
    doc = document(root, terminal=terminal, consoleSize={"height": 31, "width": 101})
    doc["mounts"].append({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                          "options": ["newinstance", "ptmxmode=0666", "mode=0620"]})
    found = facts(create(tidy, doc))
    assert (found["tty"] == ["31 101"]) == terminal


@pytest.mark.parametrize("user, caps, want", [
    (77, sets(bounding="chown kill setuid", permitted="chown kill", effective="chown",
              inheritable="kill", ambient="kill"), ("kill", "kill", "kill", "chown kill setuid", "kill")),
    (0, sets(bounding="chown kill", permitted="chown kill", effective="chown kill", inheritable="chown"),
     ("chown", "chown kill", "chown kill", "chown kill", "")),
    (0, {}, ("", "", "", "", "")),
])
def test_capabilities(tidy, root, user, caps, want):
    """As execve(2) makes them of what is given: CapInh CapPrm CapEff CapBnd CapAmb."""
    doc = document(root, user={"uid": user, "gid": user}, capabilities=caps)
    got = capabilities(facts(create(tidy, doc)))
    assert list(got.values()) == [mask("cap_" + n for n in w.split()) for w in want]


def test_no_new_privileges(tidy, root):
    for value in (True, False):
        c = create(tidy, document(root, noNewPrivileges=value))
        assert status(facts(c), "NoNewPrivs") == str(int(value))
        c.put("ctl", "kill").remove()


# --- files ---

@pytest.mark.parametrize("readonly", [True, False])
def test_root(tidy, root, readonly):
    doc = document(root)
    doc["root"]["readonly"] = readonly
    out = script(tidy, doc, "echo > /srv/new && echo written; cat /etc/group; exit 0")
    assert ("written" in out) == (not readonly) == os.path.exists(root + "/srv/new")
    assert "cache:x:79" in out


def test_mounts(tidy, root, tmp_path):
    os.makedirs(tmp_path / "data/below")
    (tmp_path / "data/file").write_text("of the host\n")
    (tmp_path / "data").chmod(0o777)
    for name in ("a", "b", "t", "c"):
        os.mkdir("%s/%s" % (root, name))
    open(root + "/c/copied", "w").close()
    doc, data = document(root), str(tmp_path / "data")
    doc["mounts"] += [
        {"destination": "/a", "type": "bind", "source": data, "options": ["bind", "ro", "nosuid", "noexec"]},
        {"destination": "/b", "source": data, "options": ["rbind", "nodev", "rprivate"]},
        {"destination": "/t", "type": "tmpfs", "source": "x", "options": ["size=1m", "mode=1700", "noatime"]},
        {"destination": "/c", "type": "tmpfs", "options": ["tmpcopyup"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["noexec"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
    ]
    doc["process"]["args"] += ["x"]
    c = create(tidy, doc)
    found = facts(c)
    assert {"ro", "nosuid", "noexec"} <= set(mount_at(found, "/a")["options"])
    assert "rw" in mount_at(found, "/b")["options"] and "nodev" in mount_at(found, "/b")["options"]
    at = mount_at(found, "/t")
    assert "noatime" in at["options"] and {"size=1024k", "mode=1700"} <= set(at["super"])
    assert mount_at(found, "/dev/mqueue")["type"] == "mqueue" and mount_at(found, "/sys")["type"] == "sysfs"
    assert mount_at(found, "/dev/shm") is None and mount_at(found, "/tmp") is None
    inside = "/proc/%d/root" % c.pid()
    assert slurp(inside + "/a/file") == "of the host\n" and os.listdir(inside + "/c") == ["copied"]


def test_idmap_and_mappings(tidy, root, tmp_path):
    if kernel() < (5, 12):
        pytest.skip("needs idmapped mounts")
    first = spare_ids(tidy)
    for name in ("plain", "mapped", "own"):
        os.mkdir(tmp_path / name)
        (tmp_path / name / "f").write_text("")
        os.mkdir(root + "/" + name)
    os.chown(tmp_path / "own/f", first + 1000, first + 2000)
    maps = [{"containerID": 0, "hostID": first, "size": 100},
            {"containerID": 100, "hostID": first + 1000, "size": 50}]
    gids = [{"containerID": 0, "hostID": first + 2000, "size": 60}]
    doc = document(root)
    doc["linux"].update(uidMappings=maps, gidMappings=gids)
    doc["mounts"] += [
        {"destination": "/plain", "type": "bind", "source": str(tmp_path / "plain")},
        {"destination": "/own", "type": "bind", "source": str(tmp_path / "own")},
        {"destination": "/mapped", "type": "bind", "source": str(tmp_path / "mapped"), "options": ["idmap"],
         "uidMappings": maps, "gidMappings": gids},
    ]
    out = script(tidy, doc, "stat -c %u:%g /plain/f /own/f /mapped/f; cat /proc/self/uid_map /proc/self/gid_map")
    lines = [" ".join(l.split()) for l in out.splitlines()]
    assert lines == ["65534:65534", "100:0", "0:0", "0 %d 100" % first, "100 %d 50" % (first + 1000),
                     "0 %d 60" % (first + 2000)]


def test_paths(tidy, root):
    with open(root + "/etc/secret", "w") as f:
        f.write("secret\n")
    open(root + "/srv/secret", "w").close()
    doc = document(root)
    doc["linux"].update(maskedPaths=["/etc/secret", "/srv", "/proc/kcore", "/nonesuch"],
                        readonlyPaths=["/var", "/proc/sys"])
    out = script(tidy, doc, "cat /etc/secret; ls /srv; echo > /var/x; echo > /etc/x; echo > /srv/x; "
                            "echo 1 > /proc/sys/net/ipv4/ip_forward; ls /var /etc | grep -x x; exit 0")
    assert "secret\n" not in out and out.count("Read-only file system") == 3
    assert out.splitlines().count("x") == 1


@pytest.mark.parametrize("word", ["private", "shared", "slave", "unbindable", "rshared", ""])
def test_propagation(tidy, root, word):
    doc = document(root)
    if word:
        doc["linux"]["rootfsPropagation"] = word
    tags = " ".join(mount_at(facts(create(tidy, doc)), "/")["tags"])
    assert ("shared:" in tags) == ("shared" in word)
    assert ("unbindable" in tags) == (word == "unbindable")


def test_devices(tidy, root):
    """Nodes, and who may open them: fuse can be opened by anybody whom the rules let."""
    nodes = [{"path": "/dev/one", "type": "c", "major": 1, "minor": 3, "fileMode": 0o620, "uid": 7, "gid": 8},
             {"path": "/dev/two", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]
    deny = {"allow": False, "access": "rwm"}
    fuse = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}
    for rules in ([deny, fuse], [deny, dict(fuse, access="r")]):
        doc = document(root)
        doc["linux"].update(devices=nodes, resources={"devices": rules})
        c = create(tidy, dict(doc, process=dict(doc["process"], args=[
            "/bin/sh", "-c", "stat -c '%a %u %g %t %T' /dev/one; echo > /dev/null; "
            "true < /dev/two && echo read; true 2>&1 > /dev/two && echo written; exit 0"])))
        assert c.finish() == 0
        lines = c.read("log").splitlines()
        assert lines[0] == "620 7 8 1 3"
        assert lines[1] == "read" and (lines[2] == "written") == ("w" in rules[1]["access"])
        assert ("not permitted" in lines[2]) == (rules[1]["access"] == "r")
        c.remove()


# --- namespaces ---

def test_named_namespaces(tidy, root, tmp_path):
    kinds = {"network": "net", "uts": "uts", "ipc": "ipc"}
    doc = document(root)
    try:
        for n in doc["linux"]["namespaces"]:
            if n["type"] in kinds:
                n["path"] = str(tmp_path / n["type"])
                open(n["path"], "w").close()
                subprocess.run(["unshare", "--%s=%s" % (kinds[n["type"]], n["path"]), "sh", "-c",
                                "test %s != uts || hostname mypod" % n["type"]], check=True)
        doc["hostname"] = "mypod"
        c = create(tidy, doc, "mypod")
        found = facts(c)
        got = dict(l.split() for l in found["ns"])
        for n in doc["linux"]["namespaces"]:
            if "path" in n:
                assert got[kinds[n["type"]]].endswith(":[%d]" % os.stat(n["path"]).st_ino)
        assert found["hostname"][0] == "mypod"
        c.put("ctl", "kill").remove()
    finally:
        for kind in kinds:
            if os.path.exists(tmp_path / kind):
                subprocess.run(["umount", str(tmp_path / kind)])


def test_namespaces_that_are_not_listed(tidy, root):
    doc = document(root)
    doc["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
    del doc["hostname"]
    found = facts(create(tidy, doc))
    for kind, link in (l.split() for l in found["ns"]):
        assert (link == os.readlink("/proc/self/ns/" + kind)) == (kind not in ("mnt", "pid")), kind


def test_time_offsets(tidy, root):
    doc = document(root)
    doc["linux"]["namespaces"].append({"type": "time"})
    doc["linux"]["timeOffsets"] = {"monotonic": {"secs": 86400, "nanosecs": 7}, "boottime": {"secs": 172800}}
    found = facts(create(tidy, doc))
    assert [l.split() for l in found["timens_offsets"]] == [["monotonic", "86400", "7"],
                                                           ["boottime", "172800", "0"]]


def test_sysctl(tidy, root):
    doc = document(root)
    doc["linux"]["sysctl"] = {PORT: "99", "kernel.msgmax": "4321"}
    assert script(tidy, doc, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax") \
        == "99\n4321\n"


# --- seccomp ---

def test_seccomp(tidy, root):
    doc = document(root)
    doc["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
             "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]},
            {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO"}]}
    out = script(tidy, doc, "mkdir /srv/d; kill -USR1 $$; kill -0 $$ && echo alive; chmod 700 /srv; "
                            "grep Seccomp: /proc/self/status; exit 0")
    assert "No space left" in out and "Function not implemented" in out and "alive" in out
    assert "not permitted" in out and "Seccomp:\t2" in out


def test_seccomp_default(tidy, root):
    doc = document(root)
    profile = moby_profile([])
    profile["defaultErrnoRet"] = 95
    for c in profile["syscalls"]:
        c["names"] = [n for n in c["names"] if "chmod" not in n]
    doc["linux"]["seccomp"] = profile
    doc["process"]["noNewPrivileges"] = True
    out = script(tidy, doc, "chmod 700 /srv; echo still here; exit 0")
    assert "not supported" in out and "still here\n" in out


# --- control groups ---

def test_resources(tidy, root):
    v2 = cgroup_version(tidy) == 2
    doc = with_cgroup(root, memory={"limit": 64 << 20}, pids={"limit": 77},
                      cpu={"shares": 512, "quota": 20000, "period": 50000, "cpus": "0", "mems": "0"})
    files = ("memory.max pids.max cpu.max cpuset.cpus cpuset.mems" if v2 else
             "memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares cpu/cpu.cfs_quota_us "
             "cpu/cpu.cfs_period_us cpuset/cpuset.cpus cpuset/cpuset.mems")
    doc["process"]["args"] = ["/bin/sh", "-c", "cd /sys/fs/cgroup; cat %s; sleep 100000" % files]
    c = create(tidy, doc)
    c.until_log("\n0\n0\n")
    assert c.read("log").split() == ([str(64 << 20), "77", "20000", "50000", "0", "0"] if v2 else
                                     [str(64 << 20), "77", "512", "20000", "50000", "0", "0"])
    assert c.get("cgroup/memory.limit") == str(64 << 20) and c.get("cgroup/cpu.shares") in ("512", "513", "511")
    name = "ctnfs-test-%d-box" % os.getpid()
    raw = c.path("cgroup/raw")
    assert os.listdir(raw)
    for controller in os.listdir(raw):
        assert os.readlink(os.path.join(raw, controller)).split("/")[-1] == name
    assert name in slurp("/proc/%d/cgroup" % c.pid())


def test_unified(tidy, root):
    knobs = {"pids.max": "78"}
    if cgroup_version(tidy) == 2:
        knobs.update({"memory.high": str(1 << 30), "cpu.weight": "50"})
    doc = with_cgroup(root, unified=knobs)
    c = create(tidy, doc)
    facts(c)
    for knob, value in knobs.items():
        assert c.get("cgroup/" + knob) == value


def test_pids_limit_is_felt(tidy, root):
    doc = with_cgroup(root, pids={"limit": 3})
    doc["process"]["args"] = ["/bin/sh", "-c", "for i in 1 2 3 4 5; do sleep 1 & done"]
    c = create(tidy, doc)
    assert c.finish() == 2 and "can't fork" in c.read("log")


def test_throttles(tidy, root):
    disks = [d for d in os.listdir("/sys/block") if os.path.exists("/sys/block/%s/device" % d)]
    if not disks:
        pytest.skip("no disk here to throttle")
    major, minor = (int(n) for n in slurp("/sys/block/%s/dev" % disks[0]).split(":"))
    doc = with_cgroup(root, blockIO={
        "throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": 1 << 20}],
        "throttleWriteIOPSDevice": [{"major": major, "minor": minor, "rate": 500}]})
    found = create(tidy, doc).get("cgroup/io.max").split()
    assert found[0] == "%d:%d" % (major, minor) and {"rbps=1048576", "wiops=500"} <= set(found)
