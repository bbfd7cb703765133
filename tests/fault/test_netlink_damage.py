"""One answer is damaged on its way over a real netlink socket: in the end all is as wanted."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.forwarder.dispatcher import answer
from agent.forwarder.netlink import NetlinkServer
from agent.io import reconnect
from agent.io.datapath import NetlinkAddress
from agent.ksync import InSync, Lost
from agent.sandesh.framing import NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR
from agent.sandesh.vrouter import SandeshOp, VrMplsReq, VrNexthopReq
from tests.fault.ksync_owner import Owner
from tests.unit.forwarder.stage import Stage
from tests.unit.io.netlink_peer import needs_netlink_between_processes
from tests.unit.ksync import world as w

Damage = Callable[[bytes], list[bytes]]
LABELS, NEXTHOPS = {22, 23, 24, 27}, {0, 1, 14, 15, 17, 18, 19, 20}


def head(kind: int, like: bytes, flags: int = 0, more: bytes = b"") -> bytes:
    size = 16 + len(more)
    return struct.pack("=IHH", size, kind, flags) + like[8:16] + more


def put(offset: int, form: str, value: int) -> Damage:
    def damage(data: bytes) -> list[bytes]:
        return [data[:offset] + struct.pack(form, value) + data[offset + struct.calcsize(form) :]]

    return damage


DAMAGES: dict[str, tuple[Damage, bool]] = {
    "lost": (lambda data: [], True),
    "cut short": (lambda data: [data[: len(data) // 2]], True),
    "a length of nothing": (put(0, "=I", 0), True),
    "a length beyond the end": (put(0, "=I", 1 << 30), True),
    "of another family": (put(4, "=H", 4711), True),
    "with another sequence number": (put(8, "=I", 0xFFFF), True),
    "an error in its place": (
        lambda data: [head(NLMSG_ERROR, data, more=struct.pack("=i", -22) + data[:16])],
        True,
    ),
    "the end before it": (lambda data: [head(NLMSG_DONE, data), data], True),
    "garbage in its place": (lambda data: [bytes(range(64))], True),
    "an empty payload": (lambda data: [data[:24]], True),
    "twice": (lambda data: [data, data], True),
    "without its end": (put(6, "=H", NLM_F_MULTI), True),
    "for another port": (put(12, "=I", 99), False),
    "with a length of its attribute that cannot be": (put(20, "=H", 7), True),
    "with the whole length of its attribute": (
        lambda data: put(20, "=H", struct.unpack_from("=H", data, 20)[0] + 4)(data),
        False,
    ),
    "after what is nothing": (lambda data: [head(1, data), head(1, data) + data], False),
}
"""What happens to a datagram, and whether a connection may end for it."""


class Damaging(NetlinkServer):
    """Damages one datagram of its answers, the one numbered `at`, once."""

    def __init__(self, port_file: Path, stage: Stage) -> None:
        super().__init__(port_file, lambda payload: answer(stage.control, payload))
        self.damage: Damage | None = None
        self.at = self.sent = 0

    def _send(self, frame: bytes, sender: int) -> None:
        damage = self.damage
        if frame[4:6] != b"\x10\x00":  # nlctrl's own
            self.sent += 1
            if damage is not None and self.sent > self.at and frame[4:6] != b"\x03\x00":
                self.damage = None
                for part in damage(frame):
                    super()._send(part, sender)
                return
        super()._send(frame, sender)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    needs_netlink_between_processes()
    made = Stage(tmp_path)
    yield made
    made.close()


def programmed(stage: Stage) -> tuple[set[int], set[int]]:
    labels, nexthops = (
        [row for frame in stage.ask(request) for row in frame]
        for request in (
            VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=-1),
            VrNexthopReq(h_op=SandeshOp.DUMP, nhr_marker=-1),
        )
    )
    return (
        {row.mr_label for row in labels if isinstance(row, VrMplsReq)},
        {row.nhr_id for row in nexthops if isinstance(row, VrNexthopReq)},
    )


@pytest.mark.parametrize("at", [0, 5, 14, 30])
@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_answer_is_made_up_for(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    monkeypatch.setattr(reconnect, "RECONNECT_FIRST", 0.001)
    server = Damaging(tmp_path / "netlink_port", stage)
    server.damage, ends = DAMAGES[name]
    server.at = at
    await server.start()
    address, patience = NetlinkAddress(tmp_path / "netlink_port"), 0.2 if ends else 30.0
    owner = Owner(address, w.port(), reply_timeout=patience)
    owner.connection.start()
    try:
        await owner.until(lambda: owner.count(InSync) > 0)
        assert server.damage is None
        assert ends or owner.count(Lost) == 0
        assert programmed(stage) == (LABELS, NEXTHOPS)
    finally:
        await owner.connection.close()
        await server.stop()
