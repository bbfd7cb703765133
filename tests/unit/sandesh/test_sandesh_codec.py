"""The compiled codec against bytes written by the original encoder."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from agent.sandesh import (
    Message,
    SandeshError,
    decode,
    decode_messages,
    encode,
    encode_many,
    iter_messages,
    vrouter,
)
from agent.sandesh.framing import read_frames
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFlowReq,
    VrHugepageConfig,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrResponse,
    VrRouteReq,
)
from tests.unit.sandesh.sandesh_vectors import vector_rows

GOLDEN = vector_rows("sandesh.jsonl")
UNKNOWN_MESSAGE = "garbage message"  # a step of the recording that sends one on purpose
CLASSES = {kind.NAME: kind for kind in Message.__subclasses__()}
ROUTE = VrRouteReq(
    h_op=SandeshOp.ADD,
    rtr_vrf_id=1,
    rtr_family=2,
    rtr_prefix=bytes([10, 1, 1, 3]),
    rtr_prefix_len=32,
    rtr_nh_id=21,
    rtr_mac=bytes([2, 0, 0, 0, 0, 3]),
)


def test_golden_vectors_cover_every_message() -> None:
    assert len(GOLDEN) == 340
    assert {row["struct"] for row in GOLDEN} == set(CLASSES)


@pytest.mark.parametrize(
    "row", GOLDEN, ids=lambda row: f"{row['struct']}-{row['case']}-{row['id']}"
)
def test_golden_vector_both_ways(row: dict[str, Any]) -> None:
    raw = bytes.fromhex(row["hex"])
    assert encode(row["struct"], row["fields"]) == raw
    assert decode(raw) == [(row["struct"], row["fields"])]
    message = CLASSES[row["struct"]](**row["fields"])
    assert message.encode() == raw
    assert decode_messages(raw) == [message]
    assert message.to_dict() == row["fields"]


def all_frames() -> list[tuple[str, str, str]]:
    frames = []
    for name in ("ksync-captures.jsonl", "kernel-captures.jsonl", "kernel-scenario.jsonl"):
        for number, row in enumerate(vector_rows(name)):
            if row.get("dir") in ("tx", "rx") and row.get("what") != UNKNOWN_MESSAGE:
                frames.append((name, f"{number}", row["hex"]))
    return frames


@pytest.mark.parametrize(("name", "number", "text"), all_frames())
def test_recorded_frames_decode_and_encode_again(name: str, number: str, text: str) -> None:
    raw = bytes.fromhex(text)
    frames = read_frames(raw)
    assert frames
    for frame in frames:
        if frame.type > 16:
            messages = decode_messages(frame.payload)
            assert messages
            assert encode_many(messages) == frame.payload


def test_the_recorded_unknown_message_is_named() -> None:
    rows = vector_rows("kernel-captures.jsonl")
    (text,) = [r["hex"] for r in rows if r["what"] == UNKNOWN_MESSAGE and r["dir"] == "tx"]
    (frame,) = read_frames(bytes.fromhex(text))
    with pytest.raises(SandeshError, match="unknown message 'bogus'"):
        decode(frame.payload)


def test_attributes_have_the_types_of_their_fields() -> None:
    message = VrInterfaceReq(
        h_op=0,
        vifr_name="tap\udcff",
        vifr_mac=[2, 0, 0, 0, 0, -1],
        vifr_cross_connect_idx=[-1, 7],
        vifr_ip6_u=(1 << 64) - 1,
        vifr_fat_flow_exclude_ip6_plen_list=(64, 65535),
    )
    assert message.vifr_name == "tap\udcff"
    assert message.vifr_mac == b"\x02\0\0\0\0\xff"
    assert message.vifr_cross_connect_idx == (-1, 7)
    assert message.vifr_ip6_u == (1 << 64) - 1
    assert message.vifr_fat_flow_exclude_ip6_plen_list == (64, 65535)
    assert message.vifr_src_mac == b""
    assert message.vifr_bridge_idx == ()
    assert message.to_dict()["vifr_mac"] == [2, 0, 0, 0, 0, -1]


def test_messages_are_values() -> None:
    same = VrRouteReq(**ROUTE.to_dict())
    assert same == ROUTE
    assert hash(same) == hash(ROUTE)
    other = ROUTE.replace(rtr_nh_id=22, rtr_mac=b"")
    assert other != ROUTE
    assert (other.rtr_nh_id, other.rtr_mac, other.rtr_prefix) == (22, b"", b"\x0a\x01\x01\x03")
    assert ROUTE.rtr_nh_id == 21
    assert VrMplsReq() != VrResponse()
    assert ROUTE != 7
    assert pickle.loads(pickle.dumps(ROUTE)) == ROUTE
    assert copy.copy(ROUTE) == ROUTE
    with pytest.raises(AttributeError):
        ROUTE.rtr_nh_id = 3  # type: ignore[misc]


def test_repr_shows_what_is_set() -> None:
    assert repr(VrMplsReq(mr_label=17)) == "VrMplsReq(mr_label=17)"
    assert repr(VrNexthopReq(nhr_encap=b"\1")) == "VrNexthopReq(nhr_encap=b'\\x01')"


def test_classes_know_their_name_and_fields() -> None:
    assert VrMplsReq.NAME == "vr_mpls_req"
    assert VrMplsReq.FIELDS == ("h_op", "mr_label", "mr_rid", "mr_nhid", "mr_marker")


def test_vrouter_exports_every_class() -> None:
    exported = {getattr(vrouter, name) for name in vrouter.__all__}
    assert set(CLASSES.values()) <= exported


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rtr_nh_id": 1 << 31}, "vr_route_req.rtr_nh_id: 2147483648 is outside"),
        ({"rtr_nh_id": -(1 << 31) - 1}, "is outside"),
        ({"rtr_nh_id": 1 << 80}, "is outside"),
        ({"rtr_rid": 32768}, "vr_route_req.rtr_rid: 32768 is outside -32768 to 32767"),
        ({"rtr_nh_id": "5"}, "expected a whole number, found '5'"),
        ({"rtr_nh_id": 1.0}, "expected a whole number"),
        ({"rtr_nh_id": None}, "expected a whole number"),
        ({"rtr_mac": [128]}, "128 is outside -128 to 127"),
        ({"rtr_mac": "aa:bb"}, "expected a list of whole numbers, found 'aa:bb'"),
        ({"rtr_mac": 5}, "expected a list of whole numbers, found 5"),
        ({"rtr_mac": [None]}, "expected a whole number, found None"),
        ({"nonsense": 5}, "vr_route_req has no field 'nonsense'"),
    ],
)
def test_values_that_do_not_fit_are_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SandeshError, match=words) as caught:
        encode("vr_route_req", fields)
    assert caught.value.offset is None
    with pytest.raises(SandeshError, match=words):
        VrRouteReq(**fields)
    with pytest.raises(SandeshError, match=words):
        ROUTE.replace(**fields)


def test_text_fields_take_texts_only() -> None:
    with pytest.raises(SandeshError, match="vifr_name: expected a text, found b'x'"):
        encode("vr_interface_req", {"vifr_name": b"x"})
    with pytest.raises(SandeshError, match="characters that UTF-8 cannot hold"):
        encode("vr_interface_req", {"vifr_name": "\ud800"})


def test_unknown_messages_are_refused() -> None:
    with pytest.raises(SandeshError, match="unknown message 'vr_nonsense'"):
        encode("vr_nonsense", {})
    with pytest.raises(SandeshError, match="unknown message 'vr_nonsense'") as caught:
        decode(VrMplsReq().encode() + b"\0\0\0\x0bvr_nonsense\0")
    assert caught.value.offset == 49
    with pytest.raises(TypeError):
        Message()


def test_encode_many_joins_messages() -> None:
    messages: list[Message] = [ROUTE, VrMplsReq(mr_label=3), VrHugepageConfig(), VrFlowReq()]
    joined = b"".join(message.encode() for message in messages)
    assert encode_many(messages) == joined
    assert encode_many(tuple(messages)) == joined
    assert decode_messages(joined) == messages
    assert encode_many([]) == b""
    assert decode_messages(b"") == []
    with pytest.raises(SandeshError, match="expected messages, found 5"):
        encode_many([ROUTE, 5])  # type: ignore[list-item]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_decodes(kind: type) -> None:
    assert decode_messages(kind(ROUTE.encode())) == [ROUTE]


def test_iter_messages_serves_those_before_a_fault() -> None:
    messages = iter_messages(ROUTE.encode() + b"\0\0\0")
    assert next(messages) == ROUTE
    with pytest.raises(SandeshError) as caught:
        next(messages)
    assert caught.value.offset == 124
