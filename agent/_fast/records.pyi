"""Records of datapath slots and the straight way of routes; see records.pyx."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from agent.objects import DatapathMessage, Desired, Identity, Key
from agent.sandesh.vrouter import VrRouteReq

class Record:
    """A slot of the datapath, or (identity None) a key that is referred to but not wanted."""

    identity: Identity | None
    key: Key | None
    desired: Desired | None
    refs: tuple[Record, ...]
    dependents: dict[Record, None] | None
    programmed: DatapathMessage | None
    programmed_key: Key | None
    programmed_refs: tuple[Record, ...]
    users: dict[Record, None] | None
    sent: DatapathMessage | None
    sent_key: Key | None
    sent_refs: tuple[Record, ...]
    missing: int
    occupants: int
    errno: int
    attempts: int
    refusals: int
    deleting: bool
    unsure: bool
    differs: bool
    ready: bool
    going: bool
    stale: bool
    held: bool
    queued: bool
    counted_open: bool
    def __init__(self, identity: Identity | None, key: Key | None) -> None: ...
    @property
    def stands(self) -> bool: ...
    @property
    def in_use(self) -> bool: ...
    def use(self, refs: tuple[Record, ...]) -> None: ...
    def is_stalled(self) -> bool: ...
    def is_deletable(self, complete: bool) -> bool: ...
    def is_settled(self, complete: bool) -> bool: ...

class Ledger:
    """The records by slot and by key, and how many routes there are."""

    slots: dict[Identity, Record]
    owners: dict[Key, Record]
    lengths: dict[tuple[int, int], list[int]]
    occupants: dict[int, int]
    def count_route(self, identity: Identity, change: int) -> Record | None: ...
    def cover(self, record: Record) -> Record | None: ...
    def retire(self, keys: Iterable[Key], queue: deque[Record]) -> tuple[list[Key], int]: ...
    def admit(
        self, changes: Iterable[Desired], queue: deque[Record], known: bool
    ) -> tuple[list[Desired], int, int]: ...
    def spot(
        self, dumped: Iterable[DatapathMessage]
    ) -> tuple[list[Record], list[DatapathMessage]]: ...
    def trace(self, spotted: Iterable[Record]) -> None: ...
    def confirm(
        self,
        records: Sequence[Record],
        gone: list[tuple[Identity, Key]],
        touched: list[Record],
    ) -> tuple[list[Record], int]: ...

def route_identity(message: VrRouteReq) -> Identity: ...
def route_content(route: VrRouteReq) -> tuple[int, int, int, bytes]: ...
def routes_of_leaves(leaves: Iterable[VrRouteReq]) -> list[VrRouteReq]: ...
def launch(
    queue: deque[Record], limit: int, writes: Counter[tuple[str, str]]
) -> tuple[list[Record], list[DatapathMessage]]: ...
def accepted(data: bytearray, ack: bytes, seq: int, count: int) -> int: ...
