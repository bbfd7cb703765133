"""The command `vrouter-agent`: what it says when it cannot start."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.__main__ import main

EINVAL = 22


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nrest_port = x\n", "[DEFAULT] rest_port = x"),
        ("", "physical_interface is missing"),
        ("[STANDALONE]\ntopology = /nonexistent.yaml\n", "/nonexistent.yaml: No such file"),
        ("[STANDALONE]\ntopology = TMP/bad.yaml\n", "bad.yaml:1: hosts: expected a mapping"),
        ("[STANDALONE]\ntopology = TMP/broken.yaml\n", "broken.yaml:1: not YAML: while parsing"),
        ("[STANDALONE]\ntopology = TMP/one.yaml\nhost = h9\n", "host = h9: the topology has only"),
        ("[DEFAULT]\nlog_level = LOUD\n", "log_level = LOUD"),
    ],
)
def test_a_wrong_configuration_ends_with_a_reason(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("hosts: 5")
    (tmp_path / "broken.yaml").write_text("hosts: {")
    (tmp_path / "one.yaml").write_text("hosts: {h1: }")
    config = tmp_path / "agent.conf"
    config.write_text(text.replace("TMP", str(tmp_path)))
    assert main(["--config", str(config), "--run-dir", str(tmp_path / "run")]) == EINVAL
    assert words in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none")]) == EINVAL
    assert f"{tmp_path / 'none'}: No such file" in capsys.readouterr().err


def test_a_recording_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "agent.conf"
    config.write_text("[VIRTUAL-HOST-INTERFACE]\nphysical_interface = eth0\n")
    words = ["--config", str(config), "--run-dir", str(tmp_path / "run")]
    assert main([*words, "--record", f"{tmp_path}/none/one.rec"]) == EINVAL
    assert f"--record {tmp_path}/none/one.rec: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", ""])
def test_a_limit_is_a_number_of_mebibytes(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--record", "one.rec", f"--record-limit={limit}"])
    assert "expected a whole number of mebibytes" in capsys.readouterr().err
