"""ARP: resolution and its timers, learning, announcements, probes, and what VMs say."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import dpkt
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from agent.inputs import ArpLost, ArpResolved, TrafficSeen
from agent.services import ArpService, Probe, TrappedPackets
from agent.services.arp import ArpState
from agent.values import BROADCAST_MAC, VRRP_MAC, Mac
from tests.unit.pkt.pkt0_vectors import FRAMES, encapsulated
from tests.unit.services.world import FABRIC, VM_MAC, World, feed

PEER = IPv4Address("192.168.0.9")
PEER_MAC = Mac.parse("0c:00:00:00:00:09")
OTHER_MAC = Mac.parse("0c:00:00:00:00:99")
VM_IP = IPv4Address("10.1.1.3")
REQUEST, REPLY = 1, 2


def arp(
    op: int, spa: object, tpa: object, sha: Mac = PEER_MAC, vif: int = FABRIC.vif_index
) -> bytes:
    """An ARP packet as trapped, made by an independent encoder."""
    message = Ether(src=str(sha), dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=op, hwsrc=str(sha), psrc=str(spa), hwdst="00:00:00:00:00:00", pdst=str(tpa)
    )
    return encapsulated(2, bytes(message), ifindex=vif, vrf=0)


def data(dst: object, vif: int = FABRIC.vhost_vif_index) -> bytes:
    """An IPv4 packet that hit a resolve nexthop."""
    packet = Ether(dst=str(VRRP_MAC)) / IP(src="192.168.0.1", dst=str(dst)) / UDP()
    return encapsulated(5, bytes(packet), ifindex=vif, vrf=0)


def sent(frame: bytes) -> tuple[int, str, int, str, str, str, str]:
    """(vif, eth dst, op, sender MAC, sender, target MAC, target) of a frame, read by dpkt."""
    assert frame[16:20] in (b"\0\0\0\0", b"\0\3\0\0")  # the VRF, then CMD_SWITCH
    ethernet = dpkt.ethernet.Ethernet(frame[44:])
    body = ethernet.data
    assert len(frame) == 44 + 42
    assert ethernet.src == body.sha
    return (
        int.from_bytes(frame[14:16]),
        str(Mac(ethernet.dst)),
        body.op,
        str(Mac(body.sha)),
        str(IPv4Address(body.spa)),
        str(Mac(body.tha)),
        str(IPv4Address(body.tpa)),
    )


ASKS = (0, "ff:ff:ff:ff:ff:ff", 1, str(FABRIC.mac), "192.168.0.1", "00:00:00:00:00:00", str(PEER))
RESOLVED = ArpResolved(0, PEER, PEER_MAC, FABRIC.vif_index)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def box(world: World) -> TrappedPackets:
    return TrappedPackets(world)


def run_until(service: ArpService, world: World, end: float) -> list[tuple[float, bytes]]:
    """Everything sent up to `end`, with the time at which it left."""
    out: list[tuple[float, bytes]] = []
    while (at := service.next_deadline()) is not None and at <= end:
        out += [(at, frame) for frame in service.tick(world, at)]
    return out


# Resolution


def test_wanted_address_is_asked_for_and_learned(world: World, box: TrappedPackets) -> None:
    assert [sent(frame) for frame in box.arp.wanted(world, [PEER], 0.0)] == [ASKS]
    assert box.arp.table[PEER].state == ArpState.RESOLVING
    assert feed(box, arp(REPLY, PEER, "192.168.0.1"), now=0.5) == []
    assert box.take_events() == [RESOLVED]
    assert box.take_events() == []
    assert box.arp.table[PEER].state == ArpState.ACTIVE
    assert run_until(box.arp, world, 300.0) == []


def test_wanting_again_sends_nothing(world: World) -> None:
    service = ArpService()
    assert len(service.wanted(world, [PEER], 0.0)) == 1
    assert service.wanted(world, [PEER], 1.0) == []
    assert len(service.wanted(world, [PEER, PEER + 1], 1.0)) == 1


def test_retries_every_two_seconds_without_end_while_wanted(world: World) -> None:
    service = ArpService()
    service.wanted(world, [PEER], 0.0)
    times = [at for at, _ in run_until(service, world, 40.0)]
    assert times == [2.0 * i for i in range(1, 21)]
    assert service.counters.max_retries_exceeded == 2
    assert service.take_events() == []


def test_gives_up_after_eight_retries_when_not_wanted(world: World, box: TrappedPackets) -> None:
    assert [sent(frame) for frame in feed(box, data(PEER))] == [ASKS]
    assert [at for at, _ in run_until(box.arp, world, 100.0)] == [2.0 * i for i in range(1, 9)]
    assert box.arp.table == {}
    assert box.arp.next_deadline() is None
    assert box.take_events() == []
    assert box.arp.counters.max_retries_exceeded == 1


def test_data_for_an_address_in_resolution_asks_once(box: TrappedPackets) -> None:
    assert len(feed(box, data(PEER), data(PEER), data(PEER, vif=7))) == 1


def test_golden_resolve_packet(box: TrappedPackets) -> None:
    """It comes from a VM in another VRF; the real entry lives in the fabric's."""
    assert [sent(frame) for frame in feed(box, FRAMES["resolve-v4"])] == [ASKS]


