"""Where an agent takes the datapath to be when its configuration does not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.daemon import configuration
from agent.daemon.configuration import Sources, located, parse
from agent.daemon.host import host_settings
from agent.errors import ConfigError
from agent.settings import Override


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "module_is_there", lambda: True)


def sources(tmp_path: Path, text: str = "", *overrides: Override) -> Sources:
    file = tmp_path / "agent.conf"
    file.write_text(f"[DEFAULT]\n{text}\n[VIRTUAL-HOST-INTERFACE]\nphysical_interface = eth0\n")
    return Sources(file, tmp_path, overrides)


def pkt0(found: Sources) -> tuple[str, int]:
    settings, topology = parse(found.read())
    host = host_settings(settings, topology)
    return host.pkt0_name, host.pkt0_transport


TAP, SOCKET = ("pkt0", 1), ("unix", 3)


@pytest.mark.usefixtures("module")
def test_a_module_that_is_loaded(tmp_path: Path) -> None:
    found = located(sources(tmp_path))
    assert found.overrides == (
        Override("DEFAULT", "platform", "kernel", "the kernel has the module"),
    )
    assert pkt0(found) == TAP


def test_no_module(tmp_path: Path) -> None:
    given = sources(tmp_path)
    assert located(given) == given
    assert pkt0(given) == SOCKET


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("name", ["dpdk_netlink", "netlink_port"])
def test_a_process_that_serves_comes_first(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    given = sources(tmp_path)
    assert located(given) == given


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("platform", "channel"), [("dpdk", SOCKET), ("nic", SOCKET), ("kernel", TAP), ("host", TAP)]
)
def test_what_is_configured_counts(tmp_path: Path, platform: str, channel: tuple[str, int]) -> None:
    given = sources(tmp_path, f"platform = {platform}")
    assert located(given) == given
    assert pkt0(given) == channel
    variable = Override("DEFAULT", "platform", platform, "a variable")
    given = sources(tmp_path, "", variable)
    assert located(given) == given
    assert pkt0(given) == channel


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.conf"):
        located(Sources(tmp_path / "absent.conf", tmp_path))
