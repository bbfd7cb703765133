"""Memory for the tables of a kernel module just loaded: files of huge pages, handed over once.

The agent maps the files and tells the module where; the module keeps the pages, has its tables
in them, and names the files from then on (facts shared-memory.md 9, kernel-datapath.md). So the
mappings are given up as soon as it has answered, and the tables are read as any others.

A file counts only where its pages have the size that is told: the module takes a page for one
piece of the host's memory.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from agent.errors import WireError
from agent.io.datapath import Address, Made, P
from agent.io.datapath_reader import Ask, conversation
from agent.io.platforms import in_kernel
from agent.io.table_device import NO_DEVICE
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFlowTableData,
    VrHugepageConfig,
)
from agent.settings import Settings

_MODE = 0o600
_NAMES = {1 << 30: "1 GiB", 1 << 21: "2 MiB"}
_OPTIONS = {1 << 30: "huge_page_1G", 1 << 21: "huge_page_2M"}
_USED, _ALREADY = 0, -4
_SAYS = {
    -1: "it has no memory for its tables",
    -2: "it takes them for invalid: its tables are in ordinary memory",
    -3: "it cannot have these pages: its tables are in ordinary memory",
    _ALREADY: "its tables are there already: load it anew for huge pages",
    -5: "some of them hold tables, others not",
    -6: "its device for the tables cannot be made",
}

log = structlog.get_logger(__name__)

PageSize = Callable[[Path], int]
T = TypeVar("T", VrFlowTableData, VrBridgeTableData)


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The files of both tables, on pages of `page` bytes."""

    page: int
    bridge: Path
    flow: Path


class Mapped(NamedTuple):
    """A file in our memory, for as long as the module looks at it."""

    path: Path
    address: int
    page: int
    size: int
    """Bytes of the table; the mapping has whole pages."""


def page_files(settings: Settings) -> tuple[PageFiles, ...]:
    """What [RESTART] names, larger pages first."""
    found = []
    for page, option in _OPTIONS.items():
        names = settings.get("RESTART", option, tuple)
        if names:
            found.append(PageFiles(page, *map(Path, names)))
    return tuple(found)


def with_huge_pages(address: Address, settings: Settings) -> Address:
    """The address for ksync: where the datapath is a kernel's and files of huge pages are named."""
    files = page_files(settings)
    kernel = in_kernel(settings.get("DEFAULT", "platform", str))
    return WithHugePages(address, files) if files and kernel else address


def page_size(path: Path) -> int:
    """The size of the pages that a file at `path` has. OSError."""
    return os.statvfs(path.parent).f_bsize


class WithHugePages:
    """A datapath's address: one that has no tables is given memory before it is connected to."""

    def __init__(
        self, address: Address, files: Sequence[PageFiles], pages: PageSize = page_size
    ) -> None:
        self._address = address
        self._files = tuple(files)
        self._pages = pages

    async def connect(self, made: Made[P]) -> tuple[asyncio.Transport, P]:
        """A new connection. OSError."""
        try:
            async with conversation(self._address) as ask:
                await hand_over(ask, self._files, self._pages)
        except WireError as problem:
            log.warning("no huge pages for the datapath", reason=str(problem))
        return await self._address.connect(made)

    def __str__(self) -> str:
        return str(self._address)


async def hand_over(ask: Ask, files: Sequence[PageFiles], pages: PageSize = page_size) -> None:
    """Give a module without tables what can be had of `files`; else leave it alone. WireError."""
    flow = await told(ask, VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET), VrFlowTableData)
    if flow.ftable_dev != NO_DEVICE:
        if Path(flow.ftable_file_path) not in {one.flow for one in files}:
            log.info("no huge pages for the datapath", reason=_SAYS[_ALREADY])
        return
    bridge = await told(ask, VrBridgeTableData(btable_op=SandeshOp.GET), VrBridgeTableData)
    with mapped(files, bridge.btable_size, flow.ftable_size, pages) as held:
        if not held:
            return
        _, objects = await ask(config(held))
    for one in objects:
        if isinstance(one, VrHugepageConfig):
            _tell(held, ctypes.c_int32(one.vhp_resp).value)


def _tell(held: Sequence[Mapped], code: int) -> None:
    names = " ".join(str(one.path) for one in held)
    if code == _USED:
        log.info("tables are in huge pages", files=names)
    else:
        log.warning("huge pages not used", files=names, reason=_SAYS.get(code, f"it says {code}"))


async def told(ask: Ask, request: T, kind: type[T]) -> T:
    """What the datapath says of a table. WireError when it does not."""
    _, objects = await ask(request)
    for one in objects:
        if isinstance(one, kind):
            return one
    raise WireError(f"the datapath answered without a {kind.__name__}")


def config(held: Sequence[Mapped]) -> VrHugepageConfig:
    """What tells a module of mapped files."""
    names = [os.fsencode(one.path) + b"\0" for one in held]
    return VrHugepageConfig(
        vhp_op=SandeshOp.ADD,
        vhp_mem=tuple(one.address for one in held),
        vhp_psize=tuple(one.page for one in held),
        vhp_mem_sz=tuple(one.size for one in held),
        vhp_file_paths=b"".join(names),
        vhp_file_path_sz=tuple(map(len, names)),
    )


@contextmanager
def mapped(
    files: Sequence[PageFiles], bridge: int, flow: int, pages: PageSize = page_size
) -> Iterator[list[Mapped]]:
    """Both files of each pair that can be had, for tables of so many bytes.

    Bridge and flow table take turns, as the module counts them. What cannot be had is logged.
    """
    held: list[Mapped] = []
    with ExitStack() as kept:
        for pair in files:
            try:
                with ExitStack() as both:
                    held += [
                        _held(both, path, pair.page, size, pages)
                        for path, size in ((pair.bridge, bridge), (pair.flow, flow))
                    ]
                    kept.push(both.pop_all())
            except OSError as error:
                log.warning("no huge pages", option=_OPTIONS.get(pair.page), reason=_reason(error))
        yield held


def _held(kept: ExitStack, path: Path, page: int, size: int, pages: PageSize) -> Mapped:
    """One file, mapped until `kept` ends. OSError."""
    made = _mapping(path, page, size, pages)
    kept.callback(made.close)
    return Mapped(path, ctypes.addressof(ctypes.c_char.from_buffer(made)), page, size)


def _mapping(path: Path, page: int, size: int, pages: PageSize) -> mmap.mmap:
    """Whole pages of a file, as many as the table needs. OSError."""
    if size == 0:
        raise OSError(errno.EINVAL, "the datapath does not say how large the table is", path)
    if pages(path) != page:
        name = _NAMES.get(page, f"{page} B")
        raise OSError(errno.EINVAL, f"it is not on a hugetlbfs with pages of {name}", path)
    length = -(-size // page) * page
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, _MODE)
    try:
        if os.fstat(descriptor).st_size < length:
            os.ftruncate(descriptor, length)
        return mmap.mmap(descriptor, length, mmap.MAP_SHARED)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise OSError(errno.ENOMEM, "there are too few free huge pages", path) from None
        raise
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
