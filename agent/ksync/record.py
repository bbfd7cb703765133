"""One record per datapath slot: what is wanted there, what is known to be there.

The state that users see (`State`) is derived from the record's members, never stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from agent.ksync.objects import Identity
from agent.objects import DatapathMessage, Desired, Key


class State(Enum):
    """The derived state of a record (facts style-anchors.md, "five states")."""

    WAIT = "wait"  # a referent is not there yet, or (delete) a referrer still is
    DUE = "due"  # differs and may be sent now
    SENT = "sent"  # one request in flight; newer wishes just wait
    SYNCED = "synced"  # programmed is desired
    HELD = "held"  # refused; retried at a deadline or when a referent changes


class Record:
    """A slot of the datapath, or (identity None) a key that is referred to but not wanted.

    `refs` and `dependents` are the two ends of the desired references; `programmed_refs`
    and `sent_refs` are the slots that the acknowledged message and the one in flight use,
    `users` their other end. `programmed_key` is None for what a dump told. Dependents and
    users are kept in order, so that the same calls always send in the same order; they are
    made when needed: most records are routes, which nothing refers to.
    """

    __slots__ = (
        "attempts",
        "counted_open",
        "deleting",
        "dependents",
        "desired",
        "differs",
        "errno",
        "going",
        "held",
        "identity",
        "key",
        "missing",
        "occupants",
        "programmed",
        "programmed_key",
        "programmed_refs",
        "queued",
        "ready",
        "refs",
        "refusals",
        "sent",
        "sent_key",
        "sent_refs",
        "stale",
        "unsure",
        "users",
    )

    def __init__(self, identity: Identity | None, key: Key | None) -> None:
        self.identity = identity
        self.key = key
        self.desired: Desired | None = None
        self.refs: tuple[Record, ...] = ()
        self.missing = 0  # how many of refs are not ready
        self.dependents: dict[Record, None] | None = None
        self.programmed: DatapathMessage | None = None
        self.programmed_key: Key | None = None
        self.programmed_refs: tuple[Record, ...] = ()
        self.users: dict[Record, None] | None = None
        self.occupants = 0  # of a VRF: the routes that have a slot in it
        self.sent: DatapathMessage | None = None
        self.sent_key: Key | None = None
        self.sent_refs: tuple[Record, ...] = ()
        self.deleting = False  # the message in flight is a DEL
        self.unsure = False  # a change was refused: who knows what is there now
        self.differs = False  # programmed is not known to be desired
        self.ready = False  # dependents may be sent
        self.going = False  # must leave the datapath before it can be as desired
        self.stale = False  # found in a dump and not claimed yet
        self.held = False
        self.errno = 0  # of the last refusal, 0 after success
        self.attempts = 0  # refusals in a row
        self.refusals = 0
        self.queued = False
        self.counted_open = False

    @property
    def in_use(self) -> bool:
        """Others must leave the datapath before this one can."""
        return bool(self.users) or self.occupants > 0

    def use(self, refs: Iterable[Record]) -> None:
        """Enter this record among the users of `refs`."""
        for ref in refs:
            if ref.users is None:
                ref.users = {self: None}
            else:
                ref.users[self] = None

    def is_stalled(self) -> bool:
        """Not to be counted on soon: it must go first or waits for what must, it is refused,
        or nobody wants it."""
        if self.going or self.errno or self.desired is None:
            return True
        return self.programmed is None and any(ref.is_stalled() for ref in self.refs)

    def is_deletable(self, complete: bool) -> bool:
        """Programmed and not to stay, or to leave for a moment; referrers apart."""
        if self.programmed is None:
            return False
        return self.going or (self.desired is None and (complete or not self.stale))

    def is_settled(self, complete: bool) -> bool:
        """Nothing is left to do for this record."""
        if self.sent is not None or self.held:
            return False
        if self.desired is None:
            return self.programmed is None or (self.stale and not complete and not self.going)
        return self.programmed is not None and not self.differs and not self.going

    def state(self, complete: bool) -> State:
        if self.sent is not None:
            return State.SENT
        if self.held:
            return State.HELD
        if self.is_deletable(complete):
            return State.WAIT if self.in_use else State.DUE
        if self.desired is None:
            return State.WAIT
        if self.programmed is not None and not self.differs:
            return State.SYNCED
        return State.WAIT if self.missing else State.DUE


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
        state=record.state(complete),
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
