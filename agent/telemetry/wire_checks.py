"""The check of pkt0, see `agent.telemetry.health`: down while it is not there."""

from __future__ import annotations

from agent.telemetry.health import Finding, State
from agent.telemetry.wires import Pkt0Counters


def pkt0(counters: Pkt0Counters) -> list[Finding]:
    """Whether trapped packets can come, and how many were lost."""
    numbers = {
        "received": counters.received,
        "sent": counters.sent,
        "lost": counters.not_connected + counters.queue_full + counters.send_errors,
        "foreign": counters.foreign,
    }
    state = State.DOWN if counters.fault else State.OK
    return [Finding(state, counters.fault, numbers=numbers)]
