"""The syntax tree: what the parser read, names not yet resolved."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.sandesh.compiler.errors import Position

Annotations = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A type as written: a base type, `list`/`set`/`map` with arguments, or a name."""

    name: str
    position: Position
    arguments: tuple[TypeRef, ...] = ()
    annotations: Annotations = ()


@dataclass(frozen=True, slots=True)
class Identifier:
    """A constant value that is a name: an enum member or another constant."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class ListValue:
    """`[a, b]`."""

    items: tuple[ConstValue, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class MapValue:
    """`{key: value}`."""

    items: tuple[tuple[ConstValue, ConstValue], ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a text."""

    value: int | float | str
    position: Position


ConstValue = Literal | Identifier | ListValue | MapValue


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `id` is None when the text gives none.

    A static text field (`1: "text"`) has `text` set and no `type`.
    """

    id: int | None
    name: str
    type: TypeRef | None
    position: Position
    requirement: str = ""
    default: ConstValue | None = None
    text: str | None = None
    annotations: Annotations = ()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Struct:
    """struct, union, exception, or a sandesh: `kind` is the word that says which."""

    kind: str
    name: str
    fields: tuple[Field, ...]
    position: Position
    annotations: Annotations = ()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class EnumMember:
    """One member; `value` is None when the text gives none."""

    name: str
    value: int | None
    position: Position
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Enum:
    """enum: a named i32."""

    name: str
    members: tuple[EnumMember, ...]
    position: Position
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Senum:
    """senum: a string limited to the listed texts."""

    name: str
    values: tuple[str, ...]
    position: Position
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Typedef:
    """typedef: another name of a type."""

    name: str
    type: TypeRef
    position: Position
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Const:
    """const: a named value."""

    name: str
    type: TypeRef
    value: ConstValue
    position: Position
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a service; `returns` is None for void."""

    name: str
    returns: TypeRef | None
    parameters: tuple[Field, ...]
    throws: tuple[Field, ...]
    position: Position
    oneway: bool = False
    prefix: str = ""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """service: a list of functions."""

    name: str
    extends: str
    functions: tuple[Function, ...]
    position: Position
    doc: str = ""


Definition = Struct | Enum | Senum | Typedef | Const | Service


@dataclass(frozen=True, slots=True)
class Include:
    """include: another IDL file, by the path as written."""

    path: str
    position: Position


@dataclass(slots=True)
class Program:
    """One IDL file."""

    file: str
    includes: list[Include] = field(default_factory=list)
    cpp_includes: list[str] = field(default_factory=list)
    namespaces: dict[str, str] = field(default_factory=dict)
    definitions: list[Definition] = field(default_factory=list)
