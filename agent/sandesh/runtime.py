"""What the classes made by `sandeshc --gen py` stand on: records with a binary form.

A generated class is a dataclass derived from `Record`; its `SPEC` lists the fields with one
codec each. The binary form is facts `sandesh-ksync.md` section 1, all of it: maps, sets,
nested lists and structs, doubles in network order. Optional fields that are None are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from struct import Struct as Layout
from struct import error as LayoutError
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from agent.errors import SandeshError

MAX_DEPTH = 32
_COUNT = Layout(">i")
_FIELD = Layout(">Bh")
_FIELD_ID = Layout(">h")
_AF_INET, _AF_INET6 = 2, 10
_SKIPPED = object()  # a container whose elements have another type on the wire


class Reader:
    """Bytes being read; every read is checked against the end."""

    __slots__ = ("at", "data", "depth")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at
        self.depth = 0

    def fail(self, what: str, at: int | None = None) -> SandeshError:
        return SandeshError(what, self.at if at is None else at)

    def take(self, size: int) -> bytes:
        if len(self.data) - self.at < size:
            raise self.fail("the bytes end inside a value")
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def count(self, least: int) -> int:
        """A count of elements that take `least` bytes or more each."""
        start = self.at
        (count,) = _COUNT.unpack(self.take(4))
        if count < 0:
            raise self.fail("a negative length", start)
        if count * least > len(self.data) - self.at:
            raise self.fail("a length beyond the end of the bytes", start)
        return int(count)

    def enter(self) -> None:
        """One level deeper; leaving is `depth -= 1`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail("values nested too deeply")


# --- Codecs: one per type ---------------------------------------------------------------


class Codec:
    """Writes and reads the values of one type. `least`: the fewest bytes of a value."""

    __slots__ = ("least", "wire", "word")

    def __init__(self, word: str, wire: int, least: int) -> None:
        self.word = word
        self.wire = wire
        self.least = least

    def write(self, out: bytearray, value: Any) -> None:
        raise TypeError(f"{self.word} has no form")

    def read(self, reader: Reader) -> Any:
        raise TypeError(f"{self.word} has no form")

    def default(self) -> Any:
        """What an inner container becomes when its elements cannot be read."""
        return None


class _Number(Codec):
    __slots__ = ("layout",)

    def __init__(self, word: str, wire: int, layout: str) -> None:
        self.layout = Layout(">" + layout)
        super().__init__(word, wire, self.layout.size)

    def write(self, out: bytearray, value: Any) -> None:
        try:
            out += self.layout.pack(value)
        except (LayoutError, OverflowError, TypeError):
            raise SandeshError(f"{value!r} does not fit into {self.word}") from None

    def read(self, reader: Reader) -> Any:
        return self.layout.unpack(reader.take(self.least))[0]


class _Bool(_Number):
    __slots__ = ()

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, int) or value not in (0, 1):
            raise SandeshError(f"{value!r} does not fit into bool")
        super().write(out, value)


class _Bytes(Codec):
    __slots__ = ()

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, bytes | bytearray):
            raise SandeshError(f"{value!r} is not bytes")
        out += _COUNT.pack(len(value)) + value

    def read(self, reader: Reader) -> Any:
        return reader.take(reader.count(1))


class _Text(_Bytes):
    __slots__ = ()

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, str):
            raise SandeshError(f"{value!r} is not a text")
        try:
            octets = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise SandeshError(f"{value!r} has characters that UTF-8 cannot hold") from None
        super().write(out, octets)

    def read(self, reader: Reader) -> Any:
        return reader.take(reader.count(1)).decode("utf-8", "surrogateescape")


class _Uuid(Codec):
    __slots__ = ()

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, UUID):
            raise SandeshError(f"{value!r} is not a UUID")
        out += value.bytes

    def read(self, reader: Reader) -> Any:
        return UUID(bytes=reader.take(16))


