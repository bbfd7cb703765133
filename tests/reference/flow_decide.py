"""What becomes of a flow, slowly and plainly: the oracle of `agent._fast.flow_world`.

Written from the facts (pkt0-services.md 12, oper-db.md 4), one function a step, over plain
Python objects. Access lists are asked through the classifier, which has an oracle of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from agent._fast.classifier import Classifier, End, Probe, Verdict
from agent._fast.flow_world import (
    NO_VRF,
    Alias,
    Decision,
    FatFlow,
    Floating,
    LinkLocal,
    Packet,
    PortKind,
)
from agent.sandesh.vrouter import VrNexthopReq

ENCAP, TUNNEL, RECEIVE, RESOLVE, DISCARD, COMPOSITE, VRF, L2_RECEIVE = 2, 3, 1, 4, 5, 6, 7, 8
VALID, ECMP, FLOOD = 1, 0x400, 0x10000
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
PASS, DENY, REJECT, VRF_ACTION = 1, 2, 4, 64
UNMATCHED = 1
ACTIVE, SNAT, SPAT, DNAT, DPAT = 1, 2, 4, 8, 0x10
MIRROR, VRFT, LINK_LOCAL = 0x2000, 0x4000, 0x8000
(
    PAIR_SHORT, PAIR_INGRESS, PAIR_LOCAL, PAIR_NAT, PAIR_ECMP, PAIR_LINK_LOCAL, PAIR_MULTICAST,
    _, PAIR_L2, PAIR_FAT, PAIR_TCP_ACK, _, PAIR_BOUND_PORT,
) = (1 << bit for bit in range(13))  # fmt: skip
NOT_EVALUATED, ALLOW, IMPLICIT_DENY, GATEWAY, RULE_LINK_LOCAL, RULE_MULTICAST = range(6)


@dataclass
class PortFacts:
    """The arguments of `World.put_port`, under the same names."""

    kind: PortKind = PortKind.VM
    mac: bytes = bytes(6)
    vrf: int = NO_VRF
    key_nexthop: int = 0
    meta: int = 0
    vm: int = 0
    max_flows: int = 0
    policy: bool = True
    grouped: bool = False
    rpf: bool = True
    flood: bool = False
    bridged: bool = True
    routed: bool = True
    l2_active: bool = True
    ip4_active: bool = True
    ip6_active: bool = True
    address: bytes = b""
    address6: bytes = b""
    link_local: bytes = b""
    gateways: Sequence[bytes] = ()
    mirror_lists: Sequence[int] = ()
    network_lists: Sequence[int] = ()
    egress_lists: Sequence[int] = ()
    ingress_lists: Sequence[int] = ()
    fwaas_lists: Sequence[int] = ()
    firewall_lists: Sequence[int] = ()
    vrf_assign_lists: Sequence[int] = ()
    floating: Sequence[Floating] = ()
    aliases: Sequence[Alias] = ()
    fat_flows: Sequence[FatFlow] = ()


@dataclass
class Facts:
    """A world in plain objects. Routes and bridges lead to (nexthop, meta)."""

    vrfs: dict[int, str] = field(default_factory=dict)
    routes: dict[tuple[int, IPv4Network | IPv6Network], tuple[int, int]] = field(
        default_factory=dict
    )
    bridges: dict[tuple[int, bytes], tuple[int, int]] = field(default_factory=dict)
    nexthops: dict[int, VrNexthopReq] = field(default_factory=dict)
    labels: dict[int, int] = field(default_factory=dict)
    vnis: dict[int, int] = field(default_factory=dict)
    ports: dict[int, PortFacts] = field(default_factory=dict)
    metas: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    services: list[LinkLocal] = field(default_factory=list)
    router_id: bytes = bytes(4)
    host_vif: int = 0
    fabric_vrf: int = 0
    free_ports: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Route:
    """What a look-up found."""

    vrf: int
    prefix: IPv4Network | IPv6Network | None
    nexthop: int
    meta: int

    @property
    def length(self) -> int:
        return self.prefix.prefixlen if self.prefix else 48


@dataclass
class Side:
    """The answer for one direction; names as in `Direction`."""

    key: bytes = bytes(44)
    source_nexthop: int = 0
    flags: int = ACTIVE
    vrf: int = 0
    dvrf: int = 0
    action: int = 0
    reason: int = 0
    ttl: int = 0
    ecmp: int = -1
    mirror: int = 255
    second_mirror: int = 255
    qos: int = -1
    policy_rule: int = 0
    group_rule: int = 0


@dataclass
class Answer:
    forward: Side
    reverse: Side
    flags: int
    bound_port: int


class Short(Exception):
    """The flow is dropped for this reason."""


@dataclass(frozen=True)
class Fields:
    src: bytes
    dst: bytes
    sport: int
    dport: int

    def back(self) -> Fields:
        return Fields(self.dst, self.src, self.dport, self.sport)


@dataclass
class Tip:
    """One end: the local port, the route to it, and what counts for policy."""

    port: PortFacts | None = None
    vif: int | None = None
    route: Route | None = None
    meta: int = 0
    network: int | None = None
    acts: bool = False


def matches(decision: Decision, answer: Answer) -> bool:
    """Whether the kernel said the same."""
    return (
        all(
            getattr(one, name) == getattr(other, name)
            for one, other in (
                (decision.forward, answer.forward),
                (decision.reverse, answer.reverse),
            )
            for name in Side.__dataclass_fields__
        )
        and decision.flags == answer.flags
        and decision.bound_port == answer.bound_port
    )


def decide(
    facts: Facts,
    classifier: Classifier,
    packet: Packet,
    before: Decision | None = None,
) -> Answer:
    """What becomes of a packet's flow."""
    return _Decider(facts, classifier, packet, before).run()


