"""A blocking client of a datapath's control socket, for the command-line tools.

One request at a time: GET answers with one object, DUMP page by page until the
datapath says that there is no more (facts sandesh-ksync.md 3.3, 3.4).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from agent.errors import DatapathError, UsageError, WireError
from agent.sandesh.framing import FrameReader, request_frame
from agent.sandesh.vrouter import VrResponse, decode_messages

CONTROL = "dpdk_netlink"
ENVIRONMENT = "VROUTER_RUN_DIR"
DEFAULT_DIRECTORIES = ("/run/vrouter", "/var/run/vrouter")
FAMILY = 32
"""nlmsg_type of the tools; a datapath on a socket echoes it."""
MULTI = 0x2
DUMP_INCOMPLETE = 0x40000000
TIMEOUT = 10.0
_READ_SIZE = 1 << 16

Message = TypeVar("Message")


def find_directory(given: str | None) -> Path:
    """The run directory: as given, else VROUTER_RUN_DIR, else where one is."""
    chosen = given or os.environ.get(ENVIRONMENT)
    if chosen:
        return Path(chosen)
    candidates = [Path(name) for name in DEFAULT_DIRECTORIES]
    return next((path for path in candidates if (path / CONTROL).exists()), candidates[0])


class DatapathClient:
    """A connection to one datapath; use as a context manager."""

    def __init__(self, connected: socket.socket, timeout: float = TIMEOUT) -> None:
        connected.settimeout(timeout)
        self._socket = connected
        self._timeout = timeout
        self._reader = FrameReader()
        self._sequence = 0

    @classmethod
    def connect(cls, directory: Path, timeout: float = TIMEOUT) -> Self:
        """Connect to `directory`/dpdk_netlink; UsageError says what to do when it fails."""
        path = directory / CONTROL
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
        frame = request_frame(payload, family=FAMILY, seq=self._sequence, pid=0)
        self._sequence += 1
        try:
            self._socket.sendall(frame)
            messages = list(self._answer())
        except TimeoutError:
            raise WireError(f"the datapath did not answer within {self._timeout:g} s") from None
        except OSError as error:
            raise WireError(f"the datapath closed the connection: {error.strerror}") from None
        if not messages or not isinstance(messages[0], VrResponse):
            raise WireError("the datapath answered without a vr_response")
        return messages[0].resp_code, messages[1:]

    def _answer(self) -> Iterator[object]:
        while True:
            for frame in self._reader:
                yield from decode_messages(frame.payload)
                if not frame.flags & MULTI:
                    return
            data = self._socket.recv(_READ_SIZE)
            if not data:
                raise WireError("the datapath closed the connection without an answer")
            self._reader.feed(data)

    def get(self, request: bytes, kind: type[Message]) -> Message:
        """The object that a GET answers with. DatapathError with the datapath's code."""
        code, objects = self.request(request)
        if code < 0:
            raise DatapathError(-code, kind.__name__)
        for found in objects:
            if isinstance(found, kind):
                return found
        raise WireError(f"the datapath answered without a {kind.__name__}")

    def dump(
        self,
        request: Callable[[Message | None], bytes],
        kind: type[Message],
    ) -> Iterator[Message]:
        """Every object of a kind. `request(last)` encodes the DUMP that follows `last`."""
        last: Message | None = None
        while True:
            code, objects = self.request(request(last))
            if code < 0:
                raise DatapathError(-code, kind.__name__)
            page = [found for found in objects if isinstance(found, kind)]
            yield from page
            if not code & DUMP_INCOMPLETE:
                return
            if not page:
                raise WireError("the datapath announced more objects but sent none")
            last = page[-1]
