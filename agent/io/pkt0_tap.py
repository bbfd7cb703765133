"""pkt0 as a tap: the packet channel of the kernel's datapath (facts kernel-datapath.md).

The agent makes the interface, the datapath gets it as the agent's vif by its number. What the
datapath sends to it is read from the tap, what is written to the tap comes to the datapath.
The host's own stack sees an interface like any other: IPv6 is off on it, and what that stack
says all the same is passed over and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

import structlog

from agent._fast.packet import MAX_FRAME, write_frames
from agent.errors import ConfigError
from agent.io.pkt0_channel import BATCH, DescriptorChannel, Received
from agent.io.platforms import PKT0_TAP
from agent.values import VRRP_MAC

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_UP = 0x0002, 0x1000, 1
_SIOCSIFHWADDR, _SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8924, 0x8913, 0x8914
_SIOCSIFMTU, _SIOCSIFTXQLEN = 0x8922, 0x8943
_ARPHRD_ETHER = 1
_ETHERNET = 14
_QUEUE = 4096
"""Frames that may wait to be read, when many new flows begin at once."""
_AGAIN_SECONDS = 1.0
_NO_ADDRESS = "1"

log = structlog.get_logger(__name__)


class Pkt0Tap(DescriptorChannel):
    """The tap; made anew when somebody deletes it. Goes away when it is closed."""

    def __init__(self, received: Received, name: str = PKT0_TAP) -> None:
        """Make the interface; ConfigError when that is not possible."""
        super().__init__(received)
        self._name = name
        self._again: asyncio.TimerHandle | None = None
        try:
            self._tap = make(name)
        except OSError as error:
            raise ConfigError(_explained(name, error)) from None

    def pair(self) -> None:
        """A tap has no other end that could be absent."""

    unpair = pair

    def _descriptor(self) -> int:
        return self._tap

    def _free(self) -> None:
        if self._again is not None:
            self._again.cancel()
        if self._tap >= 0:
            os.close(self._tap)

    def close(self) -> None:
        """Free the tap, and so the interface."""
        if self._tap < 0:  # it is gone already
            self._loop = None
        super().close()

    def _read(self) -> bool:
        if self._tap < 0:
            return False
        try:
            reads, foreign = self._batch.read(self._tap)
        except OSError as error:
            self._gone(error)
            return False
        self.counters.foreign += foreign
        return reads == BATCH

    def _send_some(self, batch: list[bytes]) -> int:
        if self._tap < 0:
            self.counters.not_connected += len(batch)
            return len(batch)
        try:
            sent = write_frames(self._tap, batch)
        except OSError:
            self.counters.send_errors += 1
            return 1  # the first one is what it refused
        self.counters.sent += sent
        return sent

    def _gone(self, error: OSError) -> None:
        """Somebody deleted the interface."""
        log.error("pkt0 is gone", interface=self._name, reason=error.strerror)
        self.counters.fault = f"the interface {self._name} is gone: {error.strerror}"
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._tap)
        os.close(self._tap)
        self._tap = -1
        self._again = loop.call_later(_AGAIN_SECONDS, self._make_again)

    def _make_again(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._tap = make(self._name)
        except OSError as error:
            self.counters.fault = _explained(self._name, error)
            log.error(self.counters.fault)
            self._again = loop.call_later(_AGAIN_SECONDS, self._make_again)
            return
        self._again = None
        self.counters.remade += 1
        self.counters.fault = ""
        loop.add_reader(self._tap, self._readable)
        log.info("pkt0 made again", interface=self._name)


def make(name: str) -> int:
    """Make the tap `name` with the agent's MAC, without IPv6, up; its descriptor. OSError."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        wanted = name.encode()
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", wanted, _IFF_TAP | _IFF_NO_PI))
        _without_ipv6(name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
            address = struct.pack("16sH6s16x", wanted, _ARPHRD_ETHER, bytes(VRRP_MAC))
            fcntl.ioctl(control, _SIOCSIFHWADDR, address)
            size = struct.pack("16si20x", wanted, MAX_FRAME - _ETHERNET)
            fcntl.ioctl(control, _SIOCSIFMTU, size)
            fcntl.ioctl(control, _SIOCSIFTXQLEN, struct.pack("16si20x", wanted, _QUEUE))
            raw = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", wanted))
            (flags,) = struct.unpack_from("H", raw, 16)
            up = struct.pack("16sH22x", wanted, flags | _IFF_UP)
            fcntl.ioctl(control, _SIOCSIFFLAGS, up)
        return tap
    except BaseException:
        os.close(tap)
        raise


def _without_ipv6(name: str) -> None:
    """Before it is up; where that is not allowed the frames are passed over one by one."""
    directory = Path("/proc/sys/net/ipv6/conf") / name
    with contextlib.suppress(OSError):  # there is no IPv6, or /proc/sys is read-only
        (directory / "addr_gen_mode").write_text(_NO_ADDRESS)
        (directory / "disable_ipv6").write_text("1")


def _explained(name: str, error: OSError) -> str:
    hint = {
        errno.EBUSY: "another program holds it: is another vrouter-agent running?",
        errno.EPERM: "making it needs CAP_NET_ADMIN",
        errno.ENOENT: "there is no /dev/net/tun: load the module tun (modprobe tun)",
        errno.EINVAL: "an interface that is no tap has this name",
    }.get(error.errno or 0, "")
    return f"cannot make the tap {name}: {error.strerror}" + (f"; {hint}" if hint else "")
