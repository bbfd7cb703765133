"""The command `sandeshc`: compiles IDL files to source code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from agent.sandesh.compiler import gen_cython
from agent.sandesh.compiler.errors import IdlError
from agent.sandesh.compiler.loader import load
from agent.sandesh.compiler.model import Module

TARGETS: dict[str, Callable[[Module, str], dict[str, str]]] = {"cython": gen_cython.generate}


@click.command(name="sandeshc")
@click.option(
    "--gen", "target", type=click.Choice(sorted(TARGETS)), required=True, help="What to make."
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
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(target: str, folder: Path, search: tuple[Path, ...], file: Path) -> None:
    """Compiles the Sandesh IDL in FILE."""
    try:
        module = load(file, search)
        texts = TARGETS[target](module, module.name)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except (IdlError, OSError) as error:
        click.echo(f"sandeshc: {error}", err=True)
        sys.exit(1)
    for warning in module.warnings:
        click.echo(f"sandeshc: warning: {warning}", err=True)


if __name__ == "__main__":
    main()
