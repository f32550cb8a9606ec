# SPDX-License-Identifier: Apache-2.0
"""Fixtures of every tier that works on a real mount."""

import faulthandler
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading

sys.dont_write_bytecode = True

import pytest  # noqa: E402

import basics  # noqa: E402
import harness  # noqa: E402
import leaks  # noqa: E402
import terminals  # noqa: E402

TIME_LIMIT = 60

# Whoever runs the tests in the background, or under nohup(1), ignores them, and so would all that is started here.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    reason = None
    if os.geteuid() != 0:
        reason = "needs root: containers, mounts and cgroups are made"
    elif not os.path.exists("/dev/fuse"):
        reason = "needs /dev/fuse (modprobe fuse)"
    if reason:
        for item in items:
            if "session" in item.fixturenames:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def session():
    for name in basics.PROGRAMS:
        assert os.access(basics.build_path(name), os.X_OK), \
            "%s is not built; CTNFS_BUILD names the build directory" % basics.build_path(name)
    s = harness.Session()
    programs = os.path.join(s.base, "bin")  # a build beside us may replace its own meanwhile
    os.mkdir(programs)
    for name in basics.PROGRAMS:
        shutil.copy2(basics.build_path(name), programs)
    basics.BUILD = programs
    yield s
    s.close()


class Timeout(Exception):
    pass


def give_up(seconds):
    """A call on a mount cannot be interrupted when its server is stuck: the server has to go."""
    sys.stderr.write("\nno end after %g s; all threads:\n" % seconds)
    faulthandler.dump_traceback(sys.__stderr__)
    for server in list(harness.LIVE):
        try:
            with open("/sys/fs/fuse/connections/%d/abort" % os.minor(server.dev), "w") as f:
                f.write("1")
        except (OSError, AttributeError):
            pass
        server.proc.kill()
    signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)


def raise_timeout(*_):
    raise Timeout("the test took too long; its servers were killed")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    mark = item.get_closest_marker("slow_ok")
    seconds = basics.limit(mark.args[0] if mark else TIME_LIMIT)
    signal.signal(signal.SIGALRM, raise_timeout)
    timer = threading.Timer(seconds, give_up, [seconds])
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


@pytest.fixture(autouse=True)
def no_leaks(request):
    """Compares the machine before and after each test that uses a server."""
    if "session" not in request.fixturenames or harness.SPARES != "0":
        yield
        return
    session = request.getfixturevalue("session")
    if "shared" in request.fixturenames:
        request.getfixturevalue("shared")  # older than the test, so part of what was there
    before = leaks.snapshot(session)
    yield
    wrong = basics.settle(lambda: leaks.difference(session, before))
    assert not wrong, "left behind:\n" + "\n".join(wrong)


def allow_stderr(request, server):
    for mark in request.node.iter_markers("stderr"):
        server.expected += mark.args


@pytest.fixture
def tmp_path(session):
    """A directory that goes with the session."""
    return pathlib.Path(tempfile.mkdtemp(dir=session.base))


@pytest.fixture
def new_server(session, no_leaks, request):
    """Makes servers; ends them after the test."""
    made = []

    def make(*options, **kw):
        s = harness.Server(session, options, start=False)
        made.append(s)
        allow_stderr(request, s)
        if kw.get("start", True):
            s.start()
        return s

    yield make
    wrong = []
    for s in made:
        wrong += s.finish()
    assert not wrong, "\n".join(wrong)
    for s in made:  # now, each with its skeleton, rather than hundreds of them within the last test's time
        s.remove()


@pytest.fixture
def server(new_server):
    """A server of this test's own."""
    return new_server()


@pytest.fixture(scope="module")
def shared_server(session):
    s = harness.Server(session)
    yield s
    wrong = s.finish()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def shared(shared_server):
    """A server that the tests of a module share."""
    if not shared_server.running():
        shared_server.start()
    return shared_server


@pytest.fixture
def tidy(shared, no_leaks):
    """The shared server, emptied and compared with its beginning after the test."""
    yield shared
    if not shared.running():
        pytest.fail("the server ended: " + shared.stderr())
    wrong = shared.clear() + basics.settle(shared.inner_leaks) + shared.complaints()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def ctn(tidy):
    """A fresh container of the shared server."""
    return tidy.make()


@pytest.fixture
def idle(ctn):
    """A container that runs and does nothing, and goes when asked."""
    ctn.sh("trap 'exit 0' TERM; sleep 100000 & echo ready; while :; do wait; done")
    return ctn.until_log("ready")


@pytest.fixture
def on_terminal(no_leaks):
    """Runs a program on a terminal of its own; it goes with the test."""
    made = []

    def make(*argv, **kw):
        made.append(terminals.Terminal(*argv, **kw))
        return made[-1]

    yield make
    for t in made:
        t.close()


@pytest.fixture
def attach(on_terminal):
    """Attaches to a container from such a terminal."""
    def make(c, *args, **kw):
        return on_terminal(c.path("attach"), *args, **kw).until_raw()
    return make
