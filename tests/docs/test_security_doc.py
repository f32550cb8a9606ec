# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md names a test for each class of attacks, and the tests are there."""

import os
import re

from basics import TREE

HERE = os.path.join(TREE, "tests")
CLASSES = ["N%02d" % n for n in range(1, 41)]
# What the tree has not, so that there is nothing to attack.
WITHOUT = {"N14"}


def text_of(*path):
    with open(os.path.join(TREE, *path), encoding="utf-8") as f:
        return f.read()


def rows():
    block = re.search(r"<!-- attacks -->\n(.*?)<!-- /attacks -->", text_of("SECURITY.md"), re.S)
    assert block, "SECURITY.md has no table between its markers"
    lines = block[1].splitlines()
    assert lines[0].count("|") == 6 and set(lines[1]) <= set("|-"), lines[:2]
    for line in lines[2:]:
        cells = [c.strip() for c in line.strip("|").split("|")]
        assert len(cells) == 5, "a row of %d cells: %s" % (len(cells), line)
        yield cells


def exists(name):
    """`file::test`, of any tier, or `unit/program` and `fuzz/program`."""
    if "::" not in name:
        return os.path.exists(os.path.join(HERE, name + ".c"))
    file, test = name.split("::")
    for tier in ("fs", "security", "fault", "stress"):
        path = os.path.join(HERE, tier, file + ".py")
        if os.path.exists(path) and re.search(r"^def %s\(" % test, text_of("tests", tier, file + ".py"), re.M):
            return True
    return False


def test_each_class_has_its_row():
    assert [cells[0] for cells in rows()] == CLASSES


def test_each_row_has_tests_that_are_there():
    for number, _, held_off, tests, control in rows():
        names = re.findall(r"`([^`]+)`", tests)
        assert held_off, number
        assert bool(names) == (number not in WITHOUT), "%s names no test" % number
        for name in names + re.findall(r"`([^`]+)`", control):
            assert exists(name), "%s: there is no test %s" % (number, name)


def test_tests_of_attacks_are_in_the_table():
    """Who adds a file of attacks says what they are."""
    text = text_of("SECURITY.md")
    for name in sorted(os.listdir(os.path.join(HERE, "security"))):
        if re.fullmatch(r"test_\w+\.py", name) and not name.startswith("test_server"):
            assert "`%s::" % name[:-3] in text, "%s is in no row of SECURITY.md" % name


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of("SECURITY.md")):
        assert os.path.exists(os.path.join(TREE, target)), target
    assert "](SECURITY.md)" in text_of("README.md")
