"""The text of a configuration file, taken apart as the reference agent's parser does.

A `#` begins a comment wherever it stands, only `=` parts an option from its value, blanks at
either end count for nothing, and a section may come several times. So a file means the same to
both agents. A line that begins with `;` is a comment too, here alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Place = tuple[str, str]
"""Section and option."""

_BLANKS = " \t\r\n\v\f"
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")
NO_OPTION = "neither [SECTION] nor OPTION = VALUE"


@dataclass(frozen=True, slots=True)
class Written:
    """One value as it stands there; `line` counts from 1."""

    value: str
    line: int


@dataclass(slots=True)
class Text:
    """What a file says. `sections`: with the line of each; `loose`: options before any section;
    `problems`: lines that mean nothing, without their words: they may hold secrets."""

    options: dict[Place, list[Written]] = field(default_factory=dict)
    sections: dict[str, int] = field(default_factory=dict)
    loose: dict[str, int] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)

    def names(self, section: str) -> Iterator[str]:
        """The options that a section has."""
        return (option for found, option in self.options if found == section)

    def line(self, place: Place) -> int:
        """Where an option, or a section (with an option of ""), stands first; 0: nowhere."""
        section, option = place
        if not option:
            return self.sections.get(section, 0)
        return self.options[place][0].line if place in self.options else 0


def read(text: str) -> Text:
    """Take a text apart; no text is refused as a whole."""
    found = Text()
    section: str | None = None
    for at, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        words = line.partition("#")[0].strip(_BLANKS)
        if not words or words.startswith(";"):
            continue
        name, equals, value = words.partition("=")
        name = name.rstrip(_BLANKS)
        if _CONTROL.search(words):
            found.problems[at] = "a control character"
        elif words.startswith("[") and words.endswith("]"):
            section = words[1:-1]
            found.sections.setdefault(section, at)
        elif not (name and equals):
            found.problems[at] = NO_OPTION
        elif section is None:
            found.loose.setdefault(name, at)
        else:
            written = Written(value.lstrip(_BLANKS), at)
            found.options.setdefault((section, name), []).append(written)
    return found
