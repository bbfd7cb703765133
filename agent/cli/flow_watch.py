"""`flow -s` and `flow -r`: what the table holds and how fast that changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from agent.cli import tool
from agent.sandesh.vrouter import VrFlowTableData
from agent.shm import FlowStatistics

REFRESH_SECONDS = 0.5
_CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"

Read = Callable[[], tuple[VrFlowTableData, FlowStatistics]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What the datapath counted and what the table held at a time (monotonic seconds)."""

    at: float
    table: VrFlowTableData
    statistics: FlowStatistics

    @classmethod
    def take(cls, read: Read) -> Sample:
        """Now."""
        table, statistics = read()
        return cls(time.monotonic(), table, statistics)


Show = Callable[[Sample, Sample], None]


def watch(read: Read, show: Show, count: int | None) -> None:
    """Take samples, each REFRESH_SECONDS after the one before; show each with that one.

    `count` None: until interrupted.
    """
    before = Sample.take(read)
    show(before, before)
    taken = 1
    while count is None or taken < count:
        time.sleep(REFRESH_SECONDS)
        after = Sample.take(read)
        show(before, after)
        before, taken = after, taken + 1


def _rate(before: float, after: float, seconds: float) -> int:
    return round((after - before) / seconds) if seconds > 0 else 0


def statistics_json(statistics: FlowStatistics) -> dict[str, Any]:
    """The numbers of a table for programs."""
    return {
        "flows": statistics.counts.active,
        "actions": statistics.actions,
        "drop_reasons": statistics.drop_reasons,
        **asdict(statistics.counts),
    }


def show_statistics(before: Sample, after: Sample) -> None:
    """The screen of `flow -s`, drawn over the last one on a terminal."""
    if sys.stdout.isatty():
        print(_CLEAR_SCREEN, end="")
    print("\n".join(_screen(before, after)), flush=True)


def _screen(before: Sample, after: Sample) -> Iterator[str]:
    now, then = after.statistics, before.statistics
    seconds = after.at - before.at
    yield from ("Flow Statistics", "-" * 15)
    active, hold = now.counts.active, now.actions.get("hold", 0)
    grown = active - then.counts.active
    yield f"    Total  Entries  --- Total = {active:4}, new = {grown:4}"
    ready, earlier = active - hold, then.counts.active - then.actions.get("hold", 0)
    yield f"    Active Entries  --- Total = {ready:4}, new = {ready - earlier:4}"
    held = hold - then.actions.get("hold", 0)
    yield f"    Hold   Entries  --- Total = {hold:4}, new = {held:4}"
    for title, name in (("Fwd", "forward"), ("drop", "drop"), ("NAT", "nat")):
        yield f"    {title + ' flow Entries':<18}- Total = {now.actions.get(name, 0):4}"
    yield ""
    yield from _rates(before.table, after.table, grown, seconds)
    if now.counts.corrupt or now.counts.broken_chains:
        yield ""
        yield f"    Corrupt entries: {now.counts.corrupt}, chains: {now.counts.broken_chains}"


def _rates(
    before: VrFlowTableData, after: VrFlowTableData, grown: int, seconds: float
) -> Iterator[str]:
    yield from ("    Rate of change of Active Entries", "    " + "-" * 32)
    yield f"        current rate      = {_rate(0, grown, seconds):4}"
    made = _rate(_made(before), _made(after), seconds)
    yield f"        Avg setup rate    = {made:4}"
    gone = _rate(before.ftable_deleted, after.ftable_deleted, seconds)
    yield f"        Avg teardown rate = {gone:4}"


def _made(table: VrFlowTableData) -> int:
    return table.ftable_created + table.ftable_added


def show_rate(before: Sample, after: Sample) -> None:
    """The line of `flow -r`; nothing while nothing changes."""
    line = rates(before, after)
    if line["new"] or line["setup_rate"] or line["flow_rate"]:
        print(
            f"New = {line['new']:4}, Flow setup rate = {line['setup_rate']:4} flows/sec, "
            f"Flow rate = {line['flow_rate']:4} flows/sec, for last {line['milliseconds']:4} ms",
            flush=True,
        )


def rates(before: Sample, after: Sample) -> dict[str, int]:
    """How many flows are new; those decided on and those made or deleted, a second."""
    seconds, old, new = after.at - before.at, before.table, after.table
    change = abs(_made(new) - _made(old)) + abs(new.ftable_deleted - old.ftable_deleted)
    return {
        "new": _made(new) - _made(old),
        "setup_rate": _rate(old.ftable_processed, new.ftable_processed, seconds),
        "flow_rate": _rate(0, change, seconds),
        "milliseconds": round(1000 * seconds),
    }


def show_statistics_json(_: Sample, after: Sample) -> None:
    """One JSON document a sample."""
    tool.print_json(statistics_json(after.statistics))


def show_rate_json(before: Sample, after: Sample) -> None:
    """One JSON document a sample but the first, which has nothing before it."""
    if after is not before:
        tool.print_json(rates(before, after))
