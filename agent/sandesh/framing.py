"""Netlink frames around Sandesh messages, over a stream socket or generic netlink.

A frame is a 16-byte netlink header, a 4-byte generic netlink header, a 4-byte attribute
header, all in host byte order, then the messages (facts `sandesh-ksync.md` section 3). The
attribute's own length cannot be trusted: replies leave out its header, a long frame wraps it
at 16 bits. The payload is found from the frame's length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.errors import WireError

NLM_F_REQUEST = 1
NLM_F_MULTI = 2
NLMSG_ERROR = 2
NLMSG_DONE = 3
GENL_ID_CTRL = 16
SANDESH_REQUEST = 1
NL_ATTR_VR_MESSAGE_PROTOCOL = 1
FAMILY_AGENT = 24  # a socket datapath echoes any number; these are the customary ones
FAMILY_TOOL = 32
HEADER_SIZE = 24
MAX_PAYLOAD = 0xFFFF - 4  # what the 16-bit length of the attribute can say
MAX_FRAME = 1 << 17

_NETLINK = struct.Struct("=IHHII")
_FRAME = struct.Struct("=IHHIIBBHHH")
_ATTRIBUTE_LENGTH = struct.Struct("=H")
_LENGTH = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `type` is the family, or a netlink type below 17 (ERROR, DONE, CTRL).

    `payload`: the Sandesh messages; for netlink's own types all after its 16-byte header.
    """

    type: int
    flags: int
    seq: int
    pid: int
    payload: bytes

    @property
    def more(self) -> bool:
        """Whether another frame of the same reply follows."""
        return bool(self.flags & NLM_F_MULTI)


def request_frame(payload: bytes, *, family: int, seq: int, pid: int) -> bytes:
    """A request that carries `payload`, the same for both transports.

    Raises WireError when the payload is longer than MAX_PAYLOAD.
    """
    size = len(payload)
    if size > MAX_PAYLOAD:
        raise WireError(f"a request of {size} bytes: at most {MAX_PAYLOAD} fit into one frame")
    return _frame(payload, size + 4, family, NLM_F_REQUEST, seq, pid)


def reply_frame(payload: bytes, *, family: int, seq: int, more: bool, pid: int = 0) -> bytes:
    """One part of a reply in the socket form; `family` and `seq` are the request's.

    The attribute length is that of the payload alone, as every datapath writes it.
    """
    return _frame(payload, len(payload), family, NLM_F_MULTI if more else 0, seq, pid)


def kernel_reply_frames(
    payloads: Sequence[bytes], *, family: int, seq: int, pid: int, multi: bool = False
) -> list[bytes]:
    """A whole reply in the kernel form: padded parts, DONE after more than one.

    `multi`: also after a single one, as after that to a route which was announced.
    """
    flags = NLM_F_MULTI if multi or len(payloads) > 1 else 0
    frames = []
    for payload in payloads:
        padding = bytes(-len(payload) % 4)
        frames.append(_frame(payload + padding, len(payload), family, flags, seq, pid))
    if flags:
        frames.append(_NETLINK.pack(16, NLMSG_DONE, 0, seq, pid))
    return frames


def announcement_frame(payload: bytes, *, family: int) -> bytes:
    """What the kernel tells its multicast group: from nobody, with the attribute's whole length."""
    return _frame(payload, len(payload) + 4, family, 0, 0, 0)


def _frame(payload: bytes, nla_len: int, family: int, flags: int, seq: int, pid: int) -> bytes:
    head = _FRAME.pack(
        HEADER_SIZE + len(payload),
        family,
        flags,
        seq,
        pid,
        SANDESH_REQUEST,
        0,
        0,
        nla_len & 0xFFFF,
        NL_ATTR_VR_MESSAGE_PROTOCOL,
    )
    return head + payload


def whole_frames(data: bytes) -> list[bytes]:
    """The request frames that `data` consists of, with their headers. WireError."""
    frames, offset = [], 0
    while offset < len(data):
        (size,) = _LENGTH.unpack_from(data, offset) if len(data) - offset >= 4 else (0,)
        if not HEADER_SIZE <= size <= len(data) - offset:
            raise WireError(f"{len(data) - offset} bytes are no whole request")
        frames.append(data[offset : offset + size])
        offset += size
    return frames


class FrameReader:
    """Cuts a byte stream into frames: `feed` what arrived, then iterate.

    Holds at most one incomplete frame, of `max_frame` bytes, from one iteration to the
    next. A length that cannot be raises WireError, again at every further use: the stream
    has lost its step and must be closed.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._broken = ""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Adds bytes as they arrived, cut anywhere."""
        self._buffer += data

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    @property
    def waiting(self) -> bytearray:
        """What was fed and not taken yet, to be looked at before the next call."""
        return self._buffer

    def skip(self, size: int) -> None:
        """Take `size` bytes off the front: whole frames that somebody else has read."""
        del self._buffer[:size]

    def __iter__(self) -> Iterator[Frame]:
        """The complete frames, each once. Raises WireError."""
        while frame := self.next_frame():
            yield frame

    def next_frame(self) -> Frame | None:
        """The next complete frame, None while there is none. Raises WireError."""
        size = self._next_size()
        if not size or len(self._buffer) < size:
            return None
        frame = self._cut(size)
        del self._buffer[:size]
        return frame

    def _next_size(self) -> int:
        """The length of the next frame; 0 while its header is incomplete."""
        if self._broken:
            raise WireError(self._broken)
        if len(self._buffer) < _NETLINK.size:
            return 0
        size, kind = _NETLINK.unpack_from(self._buffer)[:2]
        least = HEADER_SIZE if kind > GENL_ID_CTRL else _NETLINK.size
        if not least <= size <= self._max_frame:
            self._broken = (
                f"a frame of type {kind} says it has {size} bytes; "
                f"{least} to {self._max_frame} can be"
            )
            raise WireError(self._broken)
        return int(size)

    def _cut(self, size: int) -> Frame:
        _, kind, flags, seq, pid = _NETLINK.unpack_from(self._buffer)
        start, end = _NETLINK.size, size
        if kind > GENL_ID_CTRL:
            start = HEADER_SIZE
            (said,) = _ATTRIBUTE_LENGTH.unpack_from(self._buffer, 20)
            end = start + _payload_size(size - HEADER_SIZE, said)
        return Frame(kind, flags, seq, pid, bytes(self._buffer[start:end]))


def _payload_size(room: int, said: int) -> int:
    """How many of `room` bytes are payload, the rest being 0 to 3 bytes of padding.

    `said` is the attribute's length: without its header in replies, with it elsewhere.
    When it says neither, it has wrapped or was never filled in: all is payload.
    """
    for size in (said, said - 4):
        if 0 <= room - size <= 3:
            return size
    return room


def read_frames(data: bytes) -> list[Frame]:
    """The frames of one datagram. Raises WireError, also for a frame cut short."""
    reader = FrameReader()
    reader.feed(data)
    frames = list(reader)
    if reader.pending:
        raise WireError(f"{reader.pending} bytes at the end of a datagram are no frame")
    return frames
