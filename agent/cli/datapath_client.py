"""A blocking client of a datapath, for the command-line tools.

One request at a time: GET answers with one object, DUMP page by page until the
datapath says that there is no more (facts sandesh-ksync.md 3.3, 3.4). The datapath is
behind a socket of its own, or is the kernel's, behind generic netlink; the bytes are the
same but for the end of an answer.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from agent.cli import genetlink, netlink
from agent.cli.locate import CONTROL, DEFAULT_DIRECTORIES, Place
from agent.errors import DatapathError, UsageError, WireError
from agent.sandesh.answers import Dump, got
from agent.sandesh.framing import NLMSG_DONE, Frame, FrameReader, request_frame
from agent.sandesh.vrouter import VrResponse, decode_messages

FAMILY = 32
"""nlmsg_type of the tools; a datapath on a socket echoes it."""
MULTI = 0x2
TIMEOUT = 10.0
_READ_SIZE = netlink.READ_SIZE
_PATHS = [f"{directory}/{CONTROL}" for directory in DEFAULT_DIRECTORIES]

Message = TypeVar("Message")


class DatapathClient:
    """A connection to one datapath; use as a context manager.

    `family`: the nlmsg_type of requests. `kernel`: the datapath is the kernel module.
    """

    def __init__(
        self, connected: socket.socket, timeout: float = TIMEOUT, *, family: int = FAMILY
    ) -> None:
        connected.settimeout(timeout)
        self.kernel = connected.family == socket.AF_NETLINK
        self._socket = connected
        self._timeout = timeout
        self._family = family
        self._reader = FrameReader()
        self._sequence = 0

    @classmethod
    def open(cls, place: Place, timeout: float = TIMEOUT) -> Self:
        """Connect to the first datapath of `place` that is there. UsageError: none is."""
        dead: UsageError | None = None
        for directory in place.directories:
            try:
                return cls.connect(directory, timeout)
            except UsageError as error:
                dead = dead or error
        try:
            if place.kernel:
                return cls.connect_kernel(genetlink.FAMILY_NAME, timeout=timeout)
        except UsageError as error:
            dead = dead or error
        raise dead or UsageError("no directory to look for a datapath in")

    @classmethod
    def connect(cls, directory: Path, timeout: float = TIMEOUT) -> Self:
        """Connect to `directory`/dpdk_netlink; UsageError says what to do when it fails.

        Where there is `directory`/netlink_port instead, by netlink to that port.
        """
        path = directory / CONTROL
        if not path.exists() and (directory / netlink.PORT_FILE).exists():
            return cls._connect_process(directory / netlink.PORT_FILE, timeout)
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(timeout)
        try:
            stream.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            stream.close()
            raise UsageError(
                f"no datapath at {path}: start vrouter-forwarder or pass --sock-dir"
            ) from None
        except PermissionError:
            stream.close()
            raise UsageError(f"no permission to use {path}: run as root") from None
        except OSError as error:
            stream.close()
            raise UsageError(f"cannot connect to {path}: {error.strerror or error}") from None
        return cls(stream, timeout)

    @classmethod
    def _connect_process(cls, file: Path, timeout: float) -> Self:
        """Connect to the process whose netlink port a file tells. UsageError: it has gone."""
        try:
            connected = genetlink.connect(netlink.port_in(file))
            connected.settimeout(timeout)
            number = genetlink.family_number(connected, genetlink.FAMILY_NAME)
        except OSError as error:
            raise UsageError(
                f"no datapath at the port in {file}: {netlink.reason(error)}; "
                "start vrouter-forwarder --netlink or pass --sock-dir"
            ) from None
        return cls(connected, timeout, family=number)

    @classmethod
    def connect_kernel(cls, name: str, *, timeout: float = TIMEOUT) -> Self:
        """Connect to the kernel module, whose family has this name. UsageError: it is absent."""
        try:
            connected = genetlink.connect()
        except OSError as error:
            raise UsageError(f"cannot use generic netlink: {netlink.reason(error)}") from None
        connected.settimeout(timeout)
        try:
            return cls(connected, timeout, family=genetlink.family_number(connected, name))
        except DatapathError as error:
            connected.close()
            if error.errno != errno.ENOENT:
                raise
            raise UsageError(
                f"no datapath: there is neither {' nor '.join(_PATHS)}, nor the kernel module "
                f"{name}; start vrouter-forwarder, pass --sock-dir, or load the module "
                f"(modprobe {name})"
            ) from None
        except OSError as error:
            connected.close()
            raise UsageError(f"cannot use generic netlink: {netlink.reason(error)}") from None

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def request(self, payload: bytes) -> tuple[int, list[object]]:
        """Send one request; return the response code and the objects that came with it.

        WireError when the answer is not one, or does not come in time.
        """
        sequence = self._sequence
        frame = request_frame(payload, family=self._family, seq=sequence, pid=0)
        self._sequence += 1
        try:
            self._socket.sendall(frame)
            messages = list(self._answer(sequence))
        except TimeoutError:
            raise WireError(f"the datapath did not answer within {self._timeout:g} s") from None
        except OSError as error:
            raise WireError(self._broken(error)) from None
        if not messages or not isinstance(messages[0], VrResponse):
            raise WireError("the datapath answered without a vr_response")
        return messages[0].resp_code, messages[1:]

    def _broken(self, error: OSError) -> str:
        if self.kernel:
            return f"the kernel did not take or answer the request: {netlink.reason(error)}"
        return f"the datapath closed the connection: {error.strerror}"

    @staticmethod
    def _refuse(frame: Frame) -> None:
        """The kernel's own errors; the module refuses by vr_response."""
        try:
            netlink.refuse(frame)
        except DatapathError as error:
            if error.errno == errno.EPERM:
                raise UsageError(
                    "no permission to use the kernel module (CAP_NET_ADMIN): run as root"
                ) from None
            raise

    def _answer(self, sequence: int) -> Iterator[object]:
        """The messages of the answer to one request; late answers to others are passed over."""
        while True:
            for frame in self._reader:
                if frame.seq != sequence:
                    continue
                self._refuse(frame)
                if frame.type != NLMSG_DONE:
                    yield from decode_messages(frame.payload)
                if not frame.flags & MULTI:
                    return
            data = self._socket.recv(_READ_SIZE)
            if not data:
                raise WireError("the datapath closed the connection without an answer")
            self._reader.feed(data)

    def get(self, request: bytes, kind: type[Message]) -> Message:
        """The object that a GET answers with. DatapathError with the datapath's code."""
        return got(*self.request(request), kind)

    def dump(
        self,
        request: Callable[[Message | None], bytes],
        kind: type[Message],
    ) -> Iterator[Message]:
        """Every object of a kind. `request(last)` encodes the DUMP that follows `last`.

        WireError also when the datapath does not get on, and would answer so for ever.
        """
        dump = Dump(request, kind)
        while not dump.whole:
            yield from dump.page(*self.request(dump.question()))
