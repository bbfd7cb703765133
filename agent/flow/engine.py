"""Flows of one host: the world they are decided in, their pairs, and the walk over the table.

Sans-I/O: batches of trapped packets, the datapath's answers, the mapped table and the time come
in; requests to the datapath go out. While nobody knows yet what should be forwarded, trapped
packets are left alone (their entries are found by the audit), so that no flow is refused for
want of configuration; and entries of an earlier agent are left alone until routes are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from agent._fast.classifier import Classifier
from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent._fast.flow_world import World
from agent._fast.packet import FrameBatch
from agent.flow.aging import Timeouts, service_timeouts, timeouts
from agent.flow.explain import Explainer
from agent.flow.explain import View as ExplainerView
from agent.flow.feed import Rows, WorldFeed
from agent.flow.limits import limits
from agent.flow.question import Question
from agent.oper import Delta
from agent.settings import Settings
from agent.shm import FlowTable

SCAN_ENTRIES = 16384
"""Table entries that one turn looks at, so that none takes long."""

WINDOW, SHARE = 1024, 256
"""Requests under way to the datapath, and how many flows of one port may be in set-up: enough
that both processes have work, few enough that another port's first flow does not wait long."""
QUEUE = 8192
"""Trapped packets of one port that may wait: as many as the datapath holds by itself."""
RECORDS = 32768
"""Ended flows that are kept until someone asks for them, once a second."""


class View(Rows, ExplainerView, Protocol):
    """The rows of oper that flows read."""

    def global_properties(self) -> Mapping[str, Any]:
        """The properties of the global vrouter configuration."""
        ...


class FlowEngine:
    """Everything that decides on flows and keeps them, until `open` without any flow."""

    def __init__(self, settings: Settings, view: View, *, pid: int) -> None:
        self.world = World(Classifier())
        self.feed = WorldFeed(self.world)
        self._explainer = Explainer(self.world, self.feed.lists, self.feed, view)
        self.pairs: FlowPairs | None = None
        self.scanner: FlowScanner | None = None
        self._view = view
        self._pid = pid
        self._entries = 0
        self._ready = False
        self._settled = False
        self._table: FlowTable | None = None
        self._properties: Mapping[str, Any] | None = None
        self._settings = settings
        self._timeouts: Timeouts = timeouts(settings)

    @property
    def link_local_flows(self) -> int:
        """The most flows to link-local services that may need a port of the host."""
        return limits(self._settings, {}, 0)["link_local_flows"]

    @property
    def timeouts(self) -> Timeouts:
        """How long flows may be silent."""
        return self._timeouts

    def age(self, seconds: float) -> None:
        """Common flows may be silent for so long, until configuration says otherwise."""
        self._timeouts = replace(self._timeouts, common=seconds)
        if self.scanner is not None:
            self.scanner.set_timeouts(self._timeouts)

    @property
    def table(self) -> FlowTable | None:
        """The datapath's table, to be read; None while there is none."""
        return self._table

    # Configuration

    def configure(self, settings: Settings) -> None:
        """The file was read again."""
        self._settings, self._properties = settings, None
        self._take_globals()

    def follow(self, delta: Delta) -> None:
        """Oper has changed this."""
        self.feed.follow(delta, self._view)
        self._take_globals()

    def _take_globals(self) -> None:
        properties = self._view.global_properties()
        if properties is self._properties:
            return
        self._properties = properties
        self._timeouts = timeouts(self._settings, service_timeouts(properties))
        if self.scanner is not None:
            self.scanner.set_timeouts(self._timeouts)
        self.world.set_limits(**limits(self._settings, properties, self._entries))

    # Questions

    def explain(self, question: Question) -> Mapping[str, object]:
        """Why a flow would be forwarded or dropped; QuestionError."""
        return self._explainer.explain(question).record()

    # The datapath

    def open(self, table: FlowTable, now: float, *, anew: bool) -> None:
        """The datapath's table is there; `anew`: the datapath holds nothing of earlier."""
        entries = table.geometry.entries
        if self.pairs is None or entries != self._entries:
            self._entries, self._properties = entries, None
            self.pairs = FlowPairs(
                self.world,
                table_entries=entries,
                window=WINDOW,
                share=SHARE,
                queue=QUEUE,
                records=RECORDS,
                pid=self._pid,
            )
        elif anew:
            self.pairs.reset(now)
        self.close()
        self._table = table
        self.scanner = FlowScanner(self.pairs, table, self._timeouts)
        self.scanner.auditing = self._settled
        self._take_globals()

    def close(self) -> None:
        """Leave the table; flows stay as they are."""
        if self.scanner is not None:
            self.scanner.close()
            self.scanner = None
        if self._table is not None:
            self._table.close()
            self._table = None

    def ready(self) -> None:
        """Configuration is known: new flows are decided on from now on."""
        self._ready = True

    def settled(self) -> None:
        """Routes are known too: entries of an earlier agent may be judged."""
        self._settled = True
        if self.scanner is not None:
            self.scanner.auditing = True

    # Packets and turns

    def traps(self, batch: FrameBatch, now: float) -> list[int]:
        """Take flow packets out of a batch; the places of all others."""
        if self.pairs is None or not self._ready:
            return list(range(len(batch)))
        return self.pairs.traps(batch, now)

    def turn(self, now: float) -> bool:
        """Do a bounded part of what waits; whether more does."""
        pairs = self.pairs
        if pairs is None:
            return False
        due = pairs.next_deadline()
        if due is not None and due <= now:
            pairs.tick(now)
        if self.scanner is not None and self.scanner.deadline <= now:
            self.scanner.slice(now, SCAN_ENTRIES)
        return pairs.turn(now)

    def take_limited(self) -> list[tuple[list[int], bool]]:
        """The vifs of VMs that reached their limit (True) or fell below it, since last asked."""
        if self.pairs is None:
            return []
        return [(self.feed.vifs_of(vm), drop) for vm, drop in self.pairs.take_signals()]

    def deadline(self) -> float | None:
        """When a turn is wanted though nothing came in."""
        pairs = None if self.pairs is None else self.pairs.next_deadline()
        scan = None if self.scanner is None else self.scanner.deadline
        if pairs is None or scan is None:
            return scan if pairs is None else pairs
        return pairs if pairs < scan else scan
