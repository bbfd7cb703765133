"""A tool that shows one table of the datapath: every row, or the one with a key.

Where rows map a key to a nexthop and nothing else, it also makes and ends them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from agent.cli import changes, tool
from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import Message

Row = TypeVar("Row", bound=Message)


@dataclass(frozen=True, slots=True)
class Edits(Generic[Row]):
    """`add(key, nexthop)` and `remove(key)` change a row."""

    add: Callable[[int, int], Row]
    remove: Callable[[int], Row]


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """What is particular to a table; `every`, `key` and `one` are words of its help.

    `get(key)` asks for a row, `after(last)` for the rows behind one (None: from the start).
    """

    name: str
    purpose: str
    every: str
    key: str
    one: str
    kind: type[Row]
    get: Callable[[int], Row]
    after: Callable[[Row | None], Row]
    lines: Callable[[Row], Iterable[str]]
    as_json: Callable[[Row], dict[str, Any]]
    header: tuple[str, ...] = ()
    misuse: int = tool.MISUSE
    edits: Edits[Row] | None = None

    def main(self, arguments: Sequence[str] | None) -> int:
        """The tool with these arguments; its exit status."""
        made = tool.parser(self.name, self.purpose, misuse=self.misuse)
        what = made.add_mutually_exclusive_group(required=True)
        what.add_argument("--dump", action="store_true", help=self.every)
        what.add_argument("--get", type=tool.number, metavar=self.key, help=self.one)
        if self.edits is not None:
            return self._edit_or_show(self.edits, made, what, arguments)
        return self._show(made.parse_args(arguments))

    def _edit_or_show(
        self,
        edits: Edits[Row],
        made: argparse.ArgumentParser,
        what: argparse._MutuallyExclusiveGroup,
        arguments: Sequence[str] | None,
    ) -> int:
        what.add_argument("--create", type=tool.number, metavar=self.key, help=f"make {self.one}")
        what.add_argument("--delete", type=tool.number, metavar=self.key, help=f"end {self.one}")
        made.add_argument("--nh", type=tool.number, metavar="ID", help="with --create: its nexthop")
        options = made.parse_args(arguments)
        if options.create is not None and options.nh is None:
            made.error("--create needs --nh")
        if options.create is None and options.delete is None:
            return self._show(options)
        return tool.run(options, partial(_edit, edits), once=True)

    def _show(self, options: argparse.Namespace) -> int:
        return tool.run(options, self._dump if options.dump else self._get)

    def _get(self, client: DatapathClient, options: argparse.Namespace) -> None:
        if not options.json:
            self._print(self.header)
        row = client.get(self.get(options.get).encode(), self.kind)
        if options.json:
            tool.print_json(self.as_json(row))
        else:
            self._print(self.lines(row))

    def _dump(self, client: DatapathClient, options: argparse.Namespace) -> None:
        rows = client.dump(lambda last: self.after(last).encode(), self.kind)
        if options.json:
            tool.print_json_rows(self.as_json(row) for row in rows)
            return
        self._print(self.header)
        for row in rows:
            self._print(self.lines(row))

    @staticmethod
    def _print(lines: Iterable[str]) -> None:
        for line in lines:
            print(line)


def _edit(edits: Edits[Row], client: DatapathClient, options: argparse.Namespace) -> None:
    if options.create is not None:
        changes.order(client, edits.add(options.create, options.nh))
        changes.done(options, {"created": options.create, "nexthop": options.nh})
    else:
        changes.order(client, edits.remove(options.delete))
        changes.done(options, {"deleted": options.delete})
