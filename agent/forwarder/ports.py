"""Which descriptor each interface of the datapath uses, as the host's links come and go."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agent._fast.forwarding import FRAMING_PKT0, FRAMING_PLAIN, FRAMING_VNET, Datapath
from agent.forwarder import rundir
from agent.forwarder.devices import Device, attach, make_tap
from agent.forwarder.links import Link
from agent.values import Mac

log = logging.getLogger(__name__)

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


_WITHOUT_DEVICE = (VifType.VIRTUAL_VLAN, VifType.STATS, VifType.VLAN)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one vif should be attached to."""

    idx: int
    type: VifType
    transport: int
    name: str
    os_idx: int
    mac: Mac

    @property
    def is_packet_socket(self) -> bool:
        """The agent's port over datagrams (pkt0)."""
        return self.type == VifType.AGENT and self.transport == Transport.SOCKET


class Ports:
    """Attaches vifs to devices; closes what it opened."""

    def __init__(self, datapath: Datapath, run_dir: Path, fabric: str | None = None) -> None:
        self._datapath = datapath
        self._run_dir = run_dir
        self._fabric = fabric
        self._wanted: dict[int, Wanted] = {}
        self._devices: dict[int, Device] = {}

    def device(self, idx: int) -> Device | None:
        """What the vif is attached to now, or None."""
        return self._devices.get(idx)

    def add(self, wanted: Wanted) -> int:
        """Attach a new vif, now or when its interface appears. 0, or a negative errno.

        An interface that does not exist yet is no error; one that cannot be made is.
        """
        if wanted.type in _WITHOUT_DEVICE:
            return 0
        try:
            device = self._open(wanted)
        except OSError as error:
            log.warning("vif %d (%s): %s", wanted.idx, wanted.name, error)
            return -(error.errno or errno.EIO)
        self._wanted[wanted.idx] = wanted
        return 0 if device is None else self._use(wanted, device)

    def remove(self, idx: int) -> None:
        """Give up what a vif used; the data plane has let go of it already."""
        wanted = self._wanted.pop(idx, None)
        if (device := self._devices.pop(idx, None)) is not None:
            device.close()
        if wanted is not None and wanted.is_packet_socket:
            rundir.remove(self._run_dir / rundir.PACKETS)

    def clear(self) -> None:
        """Give up everything."""
        for idx in list(self._wanted):
            self.remove(idx)

    def link_appeared(self, link: Link) -> None:
        """A host interface is new or changed: attach the vif that waits for it."""
        for wanted in list(self._wanted.values()):
            device = self._devices.get(wanted.idx)
            if wanted.is_packet_socket or not self._is_for(wanted, link):
                continue
            if device is None or device.index != link.index or not self._attached(wanted.idx):
                self._reattach(wanted)

    def link_gone(self, link: Link) -> None:
        """A host interface went away: let go of it; a tap of ours is made again."""
        for idx, device in list(self._devices.items()):
            if device.index != link.index:
                continue
            self._datapath.vif_detach(idx)
            self._devices.pop(idx).close()
            log.info("vif %d: interface %s went away", idx, device.name)
            if device.made:
                self._reattach(self._wanted[idx])

    def _attached(self, idx: int) -> bool:
        vif = self._datapath.vif_get(idx)
        return vif is not None and vif.attached

    def _is_for(self, wanted: Wanted, link: Link) -> bool:
        return link.name == wanted.name or link.index == self._index(wanted)

    def _reattach(self, wanted: Wanted) -> None:
        if (old := self._devices.pop(wanted.idx, None)) is not None:
            self._datapath.vif_detach(wanted.idx)
            old.close()
        try:
            device = self._open(wanted)
        except OSError as error:
            log.warning("vif %d (%s): %s", wanted.idx, wanted.name, error)
            return
        if device is not None:
            self._use(wanted, device)

    def _use(self, wanted: Wanted, device: Device) -> int:
        code = self._datapath.vif_attach(
            wanted.idx, device.descriptor, self._framing(wanted), self._peer(wanted)
        )
        if code < 0:
            log.warning("vif %d: cannot use %s: %s", wanted.idx, device.name, os.strerror(-code))
            device.close()
            return code
        self._devices[wanted.idx] = device
        log.info("vif %d: attached to %s", wanted.idx, device.name)
        return 0

    @staticmethod
    def _framing(wanted: Wanted) -> int:
        if wanted.is_packet_socket:
            return FRAMING_PKT0
        return FRAMING_PLAIN if wanted.type == VifType.AGENT else FRAMING_VNET

    def _peer(self, wanted: Wanted) -> str:
        return str(self._run_dir / rundir.AGENT_PACKETS) if wanted.is_packet_socket else ""

    def _open(self, wanted: Wanted) -> Device | None:
        """The device for a vif; None while its interface does not exist. OSError."""
        if wanted.is_packet_socket:
            return _packet_socket(self._run_dir / rundir.PACKETS)
        index = self._index(wanted)
        if index is None:
            return make_tap(wanted.name, wanted.mac) if wanted.type == VifType.HOST else None
        try:
            name = socket.if_indextoname(index)
            return attach(index, name, offloads=wanted.type != VifType.AGENT)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):  # went away just now
                return None
            raise

    def _index(self, wanted: Wanted) -> int | None:
        """The host's index of the vif's interface: by name, by number, or the fabric given."""
        names = [wanted.name]
        if wanted.type == VifType.PHYSICAL and self._fabric is not None:
            names.append(self._fabric)
        for look_up in (*(_by_name(name) for name in names), _by_index(wanted.os_idx)):
            if (index := look_up()) is not None:
                return index
        return None


def _by_name(name: str) -> Callable[[], int | None]:
    def look_up() -> int | None:
        try:
            return socket.if_nametoindex(name) if name else None
        except OSError:
            return None

    return look_up


def _by_index(index: int) -> Callable[[], int | None]:
    def look_up() -> int | None:
        try:
            socket.if_indextoname(index)
        except (OSError, OverflowError):
            return None
        return index

    return look_up


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
