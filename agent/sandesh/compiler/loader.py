"""Reads an IDL file and those that it includes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.sandesh.compiler import tree
from agent.sandesh.compiler.checker import check
from agent.sandesh.compiler.errors import IdlError, Position
from agent.sandesh.compiler.model import Module
from agent.sandesh.compiler.parser import parse


def load(path: Path, search: Sequence[Path] = ()) -> Module:
    """Returns the checked module of the file `path`.

    An include is looked for beside the including file, then in the folders `search`, in
    order. Raises IdlError, also for a file that cannot be read.
    """
    return _Loader(search).load(path, Position(str(path), 1, 1), ())


class _Loader:
    """The files loaded so far, each once."""

    def __init__(self, search: Sequence[Path]) -> None:
        self.search = search
        self.modules: dict[Path, Module] = {}

    def load(self, path: Path, wanted_at: Position, chain: tuple[Path, ...]) -> Module:
        real = path.resolve()
        if real in chain:
            raise IdlError(wanted_at, f"expected '{path}' not to include itself")
        if real not in self.modules:
            program = parse(_read(path, wanted_at), str(path))
            includes = self._includes(program, path, (*chain, real))
            self.modules[real] = check(program, path.stem, includes)
        return self.modules[real]

    def _includes(
        self, program: tree.Program, path: Path, chain: tuple[Path, ...]
    ) -> dict[str, Module]:
        modules: dict[str, Module] = {}
        for include in program.includes:
            module = self.load(self._find(include, path), include.position, chain)
            if modules.setdefault(module.name, module) is not module:
                raise IdlError(
                    include.position, f"expected a new prefix, found '{module.name}' again"
                )
        return modules

    def _find(self, include: tree.Include, path: Path) -> Path:
        for folder in (path.parent, *self.search):
            candidate = folder / include.path
            if candidate.is_file():
                return candidate
        places = ", ".join(map(str, (path.parent, *self.search)))
        raise IdlError(
            include.position, f"expected the file '{include.path}' in {places}; add -I FOLDER"
        )


def _read(path: Path, wanted_at: Position) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise IdlError(wanted_at, f"cannot read '{path}': {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise IdlError(
            wanted_at, f"expected '{path}' to be UTF-8, found byte {error.start} that is not"
        ) from None
