# SPDX-License-Identifier: Apache-2.0
"""The file `stdin` of a container whose standard input is a terminal: what is written is typed."""

import subprocess

import pytest

from pipes import write_fully


@pytest.fixture
def term(ctn):
    return ctn.put("tty", 1)


def text(c):
    return c.read("log").replace("\r\n", "\n")


def test_typing(term):
    term.sh("stty -echo; echo ready; while read -r line; do echo got $line; done; echo end; read -r more; echo $more")
    term.until_log("ready")
    term.put("stdin", "one", append=True).until_log("got one")
    term.put("stdin", "two").until_log("got two")
    term.until_log("end")  # not a hang-up: more can be typed
    term.put("stdin", "more")
    assert term.finish() == 0 and text(term) == "ready\ngot one\ngot two\nend\nmore\n"


def test_the_end_of_a_line_that_is_none(term):
    term.sh("stty -echo; echo ready; cat; echo end")
    term.until_log("ready")
    assert term.write("stdin", "no newline") == 0
    assert term.finish() == 0 and text(term) == "ready\nno newlineend\n"


def test_an_end_of_file_character_of_its_own(term):
    term.sh("stty -echo eof ^A; echo ready; cat -v; echo end")
    term.until_log("ready")
    assert term.write("stdin", "a\n", append=True) == 0 and term.write("stdin", "") == 0
    assert term.finish() == 0 and text(term) == "ready\na\nend\n"


def test_much_into_a_terminal(term):
    """More than the line discipline holds, and the end of file behind it."""
    term.sh("stty -echo; echo ready; cksum")
    data = "".join("line %d\n" % i for i in range(60000))
    term.until_log("ready")
    want = subprocess.run(["cksum"], input=data, capture_output=True, text=True).stdout
    with open(term.path("stdin"), "wb", 0) as f:
        write_fully(f.fileno(), data.encode())
    assert term.finish(30) == 0 and text(term) == "ready\n" + want


def test_a_line_that_is_too_long(term):
    """The line discipline drops what no line can hold; the writer is not kept."""
    term.sh("stty -echo; echo ready; wc -c")
    term.until_log("ready")
    with open(term.path("stdin"), "wb", 0) as f:
        write_fully(f.fileno(), b"x" * 2**20 + b"\n")
    assert term.finish() == 0 and text(term) == "ready\n4096\n"


def test_a_terminal_after_the_server(server):
    c = server.make().put("tty", 1)
    c.sh("stty -echo; echo ready; cat; echo end")
    c.until_log("ready")
    server.kill9()
    server.start()
    c.put("stdin", "later")
    assert c.finish() == 0 and text(c) == "ready\nlater\nend\n"