@pytest.mark.parametrize("dst", ["192.168.1.9", "192.168.0.1", "224.0.0.5", "255.255.255.255"])
def test_data_that_cannot_be_resolved(box: TrappedPackets, dst: str) -> None:
    assert feed(box, data(dst)) == []
    assert box.arp.counters.invalid_address == 1


def test_aging_asks_again_and_stays_usable(world: World, box: TrappedPackets) -> None:
    box.arp.wanted(world, [PEER], 0.0)
    feed(box, arp(REPLY, PEER, "192.168.0.1"), now=1.0)
    assert box.take_events() == [RESOLVED]
    assert [(at, sent(f)) for at, f in run_until(box.arp, world, 301.0)] == [(301.0, ASKS)]
    assert box.arp.table[PEER].state == ArpState.RERESOLVING
    feed(box, arp(REPLY, PEER, "192.168.0.1"), now=301.5)
    assert box.take_events() == []
    assert box.arp.next_deadline() == 601.5


def test_a_neighbour_that_falls_silent_is_lost(world: World, box: TrappedPackets) -> None:
    box.arp.wanted(world, [PEER], 0.0)
    feed(box, arp(REPLY, PEER, "192.168.0.1"), now=0.0)
    box.take_events()
    run_until(box.arp, world, 317.0)
    assert box.take_events() == []
    run_until(box.arp, world, 318.0)
    assert box.take_events() == [ArpLost(0, PEER)]
    assert box.arp.table[PEER].state == ArpState.RESOLVING
    feed(box, arp(REPLY, PEER, "192.168.0.1"), now=319.0)
    assert box.take_events() == [RESOLVED]


def test_aging_forgets_what_nobody_wants(world: World, box: TrappedPackets) -> None:
    feed(box, arp(REPLY, PEER, "192.168.0.1"), now=0.0)
    assert box.take_events() == [RESOLVED]
    assert run_until(box.arp, world, 1000.0) == []
    assert box.take_events() == [ArpLost(0, PEER)]
    assert box.arp.table == {}


def test_a_new_mac_is_reported(box: TrappedPackets) -> None:
    feed(box, arp(REPLY, PEER, "192.168.0.1"))
    feed(box, arp(REPLY, PEER, "192.168.0.1", sha=OTHER_MAC))
    assert box.take_events() == [RESOLVED, replace(RESOLVED, mac=OTHER_MAC)]
    assert box.arp.counters.resolved == 2


def test_gratuitous_on_the_fabric_updates_but_never_creates(box: TrappedPackets) -> None:
    feed(box, arp(REQUEST, PEER, PEER))
    assert (box.take_events(), box.arp.table) == ([], {})
    feed(box, arp(REPLY, PEER, "192.168.0.1"))
    feed(box, arp(REQUEST, PEER, PEER, sha=OTHER_MAC))
    assert box.take_events() == [RESOLVED, replace(RESOLVED, mac=OTHER_MAC)]
    assert box.arp.counters.gratuitous == 2


def test_a_request_on_the_host_side_makes_us_ask_too(box: TrappedPackets) -> None:
    frame = arp(REQUEST, "192.168.0.1", PEER, vif=FABRIC.vhost_vif_index)
    assert [sent(answer) for answer in feed(box, frame)] == [ASKS]
    assert box.arp.counters.requests == 1


def test_wanted_before_there_is_a_fabric(world: World) -> None:
    service = ArpService()
    world.host = None
    assert service.wanted(world, [PEER], 0.0) == []
    assert run_until(service, world, 50.0) == []
    world.host = FABRIC
    assert [at for at, _ in run_until(service, world, 54.0)] == [52.0, 54.0]
    assert service.counters.max_retries_exceeded == 0


