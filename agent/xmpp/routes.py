"""Route stanzas as received, decoded (facts xmpp-ifmap.md 5 to 7, 12 and 14).

The work is done by the compiled agent._fast.route_stanza; here it gets its two faces: what a
controller sends to an agent, and what an agent sends to a controller (for the lab's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent._fast.route_stanza import MAX_STANZA, RouteReader
from agent.routes import RouteAttributes, RouteBatch, RouteFamily, RouteKey

__all__ = ["MAX_STANZA", "DecoderCounters", "PublicationDecoder", "Published", "RouteDecoder"]


@dataclass(frozen=True, slots=True)
class DecoderCounters:
    """What a decoder met so far."""

    skipped: int
    """Items left out because of a fault."""
    last_fault: str
    """The newest of them, for people; "" if there was none."""
    shared: int
    """Entries whose attributes were known already."""
    built: int
    """Entries whose attributes had to be built."""
    remembered: int
    """Different attributes kept for sharing; bounded."""


def _counters(reader: RouteReader) -> DecoderCounters:
    return DecoderCounters(
        skipped=reader.skipped,
        last_fault=reader.last_fault,
        shared=reader.shared,
        built=reader.built,
        remembered=reader.remembered,
    )


class RouteDecoder:
    """Decodes what controllers send; one for all channels, so that they share attributes.

    Equal entries give the same RouteAttributes object while it is remembered (the newest
    `capacity` different ones are). Encapsulations without a meaning for a family are left out:
    VXLAN of inet routes, all but GRE and UDP of trees.
    """

    def __init__(self, capacity: int = 8192) -> None:
        self._reader = RouteReader(capacity)

    def decode(self, data: bytes) -> list[RouteBatch]:
        """The batches of one or more whole `message` stanzas, in their order.

        The end-of-RIB marker is a batch of its own with `end_of_rib` set, no VRF and the family
        INET. A faulty item is left out and counted. A message that retracts anything adds
        nothing. StanzaError if the bytes are not well-formed or pass a bound: nothing of them
        was taken.
        """
        return self._reader.read(data)

    @property
    def counters(self) -> DecoderCounters:
        return _counters(self._reader)


class Published(NamedTuple):
    """A route that an agent published in `vrf` under `node`, or withdrew (no attributes).

    A withdrawal has the node of what it withdraws, but its key may differ from the published
    one in the Ethernet tag (inclusive multicast, facts 6.3).
    """

    vrf: str
    node: str
    family: RouteFamily
    key: RouteKey
    attributes: RouteAttributes | None


class PublicationDecoder:
    """Decodes what one agent sends in one session: pairs of `publish` and `collection`."""

    def __init__(self, capacity: int = 8192) -> None:
        self._reader = RouteReader(capacity, published=True)

    def decode(self, data: bytes) -> tuple[list[Published], bool]:
        """What one or more whole stanzas publish, and whether the end-of-RIB marker is there.

        The two stanzas of a pair may come in different calls; a pair whose nodes differ is left
        out and counted. Subscriptions and other stanzas are passed over. StanzaError as above.
        """
        routes, end_of_rib = self._reader.read_published(data)
        return [Published(*route) for route in routes], end_of_rib

    @property
    def counters(self) -> DecoderCounters:
        return _counters(self._reader)
