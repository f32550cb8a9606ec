# SPDX-License-Identifier: Apache-2.0
"""`config.json`: a container as an OCI document, which runc runs and `new` takes back."""

import errno
import json
import os
import subprocess

import pytest

from basics import have, limit, put, until
from containers import Ctn


def make(server, **keys):
    r = put(server.path("new"), json.dumps(keys))
    assert r == 0, server.last_error()
    return Ctn(server, keys["name"])


def same(first, second):
    """Two documents say the same; a list of calls may have lost those that this machine has not."""
    a, b = json.loads(first), json.loads(second)
    for doc in (a, b):
        doc["process"]["user"].pop("additionalGids", None)
        assert doc["linux"].pop("seccomp")["defaultAction"] == "SCMP_ACT_ERRNO"
    assert a == b
    return True


def runc(c, tmp_path):
    """What the user does; the output of its program."""
    if not have("runc"):
        pytest.skip("runc is not installed")
    bundle = tmp_path / "bundle"
    bundle.mkdir(exist_ok=True)
    subprocess.run(["cp", c.path("config.json"), str(bundle)], check=True)
    name = "ctnfs-test-%d-%s" % (os.getpid(), c.name)
    r = subprocess.run(["runc", "--root", str(tmp_path / "runc"), "run", "-b", str(bundle), name],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit(30))
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


SCRIPT = ("id -u; pwd; echo $A; hostname; "
          "grep -E 'Cap(Bnd|Inh)|NoNewPrivs|Seccomp:' /proc/self/status; ls /usr/bin/id; cat /proc/self/uid_map")


def test_runs_under_runc_and_says_the_same(tidy, tmp_path):
    c = make(tidy, name="db", cmd=["sh", "-c", SCRIPT], start=0, env=["A=7"], cwd="/tmp", user="1000:1000",
             hostname="box", caps=["cap_kill"])
    theirs = runc(c, tmp_path)
    c.put("ctl", "start")
    assert c.finish() == 0
    assert theirs == c.read("log") and "1000\n/tmp\n7\nbox\n" in theirs


def test_the_default_container_runs_under_runc(ctn, tmp_path):
    ctn.put("start", 0).put("cmd", "sh -c 'echo hello; touch /tmp/x /run/x && echo written'")
    assert runc(ctn, tmp_path) == "hello\nwritten\n"


def test_a_rootfs_directory_runs_under_runc(ctn, tmp_path):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    for d in ("proc", "sys", "dev", "tmp", "run"):
        (root / d).mkdir()
    if not have("busybox"):
        pytest.skip("busybox is not installed")
    subprocess.run(["cp", have("busybox"), str(root / "bin/sh")], check=True)
    for d in (tmp_path, root):
        os.chmod(d, 0o755)
    ctn.put("start", 0).put("rootfs", "%s ro" % root).put("cmd", "/bin/sh -c 'echo hello'")
    assert runc(ctn, tmp_path) == "hello\n"


def test_of_a_running_container(idle):
    doc = json.loads(idle.read("config.json"))
    assert doc["process"]["args"][0] == "sh" and doc["annotations"]["org.ctnfs.name"] == idle.name
    idle.put("env", "A=1", append=True)
    assert "A=1" not in json.loads(idle.read("config.json"))["process"]["env"]


def test_can_only_be_read(ctn):
    assert ctn.write("config.json", "{}") == errno.EACCES
    st = os.stat(ctn.path("config.json"))
    assert st.st_mode & 0o777 == 0o400 and st.st_size == len(ctn.read("config.json").encode())


def test_back_into_new(tidy):
    """config.json → container → config.json."""
    c = make(tidy, name="db", cmd=["sh", "-c", "echo hi; ls /usr/bin/id; touch /var/x"], start=0, env=["A=7"], cwd="/tmp",
             hostname="box", rlimits=["nofile 512 1024"], caps=["cap_kill"], sysctl=["net.ipv4.ip_unprivileged_port_start = 80"],
             cgroup={"pids.max": 100, "memory.limit": "64M"})
    text = c.read("config.json")
    os.rmdir(c.path())
    assert put(tidy.path("new"), text) == 0, tidy.last_error()
    until(lambda: c.state() == "exited", "it has run")
    assert c.read("log") == "hi\n/usr/bin/id\n" and c.get("exit") == "0" and c.get("rootfs") == "host overlay"
    again = c.read("config.json")
    assert same(again, text)
    os.rmdir(c.path())
    assert put(tidy.path("new"), again) == 0, tidy.last_error()
    until(lambda: c.state() == "exited", "it has run")
    assert c.read("config.json") == again


