"""Scanning a flow table of the default main size: ours, a plain C loop, numpy, same memory."""

from __future__ import annotations

import mmap
import random
import struct
import subprocess
from array import array
from pathlib import Path
from typing import Any

import pytest

from agent._fast import flow_table
from agent.shm import FlowFlag, FlowTable

ENTRIES = 524_288
OVERFLOW = 105_472
FILLS = {"5 % active": 0.05, "50 % active": 0.5}
C_LOOP = """
#include <stdint.h>
struct __attribute__((packed)) entry {
    uint8_t head[88]; uint16_t flags, flags1, action; uint8_t more[10];
    uint32_t bytes, packets; uint16_t bytes_high; uint8_t packets_high; uint8_t tail[141];
};
uint32_t c_loop(const struct entry *table, uint32_t entries, uint32_t *picked, uint64_t *sums)
{
    uint32_t count = 0;
    uint64_t bytes = 0, packets = 0;
    for (uint32_t i = 0; i < entries; i++)
        if (table[i].flags & 1) {
            picked[count++] = i;
            bytes += (uint64_t)table[i].bytes_high << 32 | table[i].bytes;
            packets += (uint64_t)table[i].packets_high << 32 | table[i].packets;
        }
    sums[0] = bytes;
    sums[1] = packets;
    return count;
}
"""


@pytest.fixture(scope="module", params=sorted(FILLS))
def table(request: pytest.FixtureRequest) -> tuple[str, mmap.mmap]:
    """Anonymous shared memory, filled at random with a fixed seed."""
    memory = mmap.mmap(-1, (ENTRIES + OVERFLOW) * 256)
    chance = random.Random(7)
    for index in range(ENTRIES):
        active = chance.random() < FILLS[request.param]
        struct.pack_into("<H", memory, index * 256 + 88, FlowFlag.ACTIVE if active else 0)
        struct.pack_into("<IIHB", memory, index * 256 + 104, index, 3, 1, 0)
    return request.param, memory


@pytest.fixture(scope="module")
def c_loop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The plain loop, compiled with the flags of our kernels and called through cffi."""
    cffi = pytest.importorskip("cffi")
    folder: Path = tmp_path_factory.mktemp("c_loop")
    (folder / "loop.c").write_text(C_LOOP)
    command = ["cc", "-O2", "-std=c11", "-shared", "-fPIC", "loop.c", "-o", "loop.so"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler for the plain loop: {error!r}")
    ffi = cffi.FFI()
    ffi.cdef(
        "uint32_t c_loop(const void *table, uint32_t entries, uint32_t *picked, uint64_t *sums);"
    )
    return ffi, ffi.dlopen(str(folder / "loop.so"))


def expected(memory: mmap.mmap) -> tuple[int, int]:
    view = FlowTable(memory, ENTRIES)
    found = view.scan(0, ENTRIES)
    return len(found.picked), found.bytes


def test_scan_vrouter(contest: Any, table: tuple[str, mmap.mmap]) -> None:
    fill, memory = table
    picked = array("I", bytes(4 * ENTRIES))

    def run() -> tuple[int, int, int, int]:
        return flow_table.scan(memory, 0, ENTRIES, picked, mask=1, value=1)

    _, count, octets, _ = run()
    assert (count, octets) == expected(memory)
    contest(
        f"flow table: scan, {fill}",
        "vrouter",
        per=ENTRIES,
        aim_ratio=("C loop", 1.25),
        entries=ENTRIES,
    )(run)


def test_scan_c_loop(contest: Any, table: tuple[str, mmap.mmap], c_loop: Any) -> None:
    fill, memory = table
    ffi, library = c_loop
    address = ffi.from_buffer(memory)
    picked = ffi.new("uint32_t[]", ENTRIES)
    sums = ffi.new("uint64_t[2]")

    def run() -> int:
        return int(library.c_loop(address, ENTRIES, picked, sums))

    count = run()
    assert (count, sums[0]) == expected(memory)
    contest(f"flow table: scan, {fill}", "C loop", per=ENTRIES)(run)
    ffi.release(address)


def test_scan_numpy(contest: Any, table: tuple[str, mmap.mmap], peer: Any) -> None:
    fill, memory = table
    numpy = peer("numpy")
    fields = {
        "names": ["flags", "bytes", "packets", "bytes_high", "packets_high"],
        "formats": ["<u2", "<u4", "<u4", "<u2", "u1"],
        "offsets": [88, 104, 108, 112, 114],
        "itemsize": 256,
    }
    rows = numpy.frombuffer(memory, dtype=numpy.dtype(fields), count=ENTRIES)

    def run() -> tuple[Any, int, int]:
        picked = numpy.flatnonzero(rows["flags"] & 1)
        hits = rows[picked]
        octets = int(hits["bytes"].sum(dtype="u8")) + (
            int(hits["bytes_high"].sum(dtype="u8")) << 32
        )
        packets = int(hits["packets"].sum(dtype="u8")) + (
            int(hits["packets_high"].sum(dtype="u8")) << 32
        )
        return picked, octets, packets

    picked, octets, _ = run()
    assert (len(picked), octets) == expected(memory)
    contest(f"flow table: scan, {fill}", "numpy", per=ENTRIES)(run)
