# SPDX-License-Identifier: Apache-2.0
"""The file systems that a container gets beside its root: the usual ones, without them, others in
their place. All seen from inside."""

import errno
import re
import os

import pytest

from harness import cgroup_version

DEFAULTS = {"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp", "/run"}

# What runc and docker write into every document, in their order.
OCI = ("proc /proc proc defaults 0 0",
       "tmpfs /dev tmpfs nosuid,strictatime,mode=755,size=65536k 0 0",
       "devpts /dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 0 0",
       "shm /dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=65536k 0 0",
       "mqueue /dev/mqueue mqueue nosuid,noexec,nodev 0 0",
       "sysfs /sys sysfs nosuid,noexec,nodev,ro 0 0",
       "cgroup /sys/fs/cgroup cgroup nosuid,noexec,nodev,relatime,ro 0 0",
       "-/tmp", "-/run")


class Mount:
    def __init__(self, line):
        left, right = line.split(" - ")
        fields = left.split()
        self.dev, self.target, self.attrs = fields[2], fields[4], set(fields[5].split(","))
        self.tags = fields[6:]
        self.type, self.source, options = right.split()[:3]
        self.options = set(options.split(","))


def mounts(ctn, *lines):
    """Mounts inside a container with these lines, the last on each place."""
    put(ctn, *lines)
    return parse(ctn.output("cat /proc/self/mountinfo"))


def parse(text):
    return {m.target: m for m in map(Mount, text.splitlines())}


def put(ctn, *lines):
    assert ctn.write("mounts", "".join(l + "\n" for l in lines) or "\n") == 0, ctn.last_error()


def refused(ctn, lines, code, sentence):
    """The start fails with that errno and sentence, and leaves a container that can be started."""
    put(ctn, *lines)
    ctn.refused("cmd", '["true"]', code, sentence)
    assert ctn.state() in ("created", "exited") and ctn.get("pid") == ""


def test_the_usual_ones(ctn):
    seen = mounts(ctn)
    assert DEFAULTS <= set(seen)
    assert seen["/sys"].attrs >= {"ro", "nosuid", "nodev", "noexec"}
    ours = [m for m in seen.values() if m.type not in ("mqueue",) and m.target in DEFAULTS | {"/"}]
    assert len({m.dev for m in ours}) == 5  # overlay, tmpfs, proc, sysfs, devpts


@pytest.mark.parametrize("gone", sorted(DEFAULTS - {"/proc", "/dev"}))
def test_without_one(ctn, gone):
    seen = mounts(ctn, "-" + gone)
    assert DEFAULTS - set(seen) == {gone}


def test_without_proc(ctn):
    put(ctn, "-/proc")
    assert ctn.output("ls /proc; echo $?") == "0\n"


def test_without_dev_the_nodes_are_there_all_the_same(ctn):
    seen = mounts(ctn, "-/dev")
    assert "/dev" not in seen and DEFAULTS - {"/dev"} <= set(seen)
    assert {"/dev/null", "/dev/zero", "/dev/tty"} <= set(seen)
    assert ctn.output("echo x > /dev/null; head -c 2 /dev/zero | od -An -tx1; echo y > /dev/stdout; "
                      "readlink /dev/fd; stat -c %t:%T /dev/full") == " 00 00\ny\n/proc/self/fd\n1:7\n"


def test_an_oci_documents_list(ctn):
    seen = mounts(ctn, *OCI)
    assert DEFAULTS - set(seen) == {"/tmp", "/run"}
    dev = seen["/dev"]
    assert dev.type == "tmpfs" and {"size=65536k", "mode=755"} <= dev.options
    assert "nosuid" in dev.attrs and "relatime" not in dev.attrs  # strictatime
    assert len({m.dev for m in seen.values() if m.type == "tmpfs"}) <= 4
    assert not seen["/proc"].attrs & {"nosuid", "nodev", "noexec", "ro"}
    assert seen["/dev/shm"].attrs >= {"nosuid", "noexec", "nodev"}
    out = ctn.output("stat -c '%F %a %u:%g %t:%T' /dev/null /dev /dev/shm; readlink /dev/fd /dev/ptmx; "
                     "echo x > /dev/null; head -c 1 /dev/zero | od -An -tx1; ls /dev")
    assert out.splitlines()[:6] == ["character special file 666 0:0 1:3", "directory 755 0:0 0:0",
                                    "directory 1777 0:0 0:0", "/proc/self/fd", "pts/ptmx", " 00"]
    assert set(out.splitlines()[6:]) == {"fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
                                         "stderr", "stdin", "stdout", "tty", "urandom", "zero"}


