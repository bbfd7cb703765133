"""Makes the datapath equal to the desired objects, one acknowledged step at a time.

Guarantees G1 to G5 and G7 of docs/architecture.md, section 4. Every change of a record
ends in `_update`, which alone decides whether the record is queued; what is sent, and in
which form, is decided when it leaves the queue (`take`), so changes coalesce.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from agent._fast.records import Record, launch
from agent.ksync.compare import same, uses
from agent.ksync.counters import Backlog, Counters
from agent.ksync.events import Event, Refused, Released
from agent.ksync.objects import (
    delete_of,
    identity_of,
    means_absent,
    needs_recreation,
)
from agent.ksync.record import RecordView, view
from agent.ksync.registry import Registry, ring_of
from agent.ksync.retries import Retries
from agent.objects import DatapathMessage, Desired, Identity, Key, Kind

_MOST_LOOKS = 4096
"""Refused records that a look goes over, so that it never takes long."""


class Reconciler:
    """The records of all objects and what is to be sent next. Knows no connection.

    `jitter` gives a number in [0, 1) for each retry.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._registry = Registry()
        self._queue: deque[Record] = deque()
        self._retries = Retries(jitter)
        # Inet routes whose delete waits for the answer to their covering route.
        self._parked: dict[Record, dict[Record, None]] = {}
        self._known = False  # what the datapath holds
        self._complete = False
        self._open = 0  # records that are not settled
        self._in_flight = 0
        self._blocked: set[Record] = set()  # to be deleted, but in use
        self._forced: set[Record] = set()  # to be deleted although in use
        self._denied: dict[Record, None] = {}  # whose last request was refused
        self._going = 0
        self._events: list[Event] = []
        self.counters = Counters()

    # ---- what the owner and the session ask

    @property
    def in_sync(self) -> bool:
        return self._known and not self._open and not self._registry.rivals

    def backlog(self, frames: int) -> Backlog:
        """What is not done now; `frames` wait for their reply."""
        return Backlog(len(self._queue), self._in_flight, self._open, frames)

    def events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def deadline(self) -> float | None:
        return self._retries.next() if self._known else None

    def snapshot(self) -> Iterator[RecordView]:
        """Every slot's record, for tools."""
        for record in self._registry:
            shown = view(record, self._complete)
            if shown is not None:
                yield shown

    def look(self, at: Identity | Key) -> RecordView | None:
        """The record of a slot, or the one that a key has."""
        record = self._find(at)
        return view(record, self._complete) if record else None

    def beneath(self, at: Identity | Key) -> list[RecordView]:
        """The records that what is desired at a slot refers to."""
        record = self._find(at)
        return self._views(record.refs) if record else []

    def above(self, at: Identity | Key, most: int) -> tuple[list[RecordView], int]:
        """Up to `most` of the records that refer to it, and how many there are."""
        record = self._find(at)
        users = (record.dependents if record else None) or {}
        return self._views(islice(users, most)), len(users)

    def routes(self) -> Mapping[int, int]:
        """How many routes each VRF has, desired or programmed."""
        return dict(self._registry.occupants)

    def identities(self) -> tuple[Identity, ...]:
        """Every slot that is desired or programmed."""
        return tuple(self._registry.slots)

    @property
    def unsettled(self) -> int:
        """Slots that are not yet as desired."""
        return self._open

    def refused(self, most: int) -> tuple[list[RecordView], int]:
        """Up to `most` of the records whose last request was refused, and how many there are."""
        gone = [record for record in islice(self._denied, _MOST_LOOKS) if not record.errno]
        for record in gone:
            del self._denied[record]
        return self._views(islice(self._denied, most)), len(self._denied)

    def _find(self, at: Identity | Key) -> Record | None:
        if isinstance(at, Identity):
            return self._registry.slots.get(at)
        return self._registry.owner(at)

    def _views(self, records: Iterable[Record]) -> list[RecordView]:
        shown = (view(record, self._complete) for record in records)
        return [one for one in shown if one is not None]

    def vrfs(self) -> set[int]:
        """The VRFs in which routes are desired or were seen."""
        return self._registry.vrfs()

    # ---- desired state

    def apply(self, changes: Iterable[Desired], removed: Iterable[Key]) -> None:
        """Take over desired objects; a key in both ends present. Order does not matter."""
        touched: list[Record] = []
        if self._known and not (self._registry.rivals or self._going):
            removed, opened = self._registry.retire(removed, self._queue)
            self._open += opened
        for key in removed:
            self._withdraw(key, touched)
        if not self._registry.rivals:
            changes, opened, adopted = self._registry.admit(changes, self._queue, self._known)
            self._open += opened
            self.counters.adopted += adopted
        for desired in changes:
            self._want(desired, touched)
        for record in touched:
            if self._known:
                if record.programmed is not None or self._going:
                    self._assess(record)
                self._set_ready(record)
            self._update(record)

    def complete(self) -> None:
        """All that is desired has been applied: what is left over may be swept."""
        if self._complete:
            return
        self._complete = True
        for record in list(self._registry):
            if record.stale:
                self._update(record)

    def _want(self, desired: Desired, touched: list[Record]) -> None:
        identity = identity_of(desired.message)
        record = self._registry.owner(desired.key)
        if record is None or record.identity != identity:
            record = self._occupy(desired, identity, record, touched)
            if record is None:
                return
        before = record.desired
        record.desired = desired
        record.stale = False
        if before is None or before.refs != desired.refs:
            self._registry.refer(record, desired.refs)
        if before is None or before.message != desired.message:
            self._retries.free(record)
            self._compare(record)
        touched.append(record)

    def _occupy(
        self, desired: Desired, identity: Identity, record: Record | None, touched: list[Record]
    ) -> Record | None:
        """Bind a key to a slot that it does not have yet; None if another key has it."""
        registry = self._registry
        registry.drop_rival(desired.key)
        if record is not None and record.identity is not None:
            touched += registry.detach(record)
            self._vacate(record, touched)
        slot = registry.slot(identity)
        if slot.desired is not None:
            registry.add_rival(identity, desired)
            return None
        touched += registry.detach(slot)
        touched += registry.attach(slot, desired.key)
        return slot

    def _withdraw(self, key: Key, touched: list[Record]) -> None:
        if self._registry.drop_rival(key):
            return
        record = self._registry.owner(key)
        if record is not None and record.desired is not None:
            self._vacate(record, touched)

    def _vacate(self, record: Record, touched: list[Record]) -> None:
        """The slot is no longer desired by its owner; the next key that waits takes over."""
        record.desired = None
        record.differs = False
        self._registry.set_refs(record, record.programmed_refs)
        self._retries.free(record)
        touched.append(record)
        assert record.identity is not None
        rival = self._registry.next_rival(record.identity)
        if rival is not None:
            self._want(rival, touched)

    def _compare(self, record: Record) -> None:
        """Find out whether a slot that may be programmed must be written."""
        if record.programmed is None or record.desired is None:
            record.differs = False
            return
        message = record.desired.message
        if record.programmed_key is None and not record.unsure:
            record.differs = not same(record.programmed, message)
            if not record.differs:
                record.programmed = message
                self.counters.adopted += 1
        else:
            record.differs = record.unsure or record.programmed != message
        if not record.differs:
            record.programmed_key = record.key

    # ---- readiness

    def _set_ready(self, record: Record) -> None:
        """Dependents may leave once this one is there, accepted and not about to go."""
        ready = (
            record.stands
            and record.desired is not None
            and not record.going
            and not record.deleting
            and not record.errno
        )
        if ready is record.ready:
            return
        record.ready = ready
        for dependent in list(record.dependents or ()):
            if ready:
                dependent.missing -= 1
                if not dependent.missing:
                    self._update(dependent)
            else:
                dependent.missing += 1

    def _must_go(self, record: Record) -> bool:
        """The slot must be emptied before it can be as desired.

        Either the datapath refuses such a change; or the slot serves another key now and
        objects still use it as the old one's; or (passed on) a slot that it uses must be
        emptied, and it cannot simply move, because what it shall use instead is stalled.
        """
        if record.programmed is None:
            return False
        if record.desired is not None and record.differs:
            dumped = record.programmed_key is None
            if needs_recreation(record.programmed, record.desired.message, dumped=dumped):
                return True
            if record.in_use and record.programmed_key not in (None, record.key):
                return True
        if not self._going or not any(ref.going for ref in record.programmed_refs):
            return False
        return record.desired is None or any(ref.is_stalled() for ref in record.refs)

    def _assess(self, record: Record) -> None:
        """Find out whether a slot must be emptied, and pass on what that changes."""
        stack = [record]
        passed: set[Record] = set()
        while stack:
            each = stack.pop()
            going = self._must_go(each)
            if going is not each.going:
                each.going = going
                self._going += 1 if going else -1
                self._set_ready(each)
                stack += each.dependents or ()
                stack += each.users or ()
                self._update(each)
            elif not each.stands and self._going and each not in passed:
                passed.add(each)  # it may be stalled, or no longer
                stack += each.dependents or ()

    def _update(self, record: Record) -> None:
        """After any change of a record: count it, queue it, or forget it."""
        if not self._known or record.identity is None:
            return
        is_open = not record.is_settled(self._complete)
        if is_open is not record.counted_open:
            record.counted_open = is_open
            self._open += 1 if is_open else -1
        if record.sent is not None or record.queued or record.held:
            return
        if record.desired is None and record.programmed is None:
            self._forget(record)
        elif self._is_due(record):
            record.queued = True
            self._queue.append(record)
        elif record.in_use and record.is_deletable(self._complete):
            self._blocked.add(record)

    def _is_due(self, record: Record) -> bool:
        if record.is_deletable(self._complete):
            return not record.in_use or record in self._forced
        if record.desired is None or record.missing:
            return False
        return record.programmed is None or record.differs

    def _forget(self, record: Record) -> None:
        assert record.identity is not None
        key = record.key or record.programmed_key
        self._events.append(Released(record.identity, key))
        self._denied.pop(record, None)
        emptied = self._registry.drop(record)
        if emptied is not None:
            self._update(emptied)

    # ---- sending

    def take(self, limit: int) -> tuple[list[Record], list[DatapathMessage]]:
        """Up to `limit` messages that may leave now; each is in flight from here on."""
        queue = self._queue
        if self._blocked and not queue and not self._in_flight:
            self._break_cycle()
        records, messages = launch(queue, limit, self.counters.writes)
        while queue and len(records) < limit:
            record = queue.popleft()
            record.queued = False
            if record.sent is not None or record.held:
                continue
            if not self._is_due(record):
                self._update(record)
                continue
            message = self._add(record) if self._is_add(record) else self._delete(record)
            if message is not None:
                record.sent = message
                record.use(record.sent_refs)
                records.append(record)
                messages.append(message)
        self._in_flight += len(records)
        return records, messages

    def _break_cycle(self) -> None:
        """At rest with deletes that wait: if they wait for each other, force one.

        Desired objects form no cycle, but changes in place can leave one behind in the
        datapath (a vif mirrored through a nexthop that leaves by this vif).
        """
        self._blocked = {
            record
            for record in self._blocked
            if record.identity is not None and record.in_use and not record.held
            if record.is_deletable(self._complete)
        }
        ring = ring_of(self._blocked)
        if ring:
            first = min(ring, key=lambda record: str(record.identity))
            self._forced.add(first)
            self._update(first)

    def _is_add(self, record: Record) -> bool:
        return not record.is_deletable(self._complete)

    def _add(self, record: Record) -> DatapathMessage:
        assert record.desired is not None
        assert record.identity is not None
        record.sent_refs = record.refs
        record.sent_key = record.key
        verb = "add" if record.programmed is None else "change"
        self.counters.writes[record.identity.kind.value, verb] += 1
        return record.desired.message

    def _delete(self, record: Record) -> DatapathMessage | None:
        """The DEL of a slot; None while an inet route's covering route is in flight.

        The DEL names the covering route's nexthop, which must stay until the answer.
        """
        assert record.programmed is not None
        assert record.identity is not None
        cover = self._registry.cover(record)
        if cover is not None and cover.sent is not None:
            self._parked.setdefault(cover, {})[record] = None
            return None
        record.deleting = True
        record.sent_refs = cover.programmed_refs if cover is not None else ()
        self._set_ready(record)
        self.counters.writes[record.identity.kind.value, "del"] += 1
        return delete_of(record.programmed, cover.programmed if cover is not None else None)

    # ---- answers

    def accepted(self, records: Sequence[Record], now: float) -> None:
        """The datapath accepted the messages of all these."""
        if self._denied:
            for record in records:
                self._denied.pop(record, None)
        if not (self._going or self._forced or self._parked):
            gone: list[tuple[Identity, Key]] = []
            touched: list[Record] = []
            records, settled = self._registry.confirm(records, gone, touched)
            self.counters.acks += settled
            self._in_flight -= settled
            self._open -= settled
            self._events += [Released(*each) for each in gone]
            for record in touched:
                self._update(record)
        for record in records:
            self.answered(record, 0, now)

    def answered(self, record: Record, code: int, now: float) -> None:
        """The datapath's answer to the message of `record`: negative errno or success."""
        sent = record.sent
        if sent is None:
            return  # given up meanwhile
        assert record.identity is not None
        self._in_flight -= 1
        self._forced.discard(record)
        record.sent = None
        deleting, record.deleting = record.deleting, False
        error = -code if code < 0 else 0
        if deleting and (not error or means_absent(record.identity.kind, sent, error)):
            self._deleted(record)
        elif not deleting and error in (0, errno.EEXIST):
            self._added(record, sent)
        else:
            self._refused(record, sent, deleting, error, now)
        for parked in self._parked.pop(record, ()):
            self._update(parked)

    def _added(self, record: Record, sent: DatapathMessage) -> None:
        old = record.programmed_refs
        record.programmed = sent
        record.programmed_key = record.sent_key
        record.programmed_refs, record.sent_refs = record.sent_refs, ()
        record.unsure = False
        self._accepted(record)
        desired = record.desired
        record.differs = (
            desired is not None and desired.message is not sent and desired.message != sent
        )
        if old is not record.programmed_refs:
            self._release(record, old, record.programmed_refs)
        if desired is None:
            self._registry.set_refs(record, record.programmed_refs)
        if record.differs or self._going:
            self._assess(record)
        self._set_ready(record)
        self._update(record)
        if self._retries:
            for dependent in list(record.dependents or ()):
                self._retry(dependent)

    def _deleted(self, record: Record) -> None:
        old = record.programmed_refs + record.sent_refs
        record.programmed = None
        record.programmed_refs = record.sent_refs = ()
        record.differs = record.unsure = False
        if record.stale:
            self.counters.swept += 1
        self._accepted(record)
        self._release(record, old, ())
        if self._going:
            self._assess(record)
        self._set_ready(record)
        self._update(record)

    def _accepted(self, record: Record) -> None:
        self.counters.acks += 1
        self._denied.pop(record, None)
        record.errno = 0
        record.attempts = 0

    def _refused(
        self, record: Record, sent: DatapathMessage, deleting: bool, error: int, now: float
    ) -> None:
        refs, record.sent_refs = record.sent_refs, ()
        record.refusals += 1
        self._denied[record] = None
        self.counters.nacks[error] += 1
        assert record.identity is not None
        self._events.append(Refused(record.identity, record.key, error))
        if not deleting and record.programmed is not None:
            record.unsure = record.differs = True
        self._release(record, refs, record.programmed_refs)
        desired = record.desired
        if deleting:
            stands = desired is None or record.going
        else:
            stands = desired is not None and desired.message == sent
        if stands:  # else something newer is wanted, and has not been tried
            self._retries.hold(record, error, now)
        self._assess(record)
        self._set_ready(record)
        self._update(record)

    def _retry(self, record: Record) -> None:
        """A referent has changed: what was refused may be accepted now."""
        if self._retries.free(record):
            self._update(record)

    def _release(self, record: Record, refs: Iterable[Record], kept: tuple[Record, ...]) -> None:
        """`record` no longer uses `refs`, except those that are also in `kept`."""
        for ref in refs:
            if ref.users and ref not in kept:
                ref.users.pop(record, None)
                if not ref.users:
                    if ref.going:
                        self._assess(ref)
                    self._update(ref)

    def tick(self, now: float) -> None:
        """Try again what was refused long enough ago."""
        for record in self._retries.due(now):
            self._update(record)

    # ---- connections

    def unknown(self) -> None:
        """The connection is lost: nothing in flight will be answered, anything may be there."""
        self._known = False
        self._open = self._going = self._in_flight = 0
        self._queue.clear()
        self._blocked.clear()
        self._forced.clear()
        self._denied.clear()
        self._parked.clear()
        self._retries.clear()
        for record in self._registry:
            record.programmed = record.programmed_key = record.sent = None
            record.programmed_refs = record.sent_refs = ()
            record.users = None
            record.errno = record.attempts = 0
            record.deleting = record.unsure = record.differs = False
            record.ready = record.going = record.held = False
            record.queued = record.counted_open = False
            record.missing = len(record.refs)

    def learn(self, dumped: Iterable[DatapathMessage]) -> None:
        """What the datapath holds after `unknown`: adopt what is right, queue the rest."""
        registry = self._registry
        found: list[Record] = []
        known = list(registry)
        spotted, others = registry.spot(dumped)
        for message in others:
            identity = identity_of(message)
            is_new = identity not in registry.slots
            record = registry.slot(identity)
            if record.programmed is None:
                found.append(record)
            record.programmed = message
            record.stale = record.stale or is_new
        for record in found:
            self._learn_uses(record)
        registry.trace(spotted)
        for record in found:
            if record.desired is None:
                registry.set_refs(record, record.programmed_refs)
            else:
                self._compare(record)
        self._known = True
        everything = dict.fromkeys([*known, *found, *(spotted if self._complete else ())])
        for record in everything:
            self._assess(record)
            self._set_ready(record)
        for record in everything:
            self._update(record)

    def found(self, held: Iterable[DatapathMessage]) -> None:
        """The datapath was seen to hold these though nobody asked: what is not wanted goes."""
        for message in held:
            record = self._registry.slot(identity_of(message))
            if not self._known or record.programmed is not None or record.sent is not None:
                continue
            record.programmed = message
            self._learn_uses(record)
            if record.desired is None:
                self._registry.set_refs(record, record.programmed_refs)
            else:
                self._compare(record)
            self._assess(record)
            self._set_ready(record)
            self._update(record)

    def _learn_uses(self, record: Record) -> None:
        """Hold what a dumped object uses; what uses a missing nexthop must be written again."""
        assert record.programmed is not None
        refs: list[Record] = []
        for identity in uses(record.programmed):
            ref = self._registry.slots.get(identity)
            if ref is not None and ref.programmed is not None:
                refs.append(ref)
            elif identity.kind is Kind.NEXTHOP:
                record.unsure = True
        record.programmed_refs = tuple(dict.fromkeys(refs))
        record.use(record.programmed_refs)
