"""Pictures of pages: the command that takes them, and what is said when it cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.lab import screenshot
from agent.lab.screenshot import NoPictureError


def program(folder: Path, text: str) -> str:
    """A stand-in for the browser."""
    path = folder / "chromium"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(folder)


def test_a_picture_is_written_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'for one in "$@"; do case $one in --screenshot=*) '
        'head -c 2000 /dev/zero > "${one#--screenshot=}";; esac; done'
    )
    monkeypatch.setenv("PATH", program(tmp_path, script) + ":/usr/bin:/bin")
    picture = tmp_path / "new" / "page.png"
    told: list[list[str]] = []

    def within(command: object) -> list[str]:
        told.append(list(command))  # type: ignore[call-overload]
        return told[0]

    screenshot.screenshot("http://127.0.0.1:1/", picture, size=(390, 800), within=within)
    assert picture.stat().st_size == 2000
    assert "--window-size=390,800" in told[0]
    assert told[0][-1] == "http://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 0", "the browser wrote none"),
        ("echo no display >&2; exit 3", "ended with 3: no display"),
        ("exit 4", "ended with 4: it said nothing"),
    ],
)
def test_a_browser_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, script) + ":/usr/bin:/bin")
    with pytest.raises(NoPictureError, match=reason):
        screenshot.screenshot("http://127.0.0.1:1/", tmp_path / "page.png")


def test_a_browser_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, "exec sleep 60") + ":/usr/bin:/bin")
    monkeypatch.setattr(screenshot, "LIMIT", 0.2)
    with pytest.raises(NoPictureError, match=r"more than 0\.2 s"):
        screenshot.screenshot("http://127.0.0.1:1/", tmp_path / "page.png")


def test_without_a_browser_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPictureError, match="apt-get install chromium"):
        screenshot.screenshot("http://127.0.0.1:1/", tmp_path / "page.png")
