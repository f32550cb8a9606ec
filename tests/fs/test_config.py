# SPDX-License-Identifier: Apache-2.0
"""Each configuration file: default, forms it takes, forms it refuses, and what the program gets."""

import errno
import os
import re

import pytest

from containers import inside

DEFAULT_CAPS = ["cap_chown", "cap_dac_override", "cap_fowner", "cap_fsetid", "cap_kill",
                "cap_setgid", "cap_setuid", "cap_setpcap", "cap_net_bind_service", "cap_net_raw",
                "cap_sys_chroot", "cap_mknod", "cap_audit_write", "cap_setfcap"]

# file, written, read
ACCEPTED = [
    ("cmd", "redis-server --port 6380", None),
    ("cmd", '["sh", "-c", "echo a b"]', None),
    ("cmd", "sh -c 'echo \"a b\"; exit 3'", None),
    ("start", "0", "0"), ("start", "1", "1"),
    ("cwd", "/tmp", "/tmp"), ("cwd", "/usr/bin", "/usr/bin"),
    ("user", "nobody", "nobody"), ("user", "1000", "1000"), ("user", "1000:100", "1000:100"),
    ("user", "nobody:daemon", "nobody:daemon"), ("user", "root", "root"),
    ("user", "65534", "65534"),
    ("hostname", "db-1", "db-1"), ("hostname", "a.b.c", "a.b.c"), ("hostname", "h" * 64, "h" * 64),
    ("no_new_privs", "0", "0"), ("init", "1", "1"), ("seccomp.notify", "0", "0"),
    ("log.max", "64K", "65536"), ("log.max", "1000000", "1000000"), ("log.max", "16m", "16777216"),
    ("seccomp", "none", None), ("seccomp", "default", None),
    ("ns/net", "host", "host"), ("ns/net", "new", "new"), ("ns/uts", "host", "host"),
    ("caps", "all", None), ("caps", "default", "\n".join(DEFAULT_CAPS)),
    ("caps", "cap_kill", "cap_kill"), ("caps", "KILL", "cap_kill"), ("caps", "0x20", "cap_kill"),
    ("caps", "00000000000000e0", "cap_kill\ncap_setgid\ncap_setuid"),
    ("caps", "kill chown", "cap_chown\ncap_kill"),
]

REFUSED = [
    ("start", "2", errno.EINVAL), ("start", "yes", errno.EINVAL), ("start", "-1", errno.EINVAL),
    ("start", "01", errno.EINVAL), ("start", "1.0", errno.EINVAL),
    ("cwd", "tmp", errno.EINVAL), ("cwd", "../..", errno.EINVAL),
    ("hostname", "h" * 65, (errno.EINVAL, errno.ENAMETOOLONG)), ("hostname", "a b", errno.EINVAL),
    ("hostname", "a/b", errno.EINVAL),
    ("no_new_privs", "true", errno.EINVAL), ("no_new_privs", "", None), ("init", "3", errno.EINVAL),
    ("log.max", "-1", errno.EINVAL), ("log.max", "1.5M", errno.EINVAL), ("log.max", "x", errno.EINVAL),
    ("log.max", "99999999999999999999", errno.ERANGE), ("log.max", "1E", errno.EINVAL),
    ("seccomp", "strict", errno.EINVAL), ("seccomp", "Default", errno.EINVAL),
    ("ns/net", "old", errno.EINVAL), ("ns/net", "newer", errno.EINVAL),
    ("ns.list", "net", errno.EINVAL), ("ns.list", "nett host", errno.EINVAL),
    ("ns.list", "net sideways", errno.EINVAL),
    ("caps", "cap_nonesuch", errno.EINVAL), ("caps", "+kil", errno.EINVAL),
    ("caps", "0xzz", errno.EINVAL), ("caps", "-", errno.EINVAL),
    ("env", "=x", errno.EINVAL), ("env", "novalue", errno.EINVAL),
    ("user", "+1", errno.EINVAL), ("user", "-1", errno.EINVAL), ("user", "00", errno.EINVAL),
    ("user", "4294967295", errno.EINVAL), ("user", "4294967296", errno.EINVAL),
    ("user", "4611686018427387904", errno.EINVAL), ("user", "0x0", errno.EINVAL),
    ("user", "1:", errno.EINVAL), ("user", ":0", errno.EINVAL), ("user", "1:+2", errno.EINVAL),
    ("cmd", "'unclosed", errno.EINVAL), ("cmd", '["a", 1]', errno.EINVAL),
    ("cmd", '["a"', errno.EINVAL), ("cmd", "[]", errno.EINVAL),
    ("cmd", '[\n  "sh",\n  "-c"\n]', errno.EINVAL),
]


