"""What the ksync session tells its owner."""

from __future__ import annotations

from dataclasses import dataclass

from agent.objects import DatapathMessage, Identity, Key
from agent.sandesh.vrouter import VrBridgeTableData, VrFlowTableData, VrouterOps


@dataclass(frozen=True, slots=True)
class Dumped:
    """Connected, and everything that the datapath holds is read.

    `messages` are the ADD messages that would make it so, without what the datapath keeps
    for itself; nothing is written before the owner applies what it wants.
    """

    messages: tuple[DatapathMessage, ...]
    limits: VrouterOps
    flow_table: VrFlowTableData | None
    bridge_table: VrBridgeTableData | None


@dataclass(frozen=True, slots=True)
class InSync:
    """The datapath has become equal to what is desired (told once each time)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The datapath refused a request with the positive `errno`; it will be tried again."""

    identity: Identity
    key: Key | None
    errno: int


@dataclass(frozen=True, slots=True)
class Released:
    """Nothing of this slot is left in the datapath: its index may be given to others."""

    identity: Identity
    key: Key | None


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """What is behind the vif of this index came up or went down (vhost-user sockets, DPDK)."""

    vif_index: int
    up: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone or useless; what the datapath holds is unknown until a dump."""

    reason: str


Event = Dumped | InSync | Refused | Released | LinkChanged | Lost
