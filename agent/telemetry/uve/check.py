"""Whether collectors are told, as `agent.telemetry.health` judges parts."""

from __future__ import annotations

from collections.abc import Iterator

from agent.telemetry.health import Finding
from agent.telemetry.health import State as Health
from agent.telemetry.uve.generator import Generator, State


def collector(generator: Generator) -> Iterator[Finding]:
    """The connection to the collector that is in use or tried; nothing where none is configured.

    It is well until the first attempt has failed.
    """
    view = generator.view()
    if view.server is None:
        return
    outbox = generator.outbox
    lost = sum(tally.messages for tally in outbox.stats.total.dropped.values())
    numbers = {"connections": view.connects, "waiting": len(outbox), "messages lost": lost}
    up = view.state is State.ESTABLISHED
    fault = "" if up else view.last_fault
    yield Finding(
        Health.DOWN if fault else Health.OK,
        f"{view.state.value}: {fault}" if fault else view.state.value,
        str(view.server),
        numbers=numbers,
    )
