"""A row of the table of options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from agent.settings.kinds import Kind


class Reload(Enum):
    """What becomes of another value when the file is read again (SIGHUP)."""

    LIVE = "yes"
    RESTART = "no"
    """It takes effect, or its full effect, with the next start."""
    UNUSED = "no effect"
    """Known and checked, as files of the reference agent have it; this agent does not use it."""


_NOTHING = ("", "[]")
"""How files say that there is none."""


@dataclass(frozen=True, slots=True)
class Option:
    """`default` is text, converted like the file's; `text` says in a line what it is for.

    `ours`: the reference agent does not know it. `secret`: its value is never shown.
    """

    name: str
    kind: Kind
    default: str
    reload: Reload
    text: str
    ours: bool = False
    secret: bool = False
    section: str = ""

    @property
    def title(self) -> str:
        """`[SECTION] name`, as messages have it."""
        return f"[{self.section}] {self.name}"

    def is_default(self, text: str) -> bool:
        """Whether this says no more than the default; generated files do so at length."""
        try:
            return text in _NOTHING or self.kind.convert(text) == self.kind.convert(self.default)
        except ValueError:
            return False

    def shown(self, value: str) -> str:
        """The text of a value, for messages."""
        return "(hidden)" if self.secret else value


def live(
    name: str, kind: Kind, default: str, text: str, *, ours: bool = False, secret: bool = False
) -> Option:
    """An option that a reload takes over."""
    return Option(name, kind, default, Reload.LIVE, text, ours, secret)


def fixed(
    name: str, kind: Kind, default: str, text: str, *, ours: bool = False, secret: bool = False
) -> Option:
    """An option that counts at start."""
    return Option(name, kind, default, Reload.RESTART, text, ours, secret)


def unused(name: str, kind: Kind, default: str, text: str, *, secret: bool = False) -> Option:
    """An option of the reference agent that has no effect here."""
    return Option(name, kind, default, Reload.UNUSED, text, secret=secret)


def section(name: str, *rows: Option) -> Iterator[Option]:
    """Rows of one section."""
    return (replace(row, section=name) for row in rows)
