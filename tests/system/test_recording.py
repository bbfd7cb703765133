"""A live agent is recorded; replays in other processes come to the very same state.

The forwarder, the controllers and the guests are real ones. Every replay runs with another
seed of Python's hashes, so that an order that sets decide would show.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.lab.netns import call
from agent.record import Reader, Recorded
from agent.record.events import Ended
from tests.system.conftest import Completed, Sandbox
from tests.system.controlled import HOST, Process, Site, until

SEEDS = ("1", "2")


class RecordedSite(Site):
    """A site whose agent records into `file`."""

    def __init__(self, box: Sandbox, directory: Path, **options: Any) -> None:
        super().__init__(box, directory, **options)
        self.file = directory / "agent.rec"
        words = ["--config", str(directory / "agent.conf"), "--run-dir", str(self.run_dir)]
        words += ["--record", str(self.file)]
        self.agent = Process(box, HOST, directory, "agent", sys.executable, "-m", "agent", *words)

    def unplug(self, name: str) -> None:
        """Unplug a VM's port."""
        namespace = self._namespaces / HOST
        assert call(namespace, 9091, "DELETE", f"/port/{self.vms[name].port}")[0] == 200


@pytest.fixture
def there(sandbox: Sandbox, tmp_path: Path) -> Iterator[RecordedSite]:
    made = RecordedSite(sandbox, tmp_path)
    try:
        made.up()
        yield made
    finally:
        made.close()


def replay(*words: str, seed: str = SEEDS[0]) -> Completed:
    """`vrouter-agent replay WORDS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "agent", "replay", *words],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def events(file: Path) -> list[Recorded]:
    with file.open("rb") as stream:
        reader = Reader(stream.read)
        found = list(reader)
    assert reader.problem is None
    return found


def states(file: Path) -> dict[str, Any]:
    """The state at the end, the same from every replay and the live agent's own."""
    results = [replay(str(file), "--json", seed=seed) for seed in SEEDS]
    for result in results:
        assert result.returncode == 0, result.stderr
        assert "the recorded one" in result.stderr
    assert len({result.stdout for result in results}) == 1
    found: dict[str, Any] = json.loads(results[0].stdout)
    ended = events(file)[-1].event
    assert isinstance(ended, Ended)
    assert found["digest"] == ended.digest
    return found["state"]


def test_a_life_with_controllers_is_replayed_bit_for_bit(there: RecordedSite) -> None:
    """Ports, DHCP, routes, a controller and the forwarder lost and back, SIGHUP, unplugging."""
    far = there.far_agent()
    far.publish("10.1.1.8")
    far.publish("10.1.1.9")
    there.far_route("10.1.1.9")
    assert "10.1.1.3" in there.lease()
    mark = there.agent.mark()
    one, two = there.controllers
    one.process.kill()
    there.agent.says('event="controller down"', mark)
    one.start()
    there.agent.says('event="routes complete"', mark)
    far.withdraw("10.1.1.8")
    until(lambda: there.route("10.1.1.8") is None, "the route gone")
    mark = there.agent.mark()
    there.configure(two)
    there.agent.signal("HUP")
    there.agent.says('event="configuration reloaded"', mark)
    mark = there.agent.mark()
    there.forwarder.kill()
    there.forwarder.start()
    there.agent.says('event="in sync"', mark)
    there.unplug("red2")
    until(lambda: there.vms["red2"].tap not in there.taps(), "the vif gone")
    there.agent.kill("TERM")
    state = states(there.file)
    assert {"vif", "nexthop", "label", "route", "bridge", "exported"} <= state.keys()
    assert [key for key in state["route"] if "10.1.1.9/32" in key]
    assert [key for key in state["route"] if "10.1.1.3/32" in key]
    assert not [key for key in state["route"] if "10.1.1.8/32" in key]
    assert not [key for key in state["route"] if "10.1.1.4/32" in key]
    assert [port["name"] for port in state["port"].values()] == [there.vms["red1"].tap]
    assert [key for key in state["exported"] if key.startswith("INET ")]
    assert list(state["controller"]) == [f"{two.address}:5269"]


def test_a_killed_agent_leaves_a_recording_that_tells_its_state(there: RecordedSite) -> None:
    """No end is written; where a crash cut the file, what is left is replayed up to there."""
    taps = there.taps()
    until(lambda: {vif["vifr_name"] for vif in _vifs(there.file)} == taps, "all in the file")
    there.agent.kill("KILL")
    result = replay(str(there.file), "--json")
    assert result.returncode == 0, result.stderr
    assert "the recording has no end" in result.stderr
    assert {vif["vifr_name"] for vif in _vifs(there.file)} == taps
    cut = there.directory / "cut.rec"
    cut.write_bytes(there.file.read_bytes()[:-5])
    shorter = replay(str(cut), "--json")
    assert shorter.returncode == 0, shorter.stderr
    assert "cut in the middle of a block" in shorter.stderr
    assert 0 < json.loads(shorter.stdout)["events"] < json.loads(result.stdout)["events"]
    same = replay(str(there.file), "--diff", str(there.file))
    assert (same.returncode, same.stdout) == (0, "")


def _vifs(file: Path) -> list[dict[str, Any]]:
    """The interfaces that a recording leads to, as far as it is written."""
    state = json.loads(replay(str(file), "--json").stdout)["state"]
    return list(state.get("vif", {}).values())


def test_a_difference_is_told(there: RecordedSite) -> None:
    """Of two agents the second one lacks a port."""
    there.agent.kill("TERM")
    before = there.file.with_name("agent.rec.1")
    there.agent.start()
    there.plug(there.vms["red1"])
    there.unplug("red2")
    tap = there.vms["red2"].tap
    until(lambda: tap not in there.taps(), "the vif gone")
    there.agent.kill("TERM")
    found = replay(str(before), "--diff", str(there.file))
    assert found.returncode == 1
    lines = found.stdout.splitlines()
    assert [line for line in lines if line.startswith("- vif ") and tap in line]
    assert [line for line in lines if line.startswith("- route ") and "10.1.1.4/32" in line]
    assert not [line for line in lines if "10.1.1.3/32" in line and line.startswith("-")]
    rows = json.loads(replay(str(before), "--diff", str(there.file), "--json").stdout)
    assert len(rows) == len(lines)
