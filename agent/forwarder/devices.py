"""Descriptors on the host's interfaces: taps that we make, packet sockets on others.

Both can carry a 10-byte virtio-net header before each frame, so that checksum and
segmentation offloads of guests pass through. Numbers: tun.c, packet(7).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from dataclasses import dataclass

from agent.values import Mac

_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_TUN_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08  # checksum, TSO4, TSO6, TSO ECN
_SIOCSIFHWADDR, _SIOCSIFFLAGS, _SIOCGIFFLAGS = 0x8924, 0x8914, 0x8913
_SIOCGIFMTU = 0x8921
_ARPHRD_ETHER = 1
_IFF_UP = 1

_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 1, 15, 23
_PACKET_MR_PROMISC = 1
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_ETH_P_ALL = 3
_SOCKET_BUFFER = 8 << 20

VNET_HEADER = 10


@dataclass(frozen=True, slots=True)
class Device:
    """An open descriptor to an interface.

    `made` says that the interface is ours; `mtu` is its size in bytes without the
    Ethernet header, 0 where it has none.
    """

    descriptor: int
    index: int
    name: str
    made: bool
    mtu: int = 0

    def close(self) -> None:
        """Free the descriptor; a tap that we made goes away with it."""
        os.close(self.descriptor)


def make_tap(name: str, mac: Mac) -> Device:
    """Create the tap `name`, set its address and bring it up.

    Raises OSError: EBUSY when another program holds it, EPERM without CAP_NET_ADMIN.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        fcntl.ioctl(descriptor, _TUNSETVNETHDRSZ, struct.pack("i", VNET_HEADER))
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _TUN_OFFLOADS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            address = struct.pack("16sH6s16x", name.encode(), _ARPHRD_ETHER, mac)
            fcntl.ioctl(control, _SIOCSIFHWADDR, address)
            _bring_up(control, name)
        return Device(descriptor, socket.if_nametoindex(name), name, made=True)
    except BaseException:
        os.close(descriptor)
        raise


def _bring_up(control: socket.socket, name: str) -> None:
    raw = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", name.encode()))
    (flags,) = struct.unpack_from("H", raw, 16)
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | _IFF_UP))


def attach(index: int, name: str, *, offloads: bool = True) -> Device:
    """Open a promiscuous packet socket on the interface with this index.

    `offloads`: frames carry a virtio-net header. The socket sees what the interface
    receives, not what is sent through it. Raises OSError: ENODEV when the interface has
    gone, EPERM without CAP_NET_RAW.
    """
    packet = socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
    )
    try:
        if offloads:
            packet.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        packet.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        _enlarge_buffers(packet)
        _bind(packet, index)
        membership = struct.pack("iHH8x", index, _PACKET_MR_PROMISC, 0)
        packet.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        mtu = _mtu_of(packet, name)
        return Device(packet.detach(), index, name, made=False, mtu=mtu)
    except BaseException:
        packet.close()
        raise


def _enlarge_buffers(packet: socket.socket) -> None:
    """Beyond the system's limit where we may; in a user namespace, up to it."""
    options = ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF))
    for forced, allowed in options:
        try:
            packet.setsockopt(socket.SOL_SOCKET, forced, _SOCKET_BUFFER)
        except PermissionError:
            packet.setsockopt(socket.SOL_SOCKET, allowed, _SOCKET_BUFFER)


def _bind(packet: socket.socket, index: int) -> None:
    name = socket.if_indextoname(index)
    packet.bind((name, _ETH_P_ALL))
    if packet.getsockname()[0] != socket.if_indextoname(index):
        raise OSError(19, f"interface {name} was replaced while attaching to it")


def _mtu_of(control: socket.socket, name: str) -> int:
    raw = fcntl.ioctl(control, _SIOCGIFMTU, struct.pack("16s24x", name.encode()))
    return int(struct.unpack_from("i", raw, 16)[0])
