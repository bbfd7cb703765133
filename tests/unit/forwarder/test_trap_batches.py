"""Traps leave in batches and never block: an agent that reads late, little, or not at all."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent._fast.forwarding import FRAMING_PKT0, VIF_COUNTERS
from tests.unit.forwarder.dataplane_rig import new_datapath
from tests.unit.forwarder.flow_rig import (
    AGENT,
    FORWARD,
    TAP1,
    TAP2,
    FlowRig,
    Trap,
    guest_frame,
    read_trap,
    udp,
)

BACKLOG = 4096
"""Frames that wait for room at the agent's end."""
TEMPLATE = guest_frame(udp("15.0.0.3", "15.0.0.4", 1, 2))


class BatchRig(FlowRig):
    """A rig whose agent is a datagram socket, with room for very many flows."""

    def __init__(self, directory: Path) -> None:
        self.table = bytearray(16384 * 256)
        self.dp = new_datapath(flow_table=self.table, flow_entries=8192, hold_limit=8192)
        self._directory = directory
        self._mine = datagrams(directory / "dpdk_pkt0")
        self.agent = datagrams(directory / "agent_pkt0")

    def plug(self) -> None:
        path = str(self._directory / "agent_pkt0")
        assert self.dp.vif_attach(AGENT, self._mine.fileno(), FRAMING_PKT0, path) == 0

    def traps(self) -> list[Trap]:
        """What the agent can read, until nothing comes."""
        got = []
        while True:
            try:
                got.append(read_trap(self.agent.recv(4096)))
            except BlockingIOError:
                before = len(got)
                self.dp.flow_table_stats()  # the end of any turn sends what waits
                try:
                    got.append(read_trap(self.agent.recv(4096)))
                except BlockingIOError:
                    assert len(got) == before
                    return got

    def counters(self) -> dict[str, int]:
        counts, _ = self.dp.vif_stats(AGENT) or ((), ())
        return dict(zip(VIF_COUNTERS, counts, strict=True))

    def first_packets(self, count: int, first: int = 0) -> None:
        """One of each flow, told apart by the source port."""
        frame = bytearray(TEMPLATE)
        for number in range(first, first + count):
            struct.pack_into(">H", frame, 34, number)
            self.dp.inject(TAP1, bytes(frame))

    def close(self) -> None:
        self.dp.close()
        self._mine.close()
        self.agent.close()


@contextmanager
def looping(rig: BatchRig) -> Iterator[None]:
    """The router's loop runs meanwhile."""
    thread = threading.Thread(target=rig.dp.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        rig.dp.stop()
        thread.join(20)


def datagrams(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind(str(path))
    return made


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[BatchRig]:
    rig = BatchRig(tmp_path)
    rig.build()
    rig.plug()
    yield rig
    rig.close()


def test_traps_wait_for_an_agent_that_reads_late_and_keep_their_order(rig: BatchRig) -> None:
    """The kernel lets few datagrams wait at an end that is not connected back."""
    rig.first_packets(1000)
    assert rig.counters()["oerrors"] == 0
    got = rig.traps()
    assert [int.from_bytes(trap.frame[34:36], "big") for trap in got] == list(range(1000))
    assert rig.counters()["opackets"] == 1000
    assert rig.drops() == {}


def test_what_does_not_fit_is_counted_and_its_flows_are_given_up(rig: BatchRig) -> None:
    rig.first_packets(5000)
    lost = rig.counters()["oerrors"]
    assert 0 < lost <= 5000 - BACKLOG
    stats = rig.dp.flow_table_stats()
    assert stats.hold_entries == 5000 - lost
    assert stats.created - stats.processed == stats.hold_entries
    drops = rig.drops()
    assert drops == {"interface_tx_discard": lost, "flow_unusable": lost}
    got = rig.traps()
    assert len(got) == 5000 - lost
    assert len({trap.index for trap in got}) == len(got)
    again = 5000 - 1
    rig.first_packets(1, again)
    (trap,) = rig.traps()
    assert int.from_bytes(trap.frame[34:36], "big") == again


def test_flows_whose_trap_waited_are_set_up_as_others(rig: BatchRig) -> None:
    rig.first_packets(200)
    for trap in rig.traps():
        entry = rig.entry(trap.index)
        assert (entry.gen_id, entry.action) == (trap.gen_id, 1)
        sport, dport = struct.unpack_from("<HH", entry.key, 4)
        answer = rig.dp.flow_set(
            index=trap.index, gen_id=trap.gen_id, family=2, proto=17, sport=sport, dport=dport,
            nh_id=2, sip_l=struct.unpack_from("<I", entry.key, 12)[0],
            dip_l=struct.unpack_from("<I", entry.key, 16)[0], flags=1, action=FORWARD, vrf=1,
        )  # fmt: skip
        assert answer.code == 0
    assert len([vif for vif, _, _ in rig.dp.captured() if vif == TAP2]) == 200
    assert rig.dp.flow_table_stats().hold_entries == 0


def test_an_agent_that_died_costs_its_traps_and_no_more(rig: BatchRig) -> None:
    rig.first_packets(300)
    rig.agent.close()
    rig.first_packets(1, 400)
    taken = rig.counters()["opackets"]
    assert taken < 20, "what the kernel had taken, nobody knows the fate of"
    assert rig.dp.flow_table_stats().hold_entries == taken
    assert rig.counters()["oerrors"] == 301 - taken


def test_frames_that_wait_are_lost_with_the_agents_interface(rig: BatchRig) -> None:
    rig.first_packets(300)
    assert rig.dp.vif_delete(AGENT) == 0
    stats = rig.dp.flow_table_stats()
    assert stats.hold_entries < 300
    assert rig.drops()["flow_unusable"] == 300 - stats.hold_entries
    rig.first_packets(1, 400)
    assert rig.drops()["trap_no_if"] == 1


def test_the_loop_sends_what_waited_when_there_is_room(rig: BatchRig) -> None:
    rig.first_packets(500)
    rig.agent.settimeout(20)
    with looping(rig):
        got = [read_trap(rig.agent.recv(4096)) for _ in range(500)]
    assert [int.from_bytes(trap.frame[34:36], "big") for trap in got] == list(range(500))


def test_many_frames_of_the_agent_are_read_in_few_turns(rig: BatchRig) -> None:
    """All of them, in order, truncated and empty ones counted."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.settimeout(20)
    assert rig.dp.vif_attach(TAP2, one.fileno(), 1) == 0
    rig.agent.connect(str(Path(rig.agent.getsockname()).with_name("dpdk_pkt0")))
    rig.agent.settimeout(20)
    header = bytes(14) + TAP2.to_bytes(2, "big") + bytes(28)
    payloads = [bytes(12) + b"\x88\xb5" + number.to_bytes(4, "big") * 12 for number in range(500)]
    with looping(rig):
        for first in range(0, 500, 100):
            part = payloads[first : first + 100]
            for payload in part:
                rig.agent.send(header + payload)
            assert [other.recv(2048) for _ in part] == part
        rig.agent.send(b"")
        rig.agent.send(header + payloads[0])
        assert other.recv(2048) == payloads[0]
    assert rig.counters()["ipackets"] == 501
    assert rig.counters()["dev_ierrors"] == 1
    os.close(one.detach())
    other.close()