class _Decider:
    def __init__(
        self, facts: Facts, classifier: Classifier, packet: Packet, before: Decision | None
    ) -> None:
        self.facts, self.classifier, self.packet, self.before = facts, classifier, packet, before
        p = packet
        self.size = len(p.source)
        self.icmp = p.protocol == (ICMP if self.size == 4 else ICMP6)
        self.fields = Fields(p.source, p.destination, p.source_port, p.destination_port)
        self.key_ends = (p.source, p.destination)
        self.src, self.dst = Tip(vif=p.vif), Tip()
        self.vrf = [p.vrf, p.vrf]
        self.to_vrf = [p.vrf, p.vrf]
        self.reverse_nexthop = p.key_nexthop
        self.hop: int | None = None
        self.ecmp = [-1, -1]
        self.nat = self.bind = self.hidden = self.fat = self.link_local = False
        self.flooded = self.skip_acl = False
        self.reverse_route: Route | None = None
        self.has_reverse_route = False
        self.landing: VrNexthopReq | None = None
        self.bound_port = 0
        self.mirrors: list[int] = []
        self.qos = -1

    # -- order of steps

    def run(self) -> Answer:
        sides = [Side(), Side()]
        reason = 0
        try:
            self.route_packet()
            sides[0].source_nexthop = self.rpf_forward()
            sides[1].source_nexthop = self.rpf_reverse()
        except Short as short:
            reason = short.args[0]
            self.nat = False
        keys = self.keys()
        if keys[0] == keys[1]:
            reason = reason or 17
            keys[1] = bytes(44)
        flags = self.pair_flags()
        if reason:
            sides = [Side(key=key, vrf=self.packet.vrf, reason=reason) for key in keys]
            return Answer(sides[0], sides[1], flags | PAIR_SHORT, 0)
        sides[0].key, sides[1].key = keys
        self.ecmp[1] = -1 if self.bridged else self.source_member()
        self.policy(sides)
        for which in (0, 1):
            self.finish(sides, which)
        if self.bind:
            sides[1].flags |= LINK_LOCAL
            flags |= PAIR_BOUND_PORT
        if max(self.ecmp) >= 0:
            flags |= PAIR_ECMP
        return Answer(sides[0], sides[1], flags, self.bound_port)

    def route_packet(self) -> None:
        port = self.facts.ports.get(self.packet.vif)
        fabric = port is not None and port.kind is PortKind.FABRIC
        self.ingress = self.packet.tunnel == 0 and not fabric
        self.bridged = self.packet.is_l2 if not self.ingress else self.is_bridged(port)
        self.src = Tip(port=port, vif=self.packet.vif) if self.ingress else Tip()
        if self.ingress:
            self.mask(port)
        self.to = self.fields
        self.validate(port)
        if self.ingress:
            self.from_port()
        else:
            self.from_fabric()
        self.check_routes()
        if self.bind:
            self.take_port()

    # -- look-up

    def look(self, vrf: int, address: bytes) -> Route | None:
        where = ip_address(address)
        best = None
        for (of, prefix), (nexthop, meta) in self.facts.routes.items():
            if of == vrf and where in prefix and (best is None or prefix.prefixlen > best.length):
                best = Route(vrf, prefix, nexthop, meta)
        return best if vrf in self.facts.vrfs else None

    def look_mac(self, vrf: int, mac: bytes) -> Route | None:
        found = self.facts.bridges.get((vrf, mac))
        if found is None and mac[0] & 1:
            found = self.facts.bridges.get((vrf, b"\xff" * 6))
        return None if found is None or vrf not in self.facts.vrfs else Route(vrf, None, *found)

    def find(self, vrf: int, address: bytes, mac: bytes) -> Route | None:
        return self.look_mac(vrf, mac) if self.bridged else self.look(vrf, address)

    def find_source(self, vrf: int) -> Route | None:
        """In a VRF, and on in those that the route leads to."""
        route = self.find(vrf, self.packet.source, self.packet.source_mac)
        for _ in range(4):
            nexthop = self.nexthop(route.nexthop) if route else None
            onwards = nexthop is not None and nexthop.nhr_type == VRF and nexthop.nhr_vrf >= 0
            if nexthop is None or not onwards or self.bridged:
                break
            route = self.look(nexthop.nhr_vrf, self.packet.source)
        return route

    def nexthop(self, number: int | None) -> VrNexthopReq | None:
        return None if number is None else self.facts.nexthops.get(number)

    def port_of(self, vif: int | None) -> PortFacts | None:
        return None if vif is None else self.facts.ports.get(vif)

    def know(self, tip: Tip) -> None:
        if not tip.acts:
            vm = tip.port is not None and tip.port.kind is PortKind.VM
            route_meta = tip.route.meta if tip.route else 0
            tip.meta = tip.port.meta if vm and tip.port else route_meta

    # -- direction and validity

    def is_bridged(self, port: PortFacts | None) -> bool:
        mac = self.packet.destination_mac
        if port is None or port.kind is not PortKind.VM or not port.bridged or mac == bytes(6):
            return False
        route = self.look_mac(self.packet.vrf, mac)
        nexthop = self.nexthop(route.nexthop) if route else None
        return nexthop is None or nexthop.nhr_type != L2_RECEIVE

    def active(self, port: PortFacts) -> bool:
        if self.bridged:
            return port.l2_active
        return port.ip4_active if self.size == 4 else port.ip6_active

    def validate(self, port: PortFacts | None) -> None:
        if self.ingress:
            if port is None or not self.active(port):
                raise Short(1)
            if port.kind is PortKind.VM and not (port.bridged if self.bridged else port.routed):
                raise Short(2)
        if self.packet.tunnel == 0 and self.packet.vrf not in self.facts.vrfs:
            raise Short(3)

    # -- fat flows

    def mask(self, port: PortFacts | None) -> None:
        if port is None or port.kind is not PortKind.VM:
            return
        sent = self.key_ends if self.ingress else self.key_ends[::-1]
        for fat in port.fat_flows:
            if not self.is_about(fat, sent):
                continue
            self.fat = True
            self.forget_ports(port, fat)
            ends = [
                self.cut(sent[0], fat.source, fat.ignore == 1),
                self.cut(sent[1], fat.destination, fat.ignore == 2),
            ]
            self.key_ends = (ends[0], ends[1]) if self.ingress else (ends[1], ends[0])
            self.hidden = bool(fat.ignore or fat.source or fat.destination)
            return

    def is_about(self, fat: FatFlow, sent: tuple[bytes, bytes]) -> bool:
        if fat.protocol != self.packet.protocol:
            return False
        if fat.port and fat.port not in (self.fields.sport, self.fields.dport):
            return False
        for facts, address in zip((fat.source, fat.destination), sent, strict=True):
            if facts is not None:
                prefix = ip_network((facts[0], facts[1]), strict=False)
                where = ip_address(address)
                if where.version != prefix.version or where not in prefix:
                    return False
        return True

    def forget_ports(self, port: PortFacts, fat: FatFlow) -> None:
        sport, dport = self.fields.sport, self.fields.dport
        if fat.port == 0:
            sport = dport = 0
        else:
            known = {one.port for one in port.fat_flows if one.protocol == fat.protocol}
            if dport in known and (sport not in known or dport <= sport):
                sport = 0
            else:
                dport = 0
        self.fields = replace(self.fields, sport=sport, dport=dport)

    @staticmethod
    def cut(address: bytes, facts: tuple[bytes, int, int] | None, ignored: bool) -> bytes:
        if ignored:
            return bytes(len(address))
        if facts is None:
            return address
        return ip_network((address, facts[2]), strict=False).network_address.packed

    # -- the way out

    def lead(self, number: int | None) -> None:
        self.dst.port = self.dst.vif = None
        self.hop = None
        self.ecmp[0] = -1
        self.reverse_nexthop = self.packet.key_nexthop
        nexthop = self.nexthop(number)
        for _ in range(4):
            if nexthop is None or nexthop.nhr_type != VRF or self.bridged or nexthop.nhr_vrf < 0:
                break
            self.dst.route = self.look(nexthop.nhr_vrf, self.packet.destination)
            number = self.dst.route.nexthop if self.dst.route else None
            nexthop = self.nexthop(number)
        if nexthop is not None and is_ecmp(nexthop):
            number = self.choose(nexthop)
            nexthop = self.nexthop(number)
        if nexthop is None or not nexthop.nhr_flags & VALID or number is None:
            return
        self.hop = number
        vif = nexthop.nhr_encap_oif_id[0] if nexthop.nhr_encap_oif_id else -1
        if nexthop.nhr_type in (ENCAP, RECEIVE) and vif >= 0:
            self.out_by(vif)
        elif nexthop.nhr_type == RESOLVE:
            self.out_by(vif if vif >= 0 else self.facts.host_vif)
        elif nexthop.nhr_type == TUNNEL and self.ingress and not self.bridged:
            self.reverse_nexthop = self.local_group()
        elif nexthop.nhr_type == COMPOSITE:
            self.reverse_nexthop = number

    def out_by(self, vif: int) -> None:
        self.dst.vif, self.dst.port = vif, self.port_of(vif)
        if self.dst.port is not None and self.dst.port.kind in (PortKind.VM, PortKind.HOST):
            self.reverse_nexthop = self.dst.port.key_nexthop

    def usable(self, number: int, local: bool) -> bool:
        part = self.nexthop(number) if number >= 0 else None
        return (
            part is not None
            and bool(part.nhr_flags & VALID)
            and (not local or part.nhr_type == ENCAP)
        )

    def choose(self, nexthop: VrNexthopReq) -> int | None:
        local = not self.ingress
        members = nexthop.nhr_nh_list
        wanted = max(self.before.forward.ecmp, 0) if self.before else -1
        if 0 <= wanted < len(members) and self.usable(members[wanted], local):
            self.ecmp[0] = wanted
            return members[wanted]
        if not members:
            return None
        hashed = self.hash(nexthop.nhr_ecmp_config_hash)
        at = hashed % min(len(members), 127)
        if not self.usable(members[at], local):
            left = [i for i, one in enumerate(members) if self.usable(one, local)]
            at = left[hashed % len(left)] if left else -1
        self.ecmp[0] = at if at < 127 else -1
        return members[at] if self.ecmp[0] >= 0 else None

    def hash(self, fields: int) -> int:
        fields = fields & 0x1F or 0x1F
        words = []
        if fields & 1:
            words.append(self.packet.protocol)
        if fields & 2:
            words += words_of(self.fields.src)
        if fields & 4:
            words.append(self.fields.sport)
        if fields & 8:
            words += words_of(self.fields.dst)
        if fields & 0x10:
            words.append(self.fields.dport)
        value = 0x2545F491
        for word in words:
            value = mix(value, word)
        return mix(value, value >> 16)

    def local_group(self) -> int:
        own = self.packet.key_nexthop
        nexthop = self.nexthop(self.src.route.nexthop) if self.src.route else None
        if nexthop is None or self.src.route is None or not is_ecmp(nexthop):
            return own
        local = [one for one in nexthop.nhr_nh_list if self.usable(one, True)]
        if len(local) < 2:
            return own
        if all(
            self.usable(one, True) or not self.usable(one, False) for one in nexthop.nhr_nh_list
        ):
            return self.src.route.nexthop
        for number, group in sorted(self.facts.nexthops.items()):
            held = [one for one in group.nhr_nh_list if self.usable(one, False)]
            if is_ecmp(group) and sorted(held) == sorted(local):
                return number
        return own

    def source_member(self) -> int:
        nexthop = self.nexthop(self.src.route.nexthop) if self.src.route else None
        if nexthop is None or not is_ecmp(nexthop):
            return -1
        for at, number in enumerate(nexthop.nhr_nh_list[:127]):
            part = self.nexthop(number)
            if part is None or not self.usable(number, False):
                continue
            if self.ingress:
                here = part.nhr_type == ENCAP and part.nhr_encap_oif_id == (self.packet.vif,)
            else:
                far = int.from_bytes(part.nhr_tun_dip.to_bytes(4, "little"), "big")
                here = part.nhr_type == TUNNEL and far == self.packet.tunnel_source
            if here:
                return at
        return -1

    def check_out_port(self) -> None:
        port = self.dst.port
        if self.dst.vif is not None and (
            port is None or (port.kind is PortKind.VM and not self.active(port))
        ):
            raise Short(1)

    # -- from a port

    def from_port(self) -> None:
        p, port = self.packet, self.src.port
        assert port is not None
        if self.size == 4 and p.destination[:2] == b"\xa9\xfe" and self.to_link_local(port):
            return
        vrf = p.vrf
        alias = None if self.bridged else find_alias(port, p.source)
        if alias:
            self.act(self.src, alias.meta, alias.network_list)
            vrf = self.to_vrf[0] = alias.vrf
        self.find_ends(vrf)
        self.vrf[1] = self.to_vrf[1] = p.vrf
        self.translate_vrf(self.src)
        self.lead(self.dst.route.nexthop if self.dst.route else None)
        if not self.bridged and port.kind is PortKind.VM:
            self.snat(port)
        out = self.dst.port
        if out is not None and out.kind is PortKind.VM:
            self.vrf[1] = out.vrf
            if not self.nat:
                self.to_vrf[1] = out.vrf
            self.to_alias()
            if not self.bridged:
                self.dnat()
        self.know(self.dst)
        if self.dst.route:
            self.check_out_port()

    def act(self, tip: Tip, meta: int, network: int | None) -> None:
        tip.acts, tip.meta, tip.network = True, meta, network

    def to_alias(self) -> None:
        port = self.dst.port
        alias = None if self.bridged or not port else find_alias(port, self.packet.destination)
        if alias:
            self.act(self.dst, alias.meta, alias.network_list)
            self.to_vrf[1] = alias.vrf

    def find_ends(self, vrf: int) -> None:
        p = self.packet
        self.src.route = self.find_source(vrf)
        self.dst.route = self.find(vrf, p.destination, p.destination_mac)
        self.know(self.src)
        self.know(self.dst)

    # -- VRF-assign

    def translate_vrf(self, owner: Tip) -> None:
        port = owner.port
        if port is None or port.kind is not PortKind.VM:
            return
        if port.vrf_assign_lists:
            self.translate_by(port.vrf_assign_lists)
        elif owner.acts:
            self.translate_by(() if owner.network is None else (owner.network,))
        else:
            self.translate_by(port.network_lists)

    def translate_by(self, lists: Sequence[int]) -> None:
        if self.bridged or not lists:
            return
        verdict = self.ask_classifier(lists, self.fields, False)
        if not verdict.actions & VRF_ACTION:
            return
        self.skip_acl = verdict.ignore_acl
        if verdict.vrf is None or verdict.vrf not in self.facts.vrfs:
            raise Short(3)
        self.to_vrf[0 if self.ingress else 1] = verdict.vrf
        if self.ingress:
            self.dst.route = self.look(verdict.vrf, self.packet.destination)
        else:
            self.src.route = self.find_source(verdict.vrf)
        self.know(self.src)
        self.know(self.dst)

    # -- floating IPs

    def primary(self, port: PortFacts) -> bytes:
        return port.address if self.size == 4 else port.address6

    def mapped(self, floating: Floating, public: bool, port: int) -> int:
        if floating.mappings is None:
            return port
        for protocol, outside, inside in floating.mappings:
            if protocol == self.packet.protocol and port == (inside if public else outside):
                return outside if public else inside
        raise Short(18)

    def snat(self, port: PortFacts) -> None:
        p = self.packet
        own = self.dst.route.length if self.dst.route else -1
        found = []
        for floating in port.floating:
            fits = floating.outbound and len(floating.address) == self.size
            if not fits or floating.fixed not in (b"", p.source):
                continue
            route = self.look(floating.vrf, p.destination)
            if route is not None and route.length > own:
                name = self.facts.vrfs[floating.vrf].encode()
                found.append((-route.length, name, floating.address, floating, route))
        if not found:
            return
        _, _, _, floating, route = min(found, key=lambda one: one[:3])
        self.dst.route = route
        self.act(self.src, floating.meta, floating.network_list)
        self.know(self.dst)
        self.nat = True
        self.to_vrf = [floating.vrf, p.vrf]
        self.to = replace(self.to, src=floating.address)
        self.to = replace(self.to, sport=self.mapped(floating, True, self.fields.sport))
        self.translate_by(() if floating.network_list is None else (floating.network_list,))
        self.lead(self.dst.route.nexthop if self.dst.route else None)

    def floating_of(self, port: PortFacts) -> Floating | None:
        address = self.packet.destination
        if address == self.primary(port):
            return None
        for floating in port.floating:
            if floating.inbound and floating.address == address:
                return floating if floating.vrf in self.facts.vrfs else None
        return None

    def dnat(self) -> None:
        p, port = self.packet, self.dst.port
        assert port is not None
        floating = self.floating_of(port)
        if floating is None:
            return
        if not self.ingress:
            self.src.route = self.find_source(floating.vrf)
            self.know(self.src)
            self.to_vrf[1] = floating.vrf
        elif not self.nat:
            self.to_vrf[1] = p.vrf
        self.dst.route = self.look(floating.vrf, p.destination)
        self.act(self.dst, floating.meta, floating.network_list)
        self.nat = True
        self.to_vrf[0] = port.vrf
        self.to = replace(self.to, dst=floating.fixed or self.primary(port))
        self.reverse_route = self.look(port.vrf, self.to.dst)
        self.has_reverse_route = port.vrf in self.facts.vrfs
        self.to = replace(self.to, dport=self.mapped(floating, False, self.fields.dport))

    # -- link-local services

    def to_link_local(self, port: PortFacts) -> bool:
        if port.kind is PortKind.VM:
            return self.service_of_vm(port)
        if port.kind is PortKind.HOST:
            self.vm_of_host()
            return True
        return False

    def service_of_vm(self, port: PortFacts) -> bool:
        p = self.packet
        known = [one for one in self.facts.services if one.address == p.destination]
        wanted = [one for one in known if one.port == self.fields.dport]
        if wanted and wanted[0].servers and p.protocol in (TCP, UDP):
            self.to_server(port, wanted[0])
            return True
        if known:
            raise Short(4)
        return False

    def to_server(self, port: PortFacts, service: LinkLocal) -> None:
        p, facts = self.packet, self.facts
        server = service.servers[self.hash(0) % len(service.servers)]
        here = server == facts.router_id
        if here and len(port.link_local) != 4:
            raise Short(4)
        self.bridged, self.nat, self.link_local, self.bind = False, True, True, not here
        self.src.route = self.find_source(p.vrf)
        self.to = Fields(
            port.link_local if here else facts.router_id,
            server,
            self.fields.sport,
            service.server_port,
        )
        self.dst.vif, self.dst.port = facts.host_vif, self.port_of(facts.host_vif)
        self.dst.route = self.look(facts.fabric_vrf, server)
        self.vrf[1] = self.to_vrf[0] = facts.fabric_vrf
        self.to_vrf[1] = p.vrf
        if self.dst.port is None:
            raise Short(1)
        self.reverse_nexthop = self.dst.port.key_nexthop

    def vm_of_host(self) -> None:
        p = self.packet
        self.src.route = self.find_source(p.vrf)
        self.dst.route = self.look(p.vrf, p.destination)
        self.lead(self.dst.route.nexthop if self.dst.route else None)
        port = self.dst.port
        if port is None and self.dst.vif is not None:
            raise Short(1)
        is_it = port is not None and port.kind is PortKind.VM
        if port is None or not is_it or port.link_local != p.destination or len(port.address) != 4:
            self.src.route = self.dst.route = None
            raise Short(4)
        source, sport = ip_address("169.254.169.254").packed, self.fields.sport
        for service in self.facts.services:
            ours = self.facts.router_id in service.servers
            if ours and service.server_port == sport and p.protocol in (TCP, UDP):
                source, sport = service.address, service.port
                break
        self.nat = self.link_local = True
        self.to = Fields(source, port.address, sport, self.fields.dport)
        self.vrf[1] = self.to_vrf[0] = port.vrf
        self.to_vrf[1] = p.vrf
        self.reverse_route = self.look(port.vrf, port.address)
        self.has_reverse_route = port.vrf in self.facts.vrfs

    def take_port(self) -> None:
        mine = [port for proto, port in self.facts.free_ports if proto == self.packet.protocol]
        if self.before is not None and self.before.bound_port:
            self.bound_port = self.before.bound_port
        elif mine:
            self.bound_port = mine[-1]
        else:
            raise Short(12)
        self.to = replace(self.to, sport=self.bound_port)

    # -- from the fabric

    def from_fabric(self) -> None:
        p = self.packet
        number = self.landed()
        nexthop = self.landing = self.nexthop(number)
        if nexthop is None:
            raise Short(4)
        if nexthop.nhr_type == VRF and nexthop.nhr_vrf >= 0:
            number = self.enter(nexthop.nhr_vrf)
        self.lead(number)
        port = self.dst.port
        vrf = p.vrf
        if port is not None and port.kind is PortKind.VM:
            vrf = port.vrf
        elif nexthop.nhr_vrf >= 0 and p.tunnel:
            vrf = nexthop.nhr_vrf
        self.vrf[1] = self.to_vrf[1] = vrf
        if port is not None and port.kind is PortKind.VM and self.floating_of(port):
            self.bridged = False
        self.to_alias()
        self.mask(port)
        self.to = self.fields
        self.find_ends(self.to_vrf[1])
        if port is None and self.dst.vif is None and not self.bridged:
            self.lead(self.dst.route.nexthop if self.dst.route else None)
        self.translate_vrf(self.dst)
        port = self.dst.port
        if port is not None and port.kind is PortKind.VM and not self.bridged:
            self.dnat()
        self.check_out_port()

    def landed(self) -> int | None:
        p = self.packet
        if p.tunnel == 3:
            return self.facts.vnis.get(p.label)
        if p.tunnel:
            return self.facts.labels.get(p.label)
        route = self.look(p.vrf, p.destination)
        return route.nexthop if route else None

    def enter(self, vrf: int) -> int | None:
        if self.bridged:
            self.dst.route = self.look_mac(vrf, self.packet.destination_mac)
            nexthop = self.nexthop(self.dst.route.nexthop) if self.dst.route else None
            if nexthop is None or nexthop.nhr_type != L2_RECEIVE:
                return self.dst.route.nexthop if self.dst.route else None
            self.bridged = False
        self.dst.route = self.look(vrf, self.packet.destination)
        return self.dst.route.nexthop if self.dst.route else None

    # -- routes

    def check_routes(self) -> None:
        source, target = self.src.route, self.dst.route
        if self.bridged and self.ingress and source and not target:
            self.flooded = bool(self.src.port and self.src.port.flood)
        elif self.bridged and not self.ingress and target and not source:
            self.flooded = bool(self.landing and self.landing.nhr_flags & FLOOD)
        if self.flooded:
            return
        if self.nat and self.hidden:
            raise Short(20)
        if source is None:
            raise Short(4)
        if target is None:
            raise Short(5)

    # -- RPF

    def by_route(self, route: Route | None, sender: PortFacts | None) -> int:
        if route is None:
            return 2
        nexthop = self.nexthop(route.nexthop)
        if sender is not None and nexthop is not None and nexthop.nhr_type == COMPOSITE:
            return sender.key_nexthop
        return route.nexthop

    def rpf_forward(self) -> int:
        port = self.src.port if self.ingress else self.dst.port
        if port is None or port.kind is not PortKind.VM or not port.rpf:
            return 0
        if not self.ingress:
            return self.by_route(self.src.route, None) if self.src.route else 0
        of_link = self.size == 16 and ip_address(self.packet.source).is_link_local
        if not (self.bridged and port.routed) or of_link:
            return self.by_route(self.src.route, port)
        route = self.look(self.packet.vrf, self.packet.source)
        nexthop = self.nexthop(route.nexthop) if route else None
        if nexthop is None or nexthop.nhr_type == DISCARD:
            raise Short(19)
        return self.by_route(route, port)

    def rpf_reverse(self) -> int:
        port = self.dst.port
        if port is not None and port.kind is PortKind.VM:
            route = self.dst.route
            if self.nat and self.has_reverse_route:
                route = self.reverse_route
            return self.by_route(route, port) if port.rpf else 0
        if port is not None or not self.ingress or self.flooded:
            return 0
        hop = self.nexthop(self.hop)
        if not (self.src.port and self.src.port.rpf) or self.multicast():
            return 0
        if hop is not None and hop.nhr_type == COMPOSITE:
            return 0
        return self.by_route(self.dst.route, None)

    # -- keys and flags

    def keys(self) -> list[bytes]:
        p = self.packet
        same = (
            self.fat
            and not self.nat
            and p.source_port == p.destination_port
            and self.reverse_nexthop == p.key_nexthop
        )
        keep = self.icmp or same
        is_, to = self.fields, self.to
        forward = self.key(p.key_nexthop, *self.key_ends, is_.sport, is_.dport)
        if self.nat:
            ports = (is_.sport, is_.dport) if keep else (to.dport, to.sport)
            return [forward, self.key(self.reverse_nexthop, to.dst, to.src, *ports)]
        ports = (is_.sport, is_.dport) if keep else (is_.dport, is_.sport)
        return [forward, self.key(self.reverse_nexthop, *self.key_ends[::-1], *ports)]

    def key(self, nexthop: int, src: bytes, dst: bytes, sport: int, dport: int) -> bytes:
        head = bytes((2 if self.size == 4 else 10, self.packet.protocol, 0, 0))
        ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
        return (head + ports + nexthop.to_bytes(4, "little") + src + dst).ljust(44, b"\0")

    def multicast(self) -> bool:
        dst = self.packet.destination
        return ip_address(dst).is_multicast or dst == b"\xff" * 4

    def pair_flags(self) -> int:
        local = self.dst.port is not None and self.dst.port.kind is PortKind.VM
        ack = self.packet.tcp_ack and self.packet.protocol == TCP
        wanted = (
            (PAIR_INGRESS, self.ingress),
            (PAIR_LOCAL, self.ingress and local),
            (PAIR_NAT, self.nat),
            (PAIR_LINK_LOCAL, self.link_local),
            (PAIR_MULTICAST, self.multicast()),
            (PAIR_L2, self.bridged),
            (PAIR_FAT, self.fat),
            (PAIR_TCP_ACK, ack),
        )
        return sum(bit for bit, holds in wanted if holds)

    def finish(self, sides: list[Side], which: int) -> None:
        side, other = sides[which], sides[1 - which]
        side.vrf, side.ecmp = self.vrf[which], self.ecmp[which]
        if self.mirrors:
            side.flags |= MIRROR
            side.mirror, side.second_mirror = [*self.mirrors, 255][:2]
        side.qos = self.qos
        if self.nat:
            side.flags |= self.nat_flags(side.key, other.key)
        if self.nat or self.to_vrf[which] != self.vrf[which]:
            side.flags |= VRFT
            side.dvrf = self.to_vrf[which]
        side.action = 0 if side.reason else 3 if self.nat else 2

    def nat_flags(self, key: bytes, other: bytes) -> int:
        size = self.size
        src, dst = key[12 : 12 + size], key[12 + size : 12 + 2 * size]
        other_src, other_dst = other[12 : 12 + size], other[12 + size : 12 + 2 * size]
        flags = (SNAT if src != other_dst else 0) | (DNAT if dst != other_src else 0)
        if self.packet.protocol in (TCP, UDP):
            flags |= SPAT if key[4:6] != other[6:8] else 0
            flags |= DPAT if key[6:8] != other[4:6] else 0
        return flags

    # -- policy

    def ask_classifier(self, lists: Sequence[int], fields: Fields, back: bool) -> Verdict:
        tips = (self.dst, self.src) if back else (self.src, self.dst)
        ends = [
            End(address, *self.facts.metas.get(tip.meta, (0, 0, 0)))
            for address, tip in zip((fields.src, fields.dst), tips, strict=True)
        ]
        probe = Probe(ends[0], ends[1], self.packet.protocol, fields.sport, fields.dport)
        return self.classifier.match(list(lists), probe)

    def to_gateway(self, port: PortFacts) -> bool:
        dns = self.packet.protocol == UDP and 53 in (self.fields.sport, self.fields.dport)
        ends = (self.fields.src, self.fields.dst)
        return (self.icmp or dns) and any(one in ends for one in port.gateways)

    def ask(
        self, port: PortFacts | None, lists: Sequence[int], fields: Fields, back: bool, strict: bool
    ) -> tuple[bool, bool, int]:
        """(denied, asked, rule) of lists; `strict`: without any list it is denied."""
        if port is None:
            return False, False, NOT_EVALUATED
        if not lists and not strict:
            return False, False, ALLOW
        if self.to_gateway(port):
            return False, True, GATEWAY
        if not lists:
            return True, True, IMPLICIT_DENY
        verdict = self.ask_classifier(lists, fields, back)
        self.add_up(verdict)
        denied = verdict.outcome == UNMATCHED or bool(verdict.actions & (DENY | REJECT))
        return denied, True, verdict.rule

    def add_up(self, verdict: Verdict) -> None:
        for mirror in verdict.mirrors:
            if mirror not in self.mirrors and len(self.mirrors) < 2:
                self.mirrors.append(mirror)
        if verdict.qos is not None and self.qos < 0:
            self.qos = verdict.qos

    def judge(self, tip: Tip) -> PortFacts | None:
        port = tip.port
        return port if port and port.kind is PortKind.VM and port.policy else None

    def views(self) -> tuple[Fields, Fields, Fields, Fields]:
        """What the near and the far port see, forward and back."""
        return self.fields, self.to, self.to.back(), self.fields.back()

    def policy(self, sides: list[Side]) -> None:
        forward, reverse = sides
        exempt = NOT_EVALUATED
        if self.multicast():
            exempt = RULE_MULTICAST
        if self.link_local:
            exempt = RULE_LINK_LOCAL
        if exempt:
            for side in sides:
                side.policy_rule = side.group_rule = exempt
            return
        near = self.src if self.ingress else self.dst
        far = self.dst if self.ingress else None
        ahead, ahead_out, _, _ = self.views()
        for tip, fields in ((near, ahead), (far, ahead_out)):
            port = self.judge(tip) if tip else None
            if port is not None and port.mirror_lists:
                self.add_up(self.ask_classifier(port.mirror_lists, fields, False))
        self.judge_forward(forward, near, far)
        reverse.policy_rule, reverse.group_rule = forward.policy_rule, forward.group_rule
        reverse.reason = forward.reason
        if not forward.reason and not self.skip_acl:
            reverse.reason, rule = self.network(near, far, True)
            if reverse.reason or forward.policy_rule <= ALLOW:
                reverse.policy_rule = rule

    def judge_forward(self, side: Side, near: Tip, far: Tip | None) -> None:
        if not self.skip_acl:
            side.reason, side.policy_rule = self.network(near, far, False)
        if not side.reason:
            side.reason, side.group_rule = self.stateful(near, far, "groups", 24)
        if self.skip_acl:
            return
        for kind, reason in (("fwaas", 32), ("firewall", 28)):
            if not side.reason:
                side.reason, rule = self.stateful(near, far, kind, reason)
                if rule > ALLOW:
                    side.policy_rule = rule

    def network(self, near: Tip, far: Tip | None, back: bool) -> tuple[int, int]:
        views = self.views()
        fields = (views[2], views[3]) if back else (views[0], views[1])
        denied, asked, rule = self.ask_network(near, fields[0], back)
        if denied:
            return 22, rule
        if far is None:
            return 0, rule
        far_denied, far_asked, far_rule = self.ask_network(far, fields[1], back)
        if far_denied or (far_asked and not asked):
            rule = far_rule
        return (23 if far_denied else 0), rule

    def ask_network(self, tip: Tip, fields: Fields, back: bool) -> tuple[bool, bool, int]:
        port = self.judge(tip)
        lists = port.network_lists if port else ()
        if tip.acts:
            lists = () if tip.network is None else (tip.network,)
        return self.ask(port, lists, fields, back, False)

    def stateful(self, near: Tip, far: Tip | None, kind: str, reason: int) -> tuple[int, int]:
        answers = self.both(near, far, kind, False)
        denier = next((i for i, one in enumerate(answers) if one[0]), None)
        if denier is None:
            return 0, deciding(answers)
        if self.packet.tcp_ack and self.packet.protocol == TCP:
            back = self.both(near, far, kind, True)
            if not any(one[0] for one in back):
                return 0, deciding(back)
        return reason + denier, answers[denier][2]

    def both(
        self, near: Tip, far: Tip | None, kind: str, back: bool
    ) -> list[tuple[bool, bool, int]]:
        views = self.views()
        fields = (views[2], views[3]) if back else (views[0], views[1])
        leaves = self.ingress != back
        answers = [self.ask_kind(self.judge(near), kind, leaves, fields[0], back)]
        if not answers[0][0]:
            port = self.judge(far) if far else None
            answers.append(self.ask_kind(port, kind, back, fields[1], back))
        return answers

    def ask_kind(
        self, port: PortFacts | None, kind: str, leaves: bool, fields: Fields, back: bool
    ) -> tuple[bool, bool, int]:
        if port is None:
            return False, False, NOT_EVALUATED
        if kind == "groups":
            lists = port.egress_lists if leaves else port.ingress_lists
            return self.ask(port, lists, fields, back, port.grouped)
        lists = port.fwaas_lists if kind == "fwaas" else port.firewall_lists
        return self.ask(port, lists, fields, back, False)


def deciding(answers: list[tuple[bool, bool, int]]) -> int:
    """The rule of the near port if it was asked, else of the far one if that was."""
    for _, asked, rule in answers:
        if asked:
            return rule
    return answers[0][2]


def find_alias(port: PortFacts, address: bytes) -> Alias | None:
    return next((one for one in port.aliases if one.address == address), None)


def is_ecmp(nexthop: VrNexthopReq) -> bool:
    return nexthop.nhr_type == COMPOSITE and bool(nexthop.nhr_flags & ECMP)


def words_of(address: bytes) -> list[int]:
    return [int.from_bytes(address[i : i + 4], "little") for i in range(0, len(address), 4)]


def mix(value: int, word: int) -> int:
    value = ((value ^ word) * 0x9E3779B1) & 0xFFFFFFFF
    return value ^ value >> 15