def test_terminals_in_a_listed_devpts(ctn):
    put(ctn, *OCI)
    ctn.py("import os\na, b = os.openpty()\nst = os.stat(os.ttyname(b))\n"
           "print(os.ttyname(b), st.st_gid, oct(st.st_mode & 0o777))")
    assert ctn.finish() == 0
    assert ctn.read("log") == "/dev/pts/0 5 0o620\n"


def test_a_dev_alone_gets_what_belongs_into_it(ctn):
    seen = mounts(ctn, "mine /dev tmpfs size=1m,nr_inodes=50,noexec,uid=7,gid=9 0 0")
    assert DEFAULTS <= set(seen)
    assert seen["/dev"].source == "mine" and "noexec" in seen["/dev"].attrs
    out = ctn.output("stat -c '%a %u:%g' /dev /dev/null /dev/shm; touch /dev/shm/x /dev/x; "
                     "stat -fc %b*%S /dev")
    assert out.split() == ["755", "7:9", "666", "0:0", "1777", "0:0", "256*4096"]


def test_a_read_only_dev(ctn):
    seen = mounts(ctn, "tmpfs /dev tmpfs ro 0 0")
    assert "ro" in seen["/dev"].attrs
    assert "Read-only" in ctn.output("echo x > /dev/null; touch /dev/x 2>&1; true")


def test_options_of_a_tmpfs(ctn):
    seen = mounts(ctn, "data /var/my\\040data tmpfs size=64k,mode=1750,uid=3,gid=4,nr_inodes=10,ro,noexec,nodev,"
                  "nosuid,noatime 0 0")
    m = seen["/var/my\\040data"]
    assert m.attrs >= {"ro", "noexec", "nodev", "nosuid", "noatime"} and m.source == "data"
    assert ctn.output("stat -c '%a %u:%g' '/var/my data'; stat -fc '%b*%S %c' '/var/my data'") == \
        "1750 3:4\n16*4096 10\n"


def test_a_size_is_held(ctn):
    put(ctn, "none /data tmpfs size=64k 0 0")
    assert ctn.output("head -c 65536 /dev/zero > /data/a && wc -c < /data/a; "
                      "head -c 1 /dev/zero 2>/dev/null > /data/b || echo full; stat -c %a /data") == "65536\nfull\n1777\n"


def test_in_their_order(ctn):
    seen = mounts(ctn, "a /a tmpfs size=1m 0 0", "b /a/b tmpfs size=2m,shared 0 0", "c /tmp tmpfs mode=700 0 0")
    assert seen["/a/b"].options >= {"size=2048k"} and any(t.startswith("shared:") for t in seen["/a/b"].tags)
    assert not seen["/a"].tags and "mode=700" in seen["/tmp"].options


REFUSED = [
    ("x /data tmpfs size=much 0 0", errno.EINVAL, "/data.*size=much"),
    ("x /data tmpfs colour=red 0 0", errno.EINVAL, "/data.*colour=red"),
    ("x /data tmpfs uid=70000 0 0", errno.EINVAL, "/data.*uid=70000.*id map"),
    ("x /data tmpfs gid=65536 0 0", errno.EINVAL, "/data.*gid=65536.*id map"),
    ("x /dev tmpfs uid=70000 0 0", errno.EINVAL, "uid=70000.*id map"),
    ("x /dev tmpfs newinstance 0 0", errno.EINVAL, "newinstance"),
    ("devpts /dev/pts devpts gid=65536 0 0", errno.EINVAL, "/dev/pts.*gid=65536"),
    ("devpts /dev/pts devpts mode=9 0 0", errno.EINVAL, "/dev/pts.*mode=9"),
    ("proc /proc proc hidepid=7 0 0", errno.EINVAL, "/proc.*hidepid=7"),
    ("mqueue /dev/mqueue mqueue size=1 0 0", errno.EINVAL, "/dev/mqueue.*size=1"),
    ("cgroup /sys/fs/cgroup cgroup memory 0 0", errno.EOPNOTSUPP, "/sys/fs/cgroup.*memory"),
]


