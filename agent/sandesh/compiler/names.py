"""Resolves the names of types and constants, in a file and in those that it includes."""

from __future__ import annotations

from agent.sandesh.compiler import tree
from agent.sandesh.compiler.errors import IdlError, Position
from agent.sandesh.compiler.model import Enum, Kind, Module, Service, Type
from agent.sandesh.compiler.words import CONTAINERS

_BASE_KINDS = {kind.word: kind for kind in Kind if kind not in (Kind.STRUCT, Kind.ENUM)} | {
    "slist": Kind.STRING
}


def home_of(name: str, module: Module, position: Position) -> tuple[Module, str]:
    """The module that `name` ("Type" or "prefix.Type") lives in, and its name there."""
    prefix, dot, rest = name.partition(".")
    if not dot:
        return module, name
    if prefix not in module.includes:
        known = ", ".join(sorted(module.includes)) or "no file is included"
        raise IdlError(
            position, f"expected the prefix of an included file ({known}), found '{name}'"
        )
    return module.includes[prefix], rest


def resolve_type(ref: tree.TypeRef, module: Module) -> Type:
    """The type that `ref` means in `module`. Raises IdlError when there is none."""
    if ref.name in CONTAINERS:
        arguments = tuple(resolve_type(argument, module) for argument in ref.arguments)
        return Type(_BASE_KINDS[ref.name], arguments, annotations=ref.annotations)
    if ref.name in _BASE_KINDS:
        return Type(_BASE_KINDS[ref.name], annotations=ref.annotations)
    home, name = home_of(ref.name, module, ref.position)
    if name in home.structs:
        return Type(Kind.STRUCT, struct=home.structs[name])
    if name in home.enums:
        return Type(Kind.ENUM, enum=home.enums[name])
    if name in home.typedefs:
        return home.typedefs[name]
    raise IdlError(ref.position, f"expected a type, found '{ref.name}', which is not defined")


def enum_member(name: str, home: Module) -> int | None:
    """The value of "MEMBER" or "Enum.MEMBER" in `home`, or None."""
    owner, dot, member = name.rpartition(".")
    enums: list[Enum] = [home.enums[owner]] if dot and owner in home.enums else []
    if not dot:
        enums = list(home.enums.values())
    for enum in enums:
        for candidate in enum.members:
            if candidate.name == member:
                return candidate.value
    return None


def resolve_service(name: str, module: Module, position: Position) -> Service:
    """The service that `name` means in `module`."""
    home, own = home_of(name, module, position)
    if own not in home.services:
        raise IdlError(position, f"expected a service, found '{name}', which is not defined")
    return home.services[own]
