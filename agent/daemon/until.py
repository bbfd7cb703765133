"""How far a recording is played."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.record import Recorded


@dataclass(frozen=True, slots=True)
class Until:
    """Where to stop: after so many events, or so many seconds after the start."""

    number: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Until:
        """`120` or `+4.5`; argparse.ArgumentTypeError on anything else."""
        if re.fullmatch(r"\d+", text):
            return cls(number=int(text))
        if re.fullmatch(r"\+\d+(\.\d*)?s?", text):
            return cls(seconds=float(text.strip("+s")))
        raise argparse.ArgumentTypeError(
            f"{text}: expected the number of an event, or + and seconds since the start"
        )

    def passed(self, recorded: Recorded, start: float) -> bool:
        """Whether the event is behind the place."""
        if self.number is not None and recorded.number > self.number:
            return True
        return self.seconds is not None and recorded.now > start + self.seconds
