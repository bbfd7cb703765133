"""A world and the oracle's facts, fed with the same things by the same calls."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

from agent._fast.classifier import Classifier, Line, Place
from agent._fast.flow_world import Decision, LinkLocal, Packet, PortKind, World
from agent.oper.flow_rows import Action
from agent.sandesh.vrouter import VrMplsReq, VrNexthopReq, VrRouteReq, VrVxlanReq
from tests.reference.flow_decide import Answer, Facts, PortFacts, decide

FABRIC_VRF, BLUE, RED, GREEN = 0, 2, 3, 4
FABRIC_VIF, HOST_VIF, PKT0_VIF = 0, 1, 2
ROUTER_MAC = bytes.fromhex("00005e000100")
HOST_NEXTHOP = 5
INET, INET6, BRIDGE = 2, 10, 7


def packed(text: str) -> bytes:
    return ip_address(text).packed


def mac(number: int) -> bytes:
    return b"\x02" + number.to_bytes(5, "big")


def far(text: str) -> int:
    """A tunnel's far end as a nexthop message carries it."""
    return int.from_bytes(packed(text), "little")


Services = tuple[tuple[tuple[int, int], tuple[int, int], tuple[int, int]], ...]
ANY: Services = (((0, 255), (0, 65535), (0, 65535)),)


def allow(number: int, **fields: Any) -> Line:
    return line(number, Action.PASS, **fields)


def deny(number: int, **fields: Any) -> Line:
    return line(number, Action.DENY, **fields)


def line(
    number: int,
    actions: Action,
    *,
    src: Place | None = None,
    dst: Place | None = None,
    services: Services = ANY,
    **fields: Any,
) -> Line:
    uuid = UUID(int=0x1000 + number)
    return Line(uuid, actions.value, src or Place(), dst or Place(), services, **fields)


def place(*prefixes: str, network: str = "", group: int | None = None) -> Place:
    return Place(tuple(ip_network(one) for one in prefixes), network, group)


def service(protocol: int, *ports: int) -> Services:
    return (((protocol, protocol), (0, 65535), (ports[0], ports[-1])),)