@pytest.mark.parametrize("line,code,sentence", REFUSED)
def test_options_that_are_refused(ctn, line, code, sentence):
    refused(ctn, [line], code, sentence)
    put(ctn)
    assert ctn.output("echo fine") == "fine\n"


def test_options_of_proc(ctn):
    assert "hidepid=invisible" in mounts(ctn, "proc /proc proc hidepid=2 0 0")["/proc"].options
    put(ctn, "proc /proc proc subset=pid 0 0")
    assert ctn.output("test -e /proc/meminfo || echo none; readlink /proc/self") == "none\n2\n" or \
        ctn.read("log").endswith("none\n1\n")


def test_a_shared_pid_namespace_gives_the_hosts_proc(ctn):
    ctn.put("ns/pid", "host")
    refused(ctn, ["proc /proc proc hidepid=2 0 0"], errno.EOPNOTSUPP, "/proc.*hidepid=2")
    seen = mounts(ctn, "proc /proc proc nosuid 0 0")
    assert seen["/proc"].attrs >= {"nosuid", "nodev", "noexec"}
    assert ctn.output("test -d /proc/%d && echo here" % os.getpid()) == "here\n"


def test_a_shared_network_gives_the_hosts_sys(ctn):
    ctn.put("ns/net", "host")
    refused(ctn, ["sysfs /sys sysfs rw 0 0"], errno.EINVAL, "/sys.*ro")
    assert mounts(ctn, "sysfs /sys sysfs nosuid 0 0")["/sys"].attrs >= {"ro", "nosuid", "nodev"}
    assert "Read-only" in ctn.output("mkdir /sys/x 2>&1; true")


def test_message_queues(ctn):
    put(ctn, "mqueue /dev/mqueue mqueue nosuid 0 0")
    assert "QSIZE:0" in ctn.output("touch /dev/mqueue/q && cat /dev/mqueue/q")
    ctn.put("ns/ipc", "host")
    refused(ctn, ["mqueue /dev/mqueue mqueue nosuid 0 0"], errno.EINVAL, "/dev/mqueue.*ipc namespace")
    put(ctn)
    assert ctn.output("ls /dev/mqueue") == ""


# --- control groups ---

CGROUP = "cgroup /sys/fs/cgroup cgroup %s 0 0"


