"""Names of backup files: what is in them, a dash, and a checksum of it in decimal.

Ours is the CRC-32 of the content; the reference agent's is boost's hash of its bytes (facts
oper-db.md 5), which differs between releases of boost and, before 1.81, between signed and
unsigned bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from agent.errors import WireError

FAMILY = "vrouter_agent_numbers"
REFERENCE = "contrail_"
"""What names of our own files, and of the reference agent's, begin with."""

_NAME = re.compile(r"([a-z_]+)-(\d{1,20})")
_MASK = (1 << 64) - 1


def file_name(content: bytes) -> str:
    """The name of our own file with this content."""
    return f"{FAMILY}-{zlib.crc32(content)}"


def family(name: str) -> str | None:
    """Whose file this is: ours, the reference agent's, or None for one of another form."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return next((one for one in (FAMILY, REFERENCE) if found[1].startswith(one)), None)


def checked(name: str, content: bytes) -> None:
    """Raise WireError unless `content` is what the name of its file tells."""
    found = _NAME.fullmatch(name)
    told = int(found[2]) if found else -1
    sums: tuple[Callable[[bytes], int], ...] = _SUMS
    if family(name) == FAMILY:
        sums = (zlib.crc32,)
    if all(told != one(content) for one in sums):
        raise WireError("the content is not that of the checksum in the file's name")


def _old(content: bytes, signed: bool) -> int:
    """Boost's hash_range before 1.56."""
    total = 0
    for byte in content:
        value = (byte - 256 if signed and byte > 127 else byte) & _MASK
        total ^= (value + 0x9E3779B9 + (total << 6) + (total >> 2)) & _MASK
    return total


def _new(content: bytes, signed: bool) -> int:
    """Boost's hash_range from 1.56 to 1.80, of 64 bits."""
    total, factor = 0, 0xC6A4A7935BD1E995
    for byte in content:
        value = (byte - 256 if signed and byte > 127 else byte) & _MASK
        value = value * factor & _MASK
        value = (value ^ value >> 47) * factor & _MASK
        total = ((total ^ value) * factor + 0xE6546B64) & _MASK
    return total


def _words(content: bytes) -> int:
    """Boost's hash_range of 1.81: words of four bytes, the last one ended by a 1."""
    total, factor = 0, 0xE9846AF9B1A615D
    ended = content + b"\1"
    for at in range(0, len(ended), 4):
        word = int.from_bytes(ended[at : at + 4], "little")
        total = (total + 0x9E3779B9 + word) & _MASK
        total = (total ^ total >> 32) * factor & _MASK
        total = (total ^ total >> 32) * factor & _MASK
        total ^= total >> 28
    return total


_SUMS = (
    lambda content: _old(content, True),
    lambda content: _old(content, False),
    lambda content: _new(content, True),
    lambda content: _new(content, False),
    _words,
)
