"""An agent from its settings on: first what answers, then the core."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.daemon.configuration import Sources
from agent.daemon.follow import Words
from agent.daemon.front import SIGNALS, Front
from agent.daemon.privileges import give_up
from agent.loading import load
from agent.loop import run as run_loop
from agent.settings import Settings

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon
    from agent.daemon.recorder import Recorder
    from agent.topology import Topology


def run(
    sources: Sources,
    settings: Settings,
    topology: Topology | None,
    recorder: Recorder | None = None,
    follow: Sequence[Words] = (),
) -> None:
    """Run an agent on a loop of its own until it is told to stop, without needless privileges.

    `follow`: whose traces are logged, as `follow.wanted` gives them. ConfigError.
    """

    async def main() -> None:
        front = Front(settings, topology)
        give_up(settings)
        if recorder is not None:
            recorder.started(front.store, pid=front.pid, seed=front.seed, now=front.began)
        try:
            await front.start()
            made = await asyncio.to_thread(_daemon)  # the loop goes on answering
            daemon = made(sources, settings, topology, front, recorder, follow)
        except BaseException:
            await front.stop()
            raise
        await daemon.run()

    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the daemon takes them later
    try:
        run_loop(main())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _daemon() -> type[Daemon]:
    load("agent.daemon.daemon")
    from agent.daemon.daemon import Daemon

    return Daemon
