"""How many messages went to collectors and came from them, and which were lost, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Drop(Enum):
    """Why a message was not sent; the value ends the names of the counters."""

    NO_CLIENT = "no_client"
    """No collector is configured."""
    QUEUE_LEVEL = "queue_level"
    """The queue was too full for a message of its level."""
    RATE_LIMITED = "rate_limited"


class Refusal(Enum):
    """Why a message of a collector was not heard; the value ends the names of the counters."""

    DECODING_FAILED = "decoding_failed"
    CONTROL_MESSAGE_FAILED = "control_msg_failed"
    CREATE_FAILED = "create_failed"
    """Nothing that is answered on this connection."""


@dataclass(slots=True)
class _Tally:
    messages: int = 0
    size: int = 0

    def count(self, size: int) -> None:
        self.messages += 1
        self.size += size


@dataclass(slots=True)
class Counted:
    """Counters of one message, or of all."""

    sent: _Tally = field(default_factory=_Tally)
    received: _Tally = field(default_factory=_Tally)
    dropped: dict[Drop, _Tally] = field(default_factory=dict)
    refused: dict[Refusal, _Tally] = field(default_factory=dict)

    def values(self) -> Mapping[str, Any]:
        """The fields of SandeshMessageStats; counters of what never happened are not set."""
        values: dict[str, Any] = {}
        _add(values, "sent", self.sent)
        _add(values, "received", self.received)
        for direction, tallies in (("sent", self.dropped), ("received", self.refused)):
            for reason, tally in tallies.items():
                _add(values, f"{direction}_dropped", tally)
                _add(values, f"{direction}_dropped_{reason.value}", tally)
        return values


def _add(values: dict[str, Any], name: str, tally: _Tally) -> None:
    if tally.messages:
        for kind, number in (("messages", tally.messages), ("bytes", tally.size)):
            field_name = f"{kind}_{name}"
            values[field_name] = values.get(field_name, 0) + number


class MessageStats:
    """Counters by the name of the message, and the sum of them."""

    def __init__(self) -> None:
        self.total = Counted()
        self._types: dict[str, Counted] = {}

    def sent(self, name: str, size: int) -> None:
        """A message of `size` bytes was handed to the connection."""
        for counted in self._of(name):
            counted.sent.count(size)

    def received(self, name: str, size: int) -> None:
        """A message came. `name` is one that is known: nobody may make up more of them."""
        for counted in self._of(name):
            counted.received.count(size)

    def dropped(self, name: str, size: int, reason: Drop) -> None:
        """A message was not sent; its size is 0 where it was not even written."""
        for counted in self._of(name):
            counted.dropped.setdefault(reason, _Tally()).count(size)

    def refused(self, name: str, size: int, reason: Refusal) -> None:
        """What came was of no use."""
        for counted in self._of(name):
            counted.refused.setdefault(reason, _Tally()).count(size)

    def by_type(self) -> Mapping[str, Counted]:
        """The counters of each message of which something is counted."""
        return self._types

    def _of(self, name: str) -> Iterator[Counted]:
        yield self.total
        yield self._types.setdefault(name, Counted())
