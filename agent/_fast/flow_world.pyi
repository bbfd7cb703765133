"""Types of the world that flows are decided in; C declarations are in flow_world.pxd."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from agent._fast.classifier import Classifier
from agent.sandesh.vrouter import VrMplsReq, VrNexthopReq, VrRouteReq, VrVxlanReq

STEPS: tuple[str, ...]
"""Kinds of step, in the order of decide.h."""

CHECKS: tuple[str, ...]
"""What lists are asked for: "network", "out_groups", "reverse_firewall" and so on."""

NO_VRF: int
"""The VRF of a port that is in none."""

MESSAGE_SIZE: int
"""Bytes of every encoded vr_flow_req."""

class PortKind(IntEnum):
    VM = 0
    HOST = 1
    FABRIC = 2
    AGENT = 3

class Touch(IntEnum):
    VIF = 0
    VIF_GONE = 1
    ROUTE = 2
    ALL = 3

class Floating(NamedTuple):
    """`address` (packed, of VRF `vrf`) stands for `fixed`, a packed address of the port.

    `mappings` None: all ports; else (protocol, public port, private port) of each.
    `network_list` is the access list of its network, `meta` what is known of its addresses.
    """

    address: bytes
    fixed: bytes
    vrf: int
    inbound: bool = True
    outbound: bool = True
    mappings: Sequence[tuple[int, int, int]] | None = None
    meta: int = 0
    network_list: int | None = None

class Alias(NamedTuple):
    """A further address (packed) of the VM in VRF `vrf`."""

    address: bytes
    vrf: int
    meta: int = 0
    network_list: int | None = None

class FatFlow(NamedTuple):
    """Flows that are taken together; `port` 0: all of the protocol.

    `ignore`: 0 neither address, 1 the source, 2 the destination. `source` is (packed prefix,
    its length, length to aggregate to) or None; so is `destination`.
    """

    protocol: int
    port: int = 0
    ignore: int = 0
    source: tuple[bytes, int, int] | None = None
    destination: tuple[bytes, int, int] | None = None

class LinkLocal(NamedTuple):
    """A service on a link-local IPv4 address: packed addresses, ports in host order."""

    address: bytes
    port: int
    servers: Sequence[bytes]
    server_port: int

class Packet(NamedTuple):
    """A trapped packet, as `struct flow_packet` of agent/_fast/src/flow.h has it.

    Addresses are packed; ports are the two bytes of the key read as a big-endian number.
    """

    vif: int
    vrf: int
    key_nexthop: int
    protocol: int
    source: bytes
    destination: bytes
    source_port: int = 0
    destination_port: int = 0
    tcp_ack: bool = False
    source_mac: bytes = bytes(6)
    destination_mac: bytes = bytes(6)
    tunnel: int = 0
    label: int = 0
    is_l2: bool = False
    tunnel_source: int = 0

@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a decision, as `struct flow_side` has it."""

    key: bytes
    source_nexthop: int
    flags: int
    vrf: int
    dvrf: int
    action: int
    reason: int
    ttl: int
    ecmp: int
    mirror: int
    second_mirror: int
    qos: int
    policy_rule: int
    group_rule: int

@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a packet's flow; `reads` are numbers of vifs and routes or None."""

    forward: Direction
    reverse: Direction
    reads: tuple[int | None, ...]
    flags: int
    bound_port: int

@dataclass(frozen=True, slots=True)
class Step:
    """One step of a decision; `kind` is one of STEPS, numbers are those of decide.h.

    `check` is one of CHECKS for a "list", else "". `port` and numbers that say nothing are
    0xffffffff. `length` is that of a prefix, in bits; of "rpf" and "result" it is the side.
    """

    kind: str
    number: int
    other: int
    port: int
    check: str
    actions: int
    address: bytes
    length: int

@dataclass(frozen=True, slots=True)
class Landing:
    """Where a packet of the fabric lands; `vif` None: the routes of `vrf` say."""

    nexthop: int
    vif: int | None
    vrf: int
    is_l2: bool
    control_word: bool

@dataclass(frozen=True, slots=True)
class Sizes:
    ports: int
    vrfs: int
    routes: int
    bridges: int
    nexthops: int
    labels: int
    metas: int
    memory: int

