"""The text of a configuration without what is secret in it, to be kept or handed on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.settings.table import TABLE

HIDDEN = "(hidden)"
_KNOWN = frozenset(option.name for option in TABLE if option.secret)
_TELLING = re.compile(r"secret|passw|passphrase", re.IGNORECASE)
"""Names that nobody knows are secret when they sound so."""
_OPTION = re.compile(r"(\s*[#;]?\s*)([^\s=:#;\[][^=:]*?)(\s*[=:]\s*)(.*)", re.DOTALL)


def is_secret(option: str) -> bool:
    """Whether the value of an option of that name is never shown."""
    return option in _KNOWN or bool(_TELLING.search(option))


def without_secrets(text: str) -> str:
    """The text with `(hidden)` for secret values, in comments too; as many lines as before."""
    return "".join(_lines(text))


def _lines(text: str) -> Iterator[str]:
    hiding = False
    for line in text.splitlines(keepends=True):
        end = line[len(line.rstrip("\r\n")) :]
        if hiding and line[:1].isspace() and line.strip():  # the value goes on
            yield end
            continue
        match = _OPTION.fullmatch(line.removesuffix(end) if end else line)
        hiding = match is not None and is_secret(match[2])
        if match is not None and hiding:
            yield f"{match[1]}{match[2]}{match[3]}{HIDDEN if match[4] else ''}{end}"
        else:
            yield line
