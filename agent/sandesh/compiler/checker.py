"""Turns a syntax tree into a checked module: ids, duplicates, kinds, keys, defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agent.sandesh.compiler import tree
from agent.sandesh.compiler.constants import check_value
from agent.sandesh.compiler.errors import IdlError, Position
from agent.sandesh.compiler.model import (
    Const,
    Enum,
    EnumMember,
    Field,
    Function,
    Kind,
    Module,
    Service,
    Struct,
    Type,
)
from agent.sandesh.compiler.names import resolve_service, resolve_type
from agent.sandesh.compiler.words import OPTIONAL_KINDS, UVE_KINDS

# What the compiler appends (facts section 2.2): name, kind, id.
_LOCATION = (("file", Kind.STRING, -32768), ("line", Kind.I32, -32767))
_HIDDEN: dict[str, tuple[tuple[str, Kind, int], ...]] = {
    "response": (("more", Kind.BOOL, 0),),
    "systemlog": _LOCATION,
    "objectlog": _LOCATION,
    "trace": _LOCATION,
    "traceobject": _LOCATION,
}


def check(program: tree.Program, name: str, includes: dict[str, Module]) -> Module:
    """Returns the checked module of `program`. Raises IdlError at the first mistake.

    `includes`: the checked modules of the included files, by prefix.
    """
    module = Module(name, program.file, dict(program.namespaces), includes)
    _declare(program, module)
    # Constants may be structs and defaults may be constants, hence this order.
    for definition in program.definitions:
        if isinstance(definition, tree.Struct):
            _fill_struct(definition, module)
    for definition in program.definitions:
        if isinstance(definition, tree.Const):
            _check_const(definition, module)
    for definition in program.definitions:
        if isinstance(definition, tree.Struct):
            struct = module.structs[definition.name]
            struct.fields = _with_defaults(definition.fields, struct.fields, module)
        elif isinstance(definition, tree.Service):
            _check_service(definition, module)
    _check_embedding(module)
    for struct in module.structs.values():
        for field in struct.fields:
            _check_keys(field.type, field.position)
        _check_uve(struct)
    return module


def _declare(program: tree.Program, module: Module) -> None:
    """Takes every name, so that a type may be used before the line that defines it."""
    seen: dict[str, tree.Definition] = {}
    for definition in program.definitions:
        name = definition.name
        if name in seen:
            first = seen[name].position
            raise IdlError(
                definition.position,
                f"expected a new name, found '{name}', already defined at line {first.line}",
            )
        seen[name] = definition
        if isinstance(definition, tree.Enum):
            module.enums[name] = _enum(definition, module)
        elif isinstance(definition, tree.Struct):
            module.structs[name] = Struct(
                definition.kind,
                name,
                module.name,
                definition.position,
                annotations=definition.annotations,
                doc=definition.doc,
            )
        elif isinstance(definition, tree.Senum):
            module.typedefs[name] = Type(Kind.STRING, choices=definition.values)
    for definition in program.definitions:
        if isinstance(definition, tree.Typedef):
            module.typedefs[definition.name] = resolve_type(definition.type, module)


def _enum(definition: tree.Enum, module: Module) -> Enum:
    enum = Enum(definition.name, module.name, doc=definition.doc)
    names: set[str] = set()
    following = 0
    for member in definition.members:
        value = following if member.value is None else member.value
        if member.name in names:
            raise IdlError(member.position, f"expected a new member, found '{member.name}' again")
        if not -(1 << 31) <= value < 1 << 31:
            raise IdlError(member.position, f"expected a number of 32 bits, found {value}")
        names.add(member.name)
        enum.members.append(EnumMember(member.name, value, member.doc))
        following = value + 1
    return enum


def _fill_struct(definition: tree.Struct, module: Module) -> None:
    struct = module.structs[definition.name]
    hidden = [
        Field(number, name, Type(kind), definition.position, hidden=True)
        for name, kind, number in _HIDDEN.get(definition.kind, ())
    ]
    where = f"{definition.kind} '{definition.name}'"
    struct.fields = _fields(definition.fields, definition.kind, where, module)
    taken = {field.id: field for field in struct.fields} | {
        field.name: field for field in struct.fields
    }
    for field in hidden:
        clash = taken.get(field.id) or taken.get(field.name)
        if clash is not None:
            raise IdlError(
                clash.position,
                f"expected another field: the compiler adds '{field.name}' "
                f"with id {field.id} to every {definition.kind}",
            )
    struct.fields += hidden


def _fields(fields: tuple[tree.Field, ...], kind: str, where: str, module: Module) -> list[Field]:
    ids: dict[int, str] = {}
    names: set[str] = set()
    result = []
    automatic = -1
    for field in fields:
        number = field.id
        if number is None:
            number, automatic = automatic, automatic - 1
            module.warnings.append(
                f"{field.position}: field '{field.name}' of {where} has no id, taking {number}"
            )
        checked = _field(field, number, kind, module)
        _check_new(checked, ids, names, where)
        result.append(checked)
    return result


def _with_defaults(
    written: tuple[tree.Field, ...], fields: list[Field], module: Module
) -> list[Field]:
    """`fields` with the defaults that are written; hidden ones come after and have none."""
    result = list(fields)
    for index, field in enumerate(written):
        if field.default is not None:
            default = check_value(field.default, fields[index].type, module)
            result[index] = replace(fields[index], default=default)
    return result


def _check_new(field: Field, ids: dict[int, str], names: set[str], where: str) -> None:
    if not -(1 << 15) <= field.id < 1 << 15:
        raise IdlError(field.position, f"expected an id of 16 bits, found {field.id}")
    if field.id in ids:
        raise IdlError(
            field.position,
            f"expected a new id, found {field.id}, which '{ids[field.id]}' of {where} has",
        )
    if field.name in names:
        raise IdlError(
            field.position, f"expected a new name, found '{field.name}' again in {where}"
        )
    ids[field.id] = field.name
    names.add(field.name)


def _field(field: tree.Field, number: int, kind: str, module: Module) -> Field:
    if field.type is None:
        name = f"text_{number}" if number >= 0 else f"text_m{-number}"
        return Field(
            number, name, Type(Kind.STRING), field.position, text=field.text, doc=field.doc
        )
    if field.requirement == "optional" and kind not in OPTIONAL_KINDS:
        allowed = ", ".join(sorted(OPTIONAL_KINDS))
        raise IdlError(
            field.position, f"expected no 'optional' in a {kind} (only in {allowed}), found it"
        )
    resolved = resolve_type(field.type, module)
    _check_members(resolved, field)
    return Field(
        number,
        field.name,
        resolved,
        field.position,
        field.requirement == "optional",
        annotations=field.type.annotations + field.annotations,
        doc=field.doc,
    )


def _check_members(checked: Type, field: tree.Field) -> None:
    """A field holds values and structs, not messages and exceptions."""
    struct = checked.struct
    if struct is not None and struct.is_sandesh:
        raise IdlError(
            field.position, f"expected a struct, found '{struct.name}', a {struct.kind} sandesh"
        )
    if struct is not None and struct.kind == "exception":
        raise IdlError(field.position, f"expected a struct, found the exception '{struct.name}'")
    for argument in checked.arguments:
        _check_members(argument, field)


def _check_keys(checked: Type, position: Position) -> None:
    """Keys of maps and elements of sets are compared, so they cannot hold containers."""
    if checked.kind in (Kind.SET, Kind.MAP) and not checked.arguments[0].is_key:
        what = "key of a map" if checked.kind is Kind.MAP else "element of a set"
        raise IdlError(
            position,
            f"expected a type without lists, sets and maps as {what}, found {checked.arguments[0]}",
        )
    for argument in checked.arguments:
        _check_keys(argument, position)


def _check_const(definition: tree.Const, module: Module) -> None:
    wanted = resolve_type(definition.type, module)
    _check_keys(wanted, definition.position)
    value = check_value(definition.value, wanted, module)
    module.constants[definition.name] = Const(definition.name, wanted, value, definition.doc)


def _check_service(definition: tree.Service, module: Module) -> None:
    parent = None
    if definition.extends:
        parent = resolve_service(definition.extends, module, definition.position)
    service = Service(definition.name, module.name, parent, doc=definition.doc)
    inherited = {function.name for function in _inherited(service)}
    for function in definition.functions:
        if function.name in inherited:
            raise IdlError(
                function.position, f"expected a new function, found '{function.name}' again"
            )
        inherited.add(function.name)
        service.functions.append(_function(function, module))
    module.services[definition.name] = service


def _inherited(service: Service) -> Iterator[Function]:
    ancestor = service.extends
    while ancestor is not None:
        yield from ancestor.functions
        ancestor = ancestor.extends


def _function(function: tree.Function, module: Module) -> Function:
    where = f"function '{function.name}'"
    returns = None if function.returns is None else resolve_type(function.returns, module)
    if function.oneway and (returns is not None or function.throws):
        raise IdlError(
            function.position, f"expected {where} to return void and throw nothing: it is oneway"
        )
    throws = _thrown(function, where, module)
    parameters = _fields(function.parameters, "struct", where, module)
    parameters = _with_defaults(function.parameters, parameters, module)
    return Function(
        function.name,
        returns,
        tuple(parameters),
        throws,
        function.oneway,
        function.prefix,
        function.doc,
    )


def _thrown(function: tree.Function, where: str, module: Module) -> tuple[Field, ...]:
    """The exceptions of a function; a field type may not otherwise be an exception."""
    ids: dict[int, str] = {}
    names: set[str] = set()
    result = []
    for automatic, field in enumerate(function.throws, start=1):
        thrown = resolve_type(field.type, module) if field.type is not None else None
        if thrown is None or thrown.struct is None or thrown.struct.kind != "exception":
            raise IdlError(field.position, f"expected an exception, found {thrown}")
        number = -automatic if field.id is None else field.id
        checked = Field(number, field.name, thrown, field.position, doc=field.doc)
        _check_new(checked, ids, names, where)
        result.append(checked)
    return tuple(result)


def _check_embedding(module: Module) -> None:
    """No struct may contain itself, other than through a container or an optional field."""
    done: set[int] = set()
    for struct in module.structs.values():
        _walk(struct, [], done)


def _walk(struct: Struct, path: list[Struct], done: set[int]) -> None:
    if id(struct) in done:
        return
    for field in struct.fields:
        inner = field.type.struct
        if inner is None or field.optional:
            continue
        if inner is struct or inner in path:
            raise IdlError(
                field.position,
                f"expected '{inner.name}' not to contain itself; make '{field.name}' optional "
                "or a list",
            )
        _walk(inner, [*path, struct], done)
    done.add(id(struct))


def _check_uve(struct: Struct) -> None:
    """A UVE carries structs whose identifying field has the annotation key="Table"."""
    if struct.kind not in UVE_KINDS:
        return
    data = [field for field in struct.fields if field.type.struct is not None]
    if not data:
        raise IdlError(
            struct.position, f"expected a field of a struct type in {struct.kind} '{struct.name}'"
        )
    for field in data:
        assert field.type.struct is not None
        keys = [
            inner.name
            for inner in field.type.struct.fields
            if any(name == "key" for name, _ in inner.annotations)
        ]
        if not keys:
            raise IdlError(
                field.position,
                f"expected a field of '{field.type.struct.name}' to have (key=\"Table\"): "
                f"{struct.kind} '{struct.name}' carries it",
            )
