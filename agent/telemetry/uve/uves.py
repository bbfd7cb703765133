"""When UVEs are made: soon after a change, each interval where they tell of counters.

Facts oper-db.md 6.1: at most 64 UVEs of a message a second; an interval (30 s as a rule) after
the last round began there is another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from agent.errors import BugError
from agent.oper.results import Delta
from agent.oper.rows import Vmi
from agent.settings import Server, Settings
from agent.telemetry.uve.builders import BUILDERS, MACHINE, NETWORK, PORT, STATS, TAGS
from agent.telemetry.uve.cache import Uve, UveCache
from agent.telemetry.uve.frames import Identity
from agent.telemetry.uve.generator import Generator
from agent.telemetry.uve.outbox import Outbox
from agent.telemetry.uve.world import Builder, World

if TYPE_CHECKING:  # a node has its UVEs
    from agent.telemetry.node import Node

BATCH = 64
PAUSE = 1.0
"""Seconds between two batches of a message."""
SLICE = 0.001
"""Seconds of work in one turn."""


@dataclass(slots=True)
class _Batch:
    """What is made of one message in this second. `survey`: first find out what is due."""

    builder: Builder
    survey: bool
    left: int = BATCH


def build(
    identity: Identity,
    *,
    wall: Callable[[], float],
    shuffle: Callable[[list[Server]], None],
    jitter: Callable[[], float],
) -> Uves:
    """The UVEs of an agent and what they are told with: see `Outbox` and `Generator`."""
    types = (builder.message for builder in BUILDERS)
    outbox = Outbox(identity, UveCache(), wall, types=types)
    return Uves(Generator(outbox, shuffle=shuffle, jitter=jitter))


class Uves:
    """What collectors are told, and the cache of it; `generator` carries it to them.

    Call `follow` with all that becomes different, and `turn` at `deadline`, which is at once
    while there is work. Nothing is made while no collector is configured, but for who asks.
    """

    def __init__(self, generator: Generator, builders: Sequence[Builder] = BUILDERS) -> None:
        self.generator = generator
        self.outbox = generator.outbox
        self.cache = generator.outbox.cache
        self.builders = {builder.message: builder for builder in builders}
        self.failures: dict[str, str] = {}
        """Messages of which one could not be made, with the last one and why: a fault of ours."""
        self._due: dict[str, dict[str, None]] = {message: {} for message in self.builders}
        self._changed: set[UUID] = set()
        self._interval = 30.0
        self._round_at = self._batch_at = 0.0
        self._run: deque[_Batch] = deque()
        self._world: World | None = None

    def configure(self, settings: Settings, now: float) -> None:
        """The file as it is: collectors, interval, rate."""
        self._interval = float(max(1, settings.get("DEFAULT", "vmi_vm_vn_uve_interval", int)))
        self._round_at = min(self._round_at, now + self._interval)
        self.outbox.limit(settings.get("DEFAULT", "sandesh_send_rate_limit", int), now)
        self.generator.configure(settings.get("DEFAULT", "collectors", tuple), now)

    def follow(self, delta: Delta) -> None:
        """What a batch of the compiler made different: its ports' UVEs are made soon."""
        if delta.vmis or delta.unplugged or delta.acls:
            self._world = None
        if not self.generator.configured:
            return
        for row in delta.vmis:
            self._mark(row)
        for row in delta.unplugged:
            self._mark(row)
            self._want(TAGS, row.config_name)
            self._want(STATS, row.config_name)
        self._changed.update(delta.flow_ports)

    def deadline(self) -> float | None:
        """When `turn` is wanted; None: never."""
        if not self.generator.configured:
            return None
        if self._run:
            return self._batch_at - PAUSE
        waits = self._changed or any(self._due.values())
        return min(self._batch_at, self._round_at) if waits else self._round_at

    def turn(self, node: Node, now: float) -> None:
        """Make UVEs for some milliseconds, if it is time for any."""
        if not self.generator.configured:
            return
        if not self._run and now >= min(self._batch_at, self._round_at):
            self._begin(node, now)
        until = node.clock() + SLICE
        while self._run and node.clock() <= until:
            if not self._step(self._run[0], self._now(node)):
                self._run.popleft()

    def refreshed(self, node: Node, message: str, key: str = "") -> Iterator[Uve]:
        """The UVEs of a message, or that of one key, each made anew when it is asked for.

        It does not matter whether collectors are configured. BugError: it is never made.
        """
        builder = self.builders.get(message)
        if builder is None:
            raise BugError(f"there are no UVEs {message}")
        keys = [key] if key else list(builder.keys(self._now(node)))
        for each in keys:
            self._make(builder, self._now(node), each)
            uve = self.cache.get(message, each)
            if uve is not None and not uve.deleted:
                yield uve

    # Inside

    def _now(self, node: Node) -> World:
        """The world as it is now: its groupings are kept until a port changes."""
        if self._world is None:
            self._world = World(node, self.generator)
        return self._world

    def _mark(self, row: Vmi) -> None:
        if row.config_name:
            self._changed.add(row.uuid)
            self._want(PORT, row.config_name)
            if row.vn is not None:
                self._want(NETWORK, row.vn.name)
            self._want(MACHINE, str(row.vm_uuid))

    def _want(self, message: str, key: str) -> None:
        if key and message in self._due:
            self._due[message][key] = None

    def _begin(self, node: Node, now: float) -> None:
        """Another batch of each message of which something is due; of all in a new round."""
        survey = now >= self._round_at
        if survey:
            self._round_at = now + self._interval
        self._resolve(node)
        self._run.extend(
            _Batch(builder, survey)
            for message, builder in self.builders.items()
            if survey or self._due[message]
        )
        self._batch_at = now + PAUSE

    def _step(self, batch: _Batch, world: World) -> bool:
        """Do a little of a batch; whether more of it is left."""
        due = self._due[batch.builder.message]
        if batch.survey:
            batch.survey = False
            self._survey(batch.builder, world)
        elif due and batch.left:
            batch.left -= 1
            key = next(iter(due))
            del due[key]
            self._make(batch.builder, world, key)
        return bool(due and batch.left)

    def _survey(self, builder: Builder, world: World) -> None:
        """What counts is due, what is new, and what is gone."""
        keys = dict.fromkeys(builder.keys(world))
        known = dict.fromkeys(self.cache.keys(builder.message))
        due = self._due[builder.message]
        due.update((key, None) for key in keys if builder.sampled or key not in known)
        due.update((key, None) for key in known if key not in keys)

    def _resolve(self, node: Node) -> None:
        """Name the ports of which something changed that their row does not tell."""
        changed, self._changed = self._changed, set()
        for uuid in changed:
            row = node.compiler.vmi_by_uuid(uuid)
            if row is not None and row.config_name:
                self._want(PORT, row.config_name)
                self._want(TAGS, row.config_name)

    def _make(self, builder: Builder, world: World, key: str) -> None:
        try:
            values = builder.values(world, key)
        except Exception as error:  # the others are told all the same
            self.failures[builder.message] = f"{key}: {type(error).__name__}: {error}"
            return
        if values is None:
            self.outbox.delete(builder.message, key)
        else:
            self.outbox.put(builder.message, {"name": key} | dict(values))
