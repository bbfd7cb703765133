"""Sessions as IPFIX (RFC 7011), both directions in one record (RFC 5103).

One template for IPv4 and one for IPv6, told again now and then: over UDP nobody knows whether
they arrived. Counters are what passed since the session was last told; of a sample they are as
they were counted, and `samplingProbability` says how likely it was to be told.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from agent.telemetry.sessions.model import Session

PORT = 4739
_VERSION, _TEMPLATE_SET = 10, 2
_REVERSE, _ENTERPRISE = 29305, 0x8000
_INET, _INET6 = 256, 257
_MOST = 1400
"""Bytes of a message, so that it fits into a packet."""
_REFRESH = 60.0
"""Seconds after which templates are told again."""

# Elements of the IANA registry with their sizes, in the order of a record.
_ADDRESSES = {_INET: ((8, 4), (12, 4)), _INET6: ((27, 16), (28, 16))}
_ELEMENTS = (
    (7, 2),  # sourceTransportPort
    (11, 2),  # destinationTransportPort
    (4, 1),  # protocolIdentifier
    (136, 1),  # flowEndReason
    (233, 1),  # firewallEvent
    (61, 1),  # flowDirection
    (10, 4),  # ingressInterface
    (234, 4),  # ingressVRFID
    (148, 8),  # flowId
    (152, 8),  # flowStartMilliseconds
    (153, 8),  # flowEndMilliseconds
    (1, 8),  # octetDeltaCount
    (2, 8),  # packetDeltaCount
    (6, 2),  # tcpControlBits
    (311, 8),  # samplingProbability
)
_REVERSED = ((1, 8), (2, 8), (6, 2))
_FIXED = struct.Struct("!HHBBBBIIQQQQQHdQQH")
_HEADER, _SET = struct.Struct("!HHIII"), struct.Struct("!HH")
_CREATED, _DELETED, _DENIED = 1, 2, 3
_IDLE, _ACTIVE, _END, _FORCED = 1, 2, 3, 4
_WHY = {"aged": _IDLE, "evicted": _END, "closed": _END}

# Bits of a flow entry's TCP state, as flags that were seen (FIN 1, SYN 2, RST 4, ACK 0x10).
_FLAGS = ((0x01, 0x01), (0x08, 0x02), (0x80, 0x04), (0x20, 0x10))


def _template(number: int) -> bytes:
    plain = (*_ADDRESSES[number], *_ELEMENTS)
    fields = [struct.pack("!HH", *each) for each in plain]
    fields += [struct.pack("!HHI", at | _ENTERPRISE, size, _REVERSE) for at, size in _REVERSED]
    return struct.pack("!HH", number, len(fields)) + b"".join(fields)


_TEMPLATES = b"".join(map(_template, (_INET, _INET6)))


class Exporter:
    """One exporting process. `domain` numbers this host among those of a collector."""

    def __init__(self, domain: int) -> None:
        self._domain = domain & 0xFFFFFFFF
        self._sequence = 0
        self._templates_due: float | None = None

    def packets(
        self, sessions: Iterable[Session], now: float, wall: float
    ) -> Iterator[tuple[bytes, int]]:
        """The datagrams that tell of sessions, each with the number of its records.

        `now` is monotonic, `wall` the time of day, both in seconds.
        """
        if self._templates_due is None or now >= self._templates_due:
            self._templates_due = now + _REFRESH
            yield self._message(_set(_TEMPLATE_SET, _TEMPLATES), 0, wall), 0
        waiting: dict[int, list[bytes]] = {_INET: [], _INET6: []}
        for one in sessions:
            number = _INET if one.remote.version == 4 else _INET6
            record = _record(one, wall)
            records = waiting[number]
            if _HEADER.size + _SET.size + (len(records) + 1) * len(record) > _MOST:
                yield self._data(number, records, wall)
                records.clear()
            records.append(record)
        for number, records in waiting.items():
            if records:
                yield self._data(number, records, wall)

    def _data(self, number: int, records: list[bytes], wall: float) -> tuple[bytes, int]:
        return self._message(_set(number, b"".join(records)), len(records), wall), len(records)

    def _message(self, body: bytes, records: int, wall: float) -> bytes:
        size = _HEADER.size + len(body)
        header = _HEADER.pack(_VERSION, size, int(wall), self._sequence, self._domain)
        self._sequence = (self._sequence + records) & 0xFFFFFFFF
        return header + body


def _set(number: int, content: bytes) -> bytes:
    return _SET.pack(number, _SET.size + len(content)) + content


def _record(one: Session, wall: float) -> bytes:
    """`wall` is when a session that runs was looked at."""
    forward, reverse, client = one.forward, one.reverse, one.endpoint.client
    local, remote = one.aggregate.local.packed, one.remote.packed
    ended = wall if one.ended is None else one.ended
    return (local + remote if client else remote + local) + _FIXED.pack(
        one.port,
        one.aggregate.port,
        one.aggregate.protocol,
        _ACTIVE if one.ended is None else _WHY.get(one.why, _FORCED),
        _DENIED if one.action != "pass" else _CREATED if one.ended is None else _DELETED,
        0 if client else 1,  # ingress is what a VM sends
        one.vif,
        one.vrf,
        forward.flow.int & (1 << 64) - 1,
        round(one.started * 1000),
        round(ended * 1000),
        forward.bytes,
        forward.packets,
        _tcp(forward.tcp_flags),
        1.0 / one.scale if one.sampled and not one.logged else 1.0,
        reverse.bytes,
        reverse.packets,
        _tcp(reverse.tcp_flags),
    )


def _tcp(state: int) -> int:
    seen = 0
    for bit, flag in _FLAGS:
        seen |= flag if state & bit else 0
    return seen
