"""Which interface a vif takes, and what happens when one cannot be had."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from agent.forwarder.devices import Device
from agent.forwarder.links import Link
from agent.forwarder.opening import Opener, Transport, VifType, Wanted
from agent.forwarder.ports import Ports
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq
from agent.values import Mac
from tests.unit.forwarder.stage import Stage

MAC = Mac.parse("00:00:5e:00:01:00")


def wanted(
    name: str = "tap3",
    kind: VifType = VifType.VIRTUAL,
    transport: Transport = Transport.ETHERNET,
    os_idx: int = -1,
) -> Wanted:
    return Wanted(3, kind, transport, name, os_idx, MAC)


def link(name: str, index: int = 7) -> Link:
    return Link(index, name, MAC, 1500, True)


@pytest.mark.parametrize(
    ("vif", "found", "expected"),
    [
        (wanted(), link("tap3"), True),
        (wanted(), link("tap4"), False),
        (wanted(os_idx=7), link("tap4"), False),
        (wanted("", os_idx=7), link("tap4"), True),
        (wanted("", os_idx=8), link("tap4"), False),
        (wanted("0000:00:1f.6", VifType.PHYSICAL), link("fabric0"), True),
        (wanted("0000:00:1f.6", VifType.PHYSICAL), link("other"), False),
        (wanted("lo", VifType.PHYSICAL), link("fabric0"), False),
        (wanted("none"), link("fabric0"), False),
    ],
)
def test_which_interface_is_meant(vif: Wanted, found: Link, expected: bool, tmp_path: Path) -> None:
    assert Opener(tmp_path, fabric="fabric0").matches(vif, found) is expected


def test_an_interface_that_does_not_exist_is_not_opened(tmp_path: Path) -> None:
    opener = Opener(tmp_path)
    assert opener.open(wanted("no-such-tap")) is None
    assert opener.open(wanted("", os_idx=1 << 30)) is None
    assert opener.open(wanted("", os_idx=-1)) is None
    assert opener.open(wanted("x" * 40)) is None


def test_the_packet_socket_replaces_what_a_dead_process_left(tmp_path: Path) -> None:
    (tmp_path / "dpdk_pkt0").touch()
    agent = wanted("unix", VifType.AGENT, Transport.SOCKET)
    device = Opener(tmp_path).open(agent)
    assert device is not None
    assert (tmp_path / "dpdk_pkt0").is_socket()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"packet", str(tmp_path / "dpdk_pkt0"))
    device.close()


class Failing:
    """A host that refuses to make what is asked for."""

    def open(self, vif: Wanted) -> Device | None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def matches(self, vif: Wanted, found: Link) -> bool:
        return True


def test_a_device_that_cannot_be_made_is_the_answer_to_the_add(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.control.ports = Ports(stage.datapath, tmp_path, Failing())
    add = VrInterfaceReq(vifr_idx=3, vifr_type=3, vifr_name="tap3", vifr_mac=MAC, vifr_transport=1)
    assert stage.code(add) == -errno.EPERM
    assert stage.code(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=3)) == -errno.ENOENT
    assert stage.datapath.vif_get(3) is None
    stage.close()


class OneSocket:
    """Opens a datagram socket for whatever is asked; interface 7 matches."""

    def __init__(self) -> None:
        self.opened: list[Device] = []

    def open(self, vif: Wanted) -> Device | None:
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.opened.append(Device(ours.detach(), 7, vif.name, made=False, mtu=1600))
        return self.opened[-1]

    def matches(self, vif: Wanted, found: Link) -> bool:
        return found.index == 7


def test_a_vif_follows_its_interface(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    opener = OneSocket()
    ports = Ports(stage.datapath, tmp_path, opener)
    sizes: list[tuple[int, int]] = []
    ports.resized = lambda idx, mtu: sizes.append((idx, mtu))
    stage.control.ports = ports
    stage.datapath.vif_set(3, type=2, mac=MAC)
    fabric = Wanted(3, VifType.PHYSICAL, Transport.ETHERNET, "fab0", -1, MAC, follows_mtu=True)
    assert ports.add(fabric) == 0
    assert sizes == [(3, 1600)]
    ports.link_appeared(Link(7, "fab0", MAC, 9000, True))
    assert sizes[-1] == (3, 9000)
    assert len(opener.opened) == 1  # it is attached already
    ports.link_gone(link("other", 8))
    assert ports.device(3) is opener.opened[0]
    ports.link_gone(link("fab0"))
    assert ports.device(3) is None
    vif = stage.datapath.vif_get(3)
    assert vif is not None
    assert vif.attached is False
    ports.link_appeared(link("fab0"))
    assert ports.device(3) is opener.opened[1]
    stage.close()
