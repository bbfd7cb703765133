"""The command `sandeshc`: compiles IDL files to source code."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from agent.sandesh.compiler import gen_cython, gen_python, gen_table
from agent.sandesh.compiler.errors import IdlError, Position
from agent.sandesh.compiler.loader import load
from agent.sandesh.compiler.model import Module


@click.command(name="sandeshc")
@click.option(
    "--gen",
    "target",
    type=click.Choice(["cython", "py", "table"]),
    required=True,
    help="cython: the fast codec of `buffer sandesh`. py: Python classes of every kind. "
    "table: JSON of all structs.",
)
@click.option(
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write; made when missing. Default: the current folder.",
)
@click.option(
    "-I",
    "search",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Where to look for included files; may be given many times.",
)
@click.option("-r", "recursive", is_flag=True, help="Compile the included files too.")
@click.option("--package", default="", help="py: the package of the included files' modules.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(
    target: str,
    folder: Path,
    search: tuple[Path, ...],
    recursive: bool,
    package: str,
    file: Path,
) -> None:
    """Compiles the Sandesh IDL in FILE."""
    try:
        module = load(file, search)
        modules = list(_with_includes(module)) if recursive else [module]
        _write(folder, _generate_all(modules, target, package))
        for each in modules:
            for warning in each.warnings:
                click.echo(f"sandeshc: warning: {warning}", err=True)
    except (IdlError, OSError) as error:
        click.echo(f"sandeshc: {error}", err=True)
        sys.exit(1)


def _with_includes(module: Module) -> Iterator[Module]:
    """The module and all that it includes, each once."""
    seen: dict[int, Module] = {}
    waiting = [module]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen[id(each)] = each
            waiting += each.includes.values()
    yield from seen.values()


def _generate_all(modules: list[Module], target: str, package: str) -> dict[str, str]:
    """The texts of all modules, before anything is written. Raises IdlError."""
    sources: dict[str, str] = {}
    texts: dict[str, str] = {}
    for module in modules:
        for each in (module, *module.includes.values()):
            _check_name(each)
        first = sources.setdefault(module.name, module.file)
        if first != module.file:
            raise IdlError(
                Position(module.file, 1, 1),
                f"expected a file of another name: '{first}' makes {module.name} as well",
            )
        texts |= _generate(module, target, package)
    return texts


def _check_name(module: Module) -> None:
    """What is made from a file has the file's name, and is imported by it."""
    if not module.name.isidentifier() or keyword.iskeyword(module.name):
        raise IdlError(
            Position(module.file, 1, 1),
            f"expected a file name that a Python module can have, found '{module.name}'; rename it",
        )


def _generate(module: Module, target: str, package: str) -> dict[str, str]:
    if target == "cython":
        return gen_cython.generate(module, module.name)
    if target == "table":
        return gen_table.generate(module, module.name)
    return gen_python.generate(module, module.name, package)


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
