"""Run in an empty network namespace: a veth by packet socket and a tap, joined by a router.

The veth's far end and the tap are this machine's own interfaces, so that the kernel
does the guests' part: VLAN tags beside the frame, checksums left to the device, big TCP.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import threading
import time

from agent._fast.forwarding import FRAMING_VNET
from tests.unit.forwarder.dataplane_rig import MAC1, MAC2, Rig

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x2, 0x1000, 0x4000
OFFLOADS = 0x1 | 0x2 | 0x4
SOL_PACKET, PACKET_VNET_HDR = 263, 15
ETH_P_ALL = 3
TAP1, TAP2, SUB = 3, 4, 5
SECONDS = 10.0


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def open_tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(fd, TUNSETOFFLOAD, OFFLOADS)
    return fd


def open_packet(name: str) -> socket.socket:
    device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    device.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    device.bind((name, ETH_P_ALL))
    return device


def build() -> None:
    """Guest 1 behind a veth, guest 2 behind a tap; each in a namespace of its own.

    The tap's interface moves into guest 2's namespace after it was opened here.
    """
    ip("link", "set", "lo", "up")
    ip("link", "add", "host1", "type", "veth", "peer", "name", "guest1")
    ip("link", "set", "host1", "up")
    ip("link", "set", "host1", "mtu", "9000")
    ip("link", "set", "guest1", "mtu", "9000")


class Guest:
    """A process that owns a network namespace, to run commands and sockets in."""

    def __init__(self, device: str, mac: bytes, address: str) -> None:
        self.keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.keeper.stdout
        self.keeper.stdout.readline()
        ip("link", "set", device, "netns", str(self.keeper.pid))
        # Only the frames of the test: no solicitations of the guests' own stacks.
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
        self.run("ip", "link", "set", device, "address", mac.hex(":"))
        self.run("ip", "address", "add", address, "dev", device)
        self.run("ip", "link", "set", device, "up")
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str) -> None:
        subprocess.run(
            ["nsenter", "-t", str(self.keeper.pid), "-n", *command],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def end(self) -> None:
        self.keeper.kill()
        self.keeper.wait()


SERVER = """
import socket
s = socket.create_server(("15.0.0.4", 5001))
print("listening", flush=True)
c, _ = s.accept()
n = 0
while data := c.recv(1 << 20):
    n += len(data)
c.sendall(str(n).encode())
c.close()
"""
CLIENT = """
import socket
c = socket.create_connection(("15.0.0.4", 5001), 10)
for _ in range(200):
    c.sendall(b"x" * 100000)
c.shutdown(socket.SHUT_WR)
assert c.recv(100) == b"20000000"
"""


TAGGED = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("guest1", 0))
s.send(bytes.fromhex("ffffffffffff021111111111" + "8100000a" + "88b5") + bytes(60))
"""


def counter(rig: Rig, vif: int, which: int) -> int:
    values, _ = rig.dp.vif_stats(vif) or ((), ())
    return values[which]


def transfer(one: Guest, two: Guest) -> None:
    """20 MB of TCP between the guests, with the kernel's offloads on both sides."""
    server = subprocess.Popen(
        ["nsenter", "-t", str(two.keeper.pid), "-n", "python3", "-c", SERVER],
        stdout=subprocess.PIPE,
    )
    assert server.stdout
    server.stdout.readline()
    one.run("python3", "-c", CLIENT)
    assert server.wait(SECONDS) == 0


def wait_until(condition: object, what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def check(rig: Rig, one: Guest, two: Guest) -> None:
    one.run("ping", "-q", "-c", "3", "-i", "0.05", "-W", "5", "15.0.0.4")
    transfer(one, two)
    assert counter(rig, TAP1, 0) / counter(rig, TAP1, 1) > 3000, "TCP came in super-frames"
    # The kernel keeps a tag beside the frame; broadcasts go back out under one.
    one.run("python3", "-c", TAGGED)
    wait_until(lambda: counter(rig, SUB, 1) > 0, "the tagged frame is the sub-interface's")
    before = counter(rig, SUB, 4)
    two.run("python3", "-c", TAGGED.replace("guest1", "tap2").replace("8100000a", ""))
    wait_until(lambda: counter(rig, SUB, 4) > before, "a broadcast goes out tagged")


def check_devices_that_go(rig: Rig, one: Guest, two: Guest) -> None:
    two.run("ip", "link", "delete", "tap2")
    one.run("ip", "link", "delete", "guest1")
    for vif in (TAP1, TAP2):
        wait_until(lambda vif=vif: not rig.dp.vif_get(vif).attached, f"vif {vif} is detached")


def main() -> None:
    build()
    tap = open_tap("tap2")
    ip("link", "set", "tap2", "mtu", "9000")
    rig = Rig().build()
    rig.dp.set_capture(False)
    rig.dp.vif_set(SUB, type=6, flags=0x1C0, vrf=1, parent=TAP1, vlan_id=10, ovlan_id=10)
    rig.encap(1, TAP1, MAC1, family=7)
    rig.encap(80, SUB, MAC1, family=7)
    rig.composite(21, 0x2001, [1, 3, 80])
    loop = threading.Thread(target=rig.dp.run)
    loop.start()
    with contextlib.ExitStack() as stack:
        one = Guest("guest1", MAC1, "15.0.0.3/24")
        stack.callback(one.end)
        two = Guest("tap2", MAC2, "15.0.0.4/24")
        stack.callback(two.end)
        stack.callback(loop.join)
        stack.callback(rig.dp.stop)
        device = stack.enter_context(open_packet("host1"))
        assert rig.dp.vif_attach(TAP1, device.fileno(), FRAMING_VNET) == 0
        assert rig.dp.vif_attach(TAP2, tap, FRAMING_VNET) == 0
        check(rig, one, two)
        check_devices_that_go(rig, one, two)
    print("ok")


if __name__ == "__main__":
    main()
