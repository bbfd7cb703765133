"""Fat flows: which keys become one, for packets both ways, and the lists that say so."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast.forwarding import FatPrefix, FatRule
from agent.forwarder.replies import EINVAL
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq
from tests.unit.forwarder.flow_rig import (
    GUEST1_NH,
    ICMP_PROTO,
    TAP1,
    TAP2,
    TCP_PROTO,
    UDP_PROTO,
    FlowRig,
    Key,
    from_fabric,
    guest_frame,
    packed,
    traps,
    udp,
)
from tests.unit.forwarder.stage import Stage

NONE, SOURCE, DESTINATION = 0, 1, 2
GUEST, REMOTE = "15.0.0.3", "15.0.0.9"


@pytest.fixture
def rig() -> FlowRig:
    return FlowRig().build()


def rule(
    proto: int = UDP_PROTO,
    port: int = 0,
    ignore: int = NONE,
    source: FatPrefix | None = None,
    destination: FatPrefix | None = None,
) -> FatRule:
    return FatRule(proto, port, ignore, source, destination)


def prefix(text: str, keep: int) -> FatPrefix:
    network = ipaddress.ip_network(text)
    return FatPrefix(network.network_address.packed, network.prefixlen, keep)


def sent(rig: FlowRig, key: Key, *rules: FatRule, excludes: Any = ()) -> Key:
    """What a packet that the guest sends has as its key."""
    assert rig.dp.vif_fat_flows(TAP1, rules, excludes) == 0
    return read(rig.dp.fat_flow_key(TAP1, True, key.raw()))


def reached(rig: FlowRig, key: Key, *rules: FatRule) -> Key:
    """What a packet to the guest has as its key."""
    assert rig.dp.vif_fat_flows(TAP1, rules) == 0
    return read(rig.dp.fat_flow_key(TAP1, False, key.raw()))


def read(raw: bytes) -> Key:
    width = 4 if raw[0] == 2 else 16
    ends = (raw[12 : 12 + width], raw[12 + width : 12 + 2 * width])
    src, dst = (str(ipaddress.ip_address(end)) for end in ends)
    ports = (int.from_bytes(raw[at : at + 2], "big") for at in (4, 6))
    return Key(int.from_bytes(raw[8:12], "little"), src, dst, raw[1], *ports)


def key(sport: int = 40000, dport: int = 53, proto: int = UDP_PROTO, **ends: str) -> Key:
    return Key(GUEST1_NH, ends.get("src", GUEST), ends.get("dst", REMOTE), proto, sport, dport)


@pytest.mark.parametrize(
    ("ports", "rules", "expected"),
    [
        ((40000, 53), [(UDP_PROTO, 53)], (0, 53)),
        ((53, 40000), [(UDP_PROTO, 53)], (53, 0)),
        ((53, 53), [(UDP_PROTO, 53)], (0, 53)),
        ((53, 80), [(UDP_PROTO, 80), (UDP_PROTO, 53)], (53, 0)),
        ((80, 53), [(UDP_PROTO, 80), (UDP_PROTO, 53)], (0, 53)),
        ((40000, 53), [(UDP_PROTO, 0)], (0, 0)),
        ((40000, 53), [(TCP_PROTO, 53), (TCP_PROTO, 0)], (40000, 53)),
        ((40000, 54), [(UDP_PROTO, 53)], (40000, 54)),
        ((40000, 53), [], (40000, 53)),
    ],
)
def test_ports_that_a_rule_leaves_out(
    rig: FlowRig, ports: tuple[int, int], rules: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    made = [rule(proto, port) for proto, port in rules]
    got = sent(rig, key(*ports), *made)
    assert (got.sport, got.dport) == expected
    assert (got.src, got.dst, got.proto) == (GUEST, REMOTE, UDP_PROTO)


def test_all_echoes_are_one_flow(rig: FlowRig) -> None:
    got = sent(rig, key(0x1234, 0, ICMP_PROTO), rule(ICMP_PROTO))
    assert (got.sport, got.dport) == (0, 0)


def test_ignored_addresses_are_those_of_what_the_guest_sends(rig: FlowRig) -> None:
    assert sent(rig, key(), rule(port=53, ignore=DESTINATION)) == key(0, 53, dst="0.0.0.0")
    assert sent(rig, key(), rule(port=53, ignore=SOURCE)) == key(0, 53, src="0.0.0.0")
    answer = key().reverse(GUEST1_NH)
    assert reached(rig, answer, rule(port=53, ignore=DESTINATION)) == Key(
        GUEST1_NH, "0.0.0.0", GUEST, UDP_PROTO, 53, 0
    )


def test_addresses_in_a_prefix_keep_their_first_bits(rig: FlowRig) -> None:
    near = rule(port=53, destination=prefix("15.0.0.0/16", 30))
    assert sent(rig, key(), near).dst == "15.0.0.8"
    assert sent(rig, key(dst="16.0.0.9"), near) == key(dst="16.0.0.9")
    both = rule(port=53, source=prefix("15.0.0.0/24", 24), destination=prefix("0.0.0.0/0", 0))
    assert sent(rig, key(), both) == key(0, 53, src="15.0.0.0", dst="0.0.0.0")
    exact = rule(port=53, destination=prefix("15.0.0.9/32", 32))
    assert sent(rig, key(), exact).dst == REMOTE


def test_ipv6_prefixes(rig: FlowRig) -> None:
    made = rule(port=53, destination=prefix("fd00::/64", 121))
    flow = key(src="fd00::3", dst="fd00::89")
    assert sent(rig, flow, made).dst == "fd00::80"
    assert sent(rig, key(), made) == key(), "a rule for IPv6 addresses says nothing of IPv4"


def test_the_first_rule_that_fits_counts(rig: FlowRig) -> None:
    rules = (
        rule(port=53, destination=prefix("16.0.0.0/8", 8)),
        rule(port=53, destination=prefix("15.0.0.0/8", 8)),
        rule(port=53, ignore=DESTINATION),
    )
    assert sent(rig, key(), *rules).dst == "15.0.0.0"


def test_excluded_addresses_keep_their_flows(rig: FlowRig) -> None:
    made = rule()
    for text, bits in ((REMOTE, 32), ("15.0.0.0", 24), (GUEST, 32)):
        assert sent(rig, key(), made, excludes=[(packed(text), bits)]) == key()
    assert sent(rig, key(), made, excludes=[(packed("15.0.1.0"), 24)]) == key(0, 0)
    assert sent(rig, key(), made, excludes=[(packed("fd00::"), 0)]) == key(0, 0)


ports = st.integers(0, 5)
rules = st.builds(
    rule,
    proto=st.sampled_from([UDP_PROTO, TCP_PROTO]),
    port=st.integers(0, 4),
    ignore=st.integers(0, 2),
    source=st.one_of(st.none(), st.just(prefix("15.0.0.0/24", 25))),
    destination=st.one_of(st.none(), st.just(prefix("15.0.0.8/29", 29))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(rules, max_size=4), ports, ports)
def test_both_directions_of_a_flow_have_mirrored_keys(
    made: list[FatRule], sport: int, dport: int
) -> None:
    """Else answers would find no entry. Equal ports are the exception that the agent knows."""
    rig = FlowRig().build()
    there = sent(rig, key(sport, dport), *made)
    back = reached(rig, key(sport, dport).reverse(GUEST1_NH), *made)
    if sport != dport or not made:
        assert back == there.reverse(GUEST1_NH)
    else:
        assert (back.src, back.dst) == (there.dst, there.src)
        assert {back.sport, back.dport} == {there.sport, there.dport}


@settings(max_examples=100, deadline=None)
@given(st.lists(rules, max_size=4), ports, ports)
def test_what_is_left_out_once_stays_out(made: list[FatRule], sport: int, dport: int) -> None:
    rig = FlowRig().build()
    once = sent(rig, key(sport, dport), *made)
    for attribute in ("sport", "dport"):
        assert getattr(once, attribute) in (0, getattr(key(sport, dport), attribute))


def test_packets_of_many_flows_are_trapped_once(rig: FlowRig) -> None:
    assert rig.dp.vif_fat_flows(TAP1, [rule(port=53)]) == 0
    seen = [
        trap
        for sport in range(1, 6)
        for trap in traps(rig.send(TAP1, guest_frame(udp(GUEST, REMOTE, sport, 53))))
    ]
    assert len(seen) == 1
    assert read(rig.entry(seen[0].index).key) == key(0, 53)
    back = [
        trap
        for dport in range(1, 6)
        for trap in traps(rig.send(0, from_fabric(udp(REMOTE, GUEST, 53, dport))))
    ]
    assert len(back) == 1
    assert read(rig.entry(back[0].index).key) == key(0, 53).reverse(GUEST1_NH)


def test_other_interfaces_are_not_touched(rig: FlowRig) -> None:
    assert rig.dp.vif_fat_flows(TAP1, [rule()]) == 0
    assert rig.dp.fat_flow_key(TAP2, True, key().raw()) == key().raw()
    assert rig.dp.fat_flow_key(99, True, key().raw()) == key().raw()


@pytest.mark.parametrize(
    ("made", "excludes"),
    [
        ([rule()] * 257, []),
        ([], [(bytes(4), 0)] * 257),
        ([rule(source=FatPrefix(bytes(5), 0, 0))], []),
        ([rule(source=FatPrefix(bytes(4), 33, 0))], []),
        ([rule(source=FatPrefix(bytes(4), 0, 33))], []),
        ([rule(source=FatPrefix(bytes(4), -1, 0))], []),
        ([rule(source=prefix("0.0.0.0/0", 0), destination=prefix("::/0", 0))], []),
        ([], [(bytes(4), 33)]),
        ([], [(bytes(3), 0)]),
    ],
)
def test_lists_that_cannot_be_change_nothing(rig: FlowRig, made: Any, excludes: Any) -> None:
    before = sent(rig, key(), rule())
    assert rig.dp.vif_fat_flows(TAP1, made, excludes) == EINVAL
    assert read(rig.dp.fat_flow_key(TAP1, True, key().raw())) == before
    assert rig.dp.vif_fat_flows(99, [rule()]) < 0


# --- messages ---------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def loaded(text: str) -> tuple[int, int]:
    """High and low word of an address as a little-endian host loads it."""
    raw = packed(text)
    if len(raw) == 4:
        return 0, int.from_bytes(raw, "little")
    return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")


def interface(*words: int, **lists: Any) -> VrInterfaceReq:
    return VrInterfaceReq(
        vifr_idx=3,
        vifr_type=3,
        vifr_flags=0xC1,
        vifr_mac=bytes(6),
        vifr_fat_flow_protocol_port=words,
        **{f"vifr_fat_flow_{name}": value for name, value in lists.items()},
    )


def shown(stage: Stage) -> VrInterfaceReq:
    got = stage.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=3))
    assert isinstance(got, VrInterfaceReq)
    return got


def applied(stage: Stage, flow: Key) -> Key:
    return read(stage.datapath.fat_flow_key(3, True, flow.raw()))


def test_an_interfaces_lists_are_applied_and_shown(stage: Stage) -> None:
    high, low = loaded("15.0.0.0")
    made = interface(
        3 << 24 | UDP_PROTO << 16 | 53,
        4 << 28 | 1 << 24 | TCP_PROTO << 16 | 80,
        src_prefix_h=(0, 0), src_prefix_l=(0, 0), src_prefix_mask=bytes(2),
        src_aggregate_plen=bytes(2),
        dst_prefix_h=(0, high), dst_prefix_l=(0, low), dst_prefix_mask=bytes((0, 8)),
        dst_aggregate_plen=bytes((0, 24)),
        exclude_ip_list=(32 << 32 | loaded("15.0.0.8")[1],),
    )  # fmt: skip
    assert stage.code(made) == 0
    assert applied(stage, key()) == key(0, 53)
    assert applied(stage, key(5, 80, TCP_PROTO)) == key(
        0, 80, TCP_PROTO, src="0.0.0.0", dst="15.0.0.0"
    )
    assert applied(stage, key(dst="15.0.0.8")) == key(dst="15.0.0.8")
    got = shown(stage)
    assert got.vifr_fat_flow_protocol_port == made.vifr_fat_flow_protocol_port
    assert got.vifr_fat_flow_dst_prefix_l == (0, low)
    assert got.vifr_fat_flow_exclude_ip_list == made.vifr_fat_flow_exclude_ip_list
    assert stage.code(interface()) == 0
    assert applied(stage, key()) == key()


def test_ipv6_prefixes_and_excludes_come_in_halves(stage: Stage) -> None:
    high, low = loaded("fd00::1:0:0:8")
    out_high, out_low = loaded("fd00::aa")
    made = interface(
        2 << 28 | 3 << 24 | UDP_PROTO << 16 | 53,
        src_prefix_h=(high,), src_prefix_l=(low,), src_prefix_mask=bytes((125,)),
        src_aggregate_plen=bytes((125,)),
        exclude_ip6_u_list=(out_high,), exclude_ip6_l_list=(out_low,),
        exclude_ip6_plen_list=(128,),
    )  # fmt: skip
    assert stage.code(made) == 0
    flow = key(src="fd00::1:0:0:9", dst="fd00::5")
    assert applied(stage, flow) == key(0, 53, src="fd00::1:0:0:8", dst="fd00::5")
    excluded = key(src="fd00::1:0:0:9", dst="fd00::aa")
    assert applied(stage, excluded) == excluded


@pytest.mark.parametrize(
    "wrong",
    [
        interface(4 << 28 | UDP_PROTO << 16),
        interface(2 << 28 | UDP_PROTO << 16, src_prefix_h=(1,), src_prefix_l=(1,)),
        interface(exclude_ip_list=(33 << 32,)),
        interface(UDP_PROTO << 16, exclude_ip_list=(33 << 32,)),
        interface(exclude_ip6_u_list=(1,), exclude_ip6_l_list=(), exclude_ip6_plen_list=(1,)),
        interface(*[UDP_PROTO << 16] * 257),
    ],
)
def test_lists_that_do_not_go_together_are_refused(stage: Stage, wrong: VrInterfaceReq) -> None:
    assert stage.code(wrong) == EINVAL
    assert stage.datapath.vif_indexes() == []
    assert stage.code(interface(3 << 24 | UDP_PROTO << 16)) == 0
    assert stage.code(wrong) == EINVAL
    assert applied(stage, key()) == key(0, 0)


def test_new_flows_flag_and_qos_map_are_kept(stage: Stage) -> None:
    made = interface().replace(vifr_flags=0xC1 | 0x40000, vifr_qos_map_index=9)
    assert stage.code(made) == 0
    got = shown(stage)
    assert (got.vifr_flags & 0x40000, got.vifr_qos_map_index) == (0x40000, 9)
