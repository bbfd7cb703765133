"""Completion for fish."""

from __future__ import annotations

from collections.abc import Iterator

from tools.share.surface import DIRECTORIES, FILES, Command, Option


def render(command: Command) -> str:
    """The completion of a command and its subcommands."""
    lines = [f"# fish completion for {command.name}; made from its options"]
    lines.append(f"complete -c {command.name} -f")
    lines += _lines(command, command.name, "")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _lines(command: Command, program: str, condition: str) -> Iterator[str]:
    names = " ".join(inner.name for inner in command.commands)
    here = condition
    if names:
        here = _both(condition, f"not __fish_seen_subcommand_from {names}")
    for option in command.options:
        yield _start(program, here) + _option(option)
    for argument in command.arguments:
        if argument.choices:
            yield _start(program, here) + f" -a {_quote(' '.join(argument.choices))}"
        elif argument.offers == DIRECTORIES:
            yield _start(program, here) + " -a '(__fish_complete_directories)'"
        elif argument.offers == FILES:
            yield _start(program, here) + " -F"
    for inner in command.commands:
        purpose = inner.purpose.split("\n")[0]
        yield _start(program, here) + f" -a {_quote(inner.name)} -d {_quote(purpose)}"
        seen = _both(condition, f"__fish_seen_subcommand_from {inner.name}")
        yield from _lines(inner, program, seen)


def _both(one: str, other: str) -> str:
    return f"{one}; and {other}" if one else other


def _start(program: str, condition: str) -> str:
    return f"complete -c {program}" + (f" -n {_quote(condition)}" if condition else "")


def _option(option: Option) -> str:
    words = []
    for name in option.names:
        if name.startswith("--"):
            words.append(f"-l {name[2:]}")
        else:
            words.append(f"-s {name[1:]}" if len(name) == 2 else f"-o {name[1:]}")
    if option.choices:
        words.append(f"-x -a {_quote(' '.join(option.choices))}")
    elif option.offers == DIRECTORIES:
        words.append("-x -a '(__fish_complete_directories)'")
    elif option.offers == FILES:
        words.append("-r -F")
    elif option.value and not option.value_optional:
        words.append("-x")
    if option.help:
        words.append(f"-d {_quote(' '.join(option.help.split()))}")
    return " " + " ".join(words)
