"""Finding and opening what a vif is attached to."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agent.forwarder import rundir
from agent.forwarder.devices import Device, attach, make_tap
from agent.forwarder.links import Link
from agent.values import Mac

_PACKET_BUFFER = 4 << 20


class VifType(IntEnum):
    """vifr_type."""

    HOST = 0
    AGENT = 1
    PHYSICAL = 2
    VIRTUAL = 3
    XEN_LL_HOST = 4
    GATEWAY = 5
    VIRTUAL_VLAN = 6
    STATS = 7
    VLAN = 8
    MONITORING = 9


class Transport(IntEnum):
    """vifr_transport."""

    VIRTUAL = 0
    ETHERNET = 1
    PMD = 2
    SOCKET = 3


WITHOUT_DEVICE = (VifType.VIRTUAL_VLAN, VifType.STATS, VifType.VLAN)
WITH_TAP = (VifType.HOST, VifType.GATEWAY)
"""What leads into the host's own stack: by a tap, unless another interface has its name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one vif should be attached to."""

    idx: int
    type: VifType
    transport: int
    name: str
    os_idx: int
    mac: Mac
    follows_mtu: bool = False
    """The vif is as large as its interface, now and when that changes."""

    @property
    def is_packet_socket(self) -> bool:
        """The agent's port over datagrams (pkt0)."""
        return self.type == VifType.AGENT and self.transport == Transport.SOCKET


class Opener:
    """Opens descriptors on this host for the vifs of one run directory.

    `fabric`: the interface for a physical vif whose own name this host does not have.
    """

    def __init__(self, run_dir: Path, fabric: str | None = None) -> None:
        self._run_dir = run_dir
        self._fabric = fabric

    def open(self, wanted: Wanted) -> Device | None:
        """The device for a vif; None while its interface does not exist. OSError."""
        if wanted.is_packet_socket:
            return _packet_socket(self._run_dir / rundir.PACKETS)
        index = self._index(wanted)
        if wanted.type in WITH_TAP:
            device = _tap(wanted)
            if device is not None or index is None:
                return device
        elif index is None:
            return None
        try:
            name = socket.if_indextoname(index)
            return attach(index, name, offloads=wanted.type != VifType.AGENT)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):  # went away just now
                return None
            raise

    def matches(self, wanted: Wanted, link: Link) -> bool:
        """Is this the interface that the vif waits for?"""
        if not wanted.name:
            return link.index == wanted.os_idx
        if link.name == wanted.name:
            return True
        stands_in = wanted.type == VifType.PHYSICAL and link.name == self._fabric
        return stands_in and _named(wanted.name) is None

    def _index(self, wanted: Wanted) -> int | None:
        """The host's index of the vif's interface, or None.

        By name, else the fabric given; by number only where the message has no name,
        since numbers are used again.
        """
        if not wanted.name:
            return wanted.os_idx if _exists(wanted.os_idx) else None
        index = _named(wanted.name)
        if index is None and wanted.type == VifType.PHYSICAL and self._fabric is not None:
            index = _named(self._fabric)
        return index


def _tap(wanted: Wanted) -> Device | None:
    """Made, or taken over where one is there and free; None where the name is something else's."""
    try:
        return make_tap(wanted.name, wanted.mac)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EBUSY) and _named(wanted.name) is not None:
            return None
        raise


def _named(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        return None


def _exists(index: int) -> bool:
    try:
        return bool(socket.if_indextoname(index))
    except (OSError, OverflowError):
        return False


def _packet_socket(path: Path) -> Device:
    """The datapath's end of pkt0, bound and non-blocking."""
    rundir.remove(path)
    packets = socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PACKET_BUFFER)
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PACKET_BUFFER)
        packets.bind(os.fspath(path))
        os.chmod(path, rundir.SOCKET_MODE)
        return Device(packets.detach(), -1, path.name, made=False)
    except BaseException:
        packets.close()
        raise
