"""Sizes of a shared hash table: main part, overflow part, entry size.

Facts: shared-memory.md section 1. A table has no header; global index i lies at
byte i * entry_size, and indices from `main_entries` on are overflow entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import WireError

FLOW_ENTRY_SIZE = 256
BRIDGE_ENTRY_SIZE = 64
BUCKET_SIZE = 4
NO_INDEX = 0xFFFFFFFF


def overflow_entries(main_entries: int) -> int:
    """Overflow entries of a table that was not told otherwise: 20 %, in whole 1024."""
    return ((main_entries // 5) + 1023) & ~1023


def main_entries(total: int) -> int:
    """Main entries of a table of `total` entries under the 20 % rule.

    Raises WireError when no main part has such a total: then the split must come
    from the limits that the datapath reports.
    """
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        if middle + overflow_entries(middle) < total:
            low = middle + 1
        else:
            high = middle
    if low + overflow_entries(low) != total:
        raise WireError(
            f"a table of {total} entries is not main + 20 % overflow: "
            "pass the number of main entries (vrouter_ops reports it)"
        )
    return low


@dataclass(frozen=True, slots=True)
class Geometry:
    """Entry counts and entry size of one table."""

    entry_size: int
    main: int
    overflow: int

    @property
    def entries(self) -> int:
        """Main and overflow entries."""
        return self.main + self.overflow

    @property
    def size(self) -> int:
        """Bytes of the mapping."""
        return self.entries * self.entry_size

    @classmethod
    def of(cls, size: int, entry_size: int, main: int | None = None) -> Geometry:
        """The geometry of a mapping of `size` bytes.

        `main` is the datapath's number of main entries; without it the 20 % rule is
        inverted. Raises WireError if the numbers do not fit each other.
        """
        total, rest = divmod(size, entry_size)
        if rest or total < BUCKET_SIZE or total > NO_INDEX:
            raise WireError(f"{size} bytes are not a table of {entry_size}-byte entries")
        if main is None:
            main = main_entries(total)
        if main % BUCKET_SIZE or not BUCKET_SIZE <= main <= total:
            raise WireError(f"{main} main entries do not fit a table of {total} entries")
        return cls(entry_size, main, total - main)
