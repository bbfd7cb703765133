"""Memory for the tables of a kernel module: what it is told, and what happens if it cannot be."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.errors import WireError
from agent.io.datapath import NetlinkAddress, datapath_address
from agent.io.huge_pages import (
    PageFiles,
    WithHugePages,
    hand_over,
    page_files,
    with_huge_pages,
)
from agent.io.table_device import NO_DEVICE
from agent.ksync import InSync
from agent.sandesh.vrouter import (
    FlowOp,
    Message,
    SandeshOp,
    VrBridgeTableData,
    VrFlowTableData,
    VrHugepageConfig,
)
from agent.settings import parse
from agent.shm import BridgeTable, FlowTable
from tests.fault.ksync_owner import Owner
from tests.unit.io.forwarders import forwarder, reading
from tests.unit.io.netlink_peer import needs_netlink_between_processes
from tests.unit.ksync import world as w

SMALL, LARGE = 4096, 1 << 21
BRIDGE, FLOW = 5000, 9000
"""Bytes of the tables: two and three pages of 4096."""


class Module:
    """A kernel's module as far as memory goes; `code` is what it will say of huge pages."""

    def __init__(self, code: int = 0, device: int = NO_DEVICE, path: str = "") -> None:
        self.code, self.device, self.path = code, device, path
        self.told: list[VrHugepageConfig] = []

    async def ask(self, request: Message) -> tuple[int, list[Message]]:
        if isinstance(request, VrHugepageConfig):
            self.told.append(request)
            self.look(request)
            return 0, [request.replace(vhp_resp=self.code & 0xFFFFFFFF)]
        if isinstance(request, VrBridgeTableData):
            assert request == VrBridgeTableData(btable_op=SandeshOp.GET)
            return 0, [VrBridgeTableData(btable_size=BRIDGE)]
        assert request == VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
        table = VrFlowTableData(
            ftable_size=FLOW, ftable_dev=self.device, ftable_file_path=self.path
        )
        return 0, [table]

    def look(self, told: VrHugepageConfig) -> None:
        """Write to the memory that it was told of: it is there, all of it."""
        for at, (address, size) in enumerate(zip(told.vhp_mem, told.vhp_mem_sz, strict=True)):
            assert address % told.vhp_psize[at] == 0
            ctypes.memset(address, 65 + at, size)


def files(directory: Path, page: int = SMALL) -> PageFiles:
    return PageFiles(page, directory / f"bridge{page}", directory / f"flow{page}")


def own_page(path: Path) -> int:
    """Ordinary files in the place of those of huge pages."""
    return SMALL


def encoded(told: VrHugepageConfig, paths: list[bytes]) -> bytes:
    """By the wire's rules, written down here once more (facts sandesh-ksync.md)."""

    def numbers(field: int, kind: int, form: str, values: tuple[int, ...]) -> bytes:
        head = struct.pack(">BHBI", 15, field, kind, len(values))
        return head + b"".join(struct.pack(f">{form}", value) for value in values)

    name, joined = b"vr_hugepage_config", b"".join(paths)
    return b"".join(
        (
            struct.pack(">I", len(name)) + name,
            struct.pack(">BHI", 8, 1, 0),
            numbers(2, 9, "Q", told.vhp_mem),
            numbers(3, 20, "I", (SMALL, SMALL)),
            struct.pack(">BHI", 20, 4, 0),
            numbers(5, 20, "I", (BRIDGE, FLOW)),
            struct.pack(">BHBI", 15, 6, 3, len(joined)) + joined,
            numbers(7, 20, "I", tuple(map(len, paths))),
            b"\0",
        )
    )


