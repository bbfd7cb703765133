"""Which descriptor each interface of the datapath uses, as the host's links come and go."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agent._fast.forwarding import FRAMING_PKT0, FRAMING_PLAIN, FRAMING_VNET, Datapath
from agent.forwarder import rundir
from agent.forwarder.devices import Device
from agent.forwarder.links import Link
from agent.forwarder.opening import WITHOUT_DEVICE, VifType, Wanted

log = logging.getLogger(__name__)


class Opens(Protocol):
    """What `Ports` needs of an `Opener`."""

    def open(self, wanted: Wanted) -> Device | None: ...
    def matches(self, wanted: Wanted, link: Link) -> bool: ...


Resized = Callable[[int, int], None]
"""Called with the index of a vif and the MTU of its interface."""


class Ports:
    """Attaches vifs to devices; closes what it opened.

    `resized` is called for vifs that follow the MTU of their interface.
    """

    def __init__(self, datapath: Datapath, run_dir: Path, opener: Opens) -> None:
        self._datapath = datapath
        self._run_dir = run_dir
        self._opener = opener
        self.resized: Resized = lambda idx, mtu: None
        self._wanted: dict[int, Wanted] = {}
        self._devices: dict[int, Device] = {}

    def device(self, idx: int) -> Device | None:
        """What the vif is attached to now, or None."""
        return self._devices.get(idx)

    def add(self, wanted: Wanted) -> int:
        """Attach a new vif, now or when its interface appears. 0, or a negative errno.

        An interface that does not exist yet is no error; one that cannot be made is.
        """
        if wanted.type in WITHOUT_DEVICE:
            return 0
        try:
            device = self._opener.open(wanted)
        except OSError as error:
            log.warning("vif %d (%s): %s", wanted.idx, wanted.name, error)
            return -(error.errno or errno.EIO)
        self._wanted[wanted.idx] = wanted
        return 0 if device is None else self._use(wanted, device)

    def greet_agent(self) -> None:
        """Connect pkt0 to the agent that is bound there now; it may be another than before."""
        for wanted in self._wanted.values():
            if wanted.is_packet_socket:
                self._datapath.vif_greet(wanted.idx)

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
            if wanted.is_packet_socket or not self._opener.matches(wanted, link):
                continue
            if device is None or device.index != link.index or not self._attached(wanted.idx):
                self._reattach(wanted)
            elif wanted.follows_mtu:
                self.resized(wanted.idx, link.mtu)

    def link_gone(self, link: Link) -> None:
        """A host interface went away: let go of it; a tap of ours is made again."""
        for idx, device in list(self._devices.items()):
            if device.index != link.index:
                continue
            self._release(idx)
            if device.made:
                self._reattach(self._wanted[idx])

    def _release(self, idx: int) -> None:
        """Let go of an interface that is there no more, or not as it was."""
        device = self._devices.pop(idx)
        self._datapath.vif_detach(idx)
        device.close()
        log.info("vif %d: interface %s went away", idx, device.name)

    def _attached(self, idx: int) -> bool:
        vif = self._datapath.vif_get(idx)
        return vif is not None and vif.attached

    def _reattach(self, wanted: Wanted) -> None:
        if wanted.idx in self._devices:
            self._release(wanted.idx)
        try:
            device = self._opener.open(wanted)
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
        if wanted.follows_mtu:
            self.resized(wanted.idx, device.mtu)
        log.info("vif %d: attached to %s", wanted.idx, device.name)
        return 0

    @staticmethod
    def _framing(wanted: Wanted) -> int:
        if wanted.is_packet_socket:
            return FRAMING_PKT0
        return FRAMING_PLAIN if wanted.type == VifType.AGENT else FRAMING_VNET

    def _peer(self, wanted: Wanted) -> str:
        return str(self._run_dir / rundir.AGENT_PACKETS) if wanted.is_packet_socket else ""
