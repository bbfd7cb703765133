"""The loop over descriptors: frames in and out, the agent's socket, devices that go away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent._fast.forwarding import FRAMING_PKT0, FRAMING_PLAIN, FRAMING_VNET, VIF_COUNTERS
from tests.unit.forwarder.dataplane_rig import AGENT, MAC1, MAC2, ROUTER_MAC, TAP1, TAP2, Rig

FRAME = MAC2 + MAC1 + b"\x88\xb5" + b"payload" * 8
TO_GATEWAY = (
    ROUTER_MAC
    + MAC1
    + b"\x08\0"
    + bytes.fromhex("4500001c000100004001 0000 0f000003 0f000001 0800 f7ff 00000000")
)
SECONDS = 10.0


class Running:
    """A rig whose loop runs in a thread, with socket pairs as the guests' devices."""

    def __init__(self) -> None:
        self.rig = Rig().build()
        self.dp = self.rig.dp
        self.dp.set_capture(False)
        self.sockets: list[socket.socket] = []
        self.thread = threading.Thread(target=self.dp.run)
        self.thread.start()

    def attach(self, vif: int, framing: int = FRAMING_PLAIN) -> socket.socket:
        """Our end of the vif's device."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        near.settimeout(SECONDS)
        self.sockets += [near, far]
        assert self.dp.vif_attach(vif, far.fileno(), framing) == 0
        return near

    def close(self) -> None:
        self.dp.stop()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        self.dp.reset()
        for end in self.sockets:
            end.close()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    try:
        yield running
    finally:
        running.close()


def counters(running: Running, vif: int) -> dict[str, int]:
    values, _ = running.dp.vif_stats(vif) or ((), ())
    return dict(zip(VIF_COUNTERS, values, strict=True))


def test_frames_pass_between_descriptors(running: Running) -> None:
    one, two = running.attach(TAP1), running.attach(TAP2)
    sent = [FRAME + bytes([number]) for number in range(200)]
    got = []
    for start in range(0, 200, 5):
        for frame in sent[start : start + 5]:
            one.send(frame)
        got += [two.recv(2048) for _ in range(5)]
    assert got == sent
    assert counters(running, TAP2)["opackets"] == 200


def test_offload_header_precedes_each_frame(running: Running) -> None:
    one, two = running.attach(TAP1, FRAMING_VNET), running.attach(TAP2, FRAMING_VNET)
    header = bytes.fromhex("0101360000052200" + "1000")
    frame = FRAME + bytes(4000)
    one.send(header + frame)
    assert two.recv(8192) == header + frame


def test_device_without_offload_gets_whole_checksums(running: Running) -> None:
    one, two = running.attach(TAP1, FRAMING_VNET), running.attach(TAP2, FRAMING_PLAIN)
    one.send(
        bytes.fromhex("0100000000000e000000") + MAC2 + MAC1 + b"\x88\xb5" + b"\0\0" + b"\x12\x34"
    )
    assert two.recv(2048)[14:] == b"\xed\xcb\x12\x34"


def test_full_device_is_an_output_error(running: Running) -> None:
    running.attach(TAP2)
    for _ in range(5000):
        running.dp.inject(TAP1, FRAME)
        if running.rig.drops():
            break
    assert running.rig.drops()["interface_tx_discard"] > 0
    seen = counters(running, TAP2)
    assert seen["oerrors"] == seen["dev_oerrors"] > 0


def test_detached_vif_is_left_alone(running: Running) -> None:
    one, two = running.attach(TAP1), running.attach(TAP2)
    assert running.dp.vif_detach(TAP2) == 0
    assert running.dp.vif_detach(99) < 0
    one.send(FRAME)
    two.settimeout(0.05)
    with pytest.raises(TimeoutError):
        two.recv(2048)
    vif = running.dp.vif_get(TAP2)
    assert vif is not None
    assert not vif.attached


def test_bad_descriptors_are_refused(running: Running, tmp_path: Path) -> None:
    assert running.dp.vif_attach(TAP1, 9999, FRAMING_PLAIN) < 0
    assert running.dp.vif_attach(99, 0, FRAMING_PLAIN) < 0
    with (tmp_path / "file").open("w") as plain:
        assert running.dp.vif_attach(TAP1, plain.fileno(), FRAMING_PLAIN) < 0
    with pytest.raises(ValueError, match="framing"):
        running.dp.vif_attach(TAP1, 0, 9)
    with pytest.raises(ValueError, match="socket path"):
        running.dp.vif_attach(TAP1, 0, FRAMING_PKT0, "x" * 200)


def test_run_twice_and_close_while_running(running: Running) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        running.dp.run()
    with pytest.raises(RuntimeError, match="stop it"):
        running.dp.close()


def test_close_ends_the_object() -> None:
    rig = Rig().build()
    rig.dp.stop()
    rig.dp.run()
    rig.dp.close()
    rig.dp.close()
    with pytest.raises(ValueError, match="closed"):
        rig.dp.drop_stats()


def test_configuration_changes_while_frames_flow(running: Running) -> None:
    """Deleting and making what the frames use: no frame may meet a half of it."""
    one = running.attach(TAP1)
    one.setblocking(False)
    done = threading.Event()

    def pump() -> None:
        while not done.is_set():
            with suppress(BlockingIOError):
                one.send(FRAME)

    sender = threading.Thread(target=pump)
    sender.start()
    try:
        for _ in range(100):
            assert running.dp.vif_delete(TAP2) == 0
            assert running.dp.nexthop_delete(3) == 0
            assert running.dp.vif_set(TAP2, type=3, flags=0x1C0, vrf=1) == 0
            two = running.attach(TAP2)
            running.rig.encap(3, TAP2, MAC2, family=7)
            assert two.recv(2048) == FRAME
    finally:
        done.set()
        sender.join()


# --- the agent's socket


def datagram(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.bind(str(path))
    bound.settimeout(SECONDS)
    return bound


@pytest.fixture
def pkt0(running: Running, tmp_path: Path) -> Path:
    """The agent vif has its socket; the agent's path is free."""
    mine = datagram(tmp_path / "dpdk_pkt0")
    running.sockets.append(mine)
    agent = tmp_path / "agent_pkt0"
    assert running.dp.vif_attach(AGENT, mine.fileno(), FRAMING_PKT0, str(agent)) == 0
    return agent


