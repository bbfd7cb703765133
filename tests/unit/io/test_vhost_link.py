"""vhost0 of a kernel datapath, in a network namespace of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_vhost0_is_made_once() -> None:
    command = ["unshare", "--net", sys.executable, str(Path(__file__).with_name("vhost_scene.py"))]
    if os.geteuid() != 0:
        command[1:1] = ["--user", "--map-root-user"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    if "unshare: " in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert (ran.returncode, ran.stderr) == (0, "")