class _Ipv4(Codec):
    __slots__ = ()

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, IPv4Address):
            raise SandeshError(f"{value!r} is not an IPv4 address")
        out += value.packed

    def read(self, reader: Reader) -> Any:
        return IPv4Address(reader.take(4))


class _IpAddress(Codec):
    __slots__ = ()

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, IPv4Address | IPv6Address):
            raise SandeshError(f"{value!r} is not an address")
        out.append(_AF_INET if value.version == 4 else _AF_INET6)
        out += value.packed

    def read(self, reader: Reader) -> Any:
        family = reader.byte()
        if family == _AF_INET:
            return IPv4Address(reader.take(4))
        if family == _AF_INET6:
            return IPv6Address(reader.take(16))
        raise reader.fail(f"the unknown address family {family}", reader.at - 1)


BOOL = _Bool("bool", 2, "?")
BYTE = _Number("byte", 3, "b")
DOUBLE = _Number("double", 4, "d")
I16 = _Number("i16", 6, "h")
I32 = _Number("i32", 8, "i")
ENUM = _Number("enum", 8, "i")
U64 = _Number("u64", 9, "Q")
I64 = _Number("i64", 10, "q")
STRING = _Text("string", 11, 4)
BINARY = _Bytes("binary", 11, 4)
U16 = _Number("u16", 19, "H")
U32 = _Number("u32", 20, "I")
XML = _Text("xml", 21, 4)
IPV4 = _Ipv4("ipv4", 22, 4)
UUID_T = _Uuid("ct_uuid_t", 23, 16)
IPADDR = _IpAddress("ipaddr", 24, 5)


class StructOf(Codec):
    """A struct: its fields, then STOP."""

    __slots__ = ("record",)

    def __init__(self, record: type[Record]) -> None:
        self.record = record
        super().__init__("struct", 12, 1)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, self.record):
            raise SandeshError(f"{value!r} is not a {self.record.__name__}")
        _write_fields(out, value)

    def read(self, reader: Reader) -> Any:
        return _read_fields(reader, self.record)


class ListOf(Codec):
    """A list: element type, count, elements."""

    __slots__ = ("element",)

    def __init__(self, element: Codec, word: str = "list", wire: int = 15) -> None:
        self.element = element
        super().__init__(word, wire, 5)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, Collection) or isinstance(value, str | bytes):
            raise SandeshError(f"{value!r} is not a {self.word}")
        out.append(self.element.wire)
        out += _COUNT.pack(len(value))
        for item in value:
            self.element.write(out, item)

    def read(self, reader: Reader) -> Any:
        start = reader.at
        if reader.byte() != self.element.wire:
            reader.at = start
            skip(reader, self.wire)
            return _SKIPPED
        reader.enter()
        count = reader.count(self.element.least)
        values = [_read_inner(reader, self.element) for _ in range(count)]
        reader.depth -= 1
        return values

    def default(self) -> Any:
        return []


class SetOf(ListOf):
    """A set: like a list. Written in the order of iteration."""

    __slots__ = ()

    def __init__(self, element: Codec) -> None:
        super().__init__(element, "set", 14)

    def read(self, reader: Reader) -> Any:
        values = super().read(reader)
        return values if values is _SKIPPED else set(values)

    def default(self) -> Any:
        return set()


class MapOf(Codec):
    """A map: key type, value type, count, pairs."""

    __slots__ = ("key", "value")

    def __init__(self, key: Codec, value: Codec) -> None:
        self.key = key
        self.value = value
        super().__init__("map", 13, 6)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise SandeshError(f"{value!r} is not a map")
        out += bytes((self.key.wire, self.value.wire)) + _COUNT.pack(len(value))
        for key, item in value.items():
            self.key.write(out, key)
            self.value.write(out, item)

    def read(self, reader: Reader) -> Any:
        start = reader.at
        if tuple(reader.take(2)) != (self.key.wire, self.value.wire):
            reader.at = start
            skip(reader, self.wire)
            return _SKIPPED
        reader.enter()
        count = reader.count(self.key.least + self.value.least)
        values = {}
        for _ in range(count):
            key = _read_inner(reader, self.key)
            values[key] = _read_inner(reader, self.value)
        reader.depth -= 1
        return values

    def default(self) -> Any:
        return {}


