"""Flow requests in bytes: the compiled path against messages that are made one by one."""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast.forwarding import Datapath
from agent.forwarder.dispatcher import answer
from agent.forwarder.server import ControlServer
from agent.sandesh.framing import MAX_FRAME, Frame, FrameReader, reply_frame, request_frame
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrFlowReq,
    VrFlowResponse,
    VrFlowTableData,
    VrMplsReq,
    VrResponse,
    encode_many,
)
from tests.unit.forwarder.dataplane_rig import address, new_datapath
from tests.unit.forwarder.stage import Stage

ROOM = 1 << 20
ACTIVE, REVERSE, MIRRORED, TRANSLATED = 1, 0x1000, 0x2000, 0x4000


def flow(**fields: Any) -> VrFlowReq:
    """A flow of the first key of the layout vectors, forwarded."""
    values: dict[str, Any] = {
        "fr_index": -1,
        "fr_family": 2,
        "fr_flow_proto": 6,
        "fr_flow_sport": 0xE803,
        "fr_flow_dport": 0x5000,
        "fr_flow_nh_id": 20,
        "fr_flow_sip_l": address("1.1.1.1"),
        "fr_flow_dip_l": address("2.2.2.2"),
        "fr_flags": ACTIVE,
        "fr_action": 2,
        "fr_flow_vrf": 2,
        "fr_mir_id": 0xFFFF,
        "fr_sec_mir_id": 0xFFFF,
    }
    return VrFlowReq(**(values | fields))


def frame(*messages: VrFlowReq, seq: int = 1, family: int = 24) -> bytes:
    return request_frame(encode_many(messages), family=family, seq=seq, pid=99)


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def told_by_hand(datapath: Datapath, request: VrFlowReq) -> bytes:
    """The answer that one message gets, field by field."""
    got = datapath.flow_set(
        index=request.fr_index,
        gen_id=request.fr_gen_id & 0xFF,
        family=request.fr_family,
        proto=request.fr_flow_proto & 0xFF,
        sport=request.fr_flow_sport,
        dport=request.fr_flow_dport,
        nh_id=request.fr_flow_nh_id,
        sip_u=request.fr_flow_sip_u,
        sip_l=request.fr_flow_sip_l,
        dip_u=request.fr_flow_dip_u,
        dip_l=request.fr_flow_dip_l,
        flags=request.fr_flags & 0xFFFF,
        flags1=request.fr_flags1 & 0xFFFF,
        action=request.fr_action & 0xFFFF,
        vrf=request.fr_flow_vrf,
        dvrf=request.fr_flow_dvrf,
        rindex=request.fr_rindex,
        rflow_sip_u=request.fr_rflow_sip_u,
        rflow_sip_l=request.fr_rflow_sip_l,
        rflow_dip_u=request.fr_rflow_dip_u,
        rflow_dip_l=request.fr_rflow_dip_l,
        rflow_nh_id=request.fr_rflow_nh_id,
        rflow_sport=request.fr_rflow_sport,
        rflow_dport=request.fr_rflow_dport,
        mir_id=request.fr_mir_id,
        sec_mir_id=request.fr_sec_mir_id,
        src_nh_index=request.fr_src_nh_index,
        ecmp_nh_index=signed(request.fr_ecmp_nh_index, 32),
        underlay_ecmp_index=request.fr_underlay_ecmp_index,
        qos_id=signed(request.fr_qos_id, 16),
        ttl=request.fr_ttl & 0xFF,
        drop_reason=request.fr_drop_reason,
        extflags=request.fr_extflags & 0xFFFF,
        meta=request.fr_pcap_meta_data,
    )
    response = VrFlowResponse(
        fresp_op=FlowOp.FLOW_SET,
        fresp_flags=got.flags,
        fresp_index=got.handle & 0xFFFFFFFF,
        fresp_bytes=got.bytes,
        fresp_packets=got.packets,
        fresp_stats_oflow=got.oflow,
        fresp_gen_id=signed(got.gen_id, 8),
    )
    return encode_many([VrResponse(h_op=SandeshOp.RESPONSE, resp_code=got.code), response])


