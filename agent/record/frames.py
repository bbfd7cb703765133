"""The file of a recording: a magic, then blocks that can be read up to where a crash cut it.

    file    MAGIC (8 bytes, the last is the format's version), then blocks
    block   stored u32, unpacked u32, CRC-32 of the stored bytes u32 (little endian), stored bytes

The stored bytes of all blocks are one raw deflate stream, flushed at the end of each block:
a block costs little more than its share, and every whole block can be read without the next.
Inside, a block is a sequence of entries: length u32 (little endian) and as many bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from agent.errors import RecordingError

MAGIC = b"VRAGREC\x01"
MAX_ENTRY = 48 << 20
BLOCK_SIZE = 1 << 16
"""A block is closed when it has so many bytes: an entry is never split."""
MAX_BLOCK = MAX_ENTRY + BLOCK_SIZE + 4

_HEAD = struct.Struct("<III")
_LENGTH = struct.Struct("<I")
_LEVEL = 1  # the bytes of routes and dumps shrink tenfold even so

Read = Callable[[int], bytes]
"""As a binary file's `read`: up to so many bytes; none at its end."""


class Packer:
    """Makes the blocks of one file; `written` counts the bytes of the file so far."""

    def __init__(self) -> None:
        self.written = len(MAGIC)
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)

    def block(self, entries: bytes | bytearray) -> bytes:
        """The block of these entries."""
        stored = self._deflate.compress(entries) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        block = _HEAD.pack(len(stored), len(entries), zlib.crc32(stored)) + stored
        self.written += len(block)
        return block


class Unpacker:
    """Reads the blocks of one file, as far as they are whole.

    After its blocks were read, `problem` says what ended them before the file's proper end,
    or is None. RecordingError from the constructor: this is no recording, or one of another
    version.
    """

    def __init__(self, read: Read) -> None:
        self.problem: RecordingError | None = None
        self.offset = len(MAGIC)
        self._size = 0
        self._read = read
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        magic = read(len(MAGIC))
        if magic[:-1] != MAGIC[:-1]:
            raise RecordingError("not a recording of vrouter-agent", 0)
        if magic != MAGIC:
            raise RecordingError(
                f"recording format {magic[-1]}, this program reads {MAGIC[-1]}", len(MAGIC) - 1
            )

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Each entry of the whole blocks, with the file offset of its block."""
        try:
            while (block := self._block()) is not None:
                for entry in self._split(block):
                    yield self.offset, entry
                self.offset += self._size
        except RecordingError as problem:
            self.problem = problem

    def _block(self) -> bytes | None:
        head = self._exactly(_HEAD.size)
        if not head:
            return None
        stored, unpacked, checksum = _HEAD.unpack(head)
        if unpacked > MAX_BLOCK or stored > MAX_BLOCK:
            raise self._error("a block's length is beyond all bounds")
        data = self._exactly(stored)
        if len(data) < stored:
            raise self._error("cut in the middle of a block")
        if zlib.crc32(data) != checksum:
            raise self._error("a block's checksum is wrong")
        self._size = _HEAD.size + stored
        return self._unpacked(data, unpacked)

    def _unpacked(self, data: bytes, size: int) -> bytes:
        try:
            # One more than there should be, so that more is noticed.
            block = self._inflate.decompress(data, size + 1)
        except zlib.error as error:
            raise self._error(f"a block cannot be unpacked ({error})") from None
        if len(block) != size or self._inflate.unconsumed_tail:
            raise self._error("a block's content has another length than it says")
        return block

    def _exactly(self, size: int) -> bytes:
        """So many bytes, fewer at the end of the file only; a cut head is an error."""
        parts: list[bytes] = []
        missing = size
        while missing and (part := self._read(missing)):
            parts.append(part)
            missing -= len(part)
        if size == _HEAD.size and 0 < missing < size:
            raise self._error("cut in the head of a block")
        return b"".join(parts)

    def _split(self, block: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(block):
            end = at + _LENGTH.size
            if end > len(block):
                raise self._error("an entry's length is cut")
            (size,) = _LENGTH.unpack_from(block, at)
            if size > len(block) - end:
                raise self._error("an entry is longer than its block")
            yield block[end : end + size]
            at = end + size

    def _error(self, words: str) -> RecordingError:
        return RecordingError(words, self.offset)
