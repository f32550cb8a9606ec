# SPDX-License-Identifier: Apache-2.0
"""db/exec PROGRAM: a program inside with the caller's streams and exit status."""

import hashlib
import os
import re
import subprocess

import pytest

from basics import limit, until
from execs import out, processes, run

LONG = os.environ.get("CTNFS_LONG") == "1"
PIPED = 1 << 30 if LONG else 48 << 20


# --- what it is ---

def test_a_script(idle):
    text = idle.read("exec")
    assert text.startswith("#!/") and "ctnfs-exec" in text.splitlines()[0] and idle.get("id") in text
    assert os.stat(idle.path("exec")).st_mode & 0o7777 == 0o700
    with pytest.raises(PermissionError):
        open(idle.path("exec"), "w")


def test_from_anywhere(idle, tmp_path):
    link = tmp_path / "inside"
    link.symlink_to(idle.path("exec"))
    assert subprocess.check_output([str(link), "echo", "1"]) == b"1\n"
    assert subprocess.check_output(["./exec", "echo", "2"], cwd=idle.path()) == b"2\n"
    assert subprocess.check_output("%s echo 3 | cat" % idle.path("exec"), shell=True) == b"3\n"


def test_not_for_others(idle):
    def drop():
        os.setgid(65534)
        os.setuid(65534)
    with pytest.raises(PermissionError):
        subprocess.run([idle.path("exec"), "true"], preexec_fn=drop)


# --- exit status ---

@pytest.mark.parametrize("argv,code,sentence", [
    (["true"], 0, "^$"),
    (["false"], 1, "^$"),
    (["sh", "-c", "exit 7"], 7, "^$"),
    (["sh", "-c", "exit 255"], 255, "^$"),
    (["sh", "-c", "kill -9 $$"], 137, "^$"),
    (["sh", "-c", "kill -TERM $$"], 143, "^$"),
    (["sh", "-c", "kill -SEGV $$"], 139, "^$"),
    (["no-such-program"], 127, "no such program inside; looked along PATH"),
    (["/no/such/program"], 127, "no such program inside"),
    (["/etc"], 126, "directory, not a program"),
    (["/etc/passwd"], 126, "may not be executed"),
    (["-w", "/no/such", "true"], 125, "cwd /no/such: No such file"),
    (["-w", "relative", "true"], 125, "absolute path"),
    (["-u", "nobody-at-all", "true"], 125, "nobody-at-all"),
    (["-u", "4294967295", "true"], 125, "user|uid"),
    (["-u", "70000", "true"], 125, "user 70000"),
    (["-e", "=x", "true"], 125, "KEY=VALUE"),
    (["-f", "77", "true"], 125, "open descriptor"),
    (["-f", "x", "true"], 125, "open descriptor"),
    (["-Z", "true"], 125, "usage"),
    ([], 125, "usage"),
    (["-u", "0"], 125, "usage"),
    (["--help"], 0, "^$"),
])
def test_exit_status(idle, argv, code, sentence):
    r = run(idle, *argv, check=code)
    assert re.search(sentence, r.stderr, re.I), r
    assert "--cwd" in r.stdout if argv == ["--help"] else r.stdout == ""
    until(lambda: not any("exec" in l for l in processes(idle)), "nothing of it is left")


def test_a_script_without_interpreter(idle):
    out(idle, "sh", "-c", "printf 'echo hi\n' > /tmp/a; printf '#!/no/such\n' > /tmp/b; chmod 755 /tmp/a /tmp/b")
    assert "needs its #! line" in run(idle, "/tmp/a", check=126).stderr
    assert "interpreter or loader does not exist" in run(idle, "/tmp/b", check=127).stderr


def test_as_the_shell_reports_it(idle):
    script = "%s sh -c 'kill -9 $$'; echo $?; %s nosuch 2>/dev/null; echo $?" % ((idle.path("exec"),) * 2)
    for shell in ("bash", "dash"):
        assert subprocess.check_output([shell, "-c", script], stderr=subprocess.DEVNULL) == b"137\n127\n"


# --- streams ---

def test_streams(idle):
    r = run(idle, "sh", "-c", "cat; echo error >&2", stdin=None, input="a\nb\n")
    assert (r.stdout, r.stderr) == ("a\nb\n", "error\n")


def test_streams_by_name(idle):
    for user in ("root", "nobody"):
        r = run(idle, "-u", user, "sh", "-c",
                "echo 1 > /dev/stdout; echo 2 > /dev/stderr; cat /dev/stdin", stdin=None, input="3\n")
        assert (r.stdout, r.stderr) == ("1\n3\n", "2\n")


def test_closed_streams(idle):
    """What was closed is /dev/null inside, and no descriptor of ours takes its place."""
    text = subprocess.check_output(
        ["sh", "-c", "exec %s readlink /proc/self/fd/0 <&- 2>&-" % idle.path("exec")], text=True)
    assert text == "/dev/null\n"


def test_files_of_the_caller(idle, tmp_path):
    """They stay whose they are: only pipes are given to the program's user."""
    path = tmp_path / "file"
    path.write_text("from the host\n")
    with open(path) as f, open(tmp_path / "out", "w") as to:
        subprocess.run([idle.path("exec"), "cat"], stdin=f, stdout=to, check=True)
    assert (tmp_path / "out").read_text() == "from the host\n"
    assert os.stat(path).st_uid == 0 and os.stat(tmp_path / "out").st_uid == 0


def test_in_a_pipeline(idle):
    script = "seq 1000 | %s sort -n | head -3" % idle.path("exec")
    assert subprocess.check_output(["bash", "-c", script]) == b"1\n2\n3\n"
    script = "%s yes | head -2; echo ${PIPESTATUS[0]}" % idle.path("exec")
    assert subprocess.check_output(["bash", "-c", script]) == b"y\ny\n141\n"


