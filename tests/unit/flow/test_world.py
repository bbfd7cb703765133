"""What goes into a world: ranges, landings, limits, touches, memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent._fast.flow_world import NO_VRF, Alias, FatFlow, Floating, LinkLocal, PortKind, Touch
from agent.sandesh.vrouter import VrMplsReq, VrNexthopReq, VrRouteReq, VrVrfReq, VrVxlanReq
from tests.unit.flow.world_rig import BLUE, GREEN, RED, Rig, allow, mac, packed


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.vm(3, BLUE, "10.1.0.3", "blue")
    made.vm(4, BLUE, "10.1.0.4", "blue")
    made.tunnel(22, "10.0.0.2")
    made.world.drain()
    return made


def routes(rig: Rig, **fields: object) -> None:
    rig.world.put_routes([(VrRouteReq(**fields), 0)])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda rig: rig.port(65536), "vif 65536"),
        (lambda rig: rig.port(3, vrf=-1), "VRF -1"),
        (lambda rig: rig.port(3, mac=b"123"), "MAC address"),
        (lambda rig: rig.port(3, address=b"12345"), "4 or 16 bytes"),
        (lambda rig: rig.port(3, address="10.1.0.1"), "packed address"),
        (lambda rig: rig.port(3, gateways=("x",)), "packed address"),
        (lambda rig: rig.port(3, egress_lists=(-1,)), "access list"),
        (lambda rig: rig.port(3, floating=(Floating(b"1234", b"", 70000),)), "VRF 70000"),
        (lambda rig: rig.port(3, floating=(Floating(b"1234", bytes(16), 1),)), "one family"),
        (
            lambda rig: rig.port(
                3, floating=(Floating(b"1234", b"", 1, mappings=((6, 1, 65536),)),)
            ),
            "port 65536",
        ),
        (lambda rig: rig.port(3, aliases=(Alias(b"", 1, -5),)), "meta"),
        (lambda rig: rig.port(3, fat_flows=(FatFlow(300),)), "protocol 300"),
        (lambda rig: rig.port(3, fat_flows=(FatFlow(6, 0, 0, (b"1234", 33, 0)),)), "length 33"),
        (lambda rig: rig.world.put_vrf(65535, "x"), "VRF 65535"),
        (lambda rig: rig.services(LinkLocal(bytes(16), 80, (), 80)), "IPv4"),
        (lambda rig: rig.world.give_port(1, 5), "protocol 1"),
        (lambda rig: rig.world.give_port(6, 0), "port 0"),
        (lambda rig: rig.label(1 << 20, 5), "label"),
        (lambda rig: rig.vni(1 << 24, 5), "VNI"),
        (lambda rig: rig.nexthop(1 << 21, 5), "nexthop"),
        (lambda rig: rig.nexthop(-1, 5), "nexthop"),
        (lambda rig: rig.ecmp(9, *([22] * 1025)), "members"),
        (lambda rig: routes(rig, rtr_vrf_id=77, rtr_prefix=bytes(4)), "VRF 77"),
        (lambda rig: routes(rig, rtr_vrf_id=BLUE, rtr_prefix=bytes(5)), "5 bytes"),
        (lambda rig: routes(rig, rtr_vrf_id=BLUE, rtr_prefix=bytes(4), rtr_prefix_len=33), "33"),
        (
            lambda rig: routes(rig, rtr_vrf_id=BLUE, rtr_prefix=b"\x0a\0\0\1", rtr_prefix_len=24),
            "host bits",
        ),
        (lambda rig: routes(rig, rtr_vrf_id=BLUE, rtr_family=7, rtr_mac=b"12"), "MAC"),
        (lambda rig: rig.world.remove_route(BLUE, b"\x0a\0\0\1", 8), "host bits"),
        (lambda rig: rig.decide(rig.sent(3, "10.1.0.3", "fd00::1")), "one family"),
    ],
)
def test_what_cannot_be(rig: Rig, wrong: Callable[[Rig], None], words: str) -> None:
    before = rig.world.sizes
    with pytest.raises(ValueError, match=words):
        wrong(rig)
    assert rig.world.sizes == before


def test_members_that_cannot_be_nexthops(rig: Rig) -> None:
    with pytest.raises(MemoryError):
        rig.ecmp(9, 1 << 21)


def test_other_messages_are_none_of_its_business(rig: Rig) -> None:
    before = rig.world.sizes
    rig.world.add(VrVrfReq())  # type: ignore[arg-type]
    assert rig.world.sizes == before


def test_sizes(rig: Rig) -> None:
    sizes = rig.world.sizes
    assert (sizes.ports, sizes.vrfs) == (5, 4)
    for number in range(1000):
        rig.route(GREEN, f"10.{number % 250}.{number // 250}.0/24", 22)
    assert rig.world.sizes.routes == sizes.routes + 1000
    rig.drop_vrf(GREEN)
    assert rig.world.sizes.routes == sizes.routes
    rig.vrf(GREEN, "green")
    memory = rig.world.sizes.memory
    for number in range(1000):
        rig.route(GREEN, f"10.{number % 250}.{number // 250}.0/24", 22)
        rig.drop_route(GREEN, f"10.{number % 250}.{number // 250}.0/24")
    assert rig.world.sizes.memory < memory + 20_000  # an empty table has about 10 kB


def test_everything_goes_as_it_came(rig: Rig) -> None:
    world = rig.world
    world.add(VrVxlanReq(vxlanr_vnid=5, vxlanr_nhid=22))
    labels = world.sizes.labels
    world.remove(VrVxlanReq(vxlanr_vnid=5))
    world.remove(VrMplsReq(mr_label=1003))
    assert world.sizes.labels == labels - 2
    found = world.sizes
    world.remove(VrNexthopReq(nhr_id=22))
    world.remove(VrNexthopReq(nhr_id=9999))
    assert world.sizes.nexthops == found.nexthops - 1
    world.remove(VrRouteReq(rtr_vrf_id=BLUE, rtr_prefix=packed("10.1.0.3"), rtr_prefix_len=32))
    world.remove(VrRouteReq(rtr_vrf_id=BLUE, rtr_family=7, rtr_mac=mac(3)))
    assert world.sizes.routes == found.routes - 1
    assert world.sizes.bridges == found.bridges - 1
    rig.drop_port(3)
    rig.drop_port(3)
    assert world.sizes.ports == found.ports - 1


def test_equal_facts_have_one_number(rig: Rig) -> None:
    world = rig.world
    one = world.meta(["a", "b"], [1, 2], [3])
    assert world.meta(["b", "a"], [2, 1, 2], [3]) == one
    assert world.meta(["a", "b"], [1, 2]) != one
    assert world.meta() == 0


# Landings


def test_landings(rig: Rig) -> None:
    rig.nexthop(70, 7, family=7, vrf=RED, flags=0x800001)
    rig.nexthop(71, 7, family=2, vrf=RED)
    rig.nexthop(72, 6, family=7, flags=0x21, members=(31, 41))
    for label, nexthop in ((70, 70), (71, 71), (72, 72), (73, 99)):
        rig.label(label, nexthop)
    rig.vni(70, 70)
    world = rig.world
    found = world.landing(2, 1003)
    assert found is not None
    assert (found.nexthop, found.vif, found.vrf, found.is_l2) == (30, 3, BLUE, False)
    bridged = world.landing(1, 2003)
    assert bridged is not None
    assert (bridged.vif, bridged.is_l2) == (3, True)
    for tunnel, label, is_l2, word in (
        (2, 70, True, True), (2, 71, False, False), (2, 72, True, False), (3, 70, True, True),
    ):  # fmt: skip
        at = world.landing(tunnel, label)
        assert at is not None
        assert (at.vif, at.is_l2, at.control_word) == (None, is_l2, word)
    assert world.landing(2, 73) is None
    assert world.landing(3, 71) is None


# Touches


def reads(rig: Rig, source: str, target: str) -> tuple[int | None, ...]:
    return rig.decide(rig.sent(3, source, target)).reads


def test_a_change_touches_what_was_read(rig: Rig) -> None:
    rig.route(BLUE, "10.9.0.0/16", 22)
    rig.world.drain()
    _, _, source, target, _ = reads(rig, "10.1.0.3", "10.9.0.9")
    for change in (
        lambda: rig.route(BLUE, "10.9.0.9/32", 22),
        lambda: rig.drop_route(BLUE, "10.9.0.9/32"),
        lambda: rig.route(BLUE, "10.9.0.0/16", 22, 1),
        lambda: rig.tunnel(22, "10.0.0.9"),
        lambda: rig.drop_nexthop(22),
        lambda: rig.tunnel(22, "10.0.0.9"),
        lambda: rig.drop_route(BLUE, "10.9.0.0/16"),
    ):
        change()
        assert rig.world.drain() == [(Touch.ROUTE, target)]
        _, _, _, target, _ = reads(rig, "10.1.0.3", "10.9.0.9")
    rig.drop_route(BLUE, "10.1.0.3/32")
    assert rig.world.drain() == [(Touch.ROUTE, source)]


def test_what_nobody_read_touches_nothing(rig: Rig) -> None:
    reads(rig, "10.1.0.3", "10.1.0.4")
    rig.route(BLUE, "10.9.0.0/16", 22)
    rig.drop_route(BLUE, "10.9.0.0/16")
    rig.route(RED, "10.1.0.4/32", 22)
    rig.tunnel(22, "10.0.0.2")
    rig.route(BLUE, "10.1.0.4/32", 40, rig.facts.ports[4].meta)
    assert rig.world.drain() == []


def test_a_member_touches_the_routes_of_its_choice(rig: Rig) -> None:
    rig.ecmp(60, 22, 23)
    rig.route(BLUE, "10.9.0.0/16", 60)
    target = reads(rig, "10.1.0.3", "10.9.0.9")[3]
    rig.world.drain()
    rig.tunnel(23, "10.0.0.3")
    assert rig.world.drain() == [(Touch.ROUTE, target)]


def test_a_label_that_leads_elsewhere_touches_what_came_in_by_it(rig: Rig) -> None:
    packet = rig.received(3, "10.1.0.4", "10.1.0.3")
    rig.decide(packet)
    rig.nexthop(1000, 2, vif=4, flags=3)
    rig.label(1003, 1000)
    assert rig.world.drain() == [(Touch.VIF, 3)]
    rig.ecmp(60, 30, 40)
    rig.label(1003, 60)
    rig.world.drain()
    rig.decide(packet)
    rig.drop_nexthop(40)
    assert rig.world.drain() == [(Touch.ALL, 0)]


def test_ports_touch_themselves(rig: Rig) -> None:
    rig.change_port(3, policy=False)
    rig.drop_port(4)
    assert rig.world.drain() == [(Touch.VIF, 3), (Touch.VIF_GONE, 4)]


def test_lists_touch_their_ports(rig: Rig) -> None:
    rig.change_port(3, network_lists=(7,))
    rig.change_port(4, floating=(Floating(packed("20.0.0.4"), b"", RED, network_list=7),))
    rig.world.drain()
    rig.lists(7, allow(1))
    rig.lists(8, allow(1))
    assert rig.world.drain() == [(Touch.VIF, 3), (Touch.VIF, 4)]


def test_a_better_route_of_a_floating_ip_touches_its_port(rig: Rig) -> None:
    rig.change_port(3, floating=(Floating(packed("20.0.0.3"), packed("10.1.0.3"), RED),))
    rig.route(BLUE, "8.0.0.0/8", 22)
    reads(rig, "10.1.0.3", "8.8.8.8")
    rig.world.drain()
    rig.route(RED, "8.8.8.0/24", 22)
    assert (Touch.VIF, 3) in rig.world.drain()


def test_a_vrf_that_was_missed_touches_all(rig: Rig) -> None:
    rig.vrf(77, "new")
    assert rig.world.drain() == []
    rig.drop_vrf(77)
    rig.decide(rig.sent(3, "10.1.0.3", "10.1.0.4")._replace(vrf=77))
    rig.world.drain()
    rig.vrf(77, "new")
    assert rig.world.drain() == [(Touch.ALL, 0)]


def test_too_many_touches_touch_all(rig: Rig) -> None:
    for _ in range(5000):
        rig.change_port(3)
    assert rig.world.drain() == [(Touch.ALL, 0)]
    assert rig.world.drain() == []
    rig.change_port(3)
    assert rig.world.drain() == [(Touch.VIF, 3)]


def test_services_touch_all(rig: Rig) -> None:
    rig.services()
    assert rig.world.drain() == [(Touch.ALL, 0)]


def test_a_port_of_no_vrf(rig: Rig) -> None:
    rig.change_port(3, vrf=NO_VRF)
    rig.port(9, kind=PortKind.AGENT)
    assert rig.decide(rig.sent(3, "10.1.0.3", "10.1.0.4")).forward.reason == 3
