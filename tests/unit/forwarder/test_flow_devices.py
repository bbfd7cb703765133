"""Translated flows between two kernels' stacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.system
def test_floating_address_over_taps_and_packet_sockets() -> None:
    """In a network namespace of its own: see flow_wire.py."""
    script = Path(__file__).with_name("flow_wire.py")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, str(script)]
    if os.geteuid() == 0:
        command = ["unshare", "--net", sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