async def test_what_a_module_without_tables_is_told(tmp_path: Path) -> None:
    module, pair = Module(), files(tmp_path)
    with capture_logs() as logs:
        await hand_over(module.ask, [pair], own_page)
    (told,) = module.told
    paths = [os.fsencode(path) + b"\0" for path in (pair.bridge, pair.flow)]
    assert told.encode() == encoded(told, paths)
    assert [line["event"] for line in logs] == ["tables are in huge pages"]
    assert pair.bridge.read_bytes() == b"A" * BRIDGE + bytes(2 * SMALL - BRIDGE)
    assert pair.flow.read_bytes() == b"B" * FLOW + bytes(3 * SMALL - FLOW)
    assert pair.flow.stat().st_mode & 0o777 == 0o600
    for name in ("bridge", "flow"):
        assert f"{tmp_path}/{name}" not in Path("/proc/self/maps").read_text()


async def test_both_sizes_of_pages_are_offered(tmp_path: Path) -> None:
    module = Module()
    pairs = [files(tmp_path, SMALL), files(tmp_path / ".", SMALL)]
    await hand_over(module.ask, pairs, own_page)
    assert module.told[0].vhp_mem_sz == (BRIDGE, FLOW, BRIDGE, FLOW)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-1, "no memory for its tables"),
        (-2, "takes them for invalid"),
        (-3, "cannot have these pages"),
        (-4, "load it anew"),
        (-5, "some of them hold tables"),
        (-6, "its device for the tables"),
        (-7, "it says -7"),
    ],
)
async def test_what_a_module_says_to_them(tmp_path: Path, code: int, reason: str) -> None:
    with capture_logs() as logs:
        await hand_over(Module(code).ask, [files(tmp_path)], own_page)
    (line,) = logs
    assert line["event"] == "huge pages not used"
    assert reason in line["reason"]


@pytest.mark.parametrize("path", ["", "/elsewhere"])
async def test_a_module_with_tables_is_left_alone(tmp_path: Path, path: str) -> None:
    module = Module(device=246, path=path)
    with capture_logs() as logs:
        await hand_over(module.ask, [files(tmp_path)], own_page)
    assert module.told == []
    assert [line["reason"] for line in logs] == [
        "its tables are there already: load it anew for huge pages"
    ]
    assert list(tmp_path.iterdir()) == []


async def test_an_agent_that_begins_anew_says_nothing_of_its_own_files(tmp_path: Path) -> None:
    pair = files(tmp_path)
    module = Module(device=246, path=str(pair.flow))
    with capture_logs() as logs:
        await hand_over(module.ask, [pair], own_page)
    assert (module.told, logs) == ([], [])


async def test_files_that_are_not_on_huge_pages_are_never_told(tmp_path: Path) -> None:
    """The module would take a page for one piece of the host's memory."""
    module = Module()
    with capture_logs() as logs:
        await hand_over(module.ask, [files(tmp_path, LARGE)])
    assert module.told == []
    assert "not on a hugetlbfs with pages of 2 MiB" in logs[0]["reason"]
    assert logs[0]["option"] == "huge_page_2M"
    assert list(tmp_path.iterdir()) == []


async def test_a_pair_counts_whole_or_not_at_all(tmp_path: Path) -> None:
    module = Module()
    good, bad = files(tmp_path), PageFiles(SMALL, tmp_path / "b", tmp_path / "no" / "f")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    linked = PageFiles(SMALL, tmp_path / "b", tmp_path / "link")
    with capture_logs() as logs:
        await hand_over(module.ask, [bad, linked, good], own_page)
    assert [line["event"] for line in logs] == ["no huge pages"] * 2 + ["tables are in huge pages"]
    assert len(module.told[0].vhp_mem) == 2
    assert b"no/f" not in module.told[0].vhp_file_paths
    assert not (tmp_path / "elsewhere").exists()


async def test_a_module_that_does_not_say_how_large_its_tables_are(tmp_path: Path) -> None:
    async def ask(request: Message) -> tuple[int, list[Message]]:
        assert not isinstance(request, VrHugepageConfig)
        if isinstance(request, VrBridgeTableData):
            return 0, [VrBridgeTableData()]
        return 0, [VrFlowTableData(ftable_dev=NO_DEVICE)]

    with capture_logs() as logs:
        await hand_over(ask, [files(tmp_path)], own_page)
    assert "does not say how large" in logs[0]["reason"]

    async def silent(request: Message) -> tuple[int, list[Message]]:
        return -22, []

    with pytest.raises(WireError, match="without a VrFlowTableData"):
        await hand_over(silent, [files(tmp_path)], own_page)


