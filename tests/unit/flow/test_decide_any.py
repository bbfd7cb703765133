"""Any world, any packet: the kernel agrees with the oracle, and says what it read."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent._fast.flow_world import (
    Alias,
    Decision,
    FatFlow,
    Floating,
    LinkLocal,
    Packet,
    PortKind,
    Touch,
)
from agent.oper.flow_rows import Action
from tests.reference.flow_decide import PAIR_BOUND_PORT, matches
from tests.unit.flow.world_rig import (
    ANY,
    BLUE,
    FABRIC_VRF,
    GREEN,
    RED,
    ROUTER_MAC,
    Rig,
    line,
    mac,
    packed,
    place,
    service,
)

VIFS = (0, 1, 2, 3, 4, 5, 6)
VMS = (3, 4, 5, 6)
VRFS = (FABRIC_VRF, BLUE, RED, GREEN)
LISTS = (1, 2, 3)
NEXTHOPS = (1, 3, 5, 6, 7, 22, 23, 30, 31, 40, 41, 50, 51, 60, 61, 70, 71, 72, 73, 74, 99)
ADDRESSES = tuple(
    packed(one)
    for one in (
        "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "20.0.0.3", "20.0.0.4", "10.0.0.1",
        "10.0.0.2", "8.8.8.8", "169.254.169.254", "169.254.0.3", "169.254.0.4", "224.0.0.9",
        "255.255.255.255",
    )
)  # fmt: skip
ADDRESSES6 = tuple(packed(one) for one in ("fd00::3", "fd00::4", "fe80::5", "ff02::1"))
PREFIXES = (
    "10.1.0.3/32", "10.1.0.4/32", "10.1.0.5/32", "10.1.0.0/24", "20.0.0.3/32", "20.0.0.4/32",
    "20.0.0.0/24", "8.0.0.0/8", "0.0.0.0/0", "10.0.0.0/16", "169.254.0.3/32", "fd00::/16",
    "fd00::3/128", "fd00::4/128", "::/0",
)  # fmt: skip
MACS = (*(mac(vif) for vif in (3, 4, 5, 9)), ROUTER_MAC, b"\xff" * 6, bytes(6))
PORTS = (0, 53, 80, 8080, 1000, 2000)
PROTOCOLS = (1, 6, 17, 58, 132)

ports_of = st.sampled_from(PORTS)
address = st.sampled_from(ADDRESSES)
vrfs = st.sampled_from(VRFS)
numbers = st.sampled_from(LISTS)
lists = st.lists(numbers, max_size=2).map(tuple)
optional_list = st.one_of(st.none(), numbers)
metas = st.integers(0, 3)

floatings = st.builds(
    lambda ip, fixed, vrf, way, mappings, meta, network: Floating(
        ip, fixed, vrf, way != 1, way != 2, mappings, meta, network
    ),
    address,
    st.one_of(st.just(b""), address),
    vrfs,
    st.integers(0, 2),
    st.one_of(
        st.none(), st.lists(st.tuples(st.sampled_from((6, 17)), ports_of, ports_of), max_size=2)
    ),
    metas,
    optional_list,
)
aliases = st.builds(Alias, address, vrfs, metas, optional_list)
aggregates = st.one_of(
    st.none(), st.sampled_from(((packed("10.1.0.0"), 16, 24), (packed("8.0.0.0"), 8, 16)))
)
fats = st.builds(
    FatFlow,
    st.sampled_from((1, 6, 17)),
    st.sampled_from((0, 53, 80)),
    st.integers(0, 2),
    aggregates,
    aggregates,
)
traits = st.fixed_dictionaries(
    {
        "policy": st.booleans(),
        "grouped": st.booleans(),
        "rpf": st.booleans(),
        "flood": st.booleans(),
        "bridged": st.sampled_from((True, True, False)),
        "routed": st.sampled_from((True, True, False)),
        "l2_active": st.sampled_from((True, True, False)),
        "ip4_active": st.sampled_from((True, True, True, False)),
    }
)
port_facts = st.fixed_dictionaries(
    {
        "vrf": vrfs,
        "meta": metas,
        "address": address,
        "gateways": st.lists(address, max_size=2).map(tuple),
        "mirror_lists": lists,
        "network_lists": lists,
        "egress_lists": lists,
        "ingress_lists": lists,
        "fwaas_lists": lists,
        "firewall_lists": lists,
        "vrf_assign_lists": lists,
        "floating": st.lists(floatings, max_size=3).map(tuple),
        "aliases": st.lists(aliases, max_size=2).map(tuple),
        "fat_flows": st.lists(fats, max_size=2).map(tuple),
    }
)
places = st.sampled_from(
    (
        place(),
        place(),
        place("10.1.0.0/24"),
        place("8.0.0.0/8", "fd00::/16"),
        place(network="blue"),
        place(group=7),
    )
)
lines = st.builds(
    lambda number, actions, src, dst, services, vrf, more: line(
        number,
        Action(actions),
        src=src,
        dst=dst,
        services=services,
        vrf=vrf if actions & 64 else None,
        ignore_acl=more and bool(actions & 64),
        mirror=number if actions & 32 else None,
        qos=number if actions & 128 else None,
    ),
    st.integers(1, 9),
    st.sampled_from((1, 1, 1, 2, 4, 8, 33, 32, 65, 65, 129, 64)),
    places,
    places,
    st.sampled_from((ANY, ANY, service(6, 80), service(17, 0, 1500))),
    st.sampled_from((BLUE, RED, GREEN, 77, None)),
    st.booleans(),
)
packets = st.builds(
    lambda vif, vrf, nexthop, protocol, ends, ports, ack, macs, tunnel, label, l2, far: Packet(
        vif,
        vrf,
        nexthop,
        protocol,
        ends[0],
        ends[1],
        ports[0],
        ports[1],
        ack,
        macs[0],
        macs[1],
        tunnel,
        label,
        bool(l2 and tunnel),
        far,
    ),
    st.sampled_from((*VIFS, *VMS, *VMS, 99)),
    st.sampled_from((*VRFS, 77)),
    st.sampled_from(NEXTHOPS),
    st.sampled_from(PROTOCOLS),
    st.one_of(
        st.tuples(address, address),
        st.tuples(address, address),
        st.tuples(st.sampled_from(ADDRESSES6), st.sampled_from(ADDRESSES6)),
    ),
    st.tuples(ports_of, ports_of),
    st.booleans(),
    st.tuples(st.sampled_from(MACS), st.sampled_from(MACS)),
    st.sampled_from((0, 0, 0, 1, 2, 3)),
    st.sampled_from((100, 101, 102, 103, 104, 105, 106, 999)),
    st.booleans(),
    st.sampled_from((0x0A000002, 0x0A000003)),
)

Change = Callable[[Rig], None]


def put_port(vif: int, facts: dict[str, object], flags: dict[str, bool]) -> Change:
    return lambda rig: rig.port(
        vif,
        key_nexthop=vif * 10,
        vm=vif,
        mac=mac(vif),
        link_local=packed(f"169.254.0.{vif}"),
        **facts,
        **flags,
    )


def put_kind(vif: int, kind: PortKind, vrf: int) -> Change:
    return lambda rig: rig.port(vif, kind=kind, vrf=vrf, key_nexthop=vif * 10)


def put_nexthop(number: int, kind: int, flags: int, vif: int, vrf: int, family: int) -> Change:
    return lambda rig: rig.nexthop(
        number, kind, flags=flags, vif=vif, vrf=vrf, family=family, to="10.0.0.2"
    )


def put_choice(number: int, members: list[int], flags: int, fields: int) -> Change:
    return lambda rig: rig.nexthop(
        number, 6, flags=flags, members=tuple(members), hash_fields=fields
    )


ports_put = st.builds(put_port, st.sampled_from(VMS), port_facts, traits)
changes: st.SearchStrategy[Change] = st.one_of(
    ports_put,
    ports_put,
    st.builds(put_kind, st.sampled_from((0, 1, 2, 6)), st.sampled_from(list(PortKind)[1:]), vrfs),
    st.builds(lambda vif: lambda rig: rig.drop_port(vif), st.sampled_from(VIFS)),
    st.builds(
        lambda vrf, prefix, nexthop, meta: (
            lambda rig: rig.route(vrf, prefix, nexthop, meta) if vrf in rig.facts.vrfs else None
        ),
        vrfs,
        st.sampled_from(PREFIXES),
        st.sampled_from(NEXTHOPS),
        metas,
    ),
    st.builds(
        lambda vrf, prefix: lambda rig: rig.drop_route(vrf, prefix),
        vrfs,
        st.sampled_from(PREFIXES),
    ),
    st.builds(
        lambda vrf, to, nexthop, meta: (
            lambda rig: rig.bridge(vrf, to, nexthop, meta) if vrf in rig.facts.vrfs else None
        ),
        vrfs,
        st.sampled_from(MACS[:-1]),
        st.sampled_from(NEXTHOPS),
        metas,
    ),
    st.builds(lambda vrf, to: lambda rig: rig.drop_bridge(vrf, to), vrfs, st.sampled_from(MACS)),
    st.builds(
        put_nexthop,
        st.sampled_from(NEXTHOPS),
        st.sampled_from((0, 1, 2, 2, 2, 3, 3, 4, 5, 7, 8)),
        st.sampled_from((0, 1, 1, 1, 3, 0x10001)),
        st.sampled_from((-1, *VIFS, 98)),
        st.sampled_from((-1, *VRFS, 77)),
        st.sampled_from((2, 7)),
    ),
    st.builds(
        put_choice,
        st.sampled_from((72, 73, 74)),
        st.lists(st.sampled_from((*NEXTHOPS, -1)), max_size=4),
        st.sampled_from((0x401, 0x401, 0x401, 0x21, 0x400)),
        st.sampled_from((0, 0, 2, 8, 0x1F)),
    ),
    st.builds(
        lambda label, nexthop: lambda rig: rig.label(label, nexthop),
        st.integers(100, 106),
        st.sampled_from(NEXTHOPS),
    ),
    st.builds(lambda nexthop: lambda rig: rig.drop_nexthop(nexthop), st.sampled_from(NEXTHOPS)),
    st.builds(
        lambda number, rules: lambda rig: rig.lists(number, *rules) and None,
        numbers,
        st.lists(lines, max_size=3),
    ),
    st.builds(
        lambda vrf: (
            lambda rig: rig.drop_vrf(vrf) if vrf in rig.facts.vrfs else rig.vrf(vrf, f"vrf{vrf}")
        ),
        st.sampled_from((BLUE, RED, GREEN)),
    ),
    st.builds(
        lambda services: lambda rig: rig.services(*services),
        st.lists(
            st.builds(
                LinkLocal,
                st.sampled_from((packed("169.254.169.254"), packed("169.254.0.3"))),
                ports_of,
                st.lists(st.sampled_from((packed("10.0.0.1"), packed("8.8.8.8"))), max_size=2),
                ports_of,
            ),
            max_size=2,
        ),
    ),
)


def furnished() -> Rig:
    """A rig where most things are there, so that few changes make an odd world."""
    rig = Rig()
    assert rig.meta("blue", (7,)) == 1
    assert rig.meta("red", (8,)) == 2
    assert rig.meta("green") == 3
    for vif, vrf, ip in ((3, BLUE, "10.1.0.3"), (4, BLUE, "10.1.0.4"), (5, RED, "20.0.0.4")):
        rig.vm(vif, vrf, ip, "blue" if vrf == BLUE else "red", groups=(7,))
    rig.tunnel(22, "10.0.0.2")
    rig.tunnel(23, "10.0.0.3")
    rig.ecmp(72, 22, 23, 30)
    rig.ecmp(73, 30, 40)
    rig.nexthop(70, 7, vrf=BLUE, family=7)
    rig.nexthop(71, 7, vrf=RED)
    for number, nexthop in enumerate((30, 31, 70, 71, 72, 73, 99)):
        rig.label(100 + number, nexthop)
    rig.vni(100, 70)
    rig.route(RED, "0.0.0.0/0", 22, 2)
    rig.route(BLUE, "8.0.0.0/8", 72, 1)
    rig.route(BLUE, "fd00::/16", 22, 1)
    return rig


def decided(rig: Rig, packet: Packet, before: Decision | None = None) -> Decision:
    """A decision whose port of the host is given back at once."""
    decision = rig.decide(packet, before)
    if decision.flags & PAIR_BOUND_PORT:
        rig.world.return_port(packet.protocol, decision.bound_port)
    return decision


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, max_size=25), st.lists(packets, min_size=1, max_size=12))
def test_the_kernel_agrees_with_the_oracle(made: list[Change], asked: list[Packet]) -> None:
    rig = furnished()
    rig.give_port(17, 40000)
    for change in made:
        change(rig)
    for packet in asked:
        answer = rig.oracle(packet)
        decision = decided(rig, packet)
        assert matches(decision, answer), f"{packet}\n{decision}\n{answer}"
        explained, steps = rig.world.explain(packet)
        assert explained == decision
        assert steps[-1].kind == "result"


def vrf_of(rig: Rig, packet: Packet) -> int:
    """The VRF that the datapath would tell of the packet."""
    port = rig.facts.ports.get(packet.vif)
    return packet.vrf if port is None else port.vrf


def is_touched(decision: Decision, touches: list[tuple[Touch, int]]) -> bool:
    vifs, routes = decision.reads[:2], decision.reads[2:]
    return any(
        kind is Touch.ALL
        or (kind is Touch.ROUTE and number in routes)
        or (kind in (Touch.VIF, Touch.VIF_GONE) and number in vifs)
        for kind, number in touches
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(changes, max_size=10),
    st.lists(packets, min_size=1, max_size=12),
    st.lists(changes, min_size=1, max_size=6),
)
def test_what_is_not_touched_would_be_decided_the_same(
    made: list[Change], asked: list[Packet], later: list[Change]
) -> None:
    rig = furnished()
    rig.world.give_port(17, 40000)
    for change in made:
        change(rig)
    rig.world.drain()
    asked = [packet._replace(vrf=vrf_of(rig, packet)) for packet in asked]
    # A short flow forgets which member it would have had, so that the second decision counts.
    earlier = {packet: decided(rig, packet, decided(rig, packet)) for packet in asked}
    for change in later:
        change(rig)
        touches = rig.world.drain()
        for packet, before in earlier.items():
            now = decided(rig, packet, before)
            if not is_touched(before, touches):
                assert now == before, f"{packet}\n{before}\n{now}\n{touches}"
            earlier[packet] = decided(rig, packet, now)