@pytest.mark.slow_ok(600)
def test_binary_data(idle, tmp_path):
    """Through two programs inside, both ways, byte for byte."""
    block = os.urandom(1 << 20)
    script = "%s cat | %s sh -c 'cat | dd bs=65536 status=none'" % ((idle.path("exec"),) * 2)
    p = subprocess.Popen(["bash", "-c", script + " | sha256sum"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    sent = hashlib.sha256()
    for _ in range(PIPED >> 20):
        sent.update(block)
        p.stdin.write(block)
    got = p.communicate(timeout=limit(500))[0].decode().split()[0]
    assert got == sent.hexdigest()


def test_programs_of_every_day(idle):
    """git, make and python with their input and output in pipes."""
    script = ("cd /tmp && rm -rf g && git init -q g 2>&1 && cd g && cat > f && git add f && "
              "git -c user.name=n -c user.email=e commit -qm one && git cat-file blob HEAD:f")
    data = "".join("line %d\n" % i for i in range(5000))
    if out(idle, "sh", "-c", "command -v git || true"):
        assert run(idle, "sh", "-c", script, stdin=None, input=data, check=0).stdout == data
    if out(idle, "sh", "-c", "command -v make || true"):
        makefile = "all: a b\na b:\n\t@echo $@ >> all\n\t@sh -c 'exit 0'\n"
        text = run(idle, "sh", "-c", "mkdir -p /tmp/m; cd /tmp/m; cat > Makefile; make -j4 && sort all",
                   stdin=None, input=makefile, check=0).stdout
        assert text == "a\nb\n"
    assert run(idle, "python3", "-", stdin=None, input="import sys; print(sys.version_info[0])",
               check=0).stdout == "3\n"


# --- descriptors ---

LIST_FDS = "for i in $(seq 0 40); do test -e /proc/$$/fd/$i && echo $i; done; true"


def test_only_the_standard_descriptors(idle):
    fds = [os.open("/", os.O_RDONLY) for _ in range(20)]
    try:
        got = subprocess.check_output([idle.path("exec"), "sh", "-c", LIST_FDS], pass_fds=fds, text=True)
    finally:
        for fd in fds:
            os.close(fd)
    assert got.split() == ["0", "1", "2"]


def test_descriptors_that_are_asked_for(idle, tmp_path):
    (tmp_path / "x").write_text("passed on\n")
    with open(tmp_path / "x") as f, open(tmp_path / "x") as unasked:
        fd = f.fileno()
        got = subprocess.check_output(
            [idle.path("exec"), "-f", str(fd), "-f", "1", "sh", "-c", "cat /proc/self/fd/%d; %s" % (fd, LIST_FDS)],
            pass_fds=[fd, unasked.fileno()], text=True)
    assert got.split("\n")[0] == "passed on"
    assert set(got.split("\n")[1:-1]) == {"0", "1", "2", str(fd)}


# --- environment, user, directory ---

def test_environment(ctn):
    ctn.put("env", "A=1\nB=two words\nPATH=/opt/own:/usr/bin:/bin")
    ctn.start("sleep", "1000")
    env = dict(os.environ, SECRET="of the caller", WANTED="yes", TERM="vt100")
    lines = set(out(ctn, "-e", "B=2", "-e", "C=3", "-e", "WANTED", "-e", "UNSET_HERE", "env", env=env).splitlines())
    assert lines == {"A=1", "B=2", "C=3", "WANTED=yes", "HOME=/root", "HOSTNAME=" + ctn.name,
                     "PATH=/opt/own:/usr/bin:/bin", "TERM=xterm"}


def test_path_is_the_containers(ctn):
    ctn.put("env", "PATH=/own")
    ctn.start("/usr/bin/sleep", "1000")
    assert "no such program" in run(ctn, "true", check=127).stderr
    run(ctn, "/usr/bin/true", check=0)
    run(ctn, "-e", "PATH=/usr/bin", "true", check=0)


def test_user(idle):
    assert out(idle, "id") == "uid=0(root) gid=0(root) groups=0(root)\n"
    text = out(idle, "-u", "www-data", "sh", "-c", "id; echo $HOME; touch /tmp/w; stat -c %U /tmp/w")
    assert text == "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n/var/www\nwww-data\n"
    assert out(idle, "--user=1234:5678", "sh", "-c", "id -u; id -g; id -G").split() == ["1234", "5678", "5678"]


def test_user_of_the_container(ctn):
    ctn.put("user", "www-data")
    ctn.put("cwd", "/var")
    ctn.start("sleep", "1000")
    assert out(ctn, "sh", "-c", "id -un; pwd").split() == ["www-data", "/var"]
    assert out(ctn, "-u", "root", "-w", "/usr", "sh", "-c", "id -un; pwd").split() == ["root", "/usr"]


# --- when it cannot be ---

def test_not_running(ctn):
    assert "does not run; echo start > ctl" in run(ctn, "true", check=125).stderr
    ctn.start("true")
    ctn.finish()
    assert "does not run" in run(ctn, "true", check=125).stderr


def test_paused(idle):
    idle.put("ctl", "pause")
    assert "is paused; echo resume > ctl" in run(idle, "true", check=125).stderr
    idle.put("ctl", "resume")
    run(idle, "true", check=0)


def test_no_more_processes(idle):
    idle.put("cgroup/pids.max", idle.get("cgroup/pids.current"))
    assert "pids.max" in run(idle, "true", check=125).stderr
    idle.put("cgroup/pids.max", "max")
    run(idle, "true", check=0)