def limit_file(server):
    return ("/sys/fs/cgroup/memory.max" if cgroup_version(server) == 2
            else "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@pytest.fixture
def limited(ctn):
    if ctn.write("cgroup/memory.limit", "64M\n"):
        pytest.skip("no memory controller here")
    return ctn


@pytest.mark.parametrize("options", ("ro", "nosuid,noexec"))
def test_its_own_control_groups_to_read(limited, options):
    seen = mounts(limited, CGROUP % options)
    below = [m for m in seen.values() if m.target.startswith("/sys/fs/cgroup")]
    assert below and all("ro" in m.attrs for m in below)
    if options != "ro":
        assert all(m.attrs >= {"nosuid", "noexec"} for m in below)
    assert limited.output("cat " + limit_file(limited.server)) == "67108864\n"
    out = limited.output("cd /sys/fs/cgroup; find . -name release_agent; for f in $(find . -name notify_on_release "
                         "-o -name cgroup.procs -o -name devices.allow -o -name memory.max); do "
                         "test -w $f && echo $f; done; mkdir x 2>&1; mkdir %s/x 2>&1; true" %
                         os.path.dirname(limit_file(limited.server)))
    assert out.count("Read-only") == 2 and len(out.splitlines()) == 2, out


def test_its_own_control_groups_cannot_be_changed(limited):
    """Writable or not, their files are the host's root's."""
    seen = mounts(limited, CGROUP % "rw")
    assert "rw" in seen[os.path.dirname(limit_file(limited.server))].attrs
    limited.put("caps", "all")
    limited.put("seccomp", "none")
    script = "cd %s; for f in *; do test -w $f && echo writable $f; done; mkdir x 2>&1; true"
    out = limited.output(script % os.path.dirname(limit_file(limited.server)))
    assert "writable" not in out and "Permission denied" in out


def test_one_directory_for_each_controller(limited):
    if cgroup_version(limited.server) != 1:
        pytest.skip("cgroup v1 only")
    put(limited, CGROUP % "ro")
    names = limited.output("ls /sys/fs/cgroup").split()
    assert {"memory", "devices", "cpu", "cpuacct"} <= set(names)
    assert not {"systemd", "unified"} & set(names)  # the container has no group of its own there
    for name in ("cpu", "cpuacct", "memory"):
        assert limited.output("cat /sys/fs/cgroup/%s/tasks | wc -l" % name).strip() in ("2", "3")
    assert "c 1:3 rw\n" in limited.output("cat /sys/fs/cgroup/devices/devices.list")
    refused(limited, ["c /sys/fs/cgroup cgroup2 ro 0 0"], errno.EOPNOTSUPP, "cgroup v1")


def test_the_hosts_control_groups_are_read_only(limited):
    limited.put("ns/cgroup", "host")
    refused(limited, [CGROUP % "rw"], errno.EINVAL, "cgroup namespace.*ro")
    if not os.path.ismount("/sys/fs/cgroup"):
        pytest.skip("no control groups at /sys/fs/cgroup")
    seen = mounts(limited, CGROUP % "ro")
    below = [m for m in seen.values() if m.target.startswith("/sys/fs/cgroup")]
    assert below and all(m.attrs >= {"ro", "nosuid", "nodev", "noexec"} for m in below)
    assert limited.output("find /sys/fs/cgroup -name %s | wc -l" % limited.get("id")).strip() != "0"
    assert "Read-only" in limited.output("mkdir $(dirname %s)/x 2>&1; true" % limit_file(limited.server))


def test_a_root_that_is_the_hosts_may_not_lift_its_limits(limited):
    limited.put("ns/user", "host")
    refused(limited, [CGROUP % "rw"], errno.EINVAL, "user namespace.*ro")
    assert "ro" in mounts(limited, CGROUP % "ro")["/sys/fs/cgroup"].attrs


# --- tmpcopyup ---

def test_a_tmpfs_that_begins_with_what_it_covers(ctn):
    assert ctn.output("mkdir -p /data/a/b && cd /data && echo one > one && echo two > a/b/two && "
                      "chown 7:9 one a && chmod 4750 one && ln -s one link && ln -s /etc/passwd out && "
                      "mkfifo pipe && touch -d 2001-01-01 a/b/two && head -c 100000 /dev/zero > big") == ""
    put(ctn, "x /data tmpfs size=1m,tmpcopyup,nosuid 0 0")
    out = ctn.output("cd /data; cat one a/b/two; stat -c '%n %F %a %u:%g' one a link out pipe; readlink link out; "
                     "stat -c %Y a/b/two; wc -c < big; rm -r one a; ls")
    assert out.splitlines() == [
        "one", "two", "one regular file 4750 7:9", "a directory 755 7:9", "link symbolic link 777 0:0",
        "out symbolic link 777 0:0", "pipe fifo 644 0:0", "one", "/etc/passwd", "978307200", "100000",
        "big", "link", "out", "pipe"]
    put(ctn)
    assert ctn.output("ls /data").split() == ["a", "big", "link", "one", "out", "pipe"]  # only the copy was changed
    seen = mounts(ctn, "x /data tmpfs size=1m,tmpcopyup,ro 0 0")
    assert "ro" in seen["/data"].attrs
    assert ctn.output("cat /data/one") == "one\n"


@pytest.mark.slow_ok(120)
def test_a_copy_that_does_not_fit(ctn):
    ctn.output("mkdir /data; head -c 100000 /dev/zero > /data/big")
    refused(ctn, ["x /data tmpfs size=64k,tmpcopyup 0 0"], errno.ENOSPC, "/data")
    ctn.put("mounts", "x /dev tmpfs tmpcopyup 0 0")
    ctn.refused("cmd", '["true"]', errno.EOPNOTSUPP, "/dev.*tmpcopyup")
    put(ctn)
    ctn.output("cd /data; for i in $(seq 40); do mkdir d; cd d; done")
    refused(ctn, ["x /data tmpfs tmpcopyup 0 0"], errno.ELOOP, "/data.*32 directories")
    put(ctn)
    ctn.output("rm -r /data/*")
    layer = os.path.realpath(ctn.path("layer"))
    for i in range(16385):
        os.mknod(os.path.join(layer, "data", str(i)), 0o100644)
    refused(ctn, ["x /data tmpfs tmpcopyup 0 0"], errno.EFBIG, "/data.*16384 files")
