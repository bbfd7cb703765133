"""The systemd units that are shipped, as far as systemd's own tools judge them without running."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.daemon.privileges import NEEDED

UNITS = Path(__file__).parents[3] / "deploy/systemd"
ANALYZE = shutil.which("systemd-analyze")
ALL = ("vrouter-agent.service", "vrouter-forwarder.service", "vrouter-kernel.service")
MOST_EXPOSED = 3.0
"""On systemd's scale, where 10 is a service without any bounds."""


def options(name: str) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return dict(parser["Service"])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with the programs of this environment."""
    for unit in UNITS.glob("*.service"):
        text = re.sub(
            r"/usr/bin/(vrouter-\w+)", rf"{Path(sys.executable).parent}/\1", unit.read_text()
        )
        (tmp_path / unit.name).write_text(text)
    return tmp_path


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze")
@pytest.mark.parametrize("name", ALL)
def test_systemd_finds_no_fault_and_little_exposure(name: str, installed: Path) -> None:
    words = [str(ANALYZE), "verify", "--man=no", str(installed / name)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if name in line] == []
    words = [str(ANALYZE), "security", "--offline=true", "--no-pager", str(installed / name)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and "offline" in done.stderr:
        pytest.skip("this systemd does not judge files")
    found = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("name", ["vrouter-agent.service", "vrouter-forwarder.service"])
def test_a_unit_gives_what_the_program_keeps(name: str) -> None:
    given = " ".join(f"CAP_{one}" for one in NEEDED)
    service = options(name)
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == given
    assert service["RuntimeDirectoryPreserve"] == "yes", "the other one's sockets are there too"


def test_the_agent_is_watched() -> None:
    service = options("vrouter-agent.service")
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 10
    assert service["RestartPreventExitStatus"] == "22"


def test_what_a_kernel_datapath_needs_is_split_in_two() -> None:
    """Devices that appear later cannot be allowed: who makes them runs before the agent."""
    kernel, agent = options("vrouter-kernel.service"), options("vrouter-agent.service")
    assert kernel["CapabilityBoundingSet"] == kernel["AmbientCapabilities"]
    assert set(kernel["CapabilityBoundingSet"].split()) == {"CAP_NET_ADMIN", "CAP_MKNOD"}
    # Any list of devices would leave out the one whose number is not known yet.
    assert (kernel["DevicePolicy"], kernel["ProtectClock"]) == ("auto", "no")
    assert "DeviceAllow" not in kernel
    text = (UNITS / "vrouter-kernel.service").read_text()
    assert "Before=vrouter-agent.service" in text
    assert "RequiredBy=vrouter-agent.service" in text
    text = (UNITS / "vrouter-agent.service").read_text()
    assert agent["DevicePolicy"] == "closed"
    assert {line for line in text.splitlines() if line.startswith("DeviceAllow=")} == {
        "DeviceAllow=/dev/net/tun rw",
        "DeviceAllow=char-vrouter_mem r",
    }