class World:
    """What decisions on flows read; also decides on single packets, for tools and tests.

    Numbers out of range raise ValueError, with nothing changed. All that may change a
    decision is remembered as touches (`drain`, or the keeper of the pairs).
    """

    classifier: Classifier
    def __init__(self, classifier: Classifier) -> None: ...
    def add(self, message: VrNexthopReq | VrMplsReq | VrVxlanReq | VrRouteReq) -> None:
        """Take an ADD message of the datapath; of any other type, nothing is read."""

    def remove(self, message: VrNexthopReq | VrMplsReq | VrVxlanReq | VrRouteReq) -> None:
        """Forget what this message (its ADD or DEL form) names."""

    def meta(
        self,
        networks: Iterable[str] = (),
        groups: Iterable[int] = (),
        tags: Iterable[int] = (),
    ) -> int:
        """The number of what is known of an address; equal facts have equal numbers."""

    def put_routes(self, routes: Sequence[tuple[VrRouteReq, int]]) -> None:
        """Inet, inet6 and bridge routes, each with a `meta`. VRFs must have been put."""

    def remove_route(self, vrf: int, prefix: bytes, length: int) -> None:
        """The route of a packed prefix (4 or 16 bytes); nothing happens if there is none."""

    def remove_bridge(self, vrf: int, mac: bytes) -> None: ...
    def put_vrf(self, index: int, name: str) -> None: ...
    def drop_vrf(self, index: int) -> None:
        """Forget a VRF with all its routes."""

    def put_port(
        self,
        vif: int,
        *,
        kind: PortKind = PortKind.VM,
        mac: bytes = bytes(6),
        vrf: int = ...,
        key_nexthop: int = 0,
        meta: int = 0,
        vm: int = 0,
        max_flows: int = 0,
        policy: bool = True,
        grouped: bool = False,
        rpf: bool = True,
        flood: bool = False,
        bridged: bool = True,
        routed: bool = True,
        l2_active: bool = True,
        ip4_active: bool = True,
        ip6_active: bool = True,
        address: bytes = b"",
        address6: bytes = b"",
        link_local: bytes = b"",
        gateways: Sequence[bytes] = (),
        mirror_lists: Sequence[int] = (),
        network_lists: Sequence[int] = (),
        egress_lists: Sequence[int] = (),
        ingress_lists: Sequence[int] = (),
        fwaas_lists: Sequence[int] = (),
        firewall_lists: Sequence[int] = (),
        vrf_assign_lists: Sequence[int] = (),
        floating: Sequence[Floating] = (),
        aliases: Sequence[Alias] = (),
        fat_flows: Sequence[FatFlow] = (),
    ) -> None:
        """All that decisions read of a vif; replaces what was there.

        `key_nexthop` names it in flow keys. `vm`: a number (not 0) that ports of one VM
        share. `grouped`: it is in security groups, so what no rule allows is denied.
        `bridged` and `routed` are modes of its network; `rpf` and `flood` too. `gateways`
        are the gateway and DNS addresses of its subnets. Lists are numbers of the
        classifier. Addresses are packed.
        """

    def drop_port(self, vif: int) -> None: ...
    def touch_list(self, number: int) -> None:
        """The rules of an access list changed: touch the ports that have it."""

    def set_services(self, services: Sequence[LinkLocal]) -> None: ...
    def set_host(self, router_id: bytes, vif: int, vrf: int) -> None:
        """The host's own address (packed), the vif of vhost0, the VRF of the fabric."""

    def set_limits(
        self,
        *,
        vmi_flows: int = 0,
        vm_flows: int = 0,
        link_local_flows: int = 16384,
        vm_link_local_flows: int = 16384,
    ) -> None:
        """Global limits; 0: none for the first two."""

    def give_port(self, protocol: int, port: int) -> None:
        """A socket is bound to this port of the host: NAT to link-local services may take it."""

    def withdraw_port(self, protocol: int, port: int) -> bool:
        """Whether the socket may be closed: no flow has the port, and none will take it."""

    def free_ports(self, protocol: int) -> int: ...
    def return_port(self, protocol: int, port: int) -> None:
        """A flow that had taken the port is over."""

    def landing(self, tunnel: int, label: int) -> Landing | None:
        """Where a packet of the fabric with this label or VNI lands (tunnel 3: VXLAN)."""

    def drain(self) -> list[tuple[Touch, int]]:
        """The touches since the last drain, oldest first."""

    def decide(self, packet: Packet, before: Decision | None = None) -> Decision:
        """What becomes of a packet's flow; `before` keeps what an earlier decision chose."""

    def explain(self, packet: Packet) -> tuple[Decision, list[Step]]:
        """The same with every step; takes no port of the host."""

    @property
    def sizes(self) -> Sizes: ...

class Rehearsal:
    """Packets to decide on again and again without Python in between, for measurements."""

    def __init__(self, world: World, packets: Sequence[Packet]) -> None: ...
    def run(self) -> int:
        """Decide on all and encode both messages of each; how many would pass."""

def encode_flow(
    decision: Decision, side: int, index: int | None, gen_id: int, partner: int | None
) -> bytes:
    """vr_flow_req that sets one side (0 forward, 1 reverse); for tools and tests."""

def encode_delete(key: bytes, index: int, gen_id: int) -> bytes:
    """vr_flow_req that deletes the entry of a key (44 bytes, or 20 of IPv4)."""