def test_who_has_huge_pages(tmp_path: Path) -> None:
    text = "[DEFAULT]\nplatform = {}\n[RESTART]\nhuge_page_2M = /h/b /h/f\nhuge_page_1G = /g/b /g/f"
    kernel = parse(text.format("kernel"))
    assert page_files(kernel) == (
        PageFiles(1 << 30, Path("/g/b"), Path("/g/f")),
        PageFiles(1 << 21, Path("/h/b"), Path("/h/f")),
    )
    place = datapath_address("kernel", tmp_path)
    made = with_huge_pages(place, kernel)
    assert isinstance(made, WithHugePages)
    assert str(made) == str(place)
    assert with_huge_pages(place, parse("[DEFAULT]\nplatform = kernel\n")) is place
    assert with_huge_pages(place, parse(text.format("dpdk"))) is place


# --- over netlink, with a forwarder in the module's place


async def goes_on_in(run_dir: Path, pair: PageFiles) -> None:
    """The tables are in the files from the first route on; a later agent finds them there."""
    needs_netlink_between_processes()
    plain = NetlinkAddress(run_dir / "netlink_port")
    address = WithHugePages(plain, [pair])
    async with forwarder(run_dir, "--netlink"):
        for _ in range(2):
            owner = Owner(address, w.port())
            owner.connection.start()
            await owner.until(lambda owner=owner: owner.count(InSync) == 1)  # type: ignore[misc]
            assert owner.session.counters.nacks.total() == 0
            await owner.connection.close()
        async with reading(plain) as reader:
            flow = await reader.get(VrFlowTableData(ftable_op=2), VrFlowTableData)
            bridge = await reader.get(VrBridgeTableData(btable_op=1), VrBridgeTableData)
        assert (flow.ftable_file_path, bridge.btable_file_path) == (
            str(pair.flow),
            str(pair.bridge),
        )
        with FlowTable.open(pair.flow, 1024, flow.ftable_size) as flows:
            assert flows.geometry.size == flow.ftable_size
            assert not list(flows)
        with BridgeTable.open(pair.bridge, 1024, bridge.btable_size) as table:
            assert len(table) == bridge.btable_size // 64
            there = {bytes(row.mac) for row in table if row.vrf == 2}
            assert there == {w.MAC, b"\xff" * 6}


async def test_a_module_has_its_tables_in_ordinary_files(tmp_path: Path) -> None:
    await goes_on_in(tmp_path, files(tmp_path))


@pytest.fixture
def hugetlbfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of huge pages; two of them are taken of the host, and given back."""
    pool, place = Path("/proc/sys/vm/nr_hugepages"), tmp_path / "huge"
    place.mkdir()
    command = ["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(place)]
    try:
        before = int(pool.read_text())
        pool.write_text(str(before + 2))
    except OSError as error:
        pytest.skip(f"huge pages: {error.strerror}")
    try:
        if int(pool.read_text()) < before + 2 or subprocess.run(command).returncode:
            pytest.skip("huge pages cannot be had")
        yield place
        for file in place.iterdir():  # its pages are free at once, whoever sees the mount as well
            file.unlink()
        subprocess.run(["umount", "-l", str(place)], check=True)
    finally:
        pool.write_text(str(before))


async def test_a_module_has_its_tables_in_huge_pages(tmp_path: Path, hugetlbfs: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    await goes_on_in(run_dir, files(hugetlbfs, LARGE))


async def test_too_few_huge_pages(hugetlbfs: Path) -> None:
    module = Module()
    mapped = [PageFiles(LARGE, hugetlbfs / f"b{n}", hugetlbfs / f"f{n}") for n in range(2)]
    with capture_logs() as logs:
        await hand_over(module.ask, mapped)
    assert len(module.told[0].vhp_mem) == 2
    assert "too few free huge pages" in logs[0]["reason"]