def defaults(c):
    return {"cmd": "", "start": "1", "cwd": "/", "hostname": c.name, "no_new_privs": "1", "seccomp.notify": "1",
            "init": "0", "log.max": "16777216", "caps": "\n".join(DEFAULT_CAPS), "log": "",
            "memory.limit": "max", "cgroup/pids.max": "4096", "cgroup/freeze": "0",
            "cgroup/cpu.max": "max 100000", "cgroup/cpu.weight": "100",
            "cgroup/cpu.shares": "1024", "state": "created", "pid": "", "exit": "",
            "pending": "", "error": "", "ns/time": "host", "ns/net": "new", "ns/user": "new"}


def test_defaults(ctn):
    got = {name: ctn.get(name) for name in defaults(ctn)}
    assert got == defaults(ctn)
    assert ctn.get("user") in ("", "root", "0", "0:0")
    assert ctn.lines("seccomp") == ["default"]
    assert {l.split("=")[0] for l in ctn.lines("env")} == {"PATH", "HOME", "HOSTNAME", "TERM"}
    assert "HOSTNAME=" + ctn.name in ctn.lines("env")


@pytest.mark.parametrize("name,text,shown", ACCEPTED, ids=lambda v: str(v)[:30].replace("\n", " "))
def test_accepted(ctn, name, text, shown):
    ctn.put("start", "0")
    ctn.put(name, text)
    if shown is not None:
        assert "\n".join(ctn.lines(name)) == shown
    assert ctn.get("error") == ""


@pytest.mark.parametrize("name,text,code", REFUSED, ids=lambda v: str(v)[:30])
def test_refused(ctn, name, text, code):
    if code is None:
        return
    ctn.put("start", "0") if name != "start" else None
    ctn.refused(name, text, code)


def test_what_is_read_may_be_written_back(ctn):
    ctn.put("start", "0").put("cmd", "sh -c 'exit 3' \"it's\"").put("env", "A=1\nB=a b\nC=x\\ny")
    ctn.put("caps", "cap_kill").put("user", "nobody").put("ns/net", "host").put("memory.limit", "64M")
    for name in ("start", "cmd", "env", "cwd", "user", "hostname", "caps", "seccomp", "no_new_privs",
                 "init", "log.max", "ns.list", "ns/net", "ns/mnt", "memory.limit", "cgroup/cpu.max",
                 "cgroup/cpu.weight", "cgroup/cpu.shares", "cgroup/pids.max", "cgroup/freeze"):
        text = ctn.read(name)
        assert ctn.write(name, text) == 0, (name, text, ctn.last_error())
        assert ctn.read(name) == text, name


CMD = [
    ("echo one two", ["one", "two"]),
    ("echo 'a b'  \"c d\"", ["a b", "c d"]),
    (r"echo a\ b \"", ["a b", '"']),
    ("echo '|' \"&\" \\; '<>$(*?`'", ["|", "&", ";", "<>$(*?`"]),
    ("echo '' \"\" x", ["", "", "x"]),
    ("echo it\"'\"s", ["it's"]),
    ("echo \"a \\\"b\\\" \\$c\"", ['a "b" $c']),
    ('["echo", "a b", "\\u00e9", "$HOME;*"]', ["a b", "é", "$HOME;*"]),
]


@pytest.mark.parametrize("line,words", CMD, ids=lambda v: str(v)[:30])
def test_cmd_is_split_as_a_shell_splits(ctn, line, words):
    program = "import sys; print(sys.argv[1:])"
    quoted = line.replace("echo", "python3 -c '%s'" % program, 1) if line[0] != "[" else \
        line.replace('"echo"', '"python3", "-c", "%s"' % program)
    ctn.put("cmd", quoted)
    assert ctn.finish() == 0
    assert ctn.read("log") == repr(words) + "\n"
    shown = ctn.get("cmd")
    ctn.write("log", "")
    ctn.put("cmd", shown)
    ctn.finish()
    assert ctn.get("cmd") == shown and repr(words) in ctn.read("log")


