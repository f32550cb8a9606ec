# SPDX-License-Identifier: Apache-2.0
"""All containers at one look: stats and metrics."""

import itertools
import os
import re
import subprocess
import threading

import pytest

from basics import BUILD, TREE, have, limit, until
from harness import cgroup_version

FETCHED = os.path.join(BUILD, "tools")  # by examples/setup.sh; BUILD itself is replaced before the tests

LONG = os.environ.get("CTNFS_LONG") == "1"
MANY = 200 if LONG else 30
HEADER = ["#NAME", "STATE", "PID", "CPU", "MEMORY", "LIMIT", "PIDS"]


def table(text):
    """{name: (state, pid, cpu, memory, limit, pids)}, with all that is so of every stats."""
    lines = text.splitlines()
    assert text.endswith("\n") and lines[0].split() == HEADER
    rows = [l.split() for l in lines[1:]]
    assert all(len(r) == len(HEADER) for r in rows), text
    assert [r[0] for r in rows] == sorted(r[0] for r in rows)
    # aligned: words begin, and figures end, at the same place of each line
    for col in range(len(HEADER)):
        places = set()
        for line in lines:
            word = list(re.finditer(r"\S+", line))[col]
            places.add(word.start() if col < 2 else word.end())
        assert len(places) == 1, text
    for r in rows:
        assert re.fullmatch(r"\d+|-", r[2]) and re.fullmatch(r"\d+\.\d{3}|-", r[3]), r
        assert re.fullmatch(r"\d+|-", r[4]) and re.fullmatch(r"\d+|max|-", r[5]), r
    return {r[0]: tuple(r[1:]) for r in rows}


def knob(ctn, name):
    try:
        return ctn.get("cgroup/" + name)
    except OSError:
        return "-"


def usage(ctn):
    return int(re.match(r"usage_usec (\d+)", ctn.read("cgroup/cpu.stat"))[1])


def test_nothing_but_a_header(tidy):
    assert tidy.read("stats").split() == HEADER


def test_each_state_has_its_row(tidy):
    tidy.make("created")
    tidy.make("exited").output("exit 3", code=3)
    paused = tidy.make("paused").start("sleep", "1000").put("ctl", "pause")
    running = tidy.make("running").put("memory.limit", "64M").start("sleep", "1000")
    rows = table(tidy.read("stats"))
    assert {n: r[0] for n, r in rows.items()} == {n: n for n in ("created", "exited", "paused", "running")}
    assert rows["created"][1] == rows["exited"][1] == "-"
    assert rows["running"][1] == running.get("pid") and rows["paused"][1] == paused.get("pid")
    assert rows["running"][4] == "67108864" and rows["created"][4] == "max"
    assert rows["running"][5] == "1" and rows["created"][5] == "0"
    paused.put("ctl", "kill")


def test_figures_are_those_of_the_cgroup(tidy):
    """Of those that stand still all of it is the same; of one that works it lies between."""
    still = [tidy.make("still%d" % i) for i in range(3)]
    for i, c in enumerate(still):
        c.put("memory.limit", "%dM" % (64 + i)).put("cgroup/pids.max", str(50 + i))
        c.py("import os\nx = bytearray(b'x' * (%d << 20))\nfor _ in range(%d):\n"
             " if os.fork() == 0: break\nprint('ready', flush=True)\nimport time; time.sleep(1000)"
             % (i + 1, i)).until_log("ready\n" * (i + 1)).put("ctl", "pause")
    busy = tidy.make("busy").sh("while :; do :; done")
    before = usage(busy)
    rows = table(tidy.read("stats"))
    after = usage(busy)
    for c in still:
        state, pid, cpu, _, limit_, pids = rows[c.name]
        assert (state, pid) == ("paused", c.get("pid"))
        assert (limit_, pids) == tuple(knob(c, k) for k in ("memory.limit", "pids.current"))
        assert abs(float(cpu) - usage(c) / 1e6) < 0.002

    def same_memory():  # the kernel takes back what it keeps in store for a processor, at any time
        now = table(tidy.read("stats"))
        return [now[c.name][3] for c in still] == [knob(c, "memory.usage") for c in still]
    until(same_memory, "the memory is that of the cgroups")
    assert [rows[c.name][5] for c in still] == ["1", "2", "3"]
    assert before / 1e6 - 0.001 <= float(rows["busy"][2]) <= after / 1e6 + 0.001


