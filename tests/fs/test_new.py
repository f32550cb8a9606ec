# SPDX-License-Identifier: Apache-2.0
"""`new`: containers from whole documents, complete or not at all."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from basics import err_name, put, slurp, until
from containers import Ctn

MIB = 1 << 20


def doc(**keys):
    return json.dumps(keys)


def send(server, *texts):
    """Write each text by one write(2) to one descriptor; what a descriptor reads then, and the errnos."""
    fd = os.open(server.path("new"), os.O_RDWR | os.O_CLOEXEC)
    try:
        codes = []
        for text in texts:
            data = text.encode() if isinstance(text, str) else text
            try:
                n = os.write(fd, data)
                codes.append(0 if n == len(data) else n - len(data))
            except OSError as e:
                codes.append(e.errno)
        said = b"".join(iter(lambda: os.read(fd, 65536), b"")).decode()
    finally:
        os.close(fd)
    return said.splitlines(), codes


def refused(server, text, code, sentence, where="new"):
    """Refused with that errno and sentence, and nothing is there that was not there before."""
    before, state = server.containers(), sorted(os.listdir(server.state))
    r = put(server.path("new"), text)
    assert r == code, "%s instead of %s; %s" % (err_name(r), err_name(code), server.last_error())
    said = server.last_error()
    assert getattr(errno, said.code) == code and said.where == where, said
    assert re.search(sentence, said.text, re.I), "%r does not say %r" % (said, sentence)
    assert server.containers() == before
    until(lambda: sorted(os.listdir(server.state)) == state, "the state directory is as before")
    return said


# --- one document ---

def test_makes_and_starts(tidy):
    assert put(tidy.path("new"), doc(name="a", cmd=["sleep", "1000"], env=["A=1"])) == 0
    a = Ctn(tidy, "a")
    assert a.state() == "running" and "A=1" in a.lines("env")


def test_start_0_and_no_command_only_store(tidy):
    assert send(tidy, doc(name="a", cmd=["true"], start=0), doc(name="b")) == (["a", "b"], [0, 0])
    for name in "ab":
        assert Ctn(tidy, name).state() == "created"
    assert Ctn(tidy, "a").get("cmd") == "true"


def test_the_template_is_valid_input(tidy):
    template = tidy.read("new")
    assert template.endswith("\n") and os.stat(tidy.path("new")).st_size == len(template.encode())
    json.loads(template)
    before = tidy.containers()
    assert put(tidy.path("new"), template) == 0, tidy.last_error()
    assert len(tidy.containers()) == len(before) + 1


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_session_of_a_shell(tidy, shell, tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"name": "db", "cmd": ["sleep", "1000"]}, indent=4))
    out = tidy.sh("cat %s > new; exec 3<>new; cat %s >&3; cat <&3" % (spec, spec), shell, check=False)
    assert Ctn(tidy, "db").state() == "running"
    assert "EEXIST" in out.stdout and "db" in out.stdout
    out = tidy.sh("exec 3<>new; sed s/db/d2/ %s >&3; cat <&3" % spec, shell)
    assert out.stdout == "d2\n"


@pytest.mark.parametrize("end", ["", "\n", " \n\n"])
def test_a_conversation(tidy, end):
    """Results are read, and the next document is written, on one descriptor."""
    fd = os.open(tidy.path("new"), os.O_RDWR)
    for name in ("a", "b", "c"):
        os.write(fd, (doc(name=name) + end).encode())
        assert os.read(fd, 4096).decode() == name + "\n"
    with pytest.raises(OSError) as e:
        os.write(fd, doc(name="a").encode())
    assert e.value.errno == errno.EEXIST
    assert os.read(fd, 4096).decode().startswith("EEXIST new: there is a container called a")
    os.close(fd)


# --- names ---

def test_names(tidy):
    said, codes = send(tidy, doc(hostname="web"), doc(hostname="web"), doc(hostname="status"),
                       doc(hostname="own", name="named"), doc())
    assert codes == [0] * 5
    assert said[0] == "web" and said[3] == "named"
    for name in said[1], said[2], said[4]:
        assert re.fullmatch("[0-9a-f]{12}", name)
        assert Ctn(tidy, name).get("id").startswith(name)
    assert Ctn(tidy, said[1]).get("hostname") == "web"
    assert Ctn(tidy, said[2]).get("hostname") == "status"
    assert Ctn(tidy, said[4]).get("hostname") == said[4]


@pytest.mark.parametrize("name,code,sentence", [
    ("status", errno.EINVAL, "name of the tree"), ("a/b", errno.EINVAL, "letters"),
    ("..", errno.EINVAL, "letters"), ("x" * 65, errno.EINVAL, "64")])
def test_bad_names(tidy, name, code, sentence):
    r = put(tidy.path("new"), doc(name=name))
    assert r == code and re.search(sentence, tidy.last_error().text), tidy.last_error()
    assert tidy.containers() == []


def test_a_taken_name(tidy):
    tidy.make("a").put("env", "A=1")
    refused(tidy, doc(name="a", env=["B=1"]), errno.EEXIST, "called a already", "a")
    assert "A=1" in Ctn(tidy, "a").lines("env")


# --- pieces ---

def many(n=3):
    return "".join(json.dumps({"name": "c%d" % i, "env": ["T=}{\"\\[" * 300]}, indent=1) + "\n\n"
                   for i in range(n))


@pytest.mark.parametrize("size", [1, 7, 100, 4096, 131072, MIB])
def test_pieces_of_every_size(tidy, size):
    text = many().encode()
    _, codes = send(tidy, *[text[i:i + size] for i in range(0, len(text), size)])
    assert set(codes) == {0}
    assert tidy.containers() == ["c0", "c1", "c2"]


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_printf_of_two_documents(tidy, shell):
    tidy.sh(r"""printf '{"name":"a",\n"env":["A=1"]}\n{"name":"b"}\n' > new""", shell)
    assert tidy.containers() == ["a", "b"]


def test_a_write_acts_before_it_returns(tidy):
    fd = os.open(tidy.path("new"), os.O_WRONLY)
    text = doc(name="a").encode()
    os.write(fd, text[:-1])
    assert tidy.containers() == []
    os.write(fd, text[-1:])
    assert tidy.containers() == ["a"]
    os.close(fd)


def test_two_documents_in_one_write(tidy):
    assert send(tidy, doc(name="a", cmd=["sleep", "1000"]) + doc(name="b", cmd=["sleep", "1000"])) == (
        ["a", "b"], [0])
    assert Ctn(tidy, "a").state() == Ctn(tidy, "b").state() == "running"


def test_a_refused_second_document_is_a_short_write(tidy):
    """What was made is accepted; who writes the rest, as every program does, gets the errno."""
    first, second = doc(name="a"), doc(name="b", cwd="relative")
    said, codes = send(tidy, first + "\n" + second)
    assert codes == [len(first) - len(first + "\n" + second)] and said == ["a"]
    r = subprocess.run(
        ["sh", "-c", "cat > new"], input=doc(name="c") + second + doc(name="d"), text=True,
        cwd=tidy.mnt, capture_output=True)
    assert r.returncode == 1 and "Invalid argument" in r.stderr
    assert tidy.containers() == ["a", "c"]
    assert "cwd" in tidy.last_error().text


def test_a_refused_first_document_fails_the_write(tidy):
    said, codes = send(tidy, doc(name="a", cwd="relative") + doc(name="b"))
    assert codes == [errno.EINVAL] and len(said) == 1 and said[0].startswith("EINVAL new: ")
    assert tidy.containers() == []


def test_after_a_refused_document_another_may_follow(tidy):
    bad = doc(name="a", cwd="relative")
    said, codes = send(tidy, bad[:9], bad[9:], doc(name="b"))
    assert codes == [0, errno.EINVAL, 0] and said[1] == "b" and said[0].startswith("EINVAL")


@pytest.mark.parametrize("text", ["x", "[]", "]", "nonsense {}", '"a"', "12", "relative/path\n", "\x01"])
def test_garbage(tidy, text):
    refused(tidy, text, errno.EINVAL, "begins no JSON document")


def test_garbage_between_documents(tidy):
    _, codes = send(tidy, doc(name="a"), "garbage", doc(name="b"))
    assert codes == [0, errno.EINVAL, 0]


def test_comments_and_blanks_between(tidy):
    before = tidy.read("error")
    assert put(tidy.path("new"), "\n# {a comment}\n " + doc(name="a") + "\n\n# another") == 0
    assert tidy.containers() == ["a"] and tidy.read("error") == before


def test_nul(tidy):
    refused(tidy, b'{"name":"a"\0}', errno.EINVAL, "NUL")


@pytest.mark.parametrize("text", ["{", '{"name": "a"', '{"name": "a', "/no/newline"])
def test_left_incomplete(tidy, text):
    assert put(tidy.path("new"), text) == 0
    until(lambda: tidy.read("error"), "the release is told of")
    said = tidy.last_error()
    assert said.code == "EINVAL" and said.where == "new" and "left" in said.text
    assert tidy.containers() == []


def test_too_long(tidy):
    text = '{"name": "a", "env": ["A=%s"' % ("x" * MIB)
    fd = os.open(tidy.path("new"), os.O_WRONLY)
    with pytest.raises(OSError) as e:
        for i in range(0, len(text), 4096):
            os.write(fd, text[i:i + 4096].encode())
    os.close(fd)
    assert e.value.errno == errno.EINVAL
    assert "line 1, column 1048577: a document has at most 1048576 bytes" in tidy.last_error().text


def test_offsets(tidy):
    fd = os.open(tidy.path("new"), os.O_RDWR)
    os.write(fd, b'{"name":')
    with pytest.raises(OSError) as e:
        os.pwrite(fd, b'"a"}', 100)
    assert e.value.errno == errno.EINVAL
    os.close(fd)
    assert tidy.containers() == []


def test_append_and_truncate(tidy):
    for i, flags in enumerate((os.O_APPEND, os.O_TRUNC, os.O_CREAT)):
        fd = os.open(tidy.path("new"), os.O_WRONLY | flags)
        text = doc(name="c%d" % i).encode()
        os.write(fd, text[:5])
        os.write(fd, text[5:])
        os.close(fd)
    assert tidy.containers() == ["c0", "c1", "c2"]


def test_held_documents_are_bounded(tidy):
    fds, code = [], 0
    try:
        for _ in range(50):
            fds.append(os.open(tidy.path("new"), os.O_WRONLY))
            os.write(fds[-1], b'{"x":"' + b"y" * (MIB - 100))
    except OSError as e:
        code = e.errno
    assert code == errno.ENOSPC and "held" in tidy.last_error().text
    for fd in fds:
        os.close(fd)
    until(lambda: put(tidy.path("new"), doc(name="a")) == 0, "there is room again")


# --- failed starts ---

def test_a_failed_start_leaves_nothing(tidy):
    for _ in range(3):
        refused(tidy, doc(name="a", cmd=["/nonesuch"]), errno.ENOENT, "nonesuch", "a")
    refused(tidy, doc(hostname="h", cmd=["/nonesuch"]), errno.ENOENT, "nonesuch", "h")
    refused(tidy, doc(name="a", cmd=["/etc"]), errno.EACCES, "/etc", "a")
    refused(tidy, doc(name="a", cmd=["true"], user="nobody-such"), errno.ENOENT, "nobody-such", "a")
    assert send(tidy, doc(name="a", cmd=["sleep", "1000"])) == (["a"], [0])


def test_nobody_sees_it_before_it_runs(tidy):
    """As long as it is not there by name, and once it is, it runs."""
    stop, wrong = threading.Event(), []

    def look():
        while not stop.is_set():
            for name in tidy.containers():
                try:
                    state = slurp(tidy.path(name, "state"))
                except OSError:
                    continue
                if state not in ("running\n", "exited\n"):
                    wrong.append((name, state))

    t = threading.Thread(target=look)
    t.start()
    for i in range(10):
        assert put(tidy.path("new"), doc(name="c%d" % i, cmd=["sleep", "1000"])) == 0
        put(tidy.path("new"), doc(name="bad", cmd=["/nonesuch"]))
    stop.set()
    t.join()
    assert not wrong


def test_limits_are_applied_or_it_is_refused(tidy):
    assert put(tidy.path("new"), doc(name="a", cgroup={"pids.max": 77})) == 0, tidy.last_error()
    assert Ctn(tidy, "a").get("cgroup/pids.max") == "77"
    refused(tidy, doc(name="b", cgroup={"pids.max": "many"}), errno.EINVAL, "pids.max", "b")
    refused(tidy, doc(name="b", cgroup={"cpuset.cpus": "9999"}), errno.EINVAL, "cpuset.cpus", "b")


def test_a_limit_that_the_kernel_lacks(tidy):
    if Ctn.write(tidy.make("probe"), "cgroup/memory.high", "1G\n") == 0:
        pytest.skip("this kernel has memory.high (cgroup v2)")
    refused(tidy, doc(name="b", cgroup={"memory.high": "1G"}), errno.EOPNOTSUPP, "memory.high", "b")


# --- bundles ---

def test_bundle_paths_that_are_none(tidy, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "dir", "dev"):
        (tmp_path / ("b-" + name)).mkdir()
    os.mkfifo(tmp_path / "b-fifo/config.json")
    (tmp_path / "b-dir/config.json").mkdir()
    (tmp_path / "b-dev/config.json").symlink_to("/dev/zero")
    refused(tidy, "/nonesuch\n", errno.ENOENT, "/nonesuch")
    refused(tidy, str(tmp_path) + "\n", errno.ENOENT, "config.json")
    refused(tidy, "%s/fifo\n" % tmp_path, errno.ENOTDIR, "fifo")
    for name in ("fifo", "dir", "dev"):
        refused(tidy, "%s/b-%s\n" % (tmp_path, name), errno.EINVAL, "no regular file")
    refused(tidy, "/" + "x" * 5000, errno.ENAMETOOLONG, "4095")


def test_a_bundle_is_too_long(tidy, tmp_path):
    (tmp_path / "config.json").write_text(" " * (MIB + 1))
    refused(tidy, "%s\n" % tmp_path, errno.EINVAL, "config.json: a document has at most 1048576 bytes")


def test_a_bundle_of_another_form(tidy, tmp_path):
    (tmp_path / "config.json").write_text('{"name": "a"}')
    refused(tidy, "%s\n" % tmp_path, errno.EINVAL, "ociVersion")


# --- many at once ---

def test_eight_writers(tidy):
    wrong = []

    def work(i):
        for k in range(4):
            said, codes = send(tidy, doc(name="t%d-%d" % (i, k), cmd=["sleep", "1000"]),
                               doc(name="shared", cmd=["sleep", "1000"]))
            if codes[0] or said[0] != "t%d-%d" % (i, k) or codes[1] not in (0, errno.EEXIST):
                wrong.append((said, codes))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert len(tidy.containers()) == 33
    assert all(Ctn(tidy, n).state() == "running" for n in tidy.containers())


def test_a_signal_to_the_writer(tidy):
    """It ends the waiting; the container is made, or it is not, whole."""
    script = ("import os, sys\nos.setsid()\nfd = os.open(sys.argv[1], os.O_WRONLY)\nprint(flush=True)\n"
              "for i in range(1000):\n    os.write(fd, b'{\"name\":\"s%d\",\"cmd\":[\"sleep\",\"1000\"]}' % i)\n")
    for _ in range(3):
        p = subprocess.Popen([sys.executable, "-c", script, tidy.path("new")], stdout=subprocess.PIPE)
        p.stdout.readline()
        until(lambda: len(tidy.containers()) > 2, "some are made")
        p.send_signal(signal.SIGKILL)
        p.wait(10)
        p.stdout.close()
        until(lambda: all(Ctn(tidy, n).state() == "running" for n in tidy.containers()), "all run")
        assert not tidy.clear()


def test_the_server_ends_while_one_is_made(new_server):
    server = new_server()
    wrong = []

    def work():
        for i in range(200):
            r = put(server.path("new"), doc(name="c%d" % i, cmd=["sleep", "1000"]))
            if r:
                wrong.append(r)
                return

    t = threading.Thread(target=work)
    t.start()
    until(lambda: len(server.containers()) > 3, "some are made")
    assert server.terminate() == []
    t.join()
    assert wrong[0] in (errno.ECONNABORTED, errno.ENOTCONN, errno.ENOENT, errno.EACCES, errno.EIO), wrong
    os.path.exists(server.path("new")) and os.remove(server.path("new"))  # made in what was under the mount
    server.start()
    assert all(Ctn(server, n).state() in ("running", "created") for n in server.containers())


def test_attributes(tidy):
    st = os.stat(tidy.path("new"))
    assert st.st_mode & 0o7777 == 0o600 and st.st_nlink == 1
    assert os.stat(tidy.path("new")).st_ino == st.st_ino
    assert put(tidy.path("new"), "") == 0
