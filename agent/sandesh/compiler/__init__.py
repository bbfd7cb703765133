"""sandeshc, the compiler of the Sandesh IDL.

In goes IDL text: structs, enums, constants, services and the kinds of sandesh. Out come
texts of source code: target `cython` for the hot codec of `buffer sandesh`, target `py` for
classes of every other kind. Between them: lexer, parser, checker and a model in which every
name is resolved. Mistakes are `IdlError`, with file, line and column.

It is pure Python and imports nothing that is compiled: the build of this package runs it. It
never writes a file (its command line does) and never executes what it makes.
"""

from agent.sandesh.compiler.errors import IdlError, Position
from agent.sandesh.compiler.loader import load
from agent.sandesh.compiler.parser import parse

__all__ = ["IdlError", "Position", "load", "parse"]