def replies_by_hand(datapath: Datapath, messages: list[VrFlowReq], seq: int, family: int) -> bytes:
    last = len(messages) - 1
    return b"".join(
        reply_frame(told_by_hand(datapath, message), family=family, seq=seq, more=place < last)
        for place, message in enumerate(messages)
    )


# Few keys, indexes and generations, so that requests meet what others did.
requests = st.builds(
    flow,
    fr_index=st.one_of(st.just(-1), st.integers(-2, 17)),
    fr_gen_id=st.integers(0, 3),
    fr_family=st.sampled_from([2, 2, 2, 10, 3]),
    fr_flow_proto=st.sampled_from([6, 17]),
    fr_flow_sport=st.integers(0, 5),
    fr_flow_sip_u=st.sampled_from([0, 1 << 63]),
    fr_flags=st.sampled_from(
        [ACTIVE, ACTIVE, 0, ACTIVE | REVERSE, ACTIVE | TRANSLATED, ACTIVE | MIRRORED, 0xF41, 0xFFFF]
    ).map(lambda flags: signed(flags, 16)),
    fr_rindex=st.integers(-1, 17),
    fr_rflow_sport=st.integers(0, 5),
    fr_rflow_nh_id=st.just(20),
    fr_rflow_sip_l=st.just(address("1.1.1.1")),
    fr_rflow_dip_l=st.just(address("2.2.2.2")),
    fr_action=st.integers(0, 3),
    fr_flow_dvrf=st.sampled_from([3, 65535]),
    fr_mir_id=st.sampled_from([1, 255, 300, 0xFFFF]),
    fr_pcap_meta_data=st.binary(max_size=20),
    fr_qos_id=st.sampled_from([0xFFFF, 4]),
    fr_ttl=st.integers(-128, 127),
    fr_extflags=st.sampled_from([0, 0, 1, 2]),
    fr_ecmp_nh_index=st.sampled_from([0xFFFFFFFF, 2]),
    fr_drop_reason=st.integers(0, 34),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(requests, min_size=1, max_size=6), st.integers(17, 99))))
def test_bytes_are_answered_as_messages_are(turns: list[tuple[list[VrFlowReq], int]]) -> None:
    tables = bytearray(16 * 256), bytearray(16 * 256)
    fast, slow = (new_datapath(flow_table=table, flow_entries=8) for table in tables)
    frames = [frame(*messages, seq=seq, family=kind) for seq, (messages, kind) in enumerate(turns)]
    used, replies = fast.flow_serve(b"".join(frames), ROOM)
    assert used == sum(map(len, frames))
    assert replies == b"".join(
        replies_by_hand(slow, messages, seq, kind) for seq, (messages, kind) in enumerate(turns)
    )
    assert fast.flow_table_stats() == slow.flow_table_stats()
    assert tables[0] == tables[1]


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    start = 0
    for end in sorted({cut % (len(data) + 1) for cut in cuts}):
        yield data[start:end]
        start = end
    yield data[start:]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1 << 20), max_size=8), st.lists(requests, min_size=1, max_size=12))
def test_bytes_may_arrive_in_any_pieces(cuts: list[int], messages: list[VrFlowReq]) -> None:
    whole, cut = new_datapath(), new_datapath()
    data = b"".join(frame(message, seq=seq) for seq, message in enumerate(messages))
    reader, replies = FrameReader(), b""
    for piece in pieces(data, cuts):
        reader.feed(piece)
        used, got = cut.flow_serve(reader.waiting, ROOM)
        reader.skip(used)
        replies += got
    assert reader.pending == 0
    assert replies == whole.flow_serve(data, ROOM)[1]


def shuffled(request: VrFlowReq) -> bytes:
    """The message with its first two fields exchanged, which every decoder takes."""
    data = request.encode()
    return data[:15] + data[22:27] + data[15:22] + data[27:]


