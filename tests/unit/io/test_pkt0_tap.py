"""pkt0 as a tap, in a network namespace of the test's own."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent._fast.packet import FrameBatch, write_frames
from agent.errors import ConfigError
from agent.io import pkt0_tap

ROOT = Path(__file__).parents[3]
SCENE = Path(__file__).with_name("tap_scene.py")


def test_a_real_tap() -> None:
    command = ["unshare", "--net", sys.executable, str(SCENE)]
    if os.geteuid() != 0:
        command[1:1] = ["--user", "--map-root-user"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    if "unshare: " in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EPERM, "making it needs CAP_NET_ADMIN"),
        (errno.ENOENT, "modprobe tun"),
        (errno.EBUSY, "another program holds it"),
        (errno.ENFILE, "cannot make the tap pkt0: "),
    ],
)
def test_why_there_is_no_tap(monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pkt0_tap.os, "open", refuse)
    with pytest.raises(ConfigError, match=hint):
        pkt0_tap.Pkt0Tap(lambda _: True)


def test_descriptors_that_are_no_taps() -> None:
    batch = FrameBatch(4)
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.read(-1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        write_frames(-1, [b"frame"])
    with pytest.raises(TypeError):
        write_frames(-1, [None])  # type: ignore[list-item]
    assert write_frames(-1, []) == 0
    read, write = os.pipe2(os.O_NONBLOCK)
    assert batch.read(read) == (0, 0)
    assert write_frames(write, [bytes(60)] * 100) == 64
    assert batch.read(read) == (1, 1)  # a pipe knows no frames: all at once
    os.close(read)
    os.close(write)
