"""One recording of one core, from its making to its end."""

from __future__ import annotations

import time

import msgspec

from agent import __version__
from agent.daemon.core import Core
from agent.daemon.state import digest
from agent.daemon.taps import Taps
from agent.io.recording import RecordingFile
from agent.record import events
from agent.rest import PortStore
from agent.settings.secrets import HIDDEN, is_secret, without_secrets


class Recorder:
    """Records into `file`; `texts` are what the core's settings and topology were read from.

    Secret options have other values in the recording: nothing that is replayed depends on them.
    """

    def __init__(self, file: RecordingFile, texts: events.Sources) -> None:
        self._file = file
        self._texts = texts
        self._taps = Taps(file.record)

    def started(self, store: PortStore, *, pid: int, seed: int, now: float) -> None:
        """A core will be made with these arguments; the calls of its store are recorded."""
        event = events.Started(__version__, time.time(), _shareable(self._texts), pid, seed)
        self._file.record(event, now)
        self._taps.ports(store)

    def made(self, core: Core) -> None:
        """It was; from now on its own calls are recorded."""
        self._taps.core(core)

    def reloaded(self, texts: events.Sources, now: float) -> None:
        """The files were read again, and the core is about to be told."""
        self._file.record(events.Reloaded(_shareable(texts)), now)

    def ended(self, core: Core) -> None:
        """The agent ends: write what is left, and what state was reached."""
        sum_ = "" if self._file.stopped else digest(core)
        ended = events.Ended("the agent ended", sum_, self._taps.outputs.sum)
        self._file.close(ended, time.monotonic())


def _shareable(texts: events.Sources) -> events.Sources:
    overrides = tuple(
        (section, option, HIDDEN if is_secret(option) else value, source)
        for section, option, value, source in texts.overrides
    )
    text = without_secrets(texts.settings)
    return msgspec.structs.replace(texts, settings=text, overrides=overrides)