@pytest.mark.parametrize(
    "other",
    [
        frame(),
        frame(flow(fr_op=FlowOp.FLOW_LIST)),
        frame(flow(), flow(fr_op=FlowOp.FLOW_TABLE_GET)),
        request_frame(shuffled(flow()), family=24, seq=1, pid=1),
        request_frame(flow().encode() + VrMplsReq().encode(), family=24, seq=1, pid=1),
        request_frame(flow().encode()[:-3], family=24, seq=1, pid=1),
        request_frame(flow().encode() + b"\0" * 4, family=24, seq=1, pid=1),
        request_frame(VrFlowTableData(ftable_op=2).encode(), family=24, seq=1, pid=1),
        frame(flow(), family=16),
        struct.pack("=IHHII", 23, 24, 1, 1, 1) + bytes(7),
        struct.pack("=IHHII", MAX_FRAME + 1, 24, 1, 1, 1) + bytes(MAX_FRAME),
        frame(flow())[:-1],
        b"\0" * 7,
    ],
)
def test_what_is_not_plain_flow_requests_is_left(other: bytes) -> None:
    datapath = new_datapath()
    first = frame(flow(), seq=5)
    used, replies = datapath.flow_serve(first + other + first, ROOM)
    assert used == len(first)
    assert len(replies) == 124
    assert datapath.flow_table_stats().added == 1


def test_replies_stay_within_their_room() -> None:
    datapath = new_datapath()
    single = [frame(flow(fr_flow_sport=port), seq=port) for port in range(5)]
    bulk = frame(*(flow(fr_flow_sport=port) for port in range(10, 13)))
    used, replies = datapath.flow_serve(b"".join(single), 3 * 124 + 123)
    assert (used, len(replies)) == (sum(map(len, single[:3])), 3 * 124)
    assert datapath.flow_serve(bulk, 2 * 124) == (0, b"")
    assert datapath.flow_serve(bulk, 3 * 124)[0] == len(bulk)
    assert datapath.flow_serve(b"", ROOM) == (0, b"")


def test_the_attribute_length_says_where_the_payload_ends() -> None:
    """As it is in requests, as replies have it, wrapped, or never filled in."""
    messages = [flow(fr_flow_sport=port) for port in range(3)]
    payload = encode_many(messages)
    for said in (len(payload) + 4, len(payload), 0, 7):
        head = struct.pack("=IHHIIBBHHH", 24 + len(payload), 24, 1, 9, 1, 1, 0, 0, said, 1)
        used, replies = new_datapath().flow_serve(head + payload, ROOM)
        assert (used, len(replies)) == (24 + len(payload), 3 * 124)
    padded = frame(messages[0]) + bytes(3)
    padded = struct.pack("=I", len(padded)) + padded[4:]
    assert new_datapath().flow_serve(padded, ROOM)[0] == len(padded)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.lists(requests, min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=12),
)
def test_damaged_bytes_get_what_the_ordinary_way_gives_them(
    turns: list[list[VrFlowReq]], damage: list[tuple[int, int]]
) -> None:
    """What the compiled path takes, it answers exactly as the dispatcher would have."""
    data = bytearray(b"".join(frame(*messages, seq=seq) for seq, messages in enumerate(turns)))
    for place, value in damage:
        data[place % len(data)] = value
    fast, ordinary = new_datapath(), Stage(Path("/nowhere"))
    used, replies = fast.flow_serve(bytes(data), ROOM)
    assert 0 <= used <= len(data)
    reader = FrameReader()
    reader.feed(data[:used])
    expected = b""
    for got in reader:
        payloads = answer(ordinary.control, got.payload)
        last = len(payloads) - 1
        expected += b"".join(
            reply_frame(payload, family=got.type, seq=got.seq, more=place < last)
            for place, payload in enumerate(payloads)
        )
    assert reader.pending == 0
    assert replies == expected
    ordinary.close()


# --- over the socket ------------------------------------------------------------------------


async def conversation(tmp_path: Path, data: bytes, frames: int) -> list[Frame]:
    stage = Stage(tmp_path)
    server = ControlServer(
        tmp_path / "dpdk_netlink",
        lambda payload: answer(stage.control, payload),
        flows=stage.datapath.flow_serve,
    )
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "dpdk_netlink"))
    writer.write(data)
    cutter = FrameReader()
    got: list[Frame] = []
    while len(got) < frames:
        received = await asyncio.wait_for(reader.read(1 << 16), 20)
        assert received, "the server closed the connection"
        cutter.feed(received)
        got += list(cutter)
    writer.close()
    await server.stop()
    stage.close()
    return got