def test_sorting_by_a_column(tidy):
    sizes = {"small": 1, "large": 30, "middle": 10}
    for name, size in sizes.items():
        tidy.make(name).py("x = bytearray(b'x' * (%d << 20))\nprint('ready', flush=True)\n"
                           "import time; time.sleep(1000)" % size).until_log("ready")
    tidy.make("none")
    for shell in ("bash", "dash"):
        top = tidy.sh("sort -k5nr stats | head -n 3", shell=shell).stdout.splitlines()
        assert [l.split()[0] for l in top] == ["large", "middle", "small"]
        rows = [l.split() for l in tidy.sh("sort -k5nr stats", shell=shell).stdout.splitlines()]
        at = rows.index(HEADER)
        assert all(int(r[4]) > 0 for r in rows[:at]) and all(r[4] in "0-" for r in rows[at + 1:])
    assert tidy.sh("grep -v '^#' stats | wc -l").stdout.strip() == "4"
    assert tidy.sh("awk '$2 == \"running\" { n++ } END { print n }' stats").stdout.strip() == "3"


def test_size_and_partial_reads(tidy):
    for name in ("a", "bb"):
        tidy.make(name)
    for name in ("stats", "metrics"):
        text = tidy.read(name)
        assert os.stat(tidy.path(name)).st_size == len(text)
        with open(tidy.path(name), "rb", buffering=0) as f:
            parts = list(iter(lambda: f.read(7), b""))
        assert b"".join(parts).decode() == text
        assert tidy.sh("cp %s /dev/stdout" % name).stdout == text


def test_watching_and_grepping(tidy, on_terminal):
    """A column changes on the screen."""
    tidy.make("web").put("caps", "+cap_sys_admin").start("sleep", "1000")
    tidy.make("db").start("sleep", "1000")
    assert tidy.sh("grep -l cap_sys_admin */caps").stdout == "web/caps\n"
    if have("watch"):
        screen = on_terminal("watch", "-n1", "cat", tidy.path("stats"), env={"TERM": "linux"})
        screen.expect("running").expect("web")
        tidy.sh("echo pause > web/ctl")
        screen.expect("paused")
        tidy.sh("echo kill > web/ctl")


def test_renamed_and_removed_ones(tidy):
    a, b = tidy.make("a"), tidy.make("b")
    os.rename(a.path(), tidy.path("z"))
    assert list(table(tidy.read("stats"))) == ["b", "z"]
    b.remove()
    assert list(table(tidy.read("stats"))) == ["z"]
    assert 'name="b"' not in tidy.read("metrics") and 'name="z"' in tidy.read("metrics")


def test_reading_while_containers_come_and_go(tidy):
    """Every text is whole, and those that stay are in each."""
    stay = {tidy.make("stay%d" % i).start("sleep", "1000").name for i in range(3)}
    end = threading.Event()
    wrong = []

    def churn(n):
        for i in itertools.count():
            if end.is_set():
                return
            c = tidy.make("go%d-%d" % (n, i % 7))
            if i % 3 == 0:
                c.start("true")
                until(lambda: c.state() == "exited", "it ends")
            c.remove()

    def read():
        try:
            for _ in range(400 if LONG else 60):
                rows = table(tidy.read("stats"))
                assert stay <= set(rows) and all(rows[n][0] == "running" for n in stay)
                assert all(n in stay or n.startswith("go") for n in rows)
                check_metrics(tidy.read("metrics"))
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(e)

    writers = [threading.Thread(target=churn, args=(n,)) for n in range(2)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for t in writers + readers:
        t.start()
    for t in readers:
        t.join()
    end.set()
    for t in writers:
        t.join()
    assert not wrong, wrong[0]


@pytest.mark.slow_ok(300)
def test_many(new_server, session):
    # All ids of this test run: no other server of it is there.
    server = new_server("subid=%d:%d" % (session.id_base, session.id_width))
    names = ["c%d" % i for i in range(MANY)]
    for name in names:
        server.make(name).start("sleep", "1000")
    rows = table(server.read("stats"))
    assert sorted(rows) == sorted(names)
    assert all(r[0] == "running" and r[5] == "1" for r in rows.values())
    before = len(os.listdir("/proc/%d/fd" % server.proc.pid))
    for _ in range(5):
        server.read("stats")
        server.read("metrics")
    assert len(os.listdir("/proc/%d/fd" % server.proc.pid)) == before
    check_metrics(server.read("metrics"))


# --- metrics ---

SAMPLE = re.compile(r'^(ctnfs_\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)$')


def check_metrics(text):
    """{(metric, labels): value}; each metric's lines follow its own HELP and TYPE."""
    found, types, present = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            present = line.split()[2]
            assert present not in types, present
        elif line.startswith("# TYPE "):
            assert line.split()[2] == present
            types[present] = line.split()[3]
        else:
            m = SAMPLE.match(line)
            assert m and m[1] == present, line
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ""))
            key = (m[1], tuple(sorted(labels.items())))
            assert key not in found, line
            found[key] = float(m[3])
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total") and kind in ("counter", "gauge")
    return found


