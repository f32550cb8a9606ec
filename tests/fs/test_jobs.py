# SPDX-License-Identifier: Apache-2.0
"""Real programs: one-shot jobs, pipelines, forks, zombies, and those that take too much."""

import os
import re
import subprocess

import pytest

from basics import limit, until
from containers import Ctn


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_job_in_one_line(tidy, shell):
    out = tidy.sh("""set -e
        mkdir j && echo 'sh -c "exit 3"' > j/cmd && read rc < j/wait && rmdir j
        echo $rc""", shell=shell).stdout
    assert out == "3\n"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_failing_job_ends_a_script(tidy, shell):
    r = tidy.sh("set -e; mkdir j; echo nonesuch > j/cmd; echo not reached", shell=shell, check=False)
    assert r.returncode != 0 and "not reached" not in r.stdout


def test_jobs_in_parallel(tidy):
    """xargs -P8, each with its own exit code and output."""
    job = """mkdir j$1 && echo "sh -c 'echo out $1; exit $1'" > j$1/cmd &&
             read rc < j$1/wait && out=$(cat j$1/log) && rmdir j$1 && echo "$1 $rc $out" """
    out = tidy.sh("seq 24 | xargs -P8 -n1 sh -ec '%s' job" % job.replace("'", "'\\''"), timeout=50).stdout
    assert sorted(out.splitlines()) == sorted("%d %d out %d" % (i, i, i) for i in range(1, 25))
    assert tidy.containers() == []


def test_a_pipeline(ctn):
    out = ctn.output("seq 100000 | grep 7 | sort -rn | head -1; echo ${PIPESTATUS:-x}")
    assert out.split()[0] == "99997"


def test_standard_input_is_a_silent_pipe(ctn):
    """Nobody writes to it and nobody closes it."""
    ctn.sh("echo ready; cat; echo never").until_log("ready")
    assert ctn.state() == "running" and ctn.read("log") == "ready\n"


ZOMBIES = r"""
import os, time
for i in range(5):
    if os.fork() == 0:
        if os.fork() == 0:      # an orphan: its parent leaves at once
            time.sleep(0.05)
            os._exit(0)
        os._exit(0)
print("ready", flush=True)
time.sleep(1000)
"""


def zombies(c):
    return len(re.findall(r"\sZ\s", c.read("ps")))


def test_zombies_without_an_init(ctn):
    ctn.py(ZOMBIES).until_log("ready")
    until(lambda: zombies(ctn) == 10, "children and orphans stay with a program that does not wait")
    assert "[" in ctn.read("ps")
    ctn.put("ctl", "kill")
    assert ctn.get("cgroup/procs") == ""


def test_an_init_reaps_orphans(ctn):
    ctn.put("init", "1").py(ZOMBIES).until_log("ready")
    until(lambda: zombies(ctn) == 5, "only the program's own children are left")
    with open(ctn.path("procs/1/comm")) as f:
        assert "python" not in f.read()


@pytest.mark.parametrize("code", [0, 3, 255])
def test_an_init_passes_the_exit_code_on(ctn, code):
    ctn.put("init", "1").sh("exit %d" % code)
    assert ctn.finish() == code


def test_an_init_passes_signals_on(ctn):
    ctn.put("init", "1").sh("trap 'exit 7' TERM; trap 'echo hup' HUP; echo ready; "
                            "while :; do sleep 1000 & wait; done").until_log("ready")
    ctn.put("ctl", "kill HUP").until_log("hup")
    ctn.put("ctl", "stop")
    assert ctn.get("exit") == "7"


def test_stop_with_an_init_ends_what_does_not_catch_term(ctn):
    ctn.put("init", "1").start("sleep", "1000").put("ctl", "stop")
    assert ctn.get("exit") == "143"


HOG = r"""
import sys
keep = []
print("ready", flush=True)
while True:
    keep.append(bytearray(b"x" * (1 << 20)))
"""


def test_out_of_memory(ctn):
    ctn.put("memory.limit", "48M").py(HOG)
    assert ctn.finish() == 137
    assert ctn.status("OomKilled") in ("1", "yes")
    assert re.search(r"oom_kill\s+[1-9]", ctn.read("cgroup/events"))
    ctn.put("memory.limit", "max").sh("exit 0")
    assert ctn.finish() == 0
    assert ctn.status("OomKilled") in ("0", "no")


