"""The table of options as documentation: for a Markdown page, and as a sample file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby

from agent.settings.option import Option, Reload
from agent.settings.table import TABLE

_WIDTH = 96
_SAMPLE_HEAD = """\
# Sample configuration of vrouter-agent: every option that has an effect, with its default.
# `vrouter-agent check-config FILE` says what is wrong in a file. (restart): a reload with SIGHUP
# does not take the option over. (ours): the reference agent does not know it.
"""


def markdown() -> str:
    """The options with effect, a table a section; then the names of those without."""
    lines: list[str] = []
    for section, rows in _sections(row for row in TABLE if row.reload is not Reload.UNUSED):
        lines += [
            f"### [{section}]",
            "",
            "| option | default | reload | value | |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(row) for row in rows]
        lines.append("")
    lines += ["### Options without effect", "", "| section | options |", "|---|---|"]
    for section, rows in _sections(row for row in TABLE if row.reload is Reload.UNUSED):
        names = ", ".join(f"`{row.name}`" for row in rows)
        lines.append(f"| `[{section}]` | {names} |")
    return "\n".join(lines) + "\n"


def sample() -> str:
    """A file that says nothing but the defaults, all of it in comments."""
    parts = [_SAMPLE_HEAD]
    for section, rows in _sections(row for row in TABLE if row.reload is not Reload.UNUSED):
        parts.append(f"[{section}]")
        for row in rows:
            parts += textwrap.wrap(
                _described(row), _WIDTH, initial_indent="# ", subsequent_indent="# "
            )
            parts.append(f"#{row.name} = {row.default}".rstrip())
        parts.append("")
    return "\n".join(parts)


def _sections(rows: Iterable[Option]) -> Iterator[tuple[str, list[Option]]]:
    for name, found in groupby(rows, key=lambda row: row.section):
        yield name, list(found)


def _row(row: Option) -> str:
    default = f"`{row.default}`" if row.default else ""
    name = f"`{row.name}`" + (" (ours)" if row.ours else "")
    return f"| {name} | {default} | {row.reload.value} | {row.kind.expected} | {row.text} |"


def _described(row: Option) -> str:
    marks = [word for word, on in (("restart", _at_start(row)), ("ours", row.ours)) if on]
    told = f" ({', '.join(marks)})" if marks else ""
    return f"{row.text}: {row.kind.expected}{told}"


def _at_start(row: Option) -> bool:
    return row.reload is Reload.RESTART
