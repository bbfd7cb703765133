"""Target `cython`: the hot codec of the `buffer sandesh` messages of one file.

Makes five texts. NAME_messages.h: a C struct per message. NAME_codec.h: its writer, its
reader and its table of fields. NAME.pyx and NAME.pxd: the classes over them. NAME.pyi: their
types for checkers. The texts build on `agent/_fast/sandesh_base.pxi` and
`agent/_fast/src/sandesh/wire.h`.
"""

from __future__ import annotations

import keyword

from agent.sandesh.compiler.errors import IdlError
from agent.sandesh.compiler.gen_python import member_name
from agent.sandesh.compiler.model import Enum, Field, Kind, Module, Struct
from agent.sandesh.compiler.words import words

_BANNER = "Made by sandeshc from {file}; changes are lost at the next build."
_SCALARS = {
    Kind.BOOL: ("KIND_BOOL", "uint8_t", 1),
    Kind.BYTE: ("KIND_I8", "int8_t", 1),
    Kind.I16: ("KIND_I16", "int16_t", 2),
    Kind.I32: ("KIND_I32", "int32_t", 4),
    Kind.ENUM: ("KIND_I32", "int32_t", 4),
    Kind.I64: ("KIND_I64", "int64_t", 8),
    Kind.U16: ("KIND_U16", "uint16_t", 2),
    Kind.U32: ("KIND_U32", "uint32_t", 4),
    Kind.IPV4: ("KIND_U32", "uint32_t", 4),
    Kind.U64: ("KIND_U64", "uint64_t", 8),
}
_TEXTS = {Kind.STRING: "KIND_TEXT", Kind.XML: "KIND_TEXT", Kind.BINARY: "KIND_BINARY"}
# What messages and their C structs have themselves, and words of Python, C and Cython.
_NOT_FIELDS = frozenset(keyword.kwlist) | words(
    "encode replace to_dict NAME FIELDS lengths auto char const double enum extern int long "
    "register restrict short signed struct typedef union void NULL cdef cpdef cimport ctypedef"
)
_MOST_BLOBS = 255


