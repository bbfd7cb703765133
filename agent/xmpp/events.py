"""What the controllers tell the daemon, in the order in which it must act."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from agent.routes import RouteBatch
from agent.settings import Server


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A session is established; routes of `peer` now come under `sequence`."""

    peer: Server
    sequence: int


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The session is gone; the routes stay until a `SweepRoutes`."""

    peer: Server
    reason: str


@dataclass(frozen=True, slots=True)
class PeerTimedOut:
    """Several attempts in a row failed. `replaced`: another of the list takes its place."""

    peer: Server
    attempts: int
    reason: str
    replaced: bool


@dataclass(frozen=True, slots=True)
class Routes:
    """One route message of `peer`."""

    peer: Server
    sequence: int
    batch: RouteBatch


@dataclass(frozen=True, slots=True)
class EndOfRib:
    """`peer` has sent all that it knows (or should have had the time to)."""

    peer: Server
    sequence: int
    told: bool
    """False: the peer sent no marker in time."""


@dataclass(frozen=True, slots=True)
class SweepRoutes:
    """Drop the routes of `peer` that were last seen under a sequence lower than `below`."""

    peer: Server
    below: int


@dataclass(frozen=True, slots=True)
class ConfigServer:
    """Configuration now comes from `peer` (None: from nobody) under the new `sequence`."""

    peer: Server | None
    sequence: int


@dataclass(frozen=True, slots=True)
class ConfigUpdate:
    """A configuration stanza for agent.ifmap.parser."""

    sequence: int
    stanza: Element


@dataclass(frozen=True, slots=True)
class ConfigComplete:
    """The configuration of `sequence` was sent whole."""

    sequence: int


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """Drop the configuration that was not sent again under `sequence`."""

    sequence: int


@dataclass(frozen=True, slots=True)
class TreeBuilder:
    """Multicast trees now come from `peer`, to which broadcast routes are published.

    `slot` (0 or 1) says which range of labels to publish; None: there is no builder.
    """

    peer: Server | None
    slot: int | None
    sequence: int


Event = (
    PeerUp
    | PeerDown
    | PeerTimedOut
    | Routes
    | EndOfRib
    | SweepRoutes
    | ConfigServer
    | ConfigUpdate
    | ConfigComplete
    | SweepConfig
    | TreeBuilder
)