def test_the_table_is_bounded_but_not_for_what_is_wanted(world: World) -> None:
    box = TrappedPackets(world)
    box.arp = ArpService(table_limit=2)
    for last in range(10, 14):
        feed(box, arp(REPLY, f"192.168.0.{last}", "192.168.0.1"))
        feed(box, data(f"192.168.0.{last + 100}"))
    assert len(box.arp.table) == 2
    assert box.arp.counters.table_full == 6
    assert len(box.arp.wanted(world, [PEER], 0.0)) == 1
    assert PEER in box.arp.table


# What is refused


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (arp(REPLY, "0.0.0.0", "192.168.0.1"), "invalid_address"),
        (arp(REPLY, "255.255.255.255", "192.168.0.1"), "invalid_address"),
        (arp(REPLY, "224.0.0.1", "192.168.0.1"), "invalid_address"),
        (arp(REPLY, "10.99.0.1", "192.168.0.1"), "invalid_address"),
        (arp(REPLY, PEER, "192.168.0.1", sha=Mac(bytes(6))), "invalid_packets"),
        (arp(REPLY, PEER, "192.168.0.1", sha=BROADCAST_MAC), "invalid_packets"),
        (arp(REPLY, PEER, "192.168.0.1", vif=FABRIC.pkt0_vif_index), "invalid_interface"),
        (arp(REQUEST, PEER, "192.168.0.1"), "gratuitous"),
        (arp(REPLY, "192.168.0.1", PEER), "gratuitous"),
        (arp(7, PEER, "192.168.0.1"), "errors"),
    ],
)
def test_refused_and_counted(box: TrappedPackets, frame: bytes, counter: str) -> None:
    assert feed(box, frame) == []
    assert getattr(box.arp.counters, counter) == 1
    assert (box.take_events(), box.arp.table) == ([], {})


def test_without_a_fabric(world: World, box: TrappedPackets) -> None:
    world.host = None
    assert feed(box, FRAMES["arp-request"]) == []
    assert box.arp.counters.ipfabric_not_inst == 1


@pytest.mark.parametrize(
    ("change", "counter"),
    [({"active": False}, "invalid_interface"), ({"vrf": None}, "invalid_vrf")],
)
def test_ports_that_do_not_forward(world: World, change: dict[str, object], counter: str) -> None:
    world.change(**change)
    box = TrappedPackets(world)
    assert feed(box, FRAMES["arp-request"]) == []
    assert getattr(box.arp.counters, counter) == 1
    assert box.take_events() == []


# VMs


def test_a_vm_that_asks_for_its_gateway_is_answered(box: TrappedPackets) -> None:
    [frame] = feed(box, FRAMES["arp-request"])
    assert sent(frame) == (
        7,
        str(VM_MAC),
        2,
        str(VRRP_MAC),
        "10.1.1.1",
        str(VM_MAC),
        "10.1.1.3",
    )
    assert box.take_events() == [TrafficSeen(7, VM_IP, VM_MAC)]
    assert (box.arp.counters.requests, box.arp.counters.answers) == (1, 1)


def test_the_answer_carries_the_tx_vlan(world: World, box: TrappedPackets) -> None:
    world.change(tx_vlan_id=55)
    [frame] = feed(box, FRAMES["arp-request"])
    message = Ether(frame[44:])
    assert (message[Dot1Q].vlan, message[ARP].psrc) == (55, "10.1.1.1")


def test_other_targets_are_left_to_the_datapath(box: TrappedPackets) -> None:
    assert feed(box, arp(REQUEST, VM_IP, "10.1.1.77", sha=VM_MAC, vif=7)) == []
    assert box.arp.table == {}
    assert box.take_events() == [TrafficSeen(7, VM_IP, VM_MAC)]


@pytest.mark.parametrize("name", ["arp-gratuitous-reply", "arp-probe-spa0", "arp-reply"])
def test_vm_traffic_is_seen(box: TrappedPackets, name: str) -> None:
    assert feed(box, FRAMES[name], FRAMES[name]) == []
    assert box.take_events() == [TrafficSeen(7, VM_IP, VM_MAC)]
    assert box.arp.table == {}


def test_vm_gratuitous_is_counted_apart(box: TrappedPackets) -> None:
    feed(box, FRAMES["arp-gratuitous-reply"], arp(REQUEST, PEER, PEER))
    assert (box.arp.counters.gratuitous, box.arp.counters.vm_garp_req) == (2, 1)


# Announcements


def gratuitous(address: str) -> tuple[int, str, int, str, str, str, str]:
    return (7, str(VM_MAC), 1, str(VRRP_MAC), address, str(VRRP_MAC), address)