def test_out_of_memory_of_a_child(ctn):
    """The first process goes on; the event is told."""
    ctn.put("memory.limit", "48M")
    ctn.start("bash", "-c", "cat > /tmp/hog <<'E'\n%s\nE\npython3 /tmp/hog; "
              "echo code $?; sleep 1000" % HOG)
    ctn.until_log("code 137", seconds=20)
    assert ctn.state() == "running"
    assert ctn.status("OomKilled") in ("1", "yes")


def test_fork_bomb_meets_its_limit(ctn):
    ctn.put("cgroup/pids.max", "20")
    ctn.py("import os, time\nn = 0\ntry:\n  while n < 500:\n    if os.fork() == 0: time.sleep(1000)\n"
           "    n += 1\nexcept OSError as e: print('stopped at', n, e.errno, flush=True)\n"
           "time.sleep(1000)")
    ctn.until_log("stopped at 19 11")
    assert ctn.get("cgroup/pids.current") == "20"
    assert re.search(r"max\s+[1-9]", ctn.read("cgroup/events"))
    assert subprocess.run(["true"]).returncode == 0
    ctn.put("ctl", "kill")
    assert ctn.get("cgroup/procs") == ""


def test_ps_is_a_tree(ctn):
    ctn.sh("sleep 1001 & sh -c 'sleep 1002; true' & echo ready; wait").until_log("ready")
    until(lambda: re.search("    sleep 1002$", ctn.read("ps"), re.M), "all have been executed")
    head, *rows = ctn.read("ps").splitlines()
    assert len(rows) == 4 and rows[0].split()[0] == ctn.get("pid") and rows[0].split()[1] == "1"
    assert re.search(r"  sleep 1001$", ctn.read("ps"), re.M)
    assert re.search(r"    sleep 1002$", ctn.read("ps"), re.M)
    assert {r.split()[2] for r in rows} <= {"root", "0"}


def test_ps_escapes_what_programs_call_themselves(ctn):
    ctn.start("bash", "-c", "exec -a $'evil\\n\\e[31mname' sleep 1000")
    until(lambda: "evil" in ctn.read("ps"), "it is listed")
    text = ctn.read("ps")
    assert "\x1b" not in text and len(text.splitlines()) == 2


def test_many_containers_run_together(tidy):
    made = [tidy.make() for _ in range(20)]
    for c in made:
        c.sh("sleep 1000")
    assert {c.state() for c in made} == {"running"}
    assert len({c.pid() for c in made}) == 20
    tidy.sh("for c in */; do echo kill > ${c}ctl; done")
    assert {c.get("exit") for c in made} == {"137"}
    tidy.sh("rmdir */")
    assert tidy.containers() == []


def test_create_and_remove_in_parallel(tidy):
    script = "set -e; for i in 1 2 3 4 5; do mkdir p$0-$i; echo true > p$0-$i/cmd; " \
             "cat p$0-$i/wait >/dev/null; rmdir p$0-$i; done"
    procs = [subprocess.Popen(["sh", "-c", script, str(n)], cwd=tidy.mnt) for n in range(4)]
    assert [p.wait(limit(50)) for p in procs] == [0] * 4


def test_one_name_made_by_many(tidy):
    """Exactly one mkdir wins."""
    procs = [subprocess.Popen(["mkdir", "same"], cwd=tidy.mnt, stderr=subprocess.DEVNULL)
             for _ in range(10)]
    assert sorted(p.wait(limit(20)) for p in procs) == [0] + [1] * 9
    tidy.session.ids.add(Ctn(tidy, "same").get("id"))
    assert os.listdir(tidy.state).count(Ctn(tidy, "same").get("id")) == 1


def test_files_written_inside_stay_between_runs(ctn):
    ctn.output("echo kept > /root/note; echo kept > /etc/note")
    assert ctn.output("cat /root/note /etc/note") == "kept\nkept\n"
    layer = ctn.path("layer")
    with open(layer + "/root/note") as f:
        assert f.read() == "kept\n"
    assert ctn.server.session.owns_uid(os.stat(layer + "/root/note").st_uid)
