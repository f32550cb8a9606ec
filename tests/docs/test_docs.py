# SPDX-License-Identifier: Apache-2.0
"""What README.md, the manual pages and the examples say is what the programs do."""

import os
import re
import subprocess

import pytest

import basics
import harness
from basics import TREE, have, limit

EXAMPLES = os.path.join(TREE, "examples")
PAGES = {n: os.path.join(TREE, "fs", "man", "ctnfs.%d" % n) for n in (5, 8)}
SHELLS = ("bash", "dash")
ID = re.compile(r"\b[0-9a-f]{64}\b")


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def readme():
    return text_of(os.path.join(TREE, "README.md"))


def ctnfs(*args):
    r = subprocess.run([basics.build_path("ctnfs"), *args], capture_output=True, text=True,
                       timeout=limit(20))
    assert r.returncode == 0 and r.stderr == "", r
    return r.stdout


def rows():
    """(path below a container or the root, when) of each row of the table."""
    head, *lines = ctnfs("--tree").splitlines()
    assert head.split() == ["path", "mode", "when", "what"]
    for line in lines:
        m = re.match(r"(\S+) +[-dl][-rwx]{9} +(-|live|next|stopped) +\S", line)
        assert m, "a line of --tree of another form: %r" % line
        yield re.sub(r"^<name>/", "", m[1]), m[2] if m[2] != "-" else None


def items(page):
    """(name, when) of everything that ctnfs(5) has an entry about."""
    for line in re.findall(r"^\.It Pa (.*)$", page, re.M):
        m = re.match(r"(.*?)(?: Bq (\w+))?$", line)
        for name in m[1].split(" , "):
            yield re.sub(r" Ns Ar .*", "*", name), m[2]


# --- the table ---

def test_readme_has_the_tree_of_the_program():
    block = re.search(r"<!-- tree -->\n+```\n(.*?)```\n+<!-- /tree -->", readme(), re.S)
    assert block, "README.md has no tree between its markers"
    assert block[1] == ctnfs("--tree"), "put the output of ctnfs --tree there"


def test_every_file_is_in_the_manual_page():
    page = text_of(PAGES[5])
    told = dict(items(page))
    names = {path for path, _ in rows() if path and path != "." and not path.endswith("/")}
    assert len(names) > 50
    assert names - set(told) == set(), "not in ctnfs(5)"
    assert set(told) - names == set(), "no file of the tree"
    for path, when in rows():
        if path.startswith("cgroup/"):  # "All of these are live" is said once
            assert when in (None, "live")
        elif when:
            assert told[path] == when, path


def test_status_keys_are_in_the_manual_page(server):
    lines = server.make().read("status") + server.read("status")
    page = text_of(PAGES[5])
    for line in lines.splitlines():
        key = line.split(":")[0]
        assert re.search(r"^\.Li .*\b%s\b" % key, page, re.M), line


# --- options ---

def options():
    """("-f", None) or ("state", default) of each option in the usage text."""
    usage = ctnfs("-h")
    found = re.findall(r"^    (-\S+)(?: (\w+)=\S+)?((?:.*\n(?:     .*\n)*))", usage, re.M)
    assert len(found) > 8
    for flag, name, rest in found:
        default = re.search(r"\(((?:/|\d)[^)]*)\)", rest)
        yield name or flag, default[1] if default else None


def test_every_option_is_in_the_manual_page_and_readme():
    page, text = text_of(PAGES[8]), readme()
    for option, default in options():
        if option.startswith("-"):
            assert re.search(r"^\.It Fl %s$" % re.escape(option[1:]), page, re.M), option
            assert "`%s`" % option in text, option
        else:
            assert re.search(r"^\.It Fl o Cm %s Ns = " % option, page, re.M), option
            assert "`-o %s=" % option in text, option
        if default:
            assert default in page and default in text, (option, default)


def test_manual_page_has_no_other_option():
    known = {o.lstrip("-") for o, _ in options()}
    for flag, name in re.findall(r"^\.It Fl (-?\w+)(?: Cm (\w+))?", text_of(PAGES[8]), re.M):
        assert (name or flag.lstrip("-")) in known


