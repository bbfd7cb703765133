"""`vrouter-agent prepare-kernel`: tables for a module just loaded, and nodes of its devices."""

from __future__ import annotations

import asyncio
import os
import stat
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from agent.daemon import prepare_kernel
from agent.daemon.prepare_kernel import FAILED, OK, WRONG, _places, _vhost, main
from agent.daemon.tables import Said
from agent.settings import parse
from tests.unit.io.forwarders import forwarder
from tests.unit.io.netlink_peer import needs_netlink_between_processes

NAMED = "[RESTART]\nhuge_page_2M = {0}/bridge {0}/flow\n"


async def ran(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = await asyncio.to_thread(main, words)
    told = capsys.readouterr()
    return code, told.out + told.err


async def test_tables_are_given_once_and_found_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_netlink_between_processes()
    file = tmp_path / "agent.conf"
    file.write_text(NAMED.format(tmp_path))
    words = ["--run-dir", str(tmp_path), "--config", str(file), "--devices", str(tmp_path)]
    async with forwarder(tmp_path, "--netlink"):
        code, told = await ran(words, capsys)
        again = await ran(words, capsys)
    assert (code, again[0]) == (OK, OK)
    assert "not on a hugetlbfs with pages of 2 MiB" in told
    assert "its tables are there already" in again[1]
    places = [
        f"flow table: {tmp_path}/flow.shmem, 524288 bytes",
        f"bridge table: {tmp_path}/bridge.shmem, 131072 bytes",
    ]
    assert told.splitlines()[-2:] == again[1].splitlines()[-2:] == places


async def test_there_is_no_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = await ran(["--run-dir", str(tmp_path)], capsys)
    assert (code, told) == (FAILED, "vrouter-agent prepare-kernel: No such file or directory\n")
    file = tmp_path / "agent.conf"
    file.write_text("[RESTART]\nhuge_page_2M = one\n")
    code, told = await ran(["--config", str(file)], capsys)
    assert code == WRONG
    assert "expected two files by their whole names" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="making nodes needs CAP_MKNOD")
def test_nodes_are_made_for_a_modules_devices(tmp_path: Path) -> None:
    tables = Said("", 246, 512), Said("", 246, 64)
    assert list(_places(tables, tmp_path)) == [
        f"flow table: {tmp_path}/flow, 512 bytes",
        f"bridge table: {tmp_path}/vr_bridge, 64 bytes",
    ]
    for minor, name in enumerate(("flow", "vr_bridge")):
        made = (tmp_path / name).stat()
        assert stat.S_ISCHR(made.st_mode)
        assert made.st_rdev == os.makedev(246, minor)
    assert list(_places((Said(), Said("/x", 0, 3)), tmp_path)) == [
        "flow table: nowhere, 0 bytes",
        "bridge table: /x, 3 bytes",
    ]


def test_vhost0_is_made_over_the_fabric_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is made is in unit/io/test_vhost_link.py."""
    made: list[tuple[object, ...]] = []

    def make(*words: object) -> list[str]:
        made.append(words)
        return []

    monkeypatch.setattr("agent.io.vhost_link.make", make)
    text = "[VIRTUAL-HOST-INTERFACE]\nphysical_interface = eth0\nip = 10.0.0.1/24\n"
    assert _vhost(parse(text)) == ["vhost0: is there"]
    assert made == [("vhost0", "eth0", IPv4Interface("10.0.0.1/24"))]
    (line,) = _vhost(parse(""))
    assert line.startswith("vhost0: not made")


def test_the_command_is_known() -> None:
    from agent.__main__ import _COMMANDS

    assert _COMMANDS["prepare-kernel"] == prepare_kernel.__name__
