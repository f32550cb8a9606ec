# SPDX-License-Identifier: Apache-2.0
"""The file `stdin`: the writing end of the program's standard input."""

import errno
import os
import subprocess

import pytest

from basics import limit, put, until
from pipes import write_fully


# --- what people write ---


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_issues_line(tidy, tmp_path, shell):
    words = tmp_path / "words"
    words.write_text("".join("%x\n" % (i * 7919 % 300007) for i in range(300000)))
    want = "".join(sorted(words.read_text().splitlines(True)))
    got = tidy.sh("mkdir s; echo sort > s/cmd; cat %s > s/stdin; cat s/wait s/log" % words, shell).stdout
    assert got == "0\n" + want


@pytest.mark.parametrize("script, want", [
    ("echo a > stdin", "a\n"),
    ("printf 'a\\nb\\n' > stdin", "a\nb\n"),
    ("{ echo a; echo b; } > stdin", "a\nb\n"),
    (": > stdin", ""),
    ("echo a >> stdin; echo b >> stdin; : > stdin", "a\nb\n"),
    ("echo a >> stdin; echo b > stdin", "a\nb\n"),
    ("exec 3>>stdin; echo a >&3; echo b >&3; exec 3>&-; : > stdin", "a\nb\n"),
    ("exec 3>stdin; echo a >&3; (echo b >&3); exec 3>&-", "a\nb\n"),
    ("exec 3<>stdin; echo a >&3; cat <&3; exec 3>&-; : > stdin", "a\n"),
    ("printf a | dd of=stdin status=none", "a"),
    ("printf a | dd of=stdin status=none conv=notrunc; printf b | dd of=stdin status=none oflag=append conv=notrunc;"
     " : > stdin", "ab"),
    ("echo a | tee -a stdin > /dev/null; echo b | tee stdin > /dev/null", "a\nb\n"),
    ("echo a > $T; cp $T stdin", "a\n"),
    ("echo a > $T; install -d $T.d; cat $T >> stdin; truncate -s 0 stdin", "a\n"),
    ("echo a >> stdin; python3 -c 'import os; os.truncate(\"stdin\", 0)'", "a\n"),
    ("python3 -c 'f = open(\"stdin\", \"w\"); f.write(\"a\"); f.flush(); f.write(\"b\")'", "ab"),
    ("python3 -c 'f = open(\"stdin\", \"a\"); f.write(\"a\")'; : > stdin", "a"),
    ("python3 -c 'import os; f = os.open(\"stdin\", os.O_WRONLY); os.pwrite(f, b\"a\", 5); os.pwrite(f, b\"b\", 0);"
     " os.ftruncate(f, 0); os.write(f, b\"c\")'", "abc"),
    ("cat > stdin << end\na\nend", "a\n"),
    ("seq 3 > stdin; : > stdin; : > stdin", "1\n2\n3\n"),
])
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_forms(ctn, tmp_path, shell, script, want):
    if script.count(": > stdin") > 1:  # it is there for the second, too
        ctn.sh("cat; sleep %d" % limit(1))
    else:
        ctn.start("cat")
    ctn.server.sh("T=%s; %s" % (tmp_path / "t", script), shell, cwd=ctn.path())
    assert ctn.finish() == 0 and ctn.read("log") == want
    assert "EPIPE" not in ctn.read("error")


def test_it_stays_open(ctn):
    """Until the first write, and between the ones that add."""
    ctn.sh("while read -r line; do echo got $line; done; echo end")
    for word in ("one", "two", "three"):
        ctn.put("stdin", word, append=True).until_log("got %s\n" % word)
    assert ctn.state() == "running" and "end" not in ctn.read("log")
    assert ctn.write("stdin", "", append=False) == 0
    assert ctn.finish() == 0 and ctn.read("log").endswith("three\nend\n")


def test_the_end_comes_with_the_last_descriptor(ctn):
    ctn.start("cat")
    fd = os.open(ctn.path("stdin"), os.O_WRONLY | os.O_TRUNC)
    other = os.dup(fd)
    os.write(fd, b"a")
    os.close(fd)
    ctn.until_log("a")
    os.write(other, b"b")
    ctn.until_log("ab")
    assert ctn.state() == "running"
    os.close(other)
    assert ctn.finish() == 0


