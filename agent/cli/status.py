"""`vrouter-agent status`: how an agent is, for people and for monitoring.

The agent is asked; when it does not answer, its run directory tells whether its process is
there and when its loop turned last. Exit codes: 0 all is well, 1 degraded, 2 down, stalled or
not answering, 3 the question makes no sense.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.cli.agent_client import AGENT, AgentClient, NoAnswerError, RefusedError
from agent.cli.credentials import Credentials, add_options
from agent.errors import UsageError

OK, DEGRADED, DOWN, UNKNOWN = range(4)
"""Exit codes, those of monitoring plug-ins."""
RUN_DIR = Path("/run/vrouter")
STALE = 5.0
"""Seconds without a heartbeat after which the loop counts as stalled."""
_CODES = {"ok": OK, "degraded": DEGRADED, "down": DOWN}
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_COLOURS = {"ok": "\x1b[32m", "degraded": "\x1b[33m", "down": "\x1b[31m"}
_RESET = "\x1b[0m"
_PROCESS_STATES = {
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "D": "waits in the kernel",
    "Z": "ended, not collected by its parent",
    "R": "busy",
    "S": "waits",
}


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent status",
        description="Say how the agent of this host is, and what is wrong.",
        epilog="Exit code: 0 all is well, 1 degraded, 2 down, stalled or not answering, "
        "3 the question makes no sense.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything, as JSON")
    form.add_argument("--nagios", action="store_true", help="one line, as plug-ins print it")
    parser.add_argument("--agent", metavar="URL", help=f"introspect port (default: {AGENT})")
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help=f"the agent's run directory, looked at when it does not answer (default: {RUN_DIR})",
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=5.0, metavar="S", help="seconds to wait (default: 5)"
    )
    add_options(parser)
    return parser.parse_args(words)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text}: expected seconds, above 0 and up to 3600")
    return value


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        arguments = _arguments(words)
    except SystemExit as end:
        return UNKNOWN if end.code else OK
    try:
        client = AgentClient(arguments.agent or AGENT, arguments.timeout, Credentials.of(arguments))
        record = _ask(client, _run_dir(arguments))
    except (UsageError, RefusedError) as error:
        print(f"vrouter-agent status: {error}", file=sys.stderr)
        return UNKNOWN
    code = _CODES.get(str(record.get("state")), UNKNOWN)
    if arguments.json:
        print(json.dumps(record, indent=2))
    elif arguments.nagios:
        print(nagios(record, code))
    else:
        print(text(record, colours=_colours()))
    return code


def _run_dir(arguments: argparse.Namespace) -> Path | None:
    """Where to look at what does not answer; None for an agent that is named by its URL alone."""
    if arguments.run_dir is None and arguments.agent is not None:
        return None
    found: Path = arguments.run_dir or RUN_DIR
    return found


def _ask(client: AgentClient, run_dir: Path | None) -> Mapping[str, Any]:
    try:
        return client.ask("/status")
    except NoAnswerError as error:
        silent = str(error)
    trace = look(run_dir) if run_dir is not None else None
    reason = silent if trace is None else f"{silent}; {trace.words}"
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "state": "down",
        "ready": False,
        "time": now,
        "reason": reason,
        "pid": trace.pid if trace else None,
        "heartbeat_age": trace.age if trace else None,
        "parts": [],
    }


# --- what an agent that does not answer has left ------------------------------------------


@dataclass(frozen=True, slots=True)
class Trace:
    """What the run directory tells: the process that holds it, seconds since its last beat."""

    pid: int | None
    age: float | None
    words: str


def look(run_dir: Path) -> Trace:
    """Who holds the run directory, and whether its loop turns."""
    pid, age = _holder(run_dir / "agent.lock"), _age(run_dir / "heartbeat")
    if pid is None:
        return Trace(None, age, f"no agent runs on {run_dir}")
    if age is None:
        return Trace(pid, None, f"process {pid} has {run_dir}, and has not begun to work")
    if age < STALE:
        hint = "is http_server_port another one?"
        return Trace(pid, age, f"process {pid} is alive, last heartbeat {age:.1f} s ago: {hint}")
    doing = _doing(pid)
    words = f"the loop of process {pid} stands still ({doing}): last heartbeat {age:.1f} s ago"
    return Trace(pid, age, f"{words}; stacks in {run_dir / 'stacks.log'}")


def _holder(lock: Path) -> int | None:
    """The process that has the lock on a file. Nothing is locked by looking."""
    try:
        status = lock.stat()
        locks = Path("/proc/locks").read_text()
    except OSError:
        return None
    name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in locks.splitlines():
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == name and words[4].isdecimal():
            return int(words[4])
    return None


def _age(heartbeat: Path) -> float | None:
    try:
        return max(0.0, round(time.time() - heartbeat.stat().st_mtime, 3))
    except OSError:
        return None


def _doing(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "it is gone"
    state = stat.rpartition(")")[2].split()[0]
    return _PROCESS_STATES.get(state, f"state {state}")


# --- the forms ----------------------------------------------------------------------------


def _colours() -> bool:
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not dumb


def text(record: Mapping[str, Any], *, colours: bool = False) -> str:
    """For people: a line on the agent, one on its state, one for each part."""
    lines = []
    if record.get("host"):
        up = duration(float(record.get("uptime", 0.0)))
        who = f"vrouter-agent {record['version']} on {record['host']}"
        lines.append(f"{who}, process {record['pid']}, up {up}")
    ready = "ready" if record.get("ready") else "not ready"
    lines.append(f"state: {_state(record, colours, 0)}, {ready}")
    if not record.get("host") and record.get("reason"):
        lines.append(str(record["reason"]))
    parts = [part for part in record.get("parts", ()) if isinstance(part, dict)]
    if parts:
        lines += ["", *_table(record, parts, colours)]
    return "\n".join(lines)


def _table(record: Mapping[str, Any], parts: list[dict[str, Any]], colours: bool) -> list[str]:
    names = [" ".join(filter(None, (part["part"], part["instance"]))) for part in parts]
    since = [duration(_between(part["since"], record["time"])) for part in parts]
    widths = max(map(len, names)), max(map(len, since))
    rows = []
    for part, name, lasts in zip(parts, names, since, strict=True):
        head = f"{name:<{widths[0]}}  {_state(part, colours, 8)}  {lasts:>{widths[1]}}"
        rows.append(f"{head}  {part['reason']}".rstrip())
    return rows


def _state(record: Mapping[str, Any], colours: bool, width: int) -> str:
    state = str(record.get("state"))
    word = f"{state:<{width}}"
    return f"{_COLOURS[state]}{word}{_RESET}" if colours and state in _COLOURS else word


def _between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def duration(seconds: float) -> str:
    """As people read it: `42 s`, `5 min`, `3 h 20 min`, `12 d 4 h`."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left} s"
    minutes = left // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def nagios(record: Mapping[str, Any], code: int) -> str:
    """One line, as monitoring plug-ins print it; the numbers behind `|` are for graphs."""
    told = str(record.get("reason") or "all parts are well").replace("|", "/").replace("\n", " ")
    numbers = []
    for part in record.get("parts", ()):
        if part["part"] == "loop":
            numbers.append(f"lag={part['numbers'].get('worst lag', 0)}s")
        elif part["part"] == "table":
            used, limit = part["numbers"].get("used", 0), part["numbers"].get("limit", 0)
            numbers.append(f"'{part['instance']}'={used};;;0;{limit}")
    behind = f" | {' '.join(numbers)}" if numbers else ""
    return f"VROUTER-AGENT {_WORDS[code]} - {told}{behind}"
