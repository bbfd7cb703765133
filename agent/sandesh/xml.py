"""Sandesh messages as XML text, as introspect clients and collectors read them.

Values come as mappings by field name: a struct is a mapping, a list any iterable with a
length, a map a mapping. A field that is missing or None is left out if it is optional, else
it has its type's empty value. Facts introspect-client.md, "XML of a message"; the form of
maps is not in the facts: keys and values as `element`, one after another.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any, NamedTuple, Protocol
from xml.sax.saxutils import escape, quoteattr

from agent.errors import BugError
from agent.sandesh.schema import Field, arguments, schema

Values = Mapping[str, Any]
Append = Callable[[str], object]
Write = Callable[[Append, Any], object]

_SPECIAL = re.compile("[&<>'\"\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]")
_NOT_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]")
_INTEGERS = frozenset(("byte", "i16", "i32", "i64", "u16", "u32", "u64"))
_NIL_UUID = "00000000-0000-0000-0000-000000000000"
_EMPTY: Mapping[str, Any] = {
    "bool": False, "double": 0.0, "string": "", "xml": "", "binary": "", "ipv4": "0.0.0.0",
    "ipaddr": "0.0.0.0", "ct_uuid_t": _NIL_UUID, "list": (), "set": (), "map": {},
} | dict.fromkeys(_INTEGERS, 0)  # fmt: skip


class _Collection(Iterable[Any], Sized, Protocol):
    """What a list is written from."""


class Ready(list[Any]):
    """A list of structs that are written already: texts as `struct` gives them.

    `plain` leaves its members as they are.
    """


class Fixed(dict[str, Any]):
    """The values of one struct that stay as they are: their forms are made once and kept."""

    __slots__ = ("plain", "xml")

    def __init__(self, values: Values) -> None:
        super().__init__(values)
        self.xml: str | None = None
        self.plain: dict[str, Any] | None = None


def message(name: str, values: Values, *, more: bool | None = None) -> str:
    """A whole message. `more` adds the field that all answers end with: another one follows.

    BugError for a name that is no field's.
    """
    parts: list[str] = [f'<{name} type="sandesh">']
    _members(name)(parts.append, values)
    if more is not None:
        parts.append(f'<more type="bool" identifier="0">{_word(more)}</more>')
    parts.append(f"</{name}>")
    return "".join(parts)


def struct(name: str, values: Values) -> str:
    """A struct as it stands in a list: its element without attributes."""
    parts: list[str] = []
    _struct(name)(parts.append, values)
    return "".join(parts)


def text(value: str) -> str:
    """A text as the content of an element; what XML cannot hold becomes `?`."""
    if not _SPECIAL.search(value):
        return value
    return escape(_NOT_XML.sub("?", value), {"'": "&apos;", '"': "&quot;"})


def plain(name: str, values: Values) -> dict[str, Any]:
    """The same as values that JSON can carry, with empty values where nothing is set."""
    return _plain_struct(name)(values)


def _empty(type_: str) -> Any:
    return _EMPTY.get(type_.partition("<")[0], {})


def _check(name: str, values: Values) -> None:
    known = {field.name for field in schema()[name].fields}
    if not values.keys() <= known:
        raise BugError(f"{name} has no field {', '.join(sorted(values.keys() - known))}")


# --- Writers: one per type, made once -----------------------------------------------------


class _Step(NamedTuple):
    """How a field is written. `blank` is for one without a value, None where that is a struct."""

    name: str
    blank: str | None
    opening: str
    closing: str
    content: Callable[[Any], str] | None
    write: Write


@functools.cache
def _members(name: str) -> Write:
    plan = tuple(_step(field) for field in schema()[name].fields)
    known = frozenset(field.name for field in schema()[name].fields)

    def write(append: Append, values: Values) -> None:
        if not values.keys() <= known:
            _check(name, values)
        get = values.get
        for field_name, blank, opening, closing, content, write_value in plan:
            value = get(field_name)
            if value is None and blank is not None:
                append(blank)
            elif content is not None:
                append(f"{opening}{content(value)}{closing}")
            else:
                append(opening)
                write_value(append, {} if value is None else value)
                append(closing)

    return write


def _step(field: Field) -> _Step:
    extra = "".join(f" {name}={quoteattr(value)}" for name, value in field.attributes.items())
    opening = f'<{field.name} type="{_kind(field.type)}" identifier="{field.id}"{extra}>'
    closing, write, blank = f"</{field.name}>", _writer(field.type), None
    if field.optional:
        blank = ""
    elif field.type not in schema():  # a struct may hold itself: not written before its value
        parts = [opening]
        write(parts.append, _empty(field.type))
        blank = "".join((*parts, closing))
    return _Step(field.name, blank, opening, closing, _content(field.type), write)


def _content(type_: str) -> Callable[[Any], str] | None:
    """How a value without inner elements is written; None for one with."""
    if arguments(type_) or type_ in schema():
        return None
    if type_ in _INTEGERS:
        return _digits
    return _word if type_ == "bool" else _text


def _digits(value: Any) -> str:
    return str(int(value))


def _text(value: Any) -> str:
    return text(str(value))


def _kind(type_: str) -> str:
    outer = type_.partition("<")[0]
    return "struct" if outer in schema() else outer


@functools.cache
def _writer(type_: str) -> Write:
    inner = arguments(type_)
    if len(inner) == 2:
        return _map(*inner)
    if inner:
        return _list(inner[0])
    if type_ in schema():
        return _struct(type_)
    content = _content(type_)
    assert content is not None
    return lambda append, value: append(content(value))


def _word(value: object) -> str:
    return "true" if value else "false"


@functools.cache
def _struct(name: str) -> Write:
    # Made at the first value: a struct may hold itself.
    def write(append: Append, values: Values) -> None:
        if isinstance(values, Fixed):
            if values.xml is None:
                parts: list[str] = []
                _members(name)(parts.append, values)
                values.xml = f"<{name}>{''.join(parts)}</{name}>"
            append(values.xml)
            return
        append(f"<{name}>")
        _members(name)(append, values)
        append(f"</{name}>")

    return write


def _element(type_: str) -> Write:
    write_value = _writer(type_)
    if _kind(type_) in ("struct", "list", "map"):
        return write_value

    def write(append: Append, value: Any) -> None:
        append("<element>")
        write_value(append, value)
        append("</element>")

    return write


def _list(type_: str) -> Write:
    write_element, kind = _element(type_), _kind(type_)

    def write(append: Append, values: _Collection) -> None:
        append(f'<list type="{kind}" size="{len(values)}">')
        if isinstance(values, Ready):
            append("".join(values))
        else:
            for value in values:
                write_element(append, value)
        append("</list>")

    return write


def _map(key: str, value: str) -> Write:
    write_key, write_value = _element(key), _element(value)
    head = f'<map key="{_kind(key)}" value="{_kind(value)}" size='

    def write(append: Append, values: Mapping[Any, Any]) -> None:
        append(f'{head}"{len(values)}">')
        for each, held in values.items():
            write_key(append, each)
            write_value(append, held)
        append("</map>")

    return write


# --- The same for JSON --------------------------------------------------------------------


@functools.cache
def _plain_struct(name: str) -> Callable[[Values], dict[str, Any]]:
    known = frozenset(field.name for field in schema()[name].fields)
    plan: list[tuple[str, bool, Any, Callable[[Any], Any]]] = []

    def make(values: Values) -> dict[str, Any]:
        if isinstance(values, Fixed) and values.plain is not None:
            return values.plain
        if not values.keys() <= known:
            _check(name, values)
        if not plan:  # at the first value: a struct may hold itself
            plan.extend(_plain_step(field) for field in schema()[name].fields)
        made: dict[str, Any] = {}
        for field_name, optional, empty, plainly in plan:
            value = values.get(field_name)
            if value is not None:
                made[field_name] = plainly(value)
            elif not optional:
                made[field_name] = plainly(empty)
        if isinstance(values, Fixed):
            values.plain = made
        return made

    return make


def _plain_step(field: Field) -> tuple[str, bool, Any, Callable[[Any], Any]]:
    return field.name, field.optional, _empty(field.type), _plain(field.type)


@functools.cache
def _plain(type_: str) -> Callable[[Any], Any]:
    inner = arguments(type_)
    if len(inner) == 2:
        held = _plain(inner[1])
        return lambda values: {str(key): held(each) for key, each in values.items()}
    if inner:
        each_one = _plain(inner[0])
        return lambda values: (
            values if isinstance(values, Ready) else [each_one(each) for each in values]
        )
    if type_ in schema():
        return _plain_struct(type_)
    return lambda value: value if isinstance(value, bool | int | float) else str(value)
