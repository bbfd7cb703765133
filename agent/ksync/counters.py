"""What ksync has done so far, for tools and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """What happened since the start. Keys of `writes`: (kind's name, "add", "change", "del")."""

    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    acks: int = 0
    nacks: Counter[int] = field(default_factory=Counter)
    timeouts: int = 0
    resyncs: int = 0
    adopted: int = 0
    swept: int = 0
    unsendable: int = 0
