"""The rows that decide on flows: access lists, and what a port says of its packets.

Facts oper-db.md 4, pkt0-services.md 12. Names are those of configuration; numbers of the
datapath (VRF index, vif) are in the rows that have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag
from uuid import UUID

from agent.oper.rows import AddressPair as AddressPair
from agent.oper.rows import Vrf
from agent.values import Address, Prefix

ANY_GROUP = -1
"""The security group that every address is in, also one of which nothing is known."""
UNNUMBERED = 0
"""Stands for a security group whose number is not known: no rule is about it."""
ANY_PROTOCOL = (0, 255)
ANY_PORTS = (0, 65535)


class Action(Flag):
    """What a rule does; several rules of a walk add up, DENY wins."""

    PASS = 1
    DENY = 2
    REJECT = 4
    LOG = 8
    ALERT = 16
    MIRROR = 32
    VRF = 64
    QOS = 128
    HBS = 256


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a rule: all that is given must hold; nothing given is any address.

    `prefixes`: one of them holds the address. `network` is the name of a virtual network.
    `group` a security group's number. `tags`: the address has all of them. `tag_sets`: the
    address has all tags of at least one of these (address groups by tag), or is in `prefixes`.
    """

    prefixes: tuple[Prefix, ...] = ()
    network: str = ""
    group: int | None = None
    tags: tuple[int, ...] = ()
    tag_sets: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """Protocols and ports that a rule is about; (0, 255) and (0, 65535) are any."""

    protocols: tuple[int, int] = ANY_PROTOCOL
    source_ports: tuple[int, int] = ANY_PORTS
    destination_ports: tuple[int, int] = ANY_PORTS


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an access list.

    `ethertype` 4, 6 or 0 for both. `match_tag_types`: both sides have the same tag of each of
    these types. `mirror` names an analyzer, `vrf` the VRF to translate to, `qos` a QoS config.
    """

    uuid: UUID
    actions: Action
    source: Endpoint = Endpoint()
    destination: Endpoint = Endpoint()
    services: tuple[Service, ...] = (Service(),)
    ethertype: int = 0
    match_tag_types: tuple[int, ...] = ()
    mirror: str = ""
    vrf: str = ""
    qos: str = ""
    ignore_acl: bool = False


@dataclass(frozen=True, slots=True)
class Acl:
    """An access list in its order; the first rule that holds and passes or denies ends it.

    `name` identifies it among all (the configuration node's, or one made of a port's). An
    unusable rule is left out and told in `problems`; it never becomes an allowing one.
    """

    name: str
    uuid: UUID
    rules: tuple[Rule, ...]
    problems: tuple[str, ...] = ()


class Side(Enum):
    """Whose traffic a translation holds for, as configuration names it."""

    BOTH = "both"
    INGRESS = "ingress"
    EGRESS = "egress"

    @property
    def inbound(self) -> bool:
        """Whether packets to the address are translated."""
        return self is not Side.EGRESS

    @property
    def outbound(self) -> bool:
        """Whether packets of the VM are translated."""
        return self is not Side.INGRESS


@dataclass(frozen=True, slots=True)
class PortMapping:
    """`public` port of the floating IP is `private` port of the VM."""

    protocol: int
    public: int
    private: int


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """An address of another network that stands for `fixed` (the VM's own one)."""

    address: Address
    fixed: Address
    vrf: Vrf
    network: str
    side: Side = Side.BOTH
    mappings: tuple[PortMapping, ...] | None = None
    """None: all ports, as they are; else only these."""
    acl: str = ""
    """The access list of its network, which decides instead of the port's; "" for none."""


@dataclass(frozen=True, slots=True)
class AliasIp:
    """A further address of the VM in another network's VRF, without translation."""

    address: Address
    vrf: Vrf
    network: str
    acl: str = ""
    """As for a floating IP."""


@dataclass(frozen=True, slots=True)
class FatFlow:
    """Flows of a protocol (and port, 0 = all) that are taken together.

    `ignore` is "source", "destination" or "". Prefixes are aggregated to a length.
    """

    protocol: int
    port: int = 0
    ignore: str = ""
    source: Prefix | None = None
    source_length: int = 0
    destination: Prefix | None = None
    destination_length: int = 0


@dataclass(frozen=True, slots=True)
class LinkLocalService:
    """A service on a link-local address that lives elsewhere; `metadata` is the agent's own.

    `servers` are addresses of the fabric; `name` one to be resolved when there are none.
    """

    name: str
    address: Address
    port: int
    servers: tuple[Address, ...] = ()
    server_name: str = ""
    server_port: int = 0


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """Which access lists decide on a port's flows, each by its `Acl.name`.

    `enabled` False: nothing but translation is applied. `network` is the list of its VN ("" none).
    `egress` and `ingress` are those of its security groups from the VM's point of view;
    `groups` their numbers (non-empty with no list: everything is denied), `tags` its own.
    `firewall` are the firewall policies of its application policy sets, in order, `fwaas`
    those that come before; `vrf_assign` its own VRF-assign rules.
    """

    enabled: bool = True
    network: str = ""
    egress: tuple[str, ...] = ()
    ingress: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    tags: tuple[int, ...] = ()
    firewall: tuple[str, ...] = ()
    fwaas: tuple[str, ...] = ()
    vrf_assign: str = ""
    mirror: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortTranslations:
    """Addresses that a port has beside its own, and how packets are changed for them."""

    floating: tuple[FloatingIp, ...] = ()
    aliases: tuple[AliasIp, ...] = ()
    pairs: tuple[AddressPair, ...] = ()


@dataclass(frozen=True, slots=True)
class PortLimits:
    """What bounds or shapes a port's flows. `max_flows` 0: not limited."""

    max_flows: int = 0
    rpf: bool = True
    fat_flows: tuple[FatFlow, ...] = ()
    link_local: Address | None = None
    """Its metadata address, which the host knows it by."""


@dataclass(frozen=True, slots=True)
class FlowPort:
    """All that configuration says of a port's flows."""

    policy: PortPolicy
    translations: PortTranslations
    limits: PortLimits
