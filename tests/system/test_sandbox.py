"""The fixtures of this folder do what they promise."""

from __future__ import annotations

import os


def test_links_and_commands_inside(sandbox, traces):
    sandbox.netns("a")
    sandbox.netns("b")
    sandbox.veth("a", "left", "b", "right", mac="02:00:00:00:00:0b")
    sandbox.run("ip", "address", "add", "10.9.0.1/24", "dev", "left", netns="a")
    sandbox.run("ip", "address", "add", "10.9.0.2/24", "dev", "right", netns="b")
    assert "1 received" in sandbox.run("ping", "-c1", "-W5", "10.9.0.2", netns="a").stdout
    assert "02:00:00:00:00:0b" in sandbox.run("ip", "neigh", netns="a").stdout
    assert not os.path.exists("/run/netns/a")


def test_nothing_stays(sandbox, traces):
    inside = traces.watch(sandbox.pid)
    sandbox.netns("a")
    sleeper = sandbox.popen("sh", "-c", "echo up; exec sleep infinity", netns="a")
    assert sleeper.stdout.readline() == "up\n"
    assert len(inside.processes()) >= 2
    sandbox.close()
    sleeper.communicate(timeout=10)
    inside.wait()
    traces.assert_none()
