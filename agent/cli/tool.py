"""What every datapath tool shares: options, errors to the user, JSON output, repetition."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn

from agent.cli import terminal
from agent.cli.datapath_client import DatapathClient
from agent.cli.locate import find
from agent.errors import AgentError, DatapathError

Run = Callable[[DatapathClient, argparse.Namespace], int | None]
"""Acts for a tool; what it returns, if anything, is the exit status."""

MISUSE = 2
"""Exit status of a tool that is called wrongly, unless the original has another."""
MISUSE_NEGATIVE_EINVAL = 234
"""Theirs, where they end with -EINVAL."""
_FAILED = 1
_INTERRUPTED = 130
_MOST = (1 << 31) - 1
_EVERY = 2.0
_LONGEST_WAIT = 86_400.0
_called_by: ContextVar[str] = ContextVar("called_by", default="")


class Parser(argparse.ArgumentParser):
    """Options of a tool; a mistake in them ends it with `misuse`."""

    misuse = MISUSE

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.misuse, f"{self.prog}: error: {message}\n")


def parser(name: str, what: str, *, misuse: int = MISUSE) -> argparse.ArgumentParser:
    """A parser with the options that all tools have. `misuse`: status for wrong options."""
    made = Parser(prog=_called_by.get() + name, description=what, allow_abbrev=False)
    made.misuse = misuse
    made.add_argument(
        "--sock-dir",
        metavar="DIR",
        help="run directory of the datapath (default: $VROUTER_RUN_DIR, /run/vrouter, "
        "/var/run/vrouter, then the kernel module)",
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of text")
    made.add_argument(
        "--watch",
        type=_period,
        nargs="?",
        const=_EVERY,
        metavar="SECONDS",
        help=f"show it again every so often (default: {_EVERY:g}), until Ctrl-C",
    )
    return made


@contextlib.contextmanager
def called_by(program: str) -> Iterator[None]:
    """Tools name themselves as this program's commands in their usage."""
    token = _called_by.set(f"{program} ")
    try:
        yield
    finally:
        _called_by.reset(token)


def run(options: argparse.Namespace, action: Run, *, once: bool = False) -> int:
    """Connect, act, and turn every failure into one line. Returns the exit status.

    A refusal of the datapath is printed where the original tools print it, on standard
    output, in their words, and with their status 0. With `--json` it goes to standard
    error with status 1, so that standard output holds JSON or nothing. On a terminal the
    text goes through a pager. `once`: the action changes something or shows for as long as
    the user looks; it is not repeated by `--watch` and not paged.
    """
    return _guard(options, partial(_act, action, options), once)


def run_local(
    options: argparse.Namespace, action: Callable[[argparse.Namespace], None], *, once: bool = False
) -> int:
    """As `run`, for an action that needs no datapath."""

    def act() -> int:
        action(options)
        return 0

    return _guard(options, act, once)


def _guard(options: argparse.Namespace, act: Callable[[], int], once: bool) -> int:
    if once and options.watch is not None:
        print("error: --watch repeats what only shows", file=sys.stderr)
        return MISUSE
    try:
        if options.watch is not None:
            terminal.repeat(_lasting(act), options.watch)
        with contextlib.nullcontext() if once else terminal.paged():
            status = act()
            sys.stdout.flush()
        return status
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    except BrokenPipeError:  # the reader of a pipe has gone, e.g. `| head`, or the pager
        _discard_output()
    except OSError as error:  # such as a full disk behind `>`; the socket's own are AgentErrors
        _discard_output()
        print(f"error: cannot write the output: {error.strerror or error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _act(action: Run, options: argparse.Namespace) -> int:
    with DatapathClient.open(find(options.sock_dir)) as client:
        try:
            return action(client, options) or 0
        except DatapathError as error:
            print(
                f"vRouter(Response): {os.strerror(error.errno)} ({error.errno})",
                file=sys.stderr if options.json else sys.stdout,
            )
            return _FAILED if options.json else 0


def _lasting(show: Callable[[], int]) -> Callable[[], None]:
    """Show, and once that went well outlive a datapath that goes away and comes back."""
    seen = False

    def shown() -> None:
        nonlocal seen
        try:
            show()
            seen = True
        except AgentError as error:
            if not seen:
                raise
            print(f"error: {error}", file=sys.stderr)

    return shown


def _discard_output() -> None:
    """What could not be written must not be tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def number(text: str) -> int:
    """An argument that is an index, a VRF, a label: what every such wire field can hold."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {_MOST}")
    return value


def _period(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= _LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no time from 0.1 to 86400 seconds")
    return seconds


def print_json(value: Any) -> None:
    """Print one JSON document, indented, keys in the order given."""
    print(json.dumps(value, indent=2))


def print_json_rows(rows: Iterable[Any]) -> None:
    """Print a list as one JSON document, as `print_json` would, without holding it in memory.

    When the rows end with an error, the document is cut off, or missing if none came.
    """
    before = "[\n"
    for row in rows:
        print(before + textwrap.indent(json.dumps(row, indent=2), "  "), end="")
        before = ",\n"
    print("[]" if before == "[\n" else "\n]")


def plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Message fields as JSON can carry them: bytes as lists of numbers, tuples as lists."""
    return {name: _plain_value(value) for name, value in fields.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    return list(value) if isinstance(value, Iterable) else value
