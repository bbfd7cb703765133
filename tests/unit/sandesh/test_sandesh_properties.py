"""Any message and any bytes: the compiled codec against the reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SandeshError
from agent.sandesh import Message, decode, decode_messages, encode
from tests.reference import sandesh_codec as reference
from tests.unit.sandesh.sandesh_vectors import vector_rows

CLASSES = {kind.NAME: kind for kind in Message.__subclasses__()}


def numbers(wire: int) -> st.SearchStrategy[int]:
    bits = 8 * reference.FIXED[wire]
    if wire in reference.SIGNED:
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
    return st.integers(0, (1 << bits) - 1)


def values(field: reference.FieldRow) -> st.SearchStrategy[Any]:
    if field.wire == reference.STRING:
        raw = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | raw
    if field.wire == reference.LIST:
        return st.lists(numbers(field.element), max_size=6)
    return numbers(field.wire)


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(reference.TABLE)))
    rows = {field.name: field for field in reference.TABLE[name]}
    chosen = draw(st.lists(st.sampled_from(sorted(rows)), max_size=12, unique=True))
    return name, {key: draw(values(rows[key])) for key in chosen}


@given(messages())
def test_any_message_is_encoded_as_the_reference_does(message: tuple[str, dict[str, Any]]) -> None:
    name, fields = message
    raw = reference.encode(name, fields)
    assert encode(name, fields) == raw
    assert CLASSES[name](**fields).encode() == raw
    assert CLASSES[name]().replace(**fields).encode() == raw
    assert decode(raw) == reference.decode(raw)
    ((_, decoded),) = decode(raw)
    assert {key: decoded[key] for key in fields} == fields


@given(messages(), st.randoms(use_true_random=False))
def test_fields_in_any_order_are_the_same_message(
    message: tuple[str, dict[str, Any]], rng: Any
) -> None:
    name, fields = message
    raw = reference.encode(name, fields)
    pieces, head = split_fields(raw, name)
    rng.shuffle(pieces)
    shuffled = head + b"".join(pieces) + b"\0"
    assert decode_messages(shuffled) == decode_messages(raw)
    doubled = head + b"".join(pieces) + b"".join(pieces) + b"\0"
    assert decode_messages(doubled) == decode_messages(raw)
    kept = pieces[: len(pieces) // 2]
    assert decode(head + b"".join(kept) + b"\0") == reference.decode(head + b"".join(kept) + b"\0")


def split_fields(raw: bytes, name: str) -> tuple[list[bytes], bytes]:
    """The encoded fields of one message, and what stands before them."""
    cursor = reference.Cursor(raw)
    head = cursor.take(4 + len(name))
    pieces = []
    while raw[cursor.at] != 0:
        start = cursor.at
        wire = cursor.int(1)
        cursor.take(2)
        reference.skip(cursor, wire)
        pieces.append(raw[start : cursor.at])
    return pieces, head


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from(["", *sorted(reference.TABLE)]))
def test_any_bytes_decode_as_the_reference_does(data: bytes, name: str) -> None:
    if name:
        data = len(name).to_bytes(4, "big") + name.encode() + data
    try:
        expected = reference.decode(data)
    except reference.CodecError:
        with pytest.raises(SandeshError) as caught:
            decode(data)
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset <= len(data)
    else:
        assert decode(data) == expected


SHORT = [
    row for row in vector_rows("sandesh.jsonl") if row["case"] in ("random-1", "one-elem-lists")
]


@pytest.mark.parametrize("row", SHORT, ids=lambda row: f"{row['struct']}-{row['case']}")
def test_a_message_cut_anywhere_is_refused(row: dict[str, Any]) -> None:
    raw = bytes.fromhex(row["hex"])
    for size in range(1, len(raw)):
        with pytest.raises(SandeshError) as caught:
            decode_messages(raw[:size])
        assert caught.value.offset is not None
        assert caught.value.offset <= size


HEAD = b"\0\0\0\x0bvr_mpls_req"


def one_field(wire: int, number: int, value: bytes) -> bytes:
    return HEAD + bytes([wire]) + number.to_bytes(2, "big", signed=True) + value + b"\0"


SKIPPED = {
    "bool": (2, b"\1"),
    "double": (4, bytes(8)),
    "u64": (9, bytes(8)),
    "string": (11, b"\0\0\0\2ab"),
    "struct": (12, b"\x08\0\1\0\0\0\1\0"),
    "map": (13, b"\x0b\x08\0\0\0\1\0\0\0\1k\0\0\0\5"),
    "map-empty": (13, b"\0\0\0\0\0\0"),
    "set": (14, b"\x0b\0\0\0\1\0\0\0\1k"),
    "list-of-struct": (15, b"\x0c\0\0\0\2\0\0"),
    "list-of-list": (15, b"\x0f\0\0\0\1\x08\0\0\0\1\0\0\0\7"),
    "xml": (21, b"\0\0\0\1<"),
    "ipv4": (22, bytes(4)),
    "uuid": (23, bytes(16)),
    "ipaddr4": (24, b"\2" + bytes(4)),
    "ipaddr6": (24, b"\x0a" + bytes(16)),
}


@pytest.mark.parametrize("number", [2, 99, -5], ids=["known", "unknown", "negative"])
@pytest.mark.parametrize("name", SKIPPED)
def test_a_field_of_another_type_is_skipped(name: str, number: int) -> None:
    wire, value = SKIPPED[name]
    after = b"\x08\0\4\0\0\0\x15"
    data = one_field(wire, number, value + after)
    (message,) = decode_messages(data)
    assert message == CLASSES["vr_mpls_req"](mr_nhid=21)


@pytest.mark.parametrize(
    ("data", "words", "offset"),
    [
        (b"\0\0", "inside the length of the name", 0),
        (b"\0\0\0\0", "length of the name that cannot be", 0),
        (b"\xff\xff\xff\xff", "length of the name that cannot be", 0),
        (HEAD, "the bytes end before the message does", 15),
        (HEAD + b"\x08\0", "inside a field header", 16),
        (HEAD + b"\x08\0\2\0\0", "vr_mpls_req.mr_label: the bytes end inside a value", 18),
        (one_field(11, 9, b"\xff\xff\xff\xff"), "a negative length", 18),
        (one_field(11, 9, b"\x7f\xff\xff\xff"), "beyond the end", 18),
        (one_field(15, 9, b"\x08\x80\0\0\0"), "a negative length", 19),
        (one_field(15, 9, b"\x08\x40\0\0\0"), "beyond the end", 19),
        (one_field(15, 9, b"\x63\0\0\0\1" + bytes(9)), "unknown type code", 23),
        (one_field(24, 9, b"\3" + bytes(9)), "an unknown address family", 18),
        (one_field(18, 9, bytes(9)), "an unknown type code", 18),
        (one_field(12, 9, b"\x0c\0\1" * 40), "nested too deeply", 18 + 32 * 3),
    ],
)
def test_the_offset_of_a_fault(data: bytes, words: str, offset: int) -> None:
    with pytest.raises(SandeshError, match=words) as caught:
        decode(data)
    assert caught.value.offset == offset


def test_a_list_of_another_element_type_keeps_the_default() -> None:
    head = b"\0\0\0\x0cvr_route_req"
    data = head + b"\x0f\0\4\x08\0\0\0\2" + bytes(8) + b"\x08\0\5\0\0\0\x20\0"
    ((_, fields),) = decode(data)
    assert fields["rtr_prefix"] == []
    assert fields["rtr_prefix_len"] == 32


def test_a_list_cannot_ask_for_more_memory_than_there_are_bytes() -> None:
    head = b"\0\0\0\x10vr_interface_req"
    with pytest.raises(SandeshError, match=r"vifr_bridge_idx: a length beyond the end"):
        decode(head + b"\x0f\0\x33\x08\x7f\xff\xff\xff\0")
