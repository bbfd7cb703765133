"""vr_flow_req of decisions: byte for byte what the codec writes, and what a module took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent._fast.flow_world import MESSAGE_SIZE, Decision, Direction, encode_delete, encode_flow
from agent.sandesh.framing import FrameReader
from agent.sandesh.vrouter import FlowOp, VrFlowReq, decode_messages
from tests.unit.flow.world_rig import key

VECTORS = Path(__file__).parents[2] / "vectors"
RFLOW = 0x1000
DATAPATH_REASONS = {0: 0, 13: 0, 14: 0, 15: 0, 21: 0, 16: 16, 20: 20, 22: 21, 24: 23, 35: 34}

u8, u16, u32 = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def keys(draw: st.DrawFn) -> bytes:
    family = draw(st.sampled_from((2, 10)))
    ends = draw(
        st.binary(min_size=8, max_size=8) if family == 2 else st.binary(min_size=32, max_size=32)
    )
    head = bytes((family, draw(u8), 0, 0)) + draw(st.binary(min_size=8, max_size=8))
    return (head + ends).ljust(44, b"\0")


directions = st.builds(
    Direction,
    key=keys(),
    source_nexthop=u32,
    flags=st.integers(0, 0xEFFF).map(lambda flags: flags & ~RFLOW),
    vrf=u16,
    dvrf=u16,
    action=st.integers(0, 3),
    reason=st.sampled_from(sorted(DATAPATH_REASONS)),
    ttl=u8,
    ecmp=st.integers(-1, 127),
    mirror=u8,
    second_mirror=u8,
    qos=st.integers(-1, 0x7FFF),
    policy_rule=st.just(0),
    group_rule=st.just(0),
)


def words(address: bytes) -> tuple[int, int]:
    """Upper and lower half, each a number whose memory holds the bytes."""
    if len(address) == 4:
        return 0, int.from_bytes(address, "little")
    return int.from_bytes(address[:8], "little"), int.from_bytes(address[8:], "little")


def ends(of: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    size = 4 if of[0] == 2 else 16
    return words(of[12 : 12 + size]), words(of[12 + size : 12 + 2 * size])


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def wanted(side: Direction, index: int | None, gen_id: int) -> VrFlowReq:
    (sip_u, sip_l), (dip_u, dip_l) = ends(side.key)
    return VrFlowReq(
        fr_op=FlowOp.FLOW_SET,
        fr_index=-1 if index is None else signed(index, 32),
        fr_action=side.action,
        fr_flags=signed(side.flags, 16),
        fr_rindex=-1,
        fr_family=side.key[0],
        fr_flow_sip_u=sip_u,
        fr_flow_sip_l=sip_l,
        fr_flow_dip_u=dip_u,
        fr_flow_dip_l=dip_l,
        fr_flow_sport=int.from_bytes(side.key[4:6], "little"),
        fr_flow_dport=int.from_bytes(side.key[6:8], "little"),
        fr_flow_proto=signed(side.key[1], 8),
        fr_flow_vrf=side.vrf,
        fr_flow_dvrf=side.dvrf,
        fr_mir_id=0xFFFF if side.mirror == 255 else side.mirror,
        fr_sec_mir_id=0xFFFF if side.second_mirror == 255 else side.second_mirror,
        fr_ecmp_nh_index=side.ecmp & 0xFFFFFFFF,
        fr_src_nh_index=side.source_nexthop,
        fr_flow_nh_id=int.from_bytes(side.key[8:12], "little"),
        fr_drop_reason=DATAPATH_REASONS[side.reason],
        fr_gen_id=signed(gen_id, 8),
        fr_qos_id=side.qos & 0xFFFF,
        fr_ttl=signed(side.ttl, 8),
        fr_underlay_ecmp_index=-1,
    )


@patient
@given(directions, directions, u8, u32, u32)
def test_like_the_codec(
    forward: Direction, reverse: Direction, gen_id: int, index: int, partner: int
) -> None:
    decision = Decision(forward, reverse, (None,) * 5, 0, 0)
    expected = wanted(forward, index, gen_id)
    flags = signed(forward.flags | RFLOW, 16)
    data = encode_flow(decision, 0, index, gen_id, partner)
    assert len(data) == MESSAGE_SIZE
    if partner != 0xFFFFFFFF:
        named = expected.replace(fr_flags=flags, fr_rindex=signed(partner, 32))
        assert data == named.encode()
    (sip_u, sip_l), (dip_u, dip_l) = ends(reverse.key)
    told = expected.replace(
        fr_flags=flags,
        fr_rflow_sip_u=sip_u,
        fr_rflow_sip_l=sip_l,
        fr_rflow_dip_u=dip_u,
        fr_rflow_dip_l=dip_l,
        fr_rflow_nh_id=int.from_bytes(reverse.key[8:12], "little"),
        fr_rflow_sport=int.from_bytes(reverse.key[4:6], "little"),
        fr_rflow_dport=int.from_bytes(reverse.key[6:8], "little"),
    )
    assert encode_flow(decision, 0, index, gen_id, None) == told.encode()


@patient
@given(directions, u8)
def test_without_a_reverse_flow(forward: Direction, gen_id: int) -> None:
    nobody = Direction(bytes(44), *([0] * 13))
    decision = Decision(forward, nobody, (None,) * 5, 0, 0)
    assert encode_flow(decision, 0, None, gen_id, None) == wanted(forward, None, gen_id).encode()


@patient
@given(keys(), u8, u32)
def test_delete(of: bytes, gen_id: int, index: int) -> None:
    expected = wanted(Direction(of, 0, 0, 0, 0, 0, 0, 0, -1, 255, 255, -1, 0, 0), index, gen_id)
    assert encode_delete(of, index, gen_id) == expected.encode()
    if of[0] == 2:
        assert encode_delete(of[:20], index, gen_id) == expected.encode()


def test_unusable_keys() -> None:
    with pytest.raises(ValueError, match="a key has 44 bytes"):
        encode_delete(bytes(20), 0, 0)
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        encode_flow(Decision(*(Direction(bytes(44), *([0] * 13)),) * 2, (), 0, 0), 2, 0, 0, 0)


def recorded(what: str) -> VrFlowReq:
    """The first request of this name that a real module took, without its (fixed) TTL."""
    with (VECTORS / "kernel-scenario.jsonl").open() as lines:
        found = next(one for one in map(json.loads, lines) if one["what"] == what)
    reader = FrameReader()
    reader.feed(bytes.fromhex(found["hex"]))
    (frame,) = reader
    message = decode_messages(frame.payload)[0]
    assert isinstance(message, VrFlowReq)
    return message.replace(fr_ttl=0)


def side(of: bytes, source_nexthop: int) -> Direction:
    return Direction(of, source_nexthop, 1, 1, 0, 2, 0, 0, -1, 255, 255, -1, 0, 0)


def test_as_recorded() -> None:
    forward = side(key(24, "15.0.0.3", "15.0.0.9", 1, 1, 0), 24)
    reverse = side(key(24, "15.0.0.9", "15.0.0.3", 1, 1, 0), 22)
    decision = Decision(forward, reverse, (None,) * 5, 0, 0)
    expected = {
        "flow set: held flow to forward": encode_flow(decision, 0, 436592, 1, 174212),
        "flow change: reverse now with its reverse": encode_flow(decision, 1, 174212, 1, 436592),
    }
    for what, data in expected.items():
        assert decode_messages(data) == [recorded(what)]
