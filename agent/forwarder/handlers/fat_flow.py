"""The fat flows of vr_interface_req: parallel lists into rules (facts sandesh-ksync.md 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent._fast.forwarding import FatPrefix, FatRule
from agent.sandesh.vrouter import VrInterfaceReq

_SOURCES = (2, 3, 5, 6)
_DESTINATIONS = (1, 3, 4, 6)
_INET = (4, 5, 6)
Exclude = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class FatFlows:
    """The rules in their order, and prefixes whose flows are taken one by one."""

    rules: tuple[FatRule, ...]
    excludes: tuple[Exclude, ...]

    def __bool__(self) -> bool:
        return bool(self.rules or self.excludes)


def read(request: VrInterfaceReq) -> FatFlows:
    """What the lists say. ValueError: lists of prefixes that do not go together."""
    words = enumerate(request.vifr_fat_flow_protocol_port)
    return FatFlows(
        tuple(_rule(request, position, word & 0xFFFFFFFF) for position, word in words),
        (*_excluded4(request), *_excluded6(request)),
    )


def _rule(request: VrInterfaceReq, position: int, word: int) -> FatRule:
    kind = word >> 28
    return FatRule(
        proto=word >> 16 & 0xFF,
        port=word & 0xFFFF,
        ignore=_ignored(word),
        source=_prefix(request, "src", position, kind, _SOURCES),
        destination=_prefix(request, "dst", position, kind, _DESTINATIONS),
    )


def _ignored(word: int) -> int:
    """1 source, 2 destination; 3 is the customary way to say neither."""
    said = word >> 24 & 3
    return said if said in (1, 2) else 0


def _prefix(
    request: VrInterfaceReq, side: str, position: int, kind: int, kinds: Sequence[int]
) -> FatPrefix | None:
    """`kind` says which addresses are aggregated, and of which family."""
    if kind not in kinds:
        return None
    name = f"vifr_fat_flow_{side}_"
    columns = (
        getattr(request, name + "prefix_h"),
        getattr(request, name + "prefix_l"),
        getattr(request, name + "prefix_mask"),
        getattr(request, name + "aggregate_plen"),
    )
    if any(position >= len(column) for column in columns):
        raise ValueError(f"fat flow {position} aggregates addresses that are not given")
    high, low, bits, keep = (column[position] for column in columns)
    return FatPrefix(_address(high, low, 4 if kind in _INET else 16), bits, keep)


def _address(high: int, low: int, width: int) -> bytes:
    """Halves as a little-endian host loads them from the address."""
    if width == 4:
        return (low & 0xFFFFFFFF).to_bytes(4, "little")
    return high.to_bytes(8, "little") + low.to_bytes(8, "little")


def _excluded4(request: VrInterfaceReq) -> Iterator[Exclude]:
    for word in request.vifr_fat_flow_exclude_ip_list:
        yield (word & 0xFFFFFFFF).to_bytes(4, "little"), word >> 32


def _excluded6(request: VrInterfaceReq) -> Iterator[Exclude]:
    columns = (
        request.vifr_fat_flow_exclude_ip6_u_list,
        request.vifr_fat_flow_exclude_ip6_l_list,
        request.vifr_fat_flow_exclude_ip6_plen_list,
    )
    for high, low, bits in zip(*columns, strict=True):
        yield _address(high, low, 16), bits
