"""What is said on a controller's control socket: one JSON object a line, answered by one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from agent.errors import UsageError


class Kind(Enum):
    """What can be withheld."""

    CONFIG = "config"
    ROUTES = "routes"
    END_OF_RIB = "end-of-rib"
    KEEPALIVE = "keepalive"


class Command(msgspec.Struct, frozen=True, tag_field="op", tag=str.lower):
    """What an operator asks."""


class Status(Command, frozen=True):
    """Answered by State."""


class Routes(Command, frozen=True):
    """The routes of a VRF; answered by RouteList."""

    vrf: str


class Stop(Command, frozen=True):
    """Close all sessions, listen no more, forget all routes."""


class Start(Command, frozen=True):
    """Serve again after Stop."""


class Restart(Command, frozen=True):
    """Stop and start at once."""


class Flap(Command, frozen=True):
    """Stop and start so many times, each for so many seconds; answered before it is over."""

    count: int
    seconds: float


class Delay(Command, frozen=True):
    """Send everything later by so many milliseconds from now on."""

    ms: float


class Close(Command, frozen=True):
    """Close the session of one agent."""

    agent: str


class Withhold(Command, frozen=True):
    """Keep back what is of these kinds until it is released."""

    kinds: list[Kind]


class Release(Command, frozen=True):
    """Send these kinds again, first what was kept back; none named means all."""

    kinds: list[Kind] = []


class Repeat(Command, frozen=True):
    """Send the last stanzas again, to one agent or to all."""

    count: int
    agent: str | None = None


class Reload(Command, frozen=True):
    """Read the topology again, from this file if one is named, and send the differences."""

    topology: str = ""


class Reply(msgspec.Struct, frozen=True, tag_field="reply", tag=str.lower):
    """What the controller answers."""


class Done(Reply, frozen=True):
    """The command was carried out."""


class Failed(Reply, frozen=True):
    """It could not be; the text says what was wrong."""

    reason: str


class Agent(msgspec.Struct, frozen=True):
    """A connected agent.

    `machines` are the UUIDs of the VMs whose configuration it subscribed to, None when it
    did not ask for any configuration; `published` counts its routes, `nodes` the nodes of
    its configuration, `received` and `sent` stanzas.
    """

    name: str
    address: str
    seconds: float
    vrfs: dict[str, int]
    machines: list[str] | None
    published: int
    nodes: int
    received: int
    sent: int
    end_of_rib_sent: bool
    end_of_rib_received: bool


class State(Reply, frozen=True):
    """The whole controller. `stale` are agents that went away and whose routes are kept.

    `routes` counts them by VRF and family; `violations` is what agents did wrong, the last
    hundred.
    """

    name: str
    serving: bool
    delay_ms: float
    withheld: list[str]
    agents: list[Agent]
    stale: list[str]
    routes: dict[str, dict[str, int]]
    violations: list[str]


class Route(msgspec.Struct, frozen=True):
    """A route: `nexthops` maps the agents that publish it to "ADDRESS LABEL"."""

    family: str
    route: str
    nexthops: dict[str, str]


class RouteList(Reply, frozen=True):
    """The routes of a VRF."""

    routes: list[Route]


AnyCommand = (
    Status
    | Routes
    | Stop
    | Start
    | Restart
    | Flap
    | Delay
    | Close
    | Withhold
    | Release
    | Repeat
    | Reload
)
AnyReply = Done | Failed | State | RouteList

read_command = msgspec.json.Decoder(AnyCommand).decode
read_reply = msgspec.json.Decoder(AnyReply).decode

_COMMANDS: dict[str, type[AnyCommand]] = {
    kind.__name__.lower(): kind
    for kind in (
        Status,
        Routes,
        Stop,
        Start,
        Restart,
        Flap,
        Delay,
        Close,
        Withhold,
        Release,
        Repeat,
        Reload,
    )
}

VERBS = (
    "status, routes VRF, stop, start, restart, flap COUNT SECONDS, delay MS, close AGENT, "
    "withhold KIND..., release [KIND...], repeat COUNT [AGENT], reload [TOPOLOGY] "
    "(kinds: config, routes, end-of-rib, keepalive)"
)


def line(message: Command | Reply) -> bytes:
    """One message as its line."""
    return msgspec.json.encode(message) + b"\n"


def command_of(words: Sequence[str]) -> AnyCommand:
    """A command from its words, e.g. ["delay", "250"]; UsageError names those that exist."""
    kind = _COMMANDS.get(words[0]) if words else None
    if kind is None:
        raise UsageError(f"unknown command {' '.join(words)!r}; there are: {VERBS}")
    rest: list[object] = list(words[1:])
    if kind in (Withhold, Release):
        rest = [rest]
    fields = kind.__struct_fields__
    try:
        if len(rest) > len(fields):
            raise UsageError(f"too many words for {words[0]}; usage: {VERBS}")
        content = {"op": words[0], **dict(zip(fields, rest, strict=False))}
        command: AnyCommand = msgspec.convert(content, AnyCommand, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{words[0]}: {error}; usage: {VERBS}") from None
    return command
