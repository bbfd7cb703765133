"""From batches of trapped frames to the services that take them, and back to frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agent._fast.packet import FrameBatch, Packet, Port
from agent.pkt.enums import Module, Status

Handler = Callable[[Packet, float], Iterable[bytes]]
"""Takes a packet of its module and `now` in monotonic seconds; returns frames for pkt0."""


@dataclass(slots=True)
class TrapCounters:
    """What became of trapped frames; names as operators know them."""

    pkt_exceptions: int = 0
    pkt_dropped: int = 0
    pkt_no_handler: int = 0
    pkt_invalid_agent_hdr: int = 0
    pkt_invalid_interface: int = 0
    pkt_invalid_ip_pkt: int = 0
    pkt_truncated: int = 0
    pkt_fragments_dropped: int = 0
    pkt_drop_due_to_decode_error: int = 0
    pkt_drop_due_to_flow_trap: int = 0


_COUNTER_OF = {
    Status.TRUNCATED: "pkt_truncated",
    Status.BAD_IHL: "pkt_invalid_ip_pkt",
    Status.BAD_VERSION: "pkt_invalid_ip_pkt",
    Status.FAMILY_MISMATCH: "pkt_invalid_ip_pkt",
    Status.FRAGMENT: "pkt_fragments_dropped",
    Status.FLOW_TRAP_NON_IP: "pkt_drop_due_to_flow_trap",
    Status.BAD_TUNNEL: "pkt_drop_due_to_decode_error",
    Status.UNKNOWN_LABEL: "pkt_drop_due_to_decode_error",
}


@dataclass(slots=True)
class ModuleCounters:
    """Packets of one module."""

    received: int = 0
    sent: int = 0
    q_threshold_exceeded: int = 0


class _Lane:
    """One module's service, its waiting packets, and how many this turn has served."""

    __slots__ = ("counters", "handler", "module", "queue", "served")

    def __init__(self, module: Module, handler: Handler | None) -> None:
        self.module = int(module)
        self.handler = handler
        self.counters = ModuleCounters()
        self.queue: deque[bytes] = deque()
        self.served = 0


class Dispatcher:
    """Parses, classifies and hands over; fair between modules and bounded in memory.

    A turn serves at most `quantum` packets a module. Further ones wait in the module's queue
    (copied, at most `queue_limit`) for the next turn, so that a storm of one protocol delays
    that protocol only.
    """

    def __init__(
        self,
        port_of: Callable[[int], Port | None],
        handlers: Mapping[Module, Handler],
        *,
        quantum: int = 32,
        queue_limit: int = 1024,
    ) -> None:
        self.counters = TrapCounters()
        self._port_of = port_of
        self._lanes = [_Lane(module, handlers.get(module)) for module in Module]
        self._quantum = quantum
        self._queue_limit = queue_limit
        self._packet = Packet()

    @property
    def modules(self) -> dict[Module, ModuleCounters]:
        """The live counters of each module."""
        return {Module(lane.module): lane.counters for lane in self._lanes}

    @property
    def pending(self) -> int:
        """Packets that wait for the next turn."""
        return sum(len(lane.queue) for lane in self._lanes)

    def receive(
        self, batch: FrameBatch, now: float, slots: Iterable[int] | None = None
    ) -> list[bytes]:
        """Serve frames of a batch, all or those in `slots`; those waiting come first.

        Returns the frames to send.
        """
        out = self.turn(now)
        packet = self._packet
        for slot in range(len(batch)) if slots is None else slots:
            self.counters.pkt_exceptions += 1
            lane = self._classify(packet.open_slot(batch, slot))
            if lane is None:
                continue
            lane.counters.received += 1
            if lane.handler is None:
                self._count_unserved(lane)
            elif lane.queue or lane.served >= self._quantum:
                self._enqueue(lane, batch.frame(slot))
            else:
                self._serve(lane, lane.handler, now, out)
        return out

    def turn(self, now: float) -> list[bytes]:
        """Serve waiting packets, a quantum a module; the frames to send."""
        out: list[bytes] = []
        for lane in self._lanes:
            lane.served = 0
            while lane.queue and lane.handler and lane.served < self._quantum:
                verdict = self._packet.open(lane.queue.popleft())
                # The interface may have gone or changed while the packet waited.
                if self._classify(verdict) is lane:
                    self._serve(lane, lane.handler, now, out)
        return out

    def _classify(self, verdict: int) -> _Lane | None:
        """The lane of the opened packet; None when it was dropped and counted."""
        if verdict:
            self.counters.pkt_invalid_agent_hdr += 1
            self.counters.pkt_dropped += 1
            return None
        port = self._port_of(self._packet.ifindex)
        if port is None:
            self.counters.pkt_invalid_interface += 1
            self.counters.pkt_dropped += 1
            return None
        verdict = self._packet.parse(port)
        if not verdict:
            return self._lanes[self._packet.module]
        name = _COUNTER_OF[Status(verdict & 0xFF)]
        setattr(self.counters, name, getattr(self.counters, name) + 1)
        self.counters.pkt_dropped += 1
        return None

    def _count_unserved(self, lane: _Lane) -> None:
        self.counters.pkt_dropped += 1
        if lane.module != Module.INVALID:
            self.counters.pkt_no_handler += 1

    def _enqueue(self, lane: _Lane, frame: bytes) -> None:
        if len(lane.queue) >= self._queue_limit:
            lane.counters.q_threshold_exceeded += 1
            self.counters.pkt_dropped += 1
            return
        lane.queue.append(frame)

    def _serve(self, lane: _Lane, handler: Handler, now: float, out: list[bytes]) -> None:
        lane.served += 1
        before = len(out)
        out.extend(handler(self._packet, now))
        lane.counters.sent += len(out) - before
