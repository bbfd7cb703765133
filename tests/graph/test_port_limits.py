"""What bounds a port's flows: numbers, fat flows, checked sources; link-local services."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Any

import pytest

from agent.inputs import DropNewFlows
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.oper.flow_rows import FatFlow, LinkLocalService, PortLimits
from agent.values import ip4_as_loaded, ip6_as_loaded
from tests.graph.lending import INSIDE_VRF, inside, port_of, with_property
from tests.graph.test_routes import Site
from tests.graph.test_shared_addresses import site_of
from tests.graph.worlds import World, full, ports_of, put, remove

PARSED = inside()
[VM] = PARSED.vms.values()
BASE = full(PARSED)
NETWORK = ("virtual-network", INSIDE_VRF[: -len(":net1")])
GLOBAL = (
    "global-vrouter-config",
    "default-global-system-config:default-global-vrouter-config",
)
DROP = 0x40000


def limits(world: World) -> PortLimits:
    return site_of(world).compiler.flow_ports()[VM.port].limits


def vif(site: Site) -> Any:
    return site[Key(Kind.VIF, (str(VM.port), VM.tap))]


def bounded(own: int = 0, network: int = 0, everyone: int = 0) -> World:
    world = with_property(
        BASE, port_of(VM), virtual_machine_interface_properties={"max-flows": own}
    )
    world = with_property(
        world, NETWORK, virtual_network_properties={"max-flows": network, "rpf": "enable"}
    )
    return with_property(world, GLOBAL, global_max_vmi_flows=everyone)


@pytest.mark.parametrize(
    ("own", "network", "everyone", "expected"),
    [
        (0, 0, 0, 0),
        (100, 0, 0, 100),
        (0, 200, 0, 200),
        (100, 50, 0, 100),
        (0, 0, 300, 300),
        (100, 0, 300, 100),
        (400, 0, 300, 300),
        (0, 400, 300, 300),
        (-1, 0, 0, 0),
    ],
)
def test_the_number_of_flows(own: int, network: int, everyone: int, expected: int) -> None:
    assert limits(bounded(own, network, everyone)).max_flows == expected


def test_sources_are_checked_unless_somebody_says_otherwise() -> None:
    assert limits(BASE).rpf
    off = with_property(BASE, NETWORK, virtual_network_properties={"rpf": "disable"})
    assert not limits(off).rpf
    unsecured = with_property(BASE, port_of(VM), port_security_enabled=False)
    assert not limits(unsecured).rpf


def test_the_metadata_address() -> None:
    site = site_of(BASE)
    address = site.compiler.flow_ports()[VM.port].limits.link_local
    assert address == IPv4Address("169.254.0.0") + vif(site).vifr_idx


def fat(protocol: Any = "tcp", port: Any = 80, **more: Any) -> dict[str, Any]:
    members = {name.replace("_", "-"): value for name, value in more.items()}
    return {"protocol": protocol, "port": port} | members


def cut(side: str, prefix: str, length: int) -> dict[str, Any]:
    first, _, own = prefix.partition("/")
    return {
        f"{side}-prefix": {"ip-prefix": first, "ip-prefix-len": int(own)},
        f"{side}-aggregate-prefix-length": length,
    }


def flowing(*own: Any, network: tuple[Any, ...] = ()) -> World:
    world = with_property(
        BASE,
        port_of(VM),
        virtual_machine_interface_fat_flow_protocols={"fat-flow-protocol": list(own)},
    )
    return with_property(
        world, NETWORK, virtual_network_fat_flow_protocols={"fat-flow-protocol": list(network)}
    )


def test_fat_flows_of_the_port_and_of_its_network() -> None:
    found = limits(
        flowing(
            fat("tcp", 80, ignore_address="source"),
            fat("icmp", 0),
            network=(fat("udp", 53, ignore_address="destination"), fat("tcp", 80)),
        )
    ).fat_flows
    assert found == (FatFlow(6, 80, "source"), FatFlow(1, 0), FatFlow(17, 53, "destination"))


def test_addresses_are_taken_together() -> None:
    [one] = limits(flowing(fat("17", 53, **cut("source", "10.0.0.0/8", 24)))).fat_flows
    assert one == FatFlow(17, 53, "", ip_network("10.0.0.0/8"), 24)


def test_the_message_has_them_in_lists() -> None:
    made = vif(
        site_of(
            flowing(
                fat("tcp", 80, ignore_address="source"),
                fat("udp", 53),
                fat("tcp", 443, **cut("source", "10.0.0.0/8", 24)),
                fat("tcp", 22, **cut("destination", "10.1.0.0/16", 20)),
                fat(
                    "sctp",
                    9,
                    **cut("source", "fd00::/16", 64),
                    **cut("destination", "fd01::/16", 48),
                ),
                fat(
                    "udp",
                    7,
                    ignore_address="destination",
                    **cut("source", "10.2.0.0/16", 32),
                    **cut("destination", "10.3.0.0/16", 16),
                ),
            )
        )
    )
    assert [word & 0xFFFFFFFF for word in made.vifr_fat_flow_protocol_port] == [
        0x01060050,
        0x03110035,
        0x530601BB,
        0x43060016,
        0x33840009,
        0x62110007,
    ]
    high, low = ip6_as_loaded(ip_network("fd00::/16").network_address)  # type: ignore[arg-type]
    ten, two = (ip4_as_loaded(IPv4Address(text)) for text in ("10.0.0.0", "10.2.0.0"))
    assert made.vifr_fat_flow_src_prefix_h == (0, 0, 0, 0, high, 0)
    assert made.vifr_fat_flow_src_prefix_l == (0, 0, ten, 0, low, two)
    assert made.vifr_fat_flow_src_prefix_mask == bytes([0, 0, 8, 0, 16, 16])
    assert made.vifr_fat_flow_src_aggregate_plen == bytes([0, 0, 24, 0, 64, 32])
    assert made.vifr_fat_flow_dst_prefix_mask == bytes([0, 0, 0, 16, 16, 16])
    assert made.vifr_fat_flow_dst_aggregate_plen == bytes([0, 0, 0, 20, 48, 16])
    assert made.encode() == type(made)(**made.to_dict()).encode()


BAD: list[Any] = [
    fat("carrier pigeon"),
    fat("0"),
    fat("256"),
    fat("tcp", 65536),
    fat("tcp", "80"),
    fat("tcp", 80, **cut("source", "10.0.0.0/8", 4)),
    fat("tcp", 80, **cut("source", "10.0.0.0/8", 33)),
    fat("tcp", 80, **cut("source", "10.0.0.300/8", 24)),
    fat("tcp", 80, **cut("source", "10.0.0.0/8", 24), **cut("destination", "fd00::/8", 64)),
    "tcp:80",
]


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_left_out(bad: Any) -> None:
    assert limits(flowing(bad, fat("udp", 53))).fat_flows == (FatFlow(17, 53),)


def test_a_list_that_is_none() -> None:
    said = {"fat-flow-protocol": "tcp"}
    world = with_property(BASE, port_of(VM), virtual_machine_interface_fat_flow_protocols=said)
    assert limits(world).fat_flows == ()


def test_a_vm_that_has_all_its_flows_gets_no_new_ones() -> None:
    site = site_of(BASE)
    number = vif(site).vifr_idx
    plain = vif(site).vifr_flags
    site.learn(DropNewFlows(number, True))
    assert vif(site).vifr_flags == plain | DROP
    site.learn(DropNewFlows(number, False))
    assert vif(site).vifr_flags == plain
    site.learn(DropNewFlows(number + 1, True))
    site.learn(DropNewFlows(number, True))
    [port] = ports_of(PARSED)
    remove(site.compiler, port)
    site.turn()
    put(site.compiler, port)
    site.turn()
    assert vif(site).vifr_flags == plain, "a new port starts with nothing"


def serving(*entries: Any) -> World:
    return with_property(
        BASE, GLOBAL, linklocal_services={"linklocal-service-entry": list(entries)}
    )


def service(**changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "linklocal-service-name": "ntp",
        "linklocal-service-ip": "169.254.0.99",
        "linklocal-service-port": 123,
        "ip-fabric-DNS-service-name": "",
        "ip-fabric-service-port": 1123,
        "ip-fabric-service-ip": ["10.0.0.9", "10.0.0.10"],
    }
    return entry | {name.replace("_", "-"): value for name, value in changes.items()}


NTP = LinkLocalService(
    "ntp",
    IPv4Address("169.254.0.99"),
    123,
    (IPv4Address("10.0.0.9"), IPv4Address("10.0.0.10")),
    server_port=1123,
)


def test_services_of_the_fabric_on_link_local_addresses() -> None:
    site = site_of(serving(service()))
    assert site.compiler.link_local_services() == (NTP,)
    made = site[route_key(INSIDE_VRF, ip_network("169.254.0.99/32"))]
    policy = site[Key(Kind.NEXTHOP, ("receive", "policy"))].nhr_id
    assert (made.rtr_nh_id, made.rtr_label_flags) == (policy, 0x2)
    assert not [one for one in site.compiler.publications() if "169" in str(one.key)]


def test_what_changed_is_told_once() -> None:
    site = site_of(serving(service()))
    assert site.turn().link_local_services is None
    [node] = [row for row in serving().inputs.values() if getattr(row, "type", "") == GLOBAL[0]]
    put(site.compiler, node)
    assert site.turn().link_local_services == ()
    assert route_key(INSIDE_VRF, ip_network("169.254.0.99/32")) not in site


def test_the_metadata_service_is_the_agents_own() -> None:
    entry = service(
        linklocal_service_name="metadata",
        linklocal_service_ip="169.254.169.254",
        linklocal_service_port=80,
        ip_fabric_service_ip=[],
    )
    [one] = site_of(serving(entry)).compiler.link_local_services()
    assert (one.servers, one.server_port) == ((IPv4Address("10.0.0.1"),), 8097)


def test_a_server_by_its_name() -> None:
    entry = service(ip_fabric_service_ip=[], ip_fabric_DNS_service_name="ntp.example")
    [one] = site_of(serving(entry)).compiler.link_local_services()
    assert (one.servers, one.server_name) == ((), "ntp.example")


@pytest.mark.parametrize(
    "bad",
    [
        service(linklocal_service_ip=""),
        service(linklocal_service_ip="169.254.0.300"),
        service(linklocal_service_port=0),
        service(ip_fabric_service_port=65536),
        service(ip_fabric_service_ip=["10.0.0.300"]),
        service(ip_fabric_service_ip=[]),
        "ntp",
    ],
)
def test_services_that_cannot_be_used_are_left_out(bad: Any) -> None:
    assert site_of(serving(bad, service())).compiler.link_local_services() == (NTP,)
