from collections.abc import Sequence
from mmap import mmap
from typing import Protocol

from agent._fast.flow_pairs import FlowPairs

COUNTERS: tuple[str, ...]
SWEEP: tuple[str, ...]

class _Geometry(Protocol):
    @property
    def entries(self) -> int: ...

class _Mapping(Protocol):
    """A mapped flow table: agent.shm.FlowTable."""

    @property
    def geometry(self) -> _Geometry: ...
    @property
    def buffer(self) -> bytes | bytearray | memoryview | mmap: ...
    def check(self) -> None: ...

class _Service(Protocol):
    @property
    def protocol(self) -> int: ...
    @property
    def port(self) -> int: ...
    @property
    def seconds(self) -> float: ...

class _Timeouts(Protocol):
    """agent.flow.aging.Timeouts; seconds."""

    @property
    def common(self) -> float: ...
    @property
    def dropped(self) -> float: ...
    @property
    def tcp_half_open(self) -> float: ...
    @property
    def tcp_closed(self) -> float: ...
    @property
    def services(self) -> Sequence[_Service]: ...

class FlowScanner:
    pairs: FlowPairs
    mapping: _Mapping
    auditing: bool
    """Whether entries that no pair owns are told; False until the world is known."""

    def __init__(
        self,
        pairs: FlowPairs,
        mapping: _Mapping,
        timeouts: _Timeouts,
        *,
        delay: float = 5.0,
        suspects: int = 65536,
    ) -> None: ...
    def set_timeouts(self, timeouts: _Timeouts) -> None: ...
    @property
    def period(self) -> float: ...
    @property
    def deadline(self) -> float: ...
    def slice(self, now: float, budget: int = 32768) -> int: ...
    def close(self) -> None: ...
    @property
    def counters(self) -> dict[str, int]: ...
    @property
    def sweep(self) -> dict[str, int]: ...
    @property
    def suspects(self) -> int: ...
