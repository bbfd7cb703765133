"""Which key owns which slot, who refers to whom, and which route covers which.

References are held between records, by key: a key that is referred to before anyone wants
it has a record without a slot, so that its dependents are found when it appears.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent._fast.records import Ledger, Record
from agent.objects import Desired, Identity, Key, Kind

_ROUTES = frozenset({Kind.INET_ROUTE, Kind.BRIDGE_ROUTE})


class Registry(Ledger):
    """The records by slot and by key. Keeps no opinion on when anything is sent."""

    def __init__(self) -> None:
        super().__init__()
        # Keys that want a slot which another key has: at most one slot each.
        self._rivals: dict[Identity, dict[Key, Desired]] = {}
        self._rivalry: dict[Key, Identity] = {}

    def __iter__(self) -> Iterator[Record]:
        return iter(self.slots.values())

    @property
    def rivals(self) -> int:
        """Keys that wait for a slot of another key."""
        return len(self._rivalry)

    def owner(self, key: Key) -> Record | None:
        return self.owners.get(key)

    def slot(self, identity: Identity) -> Record:
        """The record of a slot, made when there is none."""
        record = self.slots.get(identity)
        if record is None:
            record = self.slots[identity] = Record(identity, None)
            if identity.kind is Kind.VRF:
                record.occupants = self.occupants.get(identity.number, 0)
            elif identity.kind in _ROUTES:
                self.count_route(identity, 1)
        return record

    def vrfs(self) -> set[int]:
        """The VRFs in which this side knows routes."""
        return set(self.occupants)

    def drop(self, record: Record) -> Record | None:
        """Forget a slot, whose record loses its identity; its key stays while referred to.

        Returns the record of the VRF that has lost its last route, if so.
        """
        identity = record.identity
        assert identity is not None
        del self.slots[identity]
        emptied = self.count_route(identity, -1) if identity.kind in _ROUTES else None
        record.identity = None
        self.set_refs(record, ())
        self.detach(record)
        return emptied

    # ---- keys and slots

    def detach(self, record: Record) -> list[Record]:
        """Part a slot from its key. Returns the dependents, which now lack a referent."""
        key, record.key = record.key, None
        if key is None:
            return []
        del self.owners[key]
        vacant = Record(None, key)
        moved = self._transfer(record, vacant)
        if moved:
            self.owners[key] = vacant
        return moved

    def attach(self, record: Record, key: Key) -> list[Record]:
        """Give an ownerless slot to `key`. Returns the dependents that came along."""
        vacant = self.owners.get(key)
        self.owners[key] = record
        record.key = key
        return self._transfer(vacant, record) if vacant is not None else []

    def _transfer(self, source: Record, target: Record) -> list[Record]:
        # What is merely left over refers to the slot, whoever owns it.
        moved = [each for each in source.dependents or () if each.desired is not None]
        if moved and source.dependents is not None:
            for record in moved:
                del source.dependents[record]
        if moved and target.dependents is None:
            target.dependents = {}
        for record in moved:
            refs = (target if ref is source else ref for ref in record.refs)
            record.refs = tuple(dict.fromkeys(refs))
            record.missing = sum(not ref.ready for ref in record.refs)
            target.dependents[record] = None  # type: ignore[index]
        return moved

    # ---- references

    def refer(self, record: Record, keys: Iterable[Key]) -> None:
        """Make `keys` the references of `record`."""
        owners = self.owners
        refs = []
        for key in keys:
            ref = owners.get(key)
            if ref is None:
                ref = owners[key] = Record(None, key)
            refs.append(ref)
        self.set_refs(record, tuple(refs) if len(refs) < 2 else tuple(dict.fromkeys(refs)))

    def set_refs(self, record: Record, refs: tuple[Record, ...]) -> None:
        """Replace the references of `record`; the vacant keys that nobody needs go."""
        old = record.refs
        record.refs = refs
        missing = 0
        for ref in refs:
            if ref.dependents is None:
                ref.dependents = {record: None}
            else:
                ref.dependents[record] = None
            missing += not ref.ready
        record.missing = missing
        for ref in old:
            if ref not in refs and ref.dependents:
                ref.dependents.pop(record, None)
                if ref.identity is None:
                    self._drop_vacant(ref)

    def _drop_vacant(self, record: Record) -> None:
        key = record.key
        if not record.dependents and key is not None and self.owners.get(key) is record:
            del self.owners[key]

    # ---- rivals

    def add_rival(self, identity: Identity, desired: Desired) -> None:
        """`desired` wants a slot that another key has: it waits for its turn."""
        self._rivalry[desired.key] = identity
        self._rivals.setdefault(identity, {})[desired.key] = desired

    def drop_rival(self, key: Key) -> bool:
        """The key no longer waits for a slot of another key. False if it did not."""
        identity = self._rivalry.pop(key, None)
        if identity is None:
            return False
        waiting = self._rivals[identity]
        del waiting[key]
        if not waiting:
            del self._rivals[identity]
        return True

    def next_rival(self, identity: Identity) -> Desired | None:
        """Who takes over a slot that its owner has given up."""
        waiting = self._rivals.get(identity)
        if waiting is None:
            return None
        desired = next(iter(waiting.values()))
        self.drop_rival(desired.key)
        return desired


def ring_of(blocked: set[Record]) -> set[Record]:
    """Of the slots that cannot be deleted because they are in use: those that only wait
    for each other. Empty when something else has to happen first."""
    ring = {record for record in blocked if not record.occupants}
    while ring:
        inner = {record for record in ring if record.users and record.users.keys() <= ring}
        if inner == ring:
            break
        ring = inner
    return ring