def test_it_reads_as_empty(ctn, tmp_path):
    ctn.start("cat")
    st = os.stat(ctn.path("stdin"))
    assert st.st_mode & 0o7777 == 0o200 and st.st_size == 0
    ctn.put("stdin", "x", append=True)
    assert ctn.read("stdin") == "" and os.stat(ctn.path("stdin")).st_size == 0
    out = ctn.server.sh("cat stdin; cp stdin %s/copy; tar cf - stdin | tar tvf -; wc -c < stdin; grep -c . stdin"
                        % tmp_path, cwd=ctn.path(), check=False).stdout
    assert out.split()[0] == "--w-------" and out.split()[-2:] == ["0", "0"]
    ctn.server.sh("timeout 20 grep -rs nothing-of-this-name --exclude-dir=proc --exclude-dir=root --exclude-dir=layer"
                  " . > /dev/null; test $? -le 1 -o $? -eq 2", cwd=ctn.path())
    assert ctn.state() == "running"  # a reader closes nothing
    assert put(ctn.path("stdin"), "") == 0


# --- who may not ---


def test_before_and_after(ctn):
    for flags in (os.O_TRUNC, os.O_APPEND, 0):
        with pytest.raises(OSError) as e:
            os.open(ctn.path("stdin"), os.O_WRONLY | flags)
        assert e.value.errno == errno.ESRCH
    assert "echo a command > cmd" in ctn.last_error().text
    ctn.refused("stdin", "x", errno.ESRCH, "> cmd starts it")
    with pytest.raises(OSError) as e:
        os.truncate(ctn.path("stdin"), 0)
    assert e.value.errno == errno.ESRCH and ctn.read("stdin") == ""
    r = ctn.server.sh(": > stdin", cwd=ctn.path(), check=False)
    assert r.returncode and "No such process" in r.stderr
    ctn.sh("exit 3")
    ctn.finish()
    ctn.refused("stdin", "x", errno.ESRCH, "> cmd starts it")


def test_after_the_end_of_file(ctn):
    ctn.sh("cat; echo ended; sleep 1000")
    held = os.open(ctn.path("stdin"), os.O_WRONLY | os.O_APPEND)
    ctn.put("stdin", "all").until_log("all\nended\n")
    ctn.refused("stdin", "x", errno.EPIPE, "has been closed")
    ctn.refused("stdin", "x", errno.EPIPE, "has been closed", append=True)
    with pytest.raises(OSError) as e:
        os.write(held, b"x")
    os.close(held)
    assert e.value.errno == errno.EPIPE and ctn.write("stdin", "") == 0
    ctn.put("ctl", "restart 0").put("stdin", "again").until_log("again\nended\n")


def test_the_program_has_closed_it(ctn):
    ctn.sh("exec < /dev/null; echo ready; sleep 1000")
    ctn.until_log("ready")
    until(lambda: ctn.write("stdin", "x\n", append=True) == errno.EPIPE, "refused")
    assert "the program has closed it" in ctn.last_error().text


def test_other_sizes(ctn):
    ctn.start("cat")
    with pytest.raises(OSError) as e:
        os.truncate(ctn.path("stdin"), 5)
    assert e.value.errno == errno.EINVAL and ctn.state() == "running"


# --- much ---


@pytest.mark.slow_ok(180)
def test_100_megabytes(ctn):
    chunk = os.urandom(2**20)
    ctn.start("sha256sum")
    p = subprocess.Popen(["sha256sum"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    with open(ctn.path("stdin"), "wb", 0) as f:
        for i in range(100):
            part = chunk[i:] + chunk[:i]
            write_fully(f.fileno(), part)
            p.stdin.write(part)
    want = p.communicate()[0].split()[0].decode()
    assert ctn.finish(60) == 0 and ctn.read("log").split()[0] == want


def test_large_pieces_through_cat(ctn, tmp_path):
    (tmp_path / "data").write_bytes(os.urandom(3 * 2**20 + 17))
    want = subprocess.run(["cksum"], stdin=open(tmp_path / "data", "rb"), capture_output=True, text=True).stdout
    ctn.sh("cat | dd bs=777 status=none | cksum")
    ctn.server.sh("cat %s > stdin" % (tmp_path / "data"), cwd=ctn.path())
    assert ctn.finish() == 0 and ctn.read("log") == want