def test_gateway_and_service_address_are_announced_to_a_vm(world: World) -> None:
    service = ArpService()
    both = [gratuitous("10.1.1.1"), gratuitous("10.1.1.2")]
    assert [sent(frame) for frame in service.announce(world, [7], 0.0)] == both
    later = [(at, sent(frame)) for at, frame in run_until(service, world, 100.0)]
    assert later == [(2.0, m) for m in both] + [(4.0, m) for m in both]
    assert service.announce(world, [7], 100.0) == []
    assert service.next_deadline() is None


def test_router_id_is_announced_on_the_fabric(world: World) -> None:
    service = ArpService()
    [frame] = service.announce(world, [FABRIC.vif_index], 0.0)
    assert sent(frame) == (*ASKS[:6], "192.168.0.1")
    assert [at for at, _ in run_until(service, world, 100.0)] == [2.0, 4.0]


def test_changed_addresses_are_announced_again(world: World) -> None:
    service = ArpService()
    service.announce(world, [7], 0.0)
    world.change(subnet_dns_server=None)
    assert [sent(f) for f in service.announce(world, [7], 1.0)] == [gratuitous("10.1.1.1")]
    assert service.announce(world, [], 2.0) == []
    assert service.next_deadline() is None
    assert len(service.announce(world, [7], 3.0)) == 1


def test_nothing_to_announce(world: World) -> None:
    service = ArpService()
    world.change(subnet=None)
    assert service.announce(world, [7, 99], 0.0) == []
    world.host = None
    assert service.announce(world, [0, 7], 0.0) == []
    assert service.next_deadline() is None


# Probes

PROBE = Probe(7, VM_IP, VM_MAC)


def test_probe_goes_to_the_vm_from_the_service_address(world: World) -> None:
    service = ArpService()
    [frame] = service.probe(world, [PROBE], 0.0)
    asked = (7, str(VM_MAC), 1, str(VRRP_MAC), "10.1.1.2", "00:00:00:00:00:00", "10.1.1.3")
    assert sent(frame) == asked
    assert service.counters.vm_arp_req == 1


def test_probe_of_another_mac_is_broadcast(world: World) -> None:
    service = ArpService()
    [frame] = service.probe(world, [replace(PROBE, mac=OTHER_MAC)], 0.0)
    assert sent(frame)[1] == "ff:ff:ff:ff:ff:ff"


@pytest.mark.parametrize(("mac", "pause"), [(VM_MAC, 10.0), (OTHER_MAC, 5.0)])
def test_probes_slow_down_after_150(world: World, mac: Mac, pause: float) -> None:
    service = ArpService()
    service.probe(world, [replace(PROBE, mac=mac)], 0.0)
    times = [at for at, _ in run_until(service, world, 400.0)]
    assert times[:149] == [2.0 * i for i in range(1, 150)]
    assert times[149:151] == [298.0 + pause, 298.0 + 2 * pause]


def test_probes_stop_when_no_longer_asked_for(world: World) -> None:
    service = ArpService()
    service.probe(world, [PROBE], 0.0)
    assert service.probe(world, [PROBE], 1.0) == []
    assert service.probe(world, [], 1.0) == []
    assert service.next_deadline() is None


def test_probes_wait_for_the_port(world: World) -> None:
    service = ArpService()
    world.change(active=False)
    assert service.probe(world, [PROBE], 0.0) == []
    assert run_until(service, world, 6.0) == []
    world.change(active=True)
    assert [at for at, _ in run_until(service, world, 10.0)] == [8.0, 10.0]
    del world.vmis[7]
    assert run_until(service, world, 20.0) == []


def test_a_host_with_a_wider_prefix(world: World) -> None:
    world.host = replace(FABRIC, prefix=IPv4Network("192.168.0.0/16"))
    assert len(feed(TrappedPackets(world), data("192.168.77.1"))) == 1


def test_an_adopted_neighbour_is_confirmed_at_once_and_stays_usable(
    world: World, box: TrappedPackets
) -> None:
    box.arp.adopt([RESOLVED], 5.0)
    assert [sent(frame) for frame in box.tick(5.0)] == [ASKS]
    feed(box, arp(REPLY, PEER, "192.168.0.1"), now=5.1)
    assert box.take_events() == []
    assert box.arp.table[PEER].state == ArpState.ACTIVE


def test_an_adopted_neighbour_that_is_gone_is_lost(world: World, box: TrappedPackets) -> None:
    box.arp.adopt([RESOLVED], 5.0)
    run_until(box.arp, world, 60.0)
    assert box.take_events() == [ArpLost(0, PEER)]