@pytest.mark.parametrize("bad", ["sleep 1 | cat", "sleep 1 & ", "sleep 1; ls", "cat < /etc/passwd",
                                 "echo x > y", "echo $HOME", "echo (a)", "echo *", "echo a?",
                                 "echo `id`", "a&&b", "echo $(id)"])
def test_shell_operators(ctn, bad):
    said = ctn.refused("cmd", bad, errno.EINVAL, "no shell runs here")
    assert "sh -c" in said.text


def test_environment_given(ctn):
    ctn.put("env", "A=1\nB=two words\nC=line\\nbreak\nPATH=/usr/bin:/bin\n-TERM")
    assert "C=line\\nbreak" in ctn.lines("env")
    ctn.py("import os; print(sorted(os.environ.items()))")
    assert ctn.finish() == 0
    seen = dict(eval(ctn.read("log")))
    assert seen["A"] == "1" and seen["B"] == "two words" and seen["C"] == "line\nbreak"
    assert seen["PATH"] == "/usr/bin:/bin" and "TERM" not in seen
    assert seen["HOSTNAME"] == ctn.name and seen["HOME"] == "/root"
    seen.pop("LC_CTYPE", None)  # Python's own
    assert set(seen) == {"A", "B", "C", "PATH", "HOSTNAME", "HOME"}


def test_cwd_and_user(ctn):
    ctn.put("cwd", "/usr/bin").put("user", "nobody")
    out = ctn.output("pwd; id -u; id -g; id -G; echo $HOME").split()
    assert out == ["/usr/bin", "65534", "65534", "65534", "/nonexistent"]
    ctn.put("user", "1234:77")
    assert ctn.output("id -u; id -g; id -G").split() == ["1234", "77", "77"]


def test_unknown_user_and_directory(ctn):
    r = ctn.write("user", "nonesuch\n")
    if r == 0:  # whom the container's passwd does not know is found out at the start
        ctn.refused("cmd", "true", (errno.ENOENT, errno.EINVAL), "nonesuch")
    else:
        assert r in (errno.ENOENT, errno.EINVAL)
    ctn.put("user", "root").put("cwd", "/nonesuch")
    ctn.refused("cmd", "true", errno.ENOENT, "/nonesuch")
    assert ctn.state() == "created"


def test_hostname_file(ctn):
    """/etc/hostname is mounted, as docker does it: no start writes to the layer. What the container writes there
    is gone with its next start."""
    ctn.put("hostname", "first")
    assert ctn.output("cat /etc/hostname; stat -c '%a %u %g' /etc/hostname; echo mine > /etc/hostname; "
                      "cat /etc/hostname; rm /etc/hostname 2> /dev/null || echo busy") == "first\n644 0 0\nmine\nbusy\n"
    assert os.listdir(ctn.path("layer") + "/") == []
    ctn.put("hostname", "second")
    assert ctn.output("cat /etc/hostname") == "second\n"
    ctn.put("ns/uts", "host")
    assert ctn.output("cat /etc/hostname") == ""


def test_hostname_is_live(idle):
    idle.put("hostname", "renamed")
    assert idle.get("hostname") == "renamed"
    with open("/proc/%d/root/proc/sys/kernel/hostname" % idle.pid()):
        pass
    assert inside(idle, "hostname").stdout == "renamed\n"
    idle.put("hostname", "again")
    assert inside(idle, "cat", "/proc/sys/kernel/hostname").stdout == "again\n"
    assert idle.get("pending") == ""


@pytest.mark.parametrize("name,value,inside,want", [
    ("env", "NEW=1", "echo $NEW", "1"),
    ("cwd", "/tmp", "pwd", "/tmp"),
    ("user", "nobody", "id -u", "65534"),
    ("caps", "cap_kill", "grep CapBnd /proc/self/status | cut -f2", "0000000000000020"),
    ("seccomp", "none", "grep Seccomp: /proc/self/status | cut -f2", "0"),
    ("no_new_privs", "0", "grep NoNewPrivs /proc/self/status | cut -f2", "0"),
    ("init", "1", "echo $$", "2"),
])
def test_next_values_are_pending_then_there(ctn, name, value, inside, want):
    ctn.sh("sleep 1000")
    before = ctn.read(name)
    ctn.put(name, value)
    if name != "env":
        assert ctn.read(name) == before, "shows what runs"
    pending = ctn.get("pending").splitlines()
    told = "-cap_chown" if name == "caps" else value  # of a list: what comes and what goes
    assert any(l.split(" ")[0] == name and told in l for l in pending), pending
    assert ctn.status("Pending")
    ctn.put("ctl", "kill")
    assert ctn.get("pending") == ""
    assert ctn.output(inside).strip() == want
    ctn.sh("sleep 1000")
    assert ctn.get("pending") == ""


