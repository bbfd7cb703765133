"""When UVEs are made: rounds, batches, and soon after changes."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any

import pytest

from agent.errors import BugError
from agent.oper.results import Delta
from agent.settings import parse
from agent.telemetry.uve import Identity, Outbox, UveCache, Uves
from agent.telemetry.uve.generator import Generator
from agent.telemetry.uve.uves import BATCH, PAUSE
from agent.telemetry.uve.world import Builder, World
from tests.unit.telemetry.node_world import HOST, NodeWorld

PORT, TAGS, STATS = "UveVMInterfaceAgentTrace", "UVEVMITags", "UVEVMIStats"
NETWORK, MACHINE = "UveVirtualNetworkAgentTrace", "UveVirtualMachineAgentTrace"
FILE = f"{HOST}\n[DEFAULT]\ncollectors = 10.0.0.8\nvmi_vm_vn_uve_interval = 20\n"


class Counted:
    """UVEs of which there are some by name, and what was made of them."""

    def __init__(self, message: str, *, sampled: bool) -> None:
        self.names: list[str] = []
        self.made: list[str] = []
        self.builder = Builder(message, self._keys, self._values, sampled)

    def _keys(self, world: World) -> Collection[str]:
        return self.names

    def _values(self, world: World, key: str) -> dict[str, Any] | None:
        self.made.append(key)
        return {"app": str(len(self.made))} if key in self.names else None

    def taken(self) -> list[str]:
        """What was made since this was last asked."""
        made, self.made = self.made, []
        return made


class Rounds:
    """Uves of made-up objects, driven at the times that they ask for."""

    def __init__(self) -> None:
        self.world = NodeWorld()
        self.counts = Counted(TAGS, sampled=True)
        self.config = Counted(PORT, sampled=False)
        box = Outbox(Identity("h", 7), UveCache(), lambda: 0.0, types=(TAGS, PORT))
        generator = Generator(box, shuffle=lambda _: None, jitter=lambda: 0.5)
        self.uves = Uves(generator, (self.counts.builder, self.config.builder))
        self.now = 0.0

    def run(self, until: float) -> list[float]:
        """Take turns whenever they are wanted; the times at which there were any."""
        times = []
        while (deadline := self.uves.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.uves.turn(self.world.node, self.now)
            times.append(self.now)
        self.now = until
        return times


def test_nothing_is_made_without_collectors() -> None:
    rounds = Rounds()
    rounds.counts.names = ["a"]
    rounds.uves.configure(parse(HOST), 0.0)
    assert rounds.uves.deadline() is None
    rounds.uves.turn(rounds.world.node, 100.0)
    assert rounds.counts.taken() == []


def test_counters_are_told_each_interval_the_rest_once() -> None:
    rounds = Rounds()
    rounds.counts.names = rounds.config.names = ["a", "b"]
    rounds.uves.configure(parse(FILE), 0.0)
    rounds.run(0.0)
    assert rounds.counts.taken() == rounds.config.taken() == ["a", "b"]
    assert set(rounds.run(19.9)) == set()
    assert rounds.run(20.0)[0] == 20.0
    assert rounds.counts.taken() == ["a", "b"]
    assert rounds.config.taken() == []


def test_what_is_new_and_what_is_gone_is_found_each_interval() -> None:
    rounds = Rounds()
    rounds.config.names = ["a", "b"]
    rounds.uves.configure(parse(FILE), 0.0)
    rounds.run(0.0)
    rounds.config.names = ["b", "c"]
    rounds.run(20.0)
    assert sorted(rounds.config.taken()) == ["a", "a", "b", "c"]
    assert sorted(rounds.uves.cache.keys(PORT)) == ["b", "c"]
    gone = rounds.uves.cache.get(PORT, "a")
    assert gone is not None
    assert gone.deleted


def test_a_batch_of_each_message_a_second() -> None:
    rounds = Rounds()
    rounds.counts.names = [f"n{number}" for number in range(150)]
    rounds.config.names = ["a"]
    rounds.uves.configure(parse(FILE), 0.0)
    sizes = []
    for second in range(4):
        rounds.run(second * PAUSE)
        sizes.append(len(rounds.counts.taken()))
    assert sizes == [BATCH, BATCH, 150 - 2 * BATCH, 0]
    assert rounds.config.taken() == ["a"]


def test_a_turn_ends_after_some_milliseconds() -> None:
    rounds = Rounds()
    rounds.counts.names = [f"n{number}" for number in range(10)]
    rounds.uves.configure(parse(FILE), 0.0)
    ticks = itertools.count()
    rounds.world.node.clock = lambda: next(ticks) * 0.0004
    turns = []
    for _ in range(8):
        rounds.uves.turn(rounds.world.node, 0.0)
        turns.append(len(rounds.counts.taken()))
        deadline = rounds.uves.deadline()
        assert deadline is not None
        if sum(turns) < 10:
            assert deadline <= 0.0
    assert sum(turns) == 10
    assert 0 < max(turns) < 6


def test_a_longer_interval_does_not_put_off_what_is_due_soon() -> None:
    rounds = Rounds()
    rounds.uves.configure(parse(FILE), 0.0)
    rounds.run(5.0)
    rounds.uves.configure(parse(FILE.replace("= 20", "= 3")), 5.0)
    assert rounds.uves.deadline() == 8.0


def world() -> tuple[NodeWorld, Uves]:
    """All ports plugged, all told, nothing due."""
    made = NodeWorld(FILE)
    made.plug()
    uves = made.node.uves
    uves.configure(made.node.settings, 0.0)
    drive(made, uves, 5.0)
    return made, uves


def drive(made: NodeWorld, uves: Uves, until: float) -> dict[str, int]:
    """Take turns until then; how many changes of UVEs there were, by message."""
    before = {message: uves.cache.sequence(message) for message in uves.builders}
    while (deadline := uves.deadline()) is not None and deadline <= until:
        made.now = max(made.now, deadline)
        uves.turn(made.node, made.now)
    made.now = until
    found = {message: uves.cache.sequence(message) - last for message, last in before.items()}
    return {message: count for message, count in found.items() if count}


def test_a_change_is_told_soon() -> None:
    made, uves = world()
    row = made.node.compiler.vmis()[0]
    made.node.compiler.remove_link(row.name)
    uves.follow(made.node.compiler.commit())
    assert drive(made, uves, 6.0) == {PORT: 1}
    found = uves.cache.get(PORT, row.config_name)
    assert found is not None
    assert found.values["active"] is False


def test_what_is_unplugged_is_told_soon() -> None:
    made, uves = world()
    row = made.node.compiler.vmis()[0]
    made.node.compiler.remove_port(row.uuid)
    uves.follow(made.node.compiler.commit())
    assert drive(made, uves, 6.0) == {PORT: 1, TAGS: 1, STATS: 1, NETWORK: 1, MACHINE: 1}
    name = row.config_name
    for message, key in ((PORT, name), (TAGS, name), (STATS, name), (MACHINE, str(row.vm_uuid))):
        found = uves.cache.get(message, key)
        assert found is not None
        assert found.deleted


def test_what_does_not_matter_is_not_told() -> None:
    made, uves = world()
    uves.follow(Delta())
    assert drive(made, uves, 19.0) == {}
    assert drive(made, uves, 22.0).keys() <= {"SandeshModuleClientTrace", "UveVrouterAgent"}


def test_one_that_cannot_be_made_does_not_keep_others_from_it() -> None:
    rounds = Rounds()
    rounds.config.names = ["a"]

    def broken(world: World, key: str) -> None:
        raise ValueError("no such thing")

    builder = Builder(TAGS, lambda world: ["x", "y"], broken)
    rounds.uves = Uves(rounds.uves.generator, (builder, rounds.config.builder))
    rounds.uves.configure(parse(FILE), 0.0)
    rounds.run(0.0)
    assert rounds.config.taken() == ["a"]
    assert rounds.uves.failures == {TAGS: "y: ValueError: no such thing"}


def test_changes_are_not_kept_while_nobody_wants_them() -> None:
    made = NodeWorld()
    made.plug()
    uves = made.node.uves
    uves.follow(Delta(vmis=tuple(made.node.compiler.vmis())))
    assert uves.deadline() is None
    uves.configure(parse(FILE), 0.0)
    assert drive(made, uves, 3.0)[PORT] == 4


def test_made_anew_for_who_asks() -> None:
    made = NodeWorld()
    made.plug()
    uves = made.node.uves
    assert len(list(uves.refreshed(made.node, PORT))) == 4
    key = uves.cache.keys(PORT)[0]
    assert [uve.key for uve in uves.refreshed(made.node, PORT, key)] == [key]
    with pytest.raises(BugError):
        list(uves.refreshed(made.node, "VirtualMachineStatsTrace"))
