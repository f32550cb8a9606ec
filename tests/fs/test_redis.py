# SPDX-License-Identifier: Apache-2.0
"""The main job: redis-server, contained."""

import re
import subprocess

import pytest

from basics import have, limit, until

pytestmark = pytest.mark.skipif(not have("redis-server"), reason="redis-server is not installed")


def cli(c, *words, program="redis-cli", timeout=20):
    r = subprocess.run(["nsenter", "--net=" + c.path("ns/net"), program] + list(words),
                       capture_output=True, text=True, timeout=limit(timeout))
    return r.stdout.strip() or r.stderr.strip()


@pytest.fixture
def redis(tidy):
    c = tidy.make("db")
    c.put("env", "LEVEL=high", append=True).put("cmd", "redis-server --save '' --dir /tmp")
    until(lambda: cli(c, "ping") == "PONG", "redis answers")
    return c


def test_it_answers_inside_its_network_only(redis):
    assert cli(redis, "set", "key", "value") == "OK"
    assert cli(redis, "get", "key") == "value"
    r = subprocess.run(["redis-cli", "-p", "6379", "get", "key"], capture_output=True, text=True)
    assert r.stdout.strip() != "value"


def test_two_on_the_same_port(redis):
    other = redis.server.make("db2").put("cmd", "redis-server --save ''")
    until(lambda: cli(other, "ping") == "PONG", "the second answers")
    cli(redis, "set", "who", "first")
    cli(other, "set", "who", "second")
    assert (cli(redis, "get", "who"), cli(other, "get", "who")) == ("first", "second")


def test_benchmark(redis):
    out = cli(redis, "-n", "3000", "-q", "-c", "20", "-t", "set,get", program="redis-benchmark")
    assert len(re.findall(r"requests per second", out)) == 2
    assert int(redis.get("cgroup/memory.usage")) > 0
    assert "redis-server" in redis.read("ps")


def test_figures(redis):
    assert "LEVEL=high" in redis.lines("env")
    assert redis.proc_status("Seccomp") == "2"
    assert redis.proc_status("CapBnd") == "00000000a80425fb"
    assert int(redis.get("cgroup/pids.current")) >= 4
    assert "Ready to accept connections" in redis.read("log")
    redis.put("memory.limit", "64M")
    cli(redis, "config", "set", "maxmemory", "10mb")
    assert cli(redis, "ping") == "PONG"


def test_pause(redis):
    redis.put("ctl", "pause")
    p = subprocess.Popen(["nsenter", "--net=" + redis.path("ns/net"), "redis-cli", "ping"],
                         stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        p.wait(0.2)
    redis.put("ctl", "resume")
    assert p.communicate(timeout=limit(10))[0] == "PONG\n"


def test_a_limit_that_it_outgrows(redis):
    redis.put("memory.limit", "24M")
    cli(redis, "-q", "-t", "set", "-d", "1000000", "-r", "1000", "-n", "200", "-c", "2",
        program="redis-benchmark")
    assert redis.finish() == 137
    assert redis.status("OomKilled") in ("1", "yes")


def test_leaving_by_itself(redis):
    cli(redis, "shutdown", "nosave")
    assert redis.finish() == 0
    redis.put("ctl", "start")
    until(lambda: cli(redis, "ping") == "PONG", "redis answers again")
    redis.put("ctl", "stop 5")
    assert redis.get("exit") == "0"


def test_as_another_user(tidy):
    c = tidy.make().put("user", "redis").put("cwd", "/tmp").put("cmd", "redis-server --save ''")
    until(lambda: cli(c, "ping") == "PONG", "redis answers")
    assert c.proc_status("CapEff") == "0" * 16
    assert re.search(r"\sredis\s|\s\d+\s", c.read("ps"))
