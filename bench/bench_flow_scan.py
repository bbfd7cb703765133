"""The agent's walk over a flow table of 1 M entries: bare reading, and 500 k live flows.

Reading is measured beside a plain C loop and numpy over the same cache lines; the walk's cost with
live flows stands for itself: a sweep takes its period, of which a core may spend 5 %.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agent._fast.classifier import Classifier
from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent._fast.flow_world import World
from agent._fast.forwarding import Datapath
from agent.flow.aging import Timeouts
from agent.sandesh.vrouter import SandeshOp, VrNexthopReq, VrRouteReq
from agent.shm import FlowTable

ENTRIES = 1 << 20
MAIN = ENTRIES - (ENTRIES // 8)
LIVE = 500_000
EVERYTHING = 1 << 40
SHARE = 0.05
"""Of a core, for aging."""
C_LOOP = """
#include <stdint.h>
uint64_t c_loop(const unsigned char *table, uint32_t entries)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < entries; i++)
        sum += *(const uint16_t *)(table + (uint64_t)i * 256 + 88);
    return sum;
}
"""


def world() -> World:
    """A port at each end, without policy, in VRF 1."""
    made = World(Classifier())
    made.put_vrf(1, "default-domain:demo:red:red")
    for vif, nexthop, text in ((3, 24, "10.1.1.3"), (4, 25, "10.1.1.4")):
        address = ip_address(text).packed
        made.add(_nexthop(nexthop, vif))
        made.put_port(vif, vrf=1, key_nexthop=nexthop, policy=False, address=address)
        route = VrRouteReq(
            h_op=SandeshOp.ADD, rtr_vrf_id=1, rtr_family=2, rtr_prefix=address, rtr_prefix_len=32,
            rtr_nh_id=nexthop,
        )  # fmt: skip
        made.put_routes([(route, 0)])
    return made


def _nexthop(number: int, vif: int) -> VrNexthopReq:
    return VrNexthopReq(
        h_op=SandeshOp.ADD, nhr_id=number, nhr_type=2, nhr_family=2, nhr_flags=1, nhr_vrf=1,
        nhr_encap_oif_id=(vif,), nhr_encap=bytes(14), nhr_encap_len=14,
    )  # fmt: skip


class Walk:
    """A table of ENTRIES, pairs and scanner; `sweep` walks over all of it once."""

    def __init__(self, live: int) -> None:
        self.memory = mmap.mmap(-1, ENTRIES * 256)
        self.datapath = Datapath(
            flow_table=memoryview(self.memory), flow_entries=MAIN,
            bridge_table=bytearray(2048 * 64), bridge_entries=1024,
        )  # fmt: skip
        self.pairs = FlowPairs(world(), table_entries=ENTRIES)
        self.now = 1000.0
        self.pairs.connected(self.now)
        self.table = FlowTable(memoryview(self.memory), MAIN)
        self.indexes = [(k * 2_097_143) % MAIN for k in range(live)]
        for position in range(0, live, 2):
            self._write(position)
        self._keep()
        self.scanner = self._scanner(5.0)

    def _scanner(self, delay: float) -> FlowScanner:
        scanner = FlowScanner(self.pairs, self.table, Timeouts(), delay=delay, suspects=ENTRIES)
        scanner.slice(self.now, EVERYTHING)
        self.now += scanner.period
        scanner.slice(self.now, EVERYTHING)
        return scanner

    def _write(self, position: int) -> None:
        """A pair that an earlier agent left in two entries."""
        addresses = ip_address("10.1.1.3").packed, ip_address("10.1.1.4").packed
        sport, dport = position % 60000 + 1, position // 60000 + 1
        here, there = self.indexes[position], self.indexes[position + 1]
        self._entry(here, there, struct.pack(">HH", sport, dport), 24, *addresses)
        self._entry(there, here, struct.pack(">HH", dport, sport), 25, *addresses[::-1])

    def _entry(
        self, index: int, reverse: int, ports: bytes, nexthop: int, source: bytes, target: bytes
    ) -> None:
        key = b"\x02\x11\0\0" + ports + struct.pack("<I", nexthop) + source + target
        at = index * 256
        self.memory[at + 20] = 1
        self.memory[at + 24 : at + 44] = key
        struct.pack_into("<BB", self.memory, at + 68, 20, 1)
        struct.pack_into("<IHHHH", self.memory, at + 84, reverse, 0x1001, 0, 2, 1)
        struct.pack_into("<BBHI", self.memory, at + 116, 0, 2, 0, 3 if nexthop == 24 else 4)

    def _keep(self) -> None:
        """Have every pair taken over, as after a restart of the agent."""
        scanner = self._scanner(0.0)
        for _ in range(100):
            self.now += scanner.period
            scanner.slice(self.now, EVERYTHING)
            while frames := bytes(self.pairs.take_output(1 << 20, self.now)):
                _, replies = self.datapath.flow_serve(frames, 1 << 26)
                self.pairs.answers(replies, self.now)
            if len(self.pairs) == len(self.indexes) // 2:
                return

    def traffic(self) -> None:
        """Every live entry counts on."""
        for index in self.indexes:
            self.memory[index * 256 + 105] = (self.memory[index * 256 + 105] + 1) % 256

    def sweep(self) -> None:
        self.now += self.scanner.period
        self.scanner.slice(self.now, EVERYTHING)


@pytest.fixture(scope="module")
def empty() -> Walk:
    return Walk(0)


@pytest.fixture(scope="module")
def busy() -> Walk:
    walk = Walk(LIVE)
    assert len(walk.pairs) == LIVE // 2
    return walk


@pytest.fixture(scope="module")
def c_loop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[mmap.mmap], int]:
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
    ffi.cdef("uint64_t c_loop(const unsigned char *table, uint32_t entries);")
    library = ffi.dlopen(str(folder / "loop.so"))

    def run(memory: mmap.mmap) -> int:
        with ffi.from_buffer("unsigned char[]", memory) as table:
            return int(library.c_loop(table, ENTRIES))

    return run


READING = "flow scan: 1 M entries, none in use"


def test_reading_vrouter(contest: Any, empty: Walk) -> None:
    before = empty.scanner.counters["entries"]
    empty.sweep()
    assert empty.scanner.counters["entries"] - before == ENTRIES
    contest(READING, "vrouter", per=ENTRIES, aim_ratio=("C loop", 1 / 0.7), entries=ENTRIES)(
        empty.sweep
    )


def test_reading_c_loop(contest: Any, empty: Walk, c_loop: Callable[[mmap.mmap], int]) -> None:
    assert c_loop(empty.memory) == 0
    contest(READING, "C loop", per=ENTRIES)(c_loop, empty.memory)


def test_reading_numpy(contest: Any, empty: Walk, peer: Any) -> None:
    numpy = peer("numpy")
    flags = numpy.frombuffer(empty.memory, dtype="<u2")[44::128]

    def run() -> int:
        return int(numpy.count_nonzero(flags))

    assert len(flags) == ENTRIES
    assert run() == 0
    contest(READING, "numpy", per=ENTRIES)(run)


def test_aging_of_silent_flows(contest: Any, busy: Walk) -> None:
    """Nothing counts: each flow's age is looked at, none is old enough."""
    busy.traffic()
    busy.sweep()
    aim = SHARE * busy.scanner.period * 1e9 / LIVE
    assert busy.scanner.sweep["owned"] == LIVE
    contest(
        "flow scan: aging of 500 k live flows, silent", "vrouter", per=LIVE, aim_ns=aim,
        share_of_a_core=f"time of a sweep / {busy.scanner.period:g} s",
    ).pedantic(busy.sweep, rounds=12, warmup_rounds=1)  # fmt: skip
    assert busy.scanner.counters["aged"] == 0


def test_aging_of_busy_flows(contest: Any, busy: Walk) -> None:
    """Every flow counts on between two sweeps: each total is folded."""
    before = busy.scanner.counters["grown"]
    aim = SHARE * busy.scanner.period * 1e9 / LIVE
    contest(
        "flow scan: aging of 500 k live flows, all counting", "vrouter", per=LIVE, aim_ns=aim,
        share_of_a_core=f"time of a sweep / {busy.scanner.period:g} s",
    ).pedantic(busy.sweep, setup=busy.traffic, rounds=8)  # fmt: skip
    assert busy.scanner.counters["grown"] - before == 8 * LIVE