def _read_inner(reader: Reader, codec: Codec) -> Any:
    value = codec.read(reader)
    return codec.default() if value is _SKIPPED else value


_FIXED = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 9: 8, 10: 8, 19: 2, 20: 4, 22: 4, 23: 16}


def skip(reader: Reader, wire: int) -> None:
    """Passes over a value of any type. Raises SandeshError for an unknown type code."""
    if wire in _FIXED:
        reader.take(_FIXED[wire])
    elif wire in (STRING.wire, XML.wire):
        reader.take(reader.count(1))
    elif wire == IPADDR.wire:
        IPADDR.read(reader)
    elif wire in (12, 13, 14, 15):
        reader.enter()
        _skip_composite(reader, wire)
        reader.depth -= 1
    else:
        raise reader.fail(f"the unknown type code {wire}")


def _skip_composite(reader: Reader, wire: int) -> None:
    if wire == 12:
        while inner := reader.byte():
            reader.take(2)
            skip(reader, inner)
        return
    kinds = tuple(reader.take(2 if wire == 13 else 1))
    least = sum(_FIXED.get(kind, 1) for kind in kinds)
    for _ in range(reader.count(least)):
        for kind in kinds:
            skip(reader, kind)


# --- Records ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field. `name` is the IDL's, `attribute` the class's.

    `text`: the words of a static text; such a field has no attribute. `hidden`: the compiler
    added it (`more` of a response, `file` and `line` of a log).
    """

    id: int
    name: str
    attribute: str
    codec: Codec
    optional: bool = False
    text: str | None = None
    hidden: bool = False
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """A struct or sandesh: its name, its kind ("struct", "request", ...), its fields."""

    name: str
    kind: str
    fields: tuple[FieldSpec, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    by_id: dict[int, FieldSpec] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {each.id: each for each in self.fields})


class Record:
    """Base of the generated classes."""

    __slots__ = ()
    SPEC: ClassVar[Spec]

    def encode(self) -> bytes:
        """The binary form: a struct's fields; a sandesh with its name before them."""
        out = bytearray()
        if self.SPEC.kind not in ("struct", "union", "exception"):
            STRING.write(out, self.SPEC.name)
        _write_fields(out, self)
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The record in `data`, all of it. Raises SandeshError with the offset.

        Unknown fields and fields of another wire type are skipped; the last of a duplicate
        field counts.
        """
        reader = Reader(data)
        if cls.SPEC.kind not in ("struct", "union", "exception"):
            name = STRING.read(reader)
            if name != cls.SPEC.name:
                raise reader.fail(f"expected a {cls.SPEC.name}, found {name!r}", 0)
        record = _read_fields(reader, cls)
        if reader.at != len(data):
            raise reader.fail("bytes after the end")
        return record


_R = TypeVar("_R", bound=Record)


def _write_fields(out: bytearray, record: Record) -> None:
    for spec in record.SPEC.fields:
        value = spec.text if spec.text is not None else getattr(record, spec.attribute)
        if value is None and spec.optional:
            continue
        out += _FIELD.pack(spec.codec.wire, spec.id)
        try:
            spec.codec.write(out, value)
        except SandeshError as error:
            raise SandeshError(f"{record.SPEC.name}.{spec.name}: {error}") from None
    out.append(0)


def _read_fields(reader: Reader, kind: type[_R]) -> _R:
    values: dict[str, Any] = {}
    reader.enter()
    while wire := reader.byte():
        (number,) = _FIELD_ID.unpack(reader.take(2))
        spec = kind.SPEC.by_id.get(number)
        if spec is None or spec.codec.wire != wire or spec.text is not None:
            skip(reader, wire)
            continue
        value = spec.codec.read(reader)
        if value is not _SKIPPED:
            values[spec.attribute] = value
    reader.depth -= 1
    return kind(**values)