async def test_answers_come_in_the_order_of_requests_of_both_ways(tmp_path: Path) -> None:
    label = request_frame(VrMplsReq(mr_label=17).encode(), family=24, seq=2, pid=1)
    table = request_frame(VrFlowTableData(ftable_op=2).encode(), family=24, seq=4, pid=1)
    nonsense = request_frame(b"\0\0\0\3abc", family=24, seq=6, pid=1)
    odd = request_frame(shuffled(flow(fr_flow_sport=9)), family=24, seq=8, pid=1)
    flows = [frame(flow(fr_flow_sport=port), seq=seq) for port, seq in enumerate((1, 3, 5, 7, 9))]
    data = b"".join(
        part
        for pair in zip(flows, [label, table, nonsense, odd, b""], strict=True)
        for part in pair
    )
    got = await conversation(tmp_path, data, 9)
    assert [one.seq for one in got] == list(range(1, 10))


async def test_many_requests_at_once_are_all_answered(tmp_path: Path) -> None:
    """More than the socket takes, more than one client may leave unread."""
    count = 6000
    data = b"".join(
        frame(flow(fr_flow_sport=number & 0xFF, fr_flow_sip_l=number), seq=number)
        for number in range(count)
    )
    got = await conversation(tmp_path, data, count)
    assert [one.seq for one in got] == list(range(count))


# --- the life of entries --------------------------------------------------------------------


def code_of(datapath: Datapath, message: VrFlowReq) -> tuple[int, int, int]:
    """(code, index, generation) that one message gets."""
    _, reply = datapath.flow_serve(frame(message), ROOM)
    code = struct.unpack_from(">i", reply, 24 + 30 - 5)[0]
    response = FrameReader()
    response.feed(reply)
    (got,) = response
    assert got.payload[:30] == VrResponse(h_op=SandeshOp.RESPONSE, resp_code=code).encode()
    index = struct.unpack_from(">i", reply, len(reply) - 1 - 4 - 7 * 3 - 4)[0]
    return code, index, reply[-2]


def test_refusals_come_in_their_order() -> None:
    """Each request is wrong in all the ways that come later in the list as well."""
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    _, index, gen_id = code_of(datapath, flow())
    at = index * 256 + 88
    wrong = flow(
        fr_index=index,
        fr_gen_id=gen_id + 1,
        fr_flow_proto=17,
        fr_flags=ACTIVE | TRANSLATED | REVERSE,
        fr_flow_dvrf=65535,
        fr_rindex=1000,
    )
    for flags, expected in ((0x341, errno.EBUSY), (0x841, errno.EBUSY), (0x41, errno.EINVAL)):
        struct.pack_into("<H", table, at, flags)
        assert code_of(datapath, wrong)[0] == -expected
    struct.pack_into("<H", table, at, ACTIVE)
    assert code_of(datapath, wrong)[0] == -errno.EBADF
    wrong = wrong.replace(fr_gen_id=gen_id)
    assert code_of(datapath, wrong)[0] == -errno.EFAULT
    wrong = wrong.replace(fr_flow_proto=6)
    assert code_of(datapath, wrong)[0] == -errno.EINVAL
    assert code_of(datapath, wrong.replace(fr_index=999))[0] == -errno.ENOENT
    wrong = wrong.replace(fr_flow_dvrf=1)
    assert code_of(datapath, wrong)[0] == -errno.EINVAL
    assert code_of(datapath, wrong.replace(fr_flags=ACTIVE))[0] == 0
    assert code_of(datapath, flow(fr_flags=0, fr_flow_proto=1))[0] == -errno.ENOENT
    assert code_of(datapath, flow()) == (-errno.EEXIST, index, gen_id)


def test_a_deleted_flow_is_marked_and_then_free() -> None:
    table = bytearray(8 * 256)
    datapath = new_datapath(flow_table=table, flow_entries=4)
    _, index, gen_id = code_of(datapath, flow())
    struct.pack_into("<II", table, index * 256 + 104, 1000, 10)
    known = {"fr_index": index, "fr_gen_id": gen_id}
    assert code_of(datapath, flow(fr_flags=0, **known)) == (0, index, gen_id)
    assert struct.unpack_from("<H", table, index * 256 + 88)[0] == 0x41
    assert struct.unpack_from("<II", table, index * 256 + 104) == (1000, 10)
    assert code_of(datapath, flow(**known))[0] == -errno.EINVAL
    other = code_of(datapath, flow())
    assert other[0] == 0
    assert other[1] != index
    datapath.advance(0.02)
    assert struct.unpack_from("<H", table, index * 256 + 88)[0] == 0
    assert struct.unpack_from("<II", table, index * 256 + 104) == (0, 0)
    assert datapath.flow_table_stats().used == 1


