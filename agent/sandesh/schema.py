"""The messages whose form is XML: introspect, UVEs, logs; each struct with its fields.

Read from the tables that the build makes of `idl/*.sandesh`, at the first use.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

_TABLES = Path(__file__).parent / "idl"


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `type` as the IDL writes it, such as `list<NhSandeshData>`.

    An optional one that is not set is left out. `attributes` are the IDL's annotations.
    """

    id: int
    name: str
    type: str
    optional: bool
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct or message; `kind` is the IDL's word: struct, request, response, uve, …"""

    name: str
    kind: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """KeyError when there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


@functools.cache
def schema() -> Mapping[str, Struct]:
    """Every struct and message by name."""
    structs: dict[str, Struct] = {}
    for path in sorted(_TABLES.glob("*.json")):
        table: Mapping[str, Any] = msgspec.json.decode(path.read_bytes())
        for name, (kind, fields) in table.items():
            structs[name] = Struct(name, kind, tuple(Field(*field) for field in fields))
    return structs


def arguments(type_: str) -> tuple[str, ...]:
    """What a container's type holds: `string` and `u64` of `map<string,u64>`; else nothing."""
    _, opened, inner = type_.partition("<")
    if not opened:
        return ()
    depth, parts = 0, [""]
    for letter in inner[:-1]:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(parts)