def test_taking_a_change_back_is_not_pending(ctn):
    ctn.sh("sleep 1000")
    ctn.put("cwd", "/tmp")
    assert ctn.get("pending") == "cwd /tmp"
    ctn.put("cwd", "/")
    assert ctn.get("pending") == ""


def test_start_says_what_was_written(idle):
    """It is not the running program's."""
    for value in ("0", "1"):
        assert idle.put("start", value).get("start") == value
        assert "start" not in idle.get("pending")


def test_start_0_only_stores(ctn):
    ctn.put("start", "0")
    ctn.put("cmd", "sh -c 'exit 4'")
    assert ctn.state() == "created"
    ctn.put("cmd", "nonesuch")  # nothing is executed, so nothing is missing yet
    ctn.put("cmd", "sh -c 'exit 4'")
    ctn.put("ctl", "start")
    assert ctn.finish() == 4


def test_capabilities_inside(ctn):
    text = ctn.output("cat /proc/self/status")
    caps = dict(re.findall(r"(Cap\w+):\t(\w+)", text))
    assert caps["CapBnd"] == "00000000a80425fb"
    assert caps["CapInh"] == caps["CapAmb"] == "0" * 16
    assert caps["CapPrm"] == caps["CapEff"] == "00000000a80425fb"
    ctn.put("user", "nobody")
    caps = dict(re.findall(r"(Cap\w+):\t(\w+)", ctn.output("cat /proc/self/status")))
    assert caps["CapPrm"] == caps["CapEff"] == "0" * 16


def test_caps_amend(ctn):
    ctn.put("caps", "-cap_mknod")
    assert ctn.lines("caps") == [c for c in DEFAULT_CAPS if c != "cap_mknod"]
    ctn.put("caps", "+mknod\n-net_raw")
    assert ctn.lines("caps") == [c for c in DEFAULT_CAPS if c != "cap_net_raw"]
    ctn.put("caps", "cap_kill").put("caps", "cap_chown", append=True)
    assert ctn.lines("caps") == ["cap_chown", "cap_kill"]
    ctn.put("caps", "none")
    assert ctn.get("caps") in ("", "none")
    assert "0000000000000000" in ctn.output("grep CapBnd /proc/self/status")


def test_caps_that_nobody_here_has(ctn):
    with open("/proc/self/status") as f:
        bounding = int(re.search(r"CapBnd:\t(\w+)", f.read())[1], 16)
    if bounding >> 24 & 1:
        pytest.skip("this machine's bounding set has cap_sys_resource, so it can be given")
    ctn.refused("caps", "cap_sys_resource", errno.EPERM, "cap_sys_resource")
    ctn.put("caps", "all")
    assert "cap_sys_resource" not in ctn.lines("caps") and "cap_sys_admin" in ctn.lines("caps")


def test_misspelt_capability(ctn):
    assert "cap_net_admin" in ctn.refused("caps", "cap_net_admn", errno.EINVAL).text


def test_caps_sets_of_a_running_container(idle):
    lines = [l.split("\t") for l in idle.get("caps.sets").splitlines()]
    assert [l[0] for l in lines] == ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"]
    assert int(lines[3][1], 16) == 0xa80425fb
    assert lines[3][2].split(",") == DEFAULT_CAPS
    assert int(lines[0][1], 16) == int(lines[4][1], 16) == 0


def test_status_file(idle):
    table = idle.status()
    for key in ("Name", "Id", "State", "Pid", "Started", "Finished", "Exit", "OomKilled", "Restarts",
                "LogDropped", "Pending"):
        assert key in table, key
    assert table["Name"] == idle.name and table["Id"] == idle.get("id")
    assert table["State"] == "running" and table["Pid"] == idle.get("pid")
    assert re.match(r"\d{4}-\d\d-\d\d|\d+", table["Started"])


def test_seccomp_file(idle):
    text = idle.read("seccomp")
    assert idle.lines("seccomp") == ["default"]
    for word in ("ERRNO|EPERM", "mount", "read", "personality"):
        assert re.search(word, text, re.I), word
    assert os.stat(idle.path("seccomp")).st_size == len(text)