def of(server, metric, name, **labels):
    """The value of a container's metric; None where it has none."""
    for (m, l), value in check_metrics(server.read("metrics")).items():
        have_ = dict(l)
        if m == "ctnfs_container_" + metric and have_.get("name") == name and \
                all(have_.get(k) == v for k, v in labels.items()):
            return value
    return None


def test_metrics_of_a_container(tidy):
    c = tidy.make("db").put("memory.limit", "64M").put("cgroup/pids.max", "20")
    assert of(tidy, "start_time_seconds", "db") is None and of(tidy, "exit_code", "db") is None
    c.start("sleep", "1000")
    c.put("ctl", "pause")
    status = c.status()
    assert of(tidy, "state", "db", state="paused") == 1 and of(tidy, "state", "db", state="running") == 0
    for metric, name in (("memory_usage_bytes", "memory.usage"), ("memory_peak_bytes", "memory.peak"),
                         ("memory_limit_bytes", "memory.limit"), ("pids", "pids.current"),
                         ("pids_limit", "pids.max")):
        if knob(c, name) != "-":
            until(lambda m=metric, n=name: of(tidy, m, "db", id=c.get("id")[:12]) == float(knob(c, n)), metric)
    assert of(tidy, "oom_kills_total", "db") in (0, None)
    assert of(tidy, "restarts_total", "db") == int(status["Restarts"])
    assert of(tidy, "log_dropped_bytes_total", "db") == 0
    assert of(tidy, "cpu_throttled_seconds_total", "db") in (0, None)
    assert abs(of(tidy, "cpu_seconds_total", "db") - usage(c) / 1e6) < 0.001
    assert of(tidy, "exit_code", "db") is None
    started = tidy.sh("date -d %s +%%s" % status["Started"]).stdout
    assert int(of(tidy, "start_time_seconds", "db")) == int(started)
    c.put("ctl", "resume").put("ctl", "kill")
    assert of(tidy, "exit_code", "db") == 137
    c.put("memory.limit", "max").put("cgroup/pids.max", "max")
    assert of(tidy, "memory_limit_bytes", "db") is None and of(tidy, "pids_limit", "db") is None


def test_metrics_count_what_is_lost(tidy):
    c = tidy.make("loud").put("log.max", "64K")
    c.output("head -c 300000 /dev/zero | tr '\\0' x")
    dropped = int(c.status("LogDropped"))
    assert dropped > 0 and of(tidy, "log_dropped_bytes_total", "loud") == dropped


def test_metrics_of_throttling(tidy):
    c = tidy.make("slow")
    if knob(c, "cpu.stat") == "-":
        pytest.skip("no cpu controller here")
    c.put("cgroup/cpu.max", "5000 100000").sh("while :; do :; done")
    until(lambda: (of(tidy, "cpu_throttled_seconds_total", "slow") or 0) > 0.02, "it is held back")
    c.put("ctl", "kill")


def test_metrics_of_the_server(tidy):
    tidy.make("a")
    tidy.make("b").start("sleep", "1000")
    before = check_metrics(tidy.read("metrics"))
    value = lambda m, **l: before[("ctnfs_" + m, tuple(sorted(l.items())))]  # noqa: E731
    version = re.search(r"^Version:\t(\S+)", tidy.read("status"), re.M)[1]
    assert value("build_info", version=version, cgroup="v%d" % cgroup_version(tidy)) == 1
    assert value("containers", state="created") == 1 and value("containers", state="running") == 1
    assert sum(v for (m, _), v in before.items() if m == "ctnfs_containers") == 2
    tidy.sh("echo 1 > a/no_such_file", check=False)
    after = check_metrics(tidy.read("metrics"))
    assert after[("ctnfs_errors_total", ())] == value("errors_total") + 1


def test_metrics_are_clean_under_promtool(tidy):
    promtool = have("promtool") or os.path.join(FETCHED, "promtool")
    if not os.path.exists(promtool):
        pytest.skip("promtool is not installed (package prometheus)")
    for case in range(3):
        if case == 1:
            tidy.make("created")
            tidy.make("ended").output("exit 7", code=7)
        elif case == 2:
            tidy.make("running").put("memory.limit", "64M").start("sleep", "1000")
            tidy.make("paused").start("sleep", "1000").put("ctl", "pause")
        r = subprocess.run([promtool, "check", "metrics"], input=tidy.read("metrics"), text=True,
                           capture_output=True, timeout=limit(20))
        assert (r.returncode, r.stdout, r.stderr) == (0, "", "")


def test_metrics_are_told_in_the_manual_page(tidy):
    tidy.make("a").put("memory.limit", "64M").output("exit 0")
    with open(os.path.join(TREE, "fs", "man", "ctnfs.5"), encoding="utf-8") as f:
        page = f.read()
    told = set(re.findall(r"^\.It Li (ctnfs_\w+)", page, re.M))
    assert {m for m, _ in check_metrics(tidy.read("metrics"))} <= told
