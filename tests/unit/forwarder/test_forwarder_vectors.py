"""The same requests as in the recorded conversations get the same answers.

State that the answers show is built first from the answers themselves. Where a field
cannot be equal, it stands in an exception below with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.sandesh import encode
from agent.sandesh.framing import FrameReader, request_frame
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrRouteReq,
    VrVrfAssignReq,
    decode_messages,
)
from tests.unit.forwarder.stage import Stage, cut

VECTORS = Path(__file__).parents[2] / "vectors"

Exceptions = dict[str, str]
EVERYWHERE: Exceptions = {
    "nhr_ref_cnt": "counts this table's own references",
    "vifr_ref_cnt": "counts this table's own references",
}
INTERFACE: Exceptions = {
    "vifr_queue_ierrors_to_lcore": "one number a core, and we have one",
    "vifr_fat_flow_src_prefix_h": "the recorded datapath returned memory of another flow",
    "vifr_fat_flow_src_prefix_l": "the recorded datapath returned memory of another flow",
    "vifr_fat_flow_dst_prefix_h": "the recorded datapath returned memory of another flow",
    "vifr_fat_flow_dst_prefix_l": "the recorded datapath returned memory of another flow",
}
FLOW_TABLE: Exceptions = {
    "ftable_size": "this table is small",
    "btable_size": "this table is small",
    "ftable_file_path": "this run directory",
    "btable_file_path": "this run directory",
    "ftable_used_entries": "no flow was added",
    "ftable_added": "no flow was added",
    "ftable_changed": "no flow was added",
    "ftable_cpus": "one core",
    "ftable_hold_stat": "one core",
    "rtr_index": "place in a smaller table",
}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


CAPTURES = rows("ksync-captures.jsonl")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def exchanges(conversation: str) -> list[tuple[bytes, list[bytes]]]:
    """(request frame, reply frames) of a conversation."""
    found: list[tuple[bytes, list[bytes]]] = []
    for row in CAPTURES:
        if row["conversation"] != conversation:
            continue
        if row["dir"] == "tx":
            found.append((bytes.fromhex(row["hex"]), []))
        else:
            found[-1][1].append(bytes.fromhex(row["hex"]))
    return found


def same(ours: Message, theirs: Message, exceptions: Exceptions) -> None:
    changes = {name: getattr(theirs, name) for name in exceptions if name in theirs.FIELDS}
    assert ours.replace(**changes) == theirs


def replayed(stage: Stage, conversation: str, exceptions: Exceptions) -> None:
    for request, expected in exchanges(conversation):
        frames = stage.frames(request)
        assert len(frames) == len(expected)
        for ours, theirs in zip(map(cut, frames), map(cut, expected), strict=True):
            assert (ours.type, ours.flags, ours.seq, ours.pid) == (
                theirs.type,
                theirs.flags,
                theirs.seq,
                theirs.pid,
            )
            mine, recorded = decode_messages(ours.payload), decode_messages(theirs.payload)
            assert len(mine) == len(recorded)
            for one, other in zip(mine, recorded, strict=True):
                same(one, other, exceptions)


def add_vifs(stage: Stage) -> None:
    """The interfaces of the recorded host; the devices behind them do not exist here."""
    mac = bytes.fromhex("00005e000100")
    common = {"vifr_mac": mac, "vifr_transport": 2, "vifr_mcast_vrf": 65535}
    for idx, kind, name in ((0, 2, "no-such-nic"), (3, 3, "tap03eb4be8-d8")):
        vif = VrInterfaceReq(vifr_idx=idx, vifr_type=kind, vifr_name=name, **common)
        assert stage.code(vif) == 0


def program(stage: Stage, answers: list[Message]) -> None:
    """Send recorded objects as ADD."""
    for message in answers:
        assert stage.code(message.replace(h_op=SandeshOp.ADD)) == 0, message


def recorded(conversation: str, kind: type[Message]) -> list[Message]:
    """The objects of a kind in the answers of a conversation."""
    return [
        message
        for _, replies in exchanges(conversation)
        for reply in replies
        for message in decode_messages(cut(reply).payload)
        if isinstance(message, kind)
    ]


def test_nexthop_get(stage: Stage) -> None:
    add_vifs(stage)
    program(stage, list(reversed(recorded("nhget40", VrNexthopReq))))
    replayed(stage, "nhget40", EVERYWHERE)


def test_nexthop_get_unknown(stage: Stage) -> None:
    replayed(stage, "nhbad", {})


def test_interface_get_unknown(stage: Stage) -> None:
    replayed(stage, "vifbad", {})


@pytest.mark.parametrize("conversation", ["vifget3", "vifcore"])
def test_interface_get(stage: Stage, conversation: str) -> None:
    program(stage, recorded(conversation, VrInterfaceReq))
    replayed(stage, conversation, EVERYWHERE | INTERFACE | {"vifr_core": "one core"})


def test_interface_get_with_its_vlan_table(stage: Stage) -> None:
    add_vifs(stage)
    program(stage, recorded("vifget4", VrInterfaceReq))
    program(stage, recorded("vifget4", VrVrfAssignReq))
    replayed(stage, "vifget4", EVERYWHERE | INTERFACE)


def test_label_dump(stage: Stage) -> None:
    labels = recorded("mplsd", VrMplsReq)
    for nexthop in {row.mr_nhid for row in labels if isinstance(row, VrMplsReq)}:
        assert stage.code(VrNexthopReq(nhr_id=nexthop, nhr_type=5, nhr_family=2)) == 0
    program(stage, labels)
    replayed(stage, "mplsd", {})


def test_drop_statistics(stage: Stage) -> None:
    replayed(stage, "drop", {})


def test_vrf_statistics(stage: Stage) -> None:
    replayed(stage, "vrfsd", {})


def test_flow_table(stage: Stage) -> None:
    replayed(stage, "flowl", FLOW_TABLE)


def test_bridge_route_get(stage: Stage) -> None:
    add_vifs(stage)
    program(stage, recorded("nhget40", VrNexthopReq)[1:])
    program(stage, recorded("rtgb", VrRouteReq))
    replayed(stage, "rtgb", FLOW_TABLE)


def test_inet_route_get(stage: Stage) -> None:
    add_vifs(stage)
    program(stage, recorded("nhget40", VrNexthopReq)[1:])
    program(stage, recorded("rtg4", VrRouteReq))
    replayed(stage, "rtg4", {})


def inet(prefix: str, length: int, nexthop: int, **fields: Any) -> VrRouteReq:
    octets = bytes(map(int, prefix.split(".")))
    return VrRouteReq(
        rtr_vrf_id=2,
        rtr_family=2,
        rtr_prefix=octets,
        rtr_prefix_len=length,
        rtr_nh_id=nexthop,
        **fields,
    )


def test_inet_route_dump_pages_as_recorded(stage: Stage) -> None:
    """The first pages of a table with a default route, a /24 and a host route in it."""
    add_vifs(stage)
    program(stage, recorded("nhget40", VrNexthopReq)[1:])
    assert stage.code(VrNexthopReq(nhr_id=1, nhr_type=5, nhr_family=2, nhr_flags=1)) == 0
    host = next(
        row
        for row in recorded("rtd4", VrRouteReq)
        if isinstance(row, VrRouteReq) and row.rtr_replace_plen == 32
    )
    stitched = VrRouteReq(rtr_vrf_id=2, rtr_family=7, rtr_mac=host.rtr_mac, rtr_nh_id=24)
    program(
        stage,
        [
            stitched,
            inet("0.0.0.0", 0, 22, rtr_label=16, rtr_label_flags=1),
            inet("1.1.1.0", 24, 1, rtr_label_flags=4),
            host,
        ],
    )
    for request, expected in exchanges("rtd4")[:12]:
        frames = stage.frames(request)
        assert len(frames) == 2
        for ours, theirs in zip(frames, expected, strict=False):
            assert without_place(ours) == without_place(theirs)


def without_place(frame: bytes) -> tuple[bytes, list[Message]]:
    """A frame's header and its messages; a stitched MAC's place is that of another table."""
    shown = [
        message.replace(rtr_index=-1) if isinstance(message, VrRouteReq) else message
        for message in decode_messages(cut(frame).payload)
    ]
    return frame[:24], shown


# --- the frames made with the original encoder


FRAMES = rows("sandesh-frames.jsonl")


@pytest.mark.parametrize(
    "row",
    [row for row in FRAMES if row["dir"] == "request"],
    ids=lambda row: f"{row['case']}-{row['id']}",
)
def test_original_request_frames_get_one_answer_a_message(stage: Stage, row: Any) -> None:
    request = b"".join(map(bytes.fromhex, row["frames"]))
    replies = [cut(frame) for frame in stage.frames(request)]
    acks = [decode_messages(frame.payload)[0] for frame in replies]
    assert len(replies) == len(row["messages"])
    assert {type(ack).__name__ for ack in acks} == {"VrResponse"}
    assert [frame.flags for frame in replies] == [2] * (len(replies) - 1) + [0]
    assert {frame.seq for frame in replies} == {row["seq"]}
    assert {frame.type for frame in replies} == {row["family"]}


def test_bulk_acks_are_byte_for_byte_those_of_the_original(stage: Stage) -> None:
    """Three messages, the last refused: codes 0, 0, -22 in three frames."""
    (row,) = [
        row for row in FRAMES if row["case"] == "bulk-acks" and row.get("transport") == "dpdk"
    ]
    expected = list(map(bytes.fromhex, row["frames"]))
    assert stage.code(VrNexthopReq(nhr_id=1, nhr_type=5, nhr_family=2, nhr_flags=1)) == 0
    payload = b"".join(
        encode("vr_mpls_req", {"mr_label": label, "mr_nhid": nexthop})
        for label, nexthop in ((16, 1), (17, 1), (18, 4000))
    )
    head = expected[0][:16]
    family, seq = int.from_bytes(head[4:6], "little"), int.from_bytes(head[8:12], "little")
    assert stage.frames(request_frame(payload, family=family, seq=seq, pid=1)) == expected


# --- one port's life on a real module

SCENARIO = rows("kernel-scenario.jsonl")
DIFFERENT = {
    "hugepage config: none": "tables exist since the start: the answer is 'already'",
    "flow table get": "sizes, path and no device number",
}
DEVICE_NUMBERS = {8}
"""A step refused for the host interface number of vhost's fabric, which a socket
datapath ignores."""


def test_the_reference_scenario_gets_the_same_codes(stage: Stage) -> None:
    compared = 0
    for number, row in enumerate(SCENARIO):
        if row.get("dir") != "tx" or row["what"].startswith("flow"):
            continue
        codes = [
            decode_messages(cut(frame).payload)[0].resp_code  # type: ignore[attr-defined]
            for frame in stage.frames(bytes.fromhex(row["hex"]))
        ]
        if row["what"] in DIFFERENT or number in DEVICE_NUMBERS:
            assert len(codes) == 1
            continue
        assert codes == scenario_codes(number), row["what"]
        compared += 1
    assert compared >= 25


def scenario_codes(request: int) -> list[int]:
    """The codes that followed a request of the scenario, in order."""
    codes: list[int] = []
    for row in SCENARIO[request + 1 :]:
        if row.get("dir") != "rx":
            break
        reader = FrameReader()
        reader.feed(bytes.fromhex(row["hex"]))
        for frame in reader:
            if frame.type > 16:
                codes += [
                    message.resp_code
                    for message in decode_messages(frame.payload)
                    if type(message).__name__ == "VrResponse"
                ]
    return codes
