"""Dispatch: unknown interfaces, services that are missing, fairness and bounds."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agent.pkt import Dispatcher, FrameBatch, Module, Packet, Port
from tests.unit.pkt.pkt0_vectors import FRAMES, PORT

ARP, DHCP = FRAMES["arp-request"], FRAMES["dhcp-discover"]


class Recorder:
    """A service that remembers when it saw what and answers with the xid or the ARP target."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def handle(self, packet: Packet, now: float) -> Iterable[bytes]:
        self.seen.append((packet.module, now))
        yield bytes([packet.module])


def batch_of(*frames: bytes) -> FrameBatch:
    batch = FrameBatch(64)
    batch.fill(frames)
    return batch


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def dispatcher(recorder: Recorder, **limits: int) -> Dispatcher:
    handlers = {Module.ARP: recorder.handle, Module.DHCP: recorder.handle}
    return Dispatcher({7: PORT}.get, handlers, **limits)


def test_answers_in_order(recorder: Recorder) -> None:
    box = dispatcher(recorder)
    assert box.receive(batch_of(ARP, DHCP, ARP), 5.0) == [b"\x02", b"\x03", b"\x02"]
    assert recorder.seen == [(2, 5.0), (3, 5.0), (2, 5.0)]
    assert (box.modules[Module.ARP].received, box.modules[Module.ARP].sent) == (2, 2)
    assert (box.modules[Module.DHCP].received, box.modules[Module.DHCP].sent) == (1, 1)
    assert (box.counters.pkt_exceptions, box.counters.pkt_dropped) == (3, 0)


def test_unknown_interface(recorder: Recorder) -> None:
    box = dispatcher(recorder)
    stranger = ARP[:14] + b"\x00\x09" + ARP[16:]
    assert box.receive(batch_of(stranger), 0.0) == []
    assert (box.counters.pkt_invalid_interface, box.counters.pkt_dropped) == (1, 1)


def test_module_without_service(recorder: Recorder) -> None:
    box = dispatcher(recorder)
    assert box.receive(batch_of(FRAMES["igmpv2-report"]), 0.0) == []
    assert (box.counters.pkt_no_handler, box.counters.pkt_dropped) == (1, 1)
    assert box.modules[Module.IGMP].received == 1


def test_a_storm_of_one_module_delays_only_itself(recorder: Recorder) -> None:
    box = dispatcher(recorder, quantum=2)
    assert box.receive(batch_of(DHCP, DHCP, DHCP, DHCP, ARP), 1.0) == [b"\x03", b"\x03", b"\x02"]
    assert box.pending == 2
    assert box.turn(2.0) == [b"\x03", b"\x03"]
    assert box.pending == 0
    assert box.turn(3.0) == []


def test_waiting_packets_go_first(recorder: Recorder) -> None:
    box = dispatcher(recorder, quantum=1)
    second = DHCP[:-10] + bytes(10)
    box.receive(batch_of(DHCP, DHCP), 1.0)
    assert box.receive(batch_of(second), 2.0) == [b"\x03"]
    assert box.pending == 1


def test_full_queues_drop_and_count(recorder: Recorder) -> None:
    box = dispatcher(recorder, quantum=1, queue_limit=2)
    box.receive(batch_of(*[DHCP] * 6), 1.0)
    assert box.pending == 2
    assert box.modules[Module.DHCP].q_threshold_exceeded == 3
    assert box.counters.pkt_dropped == 3


def test_an_interface_that_goes_while_its_packet_waits(recorder: Recorder) -> None:
    ports: dict[int, Port] = {7: PORT}
    box = Dispatcher(ports.get, {Module.DHCP: recorder.handle}, quantum=1)
    box.receive(batch_of(DHCP, DHCP), 1.0)
    ports.clear()
    assert box.turn(2.0) == []
    assert box.counters.pkt_invalid_interface == 1


def test_a_batch_has_room_for_what_it_says() -> None:
    batch = FrameBatch(2)
    batch.fill([b"x", b"y" * 9060])
    assert [batch.frame(slot) for slot in range(len(batch))] == [b"x", b"y" * 9060]
    with pytest.raises(ValueError, match="does not fit"):
        batch.fill([b"1", b"2", b"3"])
    with pytest.raises(ValueError, match="does not fit"):
        batch.fill([b"y" * 9061])
    with pytest.raises(IndexError):
        batch.frame(0)
    with pytest.raises(IndexError):
        Packet().open_slot(batch, 0)


@pytest.mark.parametrize("capacity", [0, -1, 1025])
def test_capacity_is_checked(capacity: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        FrameBatch(capacity)


def test_parse_before_open() -> None:
    with pytest.raises(ValueError, match="no frame"):
        Packet().parse(PORT)
