"""Links that somebody has put where ports are stored."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from agent.cli import port_control
from agent.io.portfiles import PortFiles
from agent.rest import RemoveFile, WriteFile
from agent.telemetry.meters import FileMeter

U = str(UUID(int=0x1111))
PRECIOUS = b'{"precious": true}'


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_bytes(PRECIOUS)
    return path


@pytest.fixture
def ports(tmp_path: Path) -> Path:
    path = tmp_path / "ports"
    (path / "vm").mkdir(parents=True)
    return path


async def test_no_link_is_written_through(ports: Path, precious: Path) -> None:
    for name in (U, f".{U}.new"):
        (ports / name).symlink_to(precious)
    meter = FileMeter()
    files = PortFiles(ports, meter)
    await files.execute([WriteFile(U, b"{}")])
    files.close()
    assert meter == FileMeter()
    assert precious.read_bytes() == PRECIOUS
    assert not (ports / U).is_symlink()
    assert (ports / U).read_bytes() == b"{}"
    assert (ports / U).stat().st_mode & 0o7133 == 0, "only the owner writes"


async def test_no_link_is_read(ports: Path, precious: Path) -> None:
    (ports / U).symlink_to(precious)
    os.mkfifo(ports / str(UUID(int=2)))
    (ports / "vm" / "web").symlink_to(precious.parent)
    files = PortFiles(ports)
    assert await files.load() == []
    files.close()


@pytest.mark.parametrize("link", ["vm", "vm/web"])
async def test_no_link_leads_out_of_the_directory(ports: Path, precious: Path, link: str) -> None:
    outside = precious.parent / "outside"
    (outside / "web").mkdir(parents=True)
    (outside / "web" / U).write_bytes(PRECIOUS)
    (outside / U).write_bytes(PRECIOUS)
    if link == "vm":
        (ports / "vm").rmdir()
    (ports / link).symlink_to(outside)
    meter = FileMeter()
    files = PortFiles(ports, meter)
    with capture_logs() as logged:
        await files.execute([WriteFile(f"vm/web/{U}", b"{}"), RemoveFile(f"vm/web/{U}")])
    files.close()
    assert meter.failures >= 2
    assert meter.waiting == 1
    assert {"Too many levels of symbolic links"} == {line["reason"] for line in logged}
    assert (outside / "web" / U).read_bytes() == PRECIOUS
    assert (outside / U).read_bytes() == PRECIOUS


async def test_a_directory_that_everybody_may_write_is_told(ports: Path) -> None:
    files = PortFiles(ports)
    for mode, wanted in ((0o777, 1), (0o755, 0)):
        ports.chmod(mode)
        with capture_logs() as logged:
            await files.load()
        assert len([line for line in logged if "chmod o-w" in line["event"]]) == wanted
    files.close()


def test_port_control_writes_through_no_link(
    ports: Path, precious: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (U, f".{U}.{os.getpid()}"):
        (ports / name).symlink_to(precious)
    words = [
        "--oper=add", f"--uuid={U}", "--vm_name=web", "--agent_host=127.0.0.1", "--agent_port=1",
        "--rx_vlan_id=-1", "--tx_vlan_id=-1", f"--port_json_path={ports}/",
    ]  # fmt: skip
    assert port_control.main(words) == 0
    assert precious.read_bytes() == PRECIOUS
    assert not (ports / U).is_symlink()
