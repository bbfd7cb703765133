"""Kernel of the flow path: pairs of flows, from the trapped packet to the deleted entry."""

from collections.abc import Iterable
from mmap import mmap

from agent._fast.flow_world import World
from agent._fast.packet import FrameBatch

MILLISECONDS: int
"""In a second: what the pairs count time in; `int(now * MILLISECONDS)`, 32 bits in C."""

class FlowPairs:
    """All flows of a node. Times `now` are monotonic seconds; one thread uses it.

    `table_entries`: entries of the datapath's flow table, overflow included. `window`: requests
    under way at the same time; `share`: pairs that one interface may have in set-up while others
    wait; `queue`: trapped packets that wait for an interface's turn. `timeout`: seconds until
    an unanswered request is sent again; `short_time`: how long a flow that is refused stays
    in the table. `records`: ended flows that are kept until they are taken. `seed`: of the
    hash of keys, which nobody who sends packets may know; None: one of this process.
    """

    world: World

    def __init__(
        self,
        world: World,
        *,
        table_entries: int,
        window: int = 512,
        share: int = 128,
        queue: int = 256,
        timeout: float = 2.0,
        short_time: float = 5.0,
        records: int = 4096,
        pid: int = 0,
        seed: int | None = None,
    ) -> None:
        """ValueError for numbers that cannot be."""

    # -- trapped packets and turns
    def traps(self, batch: FrameBatch, now: float) -> list[int]:
        """Take flow traps (6, 15) out of a batch; the positions that are left for others.

        Flow packets wait in a bounded queue of their interface; `turn` decides on them.
        """

    def turn(self, now: float) -> bool:
        """Do a bounded amount of what waits (packets, changed flows); whether more waits."""

    @property
    def pending(self) -> bool:
        """Whether `turn` has something to do now."""

    @property
    def sendable(self) -> bool:
        """Whether `take_output` has something to send now."""

    def tick(self, now: float) -> None:
        """Time-outs, retries and the end of short flows that are due."""

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""

    # -- the datapath's control socket: bytes out, bytes in
    def take_output(self, most: int, now: float) -> memoryview:
        """Requests to send, at most `most` bytes, valid until the next call. Whole frames.

        What is taken counts as sent. Empty when nothing waits or the window is full.
        """

    def answers(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Bytes that the datapath sent, cut anywhere. WireError: the stream is out of step,
        close the connection."""

    def connected(self, now: float) -> None:
        """A fresh connection: what was unanswered is asked again."""

    def disconnected(self, now: float) -> None:
        """The connection is lost; requests without an answer become unsure."""

    def reset(self, now: float) -> None:
        """The datapath's table is empty (it began anew): all pairs end, indices are forgotten."""

    def watch(self, table: bytes | bytearray | memoryview | mmap | None) -> None:
        """The mapped table, for last looks at entries that go; None: let go of the mapping.

        A scanner does this for its pairs. ValueError for what is no table.
        """

    # -- changes from outside; those of the world are found by `turn`
    def end(self, pair: int, now: float) -> bool:
        """Delete a flow on request; False when there is none."""

    def take_signals(self) -> list[tuple[int, bool]]:
        """VMs whose limit was reached (True: drop new flows) or that fell below 90 % (False)."""

    # -- looking
    def __len__(self) -> int:
        """Pairs in use, those that are being deleted included."""

    def find(self, key: bytes) -> int | None:
        """The pair with a flow key of 20 or 44 bytes, of either direction."""

    def owner(self, index: int) -> tuple[int, int] | None:
        """The pair and side that own an index of the table."""

    def pairs(self, start: int = 0, most: int = 1024) -> list[int]:
        """Numbers of pairs in use, from `start` on."""

    def describe(self, pair: int) -> dict[str, object]:
        """All that is known of a pair, for people and tools; KeyError when there is none."""

    def decided_by(
        self, rules: Iterable[int], start: int = 0, look: int = 65536, most: int = 64
    ) -> tuple[list[int], list[int], int | None]:
        """Pairs that these rules of the classifier decided on, out of the next `look` pairs.

        Gives for each rule how many there are, the first `most` of the pairs (where the
        search ends; 0: none, it goes on), and where to start next time, None at the end.
        """

    def flows_of(self, vif: int) -> int:
        """Flows (two a pair) that the limits of an interface count."""

    def dropped_of(self, vif: int) -> int:
        """Trapped packets of an interface that found its queue full."""

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name."""

    @property
    def memory(self) -> int:
        """Bytes allocated for pairs, hash and indices."""

    def take_records(self, most: int = 1024) -> list[FlowRecord]:
        """Flows that ended, oldest first; what was not taken in time is counted as lost."""

class FlowRecord:
    """One ended pair. Keys are the table's bytes, times milliseconds of the pairs' clock."""

    serial: int
    forward: bytes
    reverse: bytes
    started: int
    ended: int
    why: str
    reason: int
    action: int
    flags: int
    vif: int
    vrf: int
    bytes: tuple[int, int]
    packets: tuple[int, int]
    rules: tuple[int, int]
    """Rule numbers of the classifier: network or firewall policy, security group."""
