"""Everything that enters the agent's core, one event a call of it by the shell.

What came from outside as bytes is recorded as bytes, so that a replay runs the same
parsers. Where the shell hands on what a part of the core told, or drains what it wants to
send, the call alone is recorded: a replay gets the same from its own core.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from uuid import UUID

import msgspec

from agent.inputs import ContainerPort, Link, PluggedPort, SimpleGateway

Port = PluggedPort | ContainerPort


class Event(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of all events; each has a number of its own in the file, for ever."""


class Peer(msgspec.Struct, frozen=True, array_like=True):
    """A controller's address and TCP port."""

    address: IPv4Address
    port: int


# Start and end


class Sources(msgspec.Struct, frozen=True, array_like=True):
    """What the files said: `settings` the text of the configuration file `name`.

    `topology` is the text of the topology file, if any; `host` the name of the host, for
    files that give none. `overrides` stood before the file: section, option, value, by what.
    """

    name: str
    settings: str
    topology: str | None
    host: str
    overrides: tuple[tuple[str, str, str, str], ...] = ()


class Started(Event, frozen=True, tag=1):
    """The core was made: by which program, when by the wall clock, from what.

    `pid` goes into requests to the datapath, `seed` decides what is left to chance.
    """

    version: str
    wall: float
    sources: Sources
    pid: int
    seed: int


class Reloaded(Event, frozen=True, tag=2):
    """The files were read again."""

    sources: Sources


class Ended(Event, frozen=True, tag=3):
    """The recording's proper end: why, and what state had been reached.

    `digest` is the state's, `outputs` the sum over all that the core gave out by then.
    """

    reason: str
    digest: str
    outputs: int


class Restored(Event, frozen=True, tag=4):
    """What a run before had written down: (kind of object, number, text of its key)."""

    numbers: tuple[tuple[str, int, str], ...]


# The core's own inputs


class Turn(Event, frozen=True, tag=10):
    """A turn; `outputs` is the sum over all that the core gave out before it."""

    outputs: int


class LinksChanged(Event, frozen=True, tag=11):
    """Network interfaces of the host."""

    changed: tuple[Link, ...]
    gone: tuple[str, ...]


class Listed(Event, frozen=True, tag=12):
    """All links and stored ports are known."""


class Learned(Event, frozen=True, tag=13):
    """What services had learned was handed on."""


class DatapathSaid(Event, frozen=True, tag=14):
    """What the session had told was handed on."""


class ControllersSaid(Event, frozen=True, tag=15):
    """What the controllers had told was handed on."""


class MacsUnconfirmed(Event, frozen=True, tag=18):
    """Learnt addresses that nobody confirmed: (VRF, MAC, nexthop, label, flags) of each."""

    entries: tuple[tuple[int, bytes, int, int, int], ...]


class FlowsLimited(Event, frozen=True, tag=19):
    """The VMs behind these vifs have as many flows as they may (`drop`), or fewer again.

    Numbers 16 and 17 were two events for this.
    """

    vifs: tuple[int, ...]
    drop: bool


# The port API


class PortsStored(Event, frozen=True, tag=20):
    """Files of an earlier run: (path, text); `existing` are their interfaces that exist.

    None: that was not looked at.
    """

    files: tuple[tuple[str, bytes], ...]
    existing: tuple[str, ...] | None


class PortsPlugged(Event, frozen=True, tag=21):
    """Ports of one request."""

    plugged: tuple[PluggedPort, ...]
    containers: tuple[ContainerPort, ...]


class PortUnplugged(Event, frozen=True, tag=22):
    """A port of the port API."""

    uuid: UUID


class VmUnplugged(Event, frozen=True, tag=23):
    """All ports of a VM."""

    uuid: UUID


class PortSwitched(Event, frozen=True, tag=24):
    """A remote port is enabled or disabled."""

    uuid: UUID
    up: bool


class GatewaysAdded(Event, frozen=True, tag=25):
    """Simple gateways of one request."""

    gateways: tuple[SimpleGateway, ...]


class GatewaysRemoved(Event, frozen=True, tag=26):
    """Simple gateways, by their interfaces."""

    interfaces: tuple[str, ...]


class PortsSynced(Event, frozen=True, tag=27):
    """A resync began."""


class PortsExpired(Event, frozen=True, tag=28):
    """The time of resyncs was looked at."""


# The datapath


class DatapathConnected(Event, frozen=True, tag=30):
    """A connection stands."""


class DatapathLost(Event, frozen=True, tag=31):
    """It is closed."""


class DatapathReceived(Event, frozen=True, tag=32):
    """Bytes of it, cut anywhere."""

    data: bytes


class DatapathTick(Event, frozen=True, tag=33):
    """Its time came."""


class DatapathDrained(Event, frozen=True, tag=34):
    """The next bytes to send were asked for."""


class DatapathAsked(Event, frozen=True, tag=35):
    """The session's events were asked for."""


# pkt0


class Trapped(Event, frozen=True, tag=40):
    """A batch of datagrams."""

    frames: tuple[bytes, ...]


class TrapTurn(Event, frozen=True, tag=41):
    """Packets that had to wait were served."""


class TrapTick(Event, frozen=True, tag=42):
    """The services' time came."""


class Relayed(Event, frozen=True, tag=43):
    """A datagram of a DHCP server to the relay."""

    message: bytes
    server: IPv4Address


# Controllers


class ControllerConnected(Event, frozen=True, tag=50):
    """A connection stands."""

    peer: Peer


class ControllerLost(Event, frozen=True, tag=51):
    """It could not be made, or is closed."""

    peer: Peer
    reason: str


class ControllerSecured(Event, frozen=True, tag=52):
    """TLS is on."""

    peer: Peer


class ControllerReceived(Event, frozen=True, tag=53):
    """Bytes of a stream, cut anywhere; the shell parses what the core leaves of them."""

    peer: Peer
    data: bytes


class ControllerStanza(Event, frozen=True, tag=54):
    """The shell's parser completed a stanza when it had seen `pieces` of what was received last."""

    peer: Peer
    pieces: int


class ControllerFault(Event, frozen=True, tag=55):
    """The shell's parser refused the bytes when it had seen `pieces` of them."""

    peer: Peer
    pieces: int
    reason: str


class ControllersTick(Event, frozen=True, tag=56):
    """Their time came; bytes of these waited unread."""

    unread: tuple[Peer, ...]


class ControllerDrained(Event, frozen=True, tag=57):
    """The next bytes to send were asked for."""

    peer: Peer


class ControllersAsked(Event, frozen=True, tag=58):
    """The controllers' events were asked for."""


AnyEvent = (
    Started
    | Reloaded
    | Ended
    | Restored
    | Turn
    | LinksChanged
    | Listed
    | Learned
    | DatapathSaid
    | ControllersSaid
    | MacsUnconfirmed
    | FlowsLimited
    | PortsStored
    | PortsPlugged
    | PortUnplugged
    | VmUnplugged
    | PortSwitched
    | GatewaysAdded
    | GatewaysRemoved
    | PortsSynced
    | PortsExpired
    | DatapathConnected
    | DatapathLost
    | DatapathReceived
    | DatapathTick
    | DatapathDrained
    | DatapathAsked
    | Trapped
    | TrapTurn
    | TrapTick
    | Relayed
    | ControllerConnected
    | ControllerLost
    | ControllerSecured
    | ControllerReceived
    | ControllerStanza
    | ControllerFault
    | ControllersTick
    | ControllerDrained
    | ControllersAsked
)
