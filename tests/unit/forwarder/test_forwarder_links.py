"""Link messages of any bytes, links of a real kernel, devices on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.forwarder.devices import VNET_HEADER, attach, make_tap
from agent.forwarder.links import Link, LinkWatch, parse_messages
from agent.forwarder.opening import Opener, VifType, Wanted
from agent.values import Mac
from tests.netns import ip

MAC = Mac.parse("00:00:5e:00:01:00")


def message(
    kind: int, index: int, flags: int, *attributes: tuple[int, bytes], family: int = 0
) -> bytes:
    body = struct.pack("=BxHiII", family, 1, index, flags, 0)
    for number, value in attributes:
        body += struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 3, 9) + body


def test_a_link_message() -> None:
    mac = bytes.fromhex("020000000001")
    data = message(16, 5, 0x10003, (3, b"tap0\0"), (1, mac), (4, struct.pack("=I", 1500)))
    assert list(parse_messages(data)) == [(16, (9, 3), Link(5, "tap0", Mac(mac), 1500, True))]


def test_a_link_that_is_down_and_has_no_ethernet_address() -> None:
    (found,) = parse_messages(message(16, 6, 0x1, (3, b"gre0\0"), (1, bytes(4))))
    assert found == (16, (9, 3), Link(6, "gre0", None, 0, False))


@pytest.mark.parametrize("kind", [16, 17], ids=["joins", "leaves"])
def test_a_link_that_joins_or_leaves_a_bridge_stays(kind: int) -> None:
    (found,) = parse_messages(message(kind, 5, 0x10003, (3, b"tap0\0"), family=7))
    assert found == (kind, (9, 3), None)


@given(st.binary(max_size=200))
def test_any_bytes_are_links_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        list(parse_messages(data))


@given(st.data())
def test_any_damage_to_a_message_is_links_or_an_error(data: st.DataObject) -> None:
    good = bytearray(message(16, 5, 3, (3, b"tap0\0"), (1, bytes(6)), (4, bytes(4))))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        list(parse_messages(bytes(good)))


class Watched:
    """What a LinkWatch reported, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.watch = LinkWatch(
            lambda link: self.events.append(("up" if link.up else "there", link.name)),
            lambda link: self.events.append(("gone", link.name)),
        )

    async def until(self, event: tuple[str, str]) -> None:
        async with asyncio.timeout(10):
            while event not in self.events:
                await asyncio.sleep(0.005)


@pytest.fixture
async def watched(own_network: None) -> AsyncIterator[Watched]:
    loop = asyncio.get_running_loop()
    seen = Watched()
    seen.watch.start(loop)
    yield seen
    seen.watch.close(loop)


@pytest.mark.system
async def test_links_that_come_change_and_go(watched: Watched) -> None:
    await watched.until(("up", "lo"))
    ip("link", "add", "left", "type", "veth", "peer", "name", "right")
    await watched.until(("there", "left"))
    assert watched.watch.named("left") is not None
    ip("link", "set", "left", "up")
    ip("link", "set", "right", "up")
    await watched.until(("up", "left"))
    ip("link", "set", "right", "down")
    ip("link", "set", "right", "name", "wrong")
    await watched.until(("gone", "right"))
    await watched.until(("there", "wrong"))
    ip("link", "del", "left")
    await watched.until(("gone", "left"))
    await watched.until(("gone", "wrong"))
    assert watched.watch.named("left") is None


@pytest.mark.system
@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_lost_events_are_made_up_for(
    own_network: None, monkeypatch: pytest.MonkeyPatch, runner: Callable[..., None]
) -> None:
    monkeypatch.setattr("agent.forwarder.links._RECEIVE_BUFFER", 4096)
    runner(lose_events())


async def lose_events() -> None:
    seen = Watched()
    loop = asyncio.get_running_loop()
    seen.watch.start(loop)
    ip("link", "add", "left", "type", "veth", "peer", "name", "right")
    await seen.until(("there", "left"))
    # More events than the buffer holds, while the loop does not read.
    commands = ["link add x type veth peer name y", "link del x"] * 20
    commands += ["link del left", "link add new type veth peer name old"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands).encode(), check=True)
    await seen.until(("gone", "left"))
    await seen.until(("there", "new"))
    assert sorted(link.name for link in seen.watch.by_index.values()) == ["lo", "new", "old"]
    ip("link", "add", "later", "type", "veth", "peer", "name", "last")
    await seen.until(("there", "later"))
    seen.watch.close(loop)


@pytest.mark.system
def test_a_tap_has_its_address_and_is_up(own_network: None) -> None:
    mac = Mac.parse("02:00:00:00:00:99")
    device = make_tap("vhost7", mac)
    shown = subprocess.run(["ip", "link", "show", "vhost7"], capture_output=True, text=True)
    assert str(mac) in shown.stdout
    assert ",UP" in shown.stdout
    with pytest.raises(OSError, match="busy"):
        make_tap("vhost7", mac)
    device.close()
    gone = subprocess.run(["ip", "link", "show", "vhost7"], capture_output=True)
    assert gone.returncode != 0


@pytest.mark.system
@pytest.mark.parametrize("kind", [VifType.HOST, VifType.GATEWAY])
def test_what_leads_into_the_host_is_a_tap(
    own_network: None, tmp_path: Path, kind: VifType
) -> None:
    """Made where there is none, taken over where one is there; else the interface is used."""
    opener = Opener(tmp_path)
    made = opener.open(Wanted(3, kind, 1, "new", -1, MAC))
    ip("tuntap", "add", "ours", "mode", "tap")
    ours = opener.open(Wanted(4, kind, 1, "ours", -1, MAC))
    ip("link", "add", "pair", "type", "veth", "peer", "name", "other")
    pair = opener.open(Wanted(5, kind, 1, "pair", -1, MAC))
    assert made is not None
    assert ours is not None
    assert pair is not None
    assert [made.made, ours.made, pair.made] == [True, True, False]
    for device in (made, ours, pair):
        device.close()
    with pytest.raises(OSError, match="Invalid argument"):
        opener.open(Wanted(6, kind, 1, "lo/0", -1, MAC))


def test_frames_of_a_packet_socket_carry_the_offload_header(own_network: None) -> None:
    ip("link", "add", "left", "type", "veth", "peer", "name", "right")
    for name in ("left", "right"):
        ip("link", "set", name, "up", "addrgenmode", "none")
    left = attach(socket.if_nametoindex("left"), "left")
    right = attach(socket.if_nametoindex("right"), "right")
    frame = bytes.fromhex("02000000000202000000000188b5") + bytes(50)
    os.write(left.descriptor, bytes(VNET_HEADER) + frame)
    assert select.select([right.descriptor], [], [], 10)[0], "nothing arrived"
    assert os.read(right.descriptor, 4096)[VNET_HEADER:] == frame
    with pytest.raises(BlockingIOError):  # what is sent does not come back
        os.read(left.descriptor, 4096)
    left.close()
    right.close()


@pytest.mark.system
def test_an_interface_that_has_gone_cannot_be_attached_to(own_network: None) -> None:
    ip("link", "add", "left", "type", "veth", "peer", "name", "right")
    index = socket.if_nametoindex("left")
    ip("link", "del", "left")
    with pytest.raises(OSError, match="No such device"):
        attach(index, "left")
