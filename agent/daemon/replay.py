"""`vrouter-agent replay`: what a recorded agent came to, found out again from its inputs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from agent.daemon.compare import differences, text
from agent.daemon.core import Core
from agent.daemon.player import Player
from agent.daemon.state import Row, digest, state
from agent.daemon.until import Until
from agent.errors import AgentError, BugError, RecordingError, UsageError
from agent.record import Reader, Recorded
from agent.record.events import Ended, Started, Turn

EINVAL = 22


@dataclass(slots=True)
class Result:
    """What came of a replay. `verdict` tells whether it is what was recorded, `findings` why not.

    `ended`: the recording was played to its proper end.
    """

    core: Core
    rows: list[Row] = field(default_factory=list)
    digest: str = ""
    events: int = 0
    seconds: float = 0.0
    ended: bool = False
    findings: list[str] = field(default_factory=list)
    problem: RecordingError | None = None
    crashes: int = 0

    @property
    def faithful(self) -> bool:
        """Whether everything that could be compared with the recording was equal to it."""
        return not self.findings


def replay(file: BinaryIO, until: Until | None = None) -> Result:
    """Play a recording on a fresh core. RecordingError if it cannot be read at all.

    What a call raised, it raised when it was recorded: it is written to standard error, and
    the next event is played, as the agent went on then.
    """
    reader = Reader(file.read)
    recorded = iter(reader)
    first = next(recorded, None)
    if first is None or not isinstance(first.event, Started):
        raise reader.problem or RecordingError("the recording has no beginning", 0)
    player = Player(first.event, first.now)
    result = Result(player.core)
    _play(player, _those(recorded, until or Until(), first.now), first, result)
    result.problem = reader.problem
    result.rows = state(player.core)
    result.digest = digest(player.core)
    return result


def _those(recorded: Iterable[Recorded], until: Until, start: float) -> Iterator[Recorded]:
    for one in recorded:
        if until.passed(one, start):
            return
        yield one


def _play(player: Player, recorded: Iterator[Recorded], first: Recorded, result: Result) -> None:
    result.events = 1
    last = first
    for one in recorded:
        result.events = one.number
        result.seconds = one.now - first.now
        with _going_on(last, result):
            player.finish(one.event)
        last = one
        if isinstance(one.event, Ended):
            result.ended = True
            _verify_end(player, one.event, result)
            return
        if isinstance(one.event, Turn) and one.event.outputs != player.outputs.sum:
            _differs(result, f"before event {one.number}")
        with _going_on(one, result):
            player.play(one.event, one.now)
    with _going_on(last, result):
        player.finish()


@contextmanager
def _going_on(one: Recorded, result: Result) -> Iterator[None]:
    """Note what an event raises, and go on."""
    try:
        yield
    except BugError as error:
        result.findings.append(f"event {one.number}: {error}")
    except AgentError:
        pass  # a refused request or file: it was refused then too
    except Exception:
        result.crashes += 1
        name = type(one.event).__name__
        print(f"event {one.number} ({name}) raised:", file=sys.stderr)
        traceback.print_exc()


def _differs(result: Result, place: str) -> None:
    if not result.findings:
        result.findings.append(f"{place} something else was sent than recorded")


def _verify_end(player: Player, ended: Ended, result: Result) -> None:
    if ended.outputs != player.outputs.sum:
        _differs(result, "at the end")
    if ended.digest and ended.digest != digest(player.core):
        result.findings.append("the state at the end is not the recorded one")


# The command


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent replay",
        description="Play a recording of vrouter-agent --record on a fresh core and print the"
        " state that results. Nothing is opened but the files named.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording")
    parser.add_argument(
        "--until",
        type=Until.parse,
        metavar="N|+SECONDS",
        help="stop after event N, or so many seconds after the start (in both recordings)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--diff",
        type=Path,
        metavar="OTHER",
        help="print how OTHER's resulting state differs; exit status 1 if it does",
    )
    parser.add_argument("--events", action="store_true", help="list the events instead")
    parser.add_argument("--log", action="store_true", help="let the core log to standard error")
    return parser.parse_args(words)


def _configure_logs(wanted: bool) -> None:
    level = logging.DEBUG if wanted else logging.CRITICAL
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.LogfmtRenderer(key_order=["level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main(words: list[str]) -> int:
    """0: as recorded (or equal); 1: different, or not as recorded; 22: unusable file."""
    arguments = _arguments(words)
    _configure_logs(arguments.log)
    try:
        return _run(arguments)
    except AgentError as error:
        print(f"vrouter-agent replay: {error}", file=sys.stderr)
        return EINVAL
    except BrokenPipeError:  # whoever reads has seen enough; nothing may be left to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: argparse.Namespace) -> int:
    if arguments.events:
        return _list(arguments.file, arguments.until)
    result = _replayed(arguments.file, arguments.until)
    if arguments.diff is None:
        _print(result, arguments.json)
        return 0 if result.faithful else 1
    other = _replayed(arguments.diff, arguments.until)
    found = list(differences(result.rows, other.rows))
    if arguments.json:
        print(json.dumps([one.members() for one in found], indent=2))
    else:
        for one in found:
            print(one)
    return 1 if found or not (result.faithful and other.faithful) else 0


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _replayed(path: Path, until: Until | None) -> Result:
    with _open(path) as file:
        try:
            result = replay(file, until)
        except AgentError as error:
            raise AgentError(f"{path}: {error}") from None
    print(f"{path}: {_summary(result, until)}", file=sys.stderr)
    for finding in result.findings:
        print(f"{path}: not as recorded: {finding}", file=sys.stderr)
    return result


def _summary(result: Result, until: Until | None) -> str:
    said = f"{result.events} events of {result.seconds:.3f} s, state {result.digest[:16]}"
    if result.problem is not None:
        said += f"; {result.problem}: the rest is lost"
    elif result.ended:
        said += ", the recorded one" if result.faithful else ""
    elif until is None:
        said += "; the recording has no end: its limit was reached, or the agent was killed"
    if result.crashes:
        said += f"; {result.crashes} events raised an error"
    return said


def _print(result: Result, as_json: bool) -> None:
    if not as_json:
        for row in result.rows:
            print(text(row))
        return
    sections: dict[str, dict[str, Any]] = {}
    for row in result.rows:
        sections.setdefault(row.section, {})[row.key] = dict(row.members)
    print(
        json.dumps({"digest": result.digest, "events": result.events, "state": sections}, indent=2)
    )


def _list(path: Path, until: Until | None) -> int:
    """One line an event: its number, seconds since the start, what it was."""
    with _open(path) as file:
        reader = Reader(file.read)
        start: float | None = None
        for one in reader:
            start = one.now if start is None else start
            if (until or Until()).passed(one, start):
                break
            shown = re.sub(r"b[\'\"].{64,}", _shortened, repr(one.event))
            print(f"{one.number} +{one.now - start:.6f} {shown}")
    if reader.problem is not None:
        print(f"{path}: {reader.problem}: the rest is lost", file=sys.stderr)
    return 0


def _shortened(found: re.Match[str]) -> str:
    return f"{found[0][:64]}..."
