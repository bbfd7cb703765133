"""`flow -s` and `flow -r`: what the table holds and how fast that changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from agent.cli import tool
from agent.cli.terminal import CLEAR
from agent.sandesh.vrouter import VrFlowTableData
from agent.shm import FlowStatistics

REFRESH_SECONDS = 0.5
_STEEP = 1000
"""Only faster changes than this, a second, count for the average rates."""

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
        "flows": statistics.counts.active - statistics.counts.evicted,
        "actions": statistics.actions,
        "drop_reasons": statistics.drop_reasons,
        **asdict(statistics.counts),
    }


class Averages:
    """How fast flows were set up and torn down while that was fast. Times in seconds."""

    def __init__(self) -> None:
        self._changes = {True: 0, False: 0}
        self._seconds = {True: 0.0, False: 0.0}

    def add(self, change: int, seconds: float) -> None:
        """So many flows more, or less, in this time."""
        if abs(_rate(0, change, seconds)) > _STEEP:
            self._changes[change > 0] += abs(change)
            self._seconds[change > 0] += seconds

    def rate(self, *, setup: bool) -> int:
        """Flows a second."""
        return _rate(0, self._changes[setup], self._seconds[setup])


def show_statistics() -> Show:
    """The screen of `flow -s`, drawn over the last one on a terminal."""
    averages = Averages()

    def show(before: Sample, after: Sample) -> None:
        averages.add(_ready(after) - _ready(before), after.at - before.at)
        clear = CLEAR if sys.stdout.isatty() else ""
        print(clear + "\n".join(_screen(before, after, averages)), flush=True)

    return show


def _live(sample: Sample) -> int:
    """Flows that were not evicted."""
    return sample.statistics.counts.active - sample.statistics.counts.evicted


def _ready(sample: Sample) -> int:
    """Flows that do not wait for the agent."""
    return _live(sample) - sample.statistics.actions.get("hold", 0)


def _acting(sample: Sample) -> dict[str, int]:
    """Live flows by action; a flow that is evicted drops."""
    counts = sample.statistics.actions
    dropping = max(counts.get("drop", 0) - sample.statistics.counts.evicted, 0)
    return {**counts, "drop": dropping}


def _screen(before: Sample, after: Sample, averages: Averages) -> Iterator[str]:
    now, actions = after.statistics, _acting(after)
    seconds = after.at - before.at
    total, ready, hold = _live(after), _ready(after), after.table.ftable_hold_entries
    grown, decided = total - _live(before), ready - _ready(before)
    held = hold - before.table.ftable_hold_entries
    yield f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}"
    yield from ("Flow Statistics", "-" * 15)
    yield f"    Total  Entries  --- Total = {total:7}, new = {grown:7} "
    yield f"    Active Entries  --- Total = {ready:7}, new = {decided:7} "
    yield f"    Hold   Entries  --- Total = {hold:7}, new = {held:7} "
    for title, name in (("Fwd", "forward"), ("drop", "drop"), ("NAT", "nat")):
        yield f"    {title + ' flow Entries':<18}- Total = {actions.get(name, 0):7}"
    yield ""
    yield from ("    Rate of change of Active Entries", "    " + "-" * 32)
    yield f"        current rate      = {_rate(0, decided, seconds):8}"
    yield f"        Avg setup rate    = {averages.rate(setup=True):8}"
    yield f"        Avg teardown rate = {averages.rate(setup=False):8}"
    yield from ("    Rate of change of Flow Entries", "    " + "-" * 30)
    yield f"        current rate      = {_rate(0, grown, seconds):8}"
    if now.counts.corrupt or now.counts.broken_chains:
        yield ""
        yield f"    Corrupt entries: {now.counts.corrupt}, chains: {now.counts.broken_chains}"


def show_rate(before: Sample, after: Sample) -> None:
    """The line of `flow -r`; nothing while nothing changes."""
    line = rates(before, after)
    if not (line["rate"] or line["hold"]):
        return
    now = datetime.now()
    print(
        f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03}:  Entries = {line['entries']:8} "
        f"Rate = {line['rate']:6} (Fwd = {line['processed']:8} Rev = {line['added']:8} "
        f"Del = {line['deleted']:8}) Hold = {line['hold']:8} "
        f"Free Burst Tokens = {line['burst_tokens']:8} Total Hold Entries {line['hold']:8}",
        flush=True,
    )


def rates(before: Sample, after: Sample) -> dict[str, int]:
    """Flows in use and on hold; those decided on, added and deleted in this time, and how many
    that is a second."""
    seconds, old, new = after.at - before.at, before.table, after.table
    processed = new.ftable_processed - old.ftable_processed
    added = new.ftable_added - old.ftable_added
    deleted = new.ftable_deleted - old.ftable_deleted
    return {
        "entries": new.ftable_used_entries,
        "rate": sum(_rate(0, count, seconds) for count in (processed, added, deleted)),
        "processed": processed,
        "added": added,
        "deleted": deleted,
        "hold": new.ftable_hold_entries,
        "burst_tokens": new.ftable_burst_free_tokens,
        "milliseconds": round(1000 * seconds),
    }


def show_statistics_json(_: Sample, after: Sample) -> None:
    """One JSON document a sample."""
    tool.print_json(statistics_json(after.statistics))


def show_rate_json(before: Sample, after: Sample) -> None:
    """One JSON document a sample but the first, which has nothing before it."""
    if after is not before:
        tool.print_json(rates(before, after))