def test_as_a_bundle(tidy, tmp_path):
    c = make(tidy, name="db", cmd=["sleep", "1000"], start=0)
    (tmp_path / "config.json").write_text(c.read("config.json"))
    os.rmdir(c.path())
    assert put(tidy.path("new"), "%s\n" % tmp_path) == 0, tidy.last_error()
    assert c.state() == "running"
    assert put(tidy.path("new"), str(tmp_path)) == errno.EEXIST  # no newline, and it is a bundle


def test_runcs_own_template(tidy, tmp_path):
    if not have("runc"):
        pytest.skip("runc is not installed")
    subprocess.run(["runc", "spec", "-b", str(tmp_path)], check=True)
    doc = json.loads((tmp_path / "config.json").read_text())
    doc["process"]["args"] = ["/bin/sh", "-c", "echo hello"]
    doc["process"]["terminal"] = False
    doc["hostname"] = "named"
    (tmp_path / "config.json").write_text(json.dumps(doc))
    root = tmp_path / "rootfs"
    (root / "bin").mkdir(parents=True)
    for d in ("proc", "sys", "dev", "tmp", "run"):
        (root / d).mkdir()
    subprocess.run(["cp", have("busybox"), str(root / "bin/sh")], check=True)
    assert put(tidy.path("new"), "%s\n" % tmp_path) == 0, tidy.last_error()
    c = Ctn(tidy, "named")
    until(lambda: c.state() == "exited", "it has run")
    assert c.read("log") == "hello\n"


def test_written_to_spec(tidy):
    c = make(tidy, name="db", cmd=["true"], start=0, env=["A=7"])
    text = c.read("config.json")
    assert c.write("spec", "{}") == 0 and "A=7" not in c.lines("env")
    assert c.write("spec", text) == 0, c.last_error()
    assert "A=7" in c.lines("env") and same(c.read("config.json"), text)


def test_of_a_container_that_shares(tidy):
    """The namespaces of others are paths, if there are any; `spec` names them in any case."""
    db, web = tidy.make("db"), tidy.make("web")
    web.put("ns/net", "container:db").put("start", 0).put("cmd", "sleep 1000")
    with pytest.raises(OSError) as e:
        web.read("config.json")
    assert e.value.errno == errno.ESRCH
    assert json.loads(web.read("spec"))["ns"] == {"net": "container:db"}
    db.put("cmd", "sleep 1000")
    for running in (db, web):
        running.put("ctl", "start")
        linux = json.loads(web.read("config.json"))["linux"]
        paths = {n["type"]: n["path"] for n in linux["namespaces"] if "path" in n}
        assert paths == {"network": "/proc/%s/ns/net" % running.get("pid"), "user": "/proc/%s/ns/user" % running.get("pid")}
        assert "uidMappings" not in linux
        for path in paths.values():
            assert os.readlink(path) == os.readlink("/proc/%s/ns/%s" % (db.get("pid"), path[path.rindex("/") + 1:]))
    doc = web.read("config.json").replace('"web"', '"third"')
    assert put(tidy.path("new"), doc) == 0, tidy.last_error()
    third = Ctn(tidy, "third")
    assert os.readlink(third.path("ns/net")) and os.stat(third.path("ns/net")).st_ino == os.stat(db.path("ns/net")).st_ino
    third.put("ctl", "kill")
    web.put("ctl", "kill")
    db.put("ctl", "kill")
    os.rmdir(db.path())
    with pytest.raises(OSError) as e:
        web.read("config.json")
    assert e.value.errno == errno.ENOENT
    web.read("spec")
