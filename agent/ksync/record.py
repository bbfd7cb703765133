"""One record per datapath slot, as users see it.

The record itself is compiled (`agent._fast.records`); its state is derived from its members,
never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent._fast.records import Record
from agent.objects import DatapathMessage, Identity, Key


class State(Enum):
    """The derived state of a record (facts style-anchors.md, "five states")."""

    WAIT = "wait"  # a referent is not there yet, or (delete) a referrer still is
    DUE = "due"  # differs and may be sent now
    SENT = "sent"  # one request in flight; newer wishes just wait
    SYNCED = "synced"  # programmed is desired
    HELD = "held"  # refused; retried at a deadline or when a referent changes


def state(record: Record, complete: bool) -> State:
    """The derived state of a record."""
    if record.sent is not None:
        return State.SENT
    if record.held:
        return State.HELD
    if record.is_deletable(complete):
        return State.WAIT if record.in_use else State.DUE
    if record.desired is None:
        return State.WAIT
    if record.programmed is not None and not record.differs:
        return State.SYNCED
    return State.WAIT if record.missing else State.DUE


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record as tools see it. `waits_for` names what it waits for, or is ""."""

    identity: Identity
    key: Key | None
    state: State
    waits_for: str
    errno: int
    refusals: int
    desired: DatapathMessage | None
    programmed: DatapathMessage | None


def view(record: Record, complete: bool) -> RecordView | None:
    """The view of a record; None for a key without a slot."""
    if record.identity is None:
        return None
    return RecordView(
        identity=record.identity,
        key=record.key,
        state=state(record, complete),
        waits_for=_waits_for(record, complete),
        errno=record.errno,
        refusals=record.refusals,
        desired=record.desired.message if record.desired else None,
        programmed=record.programmed,
    )


def _waits_for(record: Record, complete: bool) -> str:
    if record.sent is not None:
        return "an answer"
    if record.held:
        return "the next attempt"
    if record.is_deletable(complete):
        users = len(record.users or ()) + record.occupants
        return f"{users} objects that use it" if users else ""
    if record.desired is None and record.stale:
        return "complete configuration"
    if record.missing and (record.programmed is None or record.differs):
        missing = next(ref for ref in record.refs if not ref.ready)
        return str(missing.key or missing.identity)
    return ""
