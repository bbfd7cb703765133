"""Builds the syntax tree of one IDL text (grammar: facts `sandesh-ksync.md` section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf

from agent.sandesh.compiler import tree
from agent.sandesh.compiler.errors import IdlError
from agent.sandesh.compiler.lexer import Token, TokenKind, tokenize
from agent.sandesh.compiler.words import (
    BASE_TYPES,
    CONTAINERS,
    LOG_KINDS,
    NOT_NAMES,
    OLD_NAMESPACES,
    RESERVED,
    SANDESH_KINDS,
)

_MAX_NESTING = 64
_LONGEST_NUMBER = 64  # characters; leaves room for leading zeros


class _Reader:
    """The tokens, with the questions that the grammar asks of them."""

    def __init__(self, text: str, file: str) -> None:
        self.tokens = list(tokenize(text, file))
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def fail(self, expected: str) -> IdlError:
        return IdlError(self.token.position, f"expected {expected}, found {self.token}")

    def advance(self) -> Token:
        token = self.token
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def is_symbol(self, text: str) -> bool:
        return self.token.kind is TokenKind.SYMBOL and self.token.text == text

    def is_word(self, *words: str) -> bool:
        return self.token.kind is TokenKind.IDENT and self.token.text in words

    def take_symbol(self, text: str) -> bool:
        found = self.is_symbol(text)
        if found:
            self.advance()
        return found

    def take_word(self, *words: str) -> str:
        return self.advance().text if self.is_word(*words) else ""

    def symbol(self, text: str, after: str) -> Token:
        if not self.is_symbol(text):
            raise self.fail(f"'{text}' {after}")
        return self.advance()

    def literal(self, what: str) -> str:
        if self.token.kind is not TokenKind.STRING:
            raise self.fail(f"{what} in quotes")
        return self.advance().text

    def separator(self) -> None:
        """Takes the optional `,` or `;` after a list item."""
        if self.is_symbol(",") or self.is_symbol(";"):
            self.advance()

    def name(self, what: str, dotted: bool = False) -> Token:
        """A name that is being given (`dotted`: or that refers to another file)."""
        token = self.token
        if token.kind is not TokenKind.IDENT:
            raise self.fail(what)
        if token.text in NOT_NAMES:
            why = "a reserved word" if token.text in RESERVED else "a word of the language"
            raise IdlError(token.position, f"expected {what}, found '{token.text}', which is {why}")
        if "." in token.text and not dotted:
            raise IdlError(token.position, f"expected {what} without '.', found '{token.text}'")
        return self.advance()

    def integer(self, what: str) -> int:
        if self.token.kind is not TokenKind.INT:
            raise self.fail(what)
        if len(self.token.text) > _LONGEST_NUMBER:
            raise self.too_large()
        text = self.advance().text
        return int(text, 16) if "x" in text.lower() else int(text)

    def double(self) -> float:
        value = float(self.token.text)
        if isinf(value):
            raise self.too_large()
        self.advance()
        return value

    def too_large(self) -> IdlError:
        return IdlError(self.token.position, "expected a smaller number: no type can hold this one")

    def enter(self) -> None:
        """Counts one level of nesting; leaving is `depth -= 1`."""
        self.depth += 1
        if self.depth > _MAX_NESTING:
            raise IdlError(
                self.token.position,
                f"expected at most {_MAX_NESTING} levels of nesting, found more",
            )


def parse(text: str, file: str) -> tree.Program:
    """Returns the tree of `text`; `file` is for messages. Raises IdlError."""
    reader = _Reader(text, file)
    program = tree.Program(file)
    while _header(reader, program):
        pass
    while reader.token.kind is not TokenKind.END:
        program.definitions.append(_definition(reader))
        reader.separator()
    return program


def _header(reader: _Reader, program: tree.Program) -> bool:
    position = reader.token.position
    if reader.take_word("include"):
        program.includes.append(tree.Include(reader.literal("the path of a file"), position))
    elif reader.take_word("cpp_include"):
        program.cpp_includes.append(reader.literal("the path of a file"))
    elif reader.take_word("namespace"):
        language = "*" if reader.take_symbol("*") else _plain_word(reader, "a language or '*'")
        program.namespaces[language] = _plain_word(reader, "the name of a namespace")
    elif word := reader.take_word(*OLD_NAMESPACES):
        quoted = reader.token.kind is TokenKind.STRING
        text = reader.advance().text if quoted else _plain_word(reader, "the name of a namespace")
        program.namespaces[OLD_NAMESPACES[word]] = text
    else:
        return False
    return True


def _plain_word(reader: _Reader, what: str) -> str:
    if reader.token.kind is not TokenKind.IDENT:
        raise reader.fail(what)
    return reader.advance().text


def _definition(reader: _Reader) -> tree.Definition:
    word = reader.token.text if reader.token.kind is TokenKind.IDENT else ""
    if word in _DEFINITIONS:
        return _DEFINITIONS[word](reader)
    if word in SANDESH_KINDS:
        return _sandesh(reader)
    raise reader.fail(
        "a definition (const, typedef, enum, senum, struct, union, exception, service, "
        "or KIND sandesh)"
    )


def _const(reader: _Reader) -> tree.Const:
    start = reader.advance()
    type_ref = _type(reader)
    name = reader.name("the name of the constant")
    reader.symbol("=", "after the name of the constant")
    return tree.Const(name.text, type_ref, _value(reader), name.position, start.doc)


def _typedef(reader: _Reader) -> tree.Typedef:
    start = reader.advance()
    type_ref = _type(reader)
    name = reader.name("the new name of the type")
    return tree.Typedef(name.text, type_ref, name.position, start.doc)


def _enum(reader: _Reader) -> tree.Enum:
    start = reader.advance()
    name = reader.name("the name of the enum")
    reader.symbol("{", "after the name of the enum")
    members = []
    while not reader.take_symbol("}"):
        doc = reader.token.doc
        member = reader.name("the name of a member, or '}'")
        value = reader.integer("the number of the member") if reader.take_symbol("=") else None
        members.append(tree.EnumMember(member.text, value, member.position, doc))
        reader.separator()
    return tree.Enum(name.text, tuple(members), name.position, start.doc)


def _senum(reader: _Reader) -> tree.Senum:
    start = reader.advance()
    name = reader.name("the name of the senum")
    reader.symbol("{", "after the name of the senum")
    values = []
    while not reader.take_symbol("}"):
        values.append(reader.literal("a text"))
        reader.separator()
    return tree.Senum(name.text, tuple(values), name.position, start.doc)


def _struct(reader: _Reader) -> tree.Struct:
    start = reader.advance()
    name = reader.name(f"the name of the {start.text}")
    reader.take_word("xsd_all")
    fields = _fields(reader, start.text)
    return tree.Struct(
        start.text, name.text, fields, name.position, _annotations(reader), start.doc
    )


def _sandesh(reader: _Reader) -> tree.Struct:
    kind = reader.advance()
    if not reader.take_word("sandesh"):
        raise reader.fail(f"'sandesh' after '{kind.text}'")
    name = reader.name("the name of the sandesh")
    fields = _fields(reader, kind.text)
    return tree.Struct(kind.text, name.text, fields, name.position, _annotations(reader), kind.doc)


def _fields(
    reader: _Reader, kind: str, open_: str = "{", close: str = "}"
) -> tuple[tree.Field, ...]:
    reader.symbol(open_, "before the fields")
    fields = []
    while not reader.take_symbol(close):
        fields.append(_field(reader, kind, close))
        reader.separator()
    return tuple(fields)


def _field(reader: _Reader, kind: str, close: str) -> tree.Field:
    start = reader.token
    number = None
    if start.kind is TokenKind.INT:
        number = reader.integer("the id of the field")
        reader.symbol(":", "after the id of the field")
    if reader.token.kind is TokenKind.STRING:
        return _text_field(reader, kind, number, start)
    if reader.token.kind is not TokenKind.IDENT:
        raise reader.fail(f"a field or '{close}'" if number is None else "a type or a text")
    requirement = reader.take_word("required", "optional")
    type_ref = _type(reader)
    name = reader.name("the name of the field")
    default = _value(reader) if reader.take_symbol("=") else None
    _xsd_options(reader, kind)
    return tree.Field(
        number,
        name.text,
        type_ref,
        start.position,
        requirement,
        default,
        annotations=_annotations(reader),
        doc=start.doc,
    )


def _text_field(reader: _Reader, kind: str, number: int | None, start: Token) -> tree.Field:
    if kind not in LOG_KINDS:
        raise IdlError(
            reader.token.position,
            f"expected a type: a {kind} has no static texts (only {', '.join(sorted(LOG_KINDS))})",
        )
    return tree.Field(number, "", None, start.position, text=reader.advance().text, doc=start.doc)


def _xsd_options(reader: _Reader, kind: str) -> None:
    """Takes the XML schema hints of a field; nothing is generated from them."""
    reader.take_word("xsd_optional")
    reader.take_word("xsd_nillable")
    if reader.take_word("xsd_attrs"):
        reader.enter()
        _fields(reader, kind)
        reader.depth -= 1


def _annotations(reader: _Reader) -> tree.Annotations:
    if not reader.take_symbol("("):
        return ()
    pairs = []
    while not reader.take_symbol(")"):
        if reader.token.kind is not TokenKind.IDENT:
            raise reader.fail("the name of an annotation, or ')'")
        name = reader.advance().text
        reader.symbol("=", f"after the annotation '{name}'")
        pairs.append((name, reader.literal(f"the value of '{name}'")))
        reader.separator()
    return tuple(pairs)


def _type(reader: _Reader) -> tree.TypeRef:
    token = reader.token
    if token.kind is not TokenKind.IDENT:
        raise reader.fail("a type")
    reader.enter()
    if token.text in CONTAINERS:
        type_ref = _container(reader)
    elif token.text in BASE_TYPES:
        reader.advance()
        type_ref = tree.TypeRef(token.text, token.position, (), _annotations(reader))
    else:
        type_ref = tree.TypeRef(reader.name("a type", dotted=True).text, token.position)
    reader.depth -= 1
    return type_ref


def _container(reader: _Reader) -> tree.TypeRef:
    token = reader.advance()
    _cpp_type(reader)
    reader.symbol("<", f"after '{token.text}'")
    arguments = [_type(reader)]
    if CONTAINERS[token.text] == 2:
        reader.symbol(",", "between the types of a map")
        arguments.append(_type(reader))
    reader.symbol(">", f"at the end of the {token.text} type")
    _cpp_type(reader)
    return tree.TypeRef(token.text, token.position, tuple(arguments), _annotations(reader))


def _cpp_type(reader: _Reader) -> None:
    """Takes a C++ container hint; nothing is generated from it."""
    if reader.take_word("cpp_type"):
        reader.literal("the C++ type")


def _value(reader: _Reader) -> tree.ConstValue:
    token = reader.token
    if token.kind is TokenKind.INT:
        return tree.Literal(reader.integer("a value"), token.position)
    if token.kind is TokenKind.DOUBLE:
        return tree.Literal(reader.double(), token.position)
    if token.kind is TokenKind.STRING:
        return tree.Literal(reader.advance().text, token.position)
    if token.kind is TokenKind.IDENT:
        return tree.Identifier(reader.name("a value", dotted=True).text, token.position)
    if reader.is_symbol("[") or reader.is_symbol("{"):
        reader.enter()
        value = _list_value(reader) if reader.is_symbol("[") else _map_value(reader)
        reader.depth -= 1
        return value
    raise reader.fail("a value")


def _list_value(reader: _Reader) -> tree.ListValue:
    start = reader.advance()
    items = []
    while not reader.take_symbol("]"):
        items.append(_value(reader))
        reader.separator()
    return tree.ListValue(tuple(items), start.position)


def _map_value(reader: _Reader) -> tree.MapValue:
    start = reader.advance()
    items = []
    while not reader.take_symbol("}"):
        key = _value(reader)
        reader.symbol(":", "between key and value")
        items.append((key, _value(reader)))
        reader.separator()
    return tree.MapValue(tuple(items), start.position)


def _service(reader: _Reader) -> tree.Service:
    start = reader.advance()
    name = reader.name("the name of the service")
    extends = ""
    if reader.take_word("extends"):
        extends = reader.name("the name of a service", dotted=True).text
    reader.symbol("{", "before the functions")
    functions = []
    while not reader.take_symbol("}"):
        functions.append(_function(reader))
        reader.separator()
    return tree.Service(name.text, extends, tuple(functions), name.position, start.doc)


def _function(reader: _Reader) -> tree.Function:
    doc = reader.token.doc
    prefix = reader.take_word("staticfunction", "abcfunction")
    oneway = bool(reader.take_word("oneway", "async"))
    returns = None if reader.take_word("void") else _type(reader)
    name = reader.name("the name of the function")
    parameters = _fields(reader, "function", "(", ")")
    throws: tuple[tree.Field, ...] = ()
    if reader.take_word("throws"):
        throws = _fields(reader, "function", "(", ")")
    return tree.Function(name.text, returns, parameters, throws, name.position, oneway, prefix, doc)


_DEFINITIONS: dict[str, Callable[[_Reader], tree.Definition]] = {
    "const": _const,
    "typedef": _typedef,
    "enum": _enum,
    "senum": _senum,
    "struct": _struct,
    "union": _struct,
    "exception": _struct,
    "service": _service,
}