def test_a_full_table_takes_back_marked_slots_at_once() -> None:
    datapath = new_datapath(flow_table=bytearray(8 * 256), flow_entries=4)
    made = [code_of(datapath, flow(fr_flow_sport=port)) for port in range(8)]
    assert code_of(datapath, flow(fr_flow_sport=9))[0] == -errno.ENOSPC
    gone = made[5]
    deleted = flow(fr_flow_sport=5, fr_index=gone[1], fr_gen_id=gone[2], fr_flags=0)
    assert code_of(datapath, deleted)[0] == 0
    assert code_of(datapath, flow(fr_flow_sport=9)) == (0, gone[1], gone[2] + 1)


def test_the_partner_of_a_freed_slot_forgets_it() -> None:
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    _, there, gen_there = code_of(datapath, flow())
    back = flow(fr_flow_sport=1, fr_flags=ACTIVE | REVERSE, fr_rindex=there)
    _, back_index, _ = code_of(datapath, back)
    joined = flow(
        fr_index=there, fr_gen_id=gen_there, fr_flags=ACTIVE | REVERSE, fr_rindex=back_index
    )
    assert code_of(datapath, joined)[0] == 0
    gone = flow(fr_index=there, fr_gen_id=gen_there, fr_flags=0)
    assert code_of(datapath, gone)[0] == 0
    rflow = back_index * 256 + 84
    assert struct.unpack_from("<i", table, rflow)[0] == there, "as long as the mark stands"
    late = flow(fr_flow_sport=2, fr_flags=ACTIVE | REVERSE, fr_rindex=there)
    assert code_of(datapath, late)[0] == -errno.EINVAL
    datapath.advance(0.02)
    assert struct.unpack_from("<i", table, rflow)[0] == -1


def test_force_evict_takes_closed_tcp_flows_only() -> None:
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    _, index, gen_id = code_of(datapath, flow())
    evict = flow(fr_index=index, fr_gen_id=gen_id, fr_extflags=1)
    assert code_of(datapath, evict)[0] == -errno.EINVAL
    struct.pack_into("<H", table, index * 256 + 70, 0x8000)
    assert code_of(datapath, evict) == (0, index, gen_id)
    assert struct.unpack_from("<HHH", table, index * 256 + 88) == (0x801, 0, 0)
    assert code_of(datapath, evict)[0] == -errno.EBUSY
    assert datapath.flow_table_stats().used == 0


def test_hold_counters_tell_created_from_processed() -> None:
    datapath = new_datapath()
    _, index, gen_id = code_of(datapath, flow(fr_action=1))
    stats = datapath.flow_table_stats()
    assert (stats.created, stats.processed, stats.hold_entries) == (1, 0, 1)
    known = {"fr_index": index, "fr_gen_id": gen_id}
    assert code_of(datapath, flow(fr_action=2, **known))[0] == 0
    assert code_of(datapath, flow(fr_action=1, **known))[0] == 0
    stats = datapath.flow_table_stats()
    assert (stats.created, stats.processed, stats.hold_entries) == (2, 1, 1)
    assert code_of(datapath, flow(fr_flags=0, **known))[0] == 0
    stats = datapath.flow_table_stats()
    assert (stats.created, stats.processed, stats.hold_entries, stats.deleted) == (2, 2, 0, 1)


def test_table_data_tells_the_counters(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    ((done, held),) = stage.ask(flow(fr_action=1))
    assert isinstance(done, VrResponse)
    assert isinstance(held, VrFlowResponse)
    found = stage.get(VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET))
    assert isinstance(found, VrFlowTableData)
    assert found.ftable_size == len(stage.flow_table)
    assert (found.ftable_added, found.ftable_created, found.ftable_processed) == (1, 1, 0)
    assert (found.ftable_hold_stat, found.ftable_hold_entries) == ((1,), 1)
    stage.close()
