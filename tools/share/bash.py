"""Completion for bash."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from tools.share.surface import DIRECTORIES, FILES, Command, Option

_HEAD = """\
# bash completion for {name}; made from its options
{function}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path={name} word
    local commands= options= arguments= files=
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{descents}
        esac
    done
    case "$path $prev" in
{values}
    esac
    case "$path" in
{words}
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$commands $arguments" -- "$cur"))
        [[ -z $cur && -z $commands$arguments ]] && COMPREPLY=($(compgen -W "$options"))
        [[ $files == 1 ]] && compopt -o filenames 2>/dev/null
        [[ $files == 1 ]] && COMPREPLY+=($(compgen -f -- "$cur"))
    fi
}}
complete -F {function} {name}
"""


def render(command: Command) -> str:
    """The completion of a command and its subcommands."""
    paths = list(_paths(command, command.name))
    descents = [_descent(path) for path, _ in paths[1:]]
    values = [
        line for path, each in paths for option in each.options for line in _value(path, option)
    ]
    words = [_words(path, each) for path, each in paths]
    return _HEAD.format(
        name=command.name,
        function="_" + command.name.replace("-", "_"),
        descents="\n".join(descents) or "            *) ;;",
        values="\n".join(values) or "        *) ;;",
        words="\n".join(words),
    )


def _paths(command: Command, path: str) -> Iterator[tuple[str, Command]]:
    yield path, command
    for inner in command.commands:
        yield from _paths(inner, f"{path} {inner.name}")


def _descent(path: str) -> str:
    return f"            {shlex.quote(path)}) path={shlex.quote(path)} ;;"


def _value(path: str, option: Option) -> Iterator[str]:
    """What follows an option with a value; nothing is offered where nothing is known."""
    if not option.value or option.value_optional:
        return
    names = "|".join(shlex.quote(f"{path} {name}") for name in option.names)
    if option.choices:
        words = shlex.quote(" ".join(option.choices))
        action = f'COMPREPLY=($(compgen -W {words} -- "$cur"))'
    elif option.offers == DIRECTORIES:
        action = 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur"))'
    elif option.offers == FILES:
        action = 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))'
    else:
        action = ":"
    yield f"        {names}) {action}; return ;;"


def _words(path: str, command: Command) -> str:
    options = " ".join(name for option in command.options for name in option.names)
    commands = " ".join(inner.name for inner in command.commands)
    arguments = " ".join(word for argument in command.arguments for word in argument.choices)
    files = any(argument.offers for argument in command.arguments)
    return (
        f"        {shlex.quote(path)})\n"
        f"            options={shlex.quote(options)}\n"
        f"            commands={shlex.quote(commands)}\n"
        f"            arguments={shlex.quote(arguments)}\n"
        f"            files={int(files)} ;;"
    )
