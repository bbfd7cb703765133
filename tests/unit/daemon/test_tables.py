"""Where a table of the datapath is looked for, and what is told when it cannot be had."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.cli import flow_source
from agent.daemon.tables import Said, opened
from agent.errors import UsageError, WireError
from agent.io.table_device import (
    BRIDGE_DEVICE,
    FLOW_DEVICE,
    TableDevice,
    is_major,
    made_node,
    table_path,
)
from agent.sandesh.vrouter import VrBridgeTableData, VrFlowTableData
from agent.shm import BridgeTable, FlowTable
from agent.shm.geometry import BRIDGE_ENTRY_SIZE, FLOW_ENTRY_SIZE

NODE = TableDevice(Path("/never/used"), 0)
MEMORY_MAJOR, ZERO_MINOR = 1, 5
"""/dev/zero, which can be mapped like the module's devices: an empty table."""


@pytest.mark.parametrize("said", [True, False])
def test_the_datapath_says_where_or_it_is_as_usual(tmp_path: Path, said: bool) -> None:
    there, nowhere = tmp_path / "table", tmp_path / "none"
    there.write_bytes(bytes(1536 * FLOW_ENTRY_SIZE))
    words = (str(there), nowhere) if said else ("", there)
    table = opened(FlowTable, Said(words[0]), NODE, words[1], 1024, "trouble")
    assert table is not None
    with table:
        assert (len(table), table.geometry.main) == (1536, 1024)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"", "is empty")]
)
def test_a_table_that_cannot_be_had_is_told(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "table"
    if content is not None:
        path.write_bytes(content)
    with capture_logs() as logged:
        assert opened(FlowTable, Said(str(path)), NODE, tmp_path / "none", 0, "trouble") is None
    [line] = logged
    assert (line["event"], line["log_level"], line["file"]) == ("trouble", "error", str(path))
    assert reason in line["reason"]


def test_a_file_of_whole_huge_pages_has_a_table_of_the_size_that_is_told(tmp_path: Path) -> None:
    """As of a DPDK datapath, or of a module, in a hugetlbfs: what comes after is no table."""
    path, size = tmp_path / "flow", 1536 * FLOW_ENTRY_SIZE
    path.write_bytes(bytes(size) + b"\xff" * 4096)
    told = VrFlowTableData(ftable_file_path=str(path), ftable_size=size)
    table = opened(FlowTable, Said.of_flows(told), NODE, tmp_path / "none", 1024, "trouble")
    assert table is not None
    with table:
        assert (len(table), table.geometry.main) == (1536, 1024)
        assert (list(table), table.corrupt) == ([], 0)
        table.check()
        path.write_bytes(bytes(size - 1))
        with pytest.raises(WireError, match="has shrunk"):
            table.check()
    table.close()
    short = Said(str(path), 0, size)
    with capture_logs() as logged:
        assert opened(FlowTable, short, NODE, tmp_path / "none", 1024, "trouble") is None
    assert "the datapath reported" in logged[0]["reason"]


# --- the kernel's devices


@pytest.fixture
def node(tmp_path: Path) -> TableDevice:
    trial = tmp_path / "trial"
    try:
        os.mknod(trial, 0o20600, os.makedev(MEMORY_MAJOR, ZERO_MINOR))
        os.close(os.open(trial, os.O_RDONLY))
    except OSError as error:
        pytest.skip(f"device nodes: {error.strerror}")
    return TableDevice(tmp_path / "flow", ZERO_MINOR)


def test_a_table_of_the_kernel_is_mapped_by_its_device(node: TableDevice, tmp_path: Path) -> None:
    told = VrFlowTableData(ftable_dev=MEMORY_MAJOR, ftable_size=1536 * FLOW_ENTRY_SIZE)
    said = Said.of_flows(told)
    table = opened(FlowTable, said, node, tmp_path / "none", 1024, "trouble")
    assert table is not None
    with table:
        assert (len(table), table.geometry.main) == (1536, 1024)
        assert list(table) == []
        assert not table.replaced()
    assert node.path.lstat().st_mode & 0o777 == 0o600


def test_the_bridge_table_is_mapped_alike(node: TableDevice, tmp_path: Path) -> None:
    told = VrBridgeTableData(btable_dev=MEMORY_MAJOR, btable_size=1536 * BRIDGE_ENTRY_SIZE)
    said = Said.of_bridges(told)
    table = opened(BridgeTable, said, node, tmp_path / "none", 1024, "trouble")
    assert table is not None
    with table:
        assert len(table) == 1536


def test_tools_map_what_the_kernel_has(node: TableDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_source, "FLOW_DEVICE", node)
    told = VrFlowTableData(ftable_dev=MEMORY_MAJOR, ftable_size=1536 * FLOW_ENTRY_SIZE)
    with flow_source._open(told, 1024) as table:
        assert (len(table), table.geometry.main) == (1536, 1024)
    with pytest.raises(UsageError, match=f"cannot read {node.path}: .*no such table; an agent, or"):
        flow_source._open(told.replace(ftable_dev=65535), 1024)
    with pytest.raises(UsageError, match="cannot read /none: No such file"):
        flow_source._open(told.replace(ftable_file_path="/none"), 1024)


def test_where_a_table_is_mapped_from(node: TableDevice) -> None:
    assert table_path("/file", MEMORY_MAJOR, node) == Path("/file")
    assert table_path("", MEMORY_MAJOR, node) == node.path
    with pytest.raises(OSError, match="prepare-kernel") as refused:
        table_path("", 0, node)
    assert refused.value.errno == errno.ENODEV


def test_a_node_that_is_right_is_kept_and_another_one_replaced(node: TableDevice) -> None:
    node.path.write_text("of a module that had another number")
    assert made_node(node, MEMORY_MAJOR) == node.path
    before = node.path.lstat()
    assert before.st_rdev == os.makedev(MEMORY_MAJOR, ZERO_MINOR)
    assert made_node(node, MEMORY_MAJOR) == node.path
    assert node.path.lstat().st_ino == before.st_ino
    made_node(node, MEMORY_MAJOR + 1)
    assert node.path.lstat().st_rdev == os.makedev(MEMORY_MAJOR + 1, ZERO_MINOR)


def test_a_node_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    nowhere = TableDevice(tmp_path / "no" / "flow", 0)
    with capture_logs() as logged:
        said = Said(major=246, size=1 << 20)
        assert opened(FlowTable, said, nowhere, tmp_path / "none", 0, "trouble") is None
    [line] = logged
    assert line["reason"] == (
        "cannot be made: No such file or directory; let vrouter-agent "
        "prepare-kernel make it, or "
        f"`mknod {nowhere.path} c 246 0`"
    )


def test_a_file_that_is_named_comes_before_a_device(tmp_path: Path) -> None:
    there = tmp_path / "table"
    there.write_bytes(bytes(1536 * FLOW_ENTRY_SIZE))
    table = opened(FlowTable, Said(str(there), 246), NODE, tmp_path / "none", 1024, "trouble")
    assert table is not None
    table.close()


def test_numbers_of_devices() -> None:
    assert [is_major(number) for number in (0, 1, 246, 65534, 65535)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert (FLOW_DEVICE.minor, BRIDGE_DEVICE.minor) == (0, 1)
    assert (Said.of_flows(None), Said.of_bridges(None)) == (Said(), Said())
