"""Target `table`: a JSON table of the structs and sandesh of one file, for forms that are text.

Makes NAME.json: an object from a struct's name to its kind and its fields, each a list of id,
name, type as the IDL writes it, whether it is optional, and its annotations. An enum is the
integer that it is on the wire.
"""

from __future__ import annotations

import json
from typing import Any

from agent.sandesh.compiler.model import Field, Kind, Module, Struct, Type


def generate(module: Module, name: str) -> dict[str, str]:
    """The text by file name."""
    structs = {struct.name: _struct(struct) for struct in module.structs.values()}
    return {f"{name}.json": json.dumps(structs, indent=1) + "\n"}


def _struct(struct: Struct) -> list[Any]:
    return [struct.kind, [_field(field) for field in struct.fields if not field.hidden]]


def _field(field: Field) -> list[Any]:
    annotations = dict(field.annotations)
    return [field.id, field.name, _type(field.type), field.optional, annotations]


def _type(type_: Type) -> str:
    if type_.struct is not None:
        return type_.struct.name
    if type_.kind is Kind.ENUM:
        return Kind.I32.word
    inner = ",".join(map(_type, type_.arguments))
    return f"{type_.kind.word}<{inner}>" if inner else type_.kind.word
