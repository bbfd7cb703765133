"""What every datapath tool shares: options, errors to the user, JSON output."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.cli.datapath_client import DatapathClient, find_directory
from agent.errors import AgentError, DatapathError

Run = Callable[[DatapathClient, argparse.Namespace], None]

_FAILED = 1
_MOST = (1 << 31) - 1


def parser(name: str, what: str) -> argparse.ArgumentParser:
    """A parser with the options that all tools have."""
    made = argparse.ArgumentParser(prog=name, description=what, allow_abbrev=False)
    made.add_argument(
        "--sock-dir",
        metavar="DIR",
        help="run directory of the datapath (default: $VROUTER_RUN_DIR, /run/vrouter, "
        "/var/run/vrouter)",
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of text")
    return made


def run(options: argparse.Namespace, action: Run) -> int:
    """Connect, act, and turn every failure into one line. Returns the exit status.

    A refusal of the datapath is printed where the original tools print it, on standard
    output, and in their words; the status is 1 (theirs is 0). With `--json` it goes to
    standard error, so that standard output holds JSON or nothing.
    """
    try:
        with DatapathClient.connect(find_directory(options.sock_dir)) as client:
            action(client, options)
        sys.stdout.flush()
    except DatapathError as error:
        print(
            f"vRouter(Response): {os.strerror(error.errno)} ({error.errno})",
            file=sys.stderr if options.json else sys.stdout,
        )
        return _FAILED
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    except BrokenPipeError:  # the reader of a pipe has gone, e.g. `| head`
        _discard_output()
    except OSError as error:  # such as a full disk behind `>`; the socket's own are AgentErrors
        _discard_output()
        print(f"error: cannot write the output: {error.strerror or error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return 130
    return 0


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


def print_json(value: Any) -> None:
    """Print one JSON document, indented, keys in the order given."""
    print(json.dumps(value, indent=2))


def plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Message fields as JSON can carry them: bytes as lists of numbers, tuples as lists."""
    return {name: _plain_value(value) for name, value in fields.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    return list(value) if isinstance(value, Iterable) else value
