"""Values that stand before the file's: of the environment, and before those of the command line.

`VROUTER_AGENT_<SECTION>_<OPTION>=value`, in capitals with `_` for `-`, and
`--SECTION.option value` as the reference agent has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.errors import ConfigError
from agent.settings.finding import Finding, Severity, nearest
from agent.settings.option import Option
from agent.settings.table import TABLE

PREFIX = "VROUTER_AGENT_"
_WORD = re.compile(r"--([A-Z][A-Z-]*)\.(\w+)(?:=(.*))?", re.DOTALL)


class Override(NamedTuple):
    """`source`: the variable or the option that gave it."""

    section: str
    option: str
    value: str
    source: str


def variable(option: Option) -> str:
    """The variable of the environment that stands before an option."""
    return PREFIX + f"{option.section}_{option.name}".upper().replace("-", "_")


_VARIABLES = {variable(option): option for option in TABLE}
_WORDS = {f"--{option.section}.{option.name}": option for option in TABLE}


def of_environment(environment: Mapping[str, str]) -> list[Override]:
    """What the environment says of options; other variables are passed over."""
    return [
        Override(option.section, option.name, environment[name], name)
        for name, option in _VARIABLES.items()
        if name in environment
    ]


def unknown_variables(environment: Iterable[str]) -> Iterator[Finding]:
    """Variables that look as if they were of options."""
    for name in environment:
        if name.startswith(PREFIX) and name not in _VARIABLES:
            near = nearest(name, _VARIABLES)
            problem = f"unknown variable {name!r}"
            yield Finding(Severity.WARNING, "environment", problem, option=name, near=near)


def of_words(words: Sequence[str]) -> tuple[list[Override], list[str]]:
    """What a command line says of options, and its other words.

    A list is several words; a switch without a word is true. ConfigError for an unknown
    option, or one without its value.
    """
    found: list[Override] = []
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        match = _WORD.fullmatch(word)
        if match is None:
            rest.append(word)
            continue
        name = f"--{match[1]}.{match[2]}"
        option = _WORDS.get(name)
        if option is None:
            near = nearest(name, _WORDS)
            hint = f"; did you mean {near}?" if near else ""
            raise ConfigError(f"unknown option {name}{hint}")
        value = _values(option, left) if match[3] is None else match[3]
        found.append(Override(option.section, option.name, value, name))
    return found, rest


def _values(option: Option, left: list[str]) -> str:
    """Take the option's words from the beginning of `left`."""
    taken: list[str] = []
    while left and not left[0].startswith("--") and (option.kind.many or not taken):
        if option.kind.switch and not _fits(option, left[0]):
            break
        taken.append(left.pop(0))
    if not taken and not option.kind.switch:
        raise ConfigError(f"--{option.section}.{option.name}: expected {option.kind.expected}")
    return " ".join(taken) if taken else "true"


def _fits(option: Option, word: str) -> bool:
    try:
        option.kind.convert(word)
    except ValueError:
        return False
    return True