class Rig:
    """VRFs fabric, blue, red and green; vhost0, pkt0 and the fabric's vif."""

    def __init__(self) -> None:
        self.classifier = Classifier()
        self.world = World(self.classifier)
        self.facts = Facts()
        for index, name in ((FABRIC_VRF, "fabric"), (BLUE, "blue"), (RED, "red"), (GREEN, "green")):
            self.vrf(index, name)
        self.meta()
        self.nexthop(1, 5)
        self.nexthop(3, 8)
        self.port(FABRIC_VIF, kind=PortKind.FABRIC, vrf=FABRIC_VRF)
        self.port(HOST_VIF, kind=PortKind.HOST, vrf=FABRIC_VRF, key_nexthop=HOST_NEXTHOP)
        self.port(PKT0_VIF, kind=PortKind.AGENT, vrf=FABRIC_VRF, key_nexthop=6)
        self.nexthop(HOST_NEXTHOP, 1, vif=HOST_VIF)
        self.nexthop(6, 2, vif=PKT0_VIF)
        self.nexthop(7, 2, vif=FABRIC_VIF)
        self.host("10.0.0.1")
        self.route(FABRIC_VRF, "10.0.0.1/32", HOST_NEXTHOP)
        self.route(FABRIC_VRF, "0.0.0.0/0", 7)

    # feeding

    def vrf(self, index: int, name: str) -> None:
        self.world.put_vrf(index, name)
        self.facts.vrfs[index] = name

    def drop_vrf(self, index: int) -> None:
        self.world.drop_vrf(index)
        self.facts.vrfs.pop(index, None)
        for table in (self.facts.routes, self.facts.bridges):
            for key in [key for key in table if key[0] == index]:
                del table[key]  # type: ignore[arg-type]

    def meta(
        self, network: str = "", groups: tuple[int, ...] = (), tags: tuple[int, ...] = ()
    ) -> int:
        names = (network,) if network else ()
        number = self.world.meta(names, groups, tags)
        made = self.classifier
        self.facts.metas[number] = (made.networks(names), made.groups(groups), made.tags(tags))
        return number

    def nexthop(
        self,
        number: int,
        kind: int,
        *,
        vif: int = -1,
        flags: int = 1,
        family: int = INET,
        vrf: int = -1,
        to: str = "0.0.0.0",
        members: tuple[int, ...] = (),
        hash_fields: int = 0,
    ) -> None:
        message = VrNexthopReq(
            nhr_id=number,
            nhr_type=kind,
            nhr_family=family,
            nhr_flags=flags,
            nhr_vrf=vrf,
            nhr_encap_oif_id=(vif,) if vif >= 0 else (),
            nhr_tun_dip=far(to),
            nhr_nh_list=members,
            nhr_label_list=tuple(range(16, 16 + len(members))),
            nhr_ecmp_config_hash=hash_fields,
        )
        self.world.add(message)
        self.facts.nexthops[number] = message

    def tunnel(self, number: int, to: str) -> None:
        self.nexthop(number, 3, to=to)

    def ecmp(self, number: int, *members: int, hash_fields: int = 0) -> None:
        self.nexthop(number, 6, flags=0x401, members=members, hash_fields=hash_fields)

    def drop_nexthop(self, number: int) -> None:
        self.world.remove(VrNexthopReq(nhr_id=number))
        self.facts.nexthops.pop(number, None)

    def label(self, label: int, nexthop: int) -> None:
        self.world.add(VrMplsReq(mr_label=label, mr_nhid=nexthop))
        self.facts.labels[label] = nexthop

    def vni(self, vni: int, nexthop: int) -> None:
        self.world.add(VrVxlanReq(vxlanr_vnid=vni, vxlanr_nhid=nexthop))
        self.facts.vnis[vni] = nexthop

    def route(self, vrf: int, prefix: str, nexthop: int, meta: int = 0) -> None:
        to = ip_network(prefix)
        message = VrRouteReq(
            rtr_vrf_id=vrf,
            rtr_family=INET if to.version == 4 else INET6,
            rtr_prefix=to.network_address.packed,
            rtr_prefix_len=to.prefixlen,
            rtr_nh_id=nexthop,
        )
        self.world.put_routes([(message, meta)])
        self.facts.routes[vrf, to] = (nexthop, meta)

    def drop_route(self, vrf: int, prefix: str) -> None:
        to = ip_network(prefix)
        self.world.remove_route(vrf, to.network_address.packed, to.prefixlen)
        self.facts.routes.pop((vrf, to), None)

    def bridge(self, vrf: int, address: bytes, nexthop: int, meta: int = 0) -> None:
        message = VrRouteReq(rtr_vrf_id=vrf, rtr_family=BRIDGE, rtr_mac=address, rtr_nh_id=nexthop)
        self.world.put_routes([(message, meta)])
        self.facts.bridges[vrf, address] = (nexthop, meta)

    def drop_bridge(self, vrf: int, address: bytes) -> None:
        self.world.remove_bridge(vrf, address)
        self.facts.bridges.pop((vrf, address), None)

    def port(self, vif: int, **fields: Any) -> None:
        self.world.put_port(vif, **fields)
        self.facts.ports[vif] = PortFacts(**fields)

    def change_port(self, vif: int, **fields: Any) -> None:
        facts = dataclasses.replace(self.facts.ports[vif], **fields)
        self.port(vif, **{one.name: getattr(facts, one.name) for one in dataclasses.fields(facts)})

    def drop_port(self, vif: int) -> None:
        self.world.drop_port(vif)
        self.facts.ports.pop(vif, None)

    def host(self, router_id: str) -> None:
        self.world.set_host(packed(router_id), HOST_VIF, FABRIC_VRF)
        self.facts.router_id = packed(router_id)
        self.facts.host_vif, self.facts.fabric_vrf = HOST_VIF, FABRIC_VRF

    def services(self, *services: LinkLocal) -> None:
        self.world.set_services(services)
        self.facts.services = list(services)

    def give_port(self, protocol: int, port: int) -> None:
        self.world.give_port(protocol, port)
        self.facts.free_ports.append((protocol, port))

    def lists(self, number: int, *lines: Line) -> int:
        self.classifier.put(number, lines)
        self.world.touch_list(number)
        return number

    # what is usual

    def vm(self, vif: int, vrf: int, address: str, network: str = "", **fields: Any) -> None:
        """A VM's port: nexthops vif * 10 (L3) and + 1 (L2), label 1000 + vif, routes."""
        meta = self.meta(network, tuple(fields.pop("groups", ())), tuple(fields.pop("tags", ())))
        key = "address6" if ":" in address else "address"
        fields.setdefault("grouped", False)
        self.nexthop(vif * 10, 2, vif=vif, flags=3)
        self.nexthop(vif * 10 + 1, 2, vif=vif, flags=3, family=BRIDGE)
        self.label(1000 + vif, vif * 10)
        self.label(2000 + vif, vif * 10 + 1)
        self.port(
            vif,
            vrf=vrf,
            mac=mac(vif),
            key_nexthop=vif * 10,
            meta=meta,
            vm=vif,
            link_local=packed(f"169.254.0.{vif}"),
            **{key: packed(address)},
            **fields,
        )
        plen = 128 if ":" in address else 32
        self.route(vrf, f"{address}/{plen}", vif * 10, meta)
        self.bridge(vrf, mac(vif), vif * 10 + 1, meta)
        self.bridge(vrf, ROUTER_MAC, 3)
        self.route(FABRIC_VRF, f"169.254.0.{vif}/32", vif * 10)

    # asking

    def decide(self, packet: Packet, before: Decision | None = None) -> Decision:
        return self.world.decide(packet, before)

    def oracle(self, packet: Packet, before: Decision | None = None) -> Answer:
        return decide(self.facts, self.classifier, packet, before)

    def sent(
        self, vif: int, source: str, destination: str, protocol: int = 17, sport: int = 1000,
        dport: int = 2000, **fields: Any,
    ) -> Packet:  # fmt: skip
        """What a VM (or the host) sends by IP address."""
        port = self.facts.ports[vif]
        fields.setdefault("source_mac", mac(vif))
        fields.setdefault("destination_mac", ROUTER_MAC)
        return Packet(
            vif,
            port.vrf,
            port.key_nexthop,
            protocol,
            packed(source),
            packed(destination),
            sport,
            dport,
            **fields,
        )

    def received(
        self, vif: int, source: str, destination: str, protocol: int = 17, sport: int = 1000,
        dport: int = 2000, *, tunnel_source: str = "10.0.0.2", **fields: Any,
    ) -> Packet:  # fmt: skip
        """What comes in by a VM's label."""
        port = self.facts.ports[vif]
        fields.setdefault("label", 1000 + vif)
        fields.setdefault("tunnel", 2)
        return Packet(
            vif,
            port.vrf,
            port.key_nexthop,
            protocol,
            packed(source),
            packed(destination),
            sport,
            dport,
            tunnel_source=int.from_bytes(packed(tunnel_source), "big"),
            **fields,
        )


def key(
    nexthop: int, source: str, destination: str, protocol: int, sport: int, dport: int
) -> bytes:
    """A flow key as the table has it."""
    family = 2 if ":" not in source else 10
    head = bytes((family, protocol, 0, 0)) + sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    ends = packed(source) + packed(destination)
    return (head + nexthop.to_bytes(4, "little") + ends).ljust(44, b"\0")
