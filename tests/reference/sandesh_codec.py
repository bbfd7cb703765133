"""A small Sandesh codec in plain Python, to check the compiled one against.

It knows the messages from tests/vectors/vr-messages.tsv only, and was written from the
protocol facts (sandesh-ksync.md section 1), not from the compiler's output.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

MESSAGES_TSV = Path(__file__).parent.parent / "vectors" / "vr-messages.tsv"
MAX_DEPTH = 32
STOP, STRING, STRUCT, MAP, SET, LIST, XML, IPADDR = 0, 11, 12, 13, 14, 15, 21, 24
FIXED = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 9: 8, 10: 8, 19: 2, 20: 4, 22: 4, 23: 16}
SIGNED = {3, 6, 8, 10}


class CodecError(Exception):
    """Bytes that cannot be decoded."""


class FieldRow(NamedTuple):
    """One field of the table."""

    id: int
    name: str
    wire: int
    element: int


def read_table() -> dict[str, list[FieldRow]]:
    """The fields of each buffer sandesh, in order."""
    table: dict[str, list[FieldRow]] = {}
    with MESSAGES_TSV.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["kind"] == "buffer sandesh":
                field = FieldRow(
                    int(row["field_id"]),
                    row["name"],
                    int(row["wire_type"]),
                    int(row["elem_wire_type"] or 0),
                )
                table.setdefault(row["struct"], []).append(field)
    return table


TABLE = read_table()


def default(field: FieldRow) -> Any:
    """What a field is when nothing is said."""
    return {STRING: "", LIST: []}.get(field.wire, 0)


def number(value: int, wire: int) -> bytes:
    return value.to_bytes(FIXED[wire], "big", signed=wire in SIGNED)


def encode(name: str, fields: Mapping[str, Any]) -> bytes:
    """One message."""
    out = len(name).to_bytes(4, "big") + name.encode()
    for field in TABLE[name]:
        value = fields.get(field.name, default(field))
        out += bytes([field.wire]) + field.id.to_bytes(2, "big", signed=True)
        if field.wire == STRING:
            raw = value.encode("utf-8", "surrogateescape")
            out += len(raw).to_bytes(4, "big") + raw
        elif field.wire == LIST:
            out += bytes([field.element]) + len(value).to_bytes(4, "big")
            out += b"".join(number(item, field.element) for item in value)
        else:
            out += number(value, field.wire)
    return out + b"\0"


class Cursor:
    """Bytes and a place in them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise CodecError("the bytes end")
        self.at += size
        return self.data[self.at - size : self.at]

    def int(self, size: int, signed: bool = True) -> int:
        return int.from_bytes(self.take(size), "big", signed=signed)

    def count(self, least: int) -> int:
        count = self.int(4)
        if count < 0 or count * least > len(self.data) - self.at:
            raise CodecError("a count that cannot be")
        return count


def skip(cursor: Cursor, wire: int, depth: int = 0) -> None:
    """Passes over a value."""
    if depth >= MAX_DEPTH:
        raise CodecError("too deep")
    if wire in FIXED:
        cursor.take(FIXED[wire])
    elif wire in (STRING, XML):
        cursor.take(cursor.count(1))
    elif wire == IPADDR:
        family = cursor.int(1)
        if family not in (2, 10):
            raise CodecError("an unknown address family")
        cursor.take(4 if family == 2 else 16)
    elif wire == STRUCT:
        while inner := cursor.int(1, signed=False):
            cursor.take(2)
            skip(cursor, inner, depth + 1)
    elif wire in (LIST, SET, MAP):
        kinds = cursor.take(2 if wire == MAP else 1)
        for _ in range(cursor.count(1)):
            for kind in kinds:
                skip(cursor, kind, depth + 1)
    else:
        raise CodecError("an unknown type")


def read_value(cursor: Cursor, field: FieldRow) -> Any:
    """The value of a field whose wire type is right; None for a list of something else."""
    if field.wire == STRING:
        return cursor.take(cursor.count(1)).decode("utf-8", "surrogateescape")
    if field.wire != LIST:
        return cursor.int(FIXED[field.wire], field.wire in SIGNED)
    start = cursor.at
    if cursor.int(1, signed=False) != field.element:
        cursor.at = start
        skip(cursor, LIST)
        return None
    size = FIXED[field.element]
    return [cursor.int(size, field.element in SIGNED) for _ in range(cursor.count(size))]


def decode_one(cursor: Cursor) -> tuple[str, dict[str, Any]]:
    """The message at the cursor."""
    name = cursor.take(cursor.count(1)).decode("latin-1")
    if name not in TABLE:
        raise CodecError("an unknown message")
    known = {field.id: field for field in TABLE[name]}
    fields = {field.name: default(field) for field in TABLE[name]}
    while wire := cursor.int(1, signed=False):
        field = known.get(cursor.int(2))
        if field is None or field.wire != wire:
            skip(cursor, wire)
            continue
        value = read_value(cursor, field)
        if value is not None:
            fields[field.name] = value
    return name, fields


def decode(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """All messages in `data`. Raises CodecError."""
    cursor = Cursor(data)
    messages = []
    while cursor.at < len(data):
        messages.append(decode_one(cursor))
    return messages
