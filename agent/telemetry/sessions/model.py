"""What is told of a session: who talks to whom, and what passed since it was last told.

A pair of flows between a port of this host and something else is one session; between two
ports of this host it is two, one as its client sees it and one as its server does. Facts
oper-db.md 6.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from agent.values import Address


@dataclass(frozen=True, slots=True)
class Tags:
    """Names of tags as `type=value`, or the number in hexadecimal where no name is known."""

    deployment: str = ""
    tier: str = ""
    application: str = ""
    site: str = ""
    labels: tuple[str, ...] = ()
    custom: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What sessions of a port have in common: the key of the outer level.

    `vmi` and the networks are fully qualified names. `rule` is the UUID of the firewall rule that
    decided, "" for none. `prefix`: the remote route, "" where it is not known.
    """

    vmi: str
    vn: str
    remote_vn: str
    tags: Tags
    remote_tags: Tags
    client: bool
    service_instance: bool
    rule: str
    prefix: str
    router: Address


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Sessions of one service: the key of the middle level. `port` is that of the server."""

    local: Address
    port: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction: what passed since it was last told, and all in all."""

    flow: UUID
    bytes: int
    packets: int
    total_bytes: int
    total_packets: int
    tcp_flags: int


@dataclass(frozen=True, slots=True)
class Session:
    """One session as it is told once; `forward` is from its client to its server.

    `remote` with the client's `port` is the key of the inner level. Times are seconds since 1970,
    `ended` None while it runs. `scale`: the samples stand for that many (1.0: it was not
    left to chance), 0.0: it is no sample. `logged`: a logging object wants it; its counters are
    then told as they are. `peer` is the other vrouter, None for a session within the host.
    """

    endpoint: Endpoint
    aggregate: Aggregate
    remote: Address
    port: int
    forward: Direction
    reverse: Direction
    started: float
    ended: float | None
    why: str
    action: str
    drop_reason: str
    sg_rule: str
    policy_rule: str
    vm: str
    peer: Address | None
    tunnel: int
    vif: int
    vrf: int
    scale: float
    logged: bool

    @property
    def sampled(self) -> bool:
        """Whether it is a sample."""
        return self.scale > 0.0


@dataclass(slots=True)
class OutletCounters:
    """What happened at one destination. `records` of sessions left in `messages`."""

    records: int = 0
    messages: int = 0
    lost: int = 0
    """Records that nobody took in time."""
    problem: str = ""
    """Why nothing leaves now, "" when it does."""


@dataclass(slots=True)
class Counters:
    """What happened to sessions so far. `exports`: told; the others why one was not."""

    exports: int = 0
    logged: int = 0
    disabled: int = 0
    """Ended, while neither samples nor logs were wanted."""
    sampled_out: int = 0
    """Left to chance, and not chosen."""
    slo_passed_over: int = 0
    """Of a logged rule, but not the Nth."""
    nameless: int = 0
    """Of a port that is no more, so that nobody could say whose it was."""
    lost: int = 0
    """Ended, but there were too many to keep them until they were told."""
