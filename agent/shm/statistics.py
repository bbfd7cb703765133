"""What the entries of a flow table are, in numbers."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Self

from agent._fast import flow_table
from agent.shm.reasons import FLOW_DROP_REASONS

_ACTIONS = ("drop", "hold", "forward", "nat")


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """Entries in use by state, family and protocol; sums of their counters.

    `overflow` lie behind the main part. `corrupt` and `broken_chains` cannot be right and are
    in no other number; `torn` changed while they were looked at. TCP flows of which nothing
    was seen yet are in `tcp` alone.
    """

    active: int
    evicted: int
    evict_candidates: int
    delete_marked: int
    new_flows: int
    overflow: int
    inet: int
    inet6: int
    tcp: int
    udp: int
    icmp: int
    tcp_half_open: int
    tcp_established: int
    tcp_closed: int
    bytes: int
    packets: int
    corrupt: int
    torn: int
    broken_chains: int


_FIELDS = len(FlowCounts.__slots__)


@dataclass(frozen=True, slots=True)
class FlowStatistics:
    """The numbers of a whole table; `actions` and `drop_reasons` are by name, without zeros."""

    counts: FlowCounts
    actions: dict[str, int]
    drop_reasons: dict[str, int]

    @classmethod
    def of(cls, words: array[int]) -> Self:
        """From the kernel's `struct flow_tally`."""
        after = _FIELDS + len(_ACTIONS)
        return cls(
            FlowCounts(*words[:_FIELDS]),
            _named(_ACTIONS, words[_FIELDS:after]),
            _named(FLOW_DROP_REASONS, words[after:]),
        )


def no_counts() -> array[int]:
    """A `struct flow_tally` of nothing."""
    return array("Q", bytes(8 * flow_table.TALLY_WORDS))


def _named(names: tuple[str, ...], numbers: array[int]) -> dict[str, int]:
    return {name: number for name, number in zip(names, numbers, strict=True) if number}
