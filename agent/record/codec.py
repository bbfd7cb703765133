"""Events and their times as the entries of a recording's blocks.

An entry is a MessagePack array [time, event]. The time is the difference to the entry before
in nanoseconds, exact for every clock that counts those; any other time is written as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import msgspec

from agent.errors import RecordingError
from agent.record.events import AnyEvent, Event
from agent.record.frames import MAX_ENTRY, Read, Unpacker

_LENGTH = struct.Struct("<I")
_NO_LENGTH = bytes(_LENGTH.size)
_NANO = 1e9
_MOST_SECONDS = 2.0**32  # the differences of their nanoseconds fit into 64 bits


class _Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    time: int | float
    event: AnyEvent


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its number from 1 and the `now` of its call, in monotonic seconds."""

    number: int
    now: float
    event: AnyEvent


def _encode_value(value: Any) -> Any:
    if isinstance(value, bytes):  # a MAC address
        return bytes(value)
    if isinstance(value, IPv4Network):
        return str(value)
    return value.packed


def _decode_value(kind: type, value: Any) -> Any:
    if not isinstance(value, str if kind is IPv4Network else bytes):
        raise ValueError(f"{kind.__name__} from {type(value).__name__}")
    return kind(value)


class Writer:
    """Appends entries to `buffer`, which its owner empties."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_encode_value, uuid_format="bytes")
        self._before = 0

    def append(self, event: Event, now: float) -> None:
        """One more event.

        ValueError when it is larger than an entry may be, or cannot be written at all.
        """
        buffer = self.buffer
        start = len(buffer)
        time: int | float = now
        if -_MOST_SECONDS < now < _MOST_SECONDS:
            nanos = round(now * _NANO)
            if nanos and nanos / _NANO == now:
                time, self._before = nanos - self._before, nanos
        buffer += _NO_LENGTH
        try:
            self._encoder.encode_into((time, event), buffer, start + 4)
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            del buffer[start:]
            raise ValueError(f"{type(event).__name__}: {error}") from None
        size = len(buffer) - start - 4
        if size > MAX_ENTRY:
            del buffer[start:]
            raise ValueError(f"an event of {size} bytes, the limit is {MAX_ENTRY}")
        _LENGTH.pack_into(buffer, start, size)


class Reader:
    """Reads a recording up to its end, or to where it is damaged.

    `problem` then says what was wrong, or is None. RecordingError from the constructor: this
    is no recording.
    """

    def __init__(self, read: Read) -> None:
        self.problem: RecordingError | None = None
        self._unpacker = Unpacker(read)
        self._decoder = msgspec.msgpack.Decoder(_Entry, dec_hook=_decode_value)
        self._before = 0

    def __iter__(self) -> Iterator[Recorded]:
        for number, (offset, data) in enumerate(self._unpacker.entries(), 1):
            try:
                entry = self._decoder.decode(data)
                now = self._now(entry.time)
            except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
                self.problem = RecordingError(f"event {number}: {error}", offset)
                return
            yield Recorded(number, now, entry.event)
        self.problem = self._unpacker.problem

    def _now(self, time: int | float) -> float:
        if isinstance(time, float):
            return time
        self._before += time
        return self._before / _NANO
