"""Dropped packets as the embedded forwarder lists them in `vdl_pkt_droplog_arr`.

Other datapaths put their own structures there, so the bytes begin with a mark. All numbers
are in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from agent.errors import WireError

MARK = b"VRFD"
_VERSION = 1
_HEAD = struct.Struct("!4sBBH")
_NOTE = struct.Struct("!QI5HBB16s16s")
NOWHERE = 0xFFFFFFFF
_RENAMED = {"fragments": "frag_err", "new_flows": "drop_new_flow"}
_IPV4, _IPV6 = 0x0800, 0x86DD


def counter(reason: str) -> str:
    """The field of vr_drop_stats_req that counts a reason, if it has one."""
    return f"vds_{_RENAMED.get(reason, reason)}"


@dataclass(frozen=True, slots=True)
class DropNote:
    """One dropped packet; `at` in nanoseconds of a clock that the holder knows.

    `reason` numbers a drop reason; `ethertype` 0, both addresses None: unknown.
    `vif` None: it came in nowhere. `length` in bytes, with the Ethernet header if it had one.
    """

    at: int
    vif: int | None
    vrf: int
    reason: int
    ethertype: int = 0
    length: int = 0
    proto: int = 0
    source: IPv4Address | IPv6Address | None = None
    destination: IPv4Address | IPv6Address | None = None
    sport: int = 0
    dport: int = 0


def parse_note(
    fields: tuple[int, int, int, int, int, int, int, int, int, bytes, bytes],
) -> DropNote:
    """A note from its fields in the order of the structure."""
    at, vif, vrf, ethertype, sport, dport, length, reason, proto, source, destination = fields
    known = any(source) or any(destination)
    start, end = (_address(ethertype, each) if known else None for each in (source, destination))
    return DropNote(
        at, None if vif == NOWHERE else vif, vrf, reason, ethertype, length, proto, start, end,
        sport, dport,
    )  # fmt: skip


def _address(ethertype: int, octets: bytes) -> IPv4Address | IPv6Address | None:
    if ethertype == _IPV4:
        return IPv4Address(octets[:4])
    return IPv6Address(octets) if ethertype == _IPV6 else None


def encode_notes(notes: Iterable[DropNote]) -> bytes:
    """The bytes of a list of notes."""
    rows = b"".join(_encode(note) for note in notes)
    return _HEAD.pack(MARK, _VERSION, _NOTE.size, 0) + rows


def _encode(note: DropNote) -> bytes:
    return _NOTE.pack(
        note.at, NOWHERE if note.vif is None else note.vif, note.vrf, note.ethertype,
        note.sport, note.dport, note.length, note.reason, note.proto,
        _octets(note.source), _octets(note.destination),
    )  # fmt: skip


def _octets(address: IPv4Address | IPv6Address | None) -> bytes:
    return bytes(16) if address is None else address.packed.ljust(16, b"\0")


def decode_notes(data: bytes) -> list[DropNote]:
    """The notes in these bytes. WireError when they are not of this form."""
    if len(data) < _HEAD.size:
        raise WireError(f"a list of drops of {len(data)} bytes")
    mark, version, size, _ = _HEAD.unpack_from(data)
    rows = data[_HEAD.size :]
    if (mark, version, size) != (MARK, _VERSION, _NOTE.size) or len(rows) % size:
        raise WireError("a list of drops in a form of another datapath")
    return [parse_note(fields) for fields in _NOTE.iter_unpack(rows)]
