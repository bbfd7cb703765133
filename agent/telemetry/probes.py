"""What service managers and load balancers are told that ask whether an agent lives and is ready.

Each answer is an HTTP status and a text.
"""

from __future__ import annotations

Answer = tuple[int, str]

ALIVE: Answer = (200, "ok\n")
"""Whoever gets it knows that the loop turns."""
READY: Answer = (200, "ready\n")
"""The datapath is as the whole configuration wants it."""


def not_ready(waits_for: str) -> Answer:
    """It is not, and what it waits for."""
    return 503, f"not ready: {waits_for}\n"


STARTING = {"/healthz": ALIVE, "/readyz": not_ready("the agent starts")}
"""By path: what an agent says that has no state yet."""