@pytest.mark.parametrize("page", sorted(PAGES))
def test_manual_pages_are_sound(page):
    if not have("mandoc"):
        pytest.skip("mandoc is not installed")
    r = subprocess.run(["mandoc", "-Tlint", "-W", "warning", PAGES[page]], capture_output=True,
                       text=True, timeout=limit(20))
    assert r.returncode == 0 and r.stdout == "", r.stdout + r.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", readme()):
        assert os.path.exists(os.path.join(TREE, target)), target


# --- sessions ---

REDIS = [
    r"^running\n\d+\n[0-9a-f]{64}\nName:\tdb\n", r"^LEVEL=high$", r"^cap_chown$",
    r"^CapBnd:\t00000000a80425fb\t", r"^# mode 2", r"Ready to accept connections",
    r"-> /proc/\d+/ns/net$", r"^net new \d+$", r"^PONG\nPONG$", r"^own network$", r"redis-server",
    r"^Uid:\t[1-9]\d{6,}\t", r"^15998976\n1024\nusage_usec \d+$", r"^0$",
]
EXPECTED = [  # of each block, in order
    REDIS,
    [r"^exit code 3$", r"^working$"],
    [r"Ready to accept connections", r"^PONG$", r"^1\n2\n3$", r"^redis\n/tmp\nb$", r"^it ended with 7$",
     r"PING_MBULK: .* requests per second", r"SET: .* requests per second"],
    [r"Ready to accept connections", r"^0$"],
    [r"^0\napple\nfig\npear$", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout apple$"],
    [r"Ready to accept connections", r"^#NAME +STATE ", r"^db +running ", r"^web +running ",
     r"^# TYPE ctnfs_build_info gauge$", r" redis-server", r" unshare unshare\(", r"^oom_kill 0$",
     r"^\d{4}-\d\d-\d\dT\S+Z stdout hello$", r"^nobody may do that$",
     r"^created\b.*\n(?:.*\n)*?started\b.*\n(?:.*\n)*?died exit=137$"],
    [r"^up\nup\nup$", r"^exited$", r"^Restarts:\t[2-9]$"],
    [r"^#NAME +STATE ", r"^db +running ", r"^eater +running ", r"^db +running ", r"^oom_kill 1$", r"^last_oom ",
     r'^ctnfs_container_cpu_seconds_total\{name="db",id="[0-9a-f]{12}"\} \d'],
    [r" job died exit=3 id=[0-9a-f]{12}$", r"^job created id=", r"^job started pid=\d+ id=", r"^job died exit=3 ",
     r"^job limit-changed memory\.limit=67108864 id=", r"^job2 renamed from=job id=", r" job2 removed id="],
    [r"^running\nredis$", r"^db2$", r'^>   "name": "db2",$', r'^\{"uid":\d+,"gid":\d+',
     r"^env LEVEL=low$", r"^EINVAL new: usr .*did you mean user"],
    [r"Ready to accept connections", r"^0\nPONG$", r"^net container:db$", r"^user container:db$"],
    [r" ENOENT cmd: .*nonesuch", r" ENOENT .*memory\.limit", r" EINVAL cmd: .*&"],
]


REFUSALS = {9: 1, 11: 3}  # of a session's number: how many commands fail in it


def sessions():
    return re.findall(r"^```sh session\n(.*?)^```$", readme(), re.M | re.S)


def in_order(patterns, text):
    at = 0
    for pattern in patterns:
        m = re.compile(pattern, re.M).search(text, at)
        assert m, "no %r after this point in:\n%s\n--- from here: ---\n%s" % (
            pattern, text[:at], text[at:])
        at = m.end()


def test_every_session_is_known():
    assert len(sessions()) == len(EXPECTED)


@pytest.mark.skipif(not have("redis-server"), reason="redis-server is not installed")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_sessions_work_as_written(server, number, shell):
    script = sessions()[number].replace("/mnt/ctn", server.mnt)
    r = server.sh(script, shell=shell, cwd="/")
    server.session.ids.update(ID.findall(r.stdout))
    in_order(EXPECTED[number], r.stdout)
    told = [l for l in r.stderr.splitlines() if "Terminated" not in l]
    assert len(told) == REFUSALS.get(number, 0), r.stderr
    assert server.containers() == []


def test_ports_in_the_readme_are_those_of_the_example():
    block = re.search(r"<!-- ports -->\n```sh\n(.*?)^```\n<!-- /ports -->", readme(), re.S | re.M)
    script = text_of(os.path.join(EXAMPLES, "ports.sh")).splitlines()
    assert block and block[1].count("\n") > 8
    assert [l for l in script if l in block[1].splitlines()] == block[1].splitlines()


# --- examples ---

JOBS = os.environ.get("JOBS", "20")  # of queue.sh, which has a hundred by itself

EXAMPLE_OUTPUT = {
    "hello.sh": [r"^PONG$", r"^State:\trunning$", r"^0$"],
    "one-shot.sh": [r"^working as root on job$", r"^exit code 3$", r" squared is \d+, exit code 0$"],
    "limit.sh": [r"^memory limit: 33554432 bytes$", r"^exit code 137$", r"^OomKilled:\t1$",
                 r"^oom_kill [1-9]", r"^times that pids.max refused: [1-9]", r"^nr_throttled [1-9]",
                 r"^max 100000$", r"^exit code 137$"],
    "health.sh": [r"^db: no answer \(1\)\ndb: no answer \(2\)\ndb: restarted$", r"^db answers again$",
                  r"^it is another process$", r"^Restarts:\t[1-9]"],
    "inside.sh": [
        r"^PONG$", r"^hello, world$", r"^redis in /tmp, blue$", r"^15$", r"^status 7$",
        r"^counted 1000, exit code 0$", r"^2 sleepers$", r"^0 sleepers$", r"^stdout$"],
    "plot.sh": [r"^ +\d+ [+|].*\n(?: .*\n)+ +seconds", r"^most: [4-9]\d MiB$", r"^the picture has \d{4,5} bytes$"],
    "queue.sh": [r"^job 1: exit code 0, it said 1$", r"^job 10: exit code 1, it said 100$",
                 r"^20 jobs have ended, 2 of them failed\nat most 4 were there at a time$"],
    "ports.sh": [r"^PONG$", r"^eth0@\S+ +UP +192\.0\.2\.2/24 ", r"^net /run/netns/ctnfs-ports \d+$"],
    "ship-logs.sh": [r"^ +1 db stderr an error$", r"^ +1 late stdout line 5$", r"^ +1 web stdout line 1$",
                     r"^each line once$"],
    "sharing.sh": [
        r"^container:db\ncontainer:db$", r"^0\nPONG$", r"^redis-server$", r"^the same network$",
        r"^net container:db \d+ db$", r"^pid container:db \d+ db$", r"^user container:db \d+ db$",
        r"^net container:store \d+ store$"],
    "specs.sh": [
        r"^running\n67108864$", r"^EEXIST new: .* db already$", r"^db2$", r'^>   "name": "db2",$',
        r"^env LEVEL=low$", r"^db/env:LEVEL=high$", r"^db/pending:env LEVEL=middle$",
        r"^LEVEL=middle$", r"^0\nhigh in /tmp on job\n512\nCapBnd:\t0000000000000001\n33554432$",
        r"^0$", r'^\[\{.*"soft":512.*\}\]\n\{"limit":33554432\}$', r" EOPNOTSUPP new: hooks ",
        r" EINVAL new: cmt .*did you mean cmd", r"^web/user:redis$",
        r"^1\nredis\nhello from the host\n80\n1024\n4096\nmkdir: .*No space left"],
    "supervise.sh": [r"^(shy has ended with exit code 1\n){2}shy has ended with exit code 0\nit needed 3 runs$",
                     r"^(bad has ended with exit code 7\n){2}given up: 7$"],
    "top.sh": [r"^busy +running +\d+\.\d% +\d+\.\d MiB +1$", r"^lazy +running +0\.\d% ",
               r"^the most processor time: busy$"],
    "tutorial.sh": [
        r"^running\n\d+$", r"Ready to accept", r"redis-server", r"^1$", r"^NSpid:\t\d+\t1$",
        r"^LEVEL=high$", r"^LEVEL=low$", r"^net new \d+$", r"^net: its own$",
        r"^time: the same as ours$", r"^PONG$", r"^db$", r"^PONG$", r"^number 1$",
        r"^Seccomp:\t0$", r"/[0-9a-f]{64}$", r"^1024$", r"^max$", r"^15998976$",
        r" EBUSY cgroup/memory\.limit: .*\d{6}", r"^running\n15998976$", r"^Seccomp:\t2$",
        r"^# mode 2", r"mount: .*permission denied", r"^CapBnd:\t00000000a80425fb$",
        r"^CapBnd:\t00000000a80425fb\tcap_chown,", r"^0x00000000a80425fb=cap_chown,",
        r"^exited\n0$"],
}


# It makes a network interface and a named network. So that the host gets neither, it runs in a network
# and with mounts of its own, and so does the server that it brings.
APART = {"ports.sh": ["unshare", "--net", "--mount", "sh", "-c", "mount -t tmpfs run /run && exec \"$1\"",
                      "sh"]}


NEEDS = {"plot.sh": "gnuplot"}  # a program that the host may not have


def skip_without(name):
    if name in NEEDS and not have(NEEDS[name]):
        pytest.skip("%s is not installed, which %s needs" % (NEEDS[name], name))


def example_env(session):
    """The server of the examples on directories and ids of this test run, so that what it leaves
    is found."""
    base = session.id_base + next(session.count) % harness.SERVERS_AT_ONCE * harness.IDS_EACH
    env = dict(os.environ, LC_ALL="C.UTF-8", TMPDIR=session.base, JOBS=JOBS,
               CTNFS_SUBID="%d:%d" % (base, harness.IDS_EACH))
    env["CTNFS_BUILD"] = os.path.dirname(basics.build_path("ctnfs"))
    return env


def test_every_example_is_tested():
    assert set(os.listdir(EXAMPLES)) - set(EXAMPLE_OUTPUT) == {
        "setup.sh", "with-mount"}
    for name in os.listdir(EXAMPLES):
        assert os.access(os.path.join(EXAMPLES, name), os.X_OK), name


def check_example(name, r, session):
    session.ids.update(ID.findall(r.stdout))
    assert r.returncode == 0, "%s: %d\n%s%s" % (name, r.returncode, r.stdout, r.stderr)
    assert r.stderr == "", r.stderr
    in_order(EXAMPLE_OUTPUT[name], r.stdout)


@pytest.mark.skipif(not have("redis-server"), reason="redis-server is not installed")
@pytest.mark.parametrize("name", sorted(EXAMPLE_OUTPUT))
def test_examples_bring_their_own_mount(session, no_leaks, name):
    skip_without(name)
    before = set(os.listdir(session.base))
    command = APART.get(name, []) + [os.path.join(EXAMPLES, name)]
    r = subprocess.run(command, env=example_env(session), text=True, capture_output=True,
                       stdin=subprocess.DEVNULL, timeout=limit(50))
    check_example(name, r, session)
    assert set(os.listdir(session.base)) == before


@pytest.mark.skipif(not have("redis-server"), reason="redis-server is not installed")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", sorted(set(EXAMPLE_OUTPUT) - set(APART)))
def test_examples_on_a_mount(server, name, shell):
    skip_without(name)
    r = subprocess.run([shell, os.path.join(EXAMPLES, name), server.mnt], text=True,
                       env=dict(os.environ, JOBS=JOBS),
                       capture_output=True, stdin=subprocess.DEVNULL, timeout=limit(50))
    check_example(name, r, server.session)
    assert server.containers() == []


def test_with_mount_cleans_up_after_a_failure(session, no_leaks):
    """A container that runs, one that was never started, and a script that is interrupted."""
    before = set(os.listdir(session.base))
    script = r'''cd "$1" && mkdir a b && echo "sleep 1000" > a/cmd && cat a/id && kill -TERM $PPID
                 sleep 0.2; exit 7'''
    r = subprocess.run([os.path.join(EXAMPLES, "with-mount"), "sh", "-c", script, "sh"],
                       env=example_env(session), text=True, capture_output=True,
                       stdin=subprocess.DEVNULL, timeout=limit(50))
    session.ids.update(ID.findall(r.stdout))
    assert r.returncode == 143 and r.stderr == "", r
    assert set(os.listdir(session.base)) == before


@pytest.mark.parametrize("name", sorted(os.listdir(EXAMPLES)))
@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_parse(name, shell):
    subprocess.run([shell, "-n", os.path.join(EXAMPLES, name)], check=True)
