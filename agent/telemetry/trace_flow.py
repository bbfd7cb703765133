"""A followed flow: what would be decided on it, and what becomes of its entries.

Flows are decided in compiled code, by the hundred thousand, which tells nobody; whoever follows
one looks at it instead. So changes that come and go between two looks are not seen.
"""

from __future__ import annotations

from agent.errors import ConfigError
from agent.flow import FlowEngine
from agent.flow.question import Ports, packet
from agent.flow.words import ACTIONS, REASONS
from agent.shm.flow import FlowKey
from agent.telemetry.trace_subjects import FlowSubject

PERIOD = 0.2
"""Seconds between two looks."""


class FlowLook:
    """Tells what has changed since the last look."""

    def __init__(self, subject: FlowSubject, engine: FlowEngine, ports: Ports) -> None:
        self._question = subject.question
        self._engine = engine
        self._ports = ports
        self._verdict = ""
        self._entry = ""

    def news(self) -> list[str]:
        """What to tell now; at first both, then what is different."""
        told = []
        verdict = self._judged()
        if verdict != self._verdict:
            self._verdict = verdict
            told.append(verdict)
        entry = self._looked()
        if entry != self._entry:
            self._entry = entry
            told.append(entry)
        return told

    def _judged(self) -> str:
        try:
            answer = self._engine.explain(self._question)
        except ConfigError as error:
            return f"no decision: {error}"
        return f"decision: {answer['verdict']}"

    def _looked(self) -> str:
        pairs = self._engine.pairs
        if pairs is None:
            return "no flow table"
        try:
            key = self._key()
        except ConfigError:
            return "no entry: no port of this host"
        found = pairs.find(key)
        if found is None:
            return "no entry"
        pair = pairs.describe(found)
        sides = (f"{side}: {_side(pair[side])}" for side in ("forward", "reverse"))
        return f"entry {pair['state']}, {'; '.join(sides)}"

    def _key(self) -> bytes:
        first = packet(self._question, self._ports, self._engine.feed)
        asked = self._question
        return FlowKey(
            first.key_nexthop,
            asked.source,
            asked.destination,
            asked.protocol,
            first.source_port,
            first.destination_port,
        ).pack()


def _side(side: object) -> str:
    assert isinstance(side, dict)
    where = "no index yet" if side["index"] is None else f"index {side['index']}"
    reason = f", {_reason(side['reason'])}" if side["reason"] else ""
    return f"{where}, {ACTIONS[side['action']]}{reason}"


def _reason(number: int) -> str:
    return REASONS[number] if number < len(REASONS) else f"reason {number}"
