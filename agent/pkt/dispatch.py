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
        self.modules = {module: ModuleCounters() for module in Module}
        self._port_of = port_of
        self._handlers = dict(handlers)
        self._quantum = quantum
        self._queue_limit = queue_limit
        self._queues: dict[Module, deque[bytes]] = {module: deque() for module in handlers}
        self._served = dict.fromkeys(handlers, 0)
        self._packet = Packet()

    @property
    def pending(self) -> int:
        """Packets that wait for the next turn."""
        return sum(map(len, self._queues.values()))

    def receive(self, batch: FrameBatch, now: float) -> list[bytes]:
        """Serve the frames of a batch, those waiting first; the frames to send."""
        out = self.turn(now)
        for slot in range(len(batch)):
            self.counters.pkt_exceptions += 1
            module = self._accept(self._packet.open_slot(batch, slot))
            if module is None:
                continue
            if self._queues[module] or self._served[module] >= self._quantum:
                self._enqueue(module, batch.frame(slot))
            else:
                self._serve(module, now, out)
        return out

    def turn(self, now: float) -> list[bytes]:
        """Serve waiting packets, a quantum a module; the frames to send."""
        out: list[bytes] = []
        for module, queue in self._queues.items():
            self._served[module] = 0
            while queue and self._served[module] < self._quantum:
                verdict = self._packet.open(queue.popleft())
                # The interface may have gone or changed while the packet waited.
                if self._classify(verdict) == module:
                    self._serve(module, now, out)
        return out

    def _accept(self, verdict: int) -> Module | None:
        module = self._classify(verdict)
        if module is None:
            return None
        self.modules[module].received += 1
        if module in self._handlers:
            return module
        self.counters.pkt_dropped += 1
        if module != Module.INVALID:
            self.counters.pkt_no_handler += 1
        return None

    def _classify(self, verdict: int) -> Module | None:
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
            return Module(self._packet.module)
        name = _COUNTER_OF[Status(verdict & 0xFF)]
        setattr(self.counters, name, getattr(self.counters, name) + 1)
        self.counters.pkt_dropped += 1
        return None

    def _enqueue(self, module: Module, frame: bytes) -> None:
        if len(self._queues[module]) >= self._queue_limit:
            self.modules[module].q_threshold_exceeded += 1
            self.counters.pkt_dropped += 1
            return
        self._queues[module].append(frame)

    def _serve(self, module: Module, now: float, out: list[bytes]) -> None:
        self._served[module] += 1
        before = len(out)
        out.extend(self._handlers[module](self._packet, now))
        self.modules[module].sent += len(out) - before
