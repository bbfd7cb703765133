"""The file of a recording: whole blocks can be read, whatever became of the rest."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import RecordingError
from agent.record import MAGIC, Packer, Unpacker

LENGTH = struct.Struct("<I")
HEAD = struct.Struct("<III")
BLOCKS = st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=5), max_size=5)


def joined(entries: list[bytes]) -> bytes:
    return b"".join(LENGTH.pack(len(entry)) + entry for entry in entries)


def packed(blocks: list[list[bytes]]) -> list[bytes]:
    """The parts of the file: magic, then each block."""
    packer = Packer()
    parts = [MAGIC, *(packer.block(joined(block)) for block in blocks)]
    assert packer.written == sum(map(len, parts))
    return parts


def read(file: bytes) -> tuple[list[bytes], RecordingError | None]:
    unpacker = Unpacker(io.BytesIO(file).read)
    entries = [entry for _, entry in unpacker.entries()]
    return entries, unpacker.problem


def lying(stored: bytes, unpacked: int) -> bytes:
    """A block with a right checksum that says so much of its content."""
    return MAGIC + HEAD.pack(len(stored), unpacked, zlib.crc32(stored)) + stored


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)


@given(BLOCKS)
def test_what_was_packed_is_read(blocks: list[list[bytes]]) -> None:
    assert read(b"".join(packed(blocks))) == ([one for block in blocks for one in block], None)


@given(BLOCKS, st.data())
def test_whole_blocks_survive_a_cut(blocks: list[list[bytes]], data: st.DataObject) -> None:
    parts = packed(blocks)
    file = b"".join(parts)
    cut = data.draw(st.integers(len(MAGIC), len(file)))
    whole, size = 0, len(MAGIC)
    while whole < len(blocks) and size + len(parts[whole + 1]) <= cut:
        whole += 1
        size += len(parts[whole])
    entries, problem = read(file[:cut])
    assert entries == [one for block in blocks[:whole] for one in block]
    assert (problem is None) == (cut == size)
    if problem is not None:
        assert problem.offset == size


@given(BLOCKS.filter(bool), st.data())
def test_a_changed_byte_is_never_taken_for_content(
    blocks: list[list[bytes]], data: st.DataObject
) -> None:
    file = bytearray(b"".join(packed(blocks)))
    place = data.draw(st.integers(len(MAGIC), len(file) - 1))
    file[place] ^= data.draw(st.integers(1, 255))
    entries, problem = read(bytes(file))
    right = [one for block in blocks for one in block]
    assert entries == right[: len(entries)]
    assert problem is not None


def test_the_reader_takes_what_a_pipe_gives() -> None:
    file = io.BytesIO(b"".join(packed([[b"one", b"two"]])))
    unpacker = Unpacker(lambda size: file.read(min(size, 3)) if file.tell() >= 8 else file.read(8))
    assert [entry for _, entry in unpacker.entries()] == [b"one", b"two"]
    assert unpacker.problem is None


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "not a recording of vrouter-agent (at byte 0)"),
        (b"VRAGRE", "not a recording"),
        (b"PK\x03\x04 something else", "not a recording"),
        (MAGIC[:-1] + b"\x09", "recording format 9, this program reads 1 (at byte 7)"),
    ],
)
def test_other_files_are_refused(file: bytes, words: str) -> None:
    with pytest.raises(RecordingError) as caught:
        Unpacker(io.BytesIO(file).read)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (MAGIC + HEAD.pack(1 << 31, 1, 0), "beyond all bounds"),
        (MAGIC + HEAD.pack(1, 1 << 31, 0), "beyond all bounds"),
        (lying(b"\xff\xff", 5), "cannot be unpacked"),
        (lying(deflated(b"\0" * 1000), 999), "another length than it says"),
        (lying(deflated(b"\0" * 1000), 1001), "another length than it says"),
        (lying(deflated(bytes(3)), 3), "an entry's length is cut"),
        (lying(deflated(LENGTH.pack(9) + b"12345678"), 12), "longer than its block"),
    ],
)
def test_lies_are_found_before_they_are_believed(file: bytes, words: str) -> None:
    entries, problem = read(file)
    assert entries == []
    assert words in str(problem)
    assert "(at byte 8)" in str(problem)
