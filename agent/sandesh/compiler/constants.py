"""Checks the values of constants and field defaults against their types."""

from __future__ import annotations

from agent.sandesh.compiler import tree
from agent.sandesh.compiler.errors import IdlError
from agent.sandesh.compiler.model import INTEGER_RANGES, Kind, Module, Struct, Type, Value
from agent.sandesh.compiler.names import enum_member

_TEXTS = (Kind.STRING, Kind.BINARY, Kind.XML)


def check_value(value: tree.ConstValue, wanted: Type, module: Module) -> Value:
    """Returns `value` as a Python value of the type `wanted`. Raises IdlError."""
    if isinstance(value, tree.Identifier):
        return _identifier(value, wanted, module)
    if isinstance(value, tree.ListValue):
        return _list(value, wanted, module)
    if isinstance(value, tree.MapValue):
        return _map(value, wanted, module)
    return _literal(value, wanted)


def _wrong(value: tree.ConstValue, wanted: Type, found: str) -> IdlError:
    return IdlError(value.position, f"expected a value of type {wanted}, found {found}")


def _literal(literal: tree.Literal, wanted: Type) -> Value:
    value, kind = literal.value, wanted.kind
    if isinstance(value, str):
        if kind not in _TEXTS:
            raise _wrong(literal, wanted, f'the text "{value}"')
        if wanted.choices and value not in wanted.choices:
            raise _wrong(literal, wanted, f'"{value}", which is not among its texts')
        return value
    if kind is Kind.DOUBLE:
        return float(value)
    if isinstance(value, float):
        raise _wrong(literal, wanted, f"the number {value}")
    if kind is Kind.BOOL and value in (0, 1):
        return bool(value)
    if kind in INTEGER_RANGES:
        low, high = INTEGER_RANGES[kind]
        if not low <= value <= high:
            raise _wrong(literal, wanted, f"{value}, which is outside {low} to {high}")
        return value
    raise _wrong(literal, wanted, f"the number {value}")


def _identifier(value: tree.Identifier, wanted: Type, module: Module) -> Value:
    prefix, _, rest = value.name.partition(".")
    home, name = (
        (module.includes[prefix], rest) if prefix in module.includes else (module, value.name)
    )
    if name in home.constants:
        constant = home.constants[name]
        if isinstance(constant.value, list | dict):
            if constant.type != wanted:
                raise _wrong(value, wanted, f"'{value.name}' of type {constant.type}")
            return constant.value
        return _literal(tree.Literal(constant.value, value.position), wanted)
    number = enum_member(name, home)
    if number is None and wanted.enum is not None:
        members = {member.name: member.value for member in wanted.enum.members}
        number = members.get(value.name)
    if number is None:
        raise _wrong(value, wanted, f"'{value.name}', which is not defined")
    return _literal(tree.Literal(number, value.position), wanted)


def _list(value: tree.ListValue, wanted: Type, module: Module) -> Value:
    if wanted.kind not in (Kind.LIST, Kind.SET):
        raise _wrong(value, wanted, "a list")
    return [check_value(item, wanted.arguments[0], module) for item in value.items]


def _map(value: tree.MapValue, wanted: Type, module: Module) -> Value:
    if wanted.struct is not None:
        return _struct(value, wanted.struct, wanted, module)
    if wanted.kind is not Kind.MAP:
        raise _wrong(value, wanted, "a map")
    key_type, value_type = wanted.arguments
    result: dict[Value, Value] = {}
    for key, item in value.items:
        simple = not isinstance(key, tree.ListValue | tree.MapValue)
        checked = check_value(key, key_type, module) if simple else []
        if isinstance(checked, list | dict):
            raise IdlError(key.position, "expected a simple key, found a list or map")
        result[checked] = check_value(item, value_type, module)
    return result


def _struct(value: tree.MapValue, struct: Struct, wanted: Type, module: Module) -> Value:
    fields = {field.name: field for field in struct.fields}
    result: dict[Value, Value] = {}
    for key, item in value.items:
        name = key.value if isinstance(key, tree.Literal) else None
        if not isinstance(name, str) or name not in fields:
            raise _wrong(key, wanted, f"the key {name!r}, which is not a field of it")
        result[name] = check_value(item, fields[name].type, module)
    return result
