"""Pictures of the page for people, taken by a headless Chromium where there is one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.lab.connection import Connection
from agent.lab.errors import LabError
from agent.lab.processes import environment

NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT = 30.0
"""Seconds until a browser that has not drawn the page is ended."""
SIZE = (1280, 2000)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
_SHORTEST = 1000
"""Bytes of a picture that shows anything."""


class NoPictureError(LabError):
    """No picture could be taken; the text says why and what to do."""


def of_host(connection: Connection, host: str, port: int, picture: Path, place: str = "/") -> None:
    """Take a picture of the page of a host of a running lab. NoPictureError."""

    def within(command: Sequence[str]) -> list[str]:
        return connection.argv(host, list(command))

    screenshot(f"http://127.0.0.1:{port}{place}", picture, within=within)


def screenshot(
    url: str,
    picture: Path,
    *,
    size: tuple[int, int] = SIZE,
    within: Callable[[Sequence[str]], Sequence[str]] = list,
) -> None:
    """Write the page at `url` to the PNG file `picture`; its folder is made. NoPictureError.

    `within` turns a command line into one that runs it elsewhere, such as on a host of a lab.
    """
    picture = picture.absolute()
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="vrouter-browser-") as profile:
        command = within(_command(browser(), url, picture, Path(profile), size))
        _run(command)
    if not picture.is_file() or picture.stat().st_size < _SHORTEST:
        raise NoPictureError(f"no picture of {url}: the browser wrote none to {picture}")


def browser() -> str:
    """The path of a browser. NoPictureError when none is installed."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise NoPictureError(
        "no picture of the page: chromium is not installed (apt-get install chromium)"
    )


def _command(
    program: str, url: str, picture: Path, profile: Path, size: tuple[int, int]
) -> list[str]:
    own = [f"--user-data-dir={profile}", f"--screenshot={picture}"]
    return [program, *_FLAGS, *own, f"--window-size={size[0]},{size[1]}", url]


def _run(command: Sequence[str]) -> None:
    """The browser has its own session, so that all its processes end with it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment(),
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise NoPictureError(f"no picture: the browser took more than {LIMIT:g} s") from None
    if process.returncode:
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        raise NoPictureError(f"no picture: the browser ended with {process.returncode}: {last[0]}")
