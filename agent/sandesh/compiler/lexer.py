"""Splits IDL text into tokens (facts `sandesh-ksync.md` section 2.1)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.sandesh.compiler.errors import IdlError, Position


class TokenKind(enum.Enum):
    """What a token is; the value is the word used in error messages."""

    IDENT = "a name"
    INT = "a whole number"
    DOUBLE = "a number"
    STRING = "a quoted text"
    SYMBOL = "a symbol"
    END = "the end of the file"


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `doc` is the text of a `/** */` comment that stands before it."""

    kind: TokenKind
    text: str
    position: Position
    doc: str = ""

    def __str__(self) -> str:
        if self.kind is TokenKind.END:
            return str(self.kind.value)
        return f'"{self.text}"' if self.kind is TokenKind.STRING else f"'{self.text}'"


_PATTERN = re.compile(
    r"""
      (?P<space>[ \t\r\n\f]+)
    | (?P<line>(?://|\#)[^\n]*)
    | (?P<block>/\*.*?\*/)
    | (?P<double>[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?[0-9]+[eE][+-]?[0-9]+)
    | (?P<hex>[+-]?0[xX][0-9a-fA-F]+)
    | (?P<int>[+-]?[0-9]+)
    | (?P<ident>[A-Za-z_][.A-Za-z0-9_]*)
    | (?P<symbol>[{}()<>\[\]:,;=*])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


class _Scanner:
    """The text, and where in it we are."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.line = 1
        self.line_start = 0

    def position(self) -> Position:
        return Position(self.file, self.line, self.at - self.line_start + 1)

    def move_to(self, end: int) -> None:
        newlines = self.text.count("\n", self.at, end)
        if newlines:
            self.line += newlines
            self.line_start = self.text.rindex("\n", self.at, end) + 1
        self.at = end

    def string(self) -> str:
        """The literal that starts here, with its escapes replaced."""
        start, quote, out = self.position(), self.text[self.at], []
        at = self.at + 1
        while at < len(self.text) and self.text[at] not in "\n" + quote:
            character = self.text[at]
            if character == "\\":
                at += 1
                escape = self.text[at : at + 1]
                if escape not in _ESCAPES or not escape:
                    self.move_to(at - 1)
                    raise IdlError(
                        self.position(),
                        rf"expected one of \r \n \t \" \' \\, found '\{escape.strip()}'",
                    )
                character = _ESCAPES[escape]
            out.append(character)
            at += 1
        if self.text[at : at + 1] != quote:
            raise IdlError(
                start, "expected the text to end on its own line, found no closing quote"
            )
        self.move_to(at + 1)
        return "".join(out)


def _doc_text(comment: str) -> str:
    """The words of a `/** */` comment, without its frame."""
    lines = [line.strip().lstrip("*").strip() for line in comment[3:-2].splitlines()]
    return "\n".join(lines).strip()


def _lex_error(scanner: _Scanner) -> IdlError:
    if scanner.text.startswith("/*", scanner.at):
        return IdlError(scanner.position(), "expected the comment to end, found no '*/'")
    found = scanner.text[scanner.at]
    return IdlError(scanner.position(), f"expected a name, number, text or symbol, found {found!r}")


_KINDS = {
    "double": TokenKind.DOUBLE,
    "int": TokenKind.INT,
    "hex": TokenKind.INT,
    "ident": TokenKind.IDENT,
    "symbol": TokenKind.SYMBOL,
}


def tokenize(text: str, file: str) -> Iterator[Token]:
    """Yields the tokens of `text`, the last one of kind END; `file` is for messages.

    `true` and `false` become the numbers 1 and 0. Raises IdlError.
    """
    scanner = _Scanner(text, file)
    doc = ""
    while scanner.at < len(text):
        position = scanner.position()
        if text[scanner.at] in "'\"":
            yield Token(TokenKind.STRING, scanner.string(), position, doc)
            doc = ""
            continue
        match = _PATTERN.match(text, scanner.at)
        if match is None:
            raise _lex_error(scanner)
        group, word = str(match.lastgroup), match.group()
        scanner.move_to(match.end())
        if group == "block" and word.startswith("/**") and len(word) > 4:
            doc = _doc_text(word)
        if group not in _KINDS:
            continue
        kind = _KINDS[group]
        if word in ("true", "false"):
            kind, word = TokenKind.INT, "1" if word == "true" else "0"
        yield Token(kind, word, position, doc)
        doc = ""
    yield Token(TokenKind.END, "", scanner.position())