def camel(name: str) -> str:
    """`vr_route_req` as `VrRouteReq`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def generate(module: Module, name: str) -> dict[str, str]:
    """The texts by file name, for a Python module called `name`. Raises IdlError."""
    messages = [struct for struct in module.structs.values() if struct.kind == "buffer"]
    _check_classes(module, messages)
    for message in messages:
        _check(message)
    banner = _BANNER.format(file=f"{module.name}.sandesh")
    return {
        f"{name}_messages.h": _messages_h(messages, name, banner),
        f"{name}_codec.h": _codec_h(messages, name, banner),
        f"{name}.pxd": _pxd(messages, name, banner),
        f"{name}.pyx": _pyx(module, messages, name, banner),
        f"{name}.pyi": _pyi(module, messages, banner),
    }


def _check_classes(module: Module, messages: list[Struct]) -> None:
    """Raises IdlError when two classes would have one name."""
    owners = {"Message": "the base of all messages"} | {
        camel(name): f"the enum '{name}'" for name in module.enums
    }
    for message in messages:
        name = camel(message.name)
        if name in owners:
            raise IdlError(
                message.position,
                f"expected another name, found '{message.name}': its class {name} would have "
                f"the name of {owners[name]}",
            )
        owners[name] = f"'{message.name}'"


def _check(message: Struct) -> None:
    """Raises IdlError for what this target cannot hold."""
    for field in message.fields:
        kind = field.type.kind
        simple = kind in _SCALARS or kind in _TEXTS
        if kind is Kind.LIST:
            element = field.type.arguments[0].kind
            simple = element in _SCALARS and element is not Kind.BOOL
        if not simple:
            raise IdlError(
                field.position,
                f"expected a number, a text or a list of numbers for target cython, "
                f"found {field.type}; use target py",
            )
        if field.name in _NOT_FIELDS or field.name.startswith("__"):
            raise IdlError(
                field.position,
                f"expected another name for target cython, found '{field.name}', which it keeps "
                "for itself; use target py",
            )
    if len(_blobs(message)) > _MOST_BLOBS:
        raise IdlError(
            message.position, f"expected at most {_MOST_BLOBS} texts and lists in one message"
        )


def _blobs(message: Struct) -> list[Field]:
    return [field for field in message.fields if field.type.kind not in _SCALARS]


def _element(field: Field) -> tuple[Kind, str, int]:
    kind = field.type.arguments[0].kind
    word, _, size = _SCALARS[kind]
    return kind, word, size


# --- C ------------------------------------------------------------------------------------


def _messages_h(messages: list[Struct], name: str, banner: str) -> str:
    guard = f"SANDESH_{name.upper()}_MESSAGES_H"
    lines = [f"/* {banner} */", f"#ifndef {guard}", f"#define {guard}", "#include <stdint.h>"]
    for message in messages:
        lines += ["", "typedef struct {"]
        scalars = [field for field in message.fields if field.type.kind in _SCALARS]
        lines += [f"    {_SCALARS[field.type.kind][1]} {field.name};" for field in scalars]
        lines.append(f"    uint32_t lengths[{max(len(_blobs(message)), 1)}];")
        lines.append(f"}} {message.name}_t;")
    return "\n".join([*lines, "", "#endif", ""])


def _codec_h(messages: list[Struct], name: str, banner: str) -> str:
    lines = [f"/* {banner} */", f'#include "{name}_messages.h"', '#include "sandesh/wire.h"']
    for index, message in enumerate(messages):
        lines += ["", *_writer(message), "", *_reader(message), "", *_table(message, index)]
    most = max((len(_blobs(message)) for message in messages), default=0)
    names = ", ".join(f"&{message.name}_type" for message in messages)
    lines += [
        "",
        f"#define SANDESH_TYPE_COUNT {len(messages)}",
        f"#define SANDESH_MOST_BLOBS {max(most, 1)}",
        f"static const sandesh_type *const SANDESH_TYPES[] = {{{names}}};",
    ]
    return "\n".join([*lines, ""])


def _writer(message: Struct) -> list[str]:
    name = message.name
    lines = [
        f"static uint8_t *{name}_write(const void *body, const uint8_t *blob, uint8_t *out)",
        "{",
        f"    const {name}_t *message = body;",
        "    (void)blob;",
        "    (void)message;",
        f"    sandesh_store32(out, SANDESH_BE32({len(name)}u));",
        f'    memcpy(out + 4, "{name}", {len(name)});',
        f"    out += {4 + len(name)};",
    ]
    last = len(_blobs(message)) - 1
    blob = 0
    for field in message.fields:
        if field.type.kind in _SCALARS:
            size = _SCALARS[field.type.kind][2]
            call = f"out = sandesh_put{8 * size}(out, {field.type.kind.wire}, {field.id}, "
            lines.append(f"    {call}(uint{8 * size}_t)message->{field.name});")
            continue
        length = f"message->lengths[{blob}]"
        if field.type.kind is Kind.LIST:
            kind, _, size = _element(field)
            call = f"sandesh_put_list(out, {field.id}, {kind.wire}, {size}, blob, {length})"
        else:
            wire = field.type.kind.wire
            call = f"sandesh_put_bytes(out, {wire}, {field.id}, blob, {length})"
        lines.append(f"    out = {call};")
        if blob != last:
            lines.append(f"    blob += {length};")
        blob += 1
    return [*lines, "    *out = SANDESH_STOP;", "    return out + 1;", "}"]


def _reader(message: Struct) -> list[str]:
    name = message.name
    lines = [
        f"static const uint8_t *{name}_read(void *body, const uint8_t **parts,",
        "    const uint8_t *at, const uint8_t *end)",
        "{",
        f"    {name}_t *message = body;",
        "    (void)parts;",
    ]
    blob = 0
    for field in message.fields:
        if field.type.kind in _SCALARS:
            lines += _read_scalar(field)
            continue
        target = f"&parts[{blob}], &message->lengths[{blob}]"
        if field.type.kind is Kind.LIST:
            kind, _, size = _element(field)
            call = f"sandesh_take_list(&at, end, {field.id}, {kind.wire}, {size}, {target})"
        else:
            wire = field.type.kind.wire
            call = f"sandesh_take_bytes(&at, end, {wire}, {field.id}, {target})"
        lines += [f"    if (!{call})", "        return at;"]
        blob += 1
    return [*lines, "    return at;", "}"]


def _read_scalar(field: Field) -> list[str]:
    _, c_type, size = _SCALARS[field.type.kind]
    value = {1: "at[3]", 2: "sandesh_get16(at + 3)", 4: "sandesh_get32(at + 3)"}.get(
        size, "sandesh_get64(at + 3)"
    )
    if field.type.kind is Kind.BOOL:
        value = "at[3] != 0"
    return [
        f"    if (!sandesh_expect(at, end, {field.type.kind.wire}, {field.id}, {3 + size}))",
        "        return at;",
        f"    message->{field.name} = ({c_type})({value});",
        f"    at += {3 + size};",
    ]


def _table(message: Struct, index: int) -> list[str]:
    name = message.name
    lines = [f"static const sandesh_field {name}_fields[] = {{"]
    fixed = 4 + len(name) + 1
    blob = 0
    for field in message.fields:
        head = f'    {{"{field.name}", {field.id}, {field.type.kind.wire}, '
        if field.type.kind in _SCALARS:
            word, _, size = _SCALARS[field.type.kind]
            lines.append(f"{head}{word}, 0, 0, 0, 0, offsetof({name}_t, {field.name})}},")
            fixed += 3 + size
            continue
        if field.type.kind is Kind.LIST:
            kind, word, size = _element(field)
            lines.append(f"{head}KIND_LIST, {kind.wire}, {word}, {size}, {blob}, 0}},")
            fixed += 8
        else:
            lines.append(f"{head}{_TEXTS[field.type.kind]}, 0, 0, 0, {blob}, 0}},")
            fixed += 7
        blob += 1
    return [
        *(lines if message.fields else [*lines, '    {"", 0, 0, 0, 0, 0, 0, 0, 0},']),
        "};",
        f"static const sandesh_type {name}_type = {{",
        f'    "{name}", {len(name)}, {index}, {name}_fields, {len(message.fields)}, {blob},',
        f"    sizeof({name}_t), offsetof({name}_t, lengths), {fixed}, {name}_write, {name}_read,",
        "};",
    ]


# --- Cython -------------------------------------------------------------------------------


def _pxd(messages: list[Struct], name: str, banner: str) -> str:
    lines = [f"# {banner}", 'include "sandesh_types.pxi"', ""]
    lines.append(f'cdef extern from "{name}_messages.h":')
    for message in messages:
        lines.append(f"    ctypedef struct {message.name}_t:")
        scalars = [field for field in message.fields if field.type.kind in _SCALARS]
        lines += [f"        {_SCALARS[field.type.kind][1]} {field.name}" for field in scalars]
        lines.append(f"        uint32_t lengths[{max(len(_blobs(message)), 1)}]")
    if not messages:
        lines.append("    pass")
    for message in messages:
        lines += [
            "",
            f"cdef class {camel(message.name)}(Message):",
            f"    cdef {message.name}_t fields",
        ]
    return "\n".join([*lines, ""])


def _pyx(module: Module, messages: list[Struct], name: str, banner: str) -> str:
    lines = [
        "# cython: language_level=3, boundscheck=False, wraparound=False",
        f"# {banner}",
        f'"""Messages of {module.name}.sandesh and their codec; see the `.pyi`."""',
        "cimport cython",
        "from enum import IntEnum",
        "",
        f'cdef extern from "{name}_codec.h":',
        "    enum:",
        "        SANDESH_TYPE_COUNT",
        "        SANDESH_MOST_BLOBS",
        "    const sandesh_type *SANDESH_TYPES[]",
        "    void sandesh_copy(uint8_t *out, const uint8_t *at, uint32_t size) noexcept nogil",
    ]
    lines += [f"    const sandesh_type {message.name}_type" for message in messages]
    lines += ["", 'include "sandesh_base.pxi"', ""]
    for enum in module.enums.values():
        lines += [*_enum(enum), ""]
    for message in messages:
        lines += [
            "",
            "@cython.final",
            f"cdef class {camel(message.name)}(Message):",
            f"    {_doc(message)}",
            "    def __cinit__(self):",
            f"        self.type = &{message.name}_type",
            "        self.body = <uint8_t *>&self.fields",
            "",
            f"finish({camel(message.name)}, &{message.name}_type)",
        ]
    return "\n".join([*lines, ""])


def _doc(item: Struct | Enum) -> str:
    text = item.doc.replace("\\", "\\\\").replace('"', "'") or f"{item.name}."
    return f'"""{text}"""'


def _enum(enum: Enum) -> list[str]:
    lines = [f"class {camel(enum.name)}(IntEnum):", f"    {_doc(enum)}", ""]
    return lines + [f"    {member_name(member.name)} = {member.value}" for member in enum.members]


# --- Types --------------------------------------------------------------------------------


def _pyi(module: Module, messages: list[Struct], banner: str) -> str:
    names = [*map(camel, module.enums), *(camel(message.name) for message in messages)]
    functions = ["decode", "decode_messages", "encode", "encode_many", "iter_messages"]
    exported = ", ".join(f'"{name}"' for name in sorted(["Message", *names, *functions]))
    lines = [f"# {banner}", _PYI_HEAD.replace("ALL", exported)]
    for enum in module.enums.values():
        lines += [*_enum(enum), ""]
    for message in messages:
        lines += [f"@final\nclass {camel(message.name)}(Message):", f"    {_doc(message)}", ""]
        typed = [(field.name, *_python_types(field)) for field in message.fields]
        lines += [f"    @property\n    def {name}(self) -> {read}: ..." for name, read, _ in typed]
        settable = "".join(f", {name}: {given} = ..." for name, _, given in typed)
        star = ", *" if settable else ""
        lines.append(f"    def __init__(self{star}{settable}) -> None: ...")
        lines.append(f"    def replace(  # type: ignore[override]\n        self{star}{settable}")
        lines.append(f"    ) -> {camel(message.name)}: ...")
        lines.append("")
    return "\n".join(lines)


def _python_types(field: Field) -> tuple[str, str]:
    """What an attribute is, and what the constructor takes."""
    kind = field.type.kind
    if kind is Kind.LIST and field.type.arguments[0].kind is Kind.BYTE:
        return "bytes", "bytes | bytearray | memoryview | Iterable[int]"
    if kind is Kind.LIST:
        return "tuple[int, ...]", "Iterable[int]"
    if kind is Kind.BINARY:
        return "bytes", "bytes | bytearray | memoryview"
    if kind in _TEXTS:
        return "str", "str"
    return ("bool", "bool") if kind is Kind.BOOL else ("int", "int")


_PYI_HEAD = """\
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, ClassVar, Self, final

__all__ = [ALL]

class Message:
    NAME: ClassVar[str]
    FIELDS: ClassVar[tuple[str, ...]]
    def __init__(self, **fields: Any) -> None: ...
    def encode(self) -> bytes: ...
    def replace(self, **changes: Any) -> Self: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

def encode(name: str, fields: Mapping[str, Any]) -> bytes: ...
def decode(data: bytes | bytearray | memoryview) -> list[tuple[str, dict[str, Any]]]: ...
def encode_many(messages: Sequence[Message]) -> bytes: ...
def decode_messages(data: bytes | bytearray | memoryview) -> list[Message]: ...
def iter_messages(data: bytes | bytearray | memoryview) -> Iterator[Message]: ...
"""