def reached(running: Running, agent: socket.socket) -> bytes:
    """The first trap that arrives; those before a due reconnection are lost."""
    agent.settimeout(0.05)
    for _ in range(200):
        running.dp.inject(TAP1, TO_GATEWAY)
        with suppress(TimeoutError):
            return agent.recv(4096)
    pytest.fail("no trap came")


def test_traps_follow_an_agent_that_comes_late_and_again(running: Running, pkt0: Path) -> None:
    running.dp.inject(TAP1, TO_GATEWAY)
    assert counters(running, AGENT)["oerrors"] == 1
    for _ in range(3):
        with datagram(pkt0) as agent:
            trap = reached(running, agent)
            assert trap[14:20] == b"\0\x03\0\x01\0\x04"
            assert trap[44:] == TO_GATEWAY
        pkt0.unlink()
    assert counters(running, AGENT)["reconnects"] == 3


def test_agent_sends_through_its_socket(running: Running, pkt0: Path) -> None:
    one = running.attach(TAP1)
    with datagram(pkt0) as agent:
        header = (TAP1).to_bytes(2, "big") + bytes(28)
        agent.sendto(bytes(14) + header + FRAME, str(pkt0.with_name("dpdk_pkt0")))
        assert one.recv(2048) == FRAME
        assert counters(running, AGENT)["ipackets"] == 1


# --- real devices


@pytest.mark.system
def test_taps_and_packet_sockets() -> None:
    """In a network namespace of its own: see dataplane_wire.py."""
    script = Path(__file__).with_name("dataplane_wire.py")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, str(script)]
    if os.geteuid() == 0:
        command = ["unshare", "--net", sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
