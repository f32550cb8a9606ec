# SPDX-License-Identifier: Apache-2.0
"""Writing, exactly: how writes, descriptors, offsets and truncation meet."""

import errno
import os
import subprocess

import pytest

from basics import err_name, limit, until

DEFAULTS = ("PATH", "HOME", "HOSTNAME", "TERM")


class File:
    """A descriptor, with the errno of each write."""

    def __init__(self, path, flags):
        self.fd = os.open(path, flags | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def write(self, data, offset=None):
        data = data.encode() if isinstance(data, str) else data
        try:
            n = os.write(self.fd, data) if offset is None else os.pwrite(self.fd, data, offset)
        except OSError as e:
            return e.errno
        assert n == len(data)
        return 0

    def truncate(self):
        os.ftruncate(self.fd, 0)

    def read(self):
        return b"".join(iter(lambda: os.read(self.fd, 65536), b"")).decode()


def truncating(c, name):
    return File(c.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def appending(c, name):
    return File(c.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def own_env(c):
    """The environment without the defaults."""
    return [l for l in c.lines("env") if l.split("=")[0] not in DEFAULTS]


# --- list files ---

def test_replace_and_merge(ctn):
    ctn.put("env", "A=1\nB=2")
    assert own_env(ctn) == ["A=1", "B=2"]
    ctn.put("env", "B=3\nC=4", append=True)
    assert sorted(own_env(ctn)) == ["A=1", "B=3", "C=4"]
    ctn.put("env", "-A", append=True)
    assert sorted(own_env(ctn)) == ["B=3", "C=4"]
    ctn.put("env", "D=5")
    assert own_env(ctn) == ["D=5"]


def test_comments_and_blank_lines_are_skipped(ctn):
    ctn.put("env", "# a comment\n\nA=1\n   \n#B=2")
    assert own_env(ctn) == ["A=1"]
    ctn.put("caps", "# none but this\n\ncap_kill")
    assert ctn.lines("caps") == ["cap_kill"]


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_printf_of_lines(ctn, shell):
    """bash writes each line by itself, dash all at once."""
    ctn.server.sh(r"set -e; printf 'A=1\nB=2\nC=3\n' > %s/env" % ctn.name, shell=shell)
    assert own_env(ctn) == ["A=1", "B=2", "C=3"]
    ctn.server.sh(r"set -e; printf 'D=4\nE=5' >> %s/env" % ctn.name, shell=shell)
    assert own_env(ctn) == ["A=1", "B=2", "C=3", "D=4", "E=5"]
    ctn.server.sh(r"set -e; printf 'net host\nuts host\n' > %s/ns.list" % ctn.name, shell=shell)
    assert ctn.get("ns/net") == ctn.get("ns/uts") == "host"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_several_commands_one_redirection(ctn, shell):
    ctn.server.sh("set -e; { echo A=1; echo B=2; printf C=3; } > %s/env" % ctn.name, shell=shell)
    assert own_env(ctn) == ["A=1", "B=2", "C=3"]


def test_a_line_in_two_writes(ctn):
    with truncating(ctn, "env") as f:
        assert f.write("LONG=be") == 0
        assert own_env(ctn) == ["LONG=be"]  # a valid last line is applied by its own write
        assert f.write("ginning\nNEXT=1") == 0
        assert own_env(ctn) == ["LONG=beginning", "NEXT=1"]
        assert f.write("0\n") == 0
    assert own_env(ctn) == ["LONG=beginning", "NEXT=10"]


def test_a_line_in_two_appending_writes(ctn):
    ctn.put("env", "A=0\nLONG=old")
    with appending(ctn, "env") as f:
        assert f.write("LONG=be") == 0
        assert f.write("ginning\nB=1") == 0
        assert f.write("1\n") == 0
    assert sorted(own_env(ctn)) == ["A=0", "B=11", "LONG=beginning"]


def test_an_invalid_last_line_is_held_and_may_be_continued(ctn):
    with truncating(ctn, "env") as f:
        assert f.write("A=1\nNAME") == 0
        assert own_env(ctn) == ["A=1"]
        assert f.write("=value\n") == 0
    assert own_env(ctn) == ["A=1", "NAME=value"]


def test_an_invalid_last_line_is_refused_at_release(ctn):
    told = ctn.read("error")
    with truncating(ctn, "env") as f:
        assert f.write("A=1\nNAME") == 0
    until(lambda: ctn.read("error") != told, "a sentence about the held line")
    assert "NAME" in ctn.last_error().text
    assert own_env(ctn) == ["A=1"]


def test_large_output_arrives_in_pieces(ctn):
    """Programs split what they write at 4096 bytes or elsewhere."""
    want = ["V%d=%s" % (i, "x" * (i % 37)) for i in range(800)]
    text = ("\n".join(want) + "\n").encode()
    for piece in (4096, 1000, 7777):
        with truncating(ctn, "env") as f:
            for at in range(0, len(text), piece):
                assert f.write(text[at:at + piece]) == 0, ctn.last_error()
        assert own_env(ctn) == want
    ctn.server.sh("seq -f 'N%%g=1' 2000 > %s/env" % ctn.name)
    assert len(own_env(ctn)) == 2000


@pytest.mark.parametrize("text, offset", [("B=\0\n", None), ("B=2\n", 4096)])
def test_a_refused_write_restores_what_was_emptied(ctn, text, offset):
    ctn.put("env", "A=1")
    with truncating(ctn, "env") as f:
        assert f.write(text, offset) == errno.EINVAL
        assert own_env(ctn) == ["A=1"]
    assert own_env(ctn) == ["A=1"]


def test_truncation_alone_empties(ctn):
    ctn.put("env", "A=1")
    ctn.server.sh(": > %s/env" % ctn.name)
    assert own_env(ctn) == []
    ctn.put("caps", "cap_kill")
    ctn.server.sh(": > %s/caps" % ctn.name)
    assert ctn.lines("caps") == ["cap_kill"]  # an empty input changes nothing there


def test_truncation_reads_empty_until_the_first_line(ctn):
    ctn.put("env", "A=1")
    with truncating(ctn, "env") as f:
        assert own_env(ctn) == []
        assert f.write("B=2\n") == 0
        assert own_env(ctn) == ["B=2"]


def test_a_refused_first_line_restores(ctn):
    ctn.put("env", "A=1\nB=2")
    with truncating(ctn, "env") as f:
        assert f.write("no equals sign\n") == errno.EINVAL
        assert own_env(ctn) == ["A=1", "B=2"]
    assert own_env(ctn) == ["A=1", "B=2"]
    assert "no equals sign" in ctn.last_error().text


def test_ftruncate_is_truncation(ctn):
    ctn.put("env", "A=1\nB=2")
    with File(ctn.path("env"), os.O_RDWR) as f:
        f.truncate()
        assert f.write("C=3\n") == 0
    assert own_env(ctn) == ["C=3"]
    os.truncate(ctn.path("env"), 0)
    assert own_env(ctn) == []
    with pytest.raises(OSError) as e:
        os.truncate(ctn.path("env"), 5)
    assert e.value.errno == errno.EINVAL


def test_a_bad_line_among_good_ones_changes_nothing(ctn):
    ctn.put("env", "A=1")
    ctn.refused("env", "B=2\nbad line\nC=3", errno.EINVAL, "bad line", append=True)
    assert own_env(ctn) == ["A=1"]
    ctn.refused("caps", "cap_kill\ncap_nonesuch", errno.EINVAL, "nonesuch")
    ctn.refused("ns.list", "net host\nnet maybe", errno.EINVAL, "maybe")
    assert ctn.get("ns/net") == "new"


# --- single-line files ---

def test_each_line_of_a_single_line_file_acts(ctn):
    ctn.put("hostname", "one\ntwo")
    assert ctn.get("hostname") == "two"
    ctn.put("memory.limit", "64M\n32M")
    assert ctn.get("memory.limit") == "33554432"


def test_an_unterminated_value_acts(ctn):
    assert ctn.write("hostname", "short") == 0
    assert ctn.read("hostname") == "short\n"
    assert ctn.write("memory.limit", "64M") == 0
    assert ctn.get("memory.limit") == "67108864"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_verbs_one_a_line(ctn, shell):
    ctn.sh("sleep 1000")
    ctn.server.sh(r"set -e; printf 'pause\nresume\nkill\n' > %s/ctl" % ctn.name, shell=shell)
    assert ctn.state() == "exited"


def test_appending_to_a_single_value(ctn):
    ctn.put("memory.limit", "64M", append=True)
    assert ctn.get("memory.limit") == "67108864"
    ctn.put("hostname", "appended", append=True)
    assert ctn.get("hostname") == "appended"


# --- offsets ---

def test_offsets_must_follow(ctn):
    ctn.put("env", "A=1")
    with File(ctn.path("env"), os.O_WRONLY) as f:
        assert f.write("B=2\n", offset=100) == errno.EINVAL
        assert "offset" in ctn.last_error().text
        assert own_env(ctn) == ["A=1"]
        assert f.write("C=3\n", offset=0) == 0
        assert f.write("D=4\n", offset=4) == 0
        assert f.write("E=5\n", offset=4) == errno.EINVAL
    assert "C=3" in own_env(ctn) and "D=4" in own_env(ctn) and "E=5" not in own_env(ctn)


def test_a_refused_write_does_not_count_for_the_offset(ctn):
    with truncating(ctn, "env") as f:
        assert f.write("A=1\n") == 0
        assert f.write("bad line\n") == errno.EINVAL
        assert f.write("B=2\n") == 0
    assert own_env(ctn) == ["A=1", "B=2"]


def test_dd_with_a_seek_is_refused(ctn):
    r = ctn.server.sh("printf 'A=1\\n' | dd of=%s/env bs=4 seek=2 conv=notrunc" % ctn.name,
                      check=False)
    assert r.returncode != 0 and own_env(ctn) == []


# --- bad bytes ---

@pytest.mark.parametrize("name", ["cmd", "env", "hostname", "caps", "memory.limit", "ctl", "user",
                                  "cwd", "ns/net", "ns.list", "seccomp", "log.max", "start"])
def test_nul_bytes(ctn, name):
    ctn.refused(name, b"A=1\0B=2\n", errno.EINVAL)
    ctn.refused(name, b"\0", errno.EINVAL)


@pytest.mark.parametrize("name", ["cmd", "hostname", "caps", "memory.limit", "ctl", "user", "cwd",
                                  "ns/net", "ns.list", "seccomp", "log.max", "start", "init",
                                  "cgroup/cpu.max", "cgroup/pids.max", "cgroup/freeze"])
def test_a_megabyte_where_a_line_is_expected(ctn, name):
    """The kernel passes on at most 128 KiB at a time to the server; all of it is refused."""
    with truncating(ctn, name) as f:
        got = 0
        try:
            got = os.write(f.fd, b"x" * (1 << 20) + b"\n")
        except OSError as e:
            assert e.errno in (errno.EINVAL, errno.E2BIG, errno.EFBIG, errno.ENAMETOOLONG,
                               errno.ENOENT, errno.ERANGE), err_name(e.errno)
        assert got <= 1 << 20
    assert ctn.last_error() and len(ctn.last_error().text) < 1000
    assert ctn.state() == "created"


def test_a_long_variable(ctn):
    value = "BIG=" + "y" * 100000
    ctn.put("env", value)
    assert own_env(ctn) == [value]
    assert ctn.output("printf %s \"$BIG\" | wc -c").strip() == "100000"


def test_too_much_for_a_list(ctn):
    ctn.put("env", "A=1")
    with appending(ctn, "env") as f:
        results = [f.write(b"B%d=" % i + b"z" * 120000 + b"\n") for i in range(12)]
    assert any(results), "more than a megabyte was taken"
    assert set(results) <= {0, errno.E2BIG, errno.EFBIG, errno.EINVAL, errno.ENOSPC}
    assert ctn.last_error()
    assert own_env(ctn)[0] == "A=1"


def test_control_bytes_in_errors_are_made_harmless(ctn):
    ctn.write("ctl", b"\x1b[31mred\x07\n")
    text = ctn.read("error")
    assert "\x1b" not in text and "\x07" not in text
    ctn.write("ctl", b"\x9b31mred\n")
    with open(ctn.path("error"), "rb") as f:
        assert b"\x9b" not in f.read()


# --- reading back ---

def test_reading_back_a_refusal(ctn):
    with File(ctn.path("memory.limit"), os.O_RDWR) as f:
        assert f.write("nonsense\n") == errno.EINVAL
        told = f.read()
    assert "nonsense" in told and ctn.last_error().text in told


def test_reading_back_belongs_to_the_descriptor(ctn):
    with File(ctn.path("memory.limit"), os.O_RDWR) as f:
        with File(ctn.path("memory.limit"), os.O_RDWR) as g:
            assert f.write("first\n") == errno.EINVAL
            assert g.write("second\n") == errno.EINVAL
            assert "second" in g.read()
            assert "first" in f.read()


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_reading_back_in_a_shell(ctn, shell):
    r = ctn.server.sh("exec 3<>%s/ctl; echo jump >&3 || true; cat <&3" % ctn.name, shell=shell)
    assert "jump" in r.stdout


# --- tools ---

def test_tee_cp_and_dd(ctn):
    sh = ctn.server.sh
    sh("printf 'A=1\\nB=2\\n' | tee %s/env >/dev/null" % ctn.name)
    assert own_env(ctn) == ["A=1", "B=2"]
    sh("printf 'C=1\\n' > ../in; cp ../in %s/env; rm ../in" % ctn.name)
    assert own_env(ctn) == ["C=1"]
    sh("printf 'D=1\\nE=2\\n' | dd of=%s/env bs=3 2>/dev/null" % ctn.name)
    assert own_env(ctn) == ["D=1", "E=2"]


def test_copying_a_configuration(tidy):
    a, b = tidy.make(), tidy.make()
    a.put("env", "A=1\nTERM=dumb")
    a.put("caps", "cap_kill\ncap_chown")
    for name in ("env", "caps", "seccomp", "no_new_privs", "ns.list"):
        tidy.sh("cp %s/%s %s/%s" % (a.name, name, b.name, name))
    assert b.lines("caps") == a.lines("caps")
    assert "A=1" in own_env(b) and "TERM=dumb" in b.lines("env")


def test_concurrent_writers_to_one_list(ctn):
    script = "for i in $(seq 20); do echo P$0_$i=1 >> %s; done" % ctn.path("env")
    procs = [subprocess.Popen(["dash", "-c", script, str(i)]) for i in range(6)]
    for p in procs:
        assert p.wait(limit(20)) == 0
    assert len(own_env(ctn)) == 120
