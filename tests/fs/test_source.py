# SPDX-License-Identifier: Apache-2.0
"""Rules of the source that a machine can check: levels, sizes, form."""

import os
import re
import subprocess

import pytest

from basics import TREE, have

LEVELS = {
    0: {"err", "io", "cleanup", "log", "config", "json", "strlist", "weaken"},
    1: {"cgroup", "ns", "idmap", "rootfs", "mounts", "caps", "seccomp", "procfs", "pidref", "users", "kmsg"},
    2: {"spec", "oci", "state", "wire"},
    3: {"container", "life", "journal", "engine", "registry", "launch", "adopt", "errors", "loop", "oom", "spares", "stats", "sweeper"},
}
SYSTEM = re.compile(r'^#include\s+"([^"]+)"', re.M)


def sources(*tops, ends=(".c", ".h")):
    for top in tops:
        for path, _, files in os.walk(os.path.join(TREE, top)):
            for name in sorted(files):
                if name.endswith(ends):
                    yield os.path.join(path, name)


def read(path):
    with open(path) as f:
        return f.read()


def module(path):
    """The word before the first underscore: cgroup_v1.c belongs to cgroup."""
    return os.path.basename(path).split(".")[0].split("_")[0]


def level(path):
    for number, names in LEVELS.items():
        if module(path) in names:
            return number
    raise AssertionError("%s has no level: give it one here and in ARCHITECTURE" % path)


def includes(path):
    """What it includes of ours, relative to the top of the tree."""
    for name in SYSTEM.findall(read(path)):
        for base in (os.path.dirname(path), TREE, os.path.join(TREE, "core")):
            full = os.path.normpath(os.path.join(base, name))
            if os.path.exists(full):
                yield os.path.relpath(full, TREE)
                break
        else:
            assert name.startswith(("config", "version")), "%s includes %s, which is nowhere" % (path, name)


def test_core_knows_nothing_of_fs():
    for path in sources("core"):
        assert not [i for i in includes(path) if not i.startswith("core/")], path
        assert "fuse" not in " ".join(re.findall(r"#include\s+<([^>]+)>", read(path))), path


def test_levels_inside_core():
    wrong = []
    for path in sources("core"):
        rel = os.path.relpath(path, TREE)
        if rel.startswith("core/monitor/"):
            continue
        own = level(rel)
        for other in includes(path):
            if other.startswith("core/monitor/"):
                wrong.append("%s includes %s" % (rel, other))
            elif level(other) > own or (level(other) == own and own in (0, 1)
                                        and module(other) != module(rel)
                                        and module(other) not in LEVELS[0]):
                wrong.append("%s (level %d) includes %s (level %d)" % (rel, own, other, level(other)))
    assert not wrong, "\n".join(wrong)


def test_the_monitor_needs_little():
    """It is static: no table of containers, no JSON, no libseccomp, no libcap."""
    for path in sources("core/monitor"):
        for other in includes(path):
            assert other.startswith("core/monitor/") or level(other) <= 2, (path, other)
            assert module(other) not in ("spec", "oci", "state", "seccomp", "caps") or \
                os.path.basename(other) in ("caps.h", "spec_mounts.h"), \
                (path, other)
        assert not re.search(r"<(seccomp|json-c|sys/capability)", read(path)), path


def test_fs_includes_no_private_header():
    for path in sources("fs"):
        bad = [i for i in includes(path) if i.startswith("core/") and
               ("private" in i or i.startswith("core/monitor/"))]
        assert not bad, (path, bad)


def test_files_are_short():
    wrong = [p for p in sources("core", "fs", "tests", ends=(".c", ".h", ".py"))
             if read(p).count("\n") >= 450]
    assert not wrong


def functions(text):
    """Name and number of lines of each function, by the braces in column 1."""
    name, start = "", 0
    for number, line in enumerate(text.splitlines()):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield name, number - start - 1
            start = 0
        elif re.match(r"[a-z].*\(", line) and not start:
            name = line


def test_functions_are_short():
    wrong = ["%s: %s (%d lines)" % (os.path.relpath(p, TREE), name, n)
             for p in sources("core", "fs") for name, n in functions(read(p)) if n >= 50]
    assert not wrong, "\n".join(wrong)


def test_every_file_names_its_licence():
    wrong = [p for p in sources("core", "fs", "tests", "examples", ends=(".c", ".h", ".py", ".sh"))
             if "SPDX-License-Identifier: Apache-2.0" not in read(p)[:200]]
    assert not wrong


def test_the_server_never_forks():
    """But to go into the background, before there is a thread. launch_spawn.c is what posix_spawn(3) is, but for
    the table of descriptors: the memory is shared, and the parent waits until the child has executed."""
    for path in sources("core", "fs"):
        if "/core/monitor/" in path or path.endswith("/fs/main.c"):
            continue
        if path.endswith("/core/launch_spawn.c"):
            assert len(re.findall(r"\b__clone\s*\([^;]*CLONE_VM \| CLONE_VFORK", read(path))) == 1
            assert not re.search(r"\b(v?fork|clone3?|SYS_clone3?)\b", strip(read(path)))
            continue
        assert not re.search(r"(?<![\w>.])(v?fork|system|popen|clone3?)\s*\(", strip(read(path))), path


def strip(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//.*", "", text)
    return re.sub(r'"(\\.|[^"\\])*"', '""', text)


def test_nothing_is_left_to_do():
    wrong = [p for p in sources("core", "fs", "tests", "examples", ends=(".c", ".h", ".py", ".sh"))
             if re.search(r"\b(TODO|FIXME|XXX)\b", read(p)) and not p.endswith("test_source.py")]
    assert not wrong


@pytest.mark.skipif(not have("clang-format"), reason="clang-format is not installed")
def test_the_form_is_clang_formats():
    r = subprocess.run(["clang-format", "--dry-run", "-Werror"] + list(sources("core", "fs", "tests")),
                       capture_output=True, text=True, cwd=TREE)
    assert r.returncode == 0, r.stderr[:3000]


def test_shell_scripts_parse():
    for path in sources("examples", ".ci", ends=(".sh", "run")):
        subprocess.run(["sh", "-n", path], check=True)
