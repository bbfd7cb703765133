"""What a command takes: its options, arguments and subcommands, whoever parses them."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FILES, DIRECTORIES = "files", "directories"
_DIRECTORY_WORDS = ("DIR", "DIRECTORY")
_FILE_WORDS = ("FILE", "PATH", "TOPOLOGY", "RECORDING")
_COMMAND_TABLES = ("_COMMANDS", "TOOLS")
"""Where an entry module keeps the names of its subcommands."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `value`: the name of its value, empty for none; `choices` it is one of."""

    names: tuple[str, ...]
    help: str = ""
    value: str = ""
    value_optional: bool = False
    choices: tuple[str, ...] = ()

    @property
    def offers(self) -> str:
        """FILES or DIRECTORIES when the value is one of these, else empty."""
        return _offers(self.value)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument that is no option."""

    name: str
    help: str = ""
    choices: tuple[str, ...] = ()

    @property
    def offers(self) -> str:
        """FILES or DIRECTORIES when it is one of these, else empty."""
        return _offers(self.name)


@dataclass(frozen=True, slots=True)
class Command:
    """A command or subcommand; `name` is its last word, `misuse` its status for wrong options."""

    name: str
    purpose: str
    usage: str
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    commands: tuple[Command, ...] = ()
    epilog: str = ""
    misuse: int | None = None


def _offers(word: str) -> str:
    word = word.upper().strip("[]<>")
    if word in _DIRECTORY_WORDS or word.endswith("_DIR"):
        return DIRECTORIES
    return FILES if word in _FILE_WORDS or word.endswith("_FILE") else ""


class _Caught(BaseException):
    """Carries the parser that a command made; no command may take it for an error."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@contextlib.contextmanager
def _catching() -> Iterator[None]:
    """Every attempt to parse arguments ends with the parser."""

    def caught(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> Any:
        raise _Caught(parser)

    kept = argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_args = caught  # type: ignore[method-assign]
    argparse.ArgumentParser.parse_known_args = caught  # type: ignore[method-assign]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_args = kept[0]  # type: ignore[method-assign]
        argparse.ArgumentParser.parse_known_args = kept[1]  # type: ignore[method-assign]


def parser_of(main: Callable[[list[str]], object], words: list[str]) -> argparse.ArgumentParser:
    """The parser that `main` makes when it is called with these words."""
    with _catching():
        try:
            main(words)
        except _Caught as caught:
            return caught.parser
    raise LookupError(f"{main.__module__} parses no arguments")


def commands(pyproject: Path) -> list[Command]:
    """Every console command of the project, by name."""
    scripts = tomllib.loads(pyproject.read_text())["project"]["scripts"]
    with _plain_help():
        return [command(name, entry) for name, entry in sorted(scripts.items())]


@contextlib.contextmanager
def _plain_help() -> Iterator[None]:
    """Usage without colours, of one width on every machine."""
    kept = dict(os.environ)
    os.environ.update(COLUMNS="78", NO_COLOR="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def command(name: str, entry: str) -> Command:
    """The command that `module:function` is."""
    path, _, function = entry.partition(":")
    module = importlib.import_module(path)
    main = getattr(module, function)
    known = main if isinstance(main, click.Command) else getattr(module, "cli", None)
    if isinstance(known, click.Command):
        return _from_click(known, name, None)
    inner = [
        _from_argparse(word, parser_of(main, [word]), ())
        for table in _COMMAND_TABLES
        for word in getattr(module, table, ())
    ]
    return _from_argparse(name, parser_of(main, []), tuple(inner))


def _from_argparse(
    name: str, parser: argparse.ArgumentParser, inner: tuple[Command, ...]
) -> Command:
    actions = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    subparsers = [one for one in actions if isinstance(one, argparse._SubParsersAction)]
    for action in subparsers:
        inner += tuple(_from_argparse(word, each, ()) for word, each in action.choices.items())
    return Command(
        name=name,
        purpose=parser.description or "",
        usage=_usage(parser.format_usage()),
        options=tuple(_option(one, parser) for one in actions if one.option_strings),
        arguments=tuple(
            _argument(one, parser)
            for one in actions
            if not one.option_strings and one not in subparsers
        ),
        commands=inner,
        epilog=parser.epilog or "",
        misuse=getattr(parser, "misuse", None),
    )


def _usage(text: str) -> str:
    """A usage without its first word; further lines move left by as much."""
    head = "usage: "
    return "\n".join(
        line[len(head) :] if line[: len(head)].lower() in (head, " " * len(head)) else line
        for line in text.rstrip().splitlines()
    )


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _value_name(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    return action.metavar or action.dest.upper()


def _choices(action: argparse.Action) -> tuple[str, ...]:
    return tuple(str(choice) for choice in action.choices or ())


def _option(action: argparse.Action, parser: argparse.ArgumentParser) -> Option:
    takes = action.nargs != 0
    return Option(
        names=tuple(action.option_strings),
        help=_help(action, parser),
        value=_value_name(action) if takes else "",
        value_optional=action.nargs in ("?", "*"),
        choices=_choices(action) if takes else (),
    )


def _argument(action: argparse.Action, parser: argparse.ArgumentParser) -> Argument:
    return Argument(_value_name(action), _help(action, parser), _choices(action))


def _from_click(known: click.Command, name: str, parent: click.Context | None) -> Command:
    context = click.Context(known, info_name=name, parent=parent)
    inner: tuple[Command, ...] = ()
    if isinstance(known, click.Group):
        inner = tuple(
            _from_click(known.commands[word], word, context)
            for word in known.list_commands(context)
        )
    parameters = known.get_params(context)
    return Command(
        name=name,
        purpose=(known.help or "").replace("\b\n", ""),
        usage=_usage(known.get_usage(context)),
        options=tuple(_click_option(one) for one in parameters if isinstance(one, click.Option)),
        arguments=tuple(
            Argument(one.human_readable_name, "", _click_choices(one))
            for one in parameters
            if isinstance(one, click.Argument)
        ),
        commands=inner,
        epilog=known.epilog or "",
    )


def _click_choices(parameter: click.Parameter) -> tuple[str, ...]:
    choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
    return tuple(str(choice) for choice in choices)


def _click_option(option: click.Option) -> Option:
    flag = option.is_flag or option.count
    value = option.metavar or ("" if option.type.name == "text" else option.type.name)
    return Option(
        names=(*option.opts, *option.secondary_opts),
        help=option.help or "",
        value="" if flag else (value or option.human_readable_name).upper(),
        choices=_click_choices(option),
    )
