"""The checked program: every name resolved, every field with its id and wire type."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from agent.sandesh.compiler.errors import Position
from agent.sandesh.compiler.tree import Annotations

Value = bool | int | float | str | list["Value"] | dict["Value", "Value"]


class Kind(enum.Enum):
    """A kind of type: the word of the IDL and the wire code (facts section 1.2)."""

    BOOL = ("bool", 2)
    BYTE = ("byte", 3)
    DOUBLE = ("double", 4)
    I16 = ("i16", 6)
    I32 = ("i32", 8)
    U64 = ("u64", 9)
    I64 = ("i64", 10)
    STRING = ("string", 11)
    BINARY = ("binary", 11)
    STRUCT = ("struct", 12)
    MAP = ("map", 13)
    SET = ("set", 14)
    LIST = ("list", 15)
    U16 = ("u16", 19)
    U32 = ("u32", 20)
    XML = ("xml", 21)
    IPV4 = ("ipv4", 22)
    UUID = ("ct_uuid_t", 23)
    IPADDR = ("ipaddr", 24)
    ENUM = ("enum", 8)

    def __init__(self, word: str, wire: int) -> None:
        self.word = word
        self.wire = wire


INTEGER_RANGES: dict[Kind, tuple[int, int]] = {
    Kind.BYTE: (-(1 << 7), (1 << 7) - 1),
    Kind.I16: (-(1 << 15), (1 << 15) - 1),
    Kind.I32: (-(1 << 31), (1 << 31) - 1),
    Kind.I64: (-(1 << 63), (1 << 63) - 1),
    Kind.U16: (0, (1 << 16) - 1),
    Kind.U32: (0, (1 << 32) - 1),
    Kind.U64: (0, (1 << 64) - 1),
    Kind.IPV4: (0, (1 << 32) - 1),
    Kind.ENUM: (-(1 << 31), (1 << 31) - 1),
}


@dataclass(frozen=True, slots=True)
class EnumMember:
    """One member of an enum."""

    name: str
    value: int
    doc: str = ""


@dataclass(eq=False, slots=True)
class Enum:
    """An enum of `module` (the name of its file)."""

    name: str
    module: str
    members: list[EnumMember] = field(default_factory=list)
    doc: str = ""


@dataclass(eq=False, slots=True)
class Struct:
    """A struct, union, exception or sandesh of `module`; `kind` says which."""

    kind: str
    name: str
    module: str
    position: Position
    fields: list[Field] = field(default_factory=list)
    annotations: Annotations = ()
    doc: str = ""

    @property
    def is_sandesh(self) -> bool:
        return self.kind not in ("struct", "union", "exception")

    @property
    def is_key(self) -> bool:
        """Whether it can be the key of a map: no container and no struct that cannot, inside."""
        return self._is_key(set())

    def _is_key(self, seen: set[int]) -> bool:
        if id(self) in seen:
            return True
        seen.add(id(self))
        return all(
            field.type.struct._is_key(seen) if field.type.struct else not field.type.arguments
            for field in self.fields
        )


@dataclass(frozen=True, slots=True)
class Type:
    """A resolved type. `arguments`: element of a list or set; key and value of a map."""

    kind: Kind
    arguments: tuple[Type, ...] = ()
    enum: Enum | None = None
    struct: Struct | None = None
    choices: tuple[str, ...] = ()
    annotations: Annotations = ()

    @property
    def is_key(self) -> bool:
        """Whether it can be the key of a map or the element of a set."""
        return self.struct.is_key if self.struct is not None else not self.arguments

    def __str__(self) -> str:
        if self.enum is not None:
            return self.enum.name
        if self.struct is not None:
            return self.struct.name
        inner = ",".join(map(str, self.arguments))
        return f"{self.kind.word}<{inner}>" if inner else self.kind.word


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `hidden`: appended by the compiler. `text`: a static text, not settable."""

    id: int
    name: str
    type: Type
    position: Position
    optional: bool = False
    default: Value | None = None
    text: str | None = None
    hidden: bool = False
    annotations: Annotations = ()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Const:
    """A constant."""

    name: str
    type: Type
    value: Value
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a service; `returns` is None for void."""

    name: str
    returns: Type | None
    parameters: tuple[Field, ...]
    throws: tuple[Field, ...]
    oneway: bool
    prefix: str
    doc: str = ""


@dataclass(eq=False, slots=True)
class Service:
    """A service."""

    name: str
    module: str
    extends: Service | None = None
    functions: list[Function] = field(default_factory=list)
    doc: str = ""


@dataclass(eq=False, slots=True)
class Module:
    """One checked IDL file; `name` is the file's name without its extension."""

    name: str
    file: str
    namespaces: dict[str, str] = field(default_factory=dict)
    includes: dict[str, Module] = field(default_factory=dict)
    enums: dict[str, Enum] = field(default_factory=dict)
    structs: dict[str, Struct] = field(default_factory=dict)
    typedefs: dict[str, Type] = field(default_factory=dict)
    constants: dict[str, Const] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
