"""Target `py`: typed Python classes for every kind of struct and sandesh of one file.

Makes NAME.py: enums, a dataclass per struct and sandesh, type aliases, constants and, for
services, protocols. The binary form is the work of `agent.sandesh.runtime`.
"""

from __future__ import annotations

import keyword

from agent.sandesh.compiler.model import (
    Const,
    Enum,
    Field,
    Kind,
    Module,
    Service,
    Struct,
    Type,
    Value,
)
from agent.sandesh.compiler.words import RESERVED, words

_TYPES = {
    Kind.BOOL: ("bool", "False", "BOOL"),
    Kind.BYTE: ("int", "0", "BYTE"),
    Kind.I16: ("int", "0", "I16"),
    Kind.I32: ("int", "0", "I32"),
    Kind.I64: ("int", "0", "I64"),
    Kind.U16: ("int", "0", "U16"),
    Kind.U32: ("int", "0", "U32"),
    Kind.U64: ("int", "0", "U64"),
    Kind.ENUM: ("int", "0", "ENUM"),
    Kind.DOUBLE: ("float", "0.0", "DOUBLE"),
    Kind.STRING: ("str", '""', "STRING"),
    Kind.XML: ("str", '""', "XML"),
    Kind.BINARY: ("bytes", 'b""', "BINARY"),
    Kind.IPV4: ("IPv4Address", "IPv4Address(0)", "IPV4"),
    Kind.IPADDR: ("IPv4Address | IPv6Address", "IPv4Address(0)", "IPADDR"),
    Kind.UUID: ("UUID", "UUID(int=0)", "UUID_T"),
}
_CONTAINERS = {Kind.LIST: "ListOf", Kind.SET: "SetOf", Kind.MAP: "MapOf"}
_EMPTY = {Kind.LIST: "list", Kind.SET: "set", Kind.MAP: "dict"}
# Names that the generated text uses itself, and Python's words that are names in the IDL.
_TAKEN = (frozenset(keyword.kwlist) - RESERVED) | words(
    "SPEC encode decode MESSAGES runtime dataclass field bool int float str bytes list set dict "
    "ClassVar Final IPv4Address IPv6Address IntEnum Protocol TypeAlias UUID"
)


def generate(module: Module, name: str, package: str = "") -> dict[str, str]:
    """The text by file name. `package`: where the modules of included files are found."""
    return {f"{name}.py": _Writer(module, package).text()}


def python_name(name: str) -> str:
    """The Python name of `name`.

    One that is taken, with or without `_`, gets a `_` more. One that starts with `__` gets an
    `x` before it: inside a class, Python would make another name of it.
    """
    if name.startswith("__"):
        return f"x{name}"
    stem = name.rstrip("_")
    return f"{name}_" if stem in _TAKEN else name


def member_name(name: str) -> str:
    """The Python name of an enum's member, where Python keeps `mro` and `_name_` for itself."""
    if name.startswith("_") and name.endswith("_"):
        return f"x{name}"
    return f"{name}_" if name.rstrip("_") == "mro" else python_name(name)


