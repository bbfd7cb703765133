"""Completion for zsh."""

from __future__ import annotations

from collections.abc import Iterator

from tools.share.surface import DIRECTORIES, FILES, Argument, Command, Option

_ACTIONS = {DIRECTORIES: "_files -/", FILES: "_files", "": " "}


def render(command: Command) -> str:
    """The completion of a command and its subcommands."""
    lines = [f"#compdef {command.name}", f"# made from the options of {command.name}", ""]
    lines += _functions(command, f"_{command.name}")
    lines += [f'_{command.name} "$@"', ""]
    return "\n".join(lines)


def _functions(command: Command, function: str) -> Iterator[str]:
    for inner in command.commands:
        yield from _functions(inner, f"{function}_{inner.name}")
    yield f"{function}() {{"
    specs = [spec for option in command.options for spec in _option(option)]
    specs += [_argument(argument) for argument in command.arguments]
    if command.commands:
        yield from _with_commands(command, function, specs)
    else:
        yield "    _arguments -s -S \\"
        yield " \\\n".join(f"        {spec}" for spec in specs or ["'*: :'"])
    yield "}"
    yield ""


def _with_commands(command: Command, function: str, specs: list[str]) -> Iterator[str]:
    yield "    local context state state_descr line"
    yield "    typeset -A opt_args"
    yield "    _arguments -C -s -S \\"
    specs = [*specs, "'1: :->command'", "'*:: :->argument'"]
    yield " \\\n".join(f"        {spec}" for spec in specs)
    yield "    case $state in"
    yield "    command)"
    yield "        local -a commands=("
    for inner in command.commands:
        purpose = inner.purpose.split("\n")[0].replace(":", "\\:")
        yield f"            {_quote(f'{inner.name}:{purpose}')}"
    yield "        )"
    yield "        _describe command commands ;;"
    yield "    argument)"
    yield "        case $line[1] in"
    for inner in command.commands:
        yield f"        {inner.name}) {function}_{inner.name} ;;"
    yield "        esac ;;"
    yield "    esac"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _described(text: str) -> str:
    """Text between brackets of a specification."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("]", "\\]").replace("[", "\\[")


def _value(option: Option) -> str:
    if not option.value:
        return ""
    action = f"({' '.join(option.choices)})" if option.choices else _ACTIONS[option.offers]
    colon = "::" if option.value_optional else ":"
    return f"{colon}{option.value.replace(':', ' ')}:{action}"


def _option(option: Option) -> Iterator[str]:
    others = " ".join(option.names)
    for name in option.names:
        yield _quote(f"({others}){name}[{_described(option.help)}]{_value(option)}")


def _argument(argument: Argument) -> str:
    action = f"({' '.join(argument.choices)})" if argument.choices else _ACTIONS[argument.offers]
    return _quote(f"*:{argument.name.replace(':', ' ')}:{action}")
