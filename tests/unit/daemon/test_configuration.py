"""Where the configuration comes from, as texts that can be recorded."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.daemon.configuration import Sources, parse
from agent.record.events import Sources as Texts
from agent.settings import of_words


def test_what_stands_before_the_file_is_part_of_what_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("hosts: {h1: }")
    config = tmp_path / "agent.conf"
    config.write_text("[STANDALONE]\ntopology = /none.yaml\n[DEFAULT]\nrest_port = 1\n")
    words = ["--STANDALONE.topology", str(tmp_path / "one.yaml"), "--DEFAULT.rest_port", "7"]
    texts = Sources(config, tmp_path, tuple(of_words(words)[0])).read()
    texts = msgspec.msgpack.decode(msgspec.msgpack.encode(texts), type=Texts)
    settings, topology = parse(texts)
    assert settings.get("DEFAULT", "rest_port", int) == 7
    assert topology is not None
    assert list(topology.hosts) == ["h1"]


def test_recordings_of_older_agents_have_nothing_before_the_file() -> None:
    old = msgspec.msgpack.encode(["file", "[DEFAULT]\nrest_port = 7\n", None, "h1"])
    settings, _ = parse(msgspec.msgpack.decode(old, type=Texts))
    assert settings.get("DEFAULT", "rest_port", int) == 7
