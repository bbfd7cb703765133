"""Recordings do not hold the secrets of the configuration file."""

from __future__ import annotations

from pathlib import Path

from agent.daemon.recorder import Recorder
from agent.io.recording import RecordingFile
from agent.record import events
from agent.rest import PortStore
from tests.unit.telemetry.node_world import HOST

TEXT = f"{HOST}[METADATA]\nmetadata_proxy_secret = hunter2\n"


class Kept(RecordingFile):
    """Keeps events instead of writing them."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def record(self, event: events.Event, now: float) -> None:
        self.events.append(event)


def test_secrets_of_files_and_environment_are_hidden() -> None:
    file = Kept()
    override = ("METADATA", "metadata_proxy_secret", "hunter2", "environment")
    other = ("DEFAULT", "log_level", "SYS_DEBUG", "environment")
    texts = events.Sources("agent.conf", TEXT, None, "host1", (override, other))
    recorder = Recorder(file, texts)
    recorder.started(PortStore(), pid=7, seed=42, now=0.0)
    recorder.reloaded(texts, 1.0)
    started, reloaded = file.events
    assert isinstance(started, events.Started)
    assert isinstance(reloaded, events.Reloaded)
    for told in (started.sources, reloaded.sources):
        assert "hunter2" not in repr(told)
        assert "metadata_proxy_secret = (hidden)" in told.settings
        assert told.overrides == ((*override[:2], "(hidden)", "environment"), other)
        assert told.settings.startswith(HOST)


def test_a_recording_is_its_owners_alone(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path / "agent.rec")
    file.close(events.Ended("the agent ended", "", 0), 0.0)
    assert (tmp_path / "agent.rec").stat().st_mode & 0o777 == 0o600
