"""DHCP conversations, with scapy as the client and scapy and dpkt as the judges."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any

import dpkt
import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from agent.oper.rows import DhcpOption, DhcpScope, HostRoute, Vrf
from agent.pkt import Packet
from agent.services import Dhcp4, TrappedPackets
from agent.services.dhcp4_answer import LINK_LOCAL_SERVICE
from agent.values import Mac
from tests.unit.pkt.pkt0_vectors import PORT, encapsulated
from tests.unit.services.world import FABRIC, VM_MAC, VMI, VN, World, feed

BROADCAST_FLAG = 0x8000


def request(kind: str, *options: Any, vif: int = 7, mac: bytes = VM_MAC, **bootp: Any) -> bytes:
    """A client's message as trapped."""
    message = (
        Ether(dst="ff:ff:ff:ff:ff:ff", src=str(Mac(mac)))
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes(mac), xid=0xCAFE0001, **bootp)
        / DHCP(options=[("message-type", kind), *options, "end"])
    )
    return encapsulated(7, bytes(message), ifindex=vif)


class Answer:
    """A reply as two independent decoders see it."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.ether = Ether(frame[44:])
        self.ip, self.udp, self.bootp = self.ether[IP], self.ether[UDP], self.ether[BOOTP]
        raw = dpkt.ethernet.Ethernet(frame[44:])
        self.dpkt = dpkt.dhcp.DHCP(raw.data.data.data)
        self.order = [code for code, _ in self.dpkt.opts]
        self.options: dict[int, bytes] = {}
        for code, value in self.dpkt.opts:  # RFC 3396
            self.options[code] = self.options.get(code, b"") + value

    def ip_checksum_is_right(self) -> bool:
        again = IP(bytes(self.ip))
        del again.chksum
        return int(IP(bytes(again)).chksum) == int(self.ip.chksum)


def ask(world: World, frame: bytes) -> Answer:
    [reply] = feed(TrappedPackets(world), frame)
    return Answer(reply)


def ip4(text: str) -> bytes:
    return IPv4Address(text).packed


def configured(*pairs: tuple[str, str], **scope: Any) -> DhcpScope:
    return DhcpScope(tuple(DhcpOption(name, value) for name, value in pairs), **scope)


def test_offer() -> None:
    answer = ask(World(), request("discover", flags=BROADCAST_FLAG))
    assert answer.order == [53, 54, 1, 28, 51, 3, 12, 6]
    assert answer.options == {
        53: b"\x02",
        54: ip4("10.1.1.2"),
        1: ip4("255.255.255.0"),
        28: ip4("10.1.1.255"),
        51: b"\xff\xff\xff\xff",
        3: ip4("10.1.1.1"),
        12: b"vm1",
        6: ip4("10.1.1.2"),
    }
    bootp = answer.bootp
    assert (bootp.op, bootp.htype, bootp.hlen, bootp.hops, bootp.secs) == (2, 1, 6, 0, 0)
    assert (bootp.xid, int(bootp.flags), bootp.chaddr[:6]) == (0xCAFE0001, 0x8000, VM_MAC)
    assert (bootp.yiaddr, bootp.siaddr, bootp.ciaddr, bootp.giaddr) == (
        "10.1.1.3",
        "10.1.1.2",
        "0.0.0.0",
        "0.0.0.0",
    )
    assert (bootp.sname.strip(b"\0"), bootp.file.strip(b"\0")) == (b"", b"")
    assert (answer.ether.src, answer.ether.dst) == ("00:00:5e:00:01:00", "ff:ff:ff:ff:ff:ff")
    assert (answer.ip.src, answer.ip.dst, answer.ip.ttl) == ("10.1.1.2", "255.255.255.255", 64)
    assert (answer.ip.id, int(answer.ip.flags), answer.ip.tos) == (0, 0, 0)
    assert (answer.udp.sport, answer.udp.dport, answer.udp.chksum) == (67, 68, 0)
    assert answer.ip_checksum_is_right()
    assert answer.udp.len == len(answer.frame) - 44 - 14 - 20 == answer.ip.len - 20
    assert answer.udp.len - 8 >= 300


def test_encapsulation_is_zero_where_it_says_nothing() -> None:
    frame = ask(World(), request("discover")).frame
    assert frame[:14] == bytes.fromhex("000000000002 000000000001 0800".replace(" ", ""))
    assert frame[14:20] == bytes([0, 7, 0, 3, 0, 0])  # vif 7, VRF 3, SWITCH
    assert frame[20:44] == bytes(24)


@pytest.mark.parametrize(
    ("bootp", "mac", "address"),
    [
        ({"flags": BROADCAST_FLAG}, "ff:ff:ff:ff:ff:ff", "255.255.255.255"),
        ({"flags": 0}, str(VM_MAC), "10.1.1.3"),
        ({"flags": BROADCAST_FLAG, "ciaddr": "10.1.1.3"}, str(VM_MAC), "10.1.1.3"),
        ({"giaddr": "10.9.9.9"}, "ff:ff:ff:ff:ff:ff", "255.255.255.255"),
    ],
    ids=["broadcast", "unicast", "renew", "relayed"],
)
def test_destination(bootp: dict[str, Any], mac: str, address: str) -> None:
    answer = ask(World(), request("request", **bootp))
    assert (answer.ether.dst, answer.ip.dst) == (mac, address)


def test_the_whole_conversation() -> None:
    box = TrappedPackets(World())
    [offer] = map(Answer, feed(box, request("discover")))
    requested = ("requested_addr", offer.bootp.yiaddr)
    server = ("server_id", str(IPv4Address(offer.options[54])))
    [ack] = map(Answer, feed(box, request("request", requested, server)))
    assert ack.options[53] == b"\x05"
    assert {k: v for k, v in ack.options.items() if k != 53} == {
        k: v for k, v in offer.options.items() if k != 53
    }
    assert feed(box, request("release", server, ciaddr="10.1.1.3")) == []
    assert feed(box, request("decline", requested, server)) == []
    counters = box.dhcp4.counters
    assert (counters.discover, counters.offers) == (1, 1)
    assert (counters.request, counters.acks, counters.nacks) == (1, 1, 0)
    assert (counters.release, counters.decline) == (1, 1)


def test_nak() -> None:
    box = TrappedPackets(World())
    [answer] = map(Answer, feed(box, request("request", ("requested_addr", "10.1.1.77"))))
    assert answer.order == [53, 54, 56]
    assert answer.options == {
        53: b"\x06",
        54: bytes(4),
        56: b"cannot assign requested address",
    }
    assert (answer.bootp.yiaddr, answer.ip.src, answer.ip.dst) == ("0.0.0.0", "10.1.1.2", "0.0.0.0")
    assert (box.dhcp4.counters.nacks, box.dhcp4.counters.acks) == (1, 0)


def test_inform_gets_options_but_no_address_and_no_lease() -> None:
    box = TrappedPackets(World())
    [answer] = map(Answer, feed(box, request("inform", ciaddr="10.1.1.3", flags=BROADCAST_FLAG)))
    assert answer.options[53] == b"\x05"
    assert 51 not in answer.options
    assert answer.options[3] == ip4("10.1.1.1")
    assert (answer.bootp.yiaddr, answer.ip.dst) == ("0.0.0.0", "10.1.1.3")
    assert answer.ether.dst == str(VM_MAC)
    assert (box.dhcp4.counters.inform, box.dhcp4.counters.acks) == (1, 1)


@pytest.mark.parametrize("kind", ["offer", "ack", "nak", "lease_query"])
def test_messages_of_servers_are_not_for_us(kind: str) -> None:
    box = TrappedPackets(World())
    assert feed(box, request(kind)) == []
    assert box.dhcp4.counters.other == 1


def test_wrong_hardware_address() -> None:
    box = TrappedPackets(World())
    assert feed(box, request("discover", mac=b"\x02\x99\x99\x99\x99\x99")) == []
    assert box.dhcp4.counters.incorrect_mac == 1


def test_a_port_without_dhcp_is_not_served() -> None:
    for change in ({"dhcp_enabled": False}, {"subnet_dhcp_enabled": False}):
        world = World()
        world.change(**change)
        box = TrappedPackets(world)
        assert feed(box, request("discover")) == []
        assert box.dispatcher.counters.pkt_dropped == 1


def test_disabled_while_the_packet_was_under_way() -> None:
    """The classifier's answer may be older than the service's."""
    world, packet, server = World(), Packet(), Dhcp4()
    packet.open(request("discover"))
    assert packet.parse(PORT) == 0
    world.change(dhcp_enabled=False)
    assert server.reply(world, packet, 0.0) is None
    assert server.counters.dhcp_disabled_drop == 1
    del world.vmis[7]
    assert server.reply(world, packet, 0.0) is None
    assert server.counters.other == 1
    packet.open(request("discover", vif=FABRIC.vhost_vif_index))
    assert packet.parse(PORT) == 0
    assert server.reply(world, packet, 0.0) is None
    assert server.counters.errors == 1


def test_lease_of_a_port_that_is_not_active_yet() -> None:
    world = World()
    world.change(active=False, reason="no VRF")
    answer = ask(world, request("discover"))
    assert answer.bootp.yiaddr == "10.1.1.3"
    assert answer.options[1] == ip4("255.255.255.255")
    assert answer.options[51] == (4).to_bytes(4)
    assert 3 not in answer.options
    assert 6 not in answer.options


def test_lease_without_a_subnet() -> None:
    world = World()
    world.change(subnet=None)
    answer = ask(world, request("discover"))
    assert answer.options[51] == (4).to_bytes(4)
    assert answer.options[54] == LINK_LOCAL_SERVICE.to_bytes(4)


def test_link_local_address_until_there_is_one() -> None:
    world = World({0x123: replace(VMI, vif_index=0x123, ip=None, subnet=None, vrf=None)})
    answer = ask(world, request("discover", vif=0x123))
    assert answer.bootp.yiaddr == "169.254.0.35"
    assert answer.options[1] == ip4("255.255.0.0")
    assert answer.options[28] == ip4("169.254.255.255")
    assert answer.options[51] == (4).to_bytes(4)


def test_fabric_port() -> None:
    world = World()
    world.change(ip=IPv4Address("192.168.0.9"), subnet=None, vrf=Vrf("ip-fabric", 0))
    answer = ask(world, request("discover"))
    assert answer.options[1] == ip4("255.255.255.0")
    assert answer.options[3] == answer.options[6] == ip4("192.168.0.254")
    assert answer.options[51] == b"\xff" * 4
    world.change(ip=IPv4Address("169.254.7.7"))
    answer = ask(world, request("discover"))
    assert 3 not in answer.options
    assert 6 not in answer.options


def test_a_changed_row_changes_the_next_answer() -> None:
    world = World()
    box = TrappedPackets(world)
    [before] = map(Answer, feed(box, request("discover")))
    world.change(ip=IPv4Address("10.1.1.44"))
    [after] = map(Answer, feed(box, request("discover")))
    assert (before.bootp.yiaddr, after.bootp.yiaddr) == ("10.1.1.3", "10.1.1.44")


def test_tx_vlan_tag() -> None:
    world = World()
    world.change(tx_vlan_id=100)
    answer = ask(world, request("discover"))
    assert answer.ether[Dot1Q].vlan == 100
    assert answer.bootp.yiaddr == "10.1.1.3"
    assert answer.ip_checksum_is_right()


def test_option_sources_first_one_wins() -> None:
    world = World()
    world.change(
        dhcp=configured(("interface-mtu", "1400"), ("ntp-servers", "10.0.0.1 10.0.0.2")),
        subnet_dhcp=configured(("26", "1300"), ("tag:x,67", "boot.img"), ("domain-name", "s.org")),
        subnet_ipam=configured(("domain-name", "ipam.org"), ("tftp-server-name", "10.3.3.3")),
    )
    answer = ask(world, request("discover"))
    assert answer.order == [53, 54, 1, 28, 26, 42, 67, 15, 66, 51, 3, 12, 6]
    assert answer.options[26] == (1400).to_bytes(2)
    assert answer.options[42] == ip4("10.0.0.1") + ip4("10.0.0.2")
    assert answer.options[67] == b"boot.img"
    assert answer.options[15] == b"s.org"
    assert answer.bootp.siaddr == "10.3.3.3"


def test_options_that_the_server_decides_on_cannot_be_configured() -> None:
    world = World()
    names = ("subnet-mask", "broadcast-address", "54", "relay-agent-information")
    world.change(dhcp=configured(*((name, "9.9.9.9") for name in names), ("53", "9"), ("no", "1")))
    box = TrappedPackets(world)
    [answer] = map(Answer, feed(box, request("discover")))
    assert answer.order == [53, 54, 1, 28, 51, 3, 12, 6]
    assert answer.options[1] == ip4("255.255.255.0")
    assert box.dhcp4.counters.bad_options == 6


def test_configured_router_lease_host_name_and_dns() -> None:
    world = World()
    world.change(
        dhcp=configured(
            ("routers", "10.1.1.9"),
            ("dhcp-lease-time", "600"),
            ("host-name", "other"),
            ("dns-servers", "8.8.8.8,8.8.4.4"),
        )
    )
    answer = ask(world, request("discover"))
    assert answer.order == [53, 54, 1, 28, 12, 6, 51, 3]
    assert answer.options[3] == ip4("10.1.1.9")
    assert answer.options[51] == (600).to_bytes(4)
    assert answer.options[12] == b"other"
    assert answer.options[6] == ip4("8.8.8.8") + ip4("8.8.4.4")
    assert 51 not in ask(world, request("inform")).options


@pytest.mark.parametrize(
    ("method", "domain", "dns", "host"),
    [
        ("default-dns-server", None, "10.1.1.2", b"vm1.old"),
        ("", None, "10.1.1.2", b"vm1.old"),
        ("none", None, "10.1.1.2", b"vm1.old"),
        ("virtual-dns-server", b"v.example", "10.1.1.2", b"vm1.v.example"),
        ("tenant-dns-server", None, "9.9.9.9", b"vm1.old"),
    ],
)
def test_dns_methods(method: str, domain: bytes | None, dns: str, host: bytes) -> None:
    world = World()
    world.change(
        vm_name="vm1.old",
        subnet_dns_method=method,
        subnet_domain_name="v.example",
        subnet_tenant_dns_servers=(ip_address("9.9.9.9"), ip_address("fd00::9")),
    )
    answer = ask(world, request("discover"))
    assert answer.options.get(15) == domain
    assert answer.options[6] == ip4(dns)
    assert answer.options[12] == host


def test_service_address_is_the_gateway_when_there_is_no_other() -> None:
    world = World()
    world.change(subnet_dns_server=None)
    answer = ask(world, request("discover"))
    assert answer.options[6] == answer.options[54] == ip4("10.1.1.1")
    assert answer.ip.src == "10.1.1.1"


ROUTES = (
    HostRoute(IPv4Network("172.16.0.0/12"), IPv4Address("10.1.1.9")),
    HostRoute(IPv4Network("0.0.0.0/0"), None),
    HostRoute(IPv4Network("10.9.8.7/32"), IPv4Address("0.0.0.0")),
)
ENCODED = bytes.fromhex("0c ac10 0a010109 00 0a010101 20 0a090807 0a010101".replace(" ", ""))


def test_classless_routes_replace_the_router_only_for_clients_that_ask() -> None:
    world = World()
    world.change(dhcp=DhcpScope(host_routes=ROUTES))
    plain = ask(world, request("discover", ("param_req_list", [1, 3, 6])))
    assert plain.order == [53, 54, 1, 28, 51, 121, 3, 12, 6]
    assert plain.options[121] == ENCODED
    asking = ask(world, request("discover", ("param_req_list", [1, 3, 121])))
    assert asking.order == [53, 54, 1, 28, 51, 121, 12, 6]
    none = ask(World(), request("discover", ("param_req_list", [1, 3, 121])))
    assert none.options[3] == ip4("10.1.1.1")


def test_classless_route_sources_in_order() -> None:
    def route(octet: int) -> tuple[HostRoute, ...]:
        return (HostRoute(IPv4Network(f"20.{octet}.0.0/16"), IPv4Address("10.1.1.9")),)

    def option(octet: int) -> tuple[DhcpOption, ...]:
        return (DhcpOption("classless-static-routes", f"20.{octet}.0.0/16 10.1.1.9"),)

    def first_of(first: int) -> int:
        """The route sent when the sources before `first` are empty."""

        def scope(routes_at: int, option_at: int) -> DhcpScope:
            return DhcpScope(
                option(option_at) if option_at >= first else (),
                route(routes_at) if routes_at >= first else (),
            )

        world = World()
        world.change(dhcp=scope(0, 1), subnet_dhcp=scope(2, 3), subnet_ipam=scope(5, 6))
        vn = replace(world.vmis[7].vn or VN, host_routes=route(4) if first <= 4 else ())
        world.change(vn=vn)
        value = ask(world, request("discover")).options[121]
        assert (value[0], value[1], len(value)) == (16, 20, 7)
        return value[2]

    assert [first_of(source) for source in range(7)] == list(range(7))


def test_options_over_255_bytes_are_split() -> None:
    world = World()
    text = "x" * 300
    routes = tuple(HostRoute(IPv4Network(f"30.0.{i}.0/24"), None) for i in range(40))
    world.change(dhcp=DhcpScope((DhcpOption("bootfile-name", text),), routes))
    answer = ask(world, request("discover"))
    assert answer.options[67] == text.encode()
    assert answer.options[121] == b"".join(
        bytes([24, 30, 0, i]) + ip4("10.1.1.1") for i in range(40)
    )
    assert answer.order.count(67) == answer.order.count(121) == 2


def test_a_client_that_takes_little_gets_what_matters() -> None:
    world = World()
    many = [("bootfile-name", "b" * 250), ("ntp-servers", "1.2.3.4"), ("root-path", "r" * 250)]
    world.change(dhcp=configured(*many))
    box = TrappedPackets(world)
    [small] = map(Answer, feed(box, request("discover", ("max_dhcp_size", 576))))
    assert small.order == [53, 54, 1, 28, 67, 42, 51, 3, 12, 6]
    assert small.ip.len <= 576
    assert box.dhcp4.counters.options_left_out == 1
    [tiny] = map(Answer, feed(box, request("discover", ("max_dhcp_size", 1))))
    assert tiny.order == small.order
    [large] = map(Answer, feed(box, request("discover", ("max_dhcp_size", 1500))))
    assert large.order == [53, 54, 1, 28, 67, 42, 17, 51, 3, 12, 6]
    assert large.options[17] == b"r" * 250


def test_no_answer_is_longer_than_a_pkt0_datagram() -> None:
    world = World()
    world.change(dhcp=configured(*((str(code), "z" * 255) for code in range(224, 240))))
    box = TrappedPackets(world)
    [reply] = feed(box, request("discover"))
    assert len(reply) <= 1514
    assert Answer(reply).options[3] == ip4("10.1.1.1")
    assert box.dhcp4.counters.bad_options > 0


def test_without_a_fabric_there_is_no_answer() -> None:
    box = TrappedPackets(World(host=None))
    assert feed(box, request("discover")) == []
    assert box.dhcp4.counters.other == 1