class _Writer:
    """Writes the text of one module."""

    def __init__(self, module: Module, package: str) -> None:
        self.module = module
        self.package = package

    def text(self) -> str:
        structs = list(self.module.structs.values())
        lines = self._head()
        for enum in self.module.enums.values():
            lines += ["", "", *_enum(enum)]
        for struct in structs:
            lines += ["", "", *self._class(struct)]
        if self.module.typedefs:
            lines += ["", ""]
        for alias, type_ in self.module.typedefs.items():
            lines.append(f'{python_name(alias)}: TypeAlias = "{self._annotation(type_)}"')
        if structs:
            lines += ["", ""]
        for struct in structs:
            lines += self._spec(struct)
        if self.module.constants:
            lines += ["", ""]
        lines += [line for const in self.module.constants.values() for line in self._const(const)]
        lines += ["", "", *self._messages(structs)]
        for service in self.module.services.values():
            lines += ["", "", *self._service(service)]
        return "\n".join([*lines, ""])

    def _head(self) -> list[str]:
        lines = [
            f'"""Made by sandeshc from {self.module.name}.sandesh; changes are lost."""',
            "",
            "from __future__ import annotations",
            "",
            "from dataclasses import dataclass, field",
            "from enum import IntEnum",
            "from ipaddress import IPv4Address, IPv6Address",
            "from typing import ClassVar, Final, Protocol, TypeAlias",
            "from uuid import UUID",
            "",
        ]
        source = f"from {self.package} import" if self.package else "import"
        # Under a name that no field has: a field may be called like the file of its type.
        lines += [f"{source} {prefix} as _{prefix}" for prefix in sorted(self.module.includes)]
        return [*lines, "from agent.sandesh import runtime"]

    # --- Types and values ---

    def _name(self, item: Struct | Enum | Service) -> str:
        name = python_name(item.name)
        return name if item.module == self.module.name else f"_{item.module}.{name}"

    def _annotation(self, type_: Type) -> str:
        if type_.struct is not None:
            return self._name(type_.struct)
        if type_.kind in _CONTAINERS:
            inner = ", ".join(self._annotation(argument) for argument in type_.arguments)
            return f"{_EMPTY[type_.kind]}[{inner}]"
        return _TYPES[type_.kind][0]

    def _codec(self, type_: Type) -> str:
        if type_.struct is not None:
            return f"runtime.StructOf({self._name(type_.struct)})"
        if type_.kind in _CONTAINERS:
            inner = ", ".join(self._codec(argument) for argument in type_.arguments)
            return f"runtime.{_CONTAINERS[type_.kind]}({inner})"
        return f"runtime.{_TYPES[type_.kind][2]}"

    def _value(self, value: Value, type_: Type) -> str:
        """The Python expression of a checked constant."""
        if type_.struct is not None and isinstance(value, dict):
            types = {field.name: field.type for field in type_.struct.fields}
            given = [
                f"{python_name(str(name))}={self._value(item, types[str(name)])}"
                for name, item in value.items()
            ]
            return f"{self._name(type_.struct)}({', '.join(given)})"
        if isinstance(value, list):
            items = ", ".join(self._value(item, type_.arguments[0]) for item in value)
            if type_.kind is Kind.SET:
                return f"{{{items}}}" if value else "set()"
            return f"[{items}]"
        if isinstance(value, dict):
            key, item_type = type_.arguments
            pairs = [
                f"{self._value(name, key)}: {self._value(item, item_type)}"
                for name, item in value.items()
            ]
            return f"{{{', '.join(pairs)}}}"
        if type_.kind is Kind.BINARY:
            return repr(str(value).encode())
        return f"IPv4Address({value})" if type_.kind is Kind.IPV4 else repr(value)

    def _default(self, item: Field) -> str:
        type_ = item.type
        mutable = type_.struct is not None or type_.kind in _CONTAINERS
        if item.default is not None:
            text = self._value(item.default, type_)
            return f"field(default_factory=lambda: {text})" if mutable else text
        if item.optional:
            return "None"
        if type_.struct is not None:
            return f"field(default_factory=lambda: {self._name(type_.struct)}())"
        if mutable:
            return f"field(default_factory={_EMPTY[type_.kind]})"
        return _TYPES[type_.kind][1]

    # --- Definitions ---

    def _class(self, struct: Struct) -> list[str]:
        exception = struct.kind == "exception"
        bases = "runtime.Record, Exception" if exception else "runtime.Record"
        options = "kw_only=True, eq=False" if exception else "kw_only=True, slots=True"
        if struct.is_key and struct.kind in ("struct", "union"):
            options += ", unsafe_hash=True"  # it may be the key of a map
        lines = [
            f"@dataclass({options})",
            f"class {python_name(struct.name)}({bases}):",
            f"    {_doc(struct.doc, f'{struct.kind} {struct.name}')}",
            "",
            "    SPEC: ClassVar[runtime.Spec]",
        ]
        for item in struct.fields:
            if item.text is None:
                kind = self._annotation(item.type) + (" | None" if item.optional else "")
                lines.append(f"    {python_name(item.name)}: {kind} = {self._default(item)}")
        return lines

    def _spec(self, struct: Struct) -> list[str]:
        lines = [
            f"{python_name(struct.name)}.SPEC = runtime.Spec(",
            f"    {struct.name!r},",
            f"    {struct.kind!r},",
            "    (",
        ]
        for item in struct.fields:
            parts = [str(item.id), repr(item.name), repr(python_name(item.name))]
            parts.append(self._codec(item.type))
            if item.optional:
                parts.append("optional=True")
            if item.text is not None:
                parts.append(f"text={item.text!r}")
            if item.hidden:
                parts.append("hidden=True")
            if item.annotations:
                parts.append(f"annotations={item.annotations!r}")
            lines.append(f"        runtime.FieldSpec({', '.join(parts)}),")
        lines.append("    ),")
        if struct.annotations:
            lines.append(f"    annotations={struct.annotations!r},")
        return [*lines, ")"]

    def _const(self, const: Const) -> list[str]:
        value = self._value(const.value, const.type)
        return [f"{python_name(const.name)}: Final[{self._annotation(const.type)}] = {value}"]

    def _messages(self, structs: list[Struct]) -> list[str]:
        """The sandesh of the file, by the name that they have on the wire."""
        lines = ["MESSAGES: Final[dict[str, type[runtime.Record]]] = {"]
        lines += [f"    {s.name!r}: {python_name(s.name)}," for s in structs if s.is_sandesh]
        return [*lines, "}"]

    def _service(self, service: Service) -> list[str]:
        parent = self._name(service.extends) if service.extends is not None else ""
        bases = f"{parent}, Protocol" if parent else "Protocol"
        lines = [
            f"class {python_name(service.name)}({bases}):",
            f"    {_doc(service.doc, f'service {service.name}')}",
        ]
        for function in service.functions:
            parameters = "".join(
                f", {python_name(item.name)}: {self._annotation(item.type)}"
                for item in function.parameters
            )
            returns = "None" if function.returns is None else self._annotation(function.returns)
            lines += ["", f"    def {python_name(function.name)}(self{parameters}) -> {returns}:"]
            lines += [f"        {_doc(function.doc, function.name)}", "        ..."]
        return lines


def _doc(text: str, name: str) -> str:
    safe = (text or f"{name}.").replace("\\", "\\\\").replace('"', "'")
    return f'"""{safe}"""'


def _enum(enum: Enum) -> list[str]:
    lines = [f"class {python_name(enum.name)}(IntEnum):", f"    {_doc(enum.doc, enum.name)}", ""]
    lines += [f"    {member_name(member.name)} = {member.value}" for member in enum.members]
    return lines
