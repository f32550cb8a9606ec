# SPDX-License-Identifier: Apache-2.0
"""The event journal: one line for each fact, in order, followed, and about whom it is."""



from journals import events, words


def test_a_life(ctn):
    ctn.sh("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    ctn.until_log("ready")
    pid = ctn.pid()
    ctn.put("ctl", "pause")
    ctn.put("ctl", "resume")
    ctn.put("memory.limit", "64M")
    ctn.put("memory.limit", "64M")  # no news
    ctn.put("cgroup/cpu.max", "50000 100000")
    ctn.put("ctl", "stop 20")
    assert words(events(ctn)) == [
        "created", "started pid=%d" % pid, "paused", "resumed", "limit-changed memory.limit=67108864",
        "limit-changed cpu.max=50000\\x20100000", "died exit=3"]

