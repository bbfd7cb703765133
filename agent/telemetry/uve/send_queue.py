"""Messages that wait for the connection to a collector, other than UVEs.

The fuller the queue, the more urgent a message must be to be taken: what tells most about a
burst is not lost to what tells least.
"""

from __future__ import annotations

from collections import deque

from agent.telemetry.uve.frames import Level

QUEUE_SIZE = 8 << 20
"""Bytes of frames."""

_STEPS = ((0.9, Level.ERR), (0.75, Level.WARN), (0.5, Level.NOTICE))
"""From which share of the size on only that level and more urgent ones are taken."""


class SendQueue:
    """First in, first out, up to `size` bytes."""

    def __init__(self, size: int = QUEUE_SIZE) -> None:
        self.enqueued = 0
        self.most = 0
        """The greatest number of messages that ever waited."""
        self._size = size
        self._held = 0
        self._frames: deque[tuple[str, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def level(self) -> Level:
        """The least urgent level that is taken now."""
        for share, level in _STEPS:
            if self._held >= share * self._size:
                return level
        return Level.DEBUG

    def put(self, name: str, frame: bytes, level: Level) -> bool:
        """Take a frame, unless there is no room for one of its level."""
        if level > self.level or self._held + len(frame) > self._size:
            return False
        self._frames.append((name, frame))
        self._held += len(frame)
        self.enqueued += 1
        self.most = max(self.most, len(self._frames))
        return True

    def take(self) -> tuple[str, bytes] | None:
        """The message that waits longest: its name and frame."""
        if not self._frames:
            return None
        name, frame = self._frames.popleft()
        self._held -= len(frame)
        return name, frame

    def clear(self) -> list[tuple[str, bytes]]:
        """Give up what waits."""
        left = list(self._frames)
        self._frames.clear()
        self._held = 0
        return left
